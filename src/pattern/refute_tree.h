/* What the refuter's programs are made from: what is known of a tree. */
#ifndef GATEHOUSE_PATTERN_REFUTE_TREE_H
#define GATEHOUSE_PATTERN_REFUTE_TREE_H

#include "pattern/tree.h"

/* Copies of a repeated part that are written out: as many as must be there but no more than have
 * REFUTE_WRITTEN nodes, and few of those that may be there; all others are "any number". */
enum { REFUTE_WRITTEN = 40, REFUTE_OPTIONAL = 3 };
/* may: UINT32_MAX for any number. */
void refute_copies(const struct tree *t, unsigned *must, unsigned *may);

bool refute_overlap(const struct byteset *x, const struct byteset *y);

/* Matches one byte of a set and nothing else. */
bool refute_single(const struct byteset_table *sets, const struct tree *t, struct byteset *set);
/* Bytes that it can be made of. */
struct byteset refute_alphabet(const struct byteset_table *sets, const struct tree *t);
/* A program for it, if nothing is left out, matches what it does and nothing else. */
bool refute_exact(const struct byteset_table *sets, const struct tree *t);
/* Length of what it matches, if that is always the same. */
bool refute_fixed_length(const struct tree *t, size_t *n);

/* What can come next. */
struct next {
    struct byteset set; /* its first byte, if any */
    bool end;           /* or the string may end here */
    bool accept;        /* whatever comes, it matches */
};

struct next refute_whatever(void);
void refute_add_next(struct next *x, const struct next *y);
/* What comes first of t, or of it and all behind it, when `next` comes behind that. */
struct next refute_first_of(const struct byteset_table *sets, const struct tree *t,
                            const struct next *next);
struct next refute_first_of_list(const struct byteset_table *sets, const struct tree *list,
                                 const struct next *next);

#endif
