#include "reports/rua.h"

#include "auth/name.h"
#include "message/envelope.h"
#include "reports/tlsrpt.h"

bool rua_mailto(struct arena *a, struct span uri, struct span *address)
{
    struct dmarc_uri one;
    /* Headers behind a '?' are nobody's business. */
    if (!dmarc_uri_parse(a, span_sub(uri, 0, span_find(uri, '?')), &one))
        return false;
    *address = one.address;
    return true;
}

static void end(struct rua *r)
{
    r->done(r->ctx);
}

static bool known(const struct rua *r, struct span address)
{
    for (size_t i = 0; i < r->n; i++)
        if (span_ieq(r->v[i].address, address))
            return true;
    return false;
}

static void add(struct rua *r, struct span address, uint64_t max_size)
{
    if (r->n < DMARC_URIS_MAX && !known(r, address))
        r->v[r->n++] = (struct rua_to){.address = address, .max_size = max_size};
}

/* --- DMARC --- */

static void next(struct rua *r);

static struct span host_of(const struct rua *r)
{
    struct span host;
    return name_canonical(r->a, addr_domain(r->a, r->v[r->at].address), &host) ? host : SPAN("");
}

static void refuse(struct rua *r, const char *why, bool later)
{
    r->v[r->at].refused = why;
    r->v[r->at].later = later;
    r->at++;
    next(r);
}

/* A record of the destination that names where reports shall go instead: only to itself. */
static bool redirect(struct rua *r, const struct dmarc_record *record)
{
    struct rua_to *to = &r->v[r->at];
    struct span host = host_of(r), other;
    if (!record->nrua)
        return true;
    if (!name_canonical(r->a, addr_domain(r->a, record->rua[0].address), &other) ||
        !span_eq(other, host))
        return false;
    to->address = record->rua[0].address;
    if (record->rua[0].max_size)
        to->max_size = record->rua[0].max_size;
    return true;
}

static void on_consent(void *ctx, const struct dns_answer *ans)
{
    struct rua *r = ctx;
    struct span txt;
    struct dmarc_record record;
    bool agreed = false;
    if (ans->status == DNS_TEMPFAIL) {
        refuse(r, "whether it takes reports about this domain can't be asked now", true);
        return;
    }
    for (size_t i = 0; ans->status == DNS_OK && i < ans->n; i++) {
        if (!dns_txt_join(ans->rdata[i], r->a, &txt) || !dmarc_is_record(txt))
            continue;
        agreed = true;
        /* Without p= and rua= it parses to nothing, and is consent all the same. */
        if (dmarc_parse(r->a, txt, &record) && !redirect(r, &record)) {
            refuse(r, "it sends reports on to another domain", false);
            return;
        }
    }
    if (!agreed) {
        refuse(r, "it does not say that it takes reports about this domain", false);
        return;
    }
    r->at++;
    next(r);
}

static void ask_consent(struct rua *r)
{
    struct span name =
        arena_printf(r->a, "%.*s._report._dmarc.%.*s", SPAN_ARG(r->domain), SPAN_ARG(host_of(r)));
    if (name_fits(name))
        resolver_ask(r->resolver, name, DNS_TXT, on_consent, r);
    else
        refuse(r, "the name to be asked would be too long", false);
}

static void on_organisation(void *ctx)
{
    struct rua *r = ctx;
    if (r->found.tempfail) {
        refuse(r, "its organisation can't be asked now", true);
        return;
    }
    if (!span_eq(r->found.organisation, r->org)) {
        ask_consent(r);
        return;
    }
    r->at++;
    next(r);
}

static void next(struct rua *r)
{
    if (r->at == r->n) {
        end(r);
        return;
    }
    struct span host = host_of(r);
    if (!host.n) {
        refuse(r, "its domain is none", false);
        return;
    }
    if (span_eq(host, r->domain)) {
        r->at++;
        next(r);
    } else if (r->method == DMARC_SUFFIX) {
        r->found = (struct dmarc_found){.organisation = dmarc_organisation(r->a, host)};
        on_organisation(r);
    } else {
        dmarc_find(r->method, host, r->resolver, r->a, &r->found, on_organisation, r);
    }
}

static void on_own_organisation(void *ctx)
{
    struct rua *r = ctx;
    if (r->found.tempfail) {
        r->later = true;
        end(r);
        return;
    }
    r->org = r->found.organisation;
    next(r);
}

static void begin(struct rua *r, struct span domain, const struct resolver *resolver,
                  struct arena *a, void (*done)(void *ctx), void *ctx)
{
    *r = (struct rua){.resolver = resolver, .a = a, .domain = domain, .done = done, .ctx = ctx};
}

void rua_dmarc(struct rua *r, enum dmarc_method method, struct span domain, struct span record,
               const struct resolver *resolver, struct arena *a, void (*done)(void *ctx), void *ctx)
{
    struct dmarc_record parsed;
    begin(r, domain, resolver, a, done, ctx);
    r->method = method;
    bool asks = dmarc_parse(a, record, &parsed);
    for (size_t i = 0; asks && i < parsed.nrua; i++)
        add(r, parsed.rua[i].address, parsed.rua[i].max_size);
    if (!r->n) {
        end(r);
        return;
    }
    if (method == DMARC_TREE) {
        dmarc_find(method, domain, resolver, a, &r->found, on_own_organisation, r);
        return;
    }
    r->found = (struct dmarc_found){.organisation = dmarc_organisation(a, domain)};
    on_own_organisation(r);
}

/* --- TLS --- */

static void on_tls_record(void *ctx, const struct dns_answer *ans)
{
    struct rua *r = ctx;
    struct span txt, found = SPAN_NONE, to[DMARC_URIS_MAX];
    size_t records = 0;
    r->later = ans->status == DNS_TEMPFAIL;
    for (size_t i = 0; ans->status == DNS_OK && i < ans->n; i++)
        if (dns_txt_join(ans->rdata[i], r->a, &txt) && tls_is_record(txt)) {
            found = txt;
            records++;
        }
    /* Several are as good as none (section 3). */
    size_t n = records == 1 ? tls_record_parse(r->a, found, to, DMARC_URIS_MAX) : 0;
    for (size_t i = 0; i < n; i++)
        add(r, to[i], 0);
    end(r);
}

void rua_tls(struct rua *r, struct span domain, const struct resolver *resolver, struct arena *a,
             void (*done)(void *ctx), void *ctx)
{
    begin(r, domain, resolver, a, done, ctx);
    struct span name = arena_printf(a, "_smtp._tls.%.*s", SPAN_ARG(domain));
    if (name_fits(name))
        resolver_ask(resolver, name, DNS_TXT, on_tls_record, r);
    else
        end(r);
}
