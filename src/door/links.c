/* The links to scanners and spool, and what happens to the messages in their hands when they go. */
#include "door/door_private.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"

static void unlink_scanner(struct scanner *s)
{
    for (struct scanner **p = &s->door->scanners; *p; p = &(*p)->next) {
        if (*p == s) {
            *p = s->next;
            break;
        }
    }
}

/* Every message that s has is given back. */
static void scanner_gone(struct scanner *s)
{
    struct door *d = s->door;
    unlink_scanner(s);
    for (size_t i = 0; i < d->asks.n; i++)
        if (d->asks.v[i]->kind == ASK_SCAN && d->asks.v[i]->target == s)
            passage_scanner_lost(d, d->asks.v[i]);
        else if (d->asks.v[i]->kind == ASK_SCRIPT && d->asks.v[i]->target == s)
            script_scanner_lost(d, d->asks.v[i]);
    free(s);
    passage_next(d);
}

static void on_script_frame(struct scanner *s, enum frame_type type, uint64_t tag,
                            struct span payload)
{
    struct door *d = s->door;
    struct ask *a;
    if (type == FRAME_SCRIPT_CALLS && payload.n == 1) {
        script_told(d, s, (unsigned char)payload.p[0]);
    } else if (type == FRAME_SCRIPT_RESULT && (a = ask_find(&d->asks, tag, ASK_SCRIPT)) &&
               a->target == s) {
        s->questions--;
        script_scanned(d, a, payload);
    }
}

static void on_scanner_frame(void *ctx, struct link *l, enum frame_type type, uint64_t tag,
                             struct span payload, int fd)
{
    struct scanner *s = ctx;
    struct door *d = s->door;
    (void)l;
    if (fd >= 0)
        close(fd);
    if (type == FRAME_SCRIPT_CALLS || type == FRAME_SCRIPT_RESULT) {
        on_script_frame(s, type, tag, payload);
        return;
    }
    struct ask *a = ask_find(&d->asks, tag, ASK_SCAN);
    if (type != FRAME_SCAN_RESULT || !a || a->target != s)
        return;
    s->pending--;
    if (s->pending == 0)
        s->exclusive = false;
    passage_scanned(d, a, payload);
    passage_next(d);
}

static void on_scanner_closed(void *ctx, struct link *l)
{
    struct scanner *s = ctx;
    (void)l;
    if (s->pending > 0)
        log_event(LOG_WARN, NULL, "scanner-lost", F_INT("messages", s->pending));
    scanner_gone(s);
}

static const struct link_events scanner_events = {on_scanner_frame, on_scanner_closed, NULL};

void links_drop_scanner(struct scanner *s)
{
    link_close(s->link);
    scanner_gone(s);
}

struct scanner *links_idle_scanner(struct door *d, bool exclusive, const struct scanner *except)
{
    struct scanner *best = NULL;
    for (struct scanner *s = d->scanners; s; s = s->next) {
        if (s == except || s->closed || s->exclusive ||
            s->pending >= (exclusive ? 1u : d->set->processes.window))
            continue;
        if (!best || s->pending < best->pending)
            best = s;
    }
    return best;
}

/* Scanners that keep a message nobody waits for any more, longer than is allowed. */
static void drop_stuck(struct door *d, usec now)
{
    for (size_t i = 0; i < d->asks.n; i++) {
        struct ask *a = d->asks.v[i];
        if (a->kind != ASK_SCAN || a->owner || a->since + d->set->limits.scan_time > now)
            continue;
        links_drop_scanner(a->target);
        return; /* the list has changed; the next one in a second */
    }
}

/* The spool knows recipients.callout_timeout too; this is for when it says nothing at all. */
static void expire_callouts(struct door *d, usec now)
{
    usec limit = d->set->recipients.callout_timeout + 5 * USEC_PER_SEC;
    for (size_t i = 0; i < d->asks.n; i++) {
        struct ask *a = d->asks.v[i];
        if (a->kind == ASK_RCPT && a->since + limit < now)
            callout_answered(d, a, RCPT_TEMPFAIL);
    }
}

void links_tick(struct door *d, usec now)
{
    expire_callouts(d, now);
    drop_stuck(d, now);
    script_expire(d, now);
}

/* ---- spool ---- */

static void rcpt_answered(struct door *d, struct ask *a, struct span payload)
{
    struct arena *arena = arena_new(64 * 1024);
    struct rcpt_result r = {.code = RCPT_TEMPFAIL};
    if (!rcpt_result_decode(payload, arena, &r))
        r.code = RCPT_TEMPFAIL;
    callout_answered(d, a, r.code);
    arena_free(arena);
}

static void on_spool_frame(void *ctx, struct link *l, enum frame_type type, uint64_t tag,
                           struct span payload, int fd)
{
    struct door *d = ctx;
    if (fd >= 0)
        close(fd);
    struct ask *a;
    if (type == FRAME_STORE_RESULT && (a = ask_find(&d->asks, tag, ASK_STORE)) && a->target == l)
        passage_stored(d, a, payload);
    else if (type == FRAME_RCPT_RESULT && (a = ask_find(&d->asks, tag, ASK_RCPT)) && a->target == l)
        rcpt_answered(d, a, payload);
}

static void spool_gone(struct door *d, struct link *l)
{
    for (size_t i = 0; i < d->asks.n; i++) {
        struct ask *a = d->asks.v[i];
        if (a->target != l)
            continue;
        if (a->kind == ASK_STORE)
            passage_spool_lost(d, a);
        else if (a->kind == ASK_RCPT)
            callout_answered(d, a, RCPT_TEMPFAIL);
    }
}

static void on_spool_closed(void *ctx, struct link *l)
{
    struct door *d = ctx;
    if (d->spool == l)
        d->spool = NULL;
    spool_gone(d, l);
}

static const struct link_events spool_events = {on_spool_frame, on_spool_closed, NULL};

/* ---- both ---- */

void links_add(struct door *d, enum role role, int fd)
{
    if (role == ROLE_SPOOL) {
        /* The one before is draining: it answers what it has, and then closes. */
        d->spool = link_open(&d->loop, fd, ROLE_DOOR, role, &spool_events, d);
        passage_spool_found(d);
        return;
    }
    if (role != ROLE_SCAN) {
        close(fd);
        return;
    }
    struct scanner *s = xcalloc(1, sizeof *s);
    s->door = d;
    s->link = link_open(&d->loop, fd, ROLE_DOOR, role, &scanner_events, s);
    s->next = d->scanners;
    d->scanners = s;
    passage_next(d);
}

void links_close(struct door *d)
{
    while (d->scanners) {
        struct scanner *s = d->scanners;
        d->scanners = s->next;
        link_close(s->link);
        free(s);
    }
    if (d->spool)
        link_close(d->spool);
    if (d->control)
        link_close(d->control);
    d->spool = d->control = NULL;
}
