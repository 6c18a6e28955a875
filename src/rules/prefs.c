/* Making a ruleset under preferences out of the one without. */
#include "rules/prefs_private.h"

#include <stdlib.h>

#include "rules/conf_private.h"
#include "rules/shortcircuit.h"

/* --- which functions have to be asked again --- */

static bool plugin_is(const struct eval_fn_def *f, const char *name)
{
    return f->plugin && strcmp(f->plugin, name) == 0;
}

static bool reads_lists(const struct eval_fn_def *f)
{
    return plugin_is(f, "WLBLEval") || plugin_is(f, "WelcomeListSubject") ||
           plugin_is(f, "VBounce") || plugin_is(f, "FromNameSpoof") ||
           strstr(f->name, "welcomelist");
}

static bool depends(const struct eval_fn_def *f, unsigned touched)
{
    return ((touched & TOUCH_LISTS) && reads_lists(f)) ||
           ((touched & TOUCH_LOCALES) &&
            (strstr(f->name, "faraway") || strcmp(f->name, "check_for_mime") == 0)) ||
           ((touched & TOUCH_LANGUAGES) && plugin_is(f, "TextCat"));
}

/* FreeMail looks into welcomelist_auth only when told to, and edits the body that others read. */
static bool reads_anew(const struct conf *c)
{
    bool freemail = c->freemail.import_welcome_auth || c->freemail.import_def_welcome_auth;
    return (c->touched & TOUCH_ALL) || ((c->touched & TOUCH_LISTS) && freemail);
}

/* --- rules --- */

static void drop(struct rules_prefs *p, const struct rule *r)
{
    *ARENA_PUSH(p->arena, p->drop, p->ndrop, p->drop_cap) = r->index;
}

static void add_lone(struct rules_prefs *p, struct rule *r)
{
    struct lone_rule l = {.rule = r};
    if (r->def->header.p) {
        l.subject = ARENA_NEW(p->arena, struct subject);
        l.subject->kind = r->def->kind == RULE_HEADER ? SUBJECT_HEADER : SUBJECT_MIMEHEADER;
        if (!ruleset_lone_subject(&p->set, l.subject, r))
            return;
    }
    *ARENA_PUSH(p->arena, p->lone, p->nlone, p->lone_cap) = l;
}

static bool same_definition(const struct rule_def *a, const struct rule_def *b)
{
    return a->kind == b->kind && a->at.file == b->at.file && a->at.line == b->at.line &&
           a->tflags == b->tflags && a->maxhits == b->maxhits && a->range_from == b->range_from &&
           a->range_to == b->range_to;
}

/* One rule that preferences speak about. Returns whether metas may see the difference. */
static bool change_rule(struct rules_prefs *p, const struct rule_def *def)
{
    struct ruleset *set = &p->set;
    struct rule *r = &set->rules[def->index];
    bool known = def->index < p->base->nrules;
    enum rule_state was = known ? r->state : RULE_UNDEFINED;
    bool same = known && same_definition(def, r->def);
    double score = def->score[set->score_set];
    bool fixed = was != RULE_RUNS && was != RULE_ZERO && !(set->learned && was == RULE_LEARNING);
    if (same && ((was == RULE_RUNS) == (score != 0) || fixed)) {
        r->def = def;
        r->score = score;
        return false;
    }
    if (was == RULE_RUNS)
        drop(p, r);
    *r = (struct rule){.def = def, .index = def->index, .rank = r->rank};
    ruleset_make_rule(set, r);
    return true;
}

static void maybe_lone(struct rules_prefs *p, const struct rule_def *def)
{
    struct rule *r = &p->set.rules[def->index];
    bool ran = def->index < p->base->nrules && p->base->rules[def->index].state == RULE_RUNS &&
               same_definition(def, p->base->rules[def->index].def);
    if (r->state == RULE_RUNS && !ran && def->kind != RULE_META)
        add_lone(p, r);
}

/* While Bayes runs every rule may have another score; else those that preferences speak about. */
static void lone_rules(struct rules_prefs *p, const struct map *changed)
{
    if (p->set.learned)
        for (size_t i = 0; i < p->set.nrules; i++)
            maybe_lone(p, p->set.rules[i].def);
    else
        for (size_t i = 0; i < changed->n; i++)
            maybe_lone(p, changed->entries[i].value);
}

/* Metas that name a rule which only the preferences define were compiled without it. */
static void forget_metas_over_new_rules(struct rules_prefs *p)
{
    for (size_t i = 0; i < p->base->nrules; i++) {
        struct rule *r = &p->set.rules[i];
        for (size_t k = 0; r->meta && k < r->meta->nnames; k++) {
            const struct rule_def *d = conf_rule(p->set.conf, r->meta->names[k]);
            if (d && d->index >= p->base->nrules) {
                r->meta = NULL;
                break;
            }
        }
    }
}

static void remake_metas(struct rules_prefs *p)
{
    struct ruleset *set = &p->set;
    set->metas = NULL;
    set->nmetas = set->metas_cap = 0;
    for (size_t i = 0; i < set->nrules; i++) {
        struct rule *r = &set->rules[i];
        const struct rule_def *d = r->def;
        r->dependants = NULL;
        r->ndependants = r->dependants_cap = 0;
        r->priority = d->priority ? d->priority : d->tflags & TFLAG_NET ? -100 : 0;
        r->base = 0;
        if (d->kind == RULE_META && r->state == RULE_BLOCKED)
            r->state = RULE_RUNS;
    }
    if (set->nrules > p->base->nrules)
        forget_metas_over_new_rules(p);
    size_t problems = set->nproblems;
    ruleset_compile_metas(set);
    if (!set->conf->user_rules) /* a meta that a score of 0 blocks is no mistake in a file */
        set->nproblems = problems;
    ruleset_set_turns(set);
}

static void point_to_own_metas(struct rules_prefs *p)
{
    struct ruleset *set = &p->set;
    struct rule **metas = arena_array(p->arena, set->nmetas + 1, sizeof *metas);
    for (size_t i = 0; i < set->nmetas; i++)
        metas[i] = &set->rules[set->metas[i]->index];
    set->metas = metas;
}

static void change_rules(struct rules_prefs *p)
{
    struct ruleset *set = &p->set;
    const struct map *changed = &set->conf->by_name;
    bool differs = false;
    set->nrules = set->conf->nrules;
    struct rule *rules = arena_array(p->arena, set->nrules + 1, sizeof *rules);
    memcpy(rules, p->base->rules, p->base->nrules * sizeof *rules);
    set->rules = rules;
    for (size_t i = 0; set->learned && i < p->base->nrules; i++)
        if (!map_get(changed, span_str(rules[i].def->name)) || set->conf == p->base->conf)
            differs |= change_rule(p, rules[i].def);
    for (size_t i = 0; set->conf != p->base->conf && i < changed->n; i++)
        differs |= change_rule(p, changed->entries[i].value);
    if (set->nrules > p->base->nrules)
        ruleset_rank_names(set);
    if (differs)
        remake_metas(p);
    else
        point_to_own_metas(p);
    lone_rules(p, changed);
    shortcircuit_prepare(set);
}

/* --- functions --- */

/* The call with what `prepare` makes of it under these preferences. */
static struct rule *again(struct rules_prefs *p, const struct rule *r)
{
    struct rule *copy = ARENA_NEW(p->arena, struct rule);
    *copy = p->set.rules[r->index];
    if (copy->state != RULE_RUNS || !copy->call || plugin_is(copy->call->def, "Phishing"))
        return copy; /* its feeds are large, and only the administrator names them */
    struct eval_call *call = ARENA_NEW(p->arena, struct eval_call);
    struct err e;
    *call = *copy->call;
    call->prepared = NULL;
    if (call->def->prepare && call->def->prepare(p->arena, p->set.conf, call, &e) != 0)
        copy->state = RULE_BAD_ARGS;
    copy->call = call;
    return copy;
}

static bool is_lone(const struct rules_prefs *p, uint32_t index)
{
    for (size_t i = 0; i < p->nlone; i++)
        if (p->lone[i].rule->index == index)
            return true;
    return false;
}

/* The functions that answer differently now; all of them when the message is read anew. */
static void repeat_evals(struct rules_prefs *p)
{
    struct ruleset *set = &p->set;
    const struct ruleset *base = p->base;
    if (p->anew) {
        set->evals = NULL;
        set->nevals = set->evals_cap = 0;
    }
    for (size_t i = 0; i < base->nevals; i++) {
        const struct rule *r = base->evals[i];
        bool runs = set->rules[r->index].state == RULE_RUNS && !is_lone(p, r->index);
        if (p->anew) {
            struct rule *copy = again(p, r);
            if (runs && copy->state == RULE_RUNS)
                *ARENA_PUSH(p->arena, set->evals, set->nevals, set->evals_cap) = copy;
        } else if (runs && r->call && depends(r->call->def, set->conf->touched)) {
            struct rule *copy = again(p, r);
            drop(p, r);
            if (copy->state == RULE_RUNS)
                add_lone(p, copy);
        }
    }
    if (p->anew)
        ruleset_place_evals(set);
}

/* --- all --- */

static void read_texts(struct conf *c, const struct prefs_text *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        conf_text(c, v[i].name, v[i].text);
    conf_finish_over(c);
}

static void take_problems(struct rules_prefs *p)
{
    const struct conf *c = p->set.conf;
    for (size_t i = 0; i < c->nproblems; i++)
        ruleset_problem(&p->set, c->problems[i].at, "%s", c->problems[i].text);
}

/* What follows from conf, which may be that of the base itself. */
static struct rules_prefs *make(const struct ruleset *rs, struct arena *a, struct conf *c,
                                bool learned)
{
    struct rules_prefs *p = ARENA_NEW(a, struct rules_prefs);
    p->arena = a;
    p->base = rs;
    p->set = *rs;
    p->set.arena = a;
    p->set.conf = c;
    p->set.check = false;
    p->set.required = c->required_score;
    p->set.text_limits = ruleset_text_limits(c);
    p->set.problems = NULL;
    p->set.nproblems = p->set.problems_cap = 0;
    p->set.learned = learned;
    p->set.score_set |= learned ? 2 : 0;
    p->twin = ARENA_NEW(a, struct rules_prefs *);
    p->anew = c != rs->conf && reads_anew(c);
    take_problems(p);
    if (learned || c->own_rules)
        change_rules(p);
    if (c != rs->conf && (c->touched & (TOUCH_LISTS | TOUCH_LOCALES | TOUCH_LANGUAGES | TOUCH_ALL)))
        repeat_evals(p);
    return p;
}

struct rules_prefs *rules_prefs_new(const struct ruleset *rs, const struct prefs_text *v, size_t n,
                                    bool user_rules)
{
    struct arena *a = arena_new(0);
    struct conf *c = conf_over(a, rs->conf);
    c->user_rules = user_rules || conf_bool(rs->conf, "allow_user_rules", false);
    read_texts(c, v, n);
    return make(rs, a, c, false);
}

struct rules_prefs *rules_learned_new(const struct ruleset *rs)
{
    return make(rs, arena_new(0), rs->conf, true);
}

const struct rules_prefs *rules_prefs_learned(const struct rules_prefs *p)
{
    if (!*p->twin)
        *p->twin = make(p->base, p->arena, p->set.conf, true);
    return *p->twin;
}

void rules_prefs_free(struct rules_prefs *p)
{
    if (p)
        arena_free(p->arena);
}

size_t rules_prefs_size(const struct rules_prefs *p)
{
    return arena_used(p->arena);
}

const struct rule_problem *rules_prefs_problems(const struct rules_prefs *p, size_t *n)
{
    *n = p->set.nproblems;
    return p->set.problems;
}
