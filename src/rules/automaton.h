/* Whether a string can hold a match of a pattern at all, in one pass whatever the pattern: an
 * automaton over the pattern's tree whose states are made when they are first met. It may say yes
 * where there is none (what looks around or refers back counts as always true, long repetitions as
 * endless), never no where there is one. For patterns that are slow to try. Room-private.
 *
 * States are dropped when they take too much room; an automaton that keeps doing that gives up and
 * says yes to everything. One thread uses it at a time: another gets yes. */
#ifndef GATEHOUSE_RULES_AUTOMATON_H
#define GATEHOUSE_RULES_AUTOMATON_H

#include "base/arena.h"

enum {
    AUTOMATON_NODES = 60000,       /* of the pattern, repeated parts written out */
    AUTOMATON_MEMORY = 512 * 1024, /* bytes of its states */
    AUTOMATON_DROPS = 16           /* times that they may be dropped */
};

struct automaton;

/* pattern: as pattern_pcre gives it. NULL: it is not understood, or can match the empty string. */
struct automaton *automaton_new(struct span pattern);
void automaton_free(struct automaton *m);
/* false: no match begins at or behind `from`. */
bool automaton_possible(struct automaton *m, struct span s, size_t from);

#endif
