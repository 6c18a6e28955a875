/* Patterns are translated at their first use, which spares those who judge one message most of the
 * work. Those who fork scanners do it before, once for all of them. */
#include "rules/ruleset_private.h"

#include <stdatomic.h>

#include "base/parallel.h"

struct job {
    const struct ruleset *rs;
    bool giants;
    _Atomic size_t next;
};

/* Broken patterns have been told of, or will be when they are used. */
static void translate(const struct job *j, const struct regex *r)
{
    struct err ignored;
    if (r && j->giants)
        regex_warm(r);
    else if (r)
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
        translate(j, r->regex);
        for (size_t k = 0; r->details && k < r->def->ndetails; k++)
            translate(j, r->details[k]);
    }
}

void ruleset_warm(const struct ruleset *rs, bool giants)
{
    struct job j = {.rs = rs, .giants = giants};
    parallel(0, work, &j);
}
