/* Which files are read, in which order, and their lines (semantics 2.1, 2.2). */
#include "rules/conf_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

enum { FILE_LIMIT = 64 << 20 }; /* a rule file; the largest of SpamAssassin's has 1 MB */

/* The whole file in the arena, writable. */
static char *slurp(struct conf *c, const char *path, size_t *n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_LIMIT) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    char *text = arena_raw(c->arena, (size_t)st.st_size + 1);
    *n = 0;
    ssize_t got;
    while (*n < (size_t)st.st_size && (got = read(fd, text + *n, (size_t)st.st_size - *n)) > 0)
        *n += (size_t)got;
    close(fd);
    text[*n] = '\0';
    return text;
}

/* Drops the comment (a '#' without backslash) and the backslashes before other '#'. */
static struct span uncomment(char *line, size_t n)
{
    char *hash = memchr(line, '#', n);
    if (!hash)
        return span_of(line, n);
    size_t out = (size_t)(hash - line);
    for (size_t i = out; i < n; i++) {
        if (line[i] == '#') {
            if (i == 0 || line[i - 1] != '\\')
                break;
            out--; /* the backslash */
        }
        line[out++] = line[i];
    }
    return span_of(line, out);
}

struct span conf_first_word(struct span value, struct span *rest)
{
    size_t n = 0;
    while (n < value.n && !ascii_isspace(value.p[n]))
        n++;
    *rest = span_trim(span_from(value, n));
    return span_sub(value, 0, n);
}

static bool language_wanted(struct conf *c, struct span tag)
{
    struct span ours = conf_state(c)->language;
    return span_istarts(ours, tag);
}

static void version_required(struct conf_parser *p, struct span value)
{
    if (span_eq(value, SPAN("@@VERSION@@")) || span_eq(value, SPAN("4.000001")))
        return;
    conf_problem(p->c, p->at,
                 "needs version '%.*s', this is 4.000001; the rest of the file is skipped",
                 SPAN_ARG(value));
    p->skip = true;
}

static void tell_unknown(struct conf_parser *p, struct span key)
{
    const char *plugin = NULL, *near = conf_directive_near(key, &plugin);
    if (plugin)
        conf_problem(p->c, p->at,
                     "setting '%.*s' is plugin %s's, which is not loaded; the line is "
                     "ignored",
                     SPAN_ARG(key), plugin);
    else if (near)
        conf_problem(p->c, p->at,
                     "unknown setting '%.*s' (did you mean '%s'?); the line is ignored",
                     SPAN_ARG(key), near);
    else
        conf_problem(p->c, p->at, "unknown setting '%.*s'; the line is ignored", SPAN_ARG(key));
}

/* Preferences: what they may not say is a problem, what they change is noted. */
static bool user_may(struct conf_parser *p, const struct conf_directive *d)
{
    struct conf *c = p->c;
    enum conf_who who = conf_who(d->name);
    if (who == WHO_ADMIN || (who == WHO_PRIVILEGED && !c->user_rules)) {
        conf_problem(c, p->at,
                     who == WHO_ADMIN
                         ? "%s: only the administrator may set it; the line is ignored"
                         : "%s: preferences may set it only with allow_user_rules; the line is "
                           "ignored",
                     d->name);
        return false;
    }
    c->touched |= conf_touch(d);
    c->own_required |= d->field == offsetof(struct conf, required_score);
    return true;
}

static void directive(struct conf_parser *p, struct span key, struct span value)
{
    const struct conf_directive *d = conf_directive(p->c, key);
    if (!d) {
        tell_unknown(p, key);
        return;
    }
    struct err e = {0};
    if (p->c->under && !user_may(p, d))
        return;
    if (d->read(p, d, value, &e) != 0)
        conf_problem(p->c, p->at, "%.*s: %s; the line is ignored", SPAN_ARG(key),
                     e.text[0] ? e.text : "invalid value");
}

static void parse_line(struct conf_parser *p, char *line, size_t n)
{
    struct span s = span_trim(uncomment(line, n));
    if (s.n == 0 || (s.n == 1 && s.p[0] == '0'))
        return;
    struct span value, key = conf_first_word(s, &value);
    if (span_eq(key, SPAN("lang"))) {
        struct span tag = conf_first_word(value, &s);
        if (!language_wanted(p->c, tag))
            return;
        key = conf_first_word(s, &value);
    }
    char *k = (char *)(uintptr_t)key.p;
    for (size_t i = 0; i < key.n; i++)
        k[i] = k[i] == '-' ? '_' : ascii_lower(k[i]);
    if (conf_conditional(p, key, value))
        return;
    if (span_eq(key, SPAN("include"))) {
        conf_include(p, value); /* even inside a false `if`, as SpamAssassin does */
        return;
    }
    if (p->skip)
        return;
    p->c->files[p->file].directives++;
    if (span_eq(key, SPAN("require_version")))
        version_required(p, value);
    else
        directive(p, key, value);
}

void conf_parse_text(struct conf_parser *p, const char *file, char *text, size_t n)
{
    *ARENA_PUSH(p->c->arena, p->c->files, p->c->nfiles, p->c->files_cap) =
        (struct conf_file){.path = file};
    p->file = p->c->nfiles - 1;
    p->at = (struct conf_at){file, 0};
    char *end = text + n;
    while (text < end) {
        char *eol = memchr(text, '\n', (size_t)(end - text));
        size_t len = (size_t)((eol ? eol : end) - text);
        p->at.line++;
        parse_line(p, text, len);
        text += len + 1;
    }
    p->c->files[p->file].lines = p->at.line;
    conf_unclosed(p);
}

static void read_file(struct conf *c, const char *path, unsigned depth)
{
    struct conf_state *st = conf_state(c);
    void **seen = map_at(&st->seen_files, span_str(path));
    if (*seen)
        return;
    *seen = c;
    size_t n;
    char *text = slurp(c, path, &n);
    if (!text) {
        conf_problem(c, (struct conf_at){path, 0}, "can't be read: %s", strerror(errno));
        return;
    }
    struct conf_parser p = {.c = c, .depth = depth};
    conf_parse_text(&p, path, text, n);
}

/* SpamAssassin puts "file end X", the text, "file start X" in the place of the line: the included
 * file is parsed on its own, and all conditions of the including one are forgotten. */
void conf_include(struct conf_parser *p, struct span value)
{
    if (p->c->under) {
        conf_problem(p->c, p->at, "include: preferences can't include files; the line is ignored");
        return;
    }
    if (!value.n || p->depth >= INCLUDE_DEPTH) {
        conf_problem(p->c, p->at,
                     value.n ? "files include each other too deeply" : "'include' needs a file");
        return;
    }
    struct span dir = span_str(p->at.file);
    size_t slash = span_rfind(dir, '/');
    struct span path =
        value.p[0] == '/' || slash == SIZE_MAX
            ? arena_dup(p->c->arena, value)
            : arena_printf(p->c->arena, "%.*s%.*s", (int)slash + 1, dir.p, SPAN_ARG(value));
    conf_unclosed(p);
    read_file(p->c, path.p, p->depth + 1);
}

static int by_name(const void *x, const void *y)
{
    const char *a = *(char *const *)x, *b = *(char *const *)y;
    bool first_a = strcmp(a, "updates_spamassassin_org.cf") == 0;
    bool first_b = strcmp(b, "updates_spamassassin_org.cf") == 0;
    return first_a != first_b ? first_b - first_a : strcmp(a, b);
}

static bool is_file(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, 0) == 0 && S_ISREG(st.st_mode);
}

/* All files of a directory with that suffix, hidden ones too; false when there is no such
 * directory. */
static bool read_dir(struct conf *c, const char *dir, const char *suffix)
{
    DIR *d = opendir(dir);
    if (!d)
        return false;
    char **names = NULL;
    size_t n = 0, cap = 0;
    for (struct dirent *entry; (entry = readdir(d)) != NULL;)
        if (span_iends(span_str(entry->d_name), span_str(suffix)) &&
            is_file(dirfd(d), entry->d_name))
            *ARENA_PUSH(c->arena, names, n, cap) = arena_strdup(c->arena, entry->d_name);
    closedir(d);
    if (n)
        qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++)
        read_file(c, arena_printf(c->arena, "%s/%s", dir, names[i]).p, 0);
    return true;
}

struct conf *conf_read(struct arena *a, const struct conf_options *o, struct err *e)
{
    struct conf *c = conf_new(a, o);
    bool any = false;
    if (o->site_dir)
        read_dir(c, o->site_dir, ".pre");
    for (size_t i = 0; i < o->ndirs; i++)
        any |= read_dir(c, o->dirs[i], ".pre");
    for (size_t i = 0; i < o->ndirs; i++)
        read_dir(c, o->dirs[i], ".cf");
    if (!any) {
        err_set(e, "no directory of rules can be read (%s)", o->ndirs ? o->dirs[0] : "none given");
        return NULL;
    }
    if (o->site_dir)
        read_dir(c, o->site_dir, ".cf");
    for (size_t i = 0; i < o->nextra; i++)
        read_file(c, o->extra[i], 0);
    conf_finish(c);
    return c;
}

void conf_text(struct conf *c, const char *file, struct span text)
{
    struct conf_parser p = {.c = c};
    char *copy = arena_cstr(c->arena, text);
    conf_parse_text(&p, arena_strdup(c->arena, file), copy, text.n);
}
