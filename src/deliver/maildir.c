/* Delivery into a Maildir: one file a recipient, written to tmp, synced, renamed into new, the
 * directory synced. The work is done in libuv's threads; the loop prepares it and takes the result.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "deliver/deliver_private.h"

enum { COPY_PIECE = 256 * 1024 };

struct carrying {
    uv_work_t work;
    struct job *job;
    const char *path;
    int fd; /* of the journal's segment; -1: the message is in job->head */
    uint64_t at, size;
    const char *host;
    usec now;
};

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -1;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

/* Mail in a Maildir has LF line ends, as every delivery agent writes it. *cr: a CR is held back. */
static void add_lf(struct buf *out, struct span s, bool *cr)
{
    for (size_t i = 0; i < s.n;) {
        if (*cr) {
            if (s.p[i] != '\n')
                buf_char(out, '\r');
            *cr = false;
        }
        const char *next = memchr(s.p + i, '\r', s.n - i);
        size_t n = next ? (size_t)(next - s.p) - i : s.n - i;
        buf_add(out, span_of(s.p + i, n));
        i += n;
        if (next) {
            *cr = true;
            i++;
        }
    }
}

static int write_body(const struct carrying *c, int to, struct buf *b, uint32_t *crc)
{
    bool cr = false;
    char *piece = c->fd >= 0 ? xmalloc(COPY_PIECE) : NULL;
    int result = 0;
    *crc = 0;
    if (!piece && c->job->head.n < c->size) { /* no descriptor could be had */
        errno = EMFILE;
        return -1;
    }
    for (uint64_t at = 0; at < c->size && result == 0;) {
        struct span bytes = c->job->head;
        if (piece) {
            size_t want = c->size - at < COPY_PIECE ? (size_t)(c->size - at) : COPY_PIECE;
            ssize_t n = pread(c->fd, piece, want, (off_t)(c->at + at));
            if (n <= 0) {
                errno = n < 0 ? errno : EIO;
                result = -1;
                break;
            }
            bytes = span_of(piece, (size_t)n);
        }
        *crc = queue_crc(*crc, bytes);
        add_lf(b, bytes, &cr);
        at += bytes.n;
        result = write_all(to, b->p, b->n);
        buf_clear(b);
    }
    free(piece);
    if (result == 0 && cr)
        result = write_all(to, "\r", 1);
    return result;
}

static int make_maildir(const char *path)
{
    static const char *const parts[] = {"", "/tmp", "/new", "/cur"};
    for (size_t i = 0; i < 4; i++) {
        char *p = xasprintf("%s%s", path, parts[i]);
        int result = mkdir(p, 0700);
        free(p);
        if (result < 0 && errno != EEXIST)
            return -1;
    }
    return 0;
}

/* https://cr.yp.to/proto/maildir.html: time, what is unique to this delivery, host. */
static char *unique_name(const struct carrying *c, unsigned n)
{
    static atomic_uint serial;
    return xasprintf("%lld.M%06lldP%dQ%u_%s_%u.%s", (long long)(c->now / USEC_PER_SEC),
                     (long long)(c->now % USEC_PER_SEC), (int)getpid(),
                     atomic_fetch_add(&serial, 1), c->job->m->id, n, c->host);
}

static int sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = fsync(fd);
    close(fd);
    return result;
}

static int write_file(const struct carrying *c, const char *path, struct span rcpt, bool *damaged)
{
    struct buf b = {0};
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    buf_printf(&b, "Return-Path: <%.*s>\nDelivered-To: %.*s\n", SPAN_ARG(c->job->meta.env.from),
               SPAN_ARG(rcpt));
    uint32_t crc;
    int result = write_body(c, fd, &b, &crc);
    if (result == 0 && crc != c->job->meta.data_crc) {
        *damaged = true;
        errno = EIO;
        result = -1;
    }
    if (result == 0)
        result = fsync(fd);
    int saved = errno;
    if (close(fd) < 0)
        result = -1;
    errno = saved;
    buf_free(&b);
    return result;
}

static int deliver_one(struct carrying *c, struct span rcpt, unsigned n)
{
    char *name = unique_name(c, n);
    char *tmp = xasprintf("%s/tmp/%s", c->path, name), *new = xasprintf("%s/new/%s", c->path, name);
    char *dir = xasprintf("%s/new", c->path);
    int result = write_file(c, tmp, rcpt, &c->job->t.damaged);
    if (result < 0 && errno == ENOENT && make_maildir(c->path) == 0)
        result = write_file(c, tmp, rcpt, &c->job->t.damaged);
    if (result == 0)
        result = rename(tmp, new);
    if (result == 0)
        result = sync_dir(dir);
    if (result < 0) {
        int saved = errno;
        unlink(tmp);
        errno = saved;
    }
    free(name);
    free(tmp);
    free(new);
    free(dir);
    return result;
}

static void work(uv_work_t *w)
{
    struct carrying *c = w->data;
    struct job *j = c->job;
    for (size_t i = 0; i < j->n; i++) {
        struct answer *a = &j->t.answers[i];
        if (deliver_one(c, j->meta.env.rcpts[j->rcpts[i]].addr, (unsigned)i) == 0)
            *a = (struct answer){ANSWER_OK, SPAN("250 2.0.0 delivered")};
        else
            *a = (struct answer){ANSWER_TEMP, arena_printf(j->arena, "451 4.3.0 maildir %s: %s",
                                                           c->path, strerror(errno))};
    }
}

static void after(uv_work_t *w, int status)
{
    struct carrying *c = w->data;
    struct job *j = c->job;
    struct dest *t = j->dest;
    struct deliver *d = j->d;
    (void)status;
    if (c->fd >= 0)
        close(c->fd);
    free(c);
    t->working--;
    job_answered(j);
    dest_pump(t);
    maybe_drained(d);
}

void maildir_start(struct job *j)
{
    struct carrying *c = xcalloc(1, sizeof *c);
    *c = (struct carrying){.job = j,
                           .path = j->dest->route.path.p,
                           .fd = -1,
                           .size = j->m->size,
                           .host = j->d->set->hostname,
                           .now = clock_wall()};
    c->work.data = c;
    if (j->head.n < j->m->size)
        c->fd = queue_descriptor(j->d->q, j->m, &c->at);
    uv_queue_work(j->d->loop, &c->work, work, after);
}
