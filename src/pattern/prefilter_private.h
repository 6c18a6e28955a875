/* A compiled filter, between the files that build it, scan with it and keep it. */
#ifndef GATEHOUSE_PATTERN_PREFILTER_PRIVATE_H
#define GATEHOUSE_PATTERN_PREFILTER_PRIVATE_H

#include "pattern/prefilter.h"

#include "pattern/finder.h"
#include "pattern/shiftand.h"

/* A pattern of whose rarest group the feature is. */
struct user {
    uint32_t pattern; /* local number */
    uint32_t times;   /* at how many places; those in the automaton are not counted: once will do */
};

/* Where a match of a pattern begins if it holds this feature: so far before its end. */
struct place {
    uint32_t feature;
    uint16_t group;
    uint16_t times;     /* how many of the group there must be */
    uint16_t near, far; /* PLACE_FAR: or farther */
};
enum { PLACE_FAR = UINT16_MAX };

struct prefilter {
    /* Of the same patterns, for texts without the bytes that disguise letters; NULL: none. */
    struct prefilter *plain;
    size_t n;         /* patterns with needs */
    uint32_t *id;     /* by local number */
    uint32_t *always; /* ids of patterns that are tried on all texts */
    uint32_t *own;    /* and of those that are on every one that this filter is for */
    size_t nalways, nown;
    /* Of pattern p, group by group: places[place_at[p]] ... places[place_at[p + 1]]. None where
     * there is but one group of many features. */
    uint32_t *place_at;
    struct place *places;
    size_t nplaces;
    size_t nids; /* all ids lie below */
    /* Features: runs with a key, which the finder finds, then the others. Users of feature f:
     * users[start[f]] ... users[start[f + 1]]. */
    size_t nkeyed, nruns, nusers;
    uint32_t *start;
    struct user *users;
    bool *counted; /* by run with a key: some user wants to know how many */
    struct finder *keyed;
    struct shiftand *runs;
};

/* Texts without bytes above 127 and this pair are most, and patterns are simpler there: what
 * disguises letters is mostly made of these. */
#define PREFILTER_DISGUISE "&#"

/* What follows from the users: kept in no file. */
void prefilter_finish(struct prefilter *f, struct arena *a);

#endif
