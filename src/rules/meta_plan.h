/* Which metas a message makes it worth to compute. Room-private.
 *
 * A meta that is 0 when nothing hits can only become something else when certain rules hit: for
 * "A && (B || C) && !D" A must, and one of B and C. These conditions (sets of rules of which one
 * must hit, all sets of a meta) are worked out once; while a message is judged each hit ticks off
 * the sets it stands in, and a meta is computed when none of its sets is open. What the expression
 * tells nothing about, and metas that are not 0 when nothing hits, wait for any change of what they
 * name. */
#ifndef GATEHOUSE_RULES_META_PLAN_H
#define GATEHOUSE_RULES_META_PLAN_H

#include "rules/meta.h"

struct ruleset;

struct meta_edge {
    uint32_t set, meta; /* meta: position in the order of evaluation */
};

/* What a message needs of a meta, all of them close together: computing takes less time than
 * fetching what it needs. */
struct meta_code {
    const struct meta_op *ops;
    const double *numbers;
    uint32_t nops, rule;
    double base;
};

struct meta_plan {
    struct meta_code *code; /* by meta */
    size_t nmetas, nsets;
    uint32_t *first;         /* by rule, one more at the end: its edges */
    struct meta_edge *edges; /* of all rules */
    uint8_t *open;           /* by meta: how many sets it has; 0: it is never computed */
    uint64_t *always;        /* by meta: not 0 when nothing hits */
};

/* Made from rs->metas and their base values. */
struct meta_plan *meta_plan_new(struct arena *a, const struct ruleset *rs);

/* One message. */
struct meta_run {
    struct meta_run *next; /* of another plan */
    const struct meta_plan *plan;
    uint8_t *open;    /* by meta: sets still open */
    uint64_t *ticked; /* by set */
    uint64_t *due;    /* by meta: to be looked at */
};
struct meta_run *meta_run_new(struct arena *a, const struct meta_plan *p);
void meta_run_begin(struct meta_run *r);
/* The rule will be told of in a moment: what that needs is fetched. */
void meta_run_expect(const struct meta_run *r, uint32_t index);
/* The value of a rule is another one than when nothing has hit. */
void meta_run_changed(struct meta_run *r, uint32_t index);
/* The first meta from `from` on that is due; SIZE_MAX: none. *compute: what it names has changed,
 * otherwise it has its base value. */
size_t meta_run_next(const struct meta_run *r, size_t from, bool *compute);

#endif
