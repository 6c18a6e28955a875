/* The way of a message through the deliveries: due, split by destination, carried, answered. */
#include "deliver/deliver.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "deliver/deliver_private.h"
#include "policy/domains.h"
#include "tls/context.h"
#include "tls/dane.h"

/* --- time --- */

/* A smaller difference is the clock being corrected, not set. */
#define CLOCK_STEP ((usec)5 * USEC_PER_SEC)

static void on_timer(uv_timer_t *t);
static void on_tick(uv_timer_t *t);

static void arm(struct deliver *d)
{
    struct queue_msg *m = heap_first(d);
    if (!m || d->draining) {
        uv_timer_stop(&d->timer);
        return;
    }
    usec wait = m->due - clock_wall();
    uv_timer_start(&d->timer, on_timer, wait > 0 ? (uint64_t)(wait / 1000 + 1) : 0, 0);
}

/* Until then nothing is to be done for it: the earliest of its recipients' tries. */
void deliver_reschedule(struct deliver *d, struct queue_msg *m)
{
    usec due = 0;
    bool any = false;
    for (uint32_t i = 0; i < m->nrcpts; i++) {
        const struct queue_rcpt *r = &m->rcpts[i];
        if (r->state != Q_WAITING || r->active)
            continue;
        if (!any || r->next < due)
            due = r->next;
        any = true;
    }
    if (any)
        heap_put(d, m, due);
    else
        heap_remove(d, m);
    arm(d);
}

/* --- due --- */

static bool ready(const struct queue_rcpt *r, usec now)
{
    return r->state == Q_WAITING && !r->active && r->next <= now;
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

/* Recipients that only a next hop with SMTPUTF8 can take come last, and go by themselves: without
 * it the others still get their mail. Returns how many come before them. */
static size_t part_by_charset(const struct queue_msg *m, uint32_t *v, size_t n, struct arena *a)
{
    uint32_t *wide = arena_array(a, n, sizeof *wide);
    size_t plain = 0, nwide = 0;
    for (size_t i = 0; i < n; i++) {
        if (is_ascii(m->rcpts[v[i]].addr))
            v[plain++] = v[i];
        else
            wide[nwide++] = v[i];
    }
    memcpy(v + plain, wide, nwide * sizeof *wide);
    return plain;
}

static void line_up(struct deliver *d, struct queue_msg *m, struct dest *t,
                    enum returnpath_kind sender, const uint32_t *v, size_t n)
{
    size_t most = d->set->queue.recipients_per_delivery;
    while (n) {
        size_t part = n < most ? n : most;
        struct job *j = job_new(d, m);
        j->rcpts = xmalloc(part * sizeof *v);
        memcpy(j->rcpts, v, part * sizeof *v);
        j->n = part;
        j->sender = sender;
        dest_add(t, j, false);
        v += part;
        n -= part;
    }
}

/* A transaction has one sender: recipients who get another one go by themselves. */
static void line_up_by_sender(struct deliver *d, struct queue_msg *m, struct dest *t,
                              enum returnpath_kind kind, uint32_t *v, size_t n)
{
    size_t changed = sender_part(d, m, kind, v, n);
    line_up(d, m, t, kind, v, changed);
    line_up(d, m, t, RETURN_NOT, v + changed, n - changed);
}

/* error: routes answer at once. */
static void refuse_by_route(struct deliver *d, struct queue_msg *m, struct span reply,
                            const uint32_t *v, size_t n)
{
    struct job *j = job_new(d, m);
    j->rcpts = xmalloc(n * sizeof *v);
    memcpy(j->rcpts, v, n * sizeof *v);
    j->n = n;
    if (!job_load(j))
        return;
    j->where = SPAN("route");
    job_answer_all(j, reply.p[0] == '4' ? ANSWER_TEMP : ANSWER_PERM, reply);
}

/* Recipients whose time is over, and the warning that they still wait. */
static void check_age(struct deliver *d, struct queue_msg *m, usec now)
{
    const struct queue_settings *s = &d->set->queue;
    bool over = deliver_expired(d, m, now);
    bool late = s->delay_warning > 0 && now - m->created >= s->delay_warning;
    if (!over && !late)
        return;
    struct arena *a = arena_take(d);
    struct failed *v = arena_array(a, m->nrcpts, sizeof *v);
    size_t n = 0;
    for (uint32_t i = 0; i < m->nrcpts; i++) {
        struct queue_rcpt *r = &m->rcpts[i];
        /* Each is tried at least once, however long the gateway was away. */
        if (!ready(r, now) || !r->reason || (!over && r->warned))
            continue;
        struct span said =
            r->reason ? span_str(r->reason) : SPAN("450 4.4.7 not delivered in time");
        v[n++] = (struct failed){i, arena_dup(a, said)};
        r->warned = true;
    }
    struct queue_meta meta;
    struct err e;
    if (n && queue_meta(d->q, m, a, &meta, &e) == 0) {
        for (size_t i = 0; over && i < n; i++)
            m->rcpts[v[i].rcpt].active = true;
        if (over)
            outcome_failed(d, m, &meta, v, n, SPAN_NONE);
        else
            outcome_notice(d, m, &meta, REPORT_DELAYED, v, n, SPAN_NONE);
    }
    arena_give(d, a);
}

/* Splits what is due by destination. */
static void split(struct deliver *d, struct queue_msg *m, struct arena *a, usec now)
{
    struct dest **touched = arena_array(a, m->nrcpts, sizeof *touched);
    uint32_t *some = arena_array(a, m->nrcpts, sizeof *some);
    size_t ntouched = 0;
    enum returnpath_kind sender = sender_kind(d, m, a);
    for (uint32_t i = 0; i < m->nrcpts && m->open; i++) {
        if (!ready(&m->rcpts[i], now))
            continue;
        struct span domain = addr_domain(a, m->rcpts[i].addr);
        const struct route *route = routes_find(d->routes, domain);
        if (!route) {
            queue_wait(d->q, m, i, now + 30 * USEC_PER_SEC,
                       SPAN("450 4.3.5 the file of mail routes can't be read"));
            continue;
        }
        struct span key = route_key(route, domain, a);
        size_t n = 0;
        for (uint32_t k = i; k < m->nrcpts; k++) {
            if (!ready(&m->rcpts[k], now))
                continue;
            struct span other = addr_domain(a, m->rcpts[k].addr);
            const struct route *its =
                span_eq(other, domain) ? route : routes_find(d->routes, other);
            if (its && its->kind == route->kind && span_eq(route_key(its, other, a), key) &&
                (its->kind != ROUTE_ERROR || its == route)) {
                some[n++] = k;
                m->rcpts[k].active = true;
            }
        }
        if (route->kind == ROUTE_ERROR) {
            refuse_by_route(d, m, route->reply, some, n);
            continue;
        }
        struct dest *t = dest_get(d, route, domain);
        size_t plain = part_by_charset(m, some, n, a);
        enum returnpath_kind kind = route->kind == ROUTE_SMTP ? sender : RETURN_NOT;
        line_up_by_sender(d, m, t, kind, some, plain);
        line_up_by_sender(d, m, t, kind, some + plain, n - plain);
        touched[ntouched++] = t;
    }
    for (size_t i = 0; i < ntouched; i++) {
        if (touched[i]->down_until > now)
            dest_still_down(touched[i]);
        else
            dest_pump(touched[i]);
    }
}

static void due(struct deliver *d, struct queue_msg *m)
{
    usec now = clock_wall();
    heap_remove(d, m);
    if (d->draining)
        return;
    if (!queue_writable(d->q)) {
        heap_put(d, m, now + USEC_PER_SEC);
        return;
    }
    struct arena *a = arena_take(d);
    m->in_work++;
    check_age(d, m, now);
    split(d, m, a, now);
    m->in_work--;
    arena_give(d, a);
    if (m->open)
        deliver_reschedule(d, m);
    queue_settle(d->q, m);
}

static void on_timer(uv_timer_t *t)
{
    struct deliver *d = t->data;
    usec now = clock_wall();
    /* A turn takes a bounded number: the loop has other work too. */
    for (int i = 0; i < 1000; i++) {
        struct queue_msg *m = heap_first(d);
        if (!m || m->due > now)
            break;
        due(d, m);
    }
    arm(d);
}

static void put_back(void *ctx, struct queue_msg *m)
{
    struct deliver *d = ctx;
    if (m->flags & QUEUE_UNSCANNED)
        return;
    for (uint32_t i = 0; i < m->nrcpts; i++)
        m->rcpts[i].next += m->rcpts[i].next ? d->step : 0;
    deliver_reschedule(d, m);
}

/* Times of next tries are wall time, so that they outlive the process. When the clock is set back
 * they go with it; otherwise mail would wait until the old time comes again. */
static void watch_clock(struct deliver *d)
{
    usec offset = clock_wall() - clock_mono();
    d->step = d->offset ? offset - d->offset : 0;
    d->offset = offset;
    if (d->step >= -CLOCK_STEP)
        return;
    log_event(LOG_WARN, NULL, "clock-set-back", F_INT("seconds", -d->step / USEC_PER_SEC));
    dest_clock_stepped(d, d->step);
    queue_each(d->q, put_back, d);
}

static void on_tick(uv_timer_t *t)
{
    struct deliver *d = t->data;
    watch_clock(d);
    routes_refresh(d->routes);
    if (d->domains)
        domains_refresh(d->domains);
    if (d->sts)
        sts_tick(d->sts);
    dest_tick(d);
}

void deliver_tick_soon(struct deliver *d)
{
    if (!d->draining)
        uv_timer_start(&d->tick, on_tick, 0, TICK_MS);
}

/* --- from outside --- */

void deliver_message(struct deliver *d, struct queue_msg *m)
{
    usec now = clock_wall();
    /* No wait is longer than this: the clock was set back while we were away. */
    usec most = now + deliver_wait(&d->set->queue, UINT32_MAX) * 2;
    for (uint32_t i = 0; i < m->nrcpts; i++)
        if (m->rcpts[i].next > most)
            m->rcpts[i].next = now;
    for (uint32_t i = 0; i < m->nrcpts; i++) {
        if (ready(&m->rcpts[i], now) && !d->draining && m->rcpts[i].tries == 0 && m->nrcpts < 50 &&
            d->started) {
            due(d, m);
            return;
        }
    }
    deliver_reschedule(d, m);
}

void deliver_gone(struct deliver *d, struct queue_msg *m)
{
    heap_remove(d, m);
}

void deliver_changed(struct deliver *d, struct queue_msg *m)
{
    deliver_reschedule(d, m);
}

void deliver_now(struct deliver *d, struct queue_msg *m)
{
    struct arena *a = arena_take(d);
    usec now = clock_wall();
    for (uint32_t i = 0; i < m->nrcpts; i++) {
        struct queue_rcpt *r = &m->rcpts[i];
        if (r->state != Q_WAITING || r->active)
            continue;
        r->next = now;
        struct span domain = addr_domain(a, r->addr);
        const struct route *route = routes_find(d->routes, domain);
        if (route && route->kind != ROUTE_ERROR)
            dest_forget_down(dest_get(d, route, domain));
    }
    arena_give(d, a);
    deliver_reschedule(d, m);
}

static bool probe_without_asking(struct deliver *d, const struct route *r, deliver_probed *done,
                                 void *ctx)
{
    if (d->draining)
        done(ctx, PROBE_LATER, SPAN("450 4.3.2 the gateway is shutting down"));
    else if (!r)
        done(ctx, PROBE_LATER, SPAN("450 4.3.5 the file of mail routes can't be read"));
    else if (r->kind == ROUTE_ERROR)
        done(ctx, r->reply.p[0] == '4' ? PROBE_LATER : PROBE_NO, r->reply);
    else if (r->kind == ROUTE_MAILDIR)
        done(ctx, PROBE_OK, SPAN("250 2.1.5 delivered here"));
    else
        return false;
    return true;
}

void deliver_probe(struct deliver *d, struct span addr, deliver_probed *done, void *ctx)
{
    struct arena *a = arena_take(d);
    struct span domain = addr_domain(a, addr);
    const struct route *route = routes_find(d->routes, domain);
    if (probe_without_asking(d, route, done, ctx)) {
        arena_give(d, a);
        return;
    }
    struct dest *t = dest_get(d, route, domain);
    struct job *j = job_new(d, NULL);
    j->arena = a;
    j->probed = done;
    j->probed_ctx = ctx;
    struct envelope *env = ARENA_NEW(a, struct envelope);
    env->rcpts = ARENA_NEW(a, struct rcpt);
    env->rcpts[0].addr = arena_dup(a, addr);
    env->nrcpts = 1;
    j->rcpts = xcalloc(1, sizeof *j->rcpts);
    j->n = 1;
    j->t = (struct transaction){.arena = a,
                                .env = env,
                                .rcpts = j->rcpts,
                                .nrcpts = 1,
                                .probe = true,
                                .answers = ARENA_NEW(a, struct answer)};
    dest_add(t, j, true);
    if (t->down_until > clock_wall())
        dest_still_down(t);
    else
        dest_pump(t);
}

/* --- begin and end --- */

static int open_tls(struct deliver *d, struct err *e)
{
    if (d->set->queue.tls == DTLS_NONE)
        return 0;
    const struct tls_settings *tls = &d->set->tls;
    d->tls = tls_client_context(tls, TLS_OPPORTUNISTIC, e);
    d->tls_verified = tls_client_context(tls, TLS_VERIFIED, e);
    d->tls_dane = dane_context(tls_client_context(tls, TLS_OPPORTUNISTIC, e));
    return d->tls && d->tls_verified && d->tls_dane ? 0 : -1;
}

static void close_tls(struct deliver *d)
{
    SSL_CTX_free(d->tls);
    SSL_CTX_free(d->tls_verified);
    SSL_CTX_free(d->tls_dane);
}

struct deliver *deliver_new(uv_loop_t *loop, const struct settings *set, struct record *rec,
                            struct quarantine *qua, struct dns *dns, struct err *e)
{
    struct deliver *d = xcalloc(1, sizeof *d);
    *d = (struct deliver){.loop = loop, .set = set, .rec = rec, .qua = qua, .dns = dns};
    d->routes = routes_open(&set->routes, e);
    if (!d->routes || open_tls(d, e) < 0) {
        routes_free(d->routes);
        close_tls(d);
        free(d);
        return NULL;
    }
    if (dns && set->queue.mta_sts && set->queue.tls != DTLS_NONE)
        d->sts = sts_new(loop, set, dns);
    if (getrandom(&d->seed, sizeof d->seed, 0) < 0)
        d->seed = (uint64_t)clock_wall();
    d->timer.data = d->tick.data = d->grace.data = d;
    uv_timer_init(loop, &d->timer);
    uv_timer_init(loop, &d->tick);
    uv_timer_init(loop, &d->grace);
    uv_unref((uv_handle_t *)&d->tick);
    return d;
}

void deliver_watch_tls(struct deliver *d, void (*saw)(void *ctx, struct span items), void *ctx)
{
    d->saw_tls = saw;
    d->saw_tls_ctx = ctx;
    watch_sts(d);
}

void deliver_identify(struct deliver *d, const struct signer *signer,
                      const struct returnpath *returns)
{
    d->signer = signer;
    d->returns = returns;
    if (returns && !d->domains)
        d->domains = domains_open(&d->set->relay);
}

void deliver_attach(struct deliver *d, struct queue *q)
{
    d->q = q;
    d->started = true;
    uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS);
    arm(d);
}

static void closed(uv_handle_t *h)
{
    struct deliver *d = h->data;
    if (--d->handles == 0)
        free(d);
}

void deliver_free(struct deliver *d)
{
    if (!d)
        return;
    dest_free_all(d);
    while (d->nidle_arenas)
        arena_free(d->idle_arenas[--d->nidle_arenas]);
    free(d->heap);
    routes_free(d->routes);
    if (d->domains)
        domains_free(d->domains);
    close_tls(d);
    sts_free(d->sts);
    d->handles = 3;
    uv_close((uv_handle_t *)&d->timer, closed);
    uv_close((uv_handle_t *)&d->tick, closed);
    uv_close((uv_handle_t *)&d->grace, closed);
}

void maybe_drained(struct deliver *d)
{
    if (!d->draining || !d->drained || d->njobs || d->nconns || d->nreports || d->nresolving)
        return;
    void (*done)(void *) = d->drained;
    d->drained = NULL;
    uv_timer_stop(&d->grace);
    done(d->drained_ctx);
}

static void on_grace(uv_timer_t *t)
{
    struct deliver *d = t->data;
    dest_abort_all(d);
    maybe_drained(d);
}

void deliver_drain(struct deliver *d, void (*done)(void *ctx), void *ctx)
{
    d->draining = true;
    d->drained = done;
    d->drained_ctx = ctx;
    uv_timer_stop(&d->timer);
    uv_timer_stop(&d->tick);
    uv_timer_start(&d->grace, on_grace, (uint64_t)(DELIVER_DRAIN_GRACE / 1000), 0);
    dest_drain(d);
    maybe_drained(d);
}

const struct routes *deliver_routes(const struct deliver *d)
{
    return d->routes;
}

struct deliver_numbers deliver_numbers(const struct deliver *d)
{
    struct deliver_numbers n = d->numbers;
    n.destinations = d->ndests;
    usec now = clock_wall();
    for (size_t i = 0; i < DEST_SLOTS; i++)
        for (const struct dest *t = d->slots[i]; t; t = t->next)
            n.down += t->down_until > now;
    return n;
}
