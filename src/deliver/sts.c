#include "deliver/sts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "deliver/fetch.h"
#include "kv/kv.h"

enum { STORE_SIZE = 64 * 1024 * 1024 };

struct sts {
    uv_loop_t *loop;
    const struct settings *set;
    struct dns *dns;
    struct kv *kv;
    sts_failed *failed; /* or NULL */
    void *failed_ctx;
};

/* One question. What is kept is "ID\nPOLICY"; a fetch that failed is kept as "ID\n". */
struct asking {
    struct sts *s;
    struct arena *a;
    struct span domain, id; /* id: of the record that was found; absent: none */
    sts_done *done;
    void *ctx;
};

struct sts *sts_new(uv_loop_t *loop, const struct settings *set, struct dns *dns)
{
    struct sts *s = xcalloc(1, sizeof *s);
    char *path = xasprintf("%s/mta-sts.kv", set->paths.state);
    *s = (struct sts){.loop = loop, .set = set, .dns = dns, .kv = kv_open(path, STORE_SIZE)};
    free(path);
    return s;
}

void sts_on_failure(struct sts *s, sts_failed *told, void *ctx)
{
    s->failed = told;
    s->failed_ctx = ctx;
}

void sts_free(struct sts *s)
{
    if (!s)
        return;
    kv_close(s->kv);
    free(s);
}

void sts_tick(struct sts *s)
{
    kv_tick(s->kv, clock_wall());
}

static void end(struct asking *k, const struct sts_policy *p)
{
    k->done(k->ctx, p);
    arena_free(k->a);
    free(k);
}

/* --- what is kept --- */

/* The policy that holds, and the id it came with. */
static bool kept(struct asking *k, struct sts_policy *out, struct span *id)
{
    struct buf b = {0};
    *id = SPAN_NONE;
    if (kv_get(k->s->kv, KV_MTA_STS, k->domain, clock_wall(), &b) != KV_OK) {
        buf_free(&b);
        return false;
    }
    struct span all = arena_dup(k->a, buf_span(&b));
    buf_free(&b);
    size_t lf = span_find(all, '\n');
    *id = span_sub(all, 0, lf);
    return lf != SIZE_MAX && sts_policy_parse(span_from(all, lf + 1), k->a, out, NULL) == 0;
}

static void end_with_kept(struct asking *k)
{
    struct sts_policy p;
    struct span id;
    end(k, kept(k, &p, &id) ? &p : NULL);
}

static void keep(struct asking *k, struct span policy, usec age)
{
    struct buf b = {0};
    buf_add(&b, k->id);
    buf_char(&b, '\n');
    buf_add(&b, policy);
    kv_put(k->s->kv, KV_MTA_STS, k->domain, buf_span(&b), clock_wall() + age);
    buf_free(&b);
}

/* --- the way to a new one --- */

static void failed(struct asking *k, const char *result, const char *why)
{
    struct sts_policy p;
    struct span id;
    if (k->s->failed)
        k->s->failed(k->s->failed_ctx, k->domain, result, why);
    log_event(LOG_WARN, NULL, "mta-sts-failed", F_SPAN("domain", k->domain), F_STR("why", why));
    if (kept(k, &p, &id)) {
        end(k, &p); /* a new one is tried at the next question */
        return;
    }
    keep(k, SPAN(""), STS_RETRY);
    end(k, NULL);
}

static void on_fetched(void *ctx, struct span text, const struct err *e)
{
    struct asking *k = ctx;
    struct sts_policy p;
    struct err why;
    if (!text.p) {
        failed(k, e->sys == EKEYREJECTED ? "sts-webpki-invalid" : "sts-policy-fetch-error",
               e->text);
        return;
    }
    if (sts_policy_parse(text, k->a, &p, &why) < 0) {
        failed(k, "sts-policy-invalid", why.text);
        return;
    }
    static const char *const modes[] = {"none", "testing", "enforce"};
    log_event(LOG_NOTE, NULL, "mta-sts", F_SPAN("domain", k->domain), F_STR("mode", modes[p.mode]),
              F_INT("mx", p.n), F_INT("max_age", p.max_age));
    keep(k, text, (usec)p.max_age * USEC_PER_SEC);
    end(k, &p);
}

static void on_addresses(void *ctx, enum dns_status st, const struct ip *v, size_t n)
{
    struct asking *k = ctx;
    char host[DNS_NAME_MAX + 16], url[DNS_NAME_MAX + 64];
    if (st != DNS_OK || n == 0) {
        failed(k, "sts-policy-fetch-error", "mta-sts.DOMAIN has no address");
        return;
    }
    snprintf(host, sizeof host, "mta-sts.%.*s", SPAN_ARG(k->domain));
    snprintf(url, sizeof url, "https://%s/.well-known/mta-sts.txt", host);
    fetch_text(k->s->loop, host, url, v, n, "text/plain", k->s->set->tls.authorities,
               STS_POLICY_MAX, on_fetched, k);
}

/* Exactly one record counts (section 3.1). */
static bool record_in(const struct dns_answer *a, struct arena *arena, struct span *id)
{
    size_t found = 0;
    for (size_t i = 0; a->status == DNS_OK && i < a->n; i++) {
        struct span text, one;
        if (!dns_txt_join(a->rdata[i], arena, &text) ||
            !span_eq(span_sub(text, 0, 8), SPAN("v=STSv1;")))
            continue;
        found++;
        if (sts_record_parse(text, &one))
            *id = arena_dup(arena, one);
    }
    return found == 1 && id->p;
}

static void on_record(void *ctx, const struct dns_answer *a)
{
    struct asking *k = ctx;
    struct sts_policy p;
    struct span id;
    if (!record_in(a, k->a, &k->id)) {
        end_with_kept(k);
        return;
    }
    bool have = kept(k, &p, &id);
    if (id.p && span_eq(id, k->id)) {
        end(k, have ? &p : NULL);
        return;
    }
    struct span host = arena_printf(k->a, "mta-sts.%.*s", SPAN_ARG(k->domain));
    dns_addresses(k->s->dns, host, on_addresses, k);
}

void sts_ask(struct sts *s, struct span domain, sts_done *done, void *ctx)
{
    struct asking *k = xcalloc(1, sizeof *k);
    struct arena *a = arena_new(0);
    *k =
        (struct asking){.s = s, .a = a, .domain = arena_lower(a, domain), .done = done, .ctx = ctx};
    struct span name = arena_printf(a, "_mta-sts.%.*s", SPAN_ARG(domain));
    dns_ask(s->dns, name, DNS_TXT, on_record, k);
}
