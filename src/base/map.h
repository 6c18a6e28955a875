/* A hash map from byte strings to pointers, in an arena.
 *
 * Keys are compared byte by byte (fold them with arena_lower() first where case does not matter)
 * and must outlive the map. The hash is keyed with a per-process secret, so that a stranger who
 * chooses the keys can't make them collide. Entries are never removed; iteration is in order of
 * insertion. */
#ifndef GATEHOUSE_BASE_MAP_H
#define GATEHOUSE_BASE_MAP_H

#include "base/arena.h"

struct map_entry {
    struct span key;
    void *value;
    uint64_t hash;
};

struct map {
    struct arena *arena;
    struct map_entry *entries; /* in order of insertion */
    size_t n, cap;
    uint32_t *slots; /* entry index + 1, 0 = free; power of two */
    size_t nslots;
    uint64_t may_hold[8]; /* a bit for each key, of its length and a few bytes: most that are
                             looked for in lists are not there */
};

struct map map_in(struct arena *a);
/* The value, or NULL. */
void *map_get(const struct map *m, struct span key);
/* Where the value of key stands; a new key gets a NULL value. */
void **map_at(struct map *m, struct span key);
/* The keyed hash (SipHash-1-3) for other tables. */
uint64_t map_hash(struct span key);

#endif
