/* Reports to the services: one conversation with each server. */
#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "digests/dcc.h"
#include "digests/digests_private.h"

struct reporting {
    struct digests *d;
    struct digests_report r;
    struct span raw;
    size_t open;
    struct buf identity;
    struct razor_server razor; /* what is known of the server that is told */
    size_t razor_at;
};

/* One server that is told. */
struct telling {
    struct reporting *all;
    const char *service;
    char server[300];
};

static void one_less(struct reporting *g)
{
    if (--g->open > 0)
        return;
    g->r.done(g->r.ctx);
    buf_free(&g->identity);
    free(g);
}

static struct telling *telling_new(struct reporting *g, const char *service, const char *server)
{
    struct telling *t = xcalloc(1, sizeof *t);
    t->all = g;
    t->service = service;
    snprintf(t->server, sizeof t->server, "%s", server);
    g->open++;
    return t;
}

static void tell(struct telling *t, const char *why)
{
    struct reporting *g = t->all;
    g->r.told(g->r.ctx, t->service, t->server, why);
    free(t);
    one_less(g);
}

/* --- Pyzor --- */

static void on_pyzor(void *ctx, const struct pyzor_reply *r, const char *why)
{
    char text[128];
    if (r && r->code != 200) {
        snprintf(text, sizeof text, "%u %.*s", (unsigned)(r->code % 1000),
                 (int)(r->why.n < 80 ? r->why.n : 80), r->why.p);
        why = text;
    }
    tell(ctx, why);
}

void digests_of_text(struct span raw, char out[DIGEST_TEXT_SIZE])
{
    struct arena *scratch = arena_new(0);
    pyzor_digest(scratch, raw, out);
    arena_free(scratch);
}

static void report_pyzor(struct reporting *g)
{
    struct digests *d = g->d;
    struct pyzor_question q = {.op = g->r.wanted ? PYZOR_WHITELIST : PYZOR_REPORT,
                               .timeout = d->set->pyzor.timeout};
    digests_of_text(g->raw, q.digest);
    for (size_t i = 0; i < d->npyzor; i++) {
        struct telling *t = telling_new(g, "pyzor", d->pyzor[i].at.text);
        if (pyzor_digest_empty(q.digest)) {
            tell(t, "the message has no text to report");
            continue;
        }
        q.to = d->pyzor[i].at;
        q.who = d->pyzor[i].who;
        pyzor_ask(d->loop, d->dns, &q, on_pyzor, t);
    }
}

/* --- DCC --- */

static void on_dcc(void *ctx, struct span answer, const char *why)
{
    struct dcc_fact f = {.why = ""};
    if (answer.p && !dcc_answer(answer, &f))
        why = f.why;
    tell(ctx, why);
}

static void report_dcc(struct reporting *g, const struct peer *peer)
{
    struct digests *d = g->d;
    if (!d->has_dcc)
        return;
    struct dcc_question q = {.to = d->dcc, .body = g->raw, .timeout = d->set->dcc.timeout};
    dcc_head(&q.head, DCC_REPORT, peer);
    dcc_ask(d->loop, d->dns, &q, on_dcc, telling_new(g, "dcc", d->dcc.text));
}

/* --- Razor --- */

static void report_razor(struct reporting *g);

/* One server is enough: they tell each other. */
static void on_razor(void *ctx, const struct razor_result *r)
{
    struct telling *t = ctx;
    struct reporting *g = t->all;
    if (r->why && ++g->razor_at < g->d->set->razor.reporting.n)
        report_razor(g);
    tell(t, r->why);
}

/* The value of "user=..." or "pass=..." in an identity file. */
static struct span identity(struct span file, const char *name)
{
    struct span line;
    while (span_line(&file, &line)) {
        size_t equals = span_find(line, '=');
        if (equals != SIZE_MAX && span_eq(span_trim(span_sub(line, 0, equals)), span_str(name)))
            return span_trim(span_from(line, equals + 1));
    }
    return SPAN("");
}

static void report_razor(struct reporting *g)
{
    const struct razor_settings *s = &g->d->set->razor;
    struct err e;
    if (g->razor_at >= s->reporting.n)
        return;
    struct telling *t = telling_new(g, "razor", s->reporting.v[g->razor_at]);
    struct razor_question q = {.op = RAZOR_REPORT,
                               .server = &g->razor,
                               .raw = g->raw,
                               .min_cf = s->min_cf,
                               .timeout = s->timeout,
                               .user = identity(buf_span(&g->identity), "user"),
                               .password = identity(buf_span(&g->identity), "pass")};
    g->razor = RAZOR_SERVER_DEFAULT;
    if (!q.user.n || !q.password.n)
        tell(t, "razor.identity names no user and password");
    else if (where_parse(s->reporting.v[g->razor_at], &q.to, &e) != 0)
        tell(t, e.text);
    else
        razor_ask(g->d->loop, g->d->dns, &q, on_razor, t);
}

void digests_report(struct digests *d, const struct message *m, const struct digests_report *r)
{
    struct reporting *g = xcalloc(1, sizeof *g);
    *g = (struct reporting){.d = d, .r = *r, .raw = m->raw, .open = 1};
    if (d && (r->services & DIGEST_PYZOR))
        report_pyzor(g);
    if (d && (r->services & DIGEST_DCC) && !r->wanted)
        report_dcc(g, &m->peer);
    if (d && (r->services & DIGEST_RAZOR) && !r->wanted) {
        g->identity = digests_file(d->set->razor.reporting.n ? d->set->razor.identity : NULL);
        report_razor(g);
    }
    one_less(g);
}
