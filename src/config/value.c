#include "config/value.h"

#include "config/pattern.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void *place(const struct setting *row, void *base)
{
    return (char *)base + row->offset;
}

/* A decimal number without sign or exponent at the start of s; its length, 0 when there is none. */
static size_t decimal(struct span s, double *out)
{
    char text[32];
    size_t n = 0;
    bool dot = false, digit = false;
    while (n < s.n && n < sizeof text - 1) {
        if (s.p[n] == '.' && !dot)
            dot = true;
        else if (isdigit((unsigned char)s.p[n]))
            digit = true;
        else
            break;
        text[n] = s.p[n];
        n++;
    }
    if (!digit)
        return 0;
    text[n] = '\0';
    *out = strtod(text, NULL);
    return n;
}

int parse_size(struct span s, uint64_t *out)
{
    static const struct {
        const char *name;
        double factor;
    } units[] = {
        {"", 1},         {"B", 1},        {"KiB", 0x1p10}, {"MiB", 0x1p20},
        {"GiB", 0x1p30}, {"TiB", 0x1p40}, {"kB", 1e3},     {"KB", 1e3},
        {"MB", 1e6},     {"GB", 1e9},     {"TB", 1e12},
    };
    double v;
    size_t n = decimal(s, &v);
    if (n == 0)
        return -1;
    struct span unit = span_trim(span_from(s, n));
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (!span_eq(unit, span_str(units[i].name)))
            continue;
        v *= units[i].factor;
        if (v > 0x1p62 || v != floor(v))
            return -1;
        *out = (uint64_t)v;
        return 0;
    }
    return -1;
}

/* The unit at the start of s; its length, 0 when there is none. */
static size_t time_unit(struct span s, double *factor)
{
    static const struct {
        const char *name;
        double us;
    } units[] = {
        {"us", 1},     {"ms", 1e3},    {"s", 1e6},      {"m", 60e6},
        {"h", 3600e6}, {"d", 86400e6}, {"w", 604800e6},
    };
    size_t n = 0;
    while (n < s.n && isalpha((unsigned char)s.p[n]))
        n++;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (span_eq(span_sub(s, 0, n), span_str(units[i].name))) {
            *factor = units[i].us;
            return n;
        }
    }
    return 0;
}

int parse_duration(struct span s, usec *out)
{
    if (span_eq(s, SPAN("0"))) {
        *out = 0;
        return 0;
    }
    double total = 0;
    if (s.n == 0)
        return -1;
    while (s.n > 0) {
        double v, factor;
        size_t n = decimal(s, &v);
        if (n == 0)
            return -1;
        s = span_from(s, n);
        n = time_unit(s, &factor);
        if (n == 0)
            return -1;
        s = span_from(s, n);
        total += v * factor;
    }
    if (total > 0x1p62)
        return -1;
    *out = (usec)(total + 0.5);
    return 0;
}

int parse_bool(struct span s, bool *out)
{
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};
    for (size_t i = 0; i < 3; i++) {
        if (span_ieq(s, span_str(yes[i]))) {
            *out = true;
            return 0;
        }
        if (span_ieq(s, span_str(no[i]))) {
            *out = false;
            return 0;
        }
    }
    return -1;
}

static int range_number(struct span s, bool size, double *out)
{
    uint64_t bytes;
    s = span_trim(s);
    if (size) {
        if (parse_size(s, &bytes) != 0)
            return -1;
        *out = (double)bytes;
        return 0;
    }
    bool minus = s.n > 0 && s.p[0] == '-';
    double v;
    size_t n = decimal(span_from(s, minus), &v);
    if (n == 0 || n + minus != s.n)
        return -1;
    *out = minus ? -v : v;
    return 0;
}

int parse_range(struct span s, bool size, struct range *out)
{
    struct range r = {.given = true, .from = -INFINITY, .to = INFINITY};
    s = span_trim(s);
    size_t dots = span_search(s, SPAN(".."));
    if (dots != SIZE_MAX) {
        if (range_number(span_sub(s, 0, dots), size, &r.from) != 0 ||
            range_number(span_from(s, dots + 2), size, &r.to) != 0)
            return -1;
    } else if (s.n > 0 && s.p[0] == '=') {
        if (range_number(span_from(s, 1), size, &r.from) != 0)
            return -1;
        r.to = r.from;
    } else if (s.n > 1 && (s.p[0] == '<' || s.p[0] == '>')) {
        bool with = s.p[1] == '=', less = s.p[0] == '<';
        if (range_number(span_from(s, 1 + (size_t)with), size, less ? &r.to : &r.from) != 0)
            return -1;
        r.below = less && !with;
        r.above = !less && !with;
    } else {
        return -1;
    }
    *out = r;
    return 0;
}

const char *resolve_path(struct arena *a, const char *dir, struct span path)
{
    struct span full = path;
    if (dir && (path.n == 0 || path.p[0] != '/'))
        full = arena_printf(a, "%s/%.*s", dir, SPAN_ARG(path));
    if (full.n == 0 || full.p[0] != '/')
        return arena_cstr(a, full);
    char *out = arena_raw(a, full.n + 2);
    size_t n = 0;
    struct span word;
    while ((word = span_word(&full, "/")).p) {
        if (span_eq(word, SPAN(".")))
            continue;
        if (span_eq(word, SPAN(".."))) {
            while (n > 0 && out[--n] != '/')
                ;
            continue;
        }
        out[n++] = '/';
        memcpy(out + n, word.p, word.n);
        n += word.n;
    }
    if (n == 0)
        out[n++] = '/';
    out[n] = '\0';
    return out;
}

/* Edit distance with swaps of neighbours; rows of at most 64 characters. */
static size_t distance(struct span a, struct span b)
{
    enum { MAX = 64 };
    size_t d[3][MAX + 1];
    if (a.n > MAX || b.n > MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.n; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *now = d[i % 3], *last = d[(i + 2) % 3], *before = d[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            bool same = tolower((unsigned char)a.p[i - 1]) == tolower((unsigned char)b.p[j - 1]);
            size_t best = last[j - 1] + !same;
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return d[a.n % 3][b.n];
}

const char *nearest(struct span name, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    size_t best_d = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(name, span_str(candidates[i]));
        if (d < best_d) {
            best_d = d;
            best = candidates[i];
        }
    }
    return best && best_d <= 1 + name.n / 3 ? best : NULL;
}

static size_t choice_count(const struct setting *row)
{
    size_t n = 0;
    while (row->choices[n])
        n++;
    return n;
}

/* "expected one of a, b, c, not 'x' (did you mean 'c'?)" */
static int not_a_choice(const struct setting *row, struct span text, struct err *e)
{
    char list[256] = "";
    size_t used = 0, n = choice_count(row);
    for (size_t i = 0; i < n && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 row->choices[i]);
    const char *near = nearest(text, row->choices, n);
    return err_set(e, "expected one of %s, not '%.*s'%s%s%s", list, SPAN_ARG(text),
                   near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* A number in the form of the row's type, for "between A and B". */
static const char *bound_text(const struct setting *row, double v, char out[40])
{
    struct unit {
        const char *name;
        double factor;
    };
    static const struct unit sizes[] = {{"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}, {0}},
                             times[] = {{"d", 86400e6}, {"h", 3600e6}, {"m", 60e6}, {"s", 1e6},
                                        {"ms", 1e3},    {"us", 1},     {0}},
                             none[] = {{0}};
    const struct unit *u = none;
    if (row->type == SET_SIZE)
        u = sizes;
    else if (row->type == SET_DURATION || row->type == SET_DURATIONS)
        u = times;
    while (u->name && (v < u->factor || v / u->factor != floor(v / u->factor)))
        u++;
    snprintf(out, 40, "%.15g%s", u->name ? v / u->factor : v, u->name ? u->name : "");
    return out;
}

static int in_range(const struct setting *row, double v, struct span text, struct err *e)
{
    char low[40], high[40];
    if (v >= row->min && (row->max == 0 || v <= row->max))
        return 0;
    if (row->max == 0)
        return err_set(e, "expected at least %s, not '%.*s'", bound_text(row, row->min, low),
                       SPAN_ARG(text));
    return err_set(e, "expected a value between %s and %s, not '%.*s'",
                   bound_text(row, row->min, low), bound_text(row, row->max, high), SPAN_ARG(text));
}

static int expected(const struct setting *row, struct span text, struct err *e)
{
    const char *what = setting_type_text(row->type);
    if (row->type == SET_DURATIONS)
        what = setting_type_text(SET_DURATION);
    else if (row->type == SET_CIDRS)
        what = "a network such as 192.0.2.0/24";
    return err_set(e, "expected %s, not '%.*s'", what, SPAN_ARG(text));
}

static int set_string(const struct setting *row, struct span text, struct arena *a, void *at,
                      struct err *e)
{
    if (memchr(text.p, '\0', text.n) || (row->type != SET_TEXT && memchr(text.p, '\n', text.n)))
        return err_set(e, "expected a text of one line");
    if (row->choices) {
        size_t i = 0;
        while (row->choices[i] && !span_eq(text, span_str(row->choices[i])))
            i++;
        if (!row->choices[i])
            return not_a_choice(row, text, e);
    }
    *(const char **)at = arena_cstr(a, text);
    return 0;
}

static int set_path(struct span text, const char *dir, struct arena *a, const char **at,
                    struct err *e)
{
    if (text.n == 0)
        return err_set(e, "expected a path, not ''");
    if (memchr(text.p, '\0', text.n) || memchr(text.p, '\n', text.n))
        return err_set(e, "expected a path of one line");
    *at = resolve_path(a, dir, text);
    return 0;
}

static int set_number(const struct setting *row, struct span text, void *at, struct err *e)
{
    bool minus = row->type == SET_NUMBER && text.n > 0 && text.p[0] == '-';
    double v;
    size_t n = decimal(span_from(text, minus), &v);
    uint64_t whole = 0;
    if (row->type == SET_INT && !span_u64(text, &whole))
        return expected(row, text, e);
    if (n == 0 || n + minus != text.n)
        return expected(row, text, e);
    if (minus)
        v = -v;
    if (in_range(row, v, text, e) != 0)
        return -1;
    if (row->type == SET_INT)
        *(uint64_t *)at = whole;
    else
        *(double *)at = v;
    return 0;
}

static int set_duration(const struct setting *row, struct span text, usec *at, struct err *e)
{
    usec v;
    if (parse_duration(text, &v) != 0)
        return expected(row, text, e);
    if (in_range(row, (double)v, text, e) != 0)
        return -1;
    *at = v;
    return 0;
}

int value_set(const struct setting *row, struct span text, const char *dir, struct arena *a,
              void *base, struct err *e)
{
    void *at = place(row, base);
    switch (row->type) {
    case SET_BOOL:
        return parse_bool(text, at) == 0 ? 0 : expected(row, text, e);
    case SET_INT:
    case SET_NUMBER:
        return set_number(row, text, at, e);
    case SET_SIZE: {
        uint64_t v;
        if (parse_size(text, &v) != 0)
            return expected(row, text, e);
        if (in_range(row, (double)v, text, e) != 0)
            return -1;
        *(uint64_t *)at = v;
        return 0;
    }
    case SET_DURATION:
        return set_duration(row, text, at, e);
    case SET_STRING:
    case SET_TEXT:
        return set_string(row, text, a, at, e);
    case SET_PATH:
        return set_path(text, dir, a, at, e);
    case SET_ENUM:
        for (int i = 0; row->choices[i]; i++) {
            if (span_eq(text, span_str(row->choices[i]))) {
                *(int *)at = i;
                return 0;
            }
        }
        return not_a_choice(row, text, e);
    case SET_RANGE:
    case SET_SIZES:
        return parse_range(text, row->type == SET_SIZES, at) == 0 ? 0 : expected(row, text, e);
    default:
        return expected(row, text, e);
    }
}

/* Room for one more element behind n; capacities are powers of two from 8 on. */
static void *one_more(struct arena *a, void *v, size_t n, size_t size)
{
    if (n == 0)
        return arena_array(a, 8, size);
    if (n < 8 || (n & (n - 1)) != 0)
        return v;
    return arena_grow(a, v, n * size, 2 * n * size);
}

int value_add(const struct setting *row, struct span text, const char *dir, struct arena *a,
              void *base, struct err *e)
{
    void *at = place(row, base);
    if (row->type == SET_PATTERNS && pattern_check(text, e) != 0)
        return -1;
    if (row->type == SET_STRINGS || row->type == SET_PATHS || row->type == SET_PATTERNS) {
        struct strings *l = at;
        const char *v = NULL;
        if (text.n == 0 && row->type != SET_PATTERNS)
            return err_set(e, "expected a text that is not empty");
        if ((row->type == SET_PATHS ? set_path(text, dir, a, &v, e)
                                    : set_string(row, text, a, &v, e)) != 0)
            return -1;
        l->v = one_more(a, l->v, l->n, sizeof *l->v);
        l->v[l->n++] = v;
        return 0;
    }
    if (row->type == SET_CIDRS) {
        struct cidrs *l = at;
        struct cidr v;
        if (!cidr_parse(text, &v))
            return expected(row, text, e);
        l->v = one_more(a, l->v, l->n, sizeof *l->v);
        l->v[l->n++] = v;
        return 0;
    }
    struct usecs *l = at;
    usec v = 0;
    if (set_duration(row, text, &v, e) != 0)
        return -1;
    l->v = one_more(a, l->v, l->n, sizeof *l->v);
    l->v[l->n++] = v;
    return 0;
}

int value_clear(const struct setting *row, void *base)
{
    void *at = place(row, base);
    switch (row->type) {
    case SET_STRING:
    case SET_TEXT:
    case SET_PATH:
        *(const char **)at = NULL;
        return 0;
    case SET_STRINGS:
    case SET_PATHS:
        *(struct strings *)at = (struct strings){0};
        return 0;
    case SET_CIDRS:
        *(struct cidrs *)at = (struct cidrs){0};
        return 0;
    case SET_DURATIONS:
        *(struct usecs *)at = (struct usecs){0};
        return 0;
    case SET_PATTERNS:
        *(struct strings *)at = (struct strings){0};
        return 0;
    case SET_RANGE:
    case SET_SIZES:
        *(struct range *)at = (struct range){0};
        return 0;
    case SET_SECTION:
        for (size_t i = 0; i < row->section->n; i++)
            value_default(&row->section->rows[i], NULL, at);
        return 0;
    case SET_HEADERS:
        *(struct header_tests *)at = (struct header_tests){0};
        return 0;
    case SET_ACTIONS:
        *(struct policy_actions *)at = (struct policy_actions){0};
        return 0;
    default:
        return -1;
    }
}

void value_default(const struct setting *row, struct arena *a, void *base)
{
    struct err e;
    struct span text = span_str(row->def), word;
    value_clear(row, base);
    if (!row->def)
        return;
    if (!setting_is_list(row->type)) {
        if (value_set(row, text, NULL, a, base, &e) == 0)
            return;
    } else {
        while ((word = span_trim(span_word(&text, ","))).p)
            if (value_add(row, word, NULL, a, base, &e) != 0)
                break;
        if (!word.p)
            return;
    }
    fprintf(stderr, "default of %s: %s\n", row->name, e.text);
    abort();
}
