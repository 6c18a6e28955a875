/* Short runs of byte sets, thousands of them, found in one pass over a text.
 *
 * Of each run three adjacent items that are rare in mail are its key. All spellings of all keys are
 * in one small table, which is asked once for every byte: by a hash of three bytes without their
 * cases it tells which fourth ones may follow. Where it says yes, the runs that may stand there are
 * compared as a whole, eight bytes at once, and item by item where sets or loops want it. What is
 * told is exact, but for loops of more than FINDER_WALK bytes, which are taken to go on for ever.
 *
 * Cost: linear. For each byte at most the runs of one bucket are compared; a run with loops is
 * walked for FINDER_WALK bytes at most in each direction. Room-private. */
#ifndef GATEHOUSE_PATTERN_FINDER_H
#define GATEHOUSE_PATTERN_FINDER_H

#include "pattern/need.h"

#include "base/buf.h"
#include "base/cursor.h"

enum {
    FINDER_WALK = 32,       /* bytes that loops are followed */
    FINDER_PIECE = 1024,    /* places that one call looks at */
    FINDER_WALKS_MAX = 768, /* runs of one call that are compared beyond eight bytes: more stand in
                             * texts that are made of one byte; they count as found */
    FINDER_SAME_MAX = 256   /* places of one call with the same key; then all that has it counts as
                             * found from there on */
};

/* What a run is found by: items from `from` on. */
struct finder_key {
    uint8_t from, items; /* one to four */
};

/* How often the best key of a run stands in a kilobyte, its burden on the table included; INFINITY
 * when it has none. */
double finder_key(struct byteset_table *sets, const struct run *r, struct finder_key *out);

/* How often in a kilobyte three adjacent items stand where in mail they are most frequent: as far
 * as that is known to be often. INFINITY: they have too many spellings. */
double finder_three(const struct byteset_table *sets, const struct run *r, size_t from);

struct finder;
/* What it is called in reports is its number. Every run has to have a key. */
struct finder *finder_build(struct arena *a, const struct byteset_table *sets,
                            const struct run *const *runs, const struct finder_key *keys, size_t n);

struct finder_hit {
    uint32_t run;
    uint32_t first, last; /* where it ends: once, or with loops several times in between */
    bool many;            /* it counts as found there any number of times */
};
struct finder_hits {
    struct finder_hit *v;
    size_t n, cap;
};

/* Adds what has its key at the next FINDER_PIECE places from `from` on; returns the place to go on
 * at, text.n at the end. A run is told once for every place of its key. */
size_t finder_scan(const struct finder *f, struct span text, size_t from, struct finder_hits *out);

void finder_save(const struct finder *f, struct buf *out);
/* NULL when it is damaged; n: how many runs there must be. */
struct finder *finder_load(struct arena *a, size_t n, struct cursor *in);

#endif
