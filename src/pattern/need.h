/* What every match of a pattern must contain: the base of the prefilter.
 *
 * A need is a conjunction of groups; a group is a disjunction of runs, of which some number must
 * occur at different places; a run is a short sequence of byte sets, each optionally followed by a
 * set of bytes that may stand in between any number of times. All are necessary conditions: a
 * string that holds a match holds one run of each group. */
#ifndef GATEHOUSE_PATTERN_NEED_H
#define GATEHOUSE_PATTERN_NEED_H

#include "pattern/tree.h"

enum { RUN_ITEMS = 16, NEED_GROUPS = 4 };

/* How many bytes at least and at most. */
enum { ENDLESS = 1 << 20 };
struct extent {
    uint32_t min, max; /* ENDLESS: no bound is known */
};

static inline struct extent extent_sum(struct extent x, struct extent y)
{
    struct extent s = {x.min + y.min, x.max + y.max};
    return (struct extent){s.min < ENDLESS ? s.min : ENDLESS, s.max < ENDLESS ? s.max : ENDLESS};
}

static inline struct extent extent_either(struct extent x, struct extent y)
{
    return (struct extent){x.min < y.min ? x.min : y.min, x.max > y.max ? x.max : y.max};
}

struct run {
    uint16_t n;
    uint16_t set[RUN_ITEMS];  /* numbers in the table */
    uint16_t loop[RUN_ITEMS]; /* between item i and i + 1; 0: nothing may stand there */
    struct extent lead;       /* from the beginning of the match to the first item */
};

/* The same items, wherever they stand. */
bool run_same(const struct run *x, const struct run *y);
/* From the beginning of the match to the item; to behind the first `items` items. */
struct extent run_start(const struct run *r, size_t item);
struct extent run_end(const struct run *r, size_t items);

struct runs {
    struct run *v;
    size_t n, cap;
    double cost;    /* expected number in a kilobyte of mail text */
    unsigned times; /* how many of them, at different places; 0 and 1: one */
};

struct need {
    struct runs groups[NEED_GROUPS]; /* cheapest first; none: nothing is known */
    size_t ngroups;
};

struct need need_of(struct byteset_table *sets, struct arena *a, const struct tree *t);

#endif
