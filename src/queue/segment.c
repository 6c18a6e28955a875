/* Segment files, as the writer's thread sees them: begin, reserve, write, seal. */
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "queue/queue_private.h"

/* Room that messages leave in each segment for changes and the seal: what has been delivered can be
 * written down when the disk is full. */
static uint64_t slack(const struct writer *w)
{
    const uint64_t most = 64 * 1024;
    return w->o.segment_size / 16 < most ? w->o.segment_size / 16 : most;
}

static int write_all(int fd, const char *p, size_t n, uint64_t at)
{
    while (n) {
        ssize_t w = pwrite(fd, p, n, (off_t)at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0) {
            if (w == 0)
                errno = ENOSPC;
            return -1;
        }
        p += w;
        n -= (size_t)w;
        at += (uint64_t)w;
    }
    return 0;
}

/* Reserves blocks, so that a full disk is known before a message is promised. File systems that
 * can't reserve find out when writing, which is still before the promise. */
static int reserve(int fd, uint64_t *capacity, uint64_t least)
{
    if (fallocate(fd, 0, 0, (off_t)*capacity) == 0)
        return 0;
    if (errno == EOPNOTSUPP || errno == ENOSYS)
        return 0;
    if ((errno == ENOSPC || errno == EDQUOT || errno == EFBIG) && least < *capacity) {
        *capacity = least;
        return fallocate(fd, 0, 0, (off_t)least);
    }
    return -1;
}

struct fresh {
    int fd;
    uint64_t number, salt, capacity;
};

static int begin(struct writer *w, uint64_t size, struct fresh *f)
{
    uint64_t least = SEGMENT_HEADER + size + RECORD_HEADER + slack(w);
    f->capacity = w->o.segment_size > least ? w->o.segment_size : least;
    f->number = w->opened + 1;
    if (getrandom(&f->salt, sizeof f->salt, 0) != sizeof f->salt)
        return -1;
    char name[SEGMENT_NAME], header[SEGMENT_HEADER];
    segment_name(name, f->number);
    f->fd = openat(w->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (f->fd < 0)
        return -1;
    segment_header_write(header, f->number, f->salt, clock_wall());
    if (reserve(f->fd, &f->capacity, least) == 0 &&
        write_all(f->fd, header, sizeof header, 0) == 0 && fsync(w->dir) == 0)
        return 0;
    int saved = errno;
    close(f->fd);
    unlinkat(w->dir, name, 0);
    errno = saved;
    return -1;
}

static void go_on_in(struct writer *w, const struct fresh *f)
{
    w->fd = f->fd;
    w->number = f->number;
    w->salt = f->salt;
    w->at = w->pos = SEGMENT_HEADER;
    w->capacity = f->capacity;
    w->dirty = true;
    pthread_mutex_lock(&w->lock);
    w->opened = f->number;
    pthread_mutex_unlock(&w->lock);
}

int segment_write_out(struct writer *w)
{
    if (w->out.n == 0)
        return 0;
    if (write_all(w->fd, w->out.p, w->out.n, w->pos) < 0)
        return -1;
    w->pos += w->out.n;
    w->dirty = true;
    buf_clear(&w->out);
    return 0;
}

int segment_sync(struct writer *w)
{
    if (w->fd < 0 || !w->dirty)
        return 0;
    if (fdatasync(w->fd) < 0)
        return -1;
    w->dirty = false;
    return 0;
}

int segment_seal(struct writer *w)
{
    if (w->fd < 0)
        return 0;
    struct record r = {.type = RECORD_SEAL};
    record_header_write(buf_room(&w->out, RECORD_HEADER), &r, w->salt);
    w->out.n += RECORD_HEADER;
    if (segment_write_out(w) < 0 || ftruncate(w->fd, (off_t)w->pos) < 0 || fdatasync(w->fd) < 0)
        return -1;
    close(w->fd);
    w->fd = -1;
    return 0;
}

/* The next one is there before this one is left: on a full disk this one still takes changes. */
int segment_make_room(struct writer *w, uint64_t size, bool message)
{
    uint64_t need = size + RECORD_HEADER + (message ? slack(w) : 0);
    struct fresh f;
    if (w->fd >= 0 && w->pos + w->out.n + need <= w->capacity)
        return 0;
    if (begin(w, size, &f) < 0)
        return -1;
    if (segment_seal(w) < 0) {
        char name[SEGMENT_NAME];
        int saved = errno;
        close(f.fd);
        unlinkat(w->dir, segment_name(name, f.number), 0);
        errno = saved;
        return -1;
    }
    go_on_in(w, &f);
    return 0;
}

void segment_abandon(struct writer *w)
{
    buf_clear(&w->out);
    if (w->fd < 0)
        return;
    int saved = errno;
    if (ftruncate(w->fd, (off_t)w->at) < 0)
        log_event(LOG_FAULT, NULL, "queue-truncate-failed", F_INT("segment", w->number),
                  F_STR("error", strerror(errno)));
    fdatasync(w->fd);
    close(w->fd);
    w->fd = -1;
    errno = saved;
}
