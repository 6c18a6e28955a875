/* The queue as its users see it: index and writer together. */
#include "queue/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "queue/queue_private.h"

/* --- storing --- */

struct put {
    queue_done *done;
    void *ctx;
    struct queue_msg **msgs;
    char replaces[QUEUE_ID_SIZE];
};

static void put_free(struct job *j)
{
    struct put *p = j->ctx;
    for (size_t i = 0; i < j->n; i++)
        buf_free(&j->v[i].meta);
    free(p->msgs);
    free(p);
    free(j->v);
    free(j);
}

static void put_finished(struct queue *q, struct job *j)
{
    struct put *p = j->ctx;
    for (size_t i = 0; i < j->n; i++) {
        struct queue_msg *m = p->msgs[i];
        if (j->result != QUEUE_OK) {
            queue_index_free(m);
            continue;
        }
        queue_index_place(q, m, j->v[i].segment, j->v[i].at, (uint32_t)j->v[i].meta.n);
        queue_index_insert(q, m);
    }
    if (j->result == QUEUE_OK && p->replaces[0]) {
        struct queue_msg *old = queue_find(q, span_str(p->replaces));
        if (old) {
            queue_finish_record(q, old->id);
            old->open = 0;
            queue_settle(q, old);
        }
    }
    p->done(p->ctx, j->result, j->why);
    for (size_t i = 0; j->result == QUEUE_OK && i < j->n; i++)
        q->ev.on_message(q->ctx, p->msgs[i]);
    put_free(j);
}

static uint64_t edited_size(const struct splices *s, uint64_t size)
{
    for (size_t i = 0; i < s->n; i++)
        size += s->v[i].ins.n - s->v[i].del;
    return size;
}

static bool edits_fit(const struct splices *s, uint64_t size)
{
    uint64_t at = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->v[i].at < at || s->v[i].at > size || s->v[i].del > size - s->v[i].at)
            return false;
        at = s->v[i].at + s->v[i].del;
    }
    return true;
}

/* A descriptor comes from a process that may have been taken over: it must be what it says. */
static const char *unfit(const struct queue_new *v)
{
    struct stat st;
    uint64_t size = v->fd < 0 ? v->bytes.n : v->fd_size;
    if (!queue_id_valid(span_str(v->id)))
        return "not an id";
    if (v->fd >= 0 && (fstat(v->fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
                       (uint64_t)st.st_size < v->fd_size))
        return "the message's file is shorter than it was said to be";
    return edits_fit(&v->edits, size) ? NULL : "edits reach outside the message";
}

/* A door that lost its spool sends a message again that the old one had stored. Refusing it would
 * be a lie and dropping it a risk, so it is stored under the next free name and goes out twice. */
static void free_name(struct queue *q, const char *id, char out[QUEUE_ID_SIZE])
{
    uint64_t part = 0;
    snprintf(out, QUEUE_ID_SIZE, "%s", id);
    if (!queue_find(q, span_str(id)))
        return;
    if (id[ID_LEN] == '.')
        span_u64(span_str(id + ID_LEN + 1), &part);
    while (queue_find(q, span_str(queue_id(out, id, (size_t)++part))))
        ;
    log_event(LOG_WARN, id, "queued-again", F_STR("as", out));
}

static void piece_of(struct piece *p, const struct queue_new *v, struct queue_meta *meta)
{
    meta->flags = v->flags;
    meta->created = v->created;
    meta->env = v->env;
    meta->peer = v->peer;
    meta->known = v->known;
    meta->data_crc = 0;
    *p = (struct piece){.type = RECORD_MESSAGE,
                        .fd = v->fd,
                        .base = v->fd < 0 ? v->bytes.n : v->fd_size,
                        .bytes = v->bytes,
                        .edits = v->edits};
    p->size = edited_size(&v->edits, p->base);
    record_meta_encode(&p->meta, meta, NULL);
}

void queue_put(struct queue *q, const struct queue_new *v, size_t n, struct queue_msg *replaces,
               queue_done *done, void *ctx)
{
    for (size_t i = 0; i < n; i++) {
        const char *why = unfit(&v[i]);
        if (why) {
            done(ctx, QUEUE_FAILED, why);
            return;
        }
    }
    struct job *j = xcalloc(1, sizeof *j);
    struct put *p = xcalloc(1, sizeof *p);
    j->v = xcalloc(n, sizeof *j->v);
    j->n = n;
    j->done = put_finished;
    j->ctx = p;
    p->done = done;
    p->ctx = ctx;
    p->msgs = xcalloc(n, sizeof *p->msgs);
    if (replaces)
        snprintf(p->replaces, sizeof p->replaces, "%s", replaces->id);
    for (size_t i = 0; i < n; i++) {
        struct queue_meta meta;
        free_name(q, v[i].id, meta.id);
        piece_of(&j->v[i], &v[i], &meta);
        p->msgs[i] = queue_index_make(&meta, NULL, j->v[i].size);
    }
    writer_submit(&q->writer, j);
}

/* --- what became of recipients --- */

/* Changes of one turn of the loop go to the writer together. */
static void hand_over(struct queue *q)
{
    if (!q->changes.n)
        return;
    writer_states(&q->writer, buf_span(&q->changes));
    buf_clear(&q->changes);
}

static void changed(struct queue *q)
{
    if (q->changes.n > 64 * 1024)
        hand_over(q);
}

void queue_finish_record(struct queue *q, const char *id)
{
    record_change_encode(&q->changes, span_str(id), NULL, 0, NULL);
    changed(q);
}

void queue_restate(struct queue *q, struct queue_msg *m)
{
    for (uint32_t i = 0; i < m->nrcpts; i++) {
        const struct queue_rcpt *r = &m->rcpts[i];
        struct queue_change c = {r->state, r->next,   r->last,
                                 r->tries, r->warned, span_str(r->reason)};
        record_change_encode(&q->changes, span_str(m->id), &i, 1, &c);
    }
    changed(q);
}

static void finish(struct queue *q, struct queue_msg *m)
{
    if (q->ev.on_gone)
        q->ev.on_gone(q->ctx, m);
    queue_index_remove(q, m);
    queue_index_unplace(q, m);
    queue_index_free(m);
}

void queue_settle(struct queue *q, struct queue_msg *m)
{
    if (m->open == 0 && m->in_work == 0)
        finish(q, m);
}

void queue_change(struct queue *q, struct queue_msg *m, const uint32_t *rcpts, size_t n,
                  const struct queue_change *c)
{
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        struct queue_rcpt *r = &m->rcpts[rcpts[i]];
        m->open -= !queue_state_final(r->state) && queue_state_final(c->state);
        r->state = c->state;
        r->next = c->next;
        r->last = c->last;
        r->tries = c->tries;
        r->warned = c->warned;
        rcpt_reason(r, c->reason);
    }
    m->version++;
    if (m->open == 0)
        record_change_encode(&q->changes, span_str(m->id), NULL, 0, NULL);
    else
        record_change_encode(&q->changes, span_str(m->id), rcpts, n, c);
    changed(q);
    queue_settle(q, m);
}

void queue_wait(struct queue *q, struct queue_msg *m, uint32_t rcpt, usec next, struct span reason)
{
    (void)q;
    struct queue_rcpt *r = &m->rcpts[rcpt];
    r->next = next;
    rcpt_reason(r, reason);
}

/* --- completions --- */

static void see_segments(struct queue *q, uint64_t opened)
{
    uint64_t newest = q->nsegments ? q->segments[q->nsegments - 1]->number : 0;
    for (uint64_t n = newest + 1; n <= opened; n++)
        queue_index_segment(q, n, true);
}

static void wake_waiters(struct queue *q, uint64_t flushed)
{
    struct flush_wait **at = &q->waits;
    while (*at) {
        struct flush_wait *w = *at;
        if (w->generation > flushed) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->done(w->ctx);
        free(w);
    }
}

static void take_finished(struct queue *q)
{
    struct writer *w = &q->writer;
    pthread_mutex_lock(&w->lock);
    struct job *jobs = w->finished;
    w->finished = NULL;
    w->finished_last = &w->finished;
    q->stuck = w->stuck;
    uint64_t opened = w->opened, flushed = w->flushed;
    pthread_mutex_unlock(&w->lock);
    see_segments(q, opened);
    while (jobs) {
        struct job *next = jobs->next;
        jobs->done(q, jobs);
        jobs = next;
    }
    wake_waiters(q, flushed);
}

static void on_async(uv_async_t *a)
{
    struct queue *q = a->data;
    take_finished(q);
    queue_compact(q);
}

static void on_turn(uv_prepare_t *c)
{
    hand_over(c->data);
}

bool queue_writable(const struct queue *q)
{
    return !q->stuck && !q->o.read_only;
}

void queue_flush(struct queue *q, void (*done)(void *ctx), void *ctx)
{
    hand_over(q);
    struct flush_wait *w = xcalloc(1, sizeof *w);
    *w = (struct flush_wait){NULL, writer_flush(&q->writer), done, ctx};
    struct flush_wait **end = &q->waits;
    while (*end)
        end = &(*end)->next;
    *end = w;
}

/* --- open and close --- */

/* On a read-only file system the lock is the same file, or, when it was never made, the directory.
 */
static int take_lock(struct queue *q, struct err *e)
{
    q->lock = openat(q->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (q->lock < 0)
        q->lock = openat(q->dir, "lock", O_RDONLY | O_CLOEXEC);
    if (q->lock < 0)
        q->lock = openat(q->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (q->lock < 0)
        return err_sys(e, "can't make the queue's lock");
    if (flock(q->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK) {
        err_set(e, "another process has the queue open (is the gateway running?)");
        if (e)
            e->sys = EWOULDBLOCK;
        return -1;
    }
    return err_sys(e, "can't lock the queue");
}

/* So that the directory itself outlives a power cut. */
static void sync_parent(struct queue *q)
{
    int parent = q->o.read_only ? -1 : openat(q->dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return;
    if (fsync(parent) < 0)
        log_event(LOG_WARN, NULL, "queue-sync-failed", F_STR("error", strerror(errno)));
    close(parent);
}

static int open_dir(struct queue *q, const char *dir, struct err *e)
{
    if (!q->o.read_only && mkdir(dir, 0700) < 0 && errno != EEXIST)
        return err_sys(e, "can't make %s", dir);
    q->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (q->dir < 0)
        return err_sys(e, "can't open %s", dir);
    sync_parent(q);
    return q->o.read_only ? 0 : take_lock(q, e);
}

static int start(struct queue *q, uint64_t newest, struct err *e)
{
    q->async = xcalloc(1, sizeof *q->async);
    q->turn = xcalloc(1, sizeof *q->turn);
    q->async->data = q->turn->data = q;
    uv_async_init(q->loop, q->async, on_async);
    uv_prepare_init(q->loop, q->turn);
    uv_prepare_start(q->turn, on_turn);
    uv_unref((uv_handle_t *)q->turn);
    if (writer_start(&q->writer, q->dir, &q->o, newest, q->async) < 0)
        return err_sys(e, "can't start the queue's writer");
    return 0;
}

struct queue *queue_open(uv_loop_t *loop, const char *dir, const struct queue_options *o,
                         const struct queue_events *ev, void *ctx, struct queue_recovery *found,
                         struct err *e)
{
    struct queue *q = xcalloc(1, sizeof *q);
    struct queue_recovery none;
    q->loop = loop;
    q->o = *o;
    if (!q->o.segment_size)
        q->o.segment_size = QUEUE_SEGMENT_SIZE;
    q->ev = *ev;
    q->ctx = ctx;
    q->dir = q->lock = -1;
    q->scratch = arena_new(0);
    uint64_t newest = 0;
    if (open_dir(q, dir, e) < 0 || queue_recover(q, found ? found : &none, &newest, e) < 0 ||
        (!o->read_only && start(q, newest, e) < 0)) {
        queue_close(q);
        return NULL;
    }
    for (size_t i = 0; i < q->nslots; i++)
        for (struct queue_msg *m = q->slots[i], *next; m; m = next) {
            next = m->hash_next;
            q->ev.on_message(ctx, m);
        }
    if (!o->read_only)
        queue_compact(q);
    return q;
}

static void closed(uv_handle_t *h)
{
    free(h);
}

static void free_message(void *ctx, struct queue_msg *m)
{
    (void)ctx;
    queue_index_free(m);
}

void queue_close(struct queue *q)
{
    q->closing = true;
    if (q->writer.running) {
        hand_over(q);
        writer_flush(&q->writer);
        writer_stop(&q->writer);
        take_finished(q);
        wake_waiters(q, UINT64_MAX);
    }
    if (q->async) {
        uv_close((uv_handle_t *)q->async, closed);
        uv_close((uv_handle_t *)q->turn, closed);
    }
    queue_each(q, free_message, NULL);
    for (size_t i = 0; i < q->nsegments; i++) {
        if (q->segments[i]->fd >= 0)
            close(q->segments[i]->fd);
        free(q->segments[i]);
    }
    free(q->segments);
    free(q->slots);
    buf_free(&q->changes);
    if (q->lock >= 0)
        close(q->lock);
    if (q->dir >= 0)
        close(q->dir);
    arena_free(q->scratch);
    free(q);
}

struct queue_numbers queue_numbers(const struct queue *q)
{
    struct queue_numbers n = {
        .messages = q->nmessages, .live_bytes = q->live_bytes, .segments = q->nsegments};
    for (size_t i = 0; i < q->nsegments; i++) {
        struct stat st;
        if (q->segments[i]->fd >= 0 && fstat(q->segments[i]->fd, &st) == 0)
            n.journal_bytes += (uint64_t)st.st_size;
    }
    if (q->writer.running) {
        pthread_mutex_lock((pthread_mutex_t *)&q->writer.lock);
        n.commits = q->writer.commits;
        n.stored = q->writer.stored;
        pthread_mutex_unlock((pthread_mutex_t *)&q->writer.lock);
    }
    return n;
}
