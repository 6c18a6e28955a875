/* A note in the cache that a set of rules was loaded to the end, and what its files looked like. */
#include "rules/ruleset_private.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

enum { NOTE_LIMIT = 4 << 20 };

static struct span note_path(struct arena *a, const struct ruleset_options *o)
{
    return arena_printf(a, "%s/rules-noted", o->cache_dir);
}

/* One line: whatever changes when the file, or what a directory holds, does; then the path. */
static void describe(struct buf *b, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        buf_printf(b, "none - - - %s\n", path);
        return;
    }
    buf_printf(b,
               "%" PRIuMAX ":%" PRIuMAX " %" PRIdMAX " %" PRIdMAX ".%09ld %" PRIdMAX ".%09ld %s\n",
               (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, (intmax_t)st.st_size,
               (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (intmax_t)st.st_ctim.tv_sec,
               st.st_ctim.tv_nsec, path);
}

enum { FIELDS_BEFORE_PATH = 4 };

/* What the options alone say: where rules are looked for. */
static void describe_options(struct buf *b, const struct ruleset_options *o)
{
    struct conf_options c = ruleset_conf_options(o);
    buf_printf(b, "gatehouse %s rules noted, local %d, directories %zu\n", GATEHOUSE_VERSION,
               c.local_only, c.ndirs);
    describe(b, c.site_dir ? c.site_dir : "");
    for (size_t i = 0; i < c.ndirs; i++)
        describe(b, c.dirs[i]);
}

void ruleset_note(const struct ruleset *rs, const struct ruleset_options *o)
{
    if (!o->cache_dir)
        return;
    struct buf b = {0};
    struct arena *a = arena_new(0);
    describe_options(&b, o);
    describe(&b, arena_printf(a, "%s/rules-%.32s", o->cache_dir, rs->hash).p);
    for (size_t i = 0; i < rs->conf->nfiles; i++)
        describe(&b, rs->conf->files[i].path);
    const char *path = note_path(a, o).p, *temp = arena_printf(a, "%s.%ld", path, (long)getpid()).p;
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool whole = fd >= 0 && write(fd, buf_span(&b).p, buf_span(&b).n) == (ssize_t)buf_span(&b).n;
    if (fd >= 0) {
        close(fd);
        if (!whole || rename(temp, path) != 0)
            unlink(temp);
    }
    buf_free(&b);
    arena_free(a);
}

static struct span read_note(struct arena *a, const struct ruleset_options *o)
{
    int fd = open(note_path(a, o).p, O_RDONLY | O_CLOEXEC);
    struct stat st;
    struct span s = SPAN_NONE;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size < NOTE_LIMIT) {
        char *text = arena_raw(a, (size_t)st.st_size);
        if (read(fd, text, (size_t)st.st_size) == st.st_size)
            s = span_of(text, (size_t)st.st_size);
    }
    if (fd >= 0)
        close(fd);
    return s;
}

static const char *path_in(struct arena *a, struct span line)
{
    for (size_t i = 0; i < FIELDS_BEFORE_PATH; i++) {
        size_t space = span_find(line, ' ');
        line = span_from(line, space == SIZE_MAX ? line.n : space + 1);
    }
    return arena_cstr(a, line);
}

bool ruleset_noted(const struct ruleset_options *o)
{
    if (!o->cache_dir)
        return false;
    struct arena *a = arena_new(0);
    struct buf now = {0};
    struct span note = read_note(a, o);
    describe_options(&now, o);
    bool same = note.n && span_starts(note, buf_span(&now));
    for (size_t at = now.n, end; same && at < note.n; at = end) {
        size_t line = span_find(span_from(note, at), '\n');
        end = line == SIZE_MAX ? note.n : at + line + 1;
        buf_clear(&now);
        describe(&now, path_in(a, span_sub(note, at, line == SIZE_MAX ? note.n : end - 1)));
        same = span_eq(buf_span(&now), span_sub(note, at, end));
    }
    same = same && unlink(note_path(a, o).p) == 0;
    buf_free(&now);
    arena_free(a);
    return same;
}
