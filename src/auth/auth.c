#include "auth/auth.h"

#include <stdlib.h>

#include "auth/dkim.h"
#include "auth/dmarc.h"
#include "auth/order.h"
#include "auth/publish.h"
#include "auth/spf.h"
#include "base/xalloc.h"

struct auth {
    const struct settings *set;
    struct dkim *dkim;
};

/* One message: SPF of both identities, all signatures and the records of DMARC side by side; DMARC
 * is judged when all have answered. */
struct run {
    struct auth *auth;
    const struct resolver *resolver;
    struct message *m;
    const struct auth_client *client;
    struct authors authors;
    struct dmarc_ahead *ahead; /* NULL: not asked ahead */
    int waiting;
    void (*done)(void *ctx);
    void *ctx;
};

struct auth *auth_new(const struct settings *set)
{
    struct auth *a = xcalloc(1, sizeof *a);
    a->set = set;
    a->dkim = dkim_new();
    return a;
}

void auth_free(struct auth *a)
{
    if (!a)
        return;
    dkim_free(a->dkim);
    free(a);
}

bool auth_client_of(const struct settings *set, const struct message *m, struct auth_client *out)
{
    const struct peer *p = &m->peer;
    *out = (struct auth_client){0};
    if (!m->has_envelope)
        return true;
    if (p->auth_user.n || (p->has_ip && ip_is_loopback(&p->ip)))
        return false;
    for (size_t i = 0; p->has_ip && i < set->relay.networks.n; i++)
        if (cidr_has(&set->relay.networks.v[i], &p->ip))
            return false;
    *out = (struct auth_client){.has_ip = p->has_ip,
                                .ip = p->ip,
                                .helo = p->helo,
                                .mail_from = m->env.from,
                                .has_mail_from = true};
    return true;
}

/* --- the parts --- */

static void dmarc_done(void *ctx)
{
    struct run *run = ctx;
    auth_order(run->auth->set, run->m);
    auth_publish(run->m);
    run->done(run->ctx);
}

/* A file without signatures: whatever a record says, nothing could be held against it. */
static void nobody_vouches(struct run *run)
{
    struct dmarc_fact *f = &run->m->facts.auth.dmarc;
    f->from_count = run->authors.count;
    f->bad_from = run->authors.bad;
    f->why = span_str(run->authors.why);
    f->result = DMARC_NONE;
    dmarc_done(run);
}

static void part_done(void *ctx)
{
    struct run *run = ctx;
    const struct settings *set = run->auth->set;
    if (--run->waiting)
        return;
    if (!set->dmarc.enabled)
        dmarc_done(run);
    else if (!run->client->has_ip && run->m->facts.auth.ndkim == 0)
        nobody_vouches(run);
    else
        dmarc_check(set->dmarc.method, &run->authors, run->ahead, run->resolver, run->m, dmarc_done,
                    run);
}

static void start_spf(struct run *run, struct span domain, struct span sender, enum spf_scope scope,
                      struct spf_fact *out)
{
    struct spf_query q = {
        .ip = run->client->ip,
        .domain = domain,
        .sender = sender,
        .helo = run->client->helo,
        .receiver = run->auth->set->hostname,
        .scope = scope,
        .explain = scope == SPF_MFROM,
        .now = run->m->received,
    };
    run->waiting++;
    spf_check(&q, run->resolver, run->m->arena, out, part_done, run);
}

static struct span domain_of(struct span address)
{
    size_t at = span_rfind(address, '@');
    return at == SIZE_MAX ? SPAN("") : span_from(address, at + 1);
}

/* HELO is checked too when there is a reverse-path (RFC 7208 section 2.3), but only without one it
 * stands for the sender (2.4). */
static void start_identities(struct run *run)
{
    const struct auth_client *c = run->client;
    struct auth_facts *f = &run->m->facts.auth;
    if (!c->has_ip || !run->auth->set->spf.enabled)
        return;
    if (c->helo.n)
        start_spf(run, c->helo, SPAN(""), SPF_MFROM, &f->helo);
    if (c->has_mail_from && c->mail_from.n)
        start_spf(run, domain_of(c->mail_from), c->mail_from, SPF_MFROM, &f->mailfrom);
    if (run->auth->set->spf.pra) {
        struct span pra = spf_pra(run->m->arena, run->m->raw);
        if (pra.p)
            start_spf(run, domain_of(pra), pra, SPF_PRA, &f->pra);
    }
}

/* Without a client it depends on the signatures whether anybody is asked. */
static void start_dmarc(struct run *run)
{
    if (!run->client->has_ip || !run->auth->set->dmarc.enabled)
        return;
    run->ahead = ARENA_NEW(run->m->arena, struct dmarc_ahead);
    run->waiting++;
    dmarc_ask_ahead(run->auth->set->dmarc.method, &run->authors, run->resolver, run->m->arena,
                    run->ahead, part_done, run);
}

void auth_message(struct auth *a, const struct resolver *r, struct message *m,
                  const struct auth_client *client, void (*done)(void *ctx), void *ctx)
{
    struct run *run = ARENA_NEW(m->arena, struct run);
    run->auth = a;
    run->resolver = r;
    run->m = m;
    run->client = client;
    run->done = done;
    run->ctx = ctx;
    run->waiting = 1;
    m->facts.auth.ran = true;
    authors_find(m->arena, m->raw, &run->authors);
    run->waiting++;
    dkim_check(a->dkim, a->set, r, m, part_done, run);
    start_identities(run);
    start_dmarc(run);
    part_done(run);
}
