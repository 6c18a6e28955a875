/* A compiled filter, between the files that build it, scan with it and keep it. */
#ifndef GATEHOUSE_RULES_PREFILTER_PRIVATE_H
#define GATEHOUSE_RULES_PREFILTER_PRIVATE_H

#include "rules/prefilter.h"

#include <hs/hs.h>

#include "rules/need.h"
#include "rules/shiftand.h"

/* What Vectorscan calls literals that are there for its own sake. */
#define PREFILTER_NOBODY UINT32_MAX

struct user {
    uint32_t pattern; /* local number */
    uint16_t group;   /* below NEED_GROUPS */
    uint16_t times;   /* at how many places; 1 for runs, which are not counted */
};

/* Where a match of a pattern begins if it holds this feature: so far before its end. */
struct place {
    uint32_t feature;
    uint16_t group;
    uint16_t near, far; /* PLACE_FAR: or farther */
};
enum { PLACE_FAR = UINT16_MAX };

struct prefilter {
    size_t n;         /* patterns with needs */
    uint32_t *id;     /* by local number */
    uint32_t *full;   /* all group bits of the pattern */
    uint32_t *always; /* ids of patterns without needs */
    size_t nalways;
    /* Of pattern p, group by group: places[place_at[p]] ... places[place_at[p + 1]]. None where
     * there is but one group of many features. */
    uint32_t *place_at;
    struct place *places;
    size_t nplaces;
    size_t nids; /* all ids lie below */
    /* Features: literals, then runs. Users of feature f: users[start[f]] ... users[start[f + 1]].
     */
    size_t nliterals, nruns, nusers;
    uint32_t *start;
    struct user *users;
    bool *counted;           /* by literal: some user wants to know how many */
    hs_database_t *literals; /* NULL: none */
    struct shiftand *runs;
};

/* What follows from the users: kept in no file. */
void prefilter_finish(struct prefilter *f, struct arena *a);

#endif
