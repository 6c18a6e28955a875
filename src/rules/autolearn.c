/* Would SpamAssassin learn from this message, and what is told of it in headers (semantics 9.3)? */
#include "rules/meta.h"
#include "rules/report_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "rules/bayes.h"
#include "rules/ruleset_private.h"

enum { BODY_POINTS = 3, HEAD_POINTS = 3 };

struct points {
    unsigned set; /* of scores that is in force */
    double all, head, body, learned;
    bool force;
};

/* What the hit is worth without Bayes: it must not teach itself. */
static double worth(const struct points *p, const struct rule_def *r, const struct rule_hit *h)
{
    return p->set & 2 ? r->score[p->set & 1] * h->count : h->score;
}

enum side { SIDE_NONE, SIDE_HEAD, SIDE_BODY };

static enum side side_of(const struct rule_def *r)
{
    switch (r ? r->kind : RULE_NONE) {
    case RULE_HEADER:
    case RULE_HEADER_EVAL:
        return SIDE_HEAD;
    case RULE_BODY:
    case RULE_BODY_EVAL:
    case RULE_RAWBODY:
    case RULE_RAWBODY_EVAL:
    case RULE_URI:
    case RULE_URI_DETAIL:
    case RULE_MIMEHEADER:
        return SIDE_BODY;
    default:
        return SIDE_NONE;
    }
}

void autolearn_sides(const struct conf *conf, const struct meta *m, uint16_t *head, uint16_t *body)
{
    *head = *body = 0;
    for (size_t i = 0; i < m->nnames && i < UINT16_MAX; i++) {
        enum side side = side_of(conf_rule(conf, m->names[i]));
        *head = (uint16_t)(*head + (side == SIDE_HEAD));
        *body = (uint16_t)(*body + (side == SIDE_BODY));
    }
}

/* A meta counts for head and body in the proportion of the rules it names. */
static void add_meta(struct points *p, const struct conf *conf, const struct rule_def *r,
                     double score, struct arena *a)
{
    struct meta m = {0};
    struct err e;
    uint16_t head = r->heads, body = r->bodies;
    if (!r->sides_known && meta_compile(a, r->expr, false, &m, &e) != 0)
        return;
    if (!r->sides_known)
        autolearn_sides(conf, &m, &head, &body);
    if (head + body == 0)
        return;
    p->head += score_rounded(score * head / (head + body));
    p->body += score_rounded(score * body / (head + body));
}

/* What a hit adds to the sums. */
static void add_hit(struct points *p, const struct conf *conf, const struct rule_hit *h)
{
    const struct rule_def *r = conf_rule(conf, span_str(h->name));
    if (!r || r->tflags & (TFLAG_NOAUTOLEARN | TFLAG_USERCONF))
        return;
    if (r->tflags & TFLAG_LEARN) {
        p->learned += h->score;
        return;
    }
    p->force = p->force || (r->tflags & TFLAG_AUTOLEARN_FORCE);
    p->all += worth(p, r, h);
}

/* And to those of its sides. */
static void add_sides(struct points *p, const struct conf *conf, const struct rule_hit *h,
                      struct arena *a)
{
    const struct rule_def *r = conf_rule(conf, span_str(h->name));
    if (!r || r->tflags & (TFLAG_NOAUTOLEARN | TFLAG_USERCONF | TFLAG_LEARN))
        return;
    enum side side = r->tflags & TFLAG_AUTOLEARN_HEADER ? SIDE_HEAD
                     : r->tflags & TFLAG_AUTOLEARN_BODY ? SIDE_BODY
                                                        : side_of(r);
    if (side == SIDE_HEAD)
        p->head += worth(p, r, h);
    else if (side == SIDE_BODY)
        p->body += worth(p, r, h);
    else if (r->kind == RULE_META)
        add_meta(p, conf, r, worth(p, r, h), a);
}

static bool has_hit(const struct rules_facts *f, const char *name)
{
    for (size_t i = 0; i < f->nhits; i++)
        if (strcmp(f->hits[i].name, name) == 0)
            return true;
    return false;
}

/* bayes_auto_learn_on_error: only what Bayes did not know already. */
static bool knew(const struct conf *conf, const struct rules_facts *f, bool spam)
{
    return conf_bool(conf, "bayes_auto_learn_on_error", false) &&
           has_hit(f, spam ? "BAYES_99" : "BAYES_00");
}

/* The sides are summed only where they decide: metas have to be read for them. */
static char would_learn(const struct conf *conf, const struct rules_facts *f, struct points *p,
                        struct arena *scratch)
{
    bool spam = f->score >= f->required;
    if (p->all < conf->bayes.threshold_nonspam)
        return p->learned <= 1 && !spam && !knew(conf, f, false) ? LEARN_HAM : 0;
    if (p->all < conf->bayes.threshold_spam || !spam || p->learned < -1)
        return 0;
    for (size_t i = 0; i < f->nhits && !p->force; i++)
        add_sides(p, conf, &f->hits[i], scratch);
    bool enough = p->force || (p->head >= HEAD_POINTS && p->body >= BODY_POINTS);
    return enough && !knew(conf, f, true) ? LEARN_SPAM : 0;
}

struct autolearn report_autolearn(const struct conf *conf, unsigned score_set,
                                  const struct rules_facts *f, struct arena *scratch)
{
    struct points p = {.set = score_set};
    if (!conf->bayes.auto_learn || !conf->bayes.use_bayes)
        return (struct autolearn){.off = true};
    for (size_t i = 0; i < f->nhits; i++)
        add_hit(&p, conf, &f->hits[i]);
    p.all = score_rounded(p.all);
    char what = would_learn(conf, f, &p, scratch);
    return (struct autolearn){.what = what,
                              .force = what && p.force && p.all >= conf->bayes.threshold_spam};
}

const char *report_autolearn_text(const struct autolearn *l, bool done)
{
    static const char *const texts[4][2] = {
        {"no autolearn_force=no", "no autolearn_force=no"},
        {"unavailable autolearn_force=no", "unavailable autolearn_force=yes"},
        {"spam autolearn_force=no", "spam autolearn_force=yes"},
        {"ham autolearn_force=no", "ham autolearn_force=yes"}};
    if (l->off)
        return "disabled";
    return texts[!l->what ? 0 : !done ? 1 : l->what == LEARN_SPAM ? 2 : 3][l->force];
}

/* Whether it can be learned: there is a store, which does not know it yet. */
static bool may_learn(struct rules_ctx *c)
{
    const struct message *m = c->m;
    return m->teaches && m->learned && c->conf->bayes.use_learner &&
           conf_plugin(c->conf, "Bayes") && !bayes_ignores(c) &&
           !learn_known(m->learned, m->learned_by, bayes_made_id(c), bayes_msgid(c));
}

static void auto_learn(struct rules_ctx *c)
{
    struct rules_facts *f = &c->m->facts.rules;
    struct autolearn l = report_autolearn(c->conf, c->set->score_set, f, c->a);
    bool done = l.what && may_learn(c);
    f->autolearn = report_autolearn_text(&l, done);
    f->learn = done ? l.what : 0;
    if (!c->m->teaches || !c->m->learned)
        return;
    c->scratch->lesson = ARENA_NEW(c->a, struct rules_ctx);
    *c->scratch->lesson = *c;
}

void report_facts(struct rules_ctx *c)
{
    struct rules_facts *f = &c->m->facts.rules;
    f->body = c->text->body.v;
    f->nbody = c->text->body.n;
    auto_learn(c);
}
