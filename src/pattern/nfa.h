/* A pattern as nodes that wait for bytes: what automata move over. What looks around or refers back
 * counts as always true, long repetitions as endless. Room-private. */
#ifndef GATEHOUSE_PATTERN_NFA_H
#define GATEHOUSE_PATTERN_NFA_H

#include "pattern/byteset.h"

enum {
    NFA_NODES = 60000, /* of a pattern, repeated parts written out */
    NFA_WORDS = NFA_NODES / 64 / 64 + 1
};

/* NODE_HUB: where so many alternatives begin that they are listed as one node. */
enum node_kind { NODE_SET, NODE_SPLIT, NODE_BOL, NODE_MATCH, NODE_HUB };

struct node {
    uint8_t kind;
    uint16_t set;     /* number */
    uint16_t to, or ; /* or: of NODE_SPLIT, or the number of a hub */
};

/* In ascending order. */
struct nodes {
    uint16_t *v;
    size_t n;
};

struct hub {
    struct nodes at; /* what waits there */
    struct byteset bytes;
    bool ends;     /* a match may end there */
    bool unusable; /* what waits there depends on the start of a line */
};

struct nfa {
    struct arena *arena;
    struct byteset_table sets;
    struct node *nodes;
    size_t n, cap;
    uint16_t entry;
    uint16_t *end_of; /* by set: behind its nodes, which follow each other */
    struct hub *hubs;
    size_t nhubs, hubs_cap;
    bool whole;            /* hubs are gone through, not listed */
    bool saw_bol;          /* nfa_reach has met a NODE_BOL */
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
/* Lists what waits after the byte for those of the nodes that accept it. true: as above. */
bool nfa_step(struct nfa *a, const uint16_t *v, size_t n, unsigned char byte);
/* What has been listed; valid until the next one is taken. */
struct nodes nfa_take(struct nfa *a);
/* What one of them waits for. */
struct byteset nfa_bytes(const struct nfa *a, struct nodes x);
struct nodes nodes_dup(struct arena *arena, struct nodes x);

#endif
