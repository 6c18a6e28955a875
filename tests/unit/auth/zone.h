/* A resolver that answers from a table: what tests and fuzz targets plug into the machines of auth.
 * `later`: answers wait until zone_run, as those of a network do. */
#ifndef GATEHOUSE_TESTS_AUTH_ZONE_H
#define GATEHOUSE_TESTS_AUTH_ZONE_H

#include "auth/resolver.h"

#include <stdlib.h>

enum { ZONE_TIMEOUT = 0xffff }; /* type: every question that finds nothing else fails */

struct zone_rr {
    struct span name;
    int type;
    struct span rdata;
};

struct zone_wait {
    struct span name;
    enum dns_type type;
    dns_answer_fn *done;
    void *ctx;
};

struct zone {
    struct resolver resolver;
    struct arena *a;
    struct zone_rr *v;
    size_t n, cap;
    bool later;
    struct zone_wait *waits;
    size_t nwaits, waits_cap;
    unsigned asked;
};

static inline struct span zone_name(struct arena *a, struct span host)
{
    char out[512];
    size_t n = 0;
    struct span rest = host;
    while (rest.n && n < 256) {
        struct span label = span_sub(rest, 0, span_find(rest, '.'));
        rest = span_from(rest, label.n + 1);
        out[n++] = (char)label.n;
        memcpy(out + n, label.p, label.n);
        n += label.n;
    }
    out[n++] = '\0';
    return arena_dup(a, span_of(out, n));
}

static inline void zone_add(struct zone *z, struct span name, int type, struct span rdata)
{
    *ARENA_PUSH(z->a, z->v, z->n, z->cap) =
        (struct zone_rr){arena_lower(z->a, name), type, arena_dup(z->a, rdata)};
}

static inline void zone_txt_span(struct zone *z, struct span name, struct span text)
{
    char *out = arena_raw(z->a, text.n + text.n / 255 + 2);
    size_t n = 0, at = 0;
    do {
        struct span part = span_sub(text, at, at + 255);
        out[n++] = (char)part.n;
        memcpy(out + n, part.p, part.n);
        n += part.n;
        at += part.n;
    } while (at < text.n);
    zone_add(z, name, DNS_TXT, span_of(out, n));
}

static inline void zone_txt(struct zone *z, const char *name, const char *text)
{
    zone_txt_span(z, span_str(name), span_str(text));
}

static inline void zone_address(struct zone *z, struct span name, struct span text)
{
    struct ip ip;
    if (!ip_parse(text, &ip))
        abort();
    if (span_find(text, ':') == SIZE_MAX)
        zone_add(z, name, DNS_A, span_of((const char *)ip.b + 12, 4));
    else
        zone_add(z, name, DNS_AAAA, span_of((const char *)ip.b, 16));
}

static inline void zone_a(struct zone *z, const char *name, const char *ip)
{
    zone_address(z, span_str(name), span_str(ip));
}

static inline void zone_host(struct zone *z, struct span name, int type, struct span host)
{
    zone_add(z, name, type, zone_name(z->a, host));
}

static inline void zone_mx(struct zone *z, struct span name, unsigned preference, struct span host)
{
    struct span wire = zone_name(z->a, host);
    char *out = arena_raw(z->a, wire.n + 2);
    out[0] = (char)(preference >> 8);
    out[1] = (char)preference;
    memcpy(out + 2, wire.p, wire.n);
    zone_add(z, name, DNS_MX_RR, span_of(out, wire.n + 2));
}

static inline void zone_answer(struct zone *z, struct span name, int type, dns_answer_fn *done,
                               void *ctx)
{
    struct span rdata[DNS_ANSWERS_MAX], alias = SPAN_NONE;
    struct dns_answer a = {.status = DNS_OK, .rdata = rdata, .ttl = 60};
    bool exists = false, timeout = false;
    name = arena_lower(z->a, name);
    for (int hops = 0; hops < 8; hops++) {
        alias = SPAN_NONE;
        for (size_t i = 0; i < z->n; i++) {
            const struct zone_rr *rr = &z->v[i];
            exists = exists || span_ends(rr->name, name);
            if (!span_eq(rr->name, name))
                continue;
            timeout = timeout || rr->type == ZONE_TIMEOUT;
            if (rr->type == type && a.n < DNS_ANSWERS_MAX)
                rdata[a.n++] = rr->rdata;
            if (rr->type == DNS_CNAME)
                alias = rr->rdata;
        }
        char text[DNS_NAME_MAX];
        size_t used;
        if (a.n || !alias.p ||
            !dns_name_decode((const unsigned char *)alias.p, alias.n, text, &used))
            break;
        name = arena_lower(z->a, span_str(text));
    }
    if (a.n == 0) {
        a.status = timeout ? DNS_TEMPFAIL : DNS_NONE;
        a.nxdomain = !timeout && !exists;
    }
    done(ctx, &a);
}

static inline void zone_ask(void *ctx, struct span name, enum dns_type type, dns_answer_fn *done,
                            void *done_ctx)
{
    struct zone *z = ctx;
    z->asked++;
    if (z->later)
        *ARENA_PUSH(z->a, z->waits, z->nwaits, z->waits_cap) =
            (struct zone_wait){arena_dup(z->a, name), type, done, done_ctx};
    else
        zone_answer(z, name, (int)type, done, done_ctx);
}

/* Gives all answers that wait, the last asked first. */
static inline void zone_run(struct zone *z)
{
    while (z->nwaits) {
        struct zone_wait w = z->waits[--z->nwaits];
        zone_answer(z, w.name, (int)w.type, w.done, w.ctx);
    }
}

static inline void zone_new(struct zone *z)
{
    memset(z, 0, sizeof *z);
    z->a = arena_new(0);
    z->resolver = (struct resolver){zone_ask, z};
}

static inline void zone_free(struct zone *z)
{
    arena_free(z->a);
}

#endif
