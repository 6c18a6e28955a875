/* A message that has been judged, judged again under preferences. */
#include "rules/geo.h"
#include "rules/prefs_private.h"

#include "rules/bayes.h"
#include "rules/eval_state.h"
#include "rules/plugin.h"
#include "rules/report_private.h"
#include "rules/run.h"

void rules_scratch_keep(struct rules_scratch *s, bool keep)
{
    s->keep = keep;
}

/* A scratch of its own for the arena's life: counts start as the base left them before its metas,
 * and what does not depend on a message is shared. */
static struct rules_scratch *own_scratch(const struct rules_scratch *s, const struct rules_prefs *p,
                                         struct arena *a)
{
    const struct ruleset *set = &p->set;
    struct rules_scratch *o = ARENA_NEW(a, struct rules_scratch);
    size_t n = set->nrules + 1;
    *o = *s;
    o->set = set;
    o->keep = false;
    o->kept = NULL;
    o->profile = NULL;
    o->value = arena_array(a, n, sizeof *o->value);
    o->count = arena_array(a, n, sizeof *o->count);
    o->limited = arena_array(a, n, sizeof *o->limited);
    o->touched = arena_array(a, 2 * n, sizeof *o->touched);
    o->ntouched = 0;
    o->arena = a;
    o->metas = NULL;
    o->subrules = arena_array(a, n / 64 + 1, sizeof *o->subrules);
    o->hits = NULL;
    o->nhits = o->hits_cap = 0;
    o->tags = map_in(a);
    return o;
}

static bool dropped(const struct rules_prefs *p, uint32_t index)
{
    for (size_t i = 0; i < p->ndrop; i++)
        if (p->drop[i] == index)
            return true;
    return false;
}

/* The hits of the base that still count. */
static void take_hits(struct rules_scratch *o, const struct rules_scratch *s,
                      const struct kept_hits *k, const struct rules_prefs *p, struct arena *a)
{
    o->hits = arena_array(a, k->n + 1, sizeof *o->hits);
    o->hits_cap = k->n + 1;
    for (size_t i = 0; i < k->n; i++) {
        uint32_t index = k->v[i].rule->index;
        if (dropped(p, index))
            continue;
        o->hits[o->nhits++] = hit_of(&p->set.rules[index], k->v[i].evidence);
        o->count[index] = k->count[i];
        o->value[index] = k->value[i];
    }
    for (size_t i = 0; i < s->tags.n; i++)
        *map_at(&o->tags, s->tags.entries[i].key) = s->tags.entries[i].value;
}

/* After a run of everything: the hits of rules that are off, or run by themselves, go. */
void run_sift(struct rules_ctx *c, const struct rules_prefs *p)
{
    struct rules_scratch *o = c->scratch;
    size_t kept = 0;
    for (size_t i = 0; i < o->nhits; i++) {
        uint32_t index = o->hits[i].rule->index;
        if (dropped(p, index)) {
            o->count[index] = 0;
            o->value[index] = 0;
        } else {
            o->hits[kept++] = hit_of(&p->set.rules[index], o->hits[i].evidence);
        }
    }
    o->nhits = kept;
}

static void run_lone(struct rules_ctx *c, const struct lone_rule *l)
{
    struct rule *r = l->rule;
    struct text *t = c->text;
    struct span one;
    if (r->call || r->details) {
        run_function(c, r);
        return;
    }
    switch (r->def->kind) {
    case RULE_HEADER:
        if (header_get(c, &l->subject->req, &one))
            match_subject(c, l->subject, &one, 1);
        else if (!r->def->exists)
            match_unset(c, r);
        break;
    case RULE_MIMEHEADER:
        run_mime_rule(c, l->subject, r);
        break;
    case RULE_BODY:
        match_rule(c, r, t->body.v, t->body.n, 0);
        break;
    case RULE_RAWBODY:
        match_rule(c, r, t->rawbody.v, t->rawbody.n, 0);
        break;
    case RULE_URI:
        match_rule(c, r, t->uris.cleaned, t->uris.ncleaned, 0);
        break;
    default:
        one = run_pristine(c);
        match_rule(c, r, &one, 1, 0);
    }
}

void run_lone_rules(struct rules_ctx *c, const struct rules_prefs *p)
{
    for (size_t i = 0; i < p->nlone; i++)
        run_lone(c, &p->lone[i]);
}

/* The message as the report of these preferences sees it. */
static struct message *view_of(struct message *m)
{
    struct message *v = ARENA_NEW(m->arena, struct message);
    *v = *m;
    struct facts *f = &v->facts;
    f->facts = arena_array(m->arena, f->nfacts + 1, sizeof *f->facts);
    f->facts_cap = f->nfacts + 1;
    if (f->nfacts)
        memcpy(f->facts, m->facts.facts, f->nfacts * sizeof *f->facts);
    f->skipped = NULL;
    f->nskipped = f->skipped_cap = 0;
    f->rules = (struct rules_facts){.ran = false};
    return v;
}

/* Tags of what is done again: all, or those of the ending. */
static void forget_tags(struct facts *f, bool all)
{
    size_t kept = 0;
    const char *start = all ? "tag." : "tag.SC";
    for (size_t i = 0; i < f->nfacts; i++)
        if (strncmp(f->facts[i].name, start, strlen(start)) != 0)
            f->facts[kept++] = f->facts[i];
    f->nfacts = kept;
}

struct opinion *rules_opinion(struct rules_scratch *s, struct message *m,
                              const struct rules_prefs *p)
{
    struct arena *a = m->arena;
    struct opinion *o = ARENA_NEW(a, struct opinion);
    struct rules_ctx c = *s->kept->ctx;
    struct message *view = view_of(m);
    c.conf = p->set.conf;
    if (bayes_available(&c))
        p = rules_prefs_learned(p);
    forget_tags(&view->facts, p->anew);
    c.set = &p->set;
    c.m = view;
    c.scratch = own_scratch(s, p, a);
    if (p->anew) {
        run_texts(&c, NULL);
        asn_tell(&c);
        plugin_tags(&c);
        virus_tag(&c);
        run_rules(&c);
        run_sift(&c, p);
    } else {
        take_hits(c.scratch, s, s->kept, p, a);
        if (c.eval_state && (c.conf->touched & TOUCH_LISTS))
            eval_state_without_lists(&c);
    }
    run_lone_rules(&c, p);
    run_ending(&c);
    hits_report(&c);
    report_facts(&c);
    for (size_t i = 0; i < view->facts.nskipped; i++)
        facts_skip(&m->facts, a, view->facts.skipped[i].check, view->facts.skipped[i].why);
    *o = (struct opinion){.conf = c.conf,
                          .message = view,
                          .rules = view->facts.rules,
                          .own_required = p->set.conf->own_required};
    return o;
}
