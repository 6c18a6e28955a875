/* Eval functions in the order in which they run, close together in memory: each is called for every
 * message, after patterns have taken the caches. */
#include "rules/ruleset_private.h"

/* The call with its arguments and their text behind it. */
static struct eval_call *packed(struct arena *a, const struct eval_call *call)
{
    struct eval_call *out = arena_raw(a, sizeof *out);
    *out = *call;
    if (call->nargs == 0)
        return out;
    struct span *args = arena_raw(a, call->nargs * sizeof *args);
    for (size_t i = 0; i < call->nargs; i++)
        args[i] = arena_dup(a, call->args[i]);
    out->args = args;
    if (call->numbers) {
        double *numbers = arena_raw(a, call->nargs * sizeof *numbers);
        memcpy(numbers, call->numbers, call->nargs * sizeof *numbers);
        out->numbers = numbers;
    }
    return out;
}

void ruleset_place_evals(struct ruleset *rs)
{
    rs->eval_runs = arena_array(rs->arena, rs->nevals + 1, sizeof *rs->eval_runs);
    for (size_t i = 0; i < rs->nevals; i++) {
        struct rule *r = rs->evals[i];
        if (r->call)
            r->call = packed(rs->arena, r->call);
        rs->eval_runs[i] = (struct eval_run){.rule = r, .index = r->index, .call = r->call};
        if (r->call) {
            rs->eval_runs[i].fn = r->call->def->fn;
            rs->eval_runs[i].html = r->call->def->html;
        }
    }
}
