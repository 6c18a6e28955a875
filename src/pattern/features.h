/* What a filter looks for: runs, and which groups of which patterns they belong to. Room-private,
 * for the time a filter is built. */
#ifndef GATEHOUSE_PATTERN_FEATURES_H
#define GATEHOUSE_PATTERN_FEATURES_H

#include "pattern/prefilter_private.h"

#include "base/map.h"

/* Expected times in a kilobyte above which a group tells nothing. */
#define FEATURES_USELESS 30.0

struct feature {
    struct run run;
    struct finder_key key;
    double key_cost; /* of finding it by its key; INFINITY: it has none */
    size_t number;   /* in the order of adding */
    bool counted;    /* it is of interest at how many places it stands */
    struct use {
        uint32_t pattern;
        uint16_t group, times; /* times: at how many places */
        struct extent back;    /* from its end to the beginning of the match */
    } * users;
    size_t nusers, cap;
};

/* Of a pattern: the groups that are worth looking for, which are the rarest and those that spare
 * more tries than looking for them costs. */
struct worth {
    uint32_t groups; /* bits; 0: none */
    uint16_t rarest;
    double tries; /* how often the pattern will be tried in a kilobyte; INFINITY: always */
};

struct builder {
    struct arena *a;                /* scratch */
    struct arena *work;             /* scratch for one pattern */
    const struct byteset *alphabet; /* of the texts; NULL: any bytes */
    struct byteset_table sets;
    struct feature *v;
    size_t n, cap;
    struct map index; /* run -> number + 1 */
    struct worth *patterns;
    size_t npatterns, patterns_cap;
};

void features_init(struct builder *b);
void features_free(struct builder *b);
/* useless: times in a kilobyte above which it is not worth looking for any. */
struct worth features_worth(struct builder *b, const struct need *need, double useless);
/* The next pattern. */
void features_add(struct builder *b, const struct need *need, const struct worth *w);
/* When all are there: orders them, first those that had better be found by their keys, and returns
 * how many these are. The others are for the automaton. */
size_t features_split(struct builder *b);

#endif
