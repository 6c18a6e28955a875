#include "dns/dns.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unbound.h>

#include "base/log.h"
#include "base/xalloc.h"

enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_MX = 15, TYPE_AAAA = 28, CLASS_IN = 1 };

struct dns {
    uv_loop_t *loop;
    const struct dns_settings *set;
    struct ub_ctx *ub;
    uv_poll_t poll;
    bool polling;
    struct dns_question *open; /* doubly linked */
};

/* One question of the caller: one or two lookups (A and AAAA), for a reverse name PTR first. */
struct dns_question {
    struct dns *dns;
    struct dns_question *prev, *next;
    uv_timer_t timer;
    enum { ADDRESSES, MX, REVERSE } kind;
    union {
        dns_addresses_fn *addresses;
        dns_mx_fn *mx;
        dns_name_fn *name;
    } done;
    void *ctx;
    int ids[2];  /* libunbound's, of lookups under way */
    int waiting; /* lookups under way */
    bool ended, tempfail;
    struct ip wanted; /* REVERSE: the address that must come back */
    char name[DNS_NAME_MAX];
    struct ip ips[DNS_ANSWERS_MAX];
    size_t nips;
    struct dns_mx mx[DNS_ANSWERS_MAX];
    size_t nmx;
};

struct dns *dns_new(uv_loop_t *loop, const struct dns_settings *s)
{
    struct dns *d = xcalloc(1, sizeof *d);
    d->loop = loop;
    d->set = s;
    return d;
}

/* --- the library --- */

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct dns *d = poll->data;
    (void)status, (void)events;
    ub_process(d->ub);
}

static void configure(struct dns *d)
{
    ub_ctx_async(d->ub, 1);
    ub_ctx_set_option(d->ub, "cache-min-ttl:", "5");
    ub_ctx_set_option(d->ub, "do-not-query-localhost:", "no");
    ub_ctx_set_option(d->ub,
                      "unblock-lan-zones:", "yes"); /* names of clients in our own networks */
    ub_ctx_set_option(d->ub, "insecure-lan-zones:", "yes");
    for (size_t i = 0; i < d->set->servers.n; i++)
        if (ub_ctx_set_fwd(d->ub, d->set->servers.v[i]) != 0)
            log_event(LOG_FAULT, NULL, "dns-server", F_STR("unusable", d->set->servers.v[i]));
    if (d->set->servers.n == 0 && !d->set->recursive)
        ub_ctx_resolvconf(d->ub, NULL);
    ub_ctx_hosts(d->ub, NULL);
}

static bool ready(struct dns *d)
{
    if (d->ub)
        return true;
    d->ub = ub_ctx_create();
    if (!d->ub)
        return false;
    configure(d);
    uv_poll_init(d->loop, &d->poll, ub_fd(d->ub));
    d->poll.data = d;
    uv_poll_start(&d->poll, UV_READABLE, on_readable);
    uv_unref((uv_handle_t *)&d->poll);
    d->polling = true;
    return true;
}

static void end(struct dns *d)
{
    if (d->ub)
        ub_ctx_delete(d->ub);
    free(d);
}

static void on_poll_closed(uv_handle_t *h)
{
    end(h->data);
}

void dns_free(struct dns *d)
{
    if (!d)
        return;
    while (d->open)
        dns_cancel(d->open);
    if (d->polling)
        uv_close((uv_handle_t *)&d->poll, on_poll_closed);
    else
        end(d);
}

/* --- life of a question --- */

static void on_timer_closed(uv_handle_t *h)
{
    free(h->data);
}

static void drop(struct dns_question *q)
{
    struct dns *d = q->dns;
    q->ended = true;
    for (int i = 0; i < 2; i++)
        if (q->ids[i])
            ub_cancel(d->ub, q->ids[i]);
    if (q->prev)
        q->prev->next = q->next;
    else
        d->open = q->next;
    if (q->next)
        q->next->prev = q->prev;
    uv_close((uv_handle_t *)&q->timer, on_timer_closed);
}

void dns_cancel(struct dns_question *q)
{
    drop(q);
}

static int by_preference(const void *a, const void *b)
{
    const struct dns_mx *x = a, *y = b;
    return (x->preference > y->preference) - (x->preference < y->preference);
}

static void shuffle(struct dns_mx *v, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        uint32_t r;
        if (getrandom(&r, sizeof r, 0) != sizeof r)
            return;
        struct dns_mx swap = v[i - 1];
        v[i - 1] = v[r % i];
        v[r % i] = swap;
    }
}

static bool confirmed(const struct dns_question *q)
{
    for (size_t i = 0; i < q->nips; i++)
        if (memcmp(&q->ips[i], &q->wanted, sizeof q->wanted) == 0)
            return true;
    return false;
}

static void finish(struct dns_question *q)
{
    size_t n = q->kind == MX ? q->nmx : q->nips;
    enum dns_status st = n ? DNS_OK : q->tempfail ? DNS_TEMPFAIL : DNS_NONE;
    drop(q); /* q itself lives until the timer's close callback */
    if (q->kind == ADDRESSES) {
        q->done.addresses(q->ctx, st, q->ips, q->nips);
    } else if (q->kind == MX) {
        shuffle(q->mx, q->nmx);
        qsort(q->mx, q->nmx, sizeof *q->mx, by_preference);
        q->done.mx(q->ctx, st, q->mx, q->nmx);
    } else {
        bool ok = confirmed(q);
        q->done.name(q->ctx,
                     ok             ? DNS_OK
                     : st == DNS_OK ? DNS_NONE
                                    : st,
                     ok ? span_str(q->name) : SPAN_NONE);
    }
}

static void on_deadline(uv_timer_t *t)
{
    struct dns_question *q = t->data;
    q->tempfail = true;
    finish(q);
}

static struct dns_question *question(struct dns *d, int kind, void *ctx)
{
    struct dns_question *q = xcalloc(1, sizeof *q);
    q->dns = d;
    q->kind = kind;
    q->ctx = ctx;
    q->next = d->open;
    if (q->next)
        q->next->prev = q;
    d->open = q;
    uv_timer_init(d->loop, &q->timer);
    q->timer.data = q;
    uv_timer_start(&q->timer, on_deadline, (uint64_t)(d->set->timeout / 1000), 0);
    return q;
}

/* --- answers --- */

bool dns_name_decode(const unsigned char *rdata, size_t n, char out[DNS_NAME_MAX], size_t *used)
{
    size_t at = 0, w = 0;
    while (at < n && rdata[at] != 0) {
        size_t label = rdata[at++];
        if (label > 63 || label > n - at || w + label + 1 >= DNS_NAME_MAX)
            return false;
        for (size_t i = 0; i < label; i++) {
            char c = ascii_lower((char)rdata[at + i]);
            if (!ascii_isalnum(c) && c != '-' && c != '_')
                return false;
            out[w++] = c;
        }
        out[w++] = '.';
        at += label;
    }
    if (at >= n)
        return false; /* no root label */
    out[w ? w - 1 : 0] = '\0';
    *used = at + 1;
    return true;
}

static void lookup(struct dns_question *q, const char *name, int type);

static void take_address(struct dns_question *q, int type, const unsigned char *p, size_t n)
{
    char text[IP_TEXT_SIZE];
    if (q->nips == DNS_ANSWERS_MAX)
        return;
    if (type == TYPE_A && n == 4) {
        snprintf(text, sizeof text, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
        q->nips += ip_parse(span_str(text), &q->ips[q->nips]);
    } else if (type == TYPE_AAAA && n == 16) {
        memcpy(q->ips[q->nips++].b, p, 16);
    }
}

static void take_mx(struct dns_question *q, const unsigned char *p, size_t n)
{
    struct dns_mx *mx = &q->mx[q->nmx];
    size_t used;
    if (q->nmx == DNS_ANSWERS_MAX || n < 3 || !dns_name_decode(p + 2, n - 2, mx->host, &used) ||
        used != n - 2)
        return;
    mx->preference = (uint16_t)(p[0] << 8 | p[1]);
    q->nmx++;
}

/* A name was found for the address: does it lead back? */
static void take_ptr(struct dns_question *q, const unsigned char *p, size_t n)
{
    size_t used;
    if (q->name[0] || !dns_name_decode(p, n, q->name, &used) || used != n || !q->name[0])
        return;
    lookup(q, q->name, ip_is4(&q->wanted) ? TYPE_A : TYPE_AAAA);
}

static void take(struct dns_question *q, const struct ub_result *r)
{
    for (size_t i = 0; r->data[i] && i < DNS_ANSWERS_MAX; i++) {
        const unsigned char *p = (const unsigned char *)r->data[i];
        size_t n = r->len[i] > 0 ? (size_t)r->len[i] : 0;
        if (r->qtype == TYPE_MX)
            take_mx(q, p, n);
        else if (r->qtype == TYPE_PTR)
            take_ptr(q, p, n);
        else
            take_address(q, r->qtype, p, n);
    }
}

static void on_answer(void *ctx, int error, struct ub_result *r)
{
    struct dns_question *q = ctx;
    q->waiting--;
    for (int i = 0; r && i < 2; i++)
        if (q->waiting == 0 || (r->qtype == TYPE_AAAA) == (i == 1))
            q->ids[i] = 0; /* answered: nothing to cancel */
    /* rcode 0 NOERROR, 3 NXDOMAIN */
    if (error || !r || r->bogus || (r->rcode != 0 && r->rcode != 3))
        q->tempfail = true;
    else if (r->havedata)
        take(q, r);
    ub_resolve_free(r);
    if (q->waiting == 0)
        finish(q);
}

static void lookup(struct dns_question *q, const char *name, int type)
{
    int id = 0;
    q->waiting++;
    if (!ready(q->dns) ||
        ub_resolve_async(q->dns->ub, name, type, CLASS_IN, q, on_answer, &id) != 0) {
        q->waiting--;
        q->tempfail = true;
        uv_timer_start(&q->timer, on_deadline, 0, 0); /* told from the loop, as promised */
        return;
    }
    q->ids[type == TYPE_AAAA] = id;
}

/* --- questions --- */

static bool name_of(struct span s, char out[DNS_NAME_MAX])
{
    if (s.n == 0 || s.n >= DNS_NAME_MAX || memchr(s.p, '\0', s.n))
        return false;
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

static void on_no_such(uv_timer_t *t)
{
    finish(t->data);
}

/* A name that can't be asked has no records; told from the loop, as promised. */
static void no_such(struct dns_question *q)
{
    uv_timer_start(&q->timer, on_no_such, 0, 0);
}

struct dns_question *dns_addresses(struct dns *d, struct span host, dns_addresses_fn *done,
                                   void *ctx)
{
    struct dns_question *q = question(d, ADDRESSES, ctx);
    char name[DNS_NAME_MAX];
    q->done.addresses = done;
    if (!name_of(host, name)) {
        no_such(q);
        return q;
    }
    lookup(q, name, TYPE_A);
    lookup(q, name, TYPE_AAAA);
    return q;
}

struct dns_question *dns_mx(struct dns *d, struct span domain, dns_mx_fn *done, void *ctx)
{
    struct dns_question *q = question(d, MX, ctx);
    char name[DNS_NAME_MAX];
    q->done.mx = done;
    if (name_of(domain, name))
        lookup(q, name, TYPE_MX);
    else
        no_such(q);
    return q;
}

static void reverse_name(const struct ip *ip, char out[DNS_NAME_MAX])
{
    if (ip_is4(ip)) {
        snprintf(out, DNS_NAME_MAX, "%u.%u.%u.%u.in-addr.arpa", ip->b[15], ip->b[14], ip->b[13],
                 ip->b[12]);
        return;
    }
    size_t n = 0;
    for (int i = 15; i >= 0; i--)
        n += (size_t)snprintf(out + n, DNS_NAME_MAX - n, "%x.%x.", ip->b[i] & 15, ip->b[i] >> 4);
    snprintf(out + n, DNS_NAME_MAX - n, "ip6.arpa");
}

struct dns_question *dns_reverse(struct dns *d, const struct ip *ip, dns_name_fn *done, void *ctx)
{
    struct dns_question *q = question(d, REVERSE, ctx);
    char name[DNS_NAME_MAX];
    q->done.name = done;
    q->wanted = *ip;
    reverse_name(ip, name);
    lookup(q, name, TYPE_PTR);
    return q;
}
