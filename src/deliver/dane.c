/* Which hosts must prove who they are by DANE (RFC 7672 section 2.2): exchangers, and hosts that a
 * route names.
 *
 * The chain is followed as long as it is validated: the MX records, then the addresses of the host,
 * then its TLSA records. Where it is not, there is no DANE for the host; where it can't be asked or
 * does not validate, the host is not used now: that is what an attacker would like best.
 *
 * A host that is an alias has two names. Its records stand under the last one when all of the way
 * there is validated, else (or when there are none) under the first, if at least its own alias is
 * (section 2.2.2). */
#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "deliver/deliver_private.h"

struct asking {
    struct dest *t;
    void (*go_on)(struct dest *t);
    dane_done *done;
    char host[DNS_NAME_MAX];
    char behind[DNS_NAME_MAX]; /* the host behind its alias; empty: it is none */
    bool asked_aaaa, at_behind;
};

static struct asking *asking_new(struct dest *t)
{
    struct asking *k = xcalloc(1, sizeof *k);
    k->t = t;
    return k;
}

static void on_mx_again(void *ctx, const struct dns_answer *a)
{
    struct asking *k = ctx;
    struct dest *t = k->t;
    void (*go_on)(struct dest *) = k->go_on;
    t->mx_secure = a->status != DNS_TEMPFAIL && a->secure;
    free(k);
    go_on(t);
}

/* The answer comes from the cache: dns_mx has just asked. */
void dane_begin(struct dest *t, struct span name, void (*go_on)(struct dest *t))
{
    struct asking *k = asking_new(t);
    k->go_on = go_on;
    dns_ask(t->d->dns, name, DNS_MX_RR, on_mx_again, k);
}

static void end(struct asking *k, bool usable, struct dane *records)
{
    struct dest *t = k->t;
    dane_done *done = k->done;
    free(k);
    done(t, usable, records);
}

static void ask_records(struct asking *k, bool behind);

static const char *base_of(const struct asking *k)
{
    return k->at_behind ? k->behind : k->host;
}

static void unknown(struct asking *k, const char *why)
{
    log_event(LOG_WARN, NULL, "dane-unknown", F_SPAN("to", k->t->key), F_STR("host", base_of(k)),
              F_STR("why", why));
    end(k, false, NULL);
}

static void on_tlsa(void *ctx, const struct dns_answer *a)
{
    struct asking *k = ctx;
    struct dest *t = k->t;
    bool found = a->status == DNS_OK && a->secure && a->n > 0;
    if (a->status == DNS_TEMPFAIL) {
        if (a->rcode != DNS_RCODE_NO_ANSWER)
            watch_fault(t, "dnssec-invalid", base_of(k), "TLSA");
        unknown(k, "the TLSA records can't be asked, or do not validate");
        return;
    }
    if (!found && k->at_behind) {
        ask_records(k, false);
        return;
    }
    if (!found) {
        end(k, true, NULL);
        return;
    }
    char domain[DNS_NAME_MAX];
    snprintf(domain, sizeof domain, "%.*s", SPAN_ARG(t->route.host.n ? t->route.host : t->domain));
    struct dane *d = dane_new(base_of(k), domain, a->rdata, a->n);
    if (d->n == 0) {
        log_event(LOG_WARN, NULL, "dane-unusable", F_SPAN("to", t->key), F_STR("host", base_of(k)),
                  F_INT("records", d->seen));
        watch_fault(t, "tlsa-invalid", base_of(k), "no record that can be used");
    }
    end(k, true, d);
}

static void ask_records(struct asking *k, bool behind)
{
    char name[DNS_NAME_MAX + 16];
    k->at_behind = behind;
    int n = snprintf(name, sizeof name, "_%u._tcp.%s", k->t->route.port, base_of(k));
    dns_ask(k->t->d->dns, span_of(name, (size_t)n), DNS_TLSA, on_tlsa, k);
}

/* The host leads out of what is signed; but is its own zone signed? */
static void on_alias(void *ctx, const struct dns_answer *a)
{
    struct asking *k = ctx;
    if (a->status == DNS_TEMPFAIL)
        unknown(k, "the host's alias can't be asked, or does not validate");
    else if (a->status == DNS_OK && a->secure)
        ask_records(k, false);
    else
        end(k, true, NULL);
}

static void on_address(void *ctx, const struct dns_answer *a)
{
    struct asking *k = ctx;
    struct dns *dns = k->t->d->dns;
    if (a->status == DNS_NONE && !k->asked_aaaa) {
        k->asked_aaaa = true;
        dns_ask(dns, span_str(k->host), DNS_AAAA, on_address, k);
        return;
    }
    if (a->canonical.n < sizeof k->behind)
        snprintf(k->behind, sizeof k->behind, "%.*s", SPAN_ARG(a->canonical));
    if (a->status == DNS_TEMPFAIL)
        unknown(k, "the addresses can't be asked, or do not validate");
    else if (a->status != DNS_OK)
        end(k, true, NULL);
    else if (a->secure)
        ask_records(k, k->behind[0]);
    else if (k->behind[0])
        dns_ask(dns, span_str(k->host), DNS_CNAME, on_alias, k);
    else
        end(k, true, NULL);
}

void dane_ask(struct dest *t, const char *host, dane_done *done)
{
    struct asking *k = asking_new(t);
    k->done = done;
    snprintf(k->host, sizeof k->host, "%s", host);
    dns_ask(t->d->dns, span_str(k->host), DNS_A, on_address, k);
}

bool dane_wanted(const struct deliver *d)
{
    return d->dns && d->set->queue.dane && d->set->queue.tls != DTLS_NONE && d->set->dns.dnssec;
}
