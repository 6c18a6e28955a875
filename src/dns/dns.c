#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/xalloc.h"
#include "dns/dns_private.h"

enum { CLASS_IN = 1 };

/* One lookup of the library. Its answer may come from within the call that asks, or from anywhere
 * inside the library: it is kept, and taken from the loop. */
struct lookup {
    struct dns_question *q;
    int id;     /* libunbound's; 0: nothing to cancel */
    bool ready; /* answered, not yet taken */
    struct dns_result r;
};

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
    uint64_t deadline; /* of the loop's clock */
    struct lookup lookups[2];
    size_t nlookups;
    int waiting; /* lookups under way */
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
    for (size_t i = 0; i < q->nlookups; i++)
        buf_free(&q->lookups[i].r.bytes);
    free(q->found);
    free(q);
}

static void drop(struct dns_question *q)
{
    struct dns *d = q->dns;
    q->ended = true;
    for (size_t i = 0; i < q->nlookups; i++)
        if (q->lookups[i].id)
            ub_cancel(d->ub, q->lookups[i].id);
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
    q->deadline = uv_now(d->loop) + (uint64_t)(d->set->timeout / 1000);
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

/* The records that have the form of their type. */
static size_t records(const struct dns_result *r, struct span v[DNS_ANSWERS_MAX])
{
    size_t n = 0, all = dns_result_records(r, v);
    for (size_t i = 0; i < all; i++) {
        v[n] = v[i];
        n += dns_rdata_sane(v[n], (enum dns_type)r->type);
    }
    return n;
}

static void take(struct dns_question *q, const struct dns_result *r)
{
    struct span v[DNS_ANSWERS_MAX];
    size_t n = records(r, v);
    for (size_t i = 0; i < n; i++) {
        if (r->type == DNS_MX_RR)
            take_mx(q->found, v[i]);
        else if (r->type == DNS_PTR)
            take_ptr(q, v[i]);
        else
            take_address(q->found, r->type, v[i]);
    }
}

static void tell(struct dns_question *q, const struct dns_result *r)
{
    struct span v[DNS_ANSWERS_MAX];
    struct dns_answer a = {.status = DNS_NONE, .rdata = v, .n = records(r, v)};
    a.nxdomain = r->rcode == DNS_RCODE_NXDOMAIN;
    a.rcode = r->rcode;
    a.secure = r->secure;
    a.ttl = r->ttl;
    if (r->havedata)
        a.status = a.n ? DNS_OK : DNS_TEMPFAIL;
    drop(q);
    q->done.answer(q->ctx, &a);
}

static void take_lookup(struct dns_question *q, const struct dns_result *r)
{
    q->waiting--;
    if (!r->failed)
        q->rcode = r->rcode;
    if (r->failed || (q->rcode != DNS_RCODE_NOERROR && q->rcode != DNS_RCODE_NXDOMAIN))
        q->tempfail = true;
    else if (q->kind == ANY)
        tell(q, r);
    else if (r->havedata)
        take(q, r);
    if (q->waiting == 0 && !q->ended)
        finish(q);
}

static void on_ready(uv_timer_t *t)
{
    struct dns_question *q = t->data;
    uint64_t now = uv_now(q->dns->loop);
    uv_timer_start(&q->timer, on_deadline, q->deadline > now ? q->deadline - now : 0, 0);
    for (size_t i = 0; i < q->nlookups && !q->ended; i++) {
        struct lookup *l = &q->lookups[i];
        if (!l->ready)
            continue;
        l->ready = false;
        take_lookup(q, &l->r);
    }
}

/* From inside the library. sec: 0 insecure, 1 bogus, 2 secure. */
static void on_answer(void *ctx, int rcode, void *packet, int n, int sec, char *why, int limited)
{
    struct lookup *l = ctx;
    (void)why, (void)limited;
    l->id = 0;
    l->ready = true;
    l->r.secure = sec == 2;
    l->r.failed = rcode != 0 || sec == 1 || !packet || n < 0 ||
                  !dns_packet_read(span_of(packet, (size_t)n), l->r.type, &l->r);
    if (l->r.failed && (rcode != 0 || sec == 1))
        l->q->rcode = rcode ? rcode : DNS_RCODE_SERVFAIL;
    uv_timer_start(&l->q->timer, on_ready, 0, 0);
}

static void lookup(struct dns_question *q, const char *name, int type)
{
    struct lookup *l = &q->lookups[q->nlookups++];
    int id = 0;
    l->q = q;
    l->r.type = type;
    q->waiting++;
    if (!dns_library(q->dns) ||
        ub_resolve_event(q->dns->ub, name, type, CLASS_IN, l, on_answer, &id) != 0) {
        l->ready = l->r.failed = true;
        uv_timer_start(&q->timer, on_ready, 0, 0); /* told from the loop, as promised */
    } else if (!l->ready) {
        l->id = id;
    }
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
