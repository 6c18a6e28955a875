/* What reports about TLS are made of (RFC 8460 section 4): one item a connection, about the domain
 * that the mail is for. Connections of routes that the administrator has made are nobody's
 * business, nor is anything where TLS is off by configuration. */
#include <openssl/x509_vfy.h>

#include "deliver/deliver_private.h"
#include "reports/item.h"

enum { TLSA_SHOWN_MAX = 60 }; /* bytes of rdata of one record that are told */

/* Reports about the delivery of reports would never end: connections that nothing but our own
 * reports waits for are not told. */
static bool reports_alone(const struct dest *t)
{
    struct span from = span_str(t->d->set->reports.from);
    for (const struct job *j = t->first; j; j = j->next)
        if (!j->m || !(j->m->flags & QUEUE_NOTICE) || !span_ieq(j->m->from, from))
            return false;
    return t->first != NULL;
}

static bool watched(const struct dest *t)
{
    return t->d->saw_tls && !reports_alone(t) && t->route.kind == ROUTE_SMTP && t->route.mx &&
           !t->route.host.n && t->domain.n && t->domain.p[0] != '[' &&
           t->d->set->queue.tls != DTLS_NONE;
}

/* --- the policy that held --- */

static void add_string(struct arena *a, struct tls_policy *p, struct span s)
{
    if (p->nstrings < TLS_STRINGS_MAX)
        p->strings[p->nstrings++] = arena_dup(a, s);
}

static void add_mx(struct arena *a, struct tls_policy *p, struct span s)
{
    if (p->nmx < TLS_STRINGS_MAX)
        p->mx[p->nmx++] = arena_dup(a, s);
}

static void tlsa_policy(struct arena *a, const struct dane *dane, struct tls_policy *p)
{
    struct buf b = {0};
    p->type = SPAN("tlsa");
    add_mx(a, p, span_str(dane->host));
    for (size_t i = 0; i < dane->n; i++) {
        const unsigned char *r = (const unsigned char *)dane->v[i].p;
        buf_clear(&b);
        buf_printf(&b, "%u %u %u ", r[0], r[1], r[2]);
        for (size_t k = 3; k < dane->v[i].n && k < TLSA_SHOWN_MAX + 3; k++)
            buf_printf(&b, "%02x", r[k]);
        add_string(a, p, buf_span(&b));
    }
    buf_free(&b);
}

static void sts_policy(struct arena *a, const struct sts_policy *sts, struct tls_policy *p)
{
    p->type = SPAN("sts");
    add_string(a, p, SPAN("version: STSv1"));
    add_string(a, p, sts->mode == STS_ENFORCE ? SPAN("mode: enforce") : SPAN("mode: testing"));
    for (size_t i = 0; i < sts->n; i++) {
        add_string(a, p, arena_printf(a, "mx: %.*s", SPAN_ARG(sts->mx[i])));
        add_mx(a, p, sts->mx[i]);
    }
    add_string(a, p, arena_printf(a, "max_age: %lu", (unsigned long)sts->max_age));
}

static struct tls_policy policy_of(struct arena *a, const struct dest *t, const struct dane *dane)
{
    struct tls_policy p = {.domain = t->domain};
    p.strings = arena_array(a, TLS_STRINGS_MAX, sizeof *p.strings);
    p.mx = arena_array(a, TLS_STRINGS_MAX, sizeof *p.mx);
    if (dane)
        tlsa_policy(a, dane, &p);
    else if (t->sts.mode != STS_NONE)
        sts_policy(a, &t->sts, &p);
    else
        p.type = SPAN("no-policy-found");
    return p;
}

/* --- items --- */

/* f: NULL when it went well. */
static void tell(const struct deliver *d, struct tls_policy *p, struct tls_failure *f)
{
    int64_t now = clock_wall() / USEC_PER_SEC;
    struct buf b = {0};
    p->successes = f == NULL;
    p->failures = f != NULL;
    p->v = f;
    p->n = f != NULL;
    if (f)
        f->count = 1;
    const struct tls_report r = {.begin = now, .end = now, .policies = p, .n = 1};
    item_saw_tls(&b, &r);
    d->saw_tls(d->saw_tls_ctx, buf_span(&b));
    buf_free(&b);
}

static struct span type_of(long verify)
{
    switch (verify) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return SPAN("certificate-host-mismatch");
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return SPAN("certificate-expired");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_REVOKED:
        return SPAN("certificate-not-trusted");
    default:
        return SPAN("validation-failure");
    }
}

static void tell_connection(const struct conn *k, const struct client *c, struct span type,
                            struct span code)
{
    const struct dest *t = k->dest;
    const struct client_tls *tls = client_tls(c);
    struct arena *a = arena_new(0);
    char from[IP_TEXT_SIZE], to[IP_TEXT_SIZE];
    struct tls_policy p = policy_of(a, t, k->dane);
    struct tls_failure f = {.type = type,
                            .sending_ip =
                                tls->has_local ? span_str(ip_text(&tls->local, from)) : SPAN(""),
                            .receiving_ip = span_str(ip_text(&t->targets[k->target].ip, to)),
                            .mx = span_str(k->host),
                            .code = code};
    tell(t->d, &p, type.n ? &f : NULL);
    arena_free(a);
}

void watch_ready(const struct conn *k)
{
    const struct client_tls *tls = client_tls(k->client);
    bool demanded = k->dane || k->dest->sts.mode != STS_NONE;
    if (!watched(k->dest) || k->plain) /* plain: its failure was told */
        return;
    if (!tls->secure)
        tell_connection(k, k->client, SPAN("starttls-not-supported"), SPAN(""));
    else if (demanded && k->trust != TRUST_ENCRYPTED && tls->verify != X509_V_OK)
        tell_connection(k, k->client, type_of(tls->verify),
                        span_str(X509_verify_cert_error_string(tls->verify)));
    else
        tell_connection(k, k->client, SPAN(""), SPAN(""));
}

void watch_no_tls(const struct conn *k, const struct client *c, struct span why)
{
    const struct client_tls *tls = client_tls(c);
    if (!watched(k->dest))
        return;
    if (!tls->tried)
        tell_connection(k, c, SPAN("starttls-not-supported"), SPAN(""));
    else if (tls->verify != X509_V_OK)
        tell_connection(k, c, type_of(tls->verify),
                        span_str(X509_verify_cert_error_string(tls->verify)));
    else
        tell_connection(k, c, SPAN("validation-failure"), why);
}

void watch_fault(const struct dest *t, const char *result, const char *mx, const char *why)
{
    if (!watched(t))
        return;
    struct arena *a = arena_new(0);
    struct tls_policy p = policy_of(a, t, NULL);
    struct tls_failure f = {.type = span_str(result), .mx = span_str(mx), .code = span_str(why)};
    if (span_eq(f.type, SPAN("dnssec-invalid")) || span_eq(f.type, SPAN("tlsa-invalid"))) {
        p.type = SPAN("tlsa");
        p.nstrings = p.nmx = 0;
    }
    tell(t->d, &p, &f);
    arena_free(a);
}

static void on_sts_failed(void *ctx, struct span domain, const char *result, const char *why)
{
    const struct deliver *d = ctx;
    struct tls_policy p = {.type = SPAN("sts"), .domain = domain};
    for (size_t i = 0; i < DEST_SLOTS; i++)
        for (const struct dest *t = d->slots[i]; t; t = t->next)
            if (t->resolving && span_ieq(t->domain, domain) && reports_alone(t))
                return;
    struct tls_failure f = {.type = span_str(result), .code = span_str(why)};
    tell(d, &p, &f);
}

void watch_sts(struct deliver *d)
{
    if (d->sts && d->saw_tls)
        sts_on_failure(d->sts, on_sts_failed, d);
}
