/* How matches of a pattern begin: the first bytes of a string tell at most places that none does.
 * Room-private. */
#ifndef GATEHOUSE_PATTERN_OPENINGS_H
#define GATEHOUSE_PATTERN_OPENINGS_H

#include "pattern/nfa.h"

enum { OPENING_FIRST = 4, OPENING_BYTES = 8, OPENINGS_MAX = 64 };

struct openings {
    /* By byte and place: the openings that it fits there, as bits. */
    uint64_t first[256][OPENING_FIRST], more[256][OPENING_BYTES - OPENING_FIRST];
    uint64_t anywhere; /* those that do not need the start of a line; none: no match does without */
    unsigned offset;   /* of their first byte from the start of a match */
    unsigned shortest; /* bytes that a match has at least */
};

void openings_make(struct openings *o, struct nfa *a);
/* The first place at or behind `from` where a match may begin; SIZE_MAX: there is none. */
size_t openings_next(const struct openings *o, struct span s, size_t from);

#endif
