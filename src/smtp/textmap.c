#include "smtp/textmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/xalloc.h"

struct textmap {
    char *path;
    struct textmap_rules rules;
    struct arena *arena; /* entries and index; replaced as a whole */
    struct map index;
    struct textmap_entry *entries;
    size_t n, cap, bad;
    bool ok;
    struct stat seen;
};

struct reading {
    struct textmap *m;
    const char *name;
    unsigned line;
};

static void report(struct reading *r, const char *text)
{
    r->m->bad++;
    if (!r->m->rules.report)
        return;
    char full[1400];
    if (r->line)
        snprintf(full, sizeof full, "%s:%u: %s", r->name, r->line, text);
    else
        snprintf(full, sizeof full, "%s: %s", r->name, text);
    r->m->rules.report(r->m->rules.ctx, full);
}

/* Cuts the key off the line; false when a quote is not closed. */
static bool take_key(struct span *line, struct span *key)
{
    if (line->p[0] != '"') {
        *key = span_word(line, " \t");
        return true;
    }
    *line = span_from(*line, 1);
    size_t end = span_find(*line, '"');
    if (end == SIZE_MAX)
        return false;
    *key = span_sub(*line, 0, end);
    *line = span_from(*line, end + 1);
    return true;
}

static void take_line(struct reading *r, struct span line)
{
    struct textmap *m = r->m;
    struct textmap_entry e = {.line = r->line};
    if (line.n > TEXTMAP_LINE_MAX) {
        report(r, "line too long");
        return;
    }
    line = span_trim(line);
    if (line.n == 0 || line.p[0] == '#')
        return;
    if (!take_key(&line, &e.key)) {
        report(r, "quote without end");
        return;
    }
    if (e.key.n == 0 || span_find(e.key, '\0') != SIZE_MAX) {
        report(r, "bad key");
        return;
    }
    e.key = arena_lower(m->arena, e.key);
    e.value = arena_dup(m->arena, span_trim(line));
    struct err why = {0};
    if (m->rules.check && m->rules.check(m->rules.ctx, m->arena, &e, &why) != 0) {
        report(r, why.text);
        return;
    }
    if (map_get(&m->index, e.key)) {
        char text[300];
        snprintf(text, sizeof text, "'%.*s' stands here twice, the first entry counts",
                 (int)(e.key.n > 200 ? 200 : e.key.n), e.key.p);
        report(r, text);
        return;
    }
    *ARENA_PUSH(m->arena, m->entries, m->n, m->cap) = e;
    *map_at(&m->index, e.key) = (void *)(uintptr_t)m->n; /* index + 1 */
}

static void take_text(struct textmap *m, struct span text, const char *name)
{
    arena_free(m->arena);
    m->arena = arena_new(0);
    m->index = map_in(m->arena);
    m->entries = NULL;
    m->n = m->cap = m->bad = 0;
    m->ok = true;
    struct reading r = {m, name, 0};
    struct span line;
    while (span_line(&text, &line)) {
        r.line++;
        take_line(&r, line);
    }
}

static int slurp(int fd, struct buf *out)
{
    for (;;) {
        ssize_t n = read(fd, buf_room(out, 64 * 1024), 64 * 1024);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        out->n += (size_t)n;
        if (out->n > TEXTMAP_FILE_MAX) {
            errno = EFBIG;
            return -1;
        }
    }
}

static void load(struct textmap *m)
{
    struct reading r = {m, m->path, 0};
    struct buf text = {0};
    int fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || slurp(fd, &text) < 0) {
        report(&r, strerror(errno));
        memset(&m->seen, 0, sizeof m->seen);
    } else {
        m->seen = st;
        take_text(m, buf_span(&text), m->path);
    }
    if (fd >= 0)
        close(fd);
    buf_free(&text);
}

static struct textmap *create(const struct textmap_rules *rules)
{
    struct textmap *m = xcalloc(1, sizeof *m);
    if (rules)
        m->rules = *rules;
    m->arena = arena_new(0);
    m->index = map_in(m->arena);
    return m;
}

struct textmap *textmap_open(const char *path, const struct textmap_rules *rules)
{
    struct textmap *m = create(rules);
    m->path = xstrdup(path);
    load(m);
    return m;
}

struct textmap *textmap_read(struct span text, const char *name, const struct textmap_rules *rules)
{
    struct textmap *m = create(rules);
    take_text(m, text, name);
    return m;
}

void textmap_free(struct textmap *m)
{
    if (!m)
        return;
    arena_free(m->arena);
    free(m->path);
    free(m);
}

bool textmap_refresh(struct textmap *m)
{
    struct stat st;
    if (!m->path || stat(m->path, &st) < 0)
        return false;
    if (st.st_ino == m->seen.st_ino && st.st_size == m->seen.st_size &&
        st.st_mtim.tv_sec == m->seen.st_mtim.tv_sec &&
        st.st_mtim.tv_nsec == m->seen.st_mtim.tv_nsec)
        return false;
    load(m);
    return true;
}

bool textmap_ok(const struct textmap *m)
{
    return m->ok;
}

const struct textmap_entry *textmap_get(const struct textmap *m, struct span key)
{
    char small[512];
    if (key.n > sizeof small)
        return NULL;
    for (size_t i = 0; i < key.n; i++)
        small[i] = ascii_lower(key.p[i]);
    uintptr_t at = (uintptr_t)map_get(&m->index, span_of(small, key.n));
    return at ? &m->entries[at - 1] : NULL;
}

size_t textmap_count(const struct textmap *m)
{
    return m->n;
}

const struct textmap_entry *textmap_at(const struct textmap *m, size_t i)
{
    return &m->entries[i];
}

size_t textmap_bad(const struct textmap *m)
{
    return m->bad;
}
