/* Shortcircuit: a rule that settles the case ends the judgement.
 *
 * SpamAssassin runs its rules by priority, and within one priority kind by kind; when a rule hits
 * that the settings name, the kind it belongs to is still finished, everything later does not run.
 * Here rules run in another order, so all of them run, and the hits that SpamAssassin would not
 * have come to are taken back. Within one kind and priority SpamAssassin's order is a hash table's;
 * here it is the order of hits. */
#include "rules/shortcircuit.h"

#include <math.h>
#include <stdlib.h>

#include "rules/plugin.h"

enum { STAGE_META = 9, STAGES = 16 };

/* Order of the kinds within a priority. */
static int kind_order(enum rule_kind kind)
{
    static const int order[] = {
        [RULE_HEADER] = 0,        [RULE_HEADER_EVAL] = 1,   [RULE_DNS_EVAL] = 1,
        [RULE_BODY] = 2,          [RULE_URI] = 3,           [RULE_BODY_EVAL] = 4,
        [RULE_URI_DETAIL] = 4,    [RULE_MIMEHEADER] = 4,    [RULE_RAWBODY] = 5,
        [RULE_RAWBODY_EVAL] = 6,  [RULE_FULL] = 7,          [RULE_FULL_EVAL] = 8,
        [RULE_META] = STAGE_META, [RULE_EMPTY] = STAGE_META};
    return order[kind];
}

struct replay {
    struct rules_ctx *c;
    int64_t *stage; /* by rule; INT64_MIN: not known yet */
};

static int64_t plain_stage(const struct rule *r)
{
    return (int64_t)r->priority * STAGES + kind_order(r->def->kind);
}

/* A meta is looked at at the end of the priority in which the last of its rules ran; one with a
 * rule that never runs waits for the very end. The circle of metas is cut at load. */
static int64_t stage_of(struct replay *p, const struct rule *r)
{
    int64_t *slot = &p->stage[r->index];
    if (*slot != INT64_MIN)
        return *slot;
    *slot = plain_stage(r);
    if (!r->meta)
        return *slot;
    int64_t last = INT64_MIN;
    for (size_t i = 0; i < r->meta->nops; i++) {
        if (r->meta->ops[i].code != META_RULE)
            continue;
        const struct rule *dep = &p->c->set->rules[r->meta->ops[i].index];
        int64_t at = dep->state == RULE_RUNS        ? stage_of(p, dep)
                     : dep->state == RULE_UNDEFINED ? INT64_MIN
                                                    : INT64_MAX;
        last = at > last ? at : last;
    }
    if (last == INT64_MAX)
        *slot = last;
    else if (last != INT64_MIN)
        *slot = last - ((last % STAGES) + STAGES) % STAGES + STAGE_META;
    return *slot;
}

struct staged {
    struct hit hit;
    int64_t stage;
    size_t at;
};

static int by_stage(const void *x, const void *y)
{
    const struct staged *a = x, *b = y;
    if (a->stage != b->stage)
        return a->stage < b->stage ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* What ended it. */
struct ending {
    const struct rule *rule; /* NULL: the sum of points */
    const char *type;        /* NULL: nothing ended it */
    double score;            /* of SHORTCIRCUIT */
    int64_t stage;
};

static double points(const struct rules_scratch *s, const struct rule *r)
{
    return r->sub ? 0 : r->score * s->count[r->index];
}

static struct ending by_rule(const struct shortcircuit *s, const struct rule *r, int64_t stage)
{
    struct ending e = {.rule = r, .stage = stage};
    switch ((enum shortcircuit_type)r->def->shortcircuit) {
    case SHORTCIRCUIT_ON:
        e.type = r->score < 0 ? "ham" : "spam";
        e.score = r->score < 0 ? -0.0001 : 0.0001;
        break;
    case SHORTCIRCUIT_HAM:
        e.type = "ham";
        e.score = s->ham_score;
        break;
    case SHORTCIRCUIT_SPAM:
        e.type = "spam";
        e.score = s->spam_score;
        break;
    case SHORTCIRCUIT_NO:
        break;
    }
    return e;
}

/* The first hit that ends it; the sum is that of the hits before. */
static struct ending find_ending(const struct shortcircuit *s, const struct rules_scratch *scratch,
                                 const struct staged *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const struct rule *r = v[i].hit.rule;
        struct ending e = by_rule(s, r, v[i].stage);
        if (sum < s->min_ham_score || sum > s->max_spam_score) {
            const char *type = sum < 0 ? "ham" : "spam";
            struct ending by_sum = {e.type ? r : NULL, type, sum < 0 ? -0.001 : 0.001, v[i].stage};
            return by_sum;
        }
        if (e.type)
            return e;
        sum += points(scratch, r);
    }
    return (struct ending){0};
}

static void set_tags(struct rules_ctx *c, const struct ending *e)
{
    struct span name = span_str(e->rule ? e->rule->def->name : NULL);
    plugin_tag(c, "SC",
               name.p ? arena_printf(c->a, "%.*s (%s)", SPAN_ARG(name), e->type) : SPAN("no"));
    plugin_tag(c, "SCRULE", name.p ? name : SPAN("none"));
    plugin_tag(c, "SCTYPE", e->type ? span_str(e->type) : SPAN("no"));
}

static bool may_end(const struct shortcircuit *s, const struct rules_scratch *scratch)
{
    if (!isinf(s->min_ham_score) || !isinf(s->max_spam_score))
        return true;
    for (size_t i = 0; s->mentioned && i < scratch->nhits; i++)
        if (scratch->hits[i].rule->def->shortcircuit)
            return true;
    return false;
}

static struct staged *order_hits(struct rules_ctx *c)
{
    const struct rules_scratch *s = c->scratch;
    struct replay p = {.c = c};
    p.stage = arena_array(c->a, c->set->nrules, sizeof *p.stage);
    for (size_t i = 0; i < c->set->nrules; i++)
        p.stage[i] = INT64_MIN;
    struct staged *v = arena_array(c->a, s->nhits + 1, sizeof *v);
    for (size_t i = 0; i < s->nhits; i++)
        v[i] = (struct staged){s->hits[i], stage_of(&p, s->hits[i].rule), i};
    qsort(v, s->nhits, sizeof *v, by_stage);
    return v;
}

void shortcircuit_prepare(struct ruleset *rs)
{
    const struct conf *c = rs->conf;
    struct shortcircuit *s = &rs->shortcircuit;
    struct span rule = SPAN("SHORTCIRCUIT");
    s->active = conf_plugin(c, "Shortcircuit");
    s->spam_score = conf_number(c, "shortcircuit_spam_score", 100);
    s->ham_score = conf_number(c, "shortcircuit_ham_score", -100);
    s->min_ham_score = conf_number(c, "shortcircuit_min_ham_score", -INFINITY);
    s->max_spam_score = conf_number(c, "shortcircuit_max_spam_score", INFINITY);
    s->mentioned = false;
    for (size_t i = 0; s->active && i < rs->nrules; i++) {
        if (span_eq(span_str(rs->rules[i].def->name), rule))
            s->rule = &rs->rules[i];
        s->mentioned |= rs->rules[i].def->shortcircuit != 0;
    }
}

void shortcircuit_run(struct rules_ctx *c)
{
    const struct shortcircuit *s = &c->set->shortcircuit;
    struct rules_scratch *scratch = c->scratch;
    struct ending e = {0};
    scratch->shortcircuit_score = 0;
    if (!s->active)
        return;
    if (may_end(s, scratch)) {
        const struct staged *v = order_hits(c);
        size_t n = scratch->nhits, kept = 0;
        e = find_ending(s, scratch, v, n);
        for (size_t i = 0; e.type && i < n; i++)
            if (v[i].stage <= e.stage)
                scratch->hits[kept++] = v[i].hit;
        scratch->nhits = e.type ? kept : n;
    }
    set_tags(c, &e);
    if (e.type && e.score != 0 && s->rule) {
        scratch->shortcircuit_score = e.score;
        hit_add(c, s->rule, 1, SPAN_NONE);
    }
}

/* Named by SpamAssassin's own definition of SHORTCIRCUIT; never hits by itself. */
static double check_shortcircuit(struct rules_ctx *c, const struct eval_call *call)
{
    (void)c, (void)call;
    return 0;
}

const struct eval_fn_def eval_shortcircuit[] = {
    {"check_shortcircuit", "Shortcircuit", check_shortcircuit},
    {NULL},
};
