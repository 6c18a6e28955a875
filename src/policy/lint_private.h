/* What the files of policy_lint share. Room-private. */
#ifndef GATEHOUSE_POLICY_LINT_PRIVATE_H
#define GATEHOUSE_POLICY_LINT_PRIVATE_H

#include "policy/set_private.h"

struct lint {
    const struct settings *set;
    policy_lint_fn *tell;
    void *ctx;
    struct arena *arena;
};

/* setting: within policy i, or "" for all of it. */
void lint_tell(struct lint *l, size_t i, const char *setting, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
bool lint_listed(const struct strings *list, const char *text);

/* lint_meaning.c: conditions that contradict each other or need what never comes, actions that
 * never do anything. */
void lint_meaning(struct lint *l, size_t i, const struct policy *p);

#endif
