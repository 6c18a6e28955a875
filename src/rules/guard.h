/* Where a match can begin, by its first three bytes: lets an expensive pattern be tried only there.
 * Room-private. */
#ifndef GATEHOUSE_RULES_GUARD_H
#define GATEHOUSE_RULES_GUARD_H

#include "base/arena.h"

struct guard;

/* NULL when the beginnings of matches are too common for a guard to pay. */
struct guard *guard_new(struct arena *a, struct span pattern);
/* First place at or after `from` where a match may begin; s.n + 1 when there is none. */
size_t guard_next(const struct guard *g, struct span s, size_t from);

#endif
