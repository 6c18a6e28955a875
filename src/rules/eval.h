/* Eval functions: the tests that SpamAssassin's rule files call by name (semantics section 8).
 * Room-private. One table, eval_table, in eval.c; functions grouped by plugin in eval_*.c. */
#ifndef GATEHOUSE_RULES_EVAL_H
#define GATEHOUSE_RULES_EVAL_H

#include "rules/context.h"

enum eval_type { EVAL_HEADER, EVAL_BODY, EVAL_RAWBODY, EVAL_FULL };

struct eval_fn_def;

/* One use of an eval function in a rule. args are the literals without quotes. prepared is what
 * `prepare` made of them at load (a compiled regex, numbers), in the ruleset's arena. */
struct eval_call {
    const struct eval_fn_def *def;
    const char *rule;
    enum eval_type type;
    struct span *args;
    size_t nargs;
    void *prepared;
};

struct eval_fn_def {
    const char *name;
    const char *plugin; /* Mail::SpamAssassin::Plugin::X without the prefix */
    /* The value of the hit; 0 means no hit. */
    double (*fn)(struct rules_ctx *c, const struct eval_call *call);
    /* Once per call at load; may be NULL. -1: the arguments make no sense (reason in e). */
    int (*prepare)(struct arena *a, const struct conf *conf, struct eval_call *call, struct err *e);
    bool net;   /* needs DNS or another service: not run locally, counted as such by coverage */
    bool learn; /* needs Bayes */
};

const struct eval_fn_def *eval_find(struct span name);

#endif
