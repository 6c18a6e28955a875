#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/xalloc.h"
#include "dns/dns_private.h"

enum { CLASS_IN = 1 };

/* One question of the caller: one lookup, or two (A and AAAA), for a reverse name PTR first. */
struct dns_question {
    struct dns *dns;
    struct dns_question *prev, *next;
    uv_timer_t timer;
    enum { ANY, ADDRESSES, MX, REVERSE } kind;
    union {
        dns_answer_fn *answer;
        dns_addresses_fn *addresses;
        dns_mx_fn *mx;
        dns_name_fn *name;
    } done;
    void *ctx;
    int ids[2];                   /* libunbound's, of lookups under way */
    struct cache_entry *known[2]; /* answers that are only to be told */
    struct dns_question *next_known;
    bool is_known; /* in the list of such */
    int waiting;   /* lookups under way */
    bool ended, tempfail;
    int rcode;           /* ANY: of what was no answer */
    struct ip wanted;    /* REVERSE: the address that must come back */
    struct found *found; /* not for ANY */
};

/* What a question of several lookups has gathered. */
struct found {
    char name[DNS_NAME_MAX];
    struct ip ips[DNS_ANSWERS_MAX];
    size_t nips;
    struct dns_mx mx[DNS_ANSWERS_MAX];
    size_t nmx;
};

/* --- life of a question --- */

static void on_timer_closed(uv_handle_t *h)
{
    struct dns_question *q = h->data;
    free(q->found);
    free(q);
}

static void forget_known(struct dns_question *q)
{
    struct dns *d = q->dns;
    struct dns_question **at = &d->known;
    if (!q->is_known)
        return;
    while (*at != q)
        at = &(*at)->next_known;
    *at = q->next_known;
    if (d->known_last == &q->next_known)
        d->known_last = at;
    q->is_known = false;
}

static void drop(struct dns_question *q)
{
    struct dns *d = q->dns;
    q->ended = true;
    for (int i = 0; i < 2; i++) {
        if (q->ids[i])
            ub_cancel(d->ub, q->ids[i]);
        cache_entry_unref(q->known[i]);
        q->known[i] = NULL;
    }
    forget_known(q);
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

static void tell_mx(struct dns_question *q, enum dns_status st)
{
    shuffle(q->found->mx, q->found->nmx);
    qsort(q->found->mx, q->found->nmx, sizeof *q->found->mx, by_preference);
    q->done.mx(q->ctx, st, q->found->mx, q->found->nmx);
}

static void tell_name(struct dns_question *q, enum dns_status st)
{
    const struct found *f = q->found;
    for (size_t i = 0; i < f->nips; i++)
        if (memcmp(&f->ips[i], &q->wanted, sizeof q->wanted) == 0) {
            q->done.name(q->ctx, DNS_OK, span_str(f->name));
            return;
        }
    q->done.name(q->ctx, st == DNS_OK ? DNS_NONE : st, SPAN_NONE);
}

/* q itself lives until the timer's close callback. */
static void finish(struct dns_question *q)
{
    struct found *f = q->found;
    drop(q);
    if (q->kind == ANY) {
        const struct dns_answer a = {.status = q->tempfail ? DNS_TEMPFAIL : DNS_NONE,
                                     .rcode = q->rcode,
                                     .nxdomain = !q->tempfail};
        q->done.answer(q->ctx, &a);
        return;
    }
    enum dns_status st = f->nips || f->nmx ? DNS_OK : q->tempfail ? DNS_TEMPFAIL : DNS_NONE;
    if (q->kind == ADDRESSES)
        q->done.addresses(q->ctx, st, f->ips, f->nips);
    else if (q->kind == MX)
        tell_mx(q, st);
    else
        tell_name(q, st);
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
    q->rcode = DNS_RCODE_NO_ANSWER;
    q->ctx = ctx;
    if (kind != ANY)
        q->found = xcalloc(1, sizeof *q->found);
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

static void lookup(struct dns_question *q, const char *name, int type);

static void take_address(struct found *f, int type, struct span rdata)
{
    if (f->nips < DNS_ANSWERS_MAX)
        f->nips += dns_rdata_ip(rdata, (enum dns_type)type, &f->ips[f->nips]);
}

static void take_mx(struct found *f, struct span rdata)
{
    if (f->nmx < DNS_ANSWERS_MAX)
        f->nmx += dns_rdata_mx(rdata, &f->mx[f->nmx]);
}

/* A name was found for the address: does it lead back? */
static void take_ptr(struct dns_question *q, struct span rdata)
{
    struct found *f = q->found;
    size_t used;
    if (f->name[0] || !dns_name_decode((const unsigned char *)rdata.p, rdata.n, f->name, &used) ||
        used != rdata.n || !f->name[0])
        return;
    lookup(q, f->name, ip_is4(&q->wanted) ? DNS_A : DNS_AAAA);
}

static void take(struct dns_question *q, const struct lookup_answer *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->type == DNS_MX_RR)
            take_mx(q->found, r->rdata[i]);
        else if (r->type == DNS_PTR)
            take_ptr(q, r->rdata[i]);
        else
            take_address(q->found, r->type, r->rdata[i]);
    }
}

static void tell(struct dns_question *q, const struct lookup_answer *r)
{
    struct dns_answer a = {.status = DNS_NONE, .rdata = r->rdata, .n = r->n};
    a.nxdomain = r->nxdomain;
    a.rcode = r->rcode;
    a.secure = r->secure;
    a.ttl = r->ttl;
    a.canonical = r->canonical;
    if (r->havedata)
        a.status = a.n ? DNS_OK : DNS_TEMPFAIL;
    drop(q);
    q->done.answer(q->ctx, &a);
}

/* r: NULL when there was no answer, or none that says anything. */
static void answered(struct dns_question *q, const struct lookup_answer *r)
{
    if (!r)
        q->tempfail = true;
    else if (q->kind == ANY)
        tell(q, r);
    else if (r->havedata)
        take(q, r);
    if (q->waiting == 0 && !q->ended)
        finish(q);
}

/* The records that have the form of their type. */
static size_t records(const struct ub_result *r, struct span v[DNS_ANSWERS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; r->havedata && r->data[i] && n < DNS_ANSWERS_MAX; i++) {
        v[n] = span_of(r->data[i], r->len[i] > 0 ? (size_t)r->len[i] : 0);
        n += dns_rdata_sane(v[n], (enum dns_type)r->qtype);
    }
    return n;
}

static struct span without_dot(const char *name)
{
    struct span s = span_str(name);
    return span_sub(s, 0, s.n - (s.n && s.p[s.n - 1] == '.'));
}

static struct lookup_answer read_result(const struct ub_result *r, struct span v[DNS_ANSWERS_MAX])
{
    struct lookup_answer a = {.type = r->qtype,
                              .rcode = r->rcode,
                              .havedata = r->havedata,
                              .nxdomain = r->nxdomain,
                              .secure = r->secure,
                              .ttl = r->ttl > 0 ? (uint32_t)r->ttl : 0,
                              .rdata = v,
                              .n = records(r, v)};
    if (r->canonname && !span_ieq(without_dot(r->canonname), without_dot(r->qname)))
        a.canonical = without_dot(r->canonname);
    return a;
}

static void on_answer(void *ctx, int error, struct ub_result *r)
{
    struct dns_question *q = ctx;
    struct span v[DNS_ANSWERS_MAX];
    struct lookup_answer a;
    q->waiting--;
    for (int i = 0; r && i < 2; i++)
        if (q->waiting == 0 || (r->qtype == DNS_AAAA) == (i == 1))
            q->ids[i] = 0; /* answered: nothing to cancel */
    bool usable = !error && r;
    if (usable)
        q->rcode = r->bogus ? DNS_RCODE_SERVFAIL : r->rcode;
    usable = usable && (q->rcode == DNS_RCODE_NOERROR || q->rcode == DNS_RCODE_NXDOMAIN);
    if (usable) {
        a = read_result(r, v);
        dns_cache_put(q->dns->cache, without_dot(r->qname), &a, clock_mono());
    }
    answered(q, usable ? &a : NULL);
    ub_resolve_free(r);
}

/* --- what is known --- */

enum { KNOWN_TOLD = 256 }; /* in one turn of the loop */

static void tell_one(struct dns_question *q)
{
    for (int i = 0; i < 2 && !q->ended; i++) {
        struct cache_entry *e = q->known[i];
        q->known[i] = NULL;
        if (!e)
            continue;
        struct lookup_answer a = dns_cache_answer(e, clock_mono());
        q->waiting--;
        q->rcode = a.rcode;
        answered(q, &a);
        cache_entry_unref(e);
    }
}

static void tell_known(struct dns *d)
{
    for (int i = 0; i < KNOWN_TOLD && d->known; i++) {
        struct dns_question *q = d->known;
        forget_known(q);
        tell_one(q);
    }
    if (!d->known)
        uv_idle_stop(&d->idle);
}

static void on_idle(uv_idle_t *idle)
{
    tell_known(idle->data);
}

static bool is_in_cache(struct dns_question *q, const char *name, int type)
{
    struct dns *d = q->dns;
    struct cache_entry *e = dns_cache_get(d->cache, without_dot(name), type, clock_mono());
    if (!e)
        return false;
    q->known[type == DNS_AAAA] = e;
    if (q->is_known)
        return true;
    q->is_known = true;
    q->next_known = NULL;
    *d->known_last = q;
    d->known_last = &q->next_known;
    uv_idle_start(&d->idle, on_idle);
    return true;
}

static void lookup(struct dns_question *q, const char *name, int type)
{
    int id = 0;
    q->waiting++;
    if (is_in_cache(q, name, type))
        return;
    if (!dns_library(q->dns) ||
        ub_resolve_async(q->dns->ub, name, type, CLASS_IN, q, on_answer, &id) != 0) {
        q->waiting--;
        q->tempfail = true;
        uv_timer_start(&q->timer, on_deadline, 0, 0); /* told from the loop, as promised */
        return;
    }
    q->ids[type == DNS_AAAA] = id;
}

/* --- questions --- */

enum { ESCAPED_MAX = 4 * DNS_NAME_MAX };

/* As libunbound reads it: bytes that mean something to it are written \DDD. false: no such name
 * can exist. */
static bool name_of(struct span s, char out[ESCAPED_MAX])
{
    size_t w = 0, label = 0;
    if (s.n && s.p[s.n - 1] == '.')
        s.n--;
    if (s.n == 0 || s.n >= DNS_NAME_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\0' || (c == '.' && label == 0) || (c != '.' && ++label > 63))
            return false;
        if (c == '.')
            label = 0;
        if (ascii_isalnum(c) || c == '-' || c == '_' || c == '.')
            out[w++] = c;
        else
            w += (size_t)snprintf(out + w, ESCAPED_MAX - w, "\\%03u", (unsigned char)c);
    }
    out[w] = '\0';
    return label > 0;
}

static void on_no_such(uv_timer_t *t)
{
    struct dns_question *q = t->data;
    q->rcode = DNS_RCODE_NXDOMAIN;
    finish(q);
}

/* A name that can't be asked has no records; told from the loop, as promised. */
static void ask(struct dns_question *q, struct span name, const int *types, size_t n)
{
    char text[ESCAPED_MAX];
    if (!name_of(name, text)) {
        uv_timer_start(&q->timer, on_no_such, 0, 0);
        return;
    }
    for (size_t i = 0; i < n; i++)
        lookup(q, text, types[i]);
}

struct dns_question *dns_ask(struct dns *d, struct span name, enum dns_type type,
                             dns_answer_fn *done, void *ctx)
{
    struct dns_question *q = question(d, ANY, ctx);
    q->done.answer = done;
    ask(q, name, (const int[]){(int)type}, 1);
    return q;
}

struct dns_question *dns_addresses(struct dns *d, struct span host, dns_addresses_fn *done,
                                   void *ctx)
{
    struct dns_question *q = question(d, ADDRESSES, ctx);
    q->done.addresses = done;
    ask(q, host, (const int[]){DNS_A, DNS_AAAA}, 2);
    return q;
}

struct dns_question *dns_mx(struct dns *d, struct span domain, dns_mx_fn *done, void *ctx)
{
    struct dns_question *q = question(d, MX, ctx);
    q->done.mx = done;
    ask(q, domain, (const int[]){DNS_MX_RR}, 1);
    return q;
}

struct dns_question *dns_reverse(struct dns *d, const struct ip *ip, dns_name_fn *done, void *ctx)
{
    struct dns_question *q = question(d, REVERSE, ctx);
    char name[DNS_NAME_MAX];
    q->done.name = done;
    q->wanted = *ip;
    dns_reversed(ip, SPAN_NONE, name);
    ask(q, span_str(name), (const int[]){DNS_PTR}, 1);
    return q;
}
