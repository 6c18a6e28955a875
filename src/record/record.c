#include "record/record.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "record/db_private.h"

/* How much is gathered before a batch is written early, rows removed in one step of expiry, waits.
 */
enum {
    BATCH_BYTES = 4 * 1024 * 1024,
    EXPIRE_STEP = 500,
    EXPIRE_EVERY_S = 60,
    RETRY_S = 2,
    FLUSH_S = 10
};

enum item { ITEM_ENTRY = 1, ITEM_EVENT };

/* The queue is a byte string of items, each {u8 kind, encoded}. The spool's loop appends under the
 * lock; the writer swaps the whole string for an empty one and works on it alone. */
struct record {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct buf queue;
    size_t writing;       /* bytes of the batch in the writer's hands: they count as waiting */
    uint64_t added, kept; /* running numbers of items: queued, and known to be in the database */
    uint64_t dropped;
    bool hurry, closing;
    usec batch, keep;
    usec warned; /* monotonic; when "dropping" was logged last */
    struct record_db *db;
};

const char *record_kind_name(enum record_kind k)
{
    static const char *const names[] = {
        [RECORD_DELIVERED] = "delivered", [RECORD_DEFERRED] = "deferred",
        [RECORD_FAILED] = "failed",       [RECORD_BOUNCED] = "bounced",
        [RECORD_HELD] = "held",           [RECORD_RELEASED] = "released",
        [RECORD_DELETED] = "deleted",     [RECORD_EXPIRED] = "expired",
    };
    return (size_t)k < RECORD_KINDS ? names[k] : "unknown";
}

/* --- the side of the spool's loop --- */

static void dropping(struct record *r, const char *id, const char *what)
{
    r->dropped++;
    usec now = clock_mono();
    if (r->warned && now - r->warned < 10 * USEC_PER_SEC)
        return;
    r->warned = now;
    log_event(LOG_FAULT, id, "record-dropped", F_STR("what", what), F_INT("so_far", r->dropped),
              F_STR("why", "the record database can't keep up or can't be written"));
}

static void queued(struct record *r)
{
    r->added++;
    /* The writer sleeps without a deadline only while there is nothing to do. */
    if (r->added == r->kept + 1 || r->queue.n >= BATCH_BYTES)
        pthread_cond_signal(&r->work);
}

void record_add(struct record *r, const struct record_entry *x)
{
    pthread_mutex_lock(&r->lock);
    size_t waiting = r->queue.n + r->writing;
    if (waiting >= RECORD_QUEUE_MAX) {
        dropping(r, x->id, "record");
    } else {
        bool lean = waiting >= RECORD_QUEUE_LEAN;
        if (lean)
            dropping(r, x->id, "receipt");
        buf_u8(&r->queue, ITEM_ENTRY);
        record_entry_encode(&r->queue, x, !lean);
        queued(r);
    }
    pthread_mutex_unlock(&r->lock);
}

void record_event(struct record *r, const struct record_event *x)
{
    pthread_mutex_lock(&r->lock);
    if (r->queue.n + r->writing >= RECORD_QUEUE_MAX) {
        dropping(r, x->id, "event");
    } else {
        buf_u8(&r->queue, ITEM_EVENT);
        record_event_encode(&r->queue, x);
        queued(r);
    }
    pthread_mutex_unlock(&r->lock);
}

void record_flush(struct record *r)
{
    pthread_mutex_lock(&r->lock);
    uint64_t want = r->added;
    r->hurry = true;
    pthread_cond_signal(&r->work);
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += FLUSH_S;
    while (r->kept < want && pthread_cond_timedwait(&r->done, &r->lock, &t) == 0)
        continue;
    pthread_mutex_unlock(&r->lock);
}

uint64_t record_dropped(const struct record *r)
{
    struct record *m = (struct record *)(uintptr_t)r;
    pthread_mutex_lock(&m->lock);
    uint64_t n = m->dropped;
    pthread_mutex_unlock(&m->lock);
    return n;
}

/* --- the writer's side --- */

static int write_item(struct record_db *db, struct cursor *c, struct arena *a, struct err *e)
{
    if (cursor_u8(c) == ITEM_ENTRY) {
        struct record_entry x = {0};
        return record_entry_decode(c, a, &x) ? record_db_entry(db, &x, e) : 0;
    }
    struct record_event x = {0};
    return record_event_decode(c, a, &x) ? record_db_event(db, &x, e) : 0;
}

static int write_batch(struct record_db *db, struct span items, struct err *e)
{
    struct arena *a = arena_new(0);
    struct cursor c = cursor_over(items);
    int result = record_db_begin(db, e);
    while (result == 0 && c.rest.n > 0 && !c.failed) {
        arena_reset(a);
        result = write_item(db, &c, a, e);
    }
    if (c.failed) /* our own bytes: a mistake in the code, and trying again would not mend it */
        log_event(LOG_FAULT, NULL, "record-undecodable", F_INT("bytes", c.rest.n));
    if (result == 0)
        result = record_db_commit(db, e);
    if (result)
        record_db_rollback(db);
    arena_free(a);
    return result;
}

static void wait_until(struct record *r, usec mono_from_now)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    usec at = (usec)t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000 + mono_from_now;
    t = (struct timespec){(time_t)(at / USEC_PER_SEC), (long)(at % USEC_PER_SEC) * 1000};
    pthread_cond_timedwait(&r->work, &r->lock, &t);
}

/* Writes one batch, again and again until it is written: the queue behind it is bounded. When the
 * program ends while the disk is full, the batch is given up after a last try. Called with the
 * lock. */
static void write_out(struct record *r)
{
    struct buf items = r->queue;
    r->queue = (struct buf){0};
    r->writing = items.n;
    r->hurry = false;
    uint64_t upto = r->added;
    struct err e;
    for (bool last = false; !last; last = r->closing) {
        pthread_mutex_unlock(&r->lock);
        int result = write_batch(r->db, buf_span(&items), &e);
        if (result) {
            log_event(LOG_FAULT, NULL, "record-failed", F_STR("why", e.text));
            record_db_heal(r->db);
        }
        pthread_mutex_lock(&r->lock);
        if (result == 0)
            break;
        if (!r->closing)
            wait_until(r, RETRY_S * USEC_PER_SEC);
    }
    r->kept = upto;
    r->writing = 0;
    buf_free(&items);
    pthread_cond_broadcast(&r->done);
}

/* Small steps, so that a batch never waits long behind them. */
static void expire(struct record *r)
{
    struct err e;
    int removed = EXPIRE_STEP;
    while (removed == EXPIRE_STEP && !r->closing && r->queue.n < BATCH_BYTES) {
        pthread_mutex_unlock(&r->lock);
        removed = record_db_expire(r->db, clock_wall() - r->keep, EXPIRE_STEP, &e);
        if (removed < 0) {
            log_event(LOG_FAULT, NULL, "record-expire-failed", F_STR("why", e.text));
            record_db_heal(r->db);
        }
        pthread_mutex_lock(&r->lock);
    }
}

static void *writer(void *arg)
{
    struct record *r = arg;
    usec expired = 0;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        usec now = clock_mono();
        if (r->keep && (!expired || now - expired >= EXPIRE_EVERY_S * USEC_PER_SEC)) {
            expired = now;
            expire(r);
        }
        if (r->queue.n == 0) {
            if (r->closing)
                break;
            wait_until(r, EXPIRE_EVERY_S * USEC_PER_SEC);
            continue;
        }
        if (!r->hurry && !r->closing && r->queue.n < BATCH_BYTES)
            wait_until(r, r->batch);
        write_out(r);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static int start(struct record *r)
{
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->work, &mono);
    pthread_cond_init(&r->done, &mono);
    pthread_condattr_destroy(&mono);
    /* Signals belong to the loop's thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int code = pthread_create(&r->thread, NULL, writer, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

struct record *record_open(const char *state, usec batch, usec keep, struct err *e)
{
    struct record_db *db = record_db_open(state, e);
    if (!db)
        return NULL;
    struct record *r = xcalloc(1, sizeof *r);
    *r = (struct record){.db = db, .batch = batch, .keep = keep};
    int code = start(r);
    if (code == 0)
        return r;
    errno = code;
    err_sys(e, "record: starting a thread");
    record_db_close(db);
    free(r);
    return NULL;
}

void record_close(struct record *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->closing = true;
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    record_db_close(r->db);
    buf_free(&r->queue);
    pthread_cond_destroy(&r->work);
    pthread_cond_destroy(&r->done);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
