/* Where in a string a match of a pattern can begin: an automaton over the pattern's tree whose
 * states are made when they are first met. It may name places where none begins (what looks around
 * or refers back counts as always true, long repetitions as endless), but leaves out none where one
 * does. For patterns that are slow to try.
 *
 * It moves from the places where the first bytes let a match begin, as far as that match can go;
 * from so many places that this takes longer than one pass over the string, it makes that pass.
 *
 * States are dropped when they take too much room; an automaton that keeps doing that gives up and
 * names all places. One thread uses it at a time: another gets all places. */
#ifndef GATEHOUSE_PATTERN_AUTOMATON_H
#define GATEHOUSE_PATTERN_AUTOMATON_H

#include "base/arena.h"

enum { AUTOMATON_DROPS = 16 /* times that states may be dropped */ };

struct automaton;

/* pattern: as pattern_pcre gives it. NULL: it is not understood, or can match the empty string. */
struct automaton *automaton_new(struct span pattern);
void automaton_free(struct automaton *m);
/* Places, both included. */
struct window {
    size_t first, last;
};

/* Of the matches that begin at or behind `from`, the first begins in w or behind it; false: there
 * is none. */
bool automaton_next(struct automaton *m, struct span s, size_t from, struct window *w);

#endif
