#include "rate/rate_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/xalloc.h"

struct rates *rates_new(const struct rate_settings *set, struct kv *kv)
{
    struct rates *r = xcalloc(1, sizeof *r);
    r->set = set;
    r->kv = kv;
    r->specs = xcalloc(set->limits.n + 1, sizeof *r->specs);
    for (size_t i = 0; i < set->limits.n; i++) {
        struct err e;
        r->n += rate_spec_parse(span_str(set->limits.v[i]), &r->specs[r->n], &e) == 0;
    }
    return r;
}

void rates_free(struct rates *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < RATE_BUCKETS; i++)
        for (struct rate_entry *e = r->sessions[i], *next; e; e = next) {
            next = e->next;
            free(e);
        }
    free(r->specs);
    free(r);
}

bool rates_any(const struct rates *r, enum rate_what what)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->specs[i].what == what)
            return true;
    return false;
}

/* ---- keys ---- */

static struct ip network_of(const struct ip *ip)
{
    struct ip net = *ip;
    if (ip_is4(ip))
        net.b[15] = 0;
    else
        memset(net.b + 8, 0, 8);
    return net;
}

static struct span domain_of(struct span addr)
{
    size_t at = span_rfind(addr, '@');
    return at == SIZE_MAX ? SPAN_NONE : span_from(addr, at + 1);
}

static struct span name_of(const struct rate_spec *s, const struct rate_keys *k)
{
    switch (s->who) {
    case RATE_SENDER:
        return k->sender;
    case RATE_SENDER_DOMAIN:
        return domain_of(k->sender);
    case RATE_RCPT:
        return k->rcpt;
    case RATE_RCPT_DOMAIN:
        return domain_of(k->rcpt);
    case RATE_USER:
        return k->user;
    default:
        return SPAN_NONE;
    }
}

static void add_lower(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_char(b, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i]);
}

bool rate_key(const struct rate_spec *s, const struct rate_keys *k, struct buf *out)
{
    buf_char(out, 'B');
    buf_str(out, s->name);
    buf_char(out, '\0');
    if (s->who == RATE_ADDRESS || s->who == RATE_NETWORK) {
        if (!k->ip)
            return false;
        struct ip ip = s->who == RATE_ADDRESS && ip_is4(k->ip) ? *k->ip : network_of(k->ip);
        buf_add(out, span_of((const char *)ip.b, sizeof ip.b));
        return true;
    }
    if (s->who == RATE_ASN) {
        buf_u32(out, k->asn);
        return k->asn != 0;
    }
    struct span name = name_of(s, k);
    add_lower(out, name);
    return name.n > 0;
}

void rate_whom(const struct rate_spec *s, const struct rate_keys *k, char *out, size_t size)
{
    char text[IP_TEXT_SIZE];
    if (s->who == RATE_ADDRESS)
        snprintf(out, size, "%s", ip_text(k->ip, text));
    else if (s->who == RATE_NETWORK) {
        struct ip net = network_of(k->ip);
        snprintf(out, size, "%s/%d", ip_text(&net, text), ip_is4(&net) ? 24 : 64);
    } else if (s->who == RATE_ASN)
        snprintf(out, size, "AS%u", k->asn);
    else
        snprintf(out, size, "%.*s", SPAN_ARG(name_of(s, k)));
}

/* ---- one bucket ---- */

struct pour {
    const struct rate_spec *spec;
    double n;
    usec now, wait;
    bool count, over;
};

static enum kv_change pour(void *ctx, struct span old, struct buf *fresh, usec *until)
{
    struct pour *p = ctx;
    struct cursor c = cursor_over(old);
    double level = cursor_f64(&c), leak = p->spec->n / (double)p->spec->per;
    usec at = (usec)cursor_u64(&c);
    if (!old.p || !cursor_ok(&c) || !isfinite(level) || level < 0 || at > p->now)
        level = 0, at = p->now;
    level = fmax(0, level - leak * (double)(p->now - at));
    double room = p->spec->burst - level;
    p->over = p->n > room || (p->n == 0 && room <= 0);
    if (p->over) {
        double wait = leak > 0 ? fmax(p->n - room, 1e-3) / leak : 86400e6;
        p->wait = wait > 86400e6 ? 86400 * USEC_PER_SEC : (usec)wait;
    }
    if (!p->count || (p->over && p->spec->answer != RATE_DELAY))
        return KV_KEEP;
    level += p->n;
    buf_f64(fresh, level);
    buf_u64(fresh, (uint64_t)p->now);
    double empty = leak > 0 ? level / leak : 86400e6;
    *until = p->now + (empty > 365 * 86400e6 ? 365 * 86400 * USEC_PER_SEC : (usec)empty) + 1;
    return KV_WRITE;
}

/* true: within the limit. */
static bool one(struct rates *r, const struct rate_spec *s, const struct rate_keys *keys, double n,
                bool count, usec now, struct rate_over *over)
{
    struct buf key = {0};
    struct pour p = {.spec = s, .n = n, .now = now, .count = count};
    bool within = !rate_key(s, keys, &key) ||
                  kv_update(r->kv, KV_RATE, buf_span(&key), now, pour, &p) != KV_OK || !p.over;
    buf_free(&key);
    if (!within && (!over->spec || p.wait > over->wait)) {
        over->spec = s;
        over->wait = p.wait;
        rate_whom(s, keys, over->whom, sizeof over->whom);
    }
    return within;
}

static bool all(struct rates *r, enum rate_what what, const struct rate_keys *keys, double n,
                bool count, usec now, struct rate_over *over)
{
    bool within = true;
    *over = (struct rate_over){0};
    for (size_t i = 0; i < r->n; i++)
        if (r->specs[i].what == what && !one(r, &r->specs[i], keys, n, count, now, over))
            within = false;
    return within;
}

bool rates_count(struct rates *r, enum rate_what what, const struct rate_keys *keys, double n,
                 usec now, struct rate_over *over)
{
    return all(r, what, keys, n, true, now, over);
}

bool rates_room(struct rates *r, enum rate_what what, const struct rate_keys *keys, double n,
                usec now, struct rate_over *over)
{
    return all(r, what, keys, n, false, now, over);
}

bool rates_count_one(struct rates *r, const struct rate_spec *spec, const struct rate_keys *keys,
                     usec now, struct rate_over *over)
{
    *over = (struct rate_over){0};
    return one(r, spec, keys, 1, true, now, over);
}

/* ---- users who were stopped ---- */

static void stop_key(struct span user, struct buf *out)
{
    buf_char(out, 'S');
    add_lower(out, user);
}

bool rates_stopped(struct rates *r, struct span user, usec now)
{
    struct buf key = {0}, v = {0};
    stop_key(user, &key);
    bool stopped = user.n && kv_get(r->kv, KV_RATE, buf_span(&key), now, &v) == KV_OK;
    buf_free(&key);
    buf_free(&v);
    return stopped;
}

void rates_stop(struct rates *r, struct span user, usec now)
{
    struct buf key = {0}, v = {0};
    stop_key(user, &key);
    buf_u64(&v, (uint64_t)now);
    kv_put(r->kv, KV_RATE, buf_span(&key), buf_span(&v),
           r->set->stop_time ? now + r->set->stop_time : 0);
    buf_free(&key);
    buf_free(&v);
}

enum kv_status rates_release(struct kv *kv, struct span user, usec now)
{
    struct buf key = {0}, v = {0};
    stop_key(user, &key);
    enum kv_status st = kv_get(kv, KV_RATE, buf_span(&key), now, &v);
    if (st == KV_OK)
        st = kv_delete(kv, KV_RATE, buf_span(&key));
    buf_free(&key);
    buf_free(&v);
    return st;
}

struct each {
    bool (*fn)(void *ctx, struct span user, usec since, usec until);
    void *ctx;
};

static bool each_stopped(void *ctx, struct span key, struct span value, usec until)
{
    struct each *e = ctx;
    struct cursor c = cursor_over(value);
    usec since = (usec)cursor_u64(&c);
    return e->fn(e->ctx, span_from(key, 1), since, until);
}

enum kv_status rates_each_stopped(struct kv *kv, usec now,
                                  bool (*fn)(void *ctx, struct span user, usec since, usec until),
                                  void *ctx)
{
    struct each e = {fn, ctx};
    return kv_each(kv, KV_RATE, SPAN("S"), now, each_stopped, &e);
}
