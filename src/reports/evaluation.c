#include "reports/evaluation.h"

#include "auth/dmarc.h"
#include "auth/name.h"
#include "base/log.h"
#include "reports/import.h"

enum { HUMAN_MAX = 100 };

static bool for_reports(const struct report_settings *r, struct span rcpt)
{
    for (size_t i = 0; i < r->inbox.n; i++)
        if (span_ieq(rcpt, span_str(r->inbox.v[i])))
            return true;
    return false;
}

/* Reports and what comes back of ours. */
static bool is_feedback(const struct settings *set, const struct message *m)
{
    for (size_t i = 0; i < m->env.nrcpts; i++) {
        struct span to = m->env.rcpts[i].addr;
        if (for_reports(&set->reports, to) ||
            (m->env.from.n == 0 && span_ieq(to, span_str(set->reports.from))))
            return true;
    }
    return false;
}

/* --- what was done --- */

static enum dmarc_policy severity(enum outcome o)
{
    switch (o) {
    case OUT_REJECT:
    case OUT_DISCARD:
        return DMARC_POLICY_REJECT;
    case OUT_HOLD:
    case OUT_TAG:
    case OUT_CLEAN:
        return DMARC_POLICY_QUARANTINE;
    case OUT_ACCEPT:
    case OUT_DEFER:
        break;
    }
    return DMARC_POLICY_NONE;
}

static bool all_deferred(const struct verdict *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->v[i].outcome != OUT_DEFER)
            return false;
    return v->n > 0;
}

/* What DMARC did to the message: what the settings make of the domain's wish, unless a policy of
 * ours let it go. What other checks did (spam, a virus) is nobody's business. */
static enum dmarc_policy applied(const struct settings *set, const struct dmarc_fact *d,
                                 const struct verdict *v)
{
    enum dmarc_policy wanted = DMARC_POLICY_NONE, done = DMARC_POLICY_NONE;
    if (d->result != DMARC_FAIL || d->disposition == DMARC_POLICY_NONE)
        return DMARC_POLICY_NONE;
    wanted = severity(d->disposition == DMARC_POLICY_REJECT ? set->dmarc.on_reject
                                                            : set->dmarc.on_quarantine);
    for (size_t i = 0; i < v->n; i++)
        done = severity(v->v[i].outcome) > done ? severity(v->v[i].outcome) : done;
    return done < wanted ? done : wanted;
}

static void explain(const struct dmarc_fact *d, enum dmarc_policy done, struct agg_row *w)
{
    w->reason = w->comment = SPAN("");
    if (d->result == DMARC_PASS || done == d->policy)
        return;
    if (d->result != DMARC_FAIL) {
        w->reason = SPAN("other");
        w->comment = SPAN("a temporary error of the DNS");
        return;
    }
    w->reason = d->override ? span_str(d->override) : SPAN("local_policy");
}

/* --- identifiers and results --- */

static struct span canonical(struct arena *a, struct span domain)
{
    struct span out;
    return domain.n && name_canonical(a, domain, &out) ? out : agg_clean(a, domain);
}

/* The one domain of all recipients; empty when there are several. */
static struct span recipient_domain(const struct message *m, struct arena *a)
{
    struct span first = SPAN("");
    for (size_t i = 0; i < m->env.nrcpts; i++) {
        struct span domain = addr_domain(a, m->env.rcpts[i].addr);
        if (i && !span_eq(domain, first))
            return SPAN("");
        first = domain;
    }
    return first;
}

static struct agg_auth *add_auth(struct arena *a, struct agg_row *w, bool spf)
{
    struct agg_auth *x = ARENA_PUSH(a, w->auth, w->nauth, w->auth_cap);
    *x = (struct agg_auth){.spf = spf, .selector = SPAN(""), .scope = SPAN(""), .human = SPAN("")};
    return x;
}

/* RFC 9990 section 3.1.2: aligned passes, other passes, the rest. */
static int rank(const struct dmarc_fact *d, const struct dkim_fact *f)
{
    if (f->result != DKIM_PASS)
        return 3;
    return span_eq(f->domain, d->domain) ? 0 : name_below(f->domain, d->organisation) ? 1 : 2;
}

static void add_dkim(const struct auth_facts *f, struct arena *a, struct agg_row *w)
{
    for (int want = 0; want <= 3; want++)
        for (size_t i = 0; i < f->ndkim && w->nauth < AGG_AUTHS_MAX - 1; i++) {
            const struct dkim_fact *k = &f->dkim[i];
            if (k->domainkeys || !k->domain.n || rank(&f->dmarc, k) != want)
                continue;
            struct agg_auth *x = add_auth(a, w, false);
            x->domain = canonical(a, k->domain);
            x->selector = agg_clean(a, k->selector);
            x->result = span_str(dkim_result_name(k->result));
            if (k->result != DKIM_PASS)
                x->human = agg_clean(a, span_sub(k->why, 0, HUMAN_MAX));
        }
}

static void add_spf(const struct message *m, struct arena *a, struct agg_row *w)
{
    const struct spf_fact *spf = spf_main(&m->facts.auth);
    struct agg_auth *x = add_auth(a, w, true);
    x->domain = canonical(a, spf->domain);
    x->scope = m->env.from.n ? SPAN("mfrom") : SPAN("helo");
    x->result = spf->result == SPF_NOT_RUN ? SPAN("none") : span_str(spf_result_name(spf->result));
}

bool evaluation_row(const struct settings *set, const struct message *m, const struct verdict *v,
                    struct arena *a, struct agg_report *out)
{
    const struct dmarc_fact *d = &m->facts.auth.dmarc;
    char ip[IP_TEXT_SIZE];
    bool evaluated =
        d->result == DMARC_PASS || d->result == DMARC_FAIL || d->result == DMARC_TEMPERROR;
    if (!m->facts.auth.ran || !evaluated || !d->record_domain.n || !m->peer.has_ip ||
        all_deferred(v) || is_feedback(set, m))
        return false;
    struct agg_row *w = ARENA_NEW(a, struct agg_row);
    enum dmarc_policy done = applied(set, d, v);
    w->ip = arena_dup(a, span_str(ip_text(&m->peer.ip, ip)));
    w->count = 1;
    w->disposition = span_str(dmarc_policy_name(done));
    w->dkim = d->dkim_aligned ? SPAN("pass") : SPAN("fail");
    w->spf = d->spf_aligned ? SPAN("pass") : SPAN("fail");
    explain(d, done, w);
    w->header_from = d->domain;
    w->envelope_from = canonical(a, addr_domain(a, m->env.from));
    w->envelope_to = set->reports.recipient_domain ? recipient_domain(m, a) : SPAN("");
    add_dkim(&m->facts.auth, a, w);
    add_spf(m, a, w);
    *out = (struct agg_report){
        .begin = m->received / USEC_PER_SEC,
        .end = m->received / USEC_PER_SEC,
        .policy = {.domain = d->record_domain,
                   .record = d->record,
                   .method = set->dmarc.method == DMARC_TREE ? SPAN("treewalk") : SPAN("psl")},
        .rows = w,
        .n = 1};
    return true;
}

/* --- reports that came --- */

struct incoming {
    struct buf *b;
    struct report_origin origin;
    const char *id;
};

static void on_agg(void *ctx, const struct agg_report *r)
{
    struct incoming *in = ctx;
    size_t before = in->b->n;
    item_put(in->b, r, &in->origin);
    if (in->b->n > ITEMS_MAX)
        in->b->n = before;
}

static void on_tls(void *ctx, const struct tls_report *r)
{
    struct incoming *in = ctx;
    size_t before = in->b->n;
    item_put_tls(in->b, r, &in->origin);
    if (in->b->n > ITEMS_MAX)
        in->b->n = before;
}

static void on_problem(void *ctx, const char *why)
{
    struct incoming *in = ctx;
    log_event(LOG_WARN, in->id, "report-unreadable", F_STR("why", why));
}

/* What is refused or held tells nothing. */
static bool is_delivered(const struct verdict *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->v[i].outcome == OUT_ACCEPT || v->v[i].outcome == OUT_TAG ||
            v->v[i].outcome == OUT_CLEAN)
            return true;
    return false;
}

static void take_in(const struct settings *set, const struct message *m, const struct verdict *v,
                    struct buf *b)
{
    const struct dmarc_fact *d = &m->facts.auth.dmarc;
    bool wanted = false;
    for (size_t i = 0; i < m->env.nrcpts; i++)
        wanted = wanted || for_reports(&set->reports, m->env.rcpts[i].addr);
    if (!wanted || !is_delivered(v))
        return;
    struct incoming in = {
        .b = b,
        .id = m->id,
        .origin = {.at = m->received, .sender = d->domain, .verified = d->result == DMARC_PASS}};
    struct import im = {.agg = on_agg, .tls = on_tls, .problem = on_problem, .ctx = &in};
    import_bytes(&im, m->raw);
}

struct span evaluation_items(const struct settings *set, const struct message *m,
                             const struct verdict *v, struct arena *a)
{
    struct buf b = {0};
    struct agg_report row;
    if (evaluation_row(set, m, v, a, &row))
        item_saw(&b, &row);
    if (set->reports.inbox.n)
        take_in(set, m, v, &b);
    struct span out = b.n ? arena_dup(a, buf_span(&b)) : SPAN_NONE;
    buf_free(&b);
    return out;
}
