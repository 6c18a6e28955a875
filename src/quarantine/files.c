#include "quarantine/quarantine_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ID + ".json.tmp" */
enum { NAME_SIZE = ID_LEN + 16, COPY_CHUNK = 1024 * 1024 };

char *day_of(usec when, char out[DAY_SIZE])
{
    time_t s = (time_t)(when / USEC_PER_SEC);
    struct tm tm;
    if (!gmtime_r(&s, &tm) || strftime(out, DAY_SIZE, "%Y-%m-%d", &tm) == 0)
        memcpy(out, "1970-01-01", sizeof "1970-01-01");
    return out;
}

int day_open(int root, const char *day, bool make)
{
    int fd = openat(root, day, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT || !make)
        return fd;
    if (mkdirat(root, day, 0700) && errno != EEXIST)
        return -1;
    if (fsync(root))
        return -1;
    return openat(root, day, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static char *name_of(char out[NAME_SIZE], const char *id, const char *suffix, const char *tmp)
{
    snprintf(out, NAME_SIZE, "%s.%s%s", id, suffix, tmp);
    return out;
}

static int write_all(int fd, struct span s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno != EINTR)
            return -1;
        s = span_from(s, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

/* pread, because the descriptor's position belongs to the caller. */
static int copy_all(int fd, int from, uint64_t *size)
{
    char *chunk = malloc(COPY_CHUNK);
    ssize_t n = -1;
    *size = 0;
    while (chunk && (n = pread(from, chunk, COPY_CHUNK, (off_t)*size)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || write_all(fd, span_of(chunk, (size_t)n))) {
            n = -1;
            break;
        }
        *size += (uint64_t)n;
    }
    free(chunk);
    return n == 0 ? 0 : -1;
}

/* Opens the temporary name; keep() makes it the real one. */
static int begin(int dir, const char *id, const char *suffix, struct err *e)
{
    char tmp[NAME_SIZE];
    name_of(tmp, id, suffix, ".tmp");
    int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        err_sys(e, "quarantine: %s", tmp);
    return fd;
}

static int keep(int dir, const char *id, const char *suffix, int fd, bool written, struct err *e)
{
    char tmp[NAME_SIZE], name[NAME_SIZE];
    name_of(tmp, id, suffix, ".tmp");
    name_of(name, id, suffix, "");
    if (written && fsync(fd) == 0 && renameat(dir, tmp, dir, name) == 0) {
        close(fd);
        return 0;
    }
    err_sys(e, "quarantine: %s", name);
    close(fd);
    unlinkat(dir, tmp, 0);
    return -1;
}

int file_put(int dir, const char *id, const char *suffix, struct span bytes, struct err *e)
{
    int fd = begin(dir, id, suffix, e);
    return fd < 0 ? -1 : keep(dir, id, suffix, fd, write_all(fd, bytes) == 0, e);
}

int file_copy(int dir, const char *id, const char *suffix, int from, uint64_t *size, struct err *e)
{
    int fd = begin(dir, id, suffix, e);
    return fd < 0 ? -1 : keep(dir, id, suffix, fd, copy_all(fd, from, size) == 0, e);
}

bool file_there(int dir, const char *id, const char *suffix)
{
    char name[NAME_SIZE];
    return faccessat(dir, name_of(name, id, suffix, ""), F_OK, 0) == 0;
}

static int read_all(int fd, struct buf *b)
{
    struct stat st;
    if (fstat(fd, &st))
        return -1;
    if (st.st_size > QUARANTINE_SIDECAR_MAX) {
        errno = EFBIG;
        return -1;
    }
    for (;;) {
        ssize_t n = read(fd, buf_room(b, 65536), 65536);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n == 0)
            return 0;
        b->n += n > 0 ? (size_t)n : 0;
    }
}

int sidecar_read(int dir, const char *id, struct arena *a, struct quarantine_item *x, struct err *e)
{
    char name[NAME_SIZE];
    struct buf b = {0};
    int fd = openat(dir, name_of(name, id, "json", ""), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read_all(fd, &b)) {
        err_sys(e, "quarantine: %s", name);
        if (fd >= 0)
            close(fd);
        buf_free(&b);
        return -1;
    }
    close(fd);
    int result = sidecar_decode(buf_span(&b), a, x, e);
    if (result)
        err_prefix(e, "quarantine: %s", name);
    else if (strcmp(x->id, id) != 0)
        result = err_set(e, "quarantine: %s holds another id (%s)", name, x->id);
    buf_free(&b);
    return result;
}

static bool is_day(const char *name)
{
    static const char form[] = "0000-00-00";
    if (strlen(name) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == '0' ? !ascii_isdigit(name[i]) : name[i] != form[i])
            return false;
    return true;
}

void days_each(int root, day_fn *fn, void *ctx)
{
    int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return;
    for (struct dirent *f; (f = readdir(d)) != NULL;)
        if (is_day(f->d_name))
            fn(ctx, f->d_name);
    closedir(d);
}

void files_each(int dir, file_fn *fn, void *ctx)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return;
    for (struct dirent *f; (f = readdir(d)) != NULL;)
        if (f->d_name[0] != '.')
            fn(ctx, dir, f->d_name);
    closedir(d);
}

struct search {
    int root;
    const char *id;
    char *out;
    bool found;
};

static void look(void *ctx, const char *day)
{
    struct search *s = ctx;
    int dir = s->found ? -1 : day_open(s->root, day, false);
    if (dir < 0)
        return;
    if (file_there(dir, s->id, "json")) {
        s->found = true;
        memcpy(s->out, day, strlen(day) + 1);
    }
    close(dir);
}

bool day_search(int root, const char *id, char out[DAY_SIZE])
{
    struct search s = {root, id, out, false};
    days_each(root, look, &s);
    return s.found;
}
