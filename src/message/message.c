#include "message/message.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"

/* Up to here reading into the arena is cheaper than a mapping with its page faults and unmapping.
 */
enum { READ_BELOW = 128 * 1024 };

struct message *message_new(size_t memory_limit)
{
    struct message *m = xcalloc(1, sizeof *m);
    m->arena = arena_new(memory_limit);
    return m;
}

static void unmap(struct message *m)
{
    if (m->mapped.p)
        munmap((void *)(uintptr_t)m->mapped.p, m->mapped.n);
    m->mapped = m->raw = SPAN_NONE;
}

static int read_all(struct message *m, int fd, uint64_t offset, size_t size)
{
    char *p = arena_raw(m->arena, size + 1);
    size_t n = 0;
    while (n < size) {
        ssize_t got = pread(fd, p + n, size - n, (off_t)(offset + n));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    p[n] = '\0';
    m->raw = span_of(p, n);
    return 0;
}

/* The file has that much. */
static int map(struct message *m, int fd, uint64_t offset, size_t size)
{
    unmap(m);
    if (size < READ_BELOW)
        return read_all(m, fd, offset, size);
    size_t before = offset % (size_t)sysconf(_SC_PAGESIZE);
    void *p = mmap(NULL, before + size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd,
                   (off_t)(offset - before));
    if (p == MAP_FAILED)
        return -1;
    m->mapped = span_of(p, before + size);
    m->raw = span_from(m->mapped, before);
    return 0;
}

int message_map(struct message *m, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -1;
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    return map(m, fd, 0, (size_t)st.st_size);
}

int message_map_part(struct message *m, int fd, uint64_t offset, uint64_t size)
{
    struct stat st = {0};
    /* A mapping beyond the end is a trap; what is read tells by its length. */
    bool there = size < READ_BELOW || (fstat(fd, &st) == 0 && (uint64_t)st.st_size >= size &&
                                       (uint64_t)st.st_size - size >= offset);
    if (there && map(m, fd, offset, (size_t)size) != 0)
        return -1;
    if (!there || m->raw.n != size) {
        errno = ESTALE;
        return -1;
    }
    return 0;
}

void message_free(struct message *m)
{
    if (!m)
        return;
    unmap(m);
    arena_free(m->arena);
    free(m);
}

void message_reset(struct message *m)
{
    unmap(m);
    struct arena *arena = m->arena;
    arena_reset(arena);
    *m = (struct message){.arena = arena};
}
