/* What every match of a pattern must contain: the base of the prefilter.
 *
 * A need is a conjunction of groups; a group is a disjunction of runs, of which some number must
 * occur at different places; a run is a short sequence of byte sets, each optionally followed by a
 * set of bytes that may stand in between any number of times. All are necessary conditions: a
 * string that holds a match holds one run of each group. Room-private. */
#ifndef GATEHOUSE_RULES_NEED_H
#define GATEHOUSE_RULES_NEED_H

#include "base/arena.h"
#include "base/map.h"

struct byteset {
    uint64_t w[4];
};

enum { RUN_ITEMS = 16, NEED_GROUPS = 3 };

struct run {
    uint16_t n;
    uint16_t set[RUN_ITEMS];  /* indices of need_sets */
    uint16_t loop[RUN_ITEMS]; /* between item i and i + 1; 0: nothing may stand there */
};

struct runs {
    struct run *v;
    size_t n, cap;
    double cost;    /* expected number in a kilobyte of mail text */
    unsigned times; /* how many of them, at different places; 0 and 1: one */
};

struct need {
    struct runs groups[NEED_GROUPS]; /* cheapest first; none: nothing is known */
    size_t ngroups;
    bool empty; /* may match the empty string */
};

/* Interned byte sets, shared by all patterns of a filter. Set 0 is empty. */
struct need_sets {
    struct arena *arena;
    struct map index; /* bytes of the set -> number + 1 */
    struct byteset *v;
    double *share; /* how much of ordinary text is made of its bytes */
    size_t n, cap, share_cap;
};
void need_sets_init(struct need_sets *s, struct arena *a);

/* pattern: as pattern_pcre gives it. */
struct need need_of(struct need_sets *sets, struct arena *a, struct span pattern);

/* How every match begins: at least one of these runs, up to PREFIX_ITEMS sets each without loops
 * (fewer: anything may follow). 0 when nothing can be said. */
enum { PREFIX_ITEMS = 3, PREFIX_RUNS = 1500 };
size_t need_prefix(struct need_sets *sets, struct arena *a, struct span pattern, struct run **out);

static inline bool byteset_has(const struct byteset *s, unsigned char c)
{
    return s->w[c >> 6] >> (c & 63) & 1;
}

#endif
