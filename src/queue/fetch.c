/* Reading messages back out of the journal. */
#include <errno.h>
#include <endian.h>
#include <fcntl.h>
#include <unistd.h>

#include "queue/queue_private.h"

uint32_t queue_crc(uint32_t crc, struct span bytes)
{
    return crc32c(crc, bytes.p, bytes.n);
}

static int64_t read_up_to(int fd, void *to, size_t n, uint64_t at)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = pread(fd, (char *)to + got, n - got, (off_t)(at + got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (int64_t)got;
}

/* A segment that could not be opened (no descriptors left) may be now. */
static int segment_fd(const struct queue *q, const struct queue_msg *m)
{
    struct queue_segment *s = m->segment;
    char name[SEGMENT_NAME];
    if (s && s->fd < 0)
        s->fd = openat(q->dir, segment_name(name, s->number), O_RDONLY | O_CLOEXEC);
    if (!s)
        errno = ENOENT;
    return s ? s->fd : -1;
}

int64_t queue_read(struct queue *q, const struct queue_msg *m, uint64_t at, void *to, size_t n)
{
    if (at >= m->size)
        return 0;
    if (n > m->size - at)
        n = (size_t)(m->size - at);
    int fd = segment_fd(q, m);
    return fd < 0 ? -1 : read_up_to(fd, to, n, m->at + RECORD_HEADER + m->meta_size + at);
}

int queue_descriptor(struct queue *q, const struct queue_msg *m, uint64_t *at)
{
    *at = m->at + RECORD_HEADER + m->meta_size;
    int fd = segment_fd(q, m);
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

int queue_fetch(struct queue *q, struct queue_msg *m, struct arena *a, size_t head_max,
                struct queue_meta *meta, struct span *head, struct err *e)
{
    size_t body = m->size < head_max ? (size_t)m->size : head_max;
    size_t want = RECORD_HEADER + m->meta_size + body;
    char *p = arena_raw(a, want + 1);
    int fd = segment_fd(q, m);
    if (fd < 0)
        return err_sys(e, "queue: can't open the segment of %s", m->id);
    int64_t got = read_up_to(fd, p, want, m->at);
    if (got < 0)
        return err_sys(e, "queue: can't read %s", m->id);
    /* The salt is not kept: take it from the record, the other checks bind it. */
    uint64_t salt = 0;
    struct record r;
    if ((size_t)got == want)
        memcpy(&salt, p + 8, 8);
    struct span bytes = span_of(p + RECORD_HEADER, m->meta_size);
    if ((size_t)got != want || !record_header_read(span_of(p, RECORD_HEADER), le64toh(salt), &r) ||
        r.meta_size != m->meta_size || r.meta_crc != crc32c(0, bytes.p, bytes.n) ||
        !record_meta_decode(bytes, a, meta, NULL))
        return err_set(e, "queue: the record of %s is damaged", m->id);
    meta->data_crc = r.data_crc;
    meta->flags = m->flags;
    if (head)
        *head = span_of(p + RECORD_HEADER + m->meta_size, body);
    return 0;
}

int queue_meta(struct queue *q, struct queue_msg *m, struct arena *a, struct queue_meta *out,
               struct err *e)
{
    return queue_fetch(q, m, a, 0, out, NULL, e);
}
