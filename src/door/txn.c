#include "door/door_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/xalloc.h"

struct txn *txn_new(struct door *d)
{
    struct txn *t = xcalloc(1, sizeof *t);
    t->door = d;
    t->arena = arena_new(0);
    t->seen = map_in(t->arena);
    t->fd = -1;
    t->began = clock_mono();
    id_new(t->req.id);
    return t;
}

static void timer_closed(uv_handle_t *h)
{
    free(h);
}

void txn_end(struct txn *t)
{
    if (!t)
        return;
    passage_cancel(t);
    callout_cancel(t);
    if (t->deadline)
        uv_close((uv_handle_t *)t->deadline, timer_closed);
    if (t->fd >= 0)
        close(t->fd);
    if (t->conn)
        t->conn->txn = NULL;
    arena_free(t->arena);
    free(t);
}

enum reply_id txn_begin_content(struct txn *t)
{
    t->fd = memfd_create("gatehouse-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return t->fd >= 0 ? R_DATA_GO : R_LOCAL_ERROR;
}

/* Large messages wait in the spool's file system: memory belongs to the many small ones. The file
 * has no name, so that nothing is left behind when we die; the spool gives it one when it keeps it.
 */
static int move_to_disk(struct txn *t)
{
    int fd = openat(t->door->incoming, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
        t->on_disk = true; /* a file system without O_TMPFILE: it stays in memory */
        return 0;
    }
    if (fd < 0)
        return -1;
    off_t from = 0;
    while ((uint64_t)from < t->size) {
        ssize_t n = sendfile(fd, t->fd, &from, (size_t)(t->size - (uint64_t)from));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int sys = n < 0 ? errno : EIO;
            close(fd);
            errno = sys;
            return -1;
        }
    }
    close(t->fd);
    t->fd = fd;
    t->on_disk = true;
    return 0;
}

void txn_content(struct txn *t, struct span bytes)
{
    if (t->write_error)
        return;
    if (!t->on_disk && t->door->incoming >= 0 && t->size + bytes.n > MEMORY_FILE_MAX &&
        move_to_disk(t) != 0) {
        t->write_error = errno;
        return;
    }
    while (bytes.n > 0) {
        ssize_t n = write(t->fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            t->write_error = n < 0 ? errno : EIO;
            return;
        }
        bytes = span_from(bytes, (size_t)n);
        t->size += (uint64_t)n;
    }
}

/* ---- what was decided ---- */

size_t txn_count(const struct txn *t, enum outcome o)
{
    size_t n = 0;
    for (size_t i = 0; i < t->result.ngroups; i++)
        n += t->result.groups[i].outcome == o;
    return n;
}

struct span txn_reply(const struct txn *t, enum outcome o)
{
    for (size_t i = 0; i < t->result.ngroups; i++)
        if (t->result.groups[i].outcome == o)
            return t->result.groups[i].reply;
    return SPAN_NONE;
}

void txn_change(struct txn *t, enum outcome from, enum outcome to)
{
    for (size_t i = 0; i < t->result.ngroups; i++)
        if (t->result.groups[i].outcome == from)
            t->result.groups[i].outcome = to;
}
