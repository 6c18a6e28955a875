/* Hashcash, a plugin of SpamAssassin 3: bits of the stamp on a message, and stamps that were spent
 * before. What is known was found out before the rules run (auth/hashcash.h); for whom stamps may
 * be is hashcash.accept in gatehouse.yaml, not hashcash_accept in rule files. */
#include "rules/eval.h"

static struct span fact(const struct rules_ctx *c, const char *name)
{
    const struct facts *f = &c->m->facts;
    for (size_t i = 0; i < f->nfacts; i++)
        if (strcmp(f->facts[i].name, name) == 0)
            return f->facts[i].value;
    return SPAN_NONE;
}

/* From the first number on, below the second. Without a good stamp the value is 0. */
static double check_hashcash_value(struct rules_ctx *c, const struct eval_call *call)
{
    uint64_t bits = 0;
    struct span text = fact(c, "hashcash.bits");
    if (text.p && !span_u64(text, &bits))
        bits = 0;
    return (double)bits >= eval_number(call, 0, 0) && (double)bits < eval_number(call, 1, 0);
}

static double check_hashcash_double_spend(struct rules_ctx *c, const struct eval_call *call)
{
    (void)call;
    return fact(c, "hashcash.spent").p != NULL;
}

const struct eval_fn_def eval_hashcash[] = {
    {"check_hashcash_value", "Hashcash", check_hashcash_value, .types = EVAL_HEAD},
    {"check_hashcash_double_spend", "Hashcash", check_hashcash_double_spend, .types = EVAL_HEAD},
    {NULL},
};
