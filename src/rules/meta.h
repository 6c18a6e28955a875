/* Meta expressions (semantics 2.6): Perl's arithmetic over rule names, compiled to postfix code
 * with jumps for && || and ?: . The conditions of `if` lines use the same language. Room-private.
 */
#ifndef GATEHOUSE_RULES_META_H
#define GATEHOUSE_RULES_META_H

#include "base/arena.h"
#include "base/err.h"

enum meta_opcode {
    META_NUMBER, /* the one at `index` */
    META_RULE,   /* value of rule `index` */
    META_NOT,
    META_NEG,
    META_MUL,
    META_DIV,
    META_ADD,
    META_SUB,
    META_LT,
    META_GT,
    META_LE,
    META_GE,
    META_EQ,
    META_NE,
    META_XOR,
    META_JUMP,       /* to `index` */
    META_JUMP_FALSE, /* pops */
    META_AND,        /* false: keeps the value and jumps; true: pops */
    META_OR          /* true: keeps the value and jumps; false: pops */
};

struct meta_op {
    enum meta_opcode code;
    uint32_t index;
};

struct meta {
    struct meta_op *ops;
    size_t nops, ops_cap;
    double *numbers; /* the first is 0 */
    size_t nnumbers, numbers_cap;
    struct span *names; /* each once; META_RULE's index until the ruleset puts its own there */
    size_t nnames, names_cap;
    unsigned depth;   /* stack needed */
    bool placeholder; /* "()" */
};

enum { META_NESTING = 200, META_STACK = 512 };

/* local_tests_only is a number here. -1: not a valid expression, reason in e. */
int meta_compile(struct arena *a, struct span text, bool local_only, struct meta *out,
                 struct err *e);

/* value(ctx, index) gives the value of a name. *division is set when something was divided by 0. */
double meta_eval(const struct meta *m, double (*value)(void *ctx, uint32_t index), void *ctx,
                 bool *division);

/* The same of operations that stand elsewhere. */
double meta_eval_ops(const struct meta_op *ops, size_t n, const double *numbers,
                     double (*value)(void *ctx, uint32_t index), void *ctx, bool *division);

/* A legal name of a rule. */
bool rule_name_valid(struct span s);

#endif
