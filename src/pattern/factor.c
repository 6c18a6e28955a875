/* Giant patterns made small: groups that occur again and again, or that are repeated, become
 * subroutines
 * "(?P>z1)" defined once at the end. PCRE2 tries the same paths as before, in the same order; only
 * the compiled form is smaller by orders of magnitude, and fits the 8-bit library and its JIT. */
#include "pattern/pattern.h"

#include "base/buf.h"
#include "base/map.h"

enum {
    WORTH_TWICE = 40,     /* bytes of a group that occurs at least twice */
    WORTH_REPEATED = 120, /* of one that is quantified */
    NESTING = 100
};

struct group {
    size_t end; /* behind the closing parenthesis; 0: none starts here */
    bool repeated;
};

struct factor {
    struct arena *a;
    struct span p;
    struct group *at;  /* by offset of the opening parenthesis */
    struct map counts; /* text of the group -> number of occurrences */
    struct map names;  /* text of the group -> number of its subroutine */
    struct buf defined;
};

static bool repeats(struct span p, size_t at)
{
    if (at >= p.n)
        return false;
    if (p.p[at] == '*' || p.p[at] == '+')
        return true;
    return p.p[at] == '{' && at + 1 < p.n && ascii_isdigit(p.p[at + 1]) &&
           !span_starts(span_from(p, at), SPAN("{1}"));
}

/* Finds all groups. false: the pattern changes its flags inside, or is not understood. */
static bool find_groups(struct factor *f)
{
    size_t open[NESTING], depth = 0;
    for (size_t i = 0; i < f->p.n;) {
        struct span rest = span_from(f->p, i);
        if (f->p.p[i] == '(') {
            if (depth == NESTING)
                return false;
            bool plain = span_starts(rest, SPAN("(?:"));
            bool around = span_starts(rest, SPAN("(?=")) || span_starts(rest, SPAN("(?!")) ||
                          span_starts(rest, SPAN("(?<=")) || span_starts(rest, SPAN("(?<!"));
            size_t flags = 2;
            while (i == 0 && flags < rest.n && ascii_isalpha(rest.p[flags]))
                flags++;
            if (i == 0 && span_starts(rest, SPAN("(?")) && flags > 2 && rest.p[flags] == ')') {
                i += flags + 1; /* "(?i)" in front: holds for all */
                continue;
            }
            /* A capture that no back reference reads may stand in a subroutine. */
            bool capture = rest.n > 1 && rest.p[1] != '?' && rest.p[1] != '*';
            if (!plain && !around && !capture)
                return false;
            open[depth++] = i++;
        } else if (f->p.p[i] == ')') {
            if (depth == 0)
                return false;
            struct group *g = &f->at[open[--depth]];
            g->end = ++i;
            g->repeated = repeats(f->p, i);
        } else {
            if (f->p.p[i] == '\\' && i + 1 < f->p.n && f->p.p[i + 1] >= '1' && f->p.p[i + 1] <= '9')
                return false;
            i += pattern_token(f->p, i);
        }
    }
    return depth == 0;
}

static struct span text_of(const struct factor *f, size_t at)
{
    return span_sub(f->p, at, f->at[at].end);
}

static bool worth_it(const struct factor *f, size_t at)
{
    struct span t = text_of(f, at);
    if (!span_starts(t, SPAN("(?:")))
        return false;
    if (f->at[at].repeated && t.n >= WORTH_REPEATED)
        return true;
    return t.n >= WORTH_TWICE && (uintptr_t)map_get(&f->counts, t) > 1;
}

static void emit(struct factor *f, struct buf *out, size_t from, size_t to);

static unsigned subroutine(struct factor *f, size_t at)
{
    struct span t = text_of(f, at);
    uintptr_t known = (uintptr_t)map_get(&f->names, t);
    if (known)
        return (unsigned)known;
    struct buf body = {0};
    emit(f, &body, at + 3, f->at[at].end - 1);
    unsigned number = (unsigned)f->names.n + 1;
    *map_at(&f->names, t) = (void *)(uintptr_t)number;
    buf_printf(&f->defined, "(?<z%u>", number);
    buf_add(&f->defined, buf_span(&body));
    buf_str(&f->defined, ")");
    buf_free(&body);
    return number;
}

static void emit(struct factor *f, struct buf *out, size_t from, size_t to)
{
    for (size_t i = from; i < to;) {
        if (f->p.p[i] == '(' && f->at[i].end && worth_it(f, i)) {
            buf_printf(out, "(?P>z%u)", subroutine(f, i));
            i = f->at[i].end;
        } else {
            size_t n = pattern_token(f->p, i);
            buf_add(out, span_sub(f->p, i, i + n));
            i += n;
        }
    }
}

struct span pattern_factor(struct arena *a, struct span pattern)
{
    struct factor f = {.a = arena_new(0), .p = pattern};
    struct span result = SPAN_NONE;
    f.counts = map_in(f.a);
    f.names = map_in(f.a);
    f.at = arena_array(f.a, pattern.n + 1, sizeof *f.at);
    if (find_groups(&f)) {
        struct buf out = {0};
        for (size_t i = 0; i < pattern.n; i++)
            if (f.at[i].end && f.at[i].end - i >= WORTH_TWICE)
                (*(uintptr_t *)map_at(&f.counts, text_of(&f, i)))++;
        emit(&f, &out, 0, pattern.n);
        if (f.names.n) {
            buf_str(&out, "(?(DEFINE)");
            buf_add(&out, buf_span(&f.defined));
            buf_str(&out, ")");
            result = arena_dup(a, buf_span(&out));
        }
        buf_free(&out);
    }
    buf_free(&f.defined);
    arena_free(f.a);
    return result;
}
