/* What every match of a pattern must contain: the base of the prefilter.
 *
 * A need is a conjunction of groups; a group is a disjunction of runs, of which some number must
 * occur at different places; a run is a short sequence of byte sets, each optionally followed by a
 * set of bytes that may stand in between any number of times. All are necessary conditions: a
 * string that holds a match holds one run of each group. Room-private. */
#ifndef GATEHOUSE_RULES_NEED_H
#define GATEHOUSE_RULES_NEED_H

#include "rules/tree.h"

enum { RUN_ITEMS = 16, NEED_GROUPS = 3 };

struct run {
    uint16_t n;
    uint16_t set[RUN_ITEMS];  /* numbers in the table */
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
};

/* pattern: as pattern_pcre gives it. */
struct need need_of(struct byteset_table *sets, struct arena *a, struct span pattern);

#endif
