/* What a filter looks for: literals and runs, and which groups of which patterns they belong to.
 * Room-private, for the time a filter is built. */
#ifndef GATEHOUSE_RULES_FEATURES_H
#define GATEHOUSE_RULES_FEATURES_H

#include "rules/prefilter_private.h"

#include "base/map.h"

/* Expected times in a kilobyte above which a group tells nothing. */
#define FEATURES_USELESS 30.0

struct feature {
    struct span text; /* a literal */
    bool caseless;
    struct run run; /* or a run */
    struct use {
        struct user user;
        struct extent back; /* from its end to the beginning of the match */
    } * users;
    size_t nusers, cap;
};

struct features {
    struct feature *v;
    size_t n, cap;
    struct map index; /* key -> number + 1 */
};

struct builder {
    struct arena *a;    /* scratch */
    struct arena *work; /* scratch for one pattern */
    struct byteset_table sets;
    struct features literals, runs;
    struct map choices; /* run -> struct choice */
};

void features_init(struct builder *b);
void features_free(struct builder *b);
/* How often a group's features occur in a kilobyte. */
double features_cost(struct builder *b, const struct runs *group);
/* Adds the useful groups of a pattern; the bits of them, 0 when there is none. */
uint32_t features_add(struct builder *b, const struct need *need, uint32_t pattern);

#endif
