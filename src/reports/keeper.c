#include "reports/keeper.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"

enum { EXPIRE_STEP = 100, RETRY_MS = 5000 };
#define EXPIRE_EVERY ((usec)600 * USEC_PER_SEC)

struct task {
    struct task *next;
    keeper_work_fn *work;
    keeper_done_fn *done;
    void *ctx;
};

struct keeper {
    uv_loop_t *loop;
    const struct settings *set;
    uv_timer_t timer;
    uv_work_t work;
    struct buf waiting; /* items */
    uint64_t dropped;
    struct task *first, **last;
    bool busy, closing, timer_gone;
    usec expired_at; /* monotonic */
    /* the thread's while busy */
    struct report_store *store;
    struct buf writing;
    struct task *task; /* to be run; NULL: only writing */
    bool expire, failed;
};

static void start(struct keeper *k);

/* --- in the thread --- */

static void on_told(void *ctx, enum report_stored what, struct span org, struct span id,
                    struct span domain, const struct report_origin *o)
{
    static const char *const events[] = {[REPORT_STORED] = "report-stored",
                                         [REPORT_DUPLICATE] = "report-duplicate",
                                         [REPORT_NO_ROOM] = "report-no-room"};
    (void)ctx;
    log_event(what == REPORT_NO_ROOM ? LOG_WARN : LOG_NOTE, NULL, events[what],
              F_SPAN("about", domain), F_SPAN("by", org), F_SPAN("report", id),
              F_SPAN("from", o->sender), F_STR("authenticated", o->verified ? "yes" : "no"));
}

static int write_items(struct keeper *k, struct err *e)
{
    struct items_done done = {.told = on_told};
    struct cursor c = cursor_over(buf_span(&k->writing));
    if (report_store_begin(k->store, e))
        return -1;
    int result = 0;
    while (result == 0 && c.rest.n && !c.failed)
        result = items_apply(k->store, cursor_lstr(&c), &done, e);
    if (result == 0)
        result = report_store_commit(k->store, e);
    if (result) {
        report_store_rollback(k->store);
        return -1;
    }
    if (done.unreadable)
        log_event(LOG_FAULT, NULL, "report-items-unreadable", F_INT("items", done.unreadable));
    return 0;
}

static int expire(struct keeper *k, struct err *e)
{
    int removed;
    do
        removed =
            report_store_expire(k->store, clock_wall() - k->set->reports.keep, EXPIRE_STEP, e);
    while (removed >= EXPIRE_STEP);
    return removed < 0 ? -1 : 0;
}

static struct report_store *open_store(struct keeper *k, struct err *e)
{
    struct report_store *s = report_store_open(k->set->paths.state, e);
    if (s)
        report_store_limit(s, k->set->reports.size);
    return s;
}

static void in_thread(uv_work_t *w)
{
    struct keeper *k = w->data;
    struct err e = {0};
    k->failed = false;
    if (!k->store)
        k->store = open_store(k, &e);
    if (!k->store || (k->writing.n && write_items(k, &e)) || (k->expire && expire(k, &e))) {
        log_event(LOG_FAULT, NULL, "reports-failed", F_STR("why", e.text));
        k->failed = true;
        if (k->store)
            report_store_heal(k->store);
    }
    if (k->task)
        k->task->work(k->task->ctx, k->failed ? NULL : k->store, &e);
}

/* --- on the loop --- */

static void after(uv_work_t *w, int status)
{
    struct keeper *k = w->data;
    struct task *t = k->task;
    (void)status;
    k->task = NULL;
    k->busy = false;
    if (!k->failed)
        buf_clear(&k->writing);
    if (k->writing.cap > 1 << 20 && !k->writing.n)
        buf_free(&k->writing);
    if (t) {
        t->done(t->ctx);
        free(t);
    }
    if (k->failed && !k->closing) {
        /* what could not be written is tried again, with what comes meanwhile */
        uv_timer_stop(&k->timer);
        start(k);
        return;
    }
    if (k->first || k->waiting.n)
        start(k);
}

static void run(struct keeper *k)
{
    usec now = clock_mono();
    k->busy = true;
    if (!k->writing.n) {
        struct buf empty = k->writing;
        k->writing = k->waiting;
        k->waiting = empty;
    }
    k->expire = !k->expired_at || now - k->expired_at >= EXPIRE_EVERY;
    if (k->expire)
        k->expired_at = now;
    k->task = k->first;
    if (k->task) {
        k->first = k->task->next;
        if (!k->first)
            k->last = &k->first;
    }
    k->work.data = k;
    uv_queue_work(k->loop, &k->work, in_thread, after);
}

static void on_timer(uv_timer_t *t)
{
    struct keeper *k = t->data;
    if (!k->busy)
        run(k);
}

/* Tasks want it now, items can wait for company, failures for better times. */
static void start(struct keeper *k)
{
    if (k->busy)
        return;
    if (k->first && !k->failed)
        run(k);
    else if (!uv_is_active((uv_handle_t *)&k->timer))
        uv_timer_start(&k->timer, on_timer, k->failed ? RETRY_MS : KEEPER_FLUSH_MS, 0);
}

struct keeper *keeper_new(uv_loop_t *loop, const struct settings *set)
{
    struct keeper *k = xcalloc(1, sizeof *k);
    k->loop = loop;
    k->set = set;
    k->last = &k->first;
    k->timer.data = k;
    uv_timer_init(loop, &k->timer);
    start(k); /* the store is there for readers, and what is old goes */
    return k;
}

void keeper_take(struct keeper *k, struct span items)
{
    if (!items.n || k->closing)
        return;
    if (k->waiting.n + items.n > KEEPER_QUEUE_MAX) {
        if (k->dropped++ % 1000 == 0)
            log_event(LOG_FAULT, NULL, "report-items-dropped", F_INT("so_far", k->dropped));
        return;
    }
    buf_lstr(&k->waiting, items); /* framed: a blob that is broken spoils no other */
    start(k);
}

void keeper_run(struct keeper *k, keeper_work_fn *work, keeper_done_fn *done, void *ctx)
{
    struct task *t = xcalloc(1, sizeof *t);
    *t = (struct task){.work = work, .done = done, .ctx = ctx};
    *k->last = t;
    k->last = &t->next;
    start(k);
}

static void on_timer_closed(uv_handle_t *h)
{
    ((struct keeper *)h->data)->timer_gone = true;
}

void keeper_close(struct keeper *k)
{
    if (!k)
        return;
    uv_timer_stop(&k->timer);
    while (k->busy || k->first) {
        if (!k->busy)
            run(k);
        uv_run(k->loop, UV_RUN_ONCE);
    }
    k->closing = true;
    if (k->waiting.n || k->writing.n) {
        run(k);
        while (k->busy)
            uv_run(k->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&k->timer, on_timer_closed);
    while (!k->timer_gone)
        uv_run(k->loop, UV_RUN_ONCE);
    report_store_close(k->store);
    buf_free(&k->waiting);
    buf_free(&k->writing);
    free(k);
}
