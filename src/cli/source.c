#include "cli/source.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/mbox.h"
#include "message/message.h"

enum { MAILDIR = 1 }; /* fts_number of a Maildir's root */
/* Read to see what a file is: most are not longer, and not read again. */
enum { HEAD_BYTES = 64 * 1024, SEPARATOR_MAX = 1024 };

static void tell(struct items *items, const char *path, const char *what)
{
    fprintf(stderr, "gatehouse %s: %s: %s\n", items->command ? items->command : "scan", path, what);
    items->errors++;
}

static struct item *add(struct items *items, const char *name, const char *path, int fd)
{
    struct item *it = ARENA_PUSH(items->arena, items->v, items->n, items->cap);
    *it = (struct item){.name = arena_strdup(items->arena, name),
                        .path = arena_strdup(items->arena, path),
                        .fd = fd,
                        .size = UINT64_MAX};
    return it;
}

/* Each message of a mailbox. A single one keeps the name of the file. */
static void add_mbox(struct items *items, const char *name, const char *path, int fd,
                     struct span bytes)
{
    struct span rest = bytes, separator, message;
    size_t first = items->n;
    while (mbox_next(&rest, &separator, &message)) {
        struct item *it = add(items, name, path, fd);
        it->offset = (uint64_t)(message.p - bytes.p);
        it->size = message.n;
        it->separator = separator.p ? arena_cstr(items->arena, separator) : NULL;
    }
    for (size_t i = first; items->n - first > 1 && i < items->n; i++)
        items->v[i].name = arena_printf(items->arena, "%s#%zu", name, i - first + 1).p;
}

static bool starts_as_mbox(struct span head)
{
    struct span line;
    return span_starts(head, SPAN("From ")) && span_line(&head, &line) && mbox_separator(line);
}

/* fd is a regular file (or memory file); it stays open only when keep. */
static void add_file(struct items *items, const char *name, const char *path, int fd, bool keep,
                     enum source_type type)
{
    char head[HEAD_BYTES];
    struct stat st;
    int kept = keep ? fd : -1;
    ssize_t got = type == SOURCE_MESSAGE ? 0 : pread(fd, head, sizeof head, 0);
    struct span bytes = span_of(head, got > 0 ? (size_t)got : 0);
    bool mbox = type == SOURCE_MBOX ||
                (type == SOURCE_AUTO && starts_as_mbox(span_sub(bytes, 0, SEPARATOR_MAX)));
    if (!mbox || fstat(fd, &st) != 0 || st.st_size == 0) {
        add(items, name, path, kept);
        return;
    }
    size_t n = (size_t)st.st_size;
    if (n == bytes.n) {
        add_mbox(items, name, path, kept, bytes);
        return;
    }
    void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
        tell(items, path, strerror(errno));
        return;
    }
    add_mbox(items, name, path, kept, span_of(p, n));
    munmap(p, n);
}

static void add_path(struct items *items, const char *path, enum source_type type)
{
    int fd = type == SOURCE_MESSAGE ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (type == SOURCE_MESSAGE) {
        add(items, path, path, -1);
    } else if (fd < 0) {
        tell(items, path, strerror(errno));
    } else {
        add_file(items, path, path, fd, false, type);
        close(fd);
    }
}

/* Pipes and terminals: read to the end into memory, where the scanners find it. */
static void add_stream(struct items *items, const char *name, int in, enum source_type type)
{
    char buf[65536];
    ssize_t n = 0;
    int fd = memfd_create("scan", MFD_CLOEXEC);
    while (fd >= 0 && (n = read(in, buf, sizeof buf)) > 0)
        for (ssize_t at = 0, w; at < n; at += w)
            if ((w = write(fd, buf + at, (size_t)(n - at))) < 0)
                break;
    if (fd < 0 || n < 0) {
        tell(items, name, strerror(errno));
        return;
    }
    add_file(items, name, name, fd, true, type);
}

static bool is_dir(const char *parent, const char *name)
{
    char path[4096];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", parent, name);
    return n > 0 && (size_t)n < sizeof path && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_maildir(const char *path)
{
    return is_dir(path, "cur") && is_dir(path, "new") && is_dir(path, "tmp");
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Between a Maildir's root and its messages stand the server's own files and what is being written.
 */
static bool maildir_extra(const FTSENT *e, bool directory)
{
    if (!e->fts_parent || e->fts_parent->fts_number != MAILDIR)
        return false;
    return !directory || strcmp(e->fts_name, "tmp") == 0;
}

static void visit(struct items *items, FTS *fts, FTSENT *e, enum source_type type)
{
    struct stat st;
    switch (e->fts_info) {
    case FTS_D:
        if (maildir_extra(e, true))
            fts_set(fts, e, FTS_SKIP);
        else if (is_maildir(e->fts_path))
            e->fts_number = MAILDIR;
        break;
    case FTS_F:
        if (!maildir_extra(e, false))
            add_path(items, e->fts_path, type);
        break;
    case FTS_SL:
    case FTS_SLNONE:
        if (stat(e->fts_path, &st) != 0)
            tell(items, e->fts_path, strerror(errno));
        else if (S_ISREG(st.st_mode))
            add_path(items, e->fts_path, type);
        break;
    case FTS_DEFAULT:
        tell(items, e->fts_path, "neither file nor directory, left out");
        break;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        tell(items, e->fts_path, strerror(e->fts_errno));
        break;
    default:
        break;
    }
}

static void add_directory(struct items *items, const char *path, enum source_type type)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    char *roots[] = {arena_cstr(items->arena, span_of(path, n)), NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    FTSENT *e;
    if (!fts) {
        tell(items, path, strerror(errno));
        return;
    }
    while ((e = fts_read(fts)))
        visit(items, fts, e, type);
    fts_close(fts);
}

void source_add(struct items *items, const char *path, enum source_type type)
{
    struct stat st;
    if (!items->arena)
        items->arena = arena_new(0);
    if (strcmp(path, "-") == 0) {
        add_stream(items, "-", STDIN_FILENO, type);
    } else if (stat(path, &st) != 0) {
        tell(items, path, strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        add_directory(items, path, type);
    } else if (S_ISREG(st.st_mode)) {
        add_path(items, path, type);
    } else {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            tell(items, path, strerror(errno));
            return;
        }
        add_stream(items, path, fd, type);
        close(fd);
    }
}

void source_free(struct items *items)
{
    for (size_t i = 0; i < items->n; i++)
        if (items->v[i].fd >= 0 && (i == 0 || items->v[i].fd != items->v[i - 1].fd))
            close(items->v[i].fd);
    if (items->arena)
        arena_free(items->arena);
    *items = (struct items){0};
}

/* The bytes of an item as a descriptor of their own. -1 with errno. */
static int part_of_file(const struct item *it, int fd)
{
    char buf[65536];
    uint64_t at = it->offset, end = it->offset + it->size;
    int out = memfd_create("message", MFD_CLOEXEC);
    while (out >= 0 && at < end) {
        size_t want = end - at < sizeof buf ? (size_t)(end - at) : sizeof buf;
        ssize_t n = pread(fd, buf, want, (off_t)at);
        if (n <= 0 || write(out, buf, (size_t)n) != n) {
            int sys = n == 0 ? ESTALE : errno;
            close(out);
            errno = sys;
            return -1;
        }
        at += (uint64_t)n;
    }
    return out;
}

static int open_file(const struct item *it)
{
    return it->fd >= 0 ? dup(it->fd) : open(it->path, O_RDONLY | O_CLOEXEC);
}

int source_open(const struct item *it)
{
    int fd = open_file(it);
    if (fd < 0 || it->size == UINT64_MAX)
        return fd;
    int part = part_of_file(it, fd), sys = errno;
    close(fd);
    errno = sys;
    return part;
}

int source_read(const struct item *it, struct message *m)
{
    int fd = open_file(it);
    if (fd < 0)
        return -1;
    int result =
        it->size == UINT64_MAX ? message_map(m, fd) : message_map_part(m, fd, it->offset, it->size);
    int sys = errno;
    close(fd);
    errno = sys;
    return result;
}
