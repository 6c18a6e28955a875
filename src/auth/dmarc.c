#include "auth/dmarc.h"

#include "auth/authres.h"
#include "auth/name.h"
#include "base/map.h"

/* For each author domain in turn: its record, whether it exists at all (when np= says something
 * else than sp=), then for each domain that passed SPF or DKIM and stands below the same
 * organisational domain whether that is its own. The worst result is published. */
enum step { STEP_FIND, STEP_EXISTS, STEP_ALIGN, STEP_NEXT, STEP_END };

struct passed {
    struct span domain;
    bool dkim, temporary; /* temporary: it would be a pass, perhaps */
};

enum { PASSED_MAX = 64 };

struct check {
    enum dmarc_method method;
    const struct authors *authors;
    const struct dmarc_ahead *ahead;
    const struct resolver *resolver;
    struct message *m;
    void (*done)(void *ctx);
    void *ctx;
    struct passed passed[PASSED_MAX];
    size_t npassed;

    size_t author, at; /* at: of passed */
    unsigned walks;
    enum step step;
    bool waiting, running;
    struct dmarc_found found, walk;
    bool missing;           /* the author's domain does not exist */
    struct dmarc_fact fact; /* of this author */
    bool maybe;             /* a temporary failure stands where a pass would align */
};

static void advance(struct check *c);

static struct span author(const struct check *c)
{
    return c->authors->domains[c->author];
}

/* --- identifiers --- */

static void add_passed(struct check *c, struct span domain, bool dkim, bool temporary)
{
    if (domain.n && c->npassed < PASSED_MAX)
        c->passed[c->npassed++] = (struct passed){domain, dkim, temporary};
}

/* l= that leaves a part of the body out, and From fields that are not covered, let anybody put
 * other content under a good signature: no proof of authorship. */
static void collect(struct check *c)
{
    const struct auth_facts *f = &c->m->facts.auth;
    const struct spf_fact *spf = spf_main(f);
    if (spf->result == SPF_PASS || spf->result == SPF_TEMPERROR)
        add_passed(c, spf->domain, false, spf->result == SPF_TEMPERROR);
    for (size_t i = 0; i < f->ndkim; i++) {
        const struct dkim_fact *d = &f->dkim[i];
        if (d->domainkeys || d->body_limited || d->from_unsigned)
            continue;
        if (d->result == DKIM_PASS || d->result == DKIM_TEMPERROR)
            add_passed(c, d->domain, true, d->result == DKIM_TEMPERROR);
    }
}

static void aligned(struct check *c, const struct passed *p)
{
    if (p->temporary)
        c->maybe = true;
    else if (!p->dkim)
        c->fact.spf_aligned = true;
    else if (!c->fact.dkim_aligned)
        c->fact.dkim_aligned = true, c->fact.dkim_domain = p->domain;
}

static void walked(void *ctx)
{
    struct check *c = ctx;
    const struct passed *p = &c->passed[c->at++];
    c->waiting = false;
    if (c->walk.tempfail)
        c->maybe = true;
    else if (span_eq(c->walk.organisation, c->found.organisation))
        aligned(c, p);
    advance(c);
}

static void step_align(struct check *c)
{
    if (c->at == c->npassed) {
        c->step = STEP_NEXT;
        return;
    }
    const struct passed *p = &c->passed[c->at];
    const struct dmarc_record *r = &c->found.record;
    bool strict = p->dkim ? r->strict_dkim : r->strict_spf;
    if (span_eq(p->domain, author(c))) {
        aligned(c, p);
    } else if (!strict && name_below(p->domain, c->found.organisation)) {
        if (c->method == DMARC_TREE && c->walks < DMARC_WALKS_MAX) {
            c->walks++;
            c->waiting = true;
            dmarc_find(DMARC_TREE, p->domain, c->resolver, c->m->arena, &c->walk, walked, c);
            return;
        }
        if (c->method == DMARC_SUFFIX &&
            span_eq(dmarc_organisation(c->m->arena, p->domain), c->found.organisation))
            aligned(c, p);
    }
    c->at++;
}

/* --- policy --- */

static void found(void *ctx)
{
    struct check *c = ctx;
    c->waiting = false;
    c->step = STEP_EXISTS;
    advance(c);
}

static void exists(void *ctx, const struct dns_answer *a)
{
    struct check *c = ctx;
    c->waiting = false;
    c->missing = a->status == DNS_NONE && a->nxdomain;
    c->step = STEP_ALIGN;
    advance(c);
}

static void step_exists(struct check *c)
{
    const struct dmarc_found *f = &c->found;
    c->step = f->tempfail || !f->has_record ? STEP_NEXT : STEP_ALIGN;
    c->fact.organisation = f->organisation;
    if (!f->has_record)
        return;
    c->fact.record_domain = f->record_domain;
    c->fact.record = f->record.text;
    if (!span_eq(f->record_domain, author(c)) && f->record.np != f->record.sp) {
        c->waiting = true;
        resolver_ask(c->resolver, author(c), DNS_A, exists, c);
    }
}

static enum dmarc_policy asked_policy(const struct check *c)
{
    const struct dmarc_record *r = &c->found.record;
    if (span_eq(c->found.record_domain, author(c)))
        return r->p;
    return c->missing ? r->np : r->sp;
}

static enum dmarc_policy milder(enum dmarc_policy p)
{
    return p == DMARC_POLICY_REJECT ? DMARC_POLICY_QUARANTINE : DMARC_POLICY_NONE;
}

/* The word of a sealer we trust that the message passed when it came there. */
static bool vouched_for(struct check *c)
{
    const struct arc_fact *arc = &c->m->facts.auth.arc;
    struct authres seen;
    if (arc->result != ARC_PASS || !arc->trusted.p || !arc->results.p ||
        !authres_parse(c->m->arena, arc->results, &seen))
        return false;
    for (size_t i = 0; i < seen.n; i++) {
        const struct authres_result *r = &seen.v[i];
        if (span_ieq(r->method, SPAN("dmarc")) && span_ieq(r->result, SPAN("pass")) &&
            span_ieq(authres_property(r, "header", "from"), author(c)))
            return true;
    }
    return false;
}

/* What is left of the policy after all that may soften it. */
static void dispose(struct check *c)
{
    const struct dmarc_record *r = &c->found.record;
    struct dmarc_fact *f = &c->fact;
    f->disposition = f->policy;
    if (f->policy == DMARC_POLICY_NONE)
        return;
    if (vouched_for(c)) {
        f->disposition = DMARC_POLICY_NONE;
        f->override = "trusted_forwarder";
    } else if (r->testing) {
        f->disposition = milder(f->policy);
        f->override = "policy_test_mode";
    } else if (c->method == DMARC_SUFFIX && r->percent < 100 &&
               map_hash(span_str(c->m->id)) % 100 >= r->percent) {
        f->disposition = milder(f->policy);
        f->override = "sampled_out";
    }
}

static void judge(struct check *c)
{
    struct dmarc_fact *f = &c->fact;
    struct arena *a = c->m->arena;
    f->domain = author(c);
    if (c->found.tempfail) {
        f->result = DMARC_TEMPERROR;
        f->why = arena_printf(a, "no answer for the DMARC record of %.*s", SPAN_ARG(f->domain));
        return;
    }
    if (!c->found.has_record) {
        f->result = DMARC_NONE;
        return;
    }
    f->policy = asked_policy(c);
    if (f->spf_aligned || f->dkim_aligned) {
        f->result = DMARC_PASS;
        return;
    }
    if (spf_main(&c->m->facts.auth)->result == SPF_NOT_RUN) {
        f->result = DMARC_NONE;
        f->why = SPAN("where it came from is not known");
        return;
    }
    f->result = c->maybe ? DMARC_TEMPERROR : DMARC_FAIL;
    f->why = arena_printf(a, "%s aligned with %.*s",
                          c->maybe ? "no answer for what may be" : "neither SPF nor DKIM is",
                          SPAN_ARG(f->domain));
    if (f->result == DMARC_FAIL)
        dispose(c);
}

static int severity(const struct dmarc_fact *f)
{
    static const int rank[] = {
        [DMARC_NOT_RUN] = 0,   [DMARC_PASS] = 1,      [DMARC_NONE] = 2,
        [DMARC_TEMPERROR] = 3, [DMARC_PERMERROR] = 4, [DMARC_FAIL] = 5,
    };
    return rank[f->result] * 100 + (int)f->disposition * 10 + (int)f->policy;
}

static void step_next(struct check *c)
{
    struct dmarc_fact *out = &c->m->facts.auth.dmarc;
    judge(c);
    if (severity(&c->fact) > severity(out))
        *out = c->fact;
    c->author++;
    c->step = c->author < c->authors->n ? STEP_FIND : STEP_END;
}

static void step_find(struct check *c)
{
    c->fact = (struct dmarc_fact){0};
    c->maybe = c->missing = false;
    c->at = 0;
    if (c->ahead) {
        c->found = c->ahead->found[c->author];
        c->step = STEP_EXISTS;
        return;
    }
    c->waiting = true;
    dmarc_find(c->method, author(c), c->resolver, c->m->arena, &c->found, found, c);
}

static void end(struct check *c)
{
    struct dmarc_fact *out = &c->m->facts.auth.dmarc;
    if (c->authors->n == 0)
        out->result = c->authors->bad ? DMARC_PERMERROR : DMARC_NONE;
    out->from_count = c->authors->count;
    out->bad_from = c->authors->bad;
    if (c->authors->bad && !out->why.p)
        out->why = span_str(c->authors->why);
    void (*done)(void *ctx) = c->done;
    done(c->ctx);
}

static void advance(struct check *c)
{
    static void (*const steps[])(struct check *) = {
        [STEP_FIND] = step_find,
        [STEP_EXISTS] = step_exists,
        [STEP_ALIGN] = step_align,
        [STEP_NEXT] = step_next,
    };
    if (c->running)
        return;
    c->running = true;
    while (!c->waiting && c->step != STEP_END)
        steps[c->step](c);
    c->running = false;
    if (!c->waiting)
        end(c);
}

static void one_ahead(void *ctx)
{
    struct dmarc_ahead *a = ctx;
    if (--a->waiting)
        return;
    void (*done)(void *ctx) = a->done;
    done(a->ctx);
}

void dmarc_ask_ahead(enum dmarc_method method, const struct authors *authors,
                     const struct resolver *r, struct arena *a, struct dmarc_ahead *out,
                     void (*done)(void *ctx), void *ctx)
{
    out->done = done;
    out->ctx = ctx;
    out->waiting = authors->n + 1;
    for (size_t i = 0; i < authors->n; i++)
        dmarc_find(method, authors->domains[i], r, a, &out->found[i], one_ahead, out);
    one_ahead(out);
}

void dmarc_check(enum dmarc_method method, const struct authors *authors,
                 const struct dmarc_ahead *ahead, const struct resolver *r, struct message *m,
                 void (*done)(void *ctx), void *ctx)
{
    struct check *c = ARENA_NEW(m->arena, struct check);
    c->method = method;
    c->authors = authors;
    c->ahead = ahead;
    c->resolver = r;
    c->m = m;
    c->done = done;
    c->ctx = ctx;
    c->step = authors->n ? STEP_FIND : STEP_END;
    m->facts.auth.dmarc = (struct dmarc_fact){0};
    collect(c);
    advance(c);
}
