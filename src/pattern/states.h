/* States of an automaton over the nodes of a pattern, made when they are first met. Room-private.
 *
 * Those that restart find matches that begin anywhere: what waits at the start of a match always
 * waits too. Those that don't find matches that begin where they were started. */
#ifndef GATEHOUSE_PATTERN_STATES_H
#define GATEHOUSE_PATTERN_STATES_H

#include "pattern/nfa.h"

enum { STATES_MEMORY = 1024 * 1024 /* bytes */ };

/* Numbers of states in the table. STATE_NONE: nothing is under way; STATE_LINE: the same at the
 * start of a line, where that makes a difference. */
enum { STATE_UNKNOWN, STATE_MATCH, STATE_NONE, STATE_LINE, STATES_FIXED };

struct state {
    uint32_t at, n; /* in pool: nodes under way, in ascending order, but those that always wait */
    bool line_start;
};

struct states {
    struct nfa *nfa;
    bool restarts;
    uint16_t *next; /* by state << nfa->shift | class; STATE_UNKNOWN: not yet made */
    struct state *v;
    size_t n, cap;
    uint16_t *pool;
    size_t pool_n, pool_cap;
    uint16_t *index; /* hash table of states */
    size_t index_cap;
    uint16_t first[2]; /* of those that do not restart: at the start of a line; or unknown */
};

void states_init(struct states *t, struct nfa *nfa, bool restarts);
void states_free(struct states *t);
void states_drop(struct states *t);

/* Where a state goes with a byte of the class, which it did not know yet. STATE_UNKNOWN when there
 * is no room for that state. */
uint16_t states_move(struct states *t, uint16_t from, unsigned class);
/* Where a match that begins here starts, for those that do not restart. */
uint16_t states_first(struct states *t, bool line_start);

#endif
