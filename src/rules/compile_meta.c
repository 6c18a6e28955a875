/* Metas: which order, what they are worth when nothing hits, and which can never hit
 * (semantics 2.6, 7.4). */
#include "rules/report_private.h"
#include "rules/ruleset_private.h"

#include <stdlib.h>

enum { VISITING = 1, DONE = 2 };

struct sorter {
    struct ruleset *rs;
    uint8_t *mark; /* by rule */
};

static struct rule *by_name(struct sorter *s, struct span name)
{
    const struct rule_def *d = conf_rule(s->rs->conf, name);
    return d ? &s->rs->rules[d->index] : NULL;
}

/* Compiles the expression and turns its names into rule indices. Names nobody mentioned are 0. */
static bool compile(struct sorter *s, struct rule *r)
{
    struct ruleset *rs = s->rs;
    struct err e;
    r->meta = ARENA_NEW(rs->arena, struct meta);
    if (meta_compile(rs->arena, r->def->expr, rs->local_only, r->meta, &e) != 0) {
        ruleset_problem(rs, r->def->at, "rule %s: %s; the rule does not run", r->def->name, e.text);
        r->state = RULE_BAD_ARGS;
        r->meta = NULL;
        return false;
    }
    struct rule_def *own = r->index < rs->conf->nrules ? rs->conf->rules[r->index] : NULL;
    if (own == r->def) {
        autolearn_sides(rs->conf, r->meta, &own->heads, &own->bodies);
        own->sides_known = true;
    }
    for (size_t i = 0; i < r->meta->nops; i++) {
        struct meta_op *op = &r->meta->ops[i];
        if (op->code != META_RULE)
            continue;
        const struct rule *dep = by_name(s, r->meta->names[op->index]);
        if (dep)
            op->index = dep->index;
        else
            *op = (struct meta_op){META_NUMBER, 0};
    }
    return true;
}

static void block(struct sorter *s, struct rule *r, const char *why, struct span name)
{
    r->state = RULE_BLOCKED;
    ruleset_problem(s->rs, r->def->at, "rule %s never hits: %s %.*s", r->def->name, why,
                    SPAN_ARG(name));
}

/* Dependencies first. A chain is as deep as the rule files make it, so the depth is bounded. */
static void visit(struct sorter *s, struct rule *r, unsigned depth)
{
    s->mark[r->index] = VISITING;
    for (size_t i = 0; r->meta && i < r->meta->nnames && r->state == RULE_RUNS; i++) {
        struct rule *dep = by_name(s, r->meta->names[i]);
        if (!dep || dep->def->kind != RULE_META)
            continue;
        if (s->mark[dep->index] == VISITING || depth > META_STACK) {
            block(s, r, "it depends on itself through", r->meta->names[i]);
        } else {
            if (!s->mark[dep->index])
                visit(s, dep, depth + 1);
            if (dep->state != RULE_RUNS && r->state == RULE_RUNS)
                block(s, r, "it depends on a meta that is not evaluated,", r->meta->names[i]);
        }
    }
    s->mark[r->index] = DONE;
    if (r->state != RULE_RUNS || !r->meta)
        return;
    struct ruleset *rs = s->rs;
    *ARENA_PUSH(rs->arena, rs->metas, rs->nmetas, rs->metas_cap) = r;
}

static void note_dependants(struct sorter *s, struct rule *r, uint32_t position)
{
    for (size_t i = 0; i < r->meta->nnames; i++) {
        struct rule *dep = by_name(s, r->meta->names[i]);
        if (dep)
            *ARENA_PUSH(s->rs->arena, dep->dependants, dep->ndependants, dep->dependants_cap) =
                position;
    }
}

static double base_value(void *ctx, uint32_t index)
{
    const struct ruleset *rs = ctx;
    return rs->rules[index].base;
}

/* A dependency must not run later than the meta that needs it; SpamAssassin lowers its priority. */
static void fix_priority(struct sorter *s, const struct rule *r)
{
    for (size_t i = 0; i < r->meta->nnames; i++) {
        struct rule *dep = by_name(s, r->meta->names[i]);
        if (!dep || dep->priority <= r->priority)
            continue;
        bool net = r->priority < -100 && dep->def->tflags & TFLAG_NET;
        dep->priority = net ? -100 : r->priority;
    }
}

struct handing {
    const struct rule *meta;
    int priority; /* as the files have it */
    size_t place;
};

static int by_priority(const void *x, const void *y)
{
    const struct handing *a = x, *b = y;
    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

/* The lowest first, each by what the files say, but handing down what it has got by then. Among
 * equals SpamAssassin's order is a hash table's; here those that need others come before them, so
 * that what is handed down goes all the way. */
static void fix_priorities(struct sorter *s)
{
    struct ruleset *rs = s->rs;
    struct handing *v = arena_array(rs->arena, rs->nmetas + 1, sizeof *v);
    for (size_t i = 0; i < rs->nmetas; i++) {
        const struct rule *r = rs->metas[rs->nmetas - 1 - i];
        v[i] = (struct handing){r, r->priority, i};
    }
    if (rs->nmetas)
        qsort(v, rs->nmetas, sizeof *v, by_priority);
    for (size_t i = 0; i < rs->nmetas; i++)
        fix_priority(s, v[i].meta);
    for (size_t i = 0; i < rs->nrules; i++) /* only now: 0 is what they hand down */
        if (rs->rules[i].priority == 0 && rs->rules[i].def->tflags & TFLAG_NET)
            rs->rules[i].priority = -100;
}

void ruleset_compile_metas(struct ruleset *rs)
{
    struct sorter s = {.rs = rs};
    s.mark = arena_alloc(rs->arena, rs->nrules + 1);
    for (size_t i = 0; i < rs->nrules; i++)
        if (rs->rules[i].state == RULE_RUNS && rs->rules[i].def->kind == RULE_META &&
            !rs->rules[i].meta)
            compile(&s, &rs->rules[i]);
    for (size_t i = 0; i < rs->nrules; i++)
        if (rs->rules[i].meta && !s.mark[i])
            visit(&s, &rs->rules[i], 0);
    for (size_t i = 0; i < rs->nmetas; i++) {
        struct rule *r = rs->metas[i];
        bool division = false;
        double v = meta_eval(r->meta, base_value, rs, &division);
        r->base = v == 0 ? 0 : v > 0 ? v : 1;
        note_dependants(&s, r, (uint32_t)i);
    }
    rs->plan = meta_plan_new(rs->arena, rs);
    fix_priorities(&s);
}

/* A meta is evaluated at the end of the priority in which the last rule it needs was run; in the
 * final pass when one of them never runs. */
void ruleset_meta_turns(struct ruleset *rs)
{
    for (size_t i = 0; i < rs->nmetas; i++) {
        struct rule *r = rs->metas[i];
        int64_t last = INT64_MIN;
        for (size_t k = 0; k < r->meta->nops; k++) {
            const struct rule *dep = &rs->rules[r->meta->ops[k].index];
            if (r->meta->ops[k].code != META_RULE)
                continue;
            int64_t turn = dep->state == RULE_RUNS ? dep->turn : INT64_MAX;
            last = turn > last ? turn : last;
        }
        if (last == INT64_MIN)
            r->turn = -1000000 * (int64_t)TURNS;
        else if (last == INT64_MAX)
            r->turn = last;
        else
            r->turn =
                (last >= 0 ? last / TURNS : -((TURNS - 1 - last) / TURNS)) * TURNS + TURN_META;
    }
}
