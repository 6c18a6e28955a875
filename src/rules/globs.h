/* Lists of address globs, as in welcomelist_from: lower case, `*` any run, `?` any byte, anchored
 * at both ends (semantics 2.7); some with a second word. Room-private. */
#ifndef GATEHOUSE_RULES_GLOBS_H
#define GATEHOUSE_RULES_GLOBS_H

#include "base/arena.h"
#include "base/map.h"

struct glob {
    struct span pattern;
    struct span arg; /* second word, or absent */
};

/* An entry that has to be tried, where the last bytes of the address are those of the pattern: the
 * ones behind its wildcards, up to four of them. */
struct glob_try {
    uint32_t at, bytes, mask;
};

struct globs {
    struct arena *arena;
    struct glob *v; /* in file order, unique by pattern and arg */
    size_t n, cap;
    /* Index: patterns without wildcards, and "*@domain", lead to their glob at once. */
    struct map exact, at_domain;
    struct glob_try *rest;
    size_t nrest, rest_cap;
};

void globs_init(struct globs *g, struct arena *a);
void globs_add(struct globs *g, struct span pattern, struct span arg);
/* Drops every entry of that pattern (and arg, unless absent). */
void globs_remove(struct globs *g, struct span pattern, struct span arg);

/* Whether some pattern matches the address, which is given in lower case. */
bool globs_match(const struct globs *g, struct span address);
/* First entry at or after `from` that matches; g->n when there is none. For lists with arguments.
 */
size_t globs_next(const struct globs *g, struct span address, size_t from);

bool glob_match(struct span pattern, struct span s);
/* The same, but anywhere in s. */
bool glob_search(struct span pattern, struct span s);

#endif
