#include "config/load_private.h"
#include "config/script.h"
#include "config/value.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool setting_given(const struct settings *s, const char *fmt, ...)
{
    char name[256];
    va_list ap;
    if (!s->marks)
        return false;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const struct mark *m = map_get(&s->marks->map, span_str(name));
    return m && !m->null;
}

struct mark mark_of(const struct settings *s, const char *fmt, ...)
{
    char name[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    while (s->marks && name[0]) {
        const struct mark *m = map_get(&s->marks->map, span_str(name));
        if (m)
            return *m;
        char *dot = strrchr(name, '.'), *bracket = strrchr(name, '[');
        char *cut = !dot || (bracket && bracket > dot) ? bracket : dot;
        if (!cut)
            break;
        *cut = '\0';
    }
    return (struct mark){0};
}

bool settings_place(const struct settings *s, const char *name, unsigned *line, unsigned *column)
{
    struct mark m = mark_of(s, "%s", name);
    *line = m.line;
    *column = m.column;
    return m.line > 0;
}

void problem_at(struct settings_problems *out, const char *file, struct mark m, const char *fmt,
                ...)
{
    if (!out->arena)
        out->arena = arena_new(0);
    if (out->n > CONFIG_PROBLEMS_MAX)
        return;
    va_list ap;
    va_start(ap, fmt);
    struct span text = arena_vprintf(out->arena, fmt, ap);
    va_end(ap);
    if (out->n == CONFIG_PROBLEMS_MAX)
        text = SPAN("too many problems; the rest is not shown");
    if (m.line)
        text = arena_printf(out->arena, "%s:%u:%u: %s", file, m.line, m.column, text.p);
    else if (file)
        text = arena_printf(out->arena, "%s: %s", file, text.p);
    *ARENA_PUSH(out->arena, out->v, out->n, out->cap) =
        (struct settings_problem){m.line, m.column, text.p};
}

void settings_problems_free(struct settings_problems *p)
{
    if (p->arena)
        arena_free(p->arena);
    *p = (struct settings_problems){0};
}

static int by_place(const void *a, const void *b)
{
    const struct settings_problem *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return (x->column > y->column) - (x->column < y->column);
}

static struct script_settings *script_defaults(struct arena *a)
{
    struct script_settings *x = ARENA_NEW(a, struct script_settings);
    for (size_t i = 0; i < script_table.n; i++)
        value_default(&script_table.rows[i], a, x);
    return x;
}

struct script_settings *settings_script(const struct settings *s)
{
    return s->marks ? s->marks->script : script_defaults(s->arena);
}

static struct settings *with_defaults(void)
{
    struct arena *a = arena_new(0);
    struct settings *s = ARENA_NEW(a, struct settings);
    s->arena = a;
    for (size_t i = 0; i < settings_table.n; i++)
        value_default(&settings_table.rows[i], a, s);
    return s;
}

/* The file by its absolute name, so that it can be read again from another directory. */
static const char *absolute(struct arena *a, const char *file)
{
    char cwd[PATH_MAX];
    if (file[0] == '/' || !getcwd(cwd, sizeof cwd))
        return arena_strdup(a, file);
    return resolve_path(a, cwd, span_str(file));
}

struct settings *settings_load_all(const char *file, struct settings_problems *out)
{
    struct settings *s = with_defaults();
    size_t before = out->n;
    if (file) {
        s->file = absolute(s->arena, file);
        settings_read(s, out);
    }
    settings_finish(s);
    settings_cross_check(s, out);
    if (out->n == before)
        return s;
    qsort(out->v, out->n, sizeof *out->v, by_place);
    settings_free(s);
    return NULL;
}

struct settings *settings_load(const char *file, struct err *e)
{
    struct settings_problems problems = {0};
    struct settings *s = settings_load_all(file, &problems);
    if (!s) {
        errno = 0;
        err_set(e, "%s", problems.v[0].text);
    }
    settings_problems_free(&problems);
    return s;
}

void settings_free(struct settings *s)
{
    if (s)
        arena_free(s->arena);
}
