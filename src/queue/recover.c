/* Recovery: reads the segments in order and makes the index.
 *
 * Sealed segments were synced whole: their headers and metas are checked here, their data when it
 * is delivered. An unsealed segment was being written when the process or the machine died:
 * everything in it is checked. What follows its last whole record was never promised and is cut. A
 * record that does not check out with whole ones behind it was promised: its bytes go to
 * <dir>/damaged for the postmaster, and the rest is used.
 *
 * What can't be read (EIO) is not the same as what is damaged: nothing is cut or removed because of
 * it. Such a segment is pinned: it stays on disk, whole, until a later start can read it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "queue/queue_private.h"

enum { LOOK = 1 << 20, SALT_AT = 8, STEP = 8 };

struct scan {
    struct queue *q;
    struct queue_recovery *found;
    uint64_t number, salt, size, pos;
    int fd;
    bool sealed;
    int unreadable;    /* errno of a failed read */
    struct buf window; /* bytes of the file from window_at */
    uint64_t window_at;
};

/* n bytes at an offset, from the window; absent beyond the end. */
static struct span look(struct scan *s, uint64_t at, size_t n)
{
    if (at > s->size || n > s->size - at)
        return SPAN_NONE;
    if (at < s->window_at || at + n > s->window_at + s->window.n) {
        size_t want = n > LOOK ? n : LOOK;
        if (want > s->size - at)
            want = (size_t)(s->size - at);
        buf_clear(&s->window);
        char *p = buf_room(&s->window, want);
        while (s->window.n < want) {
            ssize_t r =
                pread(s->fd, p + s->window.n, want - s->window.n, (off_t)(at + s->window.n));
            if (r < 0 && errno == EINTR)
                continue;
            if (r <= 0) {
                s->unreadable = r < 0 ? errno : EIO; /* shorter than its size: the same */
                break;
            }
            s->window.n += (size_t)r;
        }
        s->window_at = at;
        if (s->window.n < n)
            return SPAN_NONE;
    }
    return span_of(s->window.p + (at - s->window_at), n);
}

static bool data_checks_out(struct scan *s, uint64_t at, const struct record *r)
{
    uint32_t crc = 0;
    for (uint64_t left = r->data_size; left;) {
        size_t n = left < LOOK ? (size_t)left : LOOK;
        struct span part = look(s, at, n);
        if (!part.p)
            return false;
        crc = crc32c(crc, part.p, n);
        at += n;
        left -= n;
    }
    return crc == r->data_crc;
}

static void drop(struct queue *q, struct queue_msg *m)
{
    queue_index_remove(q, m);
    queue_index_unplace(q, m);
    queue_index_free(m);
}

static bool take_message(struct scan *s, const struct record *r, struct span bytes)
{
    struct queue *q = s->q;
    struct queue_meta meta;
    struct queue_rcpt *states;
    arena_reset(q->scratch);
    if (!record_meta_decode(bytes, q->scratch, &meta, &states))
        return false;
    if (!s->sealed && !data_checks_out(s, s->pos + RECORD_HEADER + r->meta_size, r))
        return false;
    struct queue_msg *old = queue_find(q, span_str(meta.id));
    if (old) /* copied forward: the later record knows more */
        drop(q, old);
    struct queue_msg *m = queue_index_make(&meta, states, r->data_size);
    queue_index_place(q, m, s->number, s->pos, r->meta_size);
    queue_index_insert(q, m);
    return true;
}

static void apply(struct queue *q, const struct record_change *c)
{
    struct queue_msg *m = queue_find(q, c->id);
    if (!m)
        return; /* its segment is gone: it was finished */
    if (c->n == 0)
        m->open = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->rcpts[i] >= m->nrcpts)
            continue;
        struct queue_rcpt *r = &m->rcpts[c->rcpts[i]];
        bool was = queue_state_final(r->state), is = queue_state_final(c->c.state);
        m->open = m->open - (!was && is) + (was && !is);
        r->state = c->c.state;
        r->next = c->c.next;
        r->last = c->c.last;
        r->tries = c->c.tries;
        r->warned = c->c.warned;
        rcpt_reason(r, c->c.reason);
    }
    if (m->open == 0)
        drop(q, m);
}

static bool take_changes(struct scan *s, struct span bytes)
{
    struct cursor c = cursor_over(bytes);
    struct record_change change;
    arena_reset(s->q->scratch);
    while (record_change_decode(&c, s->q->scratch, &change))
        apply(s->q, &change);
    return cursor_ok(&c);
}

/* Takes the record at pos. Its size, or 0 when there is no whole record. *whole: the header is
 * good, so the size is known although the rest is not. */
static uint64_t take_record(struct scan *s, uint64_t *whole)
{
    struct record r;
    *whole = 0;
    struct span head = look(s, s->pos, RECORD_HEADER);
    if (!head.p || !record_header_read(head, s->salt, &r))
        return 0;
    uint64_t size = record_size(&r);
    if (size > s->size - s->pos)
        return 0;
    *whole = size;
    struct span bytes = look(s, s->pos + RECORD_HEADER, r.meta_size);
    if (!bytes.p || crc32c(0, bytes.p, bytes.n) != r.meta_crc)
        return 0;
    bool ok = true;
    if (r.type == RECORD_MESSAGE) {
        /* The window moves while the data is checked: the meta must stay. */
        struct buf copy = {0};
        buf_add(&copy, bytes);
        ok = take_message(s, &r, buf_span(&copy));
        buf_free(&copy);
    } else if (r.type == RECORD_STATE) {
        ok = take_changes(s, bytes);
    }
    return ok ? size : 0;
}

/* Where the next whole record header stands, or 0. */
static uint64_t next_record(struct scan *s, uint64_t from)
{
    struct record r;
    for (uint64_t at = (from + STEP - 1) & ~(uint64_t)(STEP - 1); at + RECORD_HEADER <= s->size;
         at += STEP) {
        struct span head = look(s, at, RECORD_HEADER);
        if (!head.p)
            return 0;
        if (record_header_read(head, s->salt, &r) && record_size(&r) <= s->size - at)
            return at;
    }
    return 0;
}

/* End of the last byte that is not zero. */
static uint64_t last_byte(struct scan *s, uint64_t from)
{
    uint64_t last = from;
    for (uint64_t at = from; at < s->size;) {
        size_t n = s->size - at < LOOK ? (size_t)(s->size - at) : LOOK;
        struct span part = look(s, at, n);
        if (!part.p)
            break;
        for (size_t i = n; i-- > 0;) {
            if (part.p[i]) {
                last = at + i + 1;
                break;
            }
        }
        at += n;
    }
    return last;
}

/* Never removed by this process: a later start looks at it again. */
static void pin(struct scan *s)
{
    queue_index_segment(s->q, s->number, true)->live++;
}

static bool copy_bytes(struct scan *s, int out, uint64_t from, uint64_t to)
{
    while (from < to) {
        size_t n = to - from < LOOK ? (size_t)(to - from) : LOOK;
        struct span part = look(s, from, n);
        if (!part.p || write(out, part.p, n) != (ssize_t)n)
            return false;
        from += n;
    }
    return fsync(out) == 0;
}

/* Keeps bytes that were promised and can't be used. */
static void preserve(struct scan *s, uint64_t from, uint64_t to)
{
    s->found->damaged++;
    char name[SEGMENT_NAME], path[96];
    segment_name(name, s->number);
    log_event(LOG_FAULT, NULL, "queue-damaged", F_STR("segment", name), F_INT("at", from),
              F_INT("bytes", to - from));
    if (s->q->o.read_only)
        return;
    mkdirat(s->q->dir, "damaged", 0700);
    snprintf(path, sizeof path, "damaged/%s-%llu", name, (unsigned long long)from);
    int out = openat(s->q->dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0 || !copy_bytes(s, out, from, to))
        pin(s);
    if (out >= 0)
        close(out);
}

/* Cuts what was never promised and seals the segment, so that it is read as whole from now on. */
static void close_segment(struct scan *s, uint64_t end)
{
    if (s->q->o.read_only)
        return;
    char name[SEGMENT_NAME], header[RECORD_HEADER];
    int fd = openat(s->q->dir, segment_name(name, s->number), O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    struct record seal = {.type = RECORD_SEAL};
    record_header_write(header, &seal, s->salt);
    if (ftruncate(fd, (off_t)end) < 0 ||
        pwrite(fd, header, sizeof header, (off_t)end) != (ssize_t)sizeof header ||
        fdatasync(fd) < 0)
        log_event(LOG_WARN, NULL, "queue-seal-failed", F_STR("segment", name),
                  F_STR("error", strerror(errno)));
    close(fd);
}

static bool is_sealed(struct scan *s)
{
    struct record r;
    if (s->size < SEGMENT_HEADER + RECORD_HEADER || s->size % STEP)
        return false;
    struct span tail = look(s, s->size - RECORD_HEADER, RECORD_HEADER);
    return tail.p && record_header_read(tail, s->salt, &r) && r.type == RECORD_SEAL;
}

static void unreadable(struct scan *s)
{
    char name[SEGMENT_NAME];
    s->found->unreadable++;
    log_event(LOG_FAULT, NULL, "queue-unreadable", F_STR("segment", segment_name(name, s->number)),
              F_INT("at", s->pos), F_STR("error", strerror(s->unreadable)));
    pin(s);
}

static void scan_records(struct scan *s)
{
    s->sealed = is_sealed(s);
    s->pos = SEGMENT_HEADER;
    while (s->pos < s->size) {
        uint64_t whole, size = take_record(s, &whole);
        if (size) {
            s->pos += size;
            continue;
        }
        uint64_t next = next_record(s, s->pos + (whole ? whole : STEP));
        if (!next)
            break;
        preserve(s, s->pos, next);
        s->pos = next;
    }
    uint64_t end = last_byte(s, s->pos);
    if (s->unreadable) {
        unreadable(s);
        return;
    }
    if (s->sealed && end > s->pos)
        preserve(s, s->pos, end);
    else if (end > s->pos)
        s->found->torn_bytes += end - s->pos;
    if (!s->sealed)
        close_segment(s, s->pos);
}

/* A segment without a readable header: begun and not yet written when the process died, or damaged.
 */
static void scan_headless(struct scan *s)
{
    char name[SEGMENT_NAME], path[96];
    segment_name(name, s->number);
    bool empty = last_byte(s, 0) <= SEGMENT_HEADER;
    if (s->unreadable) {
        unreadable(s);
        return;
    }
    if (!empty) {
        s->found->damaged++;
        log_event(LOG_FAULT, NULL, "queue-damaged", F_STR("segment", name),
                  F_STR("what", "header"));
    }
    if (s->q->o.read_only)
        return;
    if (empty) {
        unlinkat(s->q->dir, name, 0);
        return;
    }
    mkdirat(s->q->dir, "damaged", 0700);
    snprintf(path, sizeof path, "damaged/%s", name);
    renameat(s->q->dir, name, s->q->dir, path);
}

static int scan_segment(struct queue *q, uint64_t number, struct queue_recovery *found,
                        struct err *e)
{
    char name[SEGMENT_NAME];
    struct stat st;
    struct scan s = {.q = q, .found = found, .number = number};
    s.fd = openat(q->dir, segment_name(name, number), O_RDONLY | O_CLOEXEC);
    if (s.fd < 0)
        return errno == ENOENT && q->o.read_only ? 0 : err_sys(e, "queue: can't open %s", name);
    if (fstat(s.fd, &st) < 0) {
        close(s.fd);
        return err_sys(e, "queue: can't read %s", name);
    }
    s.size = (uint64_t)st.st_size;
    struct span head = look(&s, 0, SEGMENT_HEADER);
    if (head.p && segment_header_read(head, number, &s.salt)) {
        found->segments++;
        queue_index_segment(q, number, true);
        scan_records(&s);
    } else {
        scan_headless(&s);
    }
    buf_free(&s.window);
    close(s.fd);
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t *list_segments(struct queue *q, size_t *n, struct err *e)
{
    int fd = openat(q->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        err_sys(e, "can't read the queue's directory");
        return NULL;
    }
    size_t cap = 64;
    uint64_t *v = xmalloc(cap * sizeof *v), number;
    *n = 0;
    for (struct dirent *f; (f = readdir(d));) {
        if (!segment_name_parse(f->d_name, &number))
            continue;
        if (*n == cap)
            v = xrealloc(v, (cap *= 2) * sizeof *v);
        v[(*n)++] = number;
    }
    closedir(d);
    qsort(v, *n, sizeof *v, by_number);
    return v;
}

static void count(void *ctx, struct queue_msg *m)
{
    struct queue_recovery *found = ctx;
    found->messages++;
    found->recipients += m->open;
    found->bytes += m->size;
}

int queue_recover(struct queue *q, struct queue_recovery *found, uint64_t *newest, struct err *e)
{
    size_t n;
    *found = (struct queue_recovery){0};
    uint64_t *v = list_segments(q, &n, e);
    if (!v)
        return -1;
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++) {
        *newest = v[i];
        result = scan_segment(q, v[i], found, e);
    }
    free(v);
    queue_each(q, count, found);
    return result;
}
