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
    if (m->mapped)
        munmap((void *)(uintptr_t)m->raw.p, m->raw.n);
    m->mapped = false;
    m->raw = SPAN_NONE;
}

static int read_all(struct message *m, int fd, size_t size)
{
    char *p = arena_raw(m->arena, size + 1);
    size_t n = 0;
    while (n < size) {
        ssize_t got = pread(fd, p + n, size - n, (off_t)n);
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

int message_map(struct message *m, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -1;
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    unmap(m);
    size_t size = (size_t)st.st_size;
    if (size < READ_BELOW)
        return read_all(m, fd, size);
    void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (p == MAP_FAILED)
        return -1;
    m->raw = span_of(p, size);
    m->mapped = true;
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
