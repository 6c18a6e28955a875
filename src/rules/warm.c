/* Patterns are translated at their first use, which spares those who judge one message most of the
 * work. Those who fork scanners do it before, once for all of them. */
#include "rules/ruleset_private.h"

#include <stdatomic.h>

#include "base/parallel.h"

struct job {
    const struct ruleset *rs;
    _Atomic size_t next;
};

/* Broken patterns have been told of, or will be when they are used. Automata are left to that: they
 * would cost the start a fifth. */
static void translate(const struct regex *r)
{
    struct err ignored;
    if (r)
        (void)regex_check(r, &ignored);
}

static void work(void *ctx)
{
    struct job *j = ctx;
    size_t i;
    while ((i = atomic_fetch_add(&j->next, 1)) < j->rs->nrules) {
        const struct rule *r = &j->rs->rules[i];
        if (r->state != RULE_RUNS)
            continue;
        translate(r->regex);
        for (size_t k = 0; r->details && k < r->def->ndetails; k++)
            translate(r->details[k]);
    }
}

void ruleset_warm(const struct ruleset *rs)
{
    struct job j = {.rs = rs};
    parallel(0, work, &j);
}
