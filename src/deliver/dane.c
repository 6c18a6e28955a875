/* Which exchangers must prove who they are by DANE (RFC 7672 section 2.2).
 *
 * The chain is followed as long as it is validated: the MX records, then the addresses of the host,
 * then its TLSA records. Where it is not, there is no DANE for the host; where it can't be asked or
 * does not validate, the host is not used now: that is what an attacker would like best. */
#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "deliver/deliver_private.h"

struct asking {
    struct dest *t;
    void (*go_on)(struct dest *t);
    dane_done *done;
    char host[DNS_NAME_MAX];
    bool asked_aaaa;
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

static void on_tlsa(void *ctx, const struct dns_answer *a)
{
    struct asking *k = ctx;
    struct dest *t = k->t;
    if (a->status == DNS_TEMPFAIL) {
        log_event(LOG_WARN, NULL, "dane-unknown", F_SPAN("to", t->key), F_STR("host", k->host),
                  F_STR("why", "the TLSA records can't be asked, or do not validate"));
        if (a->rcode != DNS_RCODE_NO_ANSWER)
            watch_fault(t, "dnssec-invalid", k->host, "TLSA");
        end(k, false, NULL);
        return;
    }
    if (a->status != DNS_OK || !a->secure || a->n == 0) {
        end(k, true, NULL);
        return;
    }
    char domain[DNS_NAME_MAX];
    snprintf(domain, sizeof domain, "%.*s", SPAN_ARG(t->route.host.n ? t->route.host : t->domain));
    struct dane *d = dane_new(k->host, domain, a->rdata, a->n);
    if (d->n == 0) {
        log_event(LOG_WARN, NULL, "dane-unusable", F_SPAN("to", t->key), F_STR("host", k->host),
                  F_INT("records", d->seen));
        watch_fault(t, "tlsa-invalid", k->host, "no record that can be used");
    }
    end(k, true, d);
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
    if (a->status != DNS_OK || !a->secure) {
        end(k, a->status != DNS_TEMPFAIL, NULL);
        return;
    }
    char name[DNS_NAME_MAX + 16];
    int n = snprintf(name, sizeof name, "_%u._tcp.%s", k->t->route.port, k->host);
    dns_ask(dns, span_of(name, (size_t)n), DNS_TLSA, on_tlsa, k);
}

void dane_ask(struct dest *t, dane_done *done)
{
    struct asking *k = asking_new(t);
    k->done = done;
    snprintf(k->host, sizeof k->host, "%s", t->mx[t->at_mx].host);
    dns_ask(t->d->dns, span_str(k->host), DNS_A, on_address, k);
}
