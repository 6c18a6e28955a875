/* Functions that need learned data (semantics 8.7). They are named here so that coverage can tell
 * them from unknown ones; without their data none of them hits, as in SpamAssassin. */
#include "rules/eval.h"

static double no_data(struct rules_ctx *c, const struct eval_call *call)
{
    (void)c;
    (void)call;
    return 0;
}

#define LEARN(name)                                                                                \
    {                                                                                              \
        name, "Bayes", no_data, .types = EVAL_BODIES, .learn = true                                \
    }

const struct eval_fn_def eval_net[] = {
    LEARN("check_bayes"),
    {NULL},
};
