/* A regular expression as a tree, as far as it matters for what a match must hold. Everything that
 * is not understood is TREE_ANY. */
#ifndef GATEHOUSE_PATTERN_TREE_H
#define GATEHOUSE_PATTERN_TREE_H

#include "pattern/byteset.h"

enum tree_kind {
    TREE_EMPTY, /* matches nothing wide: \b, $, lookbehind, negative lookahead, flags; see `test` */
    TREE_BOL,   /* ^: start of the string, or of a line; see `test` */
    TREE_SET,   /* one byte of a set */
    TREE_SEQ,   /* children one after the other */
    TREE_ALT,   /* one of the children */
    TREE_REPEAT, /* the child, min to max times */
    TREE_AHEAD,  /* the child must match here, without being consumed */
    TREE_ANY     /* unknown: any string; see `of` */
};

/* Groups with higher numbers are not told of. */
enum { TREE_CAPTURES = 9 };

/* What must be so where a TREE_EMPTY or TREE_BOL stands. */
enum tree_test {
    TEST_NONE,
    TEST_START,      /* \A, ^ */
    TEST_LINE_START, /* ^ with /m; LF at the end of the string begins no line for PCRE2 */
    TEST_LAST_LINE,  /* $, \Z: the end, or in front of the LF there */
    TEST_LINE_END,   /* $ with /m */
    TEST_END,        /* \z */
    TEST_EDGE,       /* \b */
    TEST_NO_EDGE,    /* \B */
    TEST_NOT_AHEAD,  /* `look` does not match from here */
    TEST_BEHIND,     /* it matches up to here */
    TEST_NOT_BEHIND,
    TEST_BEGIN /* \G: where the search began */
};

struct tree {
    enum tree_kind kind;
    enum tree_test test;
    bool loose; /* matches less than is told: atomic, possessive */
    struct tree *look;
    uint16_t set;      /* number in the table */
    unsigned min, max; /* max UINT32_MAX: no bound; TREE_ANY: min bytes at least */
    /* The number of a group that a reference names; 0 for all others, and for those whose text is
     * not known for sure behind them: repeated ones and those in conditions. */
    uint8_t capture;
    bool refers;           /* such a group has references inside */
    bool folded;           /* a reference: whatever the case */
    const struct tree *of; /* TREE_ANY: the same text as that group's, if it has a number */
    struct tree *child, *last, *next;
};

/* pattern: as pattern_pcre gives it. NULL when nothing can be said about it as a whole. */
struct tree *tree_parse(struct byteset_table *sets, struct arena *a, struct span pattern);

/* variants.c: trees of which one at least matches whatever t does, and which match nothing else; at
 * most `max`. They share what they have in common. */
size_t tree_variants(struct arena *a, const struct tree *t, const struct tree **out, size_t max);

/* within.c: what matches what t does in texts that hold only bytes of the alphabet, and nowhere
 * these two one after the other; NULL: t has no match there. */
struct tree *tree_within(struct byteset_table *sets, struct arena *a, const struct tree *t,
                         const struct byteset *alphabet, const char pair[2]);

/* Whether it matches the text of the group t->of and nothing else. */
static inline bool tree_is_reference(const struct tree *t)
{
    return t->kind == TREE_ANY && t->of && t->of->capture;
}

/* Bytes that a match has at least; no more than TREE_SHORTEST_MAX are told. */
enum { TREE_SHORTEST_MAX = 1000 };
unsigned tree_shortest(const struct tree *t);

#endif
