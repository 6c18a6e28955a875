/* Sets of bytes, and a table in which equal ones have one number. Room-private. */
#ifndef GATEHOUSE_PATTERN_BYTESET_H
#define GATEHOUSE_PATTERN_BYTESET_H

#include "base/arena.h"
#include "base/map.h"

struct byteset {
    uint64_t w[4];
};

static inline bool byteset_has(const struct byteset *s, unsigned char c)
{
    return s->w[c >> 6] >> (c & 63) & 1;
}

static inline void byteset_add(struct byteset *s, unsigned char c)
{
    s->w[c >> 6] |= (uint64_t)1 << (c & 63);
}

static inline bool byteset_empty(const struct byteset *s)
{
    return (s->w[0] | s->w[1] | s->w[2] | s->w[3]) == 0;
}

static inline struct byteset byteset_or(struct byteset x, struct byteset y)
{
    return (struct byteset){{x.w[0] | y.w[0], x.w[1] | y.w[1], x.w[2] | y.w[2], x.w[3] | y.w[3]}};
}

static inline struct byteset byteset_and(struct byteset x, struct byteset y)
{
    return (struct byteset){{x.w[0] & y.w[0], x.w[1] & y.w[1], x.w[2] & y.w[2], x.w[3] & y.w[3]}};
}

static inline struct byteset byteset_not(struct byteset x)
{
    return (struct byteset){{~x.w[0], ~x.w[1], ~x.w[2], ~x.w[3]}};
}

static inline int byteset_size(const struct byteset *s)
{
    return __builtin_popcountll(s->w[0]) + __builtin_popcountll(s->w[1]) +
           __builtin_popcountll(s->w[2]) + __builtin_popcountll(s->w[3]);
}

#define BYTESET_ALL byteset_not((struct byteset){{0}})

struct byteset byteset_range(unsigned from, unsigned to);
/* With the other case of every letter, Latin-1 (semantics section 0). */
struct byteset byteset_folded(struct byteset s);

/* How much of ordinary mail is made of its bytes. */
double byteset_share(struct byteset s);

/* Number 0 is the empty set. */
struct byteset_table {
    struct arena *arena;
    struct map index; /* bytes of the set -> number + 1 */
    struct byteset *v;
    double *share; /* how much of ordinary mail is made of its bytes */
    size_t n, cap, share_cap;
    struct map frequencies; /* of pattern/frequency.h */
};
void byteset_table_init(struct byteset_table *t, struct arena *a);

/* BYTESET_NONE when there are too many. */
enum { BYTESET_NONE = UINT16_MAX };
uint16_t byteset_number(struct byteset_table *t, struct byteset s);

#endif
