/* The writer: one thread that appends to the journal, in batches.
 *
 * A batch is everything asked for since the last one: jobs (messages to be promised) and changes
 * (what became of recipients). It is written front to back, then one fdatasync makes all of it
 * durable, then the jobs are answered. `at` moves only when a batch is through; after a failure the
 * segment is cut back to it, so that nothing that was refused stays behind. */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "queue/queue_private.h"

enum { OUT_MAX = 1 << 20, WINDOW = 256 * 1024, RETRY_MS = 1000, STATES_MAX = 8 << 20 };
#define FREE_CHECK_USEC ((usec)100000)

/* --- the data of a piece --- */

struct source {
    const struct piece *p;
    const char *window; /* all of it, when it is small or in memory */
};

static int read_exact(int fd, void *to, size_t n, uint64_t at)
{
    while (n) {
        ssize_t r = pread(fd, to, n, (off_t)at);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0) {
            if (r == 0)
                errno = EIO;
            return -1;
        }
        to = (char *)to + r;
        n -= (size_t)r;
        at += (uint64_t)r;
    }
    return 0;
}

/* Bytes go through `out`, which is written whenever it is large. */
static int emit_bytes(struct writer *w, const char *p, uint64_t n, uint32_t *crc)
{
    *crc = crc32c(*crc, p, n);
    while (n) {
        size_t part = n < OUT_MAX ? (size_t)n : OUT_MAX;
        buf_add(&w->out, span_of(p, part));
        p += part;
        n -= part;
        if (w->out.n >= OUT_MAX && segment_write_out(w) < 0)
            return -1;
    }
    return 0;
}

static int emit_original(struct writer *w, const struct source *s, uint64_t from, uint64_t to,
                         uint32_t *crc)
{
    if (s->window)
        return emit_bytes(w, s->window + from, to - from, crc);
    while (from < to) {
        size_t part = to - from < WINDOW ? (size_t)(to - from) : WINDOW;
        char *room = buf_room(&w->out, part);
        if (read_exact(s->p->fd, room, part, s->p->from + from) < 0)
            return -1;
        *crc = crc32c(*crc, room, part);
        w->out.n += part;
        from += part;
        if (w->out.n >= OUT_MAX && segment_write_out(w) < 0)
            return -1;
    }
    return 0;
}

static int emit_data(struct writer *w, struct piece *p, uint32_t *crc)
{
    struct source s = {p, p->fd < 0 ? p->bytes.p : NULL};
    if (p->fd >= 0 && p->base <= WINDOW) {
        buf_clear(&w->scratch);
        char *room = buf_room(&w->scratch, WINDOW);
        if (read_exact(p->fd, room, (size_t)p->base, p->from) < 0)
            return -1;
        s.window = room;
    }
    uint64_t at = 0;
    for (size_t i = 0; i < p->edits.n; i++) {
        const struct splice *e = &p->edits.v[i];
        if (emit_original(w, &s, at, e->at, crc) < 0 || emit_bytes(w, e->ins.p, e->ins.n, crc) < 0)
            return -1;
        at = e->at + e->del;
    }
    return emit_original(w, &s, at, p->base, crc);
}

static int append_piece(struct writer *w, struct piece *p)
{
    struct record r = {.type = p->type,
                       .meta_size = (uint32_t)p->meta.n,
                       .meta_crc = crc32c(0, p->meta.p, p->meta.n),
                       .data_size = p->size};
    uint64_t size = record_size(&r);
    if (p->type == RECORD_STATE && segment_make_room(w, size, false) < 0)
        return -1;
    p->segment = w->number;
    p->at = w->pos + w->out.n;
    char *head = buf_room(&w->out, RECORD_HEADER);
    memset(head, 0, RECORD_HEADER);
    w->out.n += RECORD_HEADER;
    buf_add(&w->out, buf_span(&p->meta));
    if (emit_data(w, p, &r.data_crc) < 0)
        return -1;
    for (uint64_t n = RECORD_HEADER + p->meta.n + p->size; n < size; n++)
        buf_char(&w->out, 0);
    if (p->copy)
        r.data_crc = p->data_crc;
    p->data_crc = r.data_crc;
    char header[RECORD_HEADER];
    record_header_write(header, &r, w->salt);
    if (p->at >= w->pos) {
        memcpy(w->out.p + (p->at - w->pos), header, sizeof header);
    } else if (pwrite(w->fd, header, sizeof header, (off_t)p->at) != sizeof header) {
        return -1;
    }
    return w->out.n >= OUT_MAX ? segment_write_out(w) : 0;
}

static int append_states(struct writer *w, struct span changes)
{
    struct piece p = {.type = RECORD_STATE, .fd = -1, .bytes = SPAN("")};
    buf_add(&p.meta, changes);
    int result = append_piece(w, &p);
    buf_free(&p.meta);
    return result;
}

/* --- a batch --- */

static void refuse(struct job *j, enum queue_result r, const char *why)
{
    j->result = r;
    snprintf(j->why, sizeof j->why, "%s", why);
}

/* Space is asked for, not assumed: other programs write to the disk as well. */
static bool enough_room(struct writer *w, const struct job *j)
{
    if (!w->o.minimum_free || j->copying)
        return true;
    usec now = clock_mono();
    if (!w->checked || now - w->checked > FREE_CHECK_USEC) {
        struct statvfs vfs;
        if (fstatvfs(w->dir, &vfs) < 0)
            return true;
        w->free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
        w->checked = now;
    }
    uint64_t size = 0;
    for (size_t i = 0; i < j->n; i++)
        size += j->v[i].size;
    return w->free_bytes >= w->o.minimum_free + size;
}

/* Also what can't be written at all: in both cases the sender may come back later (RFC 3463:
 * x.3.1). */
static bool means_full(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EROFS;
}

static void refuse_for(struct job *j, int error)
{
    char why[200];
    snprintf(why, sizeof why, "can't write the queue: %s", strerror(error));
    refuse(j, means_full(error) ? QUEUE_FULL : QUEUE_FAILED, why);
}

static uint64_t job_size(const struct job *j)
{
    uint64_t size = 0;
    for (size_t i = 0; i < j->n; i++) {
        struct record r = {.meta_size = (uint32_t)j->v[i].meta.n, .data_size = j->v[i].size};
        size += record_size(&r);
    }
    return size;
}

static int append_job(struct writer *w, struct job *j)
{
    if (!enough_room(w, j)) {
        refuse(j, QUEUE_FULL, "not enough free space in the queue");
        return 0;
    }
    /* All its pieces stand in one segment. When there is no room for them only they are refused. */
    if (segment_make_room(w, job_size(j), true) < 0) {
        int error = errno;
        if (w->fd < 0 && w->out.n)
            return -1;
        log_event(LOG_FAULT, NULL, "queue-write-failed", F_STR("error", strerror(error)));
        refuse_for(j, error);
        return 0;
    }
    for (size_t i = 0; i < j->n; i++)
        if (append_piece(w, &j->v[i]) < 0)
            return -1;
    return 0;
}

static void batch_failed(struct writer *w, struct job *jobs, int error)
{
    log_event(LOG_FAULT, NULL, "queue-write-failed", F_STR("error", strerror(error)));
    for (struct job *j = jobs; j; j = j->next) {
        if (j->result != QUEUE_OK)
            continue;
        refuse_for(j, error);
        /* Pieces in a segment that was sealed within this batch are durable: take them back. */
        for (size_t i = 0; i < j->n; i++)
            if (j->v[i].segment && (w->fd < 0 || j->v[i].segment != w->number) && !j->copying) {
                struct cursor c = cursor_over(buf_span(&j->v[i].meta));
                cursor_u8(&c);
                record_change_encode(&w->unwritten, cursor_lstr(&c), NULL, 0, NULL);
            }
    }
    w->checked = 0;
    segment_abandon(w);
}

/* Returns whether all of it is written. */
static bool write_batch(struct writer *w, struct job *jobs, struct buf *states, bool sync)
{
    int failed = 0;
    uint64_t stored = 0;
    if (w->unwritten.n) {
        buf_add(&w->unwritten, buf_span(states));
        struct buf swap = *states;
        *states = w->unwritten;
        w->unwritten = swap;
        buf_clear(&w->unwritten);
    }
    if (states->n)
        failed = append_states(w, buf_span(states));
    for (struct job *j = jobs; j && !failed; j = j->next) {
        failed = append_job(w, j);
        stored += j->result == QUEUE_OK;
    }
    if (!failed)
        failed = segment_write_out(w);
    if (!failed && (stored || sync))
        failed = segment_sync(w);
    if (failed) {
        int error = errno;
        batch_failed(w, jobs, error);
        buf_add(&w->unwritten, buf_span(states));
    } else {
        w->at = w->pos;
    }
    buf_clear(states);
    pthread_mutex_lock(&w->lock);
    w->stuck = w->unwritten.n > STATES_MAX;
    w->commits += !failed && stored;
    w->stored += failed ? 0 : stored;
    pthread_mutex_unlock(&w->lock);
    return !failed;
}

/* What lived in them lives no more or elsewhere, so this needs no changes on disk. Returns what is
 * left. */
static struct unlinking *unlink_all(struct writer *w, struct unlinking *u)
{
    while (u) {
        struct unlinking *next = u->next;
        char name[SEGMENT_NAME];
        /* One by one and in order: a change must never outlive the change that came after it. */
        if ((unlinkat(w->dir, segment_name(name, u->number), 0) < 0 && errno != ENOENT) ||
            fsync(w->dir) < 0) {
            log_event(LOG_WARN, NULL, "queue-unlink-failed", F_STR("segment", name),
                      F_STR("error", strerror(errno)));
            return u;
        }
        free(u);
        u = next;
    }
    return NULL;
}

/* After a failure a sender is still answered at once; the rest is tried once in RETRY_MS. */
static void wait_for_work(struct writer *w)
{
    while (!w->stop && !w->first) {
        bool work = w->states.n || w->unlink || w->flush_wanted != w->flushed;
        if (w->retry_at) {
            struct timespec until = {(time_t)(w->retry_at / USEC_PER_SEC),
                                     (long)(w->retry_at % USEC_PER_SEC) * 1000};
            if (pthread_cond_timedwait(&w->wake, &w->lock, &until) == ETIMEDOUT)
                return;
        } else if (work) {
            return;
        } else {
            pthread_cond_wait(&w->wake, &w->lock);
        }
    }
}

static struct job *take_jobs(struct writer *w)
{
    struct job *jobs = w->first;
    w->first = NULL;
    w->last = &w->first;
    return jobs;
}

static void give_back(struct writer *w, struct job *jobs, uint64_t flushed, bool ok)
{
    for (struct job *j = jobs; j;) {
        struct job *next = j->next;
        j->next = NULL;
        *w->finished_last = j;
        w->finished_last = &j->next;
        j = next;
    }
    if (ok || w->stop)
        w->flushed = flushed;
    uv_async_send(w->async);
}

/* Before what has come meanwhile. */
static void unlink_later(struct writer *w, struct unlinking *u)
{
    struct unlinking **end = &u;
    while (*end)
        end = &(*end)->next;
    *end = w->unlink;
    w->unlink = u;
}

static void *writer_thread(void *arg)
{
    struct writer *w = arg;
    struct buf states = {0};
    pthread_mutex_lock(&w->lock);
    for (;;) {
        wait_for_work(w);
        if (w->stop && !w->first && !w->states.n && !w->unlink && !w->unwritten.n &&
            w->flush_wanted == w->flushed)
            break;
        if (w->first && w->o.commit_delay > 0 && !w->stop) {
            pthread_mutex_unlock(&w->lock);
            usleep((unsigned)w->o.commit_delay);
            pthread_mutex_lock(&w->lock);
        }
        struct job *jobs = take_jobs(w);
        struct buf swap = states;
        states = w->states;
        w->states = swap;
        struct unlinking *u = w->unlink;
        w->unlink = NULL;
        uint64_t flush = w->flush_wanted;
        bool sync = flush != w->flushed;
        pthread_mutex_unlock(&w->lock);
        bool ok = write_batch(w, jobs, &states, sync);
        u = unlink_all(w, u);
        w->retry_at = ok && !u ? 0 : clock_mono() + RETRY_MS * USEC_PER_SEC / 1000;
        pthread_mutex_lock(&w->lock);
        unlink_later(w, u);
        give_back(w, jobs, flush, ok);
        if (w->retry_at && w->stop)
            break;
    }
    pthread_mutex_unlock(&w->lock);
    if (segment_seal(w) < 0)
        segment_abandon(w);
    buf_free(&states);
    return NULL;
}

/* --- from the loop --- */

int writer_start(struct writer *w, int dir, const struct queue_options *o, uint64_t newest,
                 uv_async_t *async)
{
    w->last = &w->first;
    w->finished_last = &w->finished;
    w->dir = dir;
    w->fd = -1;
    w->o = *o;
    w->opened = newest;
    w->async = async;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &mono);
    pthread_condattr_destroy(&mono);
    int error = pthread_create(&w->thread, NULL, writer_thread, w);
    if (error) {
        errno = error;
        return -1;
    }
    w->running = true;
    return 0;
}

void writer_stop(struct writer *w)
{
    if (w->running) {
        pthread_mutex_lock(&w->lock);
        w->stop = true;
        pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
        pthread_mutex_destroy(&w->lock);
        pthread_cond_destroy(&w->wake);
        w->running = false;
    }
    while (w->unlink) {
        struct unlinking *next = w->unlink->next;
        free(w->unlink);
        w->unlink = next;
    }
    buf_free(&w->states);
    buf_free(&w->out);
    buf_free(&w->scratch);
    buf_free(&w->unwritten);
}

void writer_submit(struct writer *w, struct job *j)
{
    j->next = NULL;
    pthread_mutex_lock(&w->lock);
    *w->last = j;
    w->last = &j->next;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void writer_states(struct writer *w, struct span changes)
{
    pthread_mutex_lock(&w->lock);
    buf_add(&w->states, changes);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

uint64_t writer_flush(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t generation = ++w->flush_wanted;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    return generation;
}

void writer_unlink(struct writer *w, uint64_t number)
{
    struct unlinking *u = xmalloc(sizeof *u);
    *u = (struct unlinking){.number = number};
    pthread_mutex_lock(&w->lock);
    struct unlinking **end = &w->unlink;
    while (*end)
        end = &(*end)->next;
    *end = u;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}
