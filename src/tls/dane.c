#include "tls/dane.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

enum { HEAD = 3 }; /* usage, selector, matching type */

bool dane_usable(struct span rdata)
{
    if (rdata.n <= HEAD || rdata.n > DANE_RDATA_MAX)
        return false;
    unsigned usage = (unsigned char)rdata.p[0], selector = (unsigned char)rdata.p[1],
             matching = (unsigned char)rdata.p[2];
    if ((usage != 2 && usage != 3) || selector > 1 || matching > 2)
        return false;
    return matching == 0 || rdata.n == HEAD + (matching == 1 ? 32u : 64u);
}

struct dane *dane_new(const char *host, const char *next_hop, const struct span *rdata, size_t n)
{
    struct dane *d = xcalloc(1, sizeof *d);
    d->refs = 1;
    d->seen = n;
    d->host = xstrdup(host);
    d->next_hop = next_hop ? xstrdup(next_hop) : NULL;
    d->v = xcalloc(n + 1, sizeof *d->v);
    for (size_t i = 0; i < n && d->n < DANE_RECORDS_MAX; i++) {
        if (!dane_usable(rdata[i]))
            continue;
        char *copy = xmalloc(rdata[i].n);
        memcpy(copy, rdata[i].p, rdata[i].n);
        d->v[d->n++] = span_of(copy, rdata[i].n);
    }
    return d;
}

struct dane *dane_ref(struct dane *d)
{
    if (d)
        d->refs++;
    return d;
}

void dane_unref(struct dane *d)
{
    if (!d || --d->refs)
        return;
    for (size_t i = 0; i < d->n; i++)
        free((char *)(uintptr_t)d->v[i].p);
    free(d->v);
    free(d->host);
    free(d->next_hop);
    free(d);
}

SSL_CTX *dane_context(SSL_CTX *ctx)
{
    if (ctx && SSL_CTX_dane_enable(ctx) == 1) {
        /* RFC 7672 section 3.1.1: the key counts, neither the names nor the dates around it. */
        SSL_CTX_dane_set_flags(ctx, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
        return ctx;
    }
    SSL_CTX_free(ctx);
    return NULL;
}

int dane_apply(const struct dane *d, SSL *ssl)
{
    size_t taken = 0;
    if (SSL_dane_enable(ssl, d->host) <= 0)
        return -1;
    if (d->next_hop)
        SSL_add1_host(ssl, d->next_hop);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    for (size_t i = 0; i < d->n; i++) {
        const unsigned char *p = (const unsigned char *)d->v[i].p;
        taken += SSL_dane_tlsa_add(ssl, p[0], p[1], p[2], p + HEAD, d->v[i].n - HEAD) > 0;
    }
    SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    return taken ? 0 : -1;
}
