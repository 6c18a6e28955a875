/* Reading preferences and keeping them.
 *
 * What is kept lives in two generations: a user found in the elder one moves to the younger; when
 * the younger has reached half of the memory, the elder is dropped and the younger becomes it. So
 * what is used stays, and nothing is ever searched for the oldest. */
#include "prefs/prefs_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/map.h"
#include "base/xalloc.h"

/* Preferences made of one text; the generations and the messages that use it hold it. */
struct made {
    struct rules_prefs *prefs;
    struct span text; /* all of it, to tell equal from alike */
    unsigned holders;
};

/* What a user's preferences were made of. */
struct entry {
    struct span seen;  /* the state of the files and the rows of the database, as bytes */
    struct made *made; /* NULL: there were none */
    struct span rows;
    usec asked; /* monotonic: when the database gave rows */
};

struct generation {
    struct arena *arena;
    struct map users; /* name -> struct entry * */
    struct map texts; /* text -> struct made * */
    size_t bytes;
};

struct prefs {
    const struct settings *set;
    const struct ruleset *rs;
    struct sql *sql;
    char *sql_why; /* a database is named, but can't be asked */
    bool fallback; /* user_scores_fallback_to_global */
    struct generation young, elder;
};

/* --- keeping --- */

static void let_go(struct made *m)
{
    if (--m->holders)
        return;
    rules_prefs_free(m->prefs);
    free((void *)(uintptr_t)m->text.p);
    free(m);
}

static void release(void *ctx)
{
    let_go(ctx);
}

static struct generation generation_new(void)
{
    struct generation g = {.arena = arena_new(0)};
    g.users = map_in(g.arena);
    g.texts = map_in(g.arena);
    return g;
}

static void generation_drop(struct generation *g)
{
    for (size_t i = 0; i < g->texts.n; i++)
        let_go(g->texts.entries[i].value);
    arena_free(g->arena);
}

static void hold(struct prefs *p, struct made *m)
{
    void **slot = map_at(&p->young.texts, m->text);
    if (*slot)
        return;
    *slot = m;
    m->holders++;
    p->young.bytes += rules_prefs_size(m->prefs) + m->text.n;
}

static void grow_old(struct prefs *p)
{
    if (p->young.bytes + arena_used(p->young.arena) < p->set->preferences.memory / 2)
        return;
    generation_drop(&p->elder);
    p->elder = p->young;
    p->young = generation_new();
}

static struct entry *remembered(struct prefs *p, struct span user)
{
    struct entry *e = map_get(&p->young.users, user);
    if (e || !(e = map_get(&p->elder.users, user)))
        return e;
    struct entry *own = ARENA_NEW(p->young.arena, struct entry);
    *own = (struct entry){.made = e->made, .asked = e->asked};
    own->seen = arena_dup(p->young.arena, e->seen);
    own->rows = e->rows.p ? arena_dup(p->young.arena, e->rows) : SPAN_NONE;
    *map_at(&p->young.users, arena_dup(p->young.arena, user)) = own;
    if (own->made)
        hold(p, own->made);
    return own;
}

static struct entry *new_entry(struct prefs *p, struct span user)
{
    struct entry *e = ARENA_NEW(p->young.arena, struct entry);
    *map_at(&p->young.users, arena_dup(p->young.arena, user)) = e;
    return e;
}

/* --- files --- */

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* The file that a pattern leads to; a directory stands for the user_prefs in it. */
static struct span file_of(struct arena *a, const char *pattern, struct span user, struct stat *st)
{
    struct span path = prefs_path(a, pattern, user, is_file);
    if (!path.p || stat(path.p, st) != 0)
        return SPAN_NONE;
    if (S_ISDIR(st->st_mode)) {
        path = arena_printf(a, "%.*s/user_prefs", SPAN_ARG(path));
        if (stat(path.p, st) != 0)
            return SPAN_NONE;
    }
    return path;
}

struct found_files {
    struct span *paths;
    size_t n;
    struct buf seen; /* what stat says of them */
};

static void find_files(struct prefs *p, struct span user, struct arena *a, struct found_files *f)
{
    const struct strings *patterns = &p->set->preferences.files;
    f->paths = arena_array(a, patterns->n + 1, sizeof *f->paths);
    for (size_t i = 0; i < patterns->n; i++) {
        struct stat st;
        struct span path = file_of(a, patterns->v[i], user, &st);
        if (!path.p)
            continue;
        f->paths[f->n++] = path;
        buf_printf(&f->seen, "%.*s %llu %llu %lld %lld.%09ld\n", SPAN_ARG(path),
                   (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
                   (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    }
}

static int read_file(const char *path, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    ssize_t got = -1;
    if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(e, "%s is not a file", path);
    }
    while (fd >= 0 && out->n <= PREFS_TEXT_MAX && (got = read(fd, buf_room(out, 16384), 16384)) > 0)
        out->n += (size_t)got;
    int rc = got < 0 ? err_sys(e, "%s", path) : 0;
    if (fd >= 0)
        close(fd);
    if (rc == 0 && out->n > PREFS_TEXT_MAX)
        rc = err_set(e, "%s: preferences have more than %d bytes", path, PREFS_TEXT_MAX);
    return rc;
}

/* --- making --- */

/* Pieces of text with their names, as one string that tells them apart. */
struct pieces {
    struct prefs_text v[16];
    size_t n;
    struct buf text; /* name LF length LF bytes, for each */
};

static bool add_piece(struct pieces *s, struct arena *a, struct span name, struct span text)
{
    if (s->n == sizeof s->v / sizeof *s->v)
        return false;
    buf_printf(&s->text, "%.*s\n%zu\n", SPAN_ARG(name), text.n);
    buf_add(&s->text, text);
    s->v[s->n++] = (struct prefs_text){arena_cstr(a, name), arena_dup(a, text)};
    return true;
}

static void log_problems(const struct rules_prefs *prefs, struct span user)
{
    enum { LOGGED = 10 };
    size_t n;
    const struct rule_problem *v = rules_prefs_problems(prefs, &n);
    for (size_t i = 0; i < n && i < LOGGED; i++)
        log_event(LOG_WARN, NULL, "preference-ignored", F_SPAN("user", user),
                  F_STR("file", v[i].file ? v[i].file : ""), F_INT("line", v[i].line),
                  F_STR("problem", v[i].text));
}

static struct made *make(struct prefs *p, struct span user, const struct pieces *s)
{
    struct span text = buf_span(&s->text);
    struct made *m = map_get(&p->young.texts, text);
    if (!m)
        m = map_get(&p->elder.texts, text);
    if (!m) {
        m = xcalloc(1, sizeof *m);
        char *copy = xmalloc(text.n + 1);
        memcpy(copy, text.p, text.n);
        m->text = span_of(copy, text.n);
        m->prefs = rules_prefs_new(p->rs, s->v, s->n, false);
        log_problems(m->prefs, user);
    }
    hold(p, m);
    return m;
}

/* Files first, then the database: what is said last counts. The rows come from `rows`. */
static int read_all(struct arena *a, const struct found_files *f, struct span rows,
                    struct pieces *s, struct err *e)
{
    for (size_t i = 0; i < f->n; i++) {
        struct buf text = {0};
        int rc = read_file(f->paths[i].p, &text, e);
        if (rc == 0 && !add_piece(s, a, f->paths[i], buf_span(&text)))
            rc = err_set(e, "more than %zu files of preferences for one user",
                         sizeof s->v / sizeof *s->v - 1);
        buf_free(&text);
        if (rc != 0)
            return rc;
    }
    if (rows.n)
        add_piece(s, a, SPAN("(sql config)"), rows);
    return 0;
}

/* The rows of the database, from memory when they are fresh. */
static int rows_of(struct prefs *p, struct span user, struct entry *e, struct buf *rows,
                   struct err *err)
{
    usec now = clock_mono();
    if (!p->sql)
        return p->sql_why ? err_set(err, "%s", p->sql_why) : 0;
    if (e && e->rows.p && now - e->asked < p->set->preferences.sql_keep) {
        buf_add(rows, e->rows);
        return 0;
    }
    if (sql_read(p->sql, user, rows, err) != 0)
        return -1;
    if (e)
        e->asked = now;
    return 0;
}

static int refresh(struct prefs *p, struct span user, struct entry *e, struct arena *a,
                   struct found_files *f, struct span rows, struct err *err)
{
    buf_printf(&f->seen, "%zu\n%.*s", rows.n, SPAN_ARG(rows));
    struct span seen = buf_span(&f->seen);
    if (e->seen.p && span_eq(e->seen, seen))
        return 0;
    struct pieces s = {0};
    int rc = read_all(a, f, rows, &s, err);
    if (rc == 0) {
        e->made = s.n ? make(p, user, &s) : NULL;
        e->seen = arena_dup(p->young.arena, seen);
        e->rows = arena_dup(p->young.arena, rows);
    }
    buf_free(&s.text);
    return rc;
}

enum prefs_answer prefs_for(struct prefs *p, struct span user, struct arena *a,
                            const struct rules_prefs **out, struct span *why)
{
    struct err err = {0};
    struct buf rows = {0};
    struct found_files f = {0};
    user = span_sub(user, 0, PREFS_USER_MAX);
    struct entry *e = remembered(p, user);
    int rc = rows_of(p, user, e, &rows, &err);
    if (rc == 0) {
        bool fresh = !e;
        if (fresh)
            e = new_entry(p, user);
        find_files(p, user, a, &f);
        rc = refresh(p, user, e, a, &f, rows.n ? buf_span(&rows) : SPAN(""), &err);
        if (fresh)
            e->asked = clock_mono();
    }
    buf_free(&rows);
    buf_free(&f.seen);
    if (rc != 0) {
        *why = arena_dup(a, span_str(err.text));
        return p->fallback ? PREFS_FAILED : PREFS_REFUSED;
    }
    struct made *m = e->made;
    if (m) {
        m->holders++;
        arena_defer(a, release, m);
        *out = m->prefs;
    }
    grow_old(p);
    return m ? PREFS_FOUND : PREFS_NONE;
}

struct rules_prefs *prefs_file(const struct ruleset *rs, const char *path, struct err *e)
{
    struct buf text = {0};
    struct rules_prefs *p = NULL;
    if (read_file(path, &text, e) == 0) {
        const struct prefs_text one = {path, buf_span(&text)};
        p = rules_prefs_new(rs, &one, 1, false);
    }
    buf_free(&text);
    return p;
}

struct prefs *prefs_new(const struct settings *set, const struct ruleset *rs)
{
    struct err e = {0};
    struct sql *sql = sql_new(set, rs, &e);
    if (!sql && !e.text[0] && !set->preferences.files.n)
        return NULL;
    struct prefs *p = xcalloc(1, sizeof *p);
    p->set = set;
    p->rs = rs;
    p->sql = sql;
    p->sql_why = e.text[0] ? xstrdup(e.text) : NULL;
    struct span fallback = ruleset_value(rs, "user_scores_fallback_to_global", SPAN("1"));
    p->fallback = span_eq(fallback, SPAN("1")) || span_ieq(fallback, SPAN("yes"));
    p->young = generation_new();
    p->elder = generation_new();
    return p;
}

void prefs_free(struct prefs *p)
{
    if (!p)
        return;
    generation_drop(&p->young);
    generation_drop(&p->elder);
    sql_free(p->sql);
    free(p->sql_why);
    free(p);
}
