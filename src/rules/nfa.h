/* A pattern as nodes that wait for bytes: what automata move over. What looks around or refers back
 * counts as always true, long repetitions as endless. Room-private. */
#ifndef GATEHOUSE_RULES_NFA_H
#define GATEHOUSE_RULES_NFA_H

#include "rules/byteset.h"

enum {
    NFA_NODES = 60000, /* of a pattern, repeated parts written out */
    NFA_WORDS = NFA_NODES / 64 / 64 + 1
};

enum node_kind { NODE_SET, NODE_SPLIT, NODE_BOL, NODE_MATCH };

struct node {
    uint8_t kind;
    uint16_t set;     /* number */
    uint16_t to, or ; /* or: of NODE_SPLIT */
};

struct nodes {
    uint16_t *v;
    size_t n;
};

struct nfa {
    struct arena *arena;
    struct byteset_table sets;
    struct node *nodes;
    size_t n, cap;
    uint16_t entry;
    struct nodes start[2]; /* what waits for the first byte; at the start of a line */
    unsigned shortest;     /* bytes that a match has at least */

    /* Bytes that all sets treat alike are one class; LF is one of its own. */
    uint8_t class_of[256], byte_of[256]; /* byte_of: one of each class */
    unsigned nclasses, shift;            /* nclasses <= 1 << shift */

    /* Work: the nodes that nfa_reach has met and nfa_take has not taken, as bits, and which words
     * of those bits are not zero; the other nodes it has been at. */
    uint64_t *listed, words[NFA_WORDS];
    uint32_t *mark, round;
    uint16_t *stack, *list;
};

/* pattern: as pattern_pcre gives it. false: it is not understood, or can match the empty string. */
bool nfa_build(struct nfa *a, struct arena *arena, struct span pattern);

/* Lists the nodes that wait for a byte at node `at`; true when a match is reached without one. */
bool nfa_reach(struct nfa *a, uint16_t at, bool line_start);
/* Lists what waits after the byte for those of the nodes that accept it. */
bool nfa_step(struct nfa *a, const uint16_t *v, size_t n, unsigned char byte);
/* What has been listed, in ascending order, each once; valid until the next one is taken. */
struct nodes nfa_take(struct nfa *a);
struct nodes nodes_dup(struct arena *arena, struct nodes x);

#endif
