/* Destinations: lines of jobs, connections, the window. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/xalloc.h"
#include "deliver/deliver_private.h"

static struct dest **slot(struct deliver *d, struct span key)
{
    return &d->slots[map_hash(key) % DEST_SLOTS];
}

struct dest *dest_get(struct deliver *d, const struct route *r, struct span domain)
{
    struct arena *a = arena_take(d);
    struct span key = route_key(r, domain, a);
    struct dest **at = slot(d, key);
    for (struct dest *t = *at; t; t = t->next) {
        if (span_eq(t->key, key)) {
            arena_give(d, a);
            return t;
        }
    }
    struct dest *t = xcalloc(1, sizeof *t);
    t->d = d;
    t->arena = a;
    t->key = key;
    t->domain = arena_dup(a, domain);
    t->route = *r;
    t->route.host = arena_dup(a, r->host);
    t->route.path = arena_dup(a, r->path);
    t->last = &t->first;
    t->window = WINDOW_START;
    t->next = *at;
    *at = t;
    d->ndests++;
    return t;
}

static void dest_free(struct dest *t)
{
    struct dest **at = slot(t->d, t->key);
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    t->d->ndests--;
    targets_clear(t);
    arena_give(t->d, t->arena);
    buf_free(&t->why);
    free(t);
}

static struct job *take_first(struct dest *t)
{
    struct job *j = t->first;
    if (!j)
        return NULL;
    t->first = j->next;
    if (!t->first)
        t->last = &t->first;
    j->next = NULL;
    t->njobs--;
    return j;
}

/* --- connections --- */

static bool connect_next(struct conn *k);

static void conn_unlink(struct conn *k)
{
    struct dest *t = k->dest;
    struct conn **at = &t->conns;
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    t->nconns--;
    t->nconnecting -= !k->ready;
    t->d->nconns--;
}

static void conn_free(struct conn *k)
{
    conn_unlink(k);
    dane_unref(k->dane);
    free(k);
}

static void carry(struct conn *k, struct job *j)
{
    k->job = j;
    k->used++;
    if (j->m && !job_load(j)) {
        k->job = NULL;
        k->used--;
        return;
    }
    j->where = span_str(k->where);
    client_send(k->client, &j->t);
}

/* A job whose connection is free again. */
static void take_job_from(struct conn *k, struct job **j)
{
    *j = k->job;
    k->job = NULL;
    k->idle_since = clock_mono();
}

static void on_ready(void *ctx)
{
    struct conn *k = ctx;
    struct dest *t = k->dest;
    k->ready = true;
    watch_ready(k);
    t->nconnecting--;
    k->idle_since = clock_mono();
    if (t->fails) {
        log_event(LOG_NOTE, NULL, "destination-up", F_SPAN("to", t->key));
        t->fails = 0;
        t->window = WINDOW_START;
    }
    t->down_until = 0;
    dest_pump(t);
}

static void quit(struct conn *k)
{
    k->leaving = true;
    client_quit(k->client);
}

static void success(struct dest *t)
{
    double most = (double)t->d->set->queue.concurrency_destination;
    if (t->window < most && ++t->successes >= (unsigned)t->window) {
        t->successes = 0;
        t->window += 1;
    }
}

static void on_done(void *ctx)
{
    struct conn *k = ctx;
    struct dest *t = k->dest;
    struct job *j;
    take_job_from(k, &j);
    success(t);
    if (t->d->draining || k->used >= t->d->set->queue.reuse)
        quit(k);
    job_answered(j);
    dest_pump(t);
}

static void shrink(struct dest *t)
{
    t->window = t->window > 2 ? t->window / 2 : 1;
    t->successes = 0;
}

static bool some_ready(const struct dest *t)
{
    for (const struct conn *k = t->conns; k; k = k->next)
        if (k->ready)
            return true;
    return false;
}

/* This address does not answer: the next one, or, when there are no more and no connection works,
 * the destination is down. */
static void unreachable(struct conn *k, bool no_tls, struct span why)
{
    struct dest *t = k->dest;
    if (no_tls && !k->plain && k->trust == TRUST_ANYBODY) {
        k->plain = true;
        if (connect_next(k))
            return;
    }
    k->plain = false;
    if (++k->target < t->ntargets && connect_next(k))
        return;
    conn_free(k);
    shrink(t);
    if (!some_ready(t))
        dest_failed(t, why);
}

/* The connection had carried messages before and was found dead: that says nothing about this one.
 */
static bool put_back(struct conn *k, struct job *j)
{
    if (j->again || k->used < 2 || j->t.heard || j->t.sent_dot || k->dest->d->draining)
        return false;
    j->again = true;
    if (j->arena)
        arena_give(j->d, j->arena);
    j->arena = NULL;
    dest_add(j->dest, j, true);
    return true;
}

static void on_end(void *ctx, enum client_end how, struct span why)
{
    struct conn *k = ctx;
    struct dest *t = k->dest;
    struct deliver *d = t->d;
    if (!k->ready && how == CLIENT_NO_TLS)
        watch_no_tls(k, k->client, why);
    k->client = NULL;
    if (!k->ready) {
        if (d->draining)
            conn_free(k);
        else
            unreachable(k, how == CLIENT_NO_TLS, why);
    } else {
        struct job *j = k->job;
        k->job = NULL;
        bool back = j && put_back(k, j);
        if (how == CLIENT_LOST && !back)
            shrink(t);
        conn_unlink(k);
        if (j && !back)
            job_answered(j); /* says where it was: k->where */
        dane_unref(k->dane);
        free(k);
    }
    dest_pump(t);
    if (d->starved) /* soon, but not from within */
        deliver_tick_soon(d);
    maybe_drained(d);
}

static const struct client_events conn_events = {on_ready, on_done, on_end};

static enum trust target_trust(const struct dest *t, const struct target *to)
{
    enum deliver_tls tls = t->d->set->queue.tls;
    if (tls == DTLS_NONE || t->route.kind == ROUTE_LMTP_UNIX)
        return TRUST_NOBODY;
    if (to->dane && to->dane->n)
        return TRUST_DANE;
    if (tls == DTLS_REQUIRED || t->sts.mode == STS_ENFORCE)
        return TRUST_NAME;
    return to->dane ? TRUST_ENCRYPTED : TRUST_ANYBODY;
}

static void secure_by(struct client_options *o, const struct conn *k)
{
    const struct deliver *d = k->dest->d;
    enum trust trust = k->trust;
    o->tls = trust == TRUST_NOBODY || k->plain ? DTLS_NONE
             : trust == TRUST_ANYBODY          ? DTLS_MAY
                                               : DTLS_REQUIRED;
    o->tls_testing = trust == TRUST_ANYBODY && k->dest->sts.mode == STS_TESTING;
    o->tls_context = trust == TRUST_DANE                     ? d->tls_dane
                     : trust == TRUST_NAME || o->tls_testing ? d->tls_verified
                                                             : d->tls;
    o->dane = trust == TRUST_DANE ? k->dane : NULL;
}

static bool connect_next(struct conn *k)
{
    struct dest *t = k->dest;
    const struct settings *set = t->d->set;
    if (t->d->draining)
        return false;
    const struct target *to = &t->targets[k->target];
    char ip[IP_TEXT_SIZE];
    dane_unref(k->dane);
    k->dane = dane_ref(to->dane);
    /* A host without a name is known by its address, and must prove that. */
    /* RFC 7672 section 3.2.1: who is asked for is whose TLSA records they are. */
    const char *host = to->dane ? to->dane->host : to->host;
    snprintf(k->host, sizeof k->host, "%s", host[0] ? host : ip_text(&to->ip, ip));
    struct client_options o = {
        .helo = set->queue.helo ? set->queue.helo : set->hostname,
        .host = k->host,
        .lmtp = t->route.kind != ROUTE_SMTP,
        .connect_timeout = set->queue.connect_timeout,
        .command_timeout = set->queue.command_timeout,
        .data_timeout = set->queue.data_timeout,
    };
    k->trust = target_trust(t, to);
    secure_by(&o, k);
    t->d->numbers.connections++;
    if (t->route.kind == ROUTE_LMTP_UNIX) {
        snprintf(k->where, sizeof k->where, "lmtp socket");
        k->client = client_unix(t->d->loop, t->route.path.p, &o, &conn_events, k);
        return true;
    }
    snprintf(k->where, sizeof k->where, "[%s]:%u", ip_text(&to->ip, ip), to->port);
    k->client = client_tcp(t->d->loop, &to->ip, to->port, &o, &conn_events, k);
    return true;
}

static void open_conn(struct dest *t)
{
    struct conn *k = xcalloc(1, sizeof *k);
    k->dest = t;
    k->next = t->conns;
    t->conns = k;
    t->nconns++;
    t->nconnecting++;
    t->d->nconns++;
    connect_next(k);
}

static struct conn *idle_conn(struct dest *t)
{
    for (struct conn *k = t->conns; k; k = k->next)
        if (k->ready && !k->job && k->client && !k->leaving && k->used < t->d->set->queue.reuse)
            return k;
    return NULL;
}

/* Another connection is worth opening while more jobs wait than connections are on their way. */
static bool may_open(struct dest *t)
{
    struct deliver *d = t->d;
    if (t->nconnecting >= t->njobs || t->nconns >= (size_t)t->window)
        return false;
    if (t->fails && t->nconns > 0)
        return false;
    if (d->nconns >= d->set->queue.concurrency_total) {
        d->starved = true;
        return false;
    }
    return true;
}

static bool have_targets(struct dest *t)
{
    bool fresh = t->resolved && clock_mono() - t->resolved < TARGETS_KEEP;
    if (!fresh && !t->resolving)
        dest_resolve(t);
    return !t->resolving && t->ntargets && t->resolved;
}

static void pump_maildir(struct dest *t)
{
    while (t->first && t->working < t->d->set->queue.concurrency_destination) {
        struct job *j = take_first(t);
        if (!job_load(j))
            continue;
        t->working++;
        j->where = t->key;
        maildir_start(j);
    }
}

void dest_pump(struct dest *t)
{
    if (t->d->draining)
        return;
    if (t->route.kind == ROUTE_MAILDIR) {
        pump_maildir(t);
        return;
    }
    while (t->first) {
        struct conn *k = idle_conn(t);
        if (k)
            carry(k, take_first(t));
        else if (have_targets(t) && t->first && may_open(t))
            open_conn(t);
        else
            break;
    }
}

void dest_add(struct dest *t, struct job *j, bool front)
{
    j->dest = t;
    if (front) {
        j->next = t->first;
        t->first = j;
        if (!j->next)
            t->last = &j->next;
    } else {
        j->next = NULL;
        *t->last = j;
        t->last = &j->next;
    }
    t->njobs++;
}

/* --- a destination that can't be reached --- */

void dest_failed(struct dest *t, struct span why)
{
    struct deliver *d = t->d;
    usec wait = deliver_wait(&d->set->queue, ++t->fails);
    t->down_until = clock_wall() + wait;
    t->window = 1;
    t->resolved = 0;
    log_event(LOG_WARN, NULL, "destination-down", F_SPAN("to", t->key), F_SPAN("why", why),
              F_INT("failures", t->fails), F_INT("wait", wait / USEC_PER_SEC),
              F_INT("waiting", t->njobs));
    buf_clear(&t->why);
    buf_add(&t->why, why);
    for (struct job *j; (j = take_first(t));)
        job_wait(j, t->down_until, buf_span(&t->why), true);
}

void dest_still_down(struct dest *t)
{
    for (struct job *j; (j = take_first(t));)
        job_wait(j, t->down_until, buf_span(&t->why), false);
}

/* Known for good: no such domain, takes no mail. */
void dest_refused(struct dest *t, struct span why)
{
    struct buf text = {0};
    buf_add(&text, why);
    for (struct job *j; (j = take_first(t));) {
        if (j->m && !job_load(j))
            continue;
        j->where = t->key;
        job_answer_all(j, ANSWER_PERM, buf_span(&text));
    }
    buf_free(&text);
}

void dest_forget_down(struct dest *t)
{
    t->down_until = 0;
}

/* --- once a second --- */

static void tick_one(struct dest *t, usec now)
{
    usec idle = t->d->set->queue.idle_timeout;
    for (struct conn *k = t->conns, *next; k; k = next) {
        next = k->next;
        bool old = now - k->idle_since >= idle || (t->d->starved && !t->first);
        if (k->ready && !k->job && k->client && !k->leaving && old)
            quit(k);
    }
    dest_pump(t);
    bool down = t->down_until && t->down_until > clock_wall();
    if (!t->conns && !t->first && !t->resolving && !t->working && !down)
        dest_free(t);
}

void dest_clock_stepped(struct deliver *d, usec step)
{
    for (size_t i = 0; i < DEST_SLOTS; i++)
        for (struct dest *t = d->slots[i]; t; t = t->next)
            t->down_until += t->down_until ? step : 0;
}

void dest_tick(struct deliver *d)
{
    usec now = clock_mono();
    for (size_t i = 0; i < DEST_SLOTS; i++)
        for (struct dest *t = d->slots[i], *next; t; t = next) {
            next = t->next;
            tick_one(t, now);
        }
    d->starved = false;
}

void dest_drain(struct deliver *d)
{
    for (size_t i = 0; i < DEST_SLOTS; i++)
        for (struct dest *t = d->slots[i]; t; t = t->next) {
            usec now = clock_wall();
            for (struct job *j; (j = take_first(t));)
                job_wait(j, now, SPAN_NONE, false);
            for (struct conn *k = t->conns, *next; k; k = next) {
                next = k->next;
                if (k->client && !k->job && !k->leaving)
                    quit(k);
            }
        }
}

void dest_abort_all(struct deliver *d)
{
    for (size_t i = 0; i < DEST_SLOTS; i++)
        for (struct dest *t = d->slots[i]; t; t = t->next)
            for (struct conn *k = t->conns, *next; k; k = next) {
                next = k->next;
                if (k->client)
                    client_abort(k->client, "450 4.3.2 the gateway is shutting down");
            }
}

void dest_free_all(struct deliver *d)
{
    for (size_t i = 0; i < DEST_SLOTS; i++)
        while (d->slots[i])
            dest_free(d->slots[i]);
}
