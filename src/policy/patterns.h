/* Lists of patterns (config/policy.h), compiled. */
#ifndef GATEHOUSE_POLICY_PATTERNS_H
#define GATEHOUSE_POLICY_PATTERNS_H

#include "base/arena.h"
#include "config/lists.h"

struct pattern;

struct patterns {
    struct pattern *v;
    size_t n;
    bool any; /* there is one without '!' */
};

/* In the arena; compiled code goes with it. Text that is no regular expression after all (settings
 * are checked when they are read) is taken as a glob. addresses: globs are address patterns
 * (policy/address.h). */
struct patterns patterns_new(struct arena *a, struct strings list, bool addresses);

/* Whether the list matches one text. An empty list matches everything. A match that takes too many
 * steps counts against the text: it is what a plain pattern means, and not what a '!' spares. */
bool patterns_match(const struct patterns *p, struct span text);

/* Whether it matches any of n texts by itself: another one that a '!' spares does not save it. */
bool patterns_match_any(const struct patterns *p, const struct span *texts, size_t n);

/* Whether some text matches, and none of them is one that a '!' names. */
bool patterns_match_set(const struct patterns *p, const struct span *texts, size_t n);

#endif
