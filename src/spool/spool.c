/* The spool process: links, start and end. */
#include "spool/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "reports/keeper.h"
#include "spool/spool_private.h"

enum { TICK_MS = 1000, LOCK_TRIES = 100, LOCK_WAIT_MS = 100 };
#define EXPIRE_EVERY ((usec)600 * USEC_PER_SEC)
/* At the end, progress that can't be written is not waited for longer. */
#define FLUSH_WAIT ((usec)3 * USEC_PER_SEC)

/* --- small things --- */

struct arena *spool_arena(struct spool *sp)
{
    return sp->nidle_arenas ? sp->idle_arenas[--sp->nidle_arenas] : arena_new(0);
}

void spool_arena_give(struct spool *sp, struct arena *a)
{
    if (sp->nidle_arenas == sizeof sp->idle_arenas / sizeof *sp->idle_arenas) {
        arena_free(a);
        return;
    }
    arena_reset(a);
    sp->idle_arenas[sp->nidle_arenas++] = a;
}

struct peer_link *spool_peer(struct spool *sp, uint64_t serial)
{
    for (size_t i = 0; serial && i < PEERS_MAX; i++)
        if (sp->peers[i].link && sp->peers[i].serial == serial)
            return &sp->peers[i];
    return NULL;
}

static struct peer_link *peer_of(struct spool *sp, const struct link *l)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (sp->peers[i].link == l)
            return &sp->peers[i];
    return NULL;
}

/* --- callouts --- */

struct asking {
    struct spool *sp;
    uint64_t link, tag;
};

static void on_probed(void *ctx, enum probe_answer answer, struct span text)
{
    struct asking *k = ctx;
    struct spool *sp = k->sp;
    struct peer_link *to = spool_peer(sp, k->link);
    if (to) {
        struct rcpt_result r = {.text = text};
        r.code = answer == PROBE_OK ? RCPT_OK : answer == PROBE_NO ? RCPT_UNKNOWN : RCPT_TEMPFAIL;
        struct buf b = {0};
        rcpt_result_encode(&b, &r);
        link_send(to->link, FRAME_RCPT_RESULT, k->tag, buf_span(&b), -1);
        buf_free(&b);
    }
    free(k);
    sp->asking--;
    spool_maybe_done(sp);
}

static void rcpt_request(struct spool *sp, uint64_t serial, uint64_t tag, struct span payload)
{
    struct arena *a = spool_arena(sp);
    struct rcpt_request r;
    struct asking *k = xcalloc(1, sizeof *k);
    *k = (struct asking){sp, serial, tag};
    sp->asking++;
    if (!sp->queue)
        on_probed(k, PROBE_LATER, SPAN("451 4.3.0 the spool can't be opened"));
    else if (rcpt_request_decode(payload, a, &r))
        deliver_probe(sp->deliver, r.addr, on_probed, k);
    else
        on_probed(k, PROBE_LATER, SPAN("451 4.3.0 the question can't be read"));
    spool_arena_give(sp, a);
}

/* --- links --- */

static void on_peer_frame(void *ctx, struct link *l, enum frame_type type, uint64_t tag,
                          struct span payload, int fd)
{
    struct spool *sp = ctx;
    struct peer_link *p = peer_of(sp, l);
    if (type == FRAME_STORE_REQUEST && p)
        store_request(sp, l, p->serial, tag, payload, fd);
    else if (type == FRAME_RCPT_REQUEST && p)
        rcpt_request(sp, p->serial, tag, payload);
    else if (type == FRAME_SIGN_REQUEST && p)
        sign_request(sp, p->serial, tag, payload);
    else if (type == FRAME_LEARN_REQUEST && p)
        learn_request(sp, p->serial, tag, payload);
    else if (type == FRAME_SCAN_RESULT)
        rescan_result(sp, tag, payload);
}

static void on_peer_drained(void *ctx, struct link *l)
{
    struct spool *sp = ctx;
    struct peer_link *p = peer_of(sp, l);
    if (p)
        p->undrained = false;
    spool_maybe_done(sp);
}

static void on_peer_closed(void *ctx, struct link *l)
{
    struct spool *sp = ctx;
    struct peer_link *p = peer_of(sp, l);
    if (p) {
        uint64_t serial = p->serial;
        memset(p, 0, sizeof *p);
        rescan_peer_gone(sp, serial);
    }
    spool_maybe_done(sp);
}

static const struct link_events peer_events = {on_peer_frame, on_peer_closed, on_peer_drained};

static void add_peer(struct spool *sp, enum role role, int fd)
{
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer_link *p = &sp->peers[i];
        if (p->link)
            continue;
        p->serial = ++sp->serial;
        p->role = role;
        p->link = link_open(&sp->loop, fd, ROLE_SPOOL, role, &peer_events, sp);
        if (sp->draining) {
            p->undrained = role == ROLE_DOOR;
            link_drain(p->link);
        }
        rescan_pump(sp);
        return;
    }
    log_event(LOG_FAULT, NULL, "too-many-links", F_INT("links", PEERS_MAX));
    close(fd);
}

/* --- the queue's events --- */

static void on_message(void *ctx, struct queue_msg *m)
{
    struct spool *sp = ctx;
    if (!(m->flags & QUEUE_UNSCANNED)) {
        deliver_message(sp->deliver, m);
        return;
    }
    rescan_add(sp, m);
    rescan_pump(sp);
}

static void on_gone(void *ctx, struct queue_msg *m)
{
    struct spool *sp = ctx;
    if (m->flags & QUEUE_UNSCANNED)
        rescan_gone(sp, m);
    else
        deliver_gone(sp->deliver, m);
}

/* --- the end --- */

static void on_flushed(void *ctx)
{
    struct spool *sp = ctx;
    sp->done = true;
    uv_stop(&sp->loop);
}

static void on_deliveries_ended(void *ctx)
{
    struct spool *sp = ctx;
    sp->flush_by = clock_mono() + FLUSH_WAIT;
    queue_flush(sp->queue, on_flushed, sp);
}

void spool_maybe_done(struct spool *sp)
{
    if (!sp->draining || sp->emptied || sp->storing || sp->asking)
        return;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (sp->peers[i].link && sp->peers[i].undrained)
            return;
    sp->emptied = true;
    if (!sp->queue) {
        on_flushed(sp);
        return;
    }
    deliver_drain(sp->deliver, on_deliveries_ended, sp);
}

static void drain(struct spool *sp)
{
    if (sp->draining)
        return;
    sp->draining = true;
    control_stop(sp);
    reports_stop(sp);
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer_link *p = &sp->peers[i];
        if (!p->link || p->role != ROLE_DOOR)
            continue;
        p->undrained = true;
        link_drain(p->link);
    }
    spool_maybe_done(sp);
}

static void on_control_frame(void *ctx, struct link *l, enum frame_type type, uint64_t tag,
                             struct span payload, int fd)
{
    struct spool *sp = ctx;
    (void)l, (void)tag;
    if (type == FRAME_LINK && payload.n == 1)
        add_peer(sp, (enum role)(unsigned char)payload.p[0], fd);
    else if (type == FRAME_REOPEN_LOG)
        log_reopen();
    else if (type == FRAME_DRAIN)
        drain(sp);
}

/* The supervisor is gone: so are we, in order. */
static void on_control_closed(void *ctx, struct link *l)
{
    struct spool *sp = ctx;
    (void)l;
    sp->control = NULL;
    uv_stop(&sp->loop);
}

static const struct link_events control_events = {on_control_frame, on_control_closed, NULL};

/* --- once a second --- */

static void on_expired(void *ctx, const char *id)
{
    struct spool *sp = ctx;
    struct record_event e = {.id = id, .when = clock_wall(), .kind = RECORD_EXPIRED};
    record_event(sp->record, &e);
}

static void expire_some(struct spool *sp)
{
    usec now = clock_mono();
    if (!sp->quarantine || (sp->expired_at && now - sp->expired_at < EXPIRE_EVERY))
        return;
    /* A clock that jumps ahead while we run must not empty the quarantine. */
    usec wall = clock_wall(), steady = sp->started_wall + (now - sp->started_mono);
    if (wall > steady)
        wall = steady;
    /* A full step means there is more: go on at the next tick. */
    size_t n = quarantine_expire(sp->quarantine, wall, on_expired, sp);
    sp->expired_at = n == QUARANTINE_EXPIRE_STEP ? 0 : now;
}

/* --- start --- */

static struct queue *open_queue(struct spool *sp, struct err *e)
{
    const struct queue_settings *set = &sp->set->queue;
    struct queue_options o = {.segment_size = set->segment_size,
                              .minimum_free = set->minimum_free,
                              .commit_delay = set->commit_delay};
    struct queue_events ev = {on_message, on_gone};
    struct queue_recovery found;
    char *dir = xasprintf("%s/queue", sp->set->paths.spool);
    struct queue *q = queue_open(&sp->loop, dir, &o, &ev, sp, &found, e);
    free(dir);
    if (q)
        log_event(LOG_NOTE, NULL, "queue-open", F_INT("messages", found.messages),
                  F_INT("recipients", found.recipients), F_INT("bytes", found.bytes),
                  F_INT("segments", found.segments), F_INT("torn", found.torn_bytes),
                  F_INT("damaged", found.damaged), F_INT("unreadable", found.unreadable));
    return q;
}

/* A release that was stored but not yet written down in the quarantine when we died. */
static void complete_release(void *ctx, struct queue_msg *m)
{
    struct spool *sp = ctx;
    if (!(m->flags & QUEUE_RELEASED))
        return;
    struct arena *a = spool_arena(sp);
    struct span *to = arena_array(a, m->nrcpts, sizeof *to);
    for (uint32_t i = 0; i < m->nrcpts; i++)
        to[i] = m->rcpts[i].addr;
    struct quarantine_release rel;
    struct err e = {0};
    if (quarantine_release_begin(sp->quarantine, span_of(m->id, ID_LEN), to, m->nrcpts,
                                 SPAN("recovery"), a, &rel, &e) == 0 &&
        quarantine_release_commit(sp->quarantine, &rel, &e) == 0)
        log_event(LOG_NOTE, m->id, "release-completed", F_INT("recipients", m->nrcpts));
    spool_arena_give(sp, a);
}

static void saw_tls(void *ctx, struct span items)
{
    keeper_take(((struct spool *)ctx)->keeper, items);
}

/* What is open already stays so: it is called again until all is. */
static int open_all(struct spool *sp, struct err *e)
{
    const struct settings *set = sp->set;
    if (!sp->record)
        sp->record = record_open(set->paths.state, set->record.batch, set->record.keep, e);
    if (sp->record && !sp->quarantine)
        sp->quarantine = quarantine_open(set->paths.state, set->quarantine.keep, e);
    if (!sp->quarantine)
        return -1;
    if (!sp->keeper)
        sp->keeper = keeper_new(&sp->loop, set);
    if (!sp->dns)
        sp->dns = dns_new(&sp->loop, &set->dns);
    if (!sp->deliver)
        sp->deliver = deliver_new(&sp->loop, set, sp->record, sp->quarantine, sp->dns, e);
    if (sp->deliver) {
        deliver_watch_tls(sp->deliver, saw_tls, sp);
        deliver_identify(sp->deliver, sp->signer, sp->returns);
        sp->queue = open_queue(sp, e);
    }
    if (!sp->queue)
        return -1;
    queue_each(sp->queue, complete_release, sp);
    deliver_attach(sp->deliver, sp->queue);
    rescan_pump(sp);
    return 0;
}

/* A spool that can't be opened (a disk that is read-only, full, not there) does not end this
 * process: it refuses what it is asked, at once and with the reason, and tries again. */
static void try_open(struct spool *sp)
{
    struct err e = {0};
    if (open_all(sp, &e) < 0 && strcmp(sp->shut.text, e.text) != 0)
        log_event(LOG_FAULT, NULL, "spool-shut", F_STR("why", e.text));
    sp->shut = e;
}

static void on_tick(uv_timer_t *t)
{
    struct spool *sp = t->data;
    if (!sp->queue && !sp->draining)
        try_open(sp);
    rescan_tick(sp);
    expire_some(sp);
    reports_tick(sp);
    if (sp->flush_by && clock_mono() > sp->flush_by && !sp->done) {
        log_event(LOG_FAULT, NULL, "progress-not-written",
                  F_STR("why", "the queue can't be written; it will be delivered again"));
        on_flushed(sp);
    }
}

static void close_all(struct spool *sp)
{
    sp->draining = true; /* nothing new while what waits is written */
    control_stop(sp);
    if (!sp->reporting) /* else we end in the middle of something */
        keeper_close(sp->keeper);
    uv_close((uv_handle_t *)&sp->tick, NULL);
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (sp->peers[i].link)
            link_close(sp->peers[i].link);
    memset(sp->peers, 0, sizeof sp->peers);
    if (sp->control)
        link_close(sp->control);
    rescan_stop(sp);
    /* Deliveries in work are left as they are: they are tried again. */
    if (sp->queue)
        queue_close(sp->queue);
    if (sp->done || !sp->queue)
        deliver_free(sp->deliver);
    learning_free(sp);
    dns_free(sp->dns);
    if (sp->quarantine)
        quarantine_close(sp->quarantine);
    if (sp->record)
        record_close(sp->record);
    while (sp->nidle_arenas)
        arena_free(sp->idle_arenas[--sp->nidle_arenas]);
}

static void begin(struct spool *sp, const struct settings *set, int control_socket)
{
    struct err e = {0};
    sp->set = set;
    sp->started_wall = clock_wall();
    sp->started_mono = clock_mono();
    uv_loop_init(&sp->loop);
    uv_timer_init(&sp->loop, &sp->tick);
    sp->tick.data = sp;
    try_open(sp);
    /* The predecessor may need a moment to end: nobody is refused because of that. */
    for (int i = 0; !sp->queue && sp->shut.sys == EWOULDBLOCK && i < LOCK_TRIES; i++) {
        usleep(LOCK_WAIT_MS * 1000);
        try_open(sp);
    }
    if (control_start(sp, control_socket, &e) < 0)
        log_event(LOG_FAULT, NULL, "control-failed", F_STR("why", e.text));
    uv_timer_start(&sp->tick, on_tick, TICK_MS, TICK_MS);
}

int spool_main(const struct settings *set, int control_fd, int control_socket,
               const struct spool_keys *keys)
{
    struct spool *sp = xcalloc(1, sizeof *sp);
    sp->signer = keys ? keys->signer : NULL;
    sp->returns = keys ? keys->returns : NULL;
    begin(sp, set, control_socket);
    sp->control =
        link_open(&sp->loop, control_fd, ROLE_SPOOL, ROLE_SUPERVISOR, &control_events, sp);
    link_send(sp->control, FRAME_READY, 0, SPAN(""), -1);
    uv_run(&sp->loop, UV_RUN_DEFAULT);
    bool done = sp->done;
    close_all(sp);
    if (!done)
        _exit(EXIT_TEMPFAIL); /* deliveries in work are left where they stand */
    uv_run(&sp->loop, UV_RUN_NOWAIT);
    uv_loop_close(&sp->loop);
    free(sp);
    return EXIT_OK;
}
