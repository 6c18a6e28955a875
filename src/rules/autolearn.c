/* Would SpamAssassin learn from this message, and what is told of it in headers (semantics 9.3)? */
#include "rules/meta.h"
#include "rules/report_private.h"

enum { BODY_POINTS = 3, HEAD_POINTS = 3 };

struct points {
    double all, head, body, learned;
    bool force;
};

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
    p->head += score * head / (head + body);
    p->body += score * body / (head + body);
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
    p->all += h->score;
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
        p->head += h->score;
    else if (side == SIDE_BODY)
        p->body += h->score;
    else if (r->kind == RULE_META)
        add_meta(p, conf, r, h->score, a);
}

/* The sides are summed only where they decide: metas have to be read for them. */
static bool would_learn(const struct conf *conf, const struct rules_facts *f, struct points *p,
                        struct arena *scratch)
{
    bool spam = f->score >= f->required;
    if (p->all < conf->bayes.threshold_nonspam)
        return p->learned <= 1 && !spam;
    if (p->all < conf->bayes.threshold_spam || !spam || p->learned < -1)
        return false;
    for (size_t i = 0; i < f->nhits && !p->force; i++)
        add_sides(p, conf, &f->hits[i], scratch);
    return p->force || (p->head >= HEAD_POINTS && p->body >= BODY_POINTS);
}

const char *report_autolearn(const struct conf *conf, const struct rules_facts *f,
                             struct arena *scratch)
{
    struct points p = {0};
    if (!conf->bayes.auto_learn || !conf->bayes.use_bayes)
        return "disabled";
    for (size_t i = 0; i < f->nhits; i++)
        add_hit(&p, conf, &f->hits[i]);
    bool learn = would_learn(conf, f, &p, scratch);
    bool force = p.force && p.all >= conf->bayes.threshold_spam;
    if (learn)
        return force ? "unavailable autolearn_force=yes" : "unavailable autolearn_force=no";
    return "no autolearn_force=no";
}

void report_facts(struct rules_ctx *c)
{
    struct rules_facts *f = &c->m->facts.rules;
    f->body = c->text->body.v;
    f->nbody = c->text->body.n;
    f->autolearn = report_autolearn(c->conf, f, c->a);
}
