#include "rules/need.h"

#include <math.h>
#include <stdlib.h>

#include "rules/pattern.h"

/* While strings of byte sets are put together, an expression has an exact language (a few strings
 * of sets) as long as that stays small; then it is turned into groups and a new one begins.
 * Everything that is not understood is "anything", which is always right. */
enum {
    STRINGS_MAX = 24, /* of one exact language */
    GROUP_MAX = 2500, /* runs of one group */
    NESTING_MAX = 150,
    REPEAT_MAX = 8,
    TIMES_MAX = 200,
    LETTERS_MAX = 3 /* spellings of a letter that are kept apart */
};

struct text {
    struct run *v;
    size_t n, cap;
};

/* What is known of an expression. */
struct info {
    bool exact;
    struct text strings; /* exact: the language, loops included; else what may end it */
    struct need need;    /* groups found so far */
    struct byteset alphabet;
    struct text prefix; /* how every match begins: runs of at most PREFIX_ITEMS */
};

/* Marks of a prefix. In loop[0]: OPEN, anything may follow a run that is short; otherwise what
 * comes next follows. In loop[1]: BOL, only at the start of the string or of a line. */
enum { OPEN = 1, BOL = 1 };
static bool is_open(const struct run *r)
{
    return r->loop[0] == OPEN || r->n == PREFIX_ITEMS;
}

struct parser {
    struct need_sets *sets;
    struct arena *a;
    struct span p;
    size_t at;
    bool icase, dotall, extended;
    bool gave_up;
    unsigned nesting;
};

/* --- byte sets --- */

/* Rough shares of bytes in mail: text, markup, addresses. */
static double byte_share(unsigned c)
{
    static const char common[] = " etaonisrhldcmupfgwybvk";
    static const double share[] = {.16,  .085, .062, .056, .052, .05,  .05,  .046,
                                   .046, .03,  .03,  .03,  .025, .024, .022, .02,
                                   .016, .015, .013, .013, .011, .008, .006};
    const char *p = c ? strchr(common, ascii_lower((char)c)) : NULL;
    if (p && c < 0x80)
        return c >= 'A' && c <= 'Z' ? share[p - common] / 12 : share[p - common];
    if (c == '\n' || c == '.' || c == '-' || c == '/' || c == '=')
        return .012;
    if (c >= '0' && c <= '9')
        return .008;
    return c < 0x20 || c >= 0x80 ? .001 : .004;
}

void need_sets_init(struct need_sets *s, struct arena *a)
{
    *s = (struct need_sets){.arena = a, .index = map_in(a)};
    (void)ARENA_PUSH(a, s->v, s->n, s->cap);
    size_t n = 0;
    (void)ARENA_PUSH(a, s->share, n, s->share_cap);
}

static bool set_empty(const struct byteset *s)
{
    return (s->w[0] | s->w[1] | s->w[2] | s->w[3]) == 0;
}

static void set_add(struct byteset *s, unsigned c)
{
    s->w[c >> 6] |= (uint64_t)1 << (c & 63);
}

static struct byteset set_or(struct byteset x, struct byteset y)
{
    for (int i = 0; i < 4; i++)
        x.w[i] |= y.w[i];
    return x;
}

static struct byteset set_not(struct byteset x)
{
    for (int i = 0; i < 4; i++)
        x.w[i] = ~x.w[i];
    return x;
}

static const struct byteset everything = {{~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0}};

static int set_size(const struct byteset *s)
{
    int n = 0;
    for (int i = 0; i < 4; i++)
        n += __builtin_popcountll(s->w[i]);
    return n;
}

static unsigned other_case(unsigned c)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return c ^ 0x20;
    if (c >= 0xc0 && c != 0xd7 && c != 0xf7 && c != 0xdf && c != 0xff)
        return c ^ 0x20;
    return c;
}

static struct byteset folded(struct byteset s)
{
    struct byteset out = s;
    for (unsigned c = 0; c < 256; c++)
        if (byteset_has(&s, (unsigned char)c))
            set_add(&out, other_case(c));
    return out;
}

/* UINT16_MAX when there are too many. */
static uint16_t intern(struct need_sets *sets, struct byteset s)
{
    uintptr_t known = (uintptr_t)map_get(&sets->index, span_of((const char *)&s, sizeof s));
    if (known || sets->n == UINT16_MAX)
        return (uint16_t)(known ? known - 1 : UINT16_MAX);
    double share = 0;
    for (unsigned c = 0; c < 256; c++)
        if (byteset_has(&s, (unsigned char)c))
            share += byte_share(c);
    size_t n = sets->n;
    *ARENA_PUSH(sets->arena, sets->v, sets->n, sets->cap) = s;
    *ARENA_PUSH(sets->arena, sets->share, n, sets->share_cap) = share < 1 ? share : 1;
    struct span key = arena_dup(sets->arena, span_of((const char *)&s, sizeof s));
    *map_at(&sets->index, key) = (void *)(uintptr_t)sets->n;
    return (uint16_t)(sets->n - 1);
}

/* --- runs and groups --- */

static double run_cost(const struct need_sets *sets, const struct run *r, size_t from, size_t to)
{
    double p = 1000;
    for (size_t i = from; i < to; i++) {
        p *= sets->share[r->set[i]];
        if (i + 1 < to && r->loop[i])
            p *= 1 + 4 * sets->share[r->loop[i]];
    }
    return p;
}

/* The stretch of the string that says most with at most `most` items. */
static struct run best_stretch(const struct need_sets *sets, const struct run *r, size_t most,
                               double *cost)
{
    size_t best = 0, len = r->n < most ? r->n : most;
    *cost = INFINITY;
    for (size_t i = 0; i + len <= r->n; i++) {
        double c = run_cost(sets, r, i, i + len);
        if (c < *cost) {
            *cost = c;
            best = i;
        }
    }
    struct run out = {.n = (uint16_t)len};
    memcpy(out.set, r->set + best, len * sizeof *out.set);
    memcpy(out.loop, r->loop + best, len * sizeof *out.loop);
    if (len)
        out.loop[len - 1] = 0;
    return out;
}

static void need_add(struct need *need, struct runs group)
{
    size_t i = need->ngroups;
    if (i == NEED_GROUPS) {
        if (need->groups[i - 1].cost <= group.cost)
            return;
        i--;
    } else {
        need->ngroups++;
    }
    for (; i > 0 && need->groups[i - 1].cost > group.cost; i--)
        need->groups[i] = need->groups[i - 1];
    need->groups[i] = group;
}

static void need_join(struct need *need, const struct need *other)
{
    for (size_t i = 0; i < other->ngroups; i++)
        need_add(need, other->groups[i]);
}

/* Runs longer than this say no more. */
enum { STRETCH = 8 };

/* An exact language as one group; an empty string in it means that nothing is needed. */
static void text_to_need(struct parser *p, const struct text *t, struct need *need)
{
    struct runs g = {0};
    if (t->n == 0)
        return;
    for (size_t i = 0; i < t->n; i++) {
        double cost;
        if (t->v[i].n == 0)
            return;
        struct run r = best_stretch(p->sets, &t->v[i], STRETCH, &cost);
        bool known = false;
        for (size_t k = 0; k < g.n && !known; k++)
            known = memcmp(&g.v[k], &r, sizeof r) == 0;
        if (known)
            continue;
        g.cost += cost;
        *ARENA_PUSH(p->a, g.v, g.n, g.cap) = r;
    }
    need_add(need, g);
}

/* --- infos --- */

static struct text one_run(struct parser *p, struct run r)
{
    struct text t = {0};
    *ARENA_PUSH(p->a, t.v, t.n, t.cap) = r;
    return t;
}

static struct info nothing(struct parser *p)
{
    return (struct info){.exact = true,
                         .strings = one_run(p, (struct run){0}),
                         .prefix = one_run(p, (struct run){0})};
}

static struct info anything(struct parser *p)
{
    return (struct info){.alphabet = everything,
                         .prefix = one_run(p, (struct run){.loop = {OPEN}})};
}

/* --- prefixes --- */

static void add_prefix(struct parser *p, struct text *t, struct run r)
{
    for (size_t i = 0; i < t->n; i++)
        if (memcmp(&t->v[i], &r, sizeof r) == 0)
            return;
    *ARENA_PUSH(p->a, t->v, t->n, t->cap) = r;
}

static struct text join_prefix(struct parser *p, const struct text *x, const struct text *y)
{
    struct text out = {0};
    for (size_t i = 0; i < x->n; i++) {
        if (is_open(&x->v[i])) {
            add_prefix(p, &out, x->v[i]);
            continue;
        }
        for (size_t k = 0; k < y->n; k++) {
            struct run r = x->v[i];
            for (size_t j = 0; j < y->v[k].n && r.n < PREFIX_ITEMS; j++)
                r.set[r.n++] = y->v[k].set[j];
            r.loop[0] = r.n < PREFIX_ITEMS ? y->v[k].loop[0] : 0;
            if (x->v[i].n == 0 && y->v[k].loop[1] == BOL)
                r.loop[1] = BOL;
            add_prefix(p, &out, r);
        }
        if (out.n > PREFIX_RUNS)
            return one_run(p, (struct run){.loop = {OPEN}});
    }
    return out;
}

/* That of x{min,max}. */
static struct text repeat_prefix(struct parser *p, const struct text *x, unsigned min, unsigned max)
{
    struct text out = {0};
    for (size_t i = 0; i < x->n; i++) {
        struct run r = x->v[i];
        if (max > 1 && r.n < PREFIX_ITEMS && r.n)
            r.loop[0] = OPEN;
        add_prefix(p, &out, r);
    }
    if (min == 0)
        add_prefix(p, &out, (struct run){0});
    return out;
}

static struct info one_set(struct parser *p, struct byteset s)
{
    struct info x = nothing(p);
    uint16_t id = intern(p->sets, s);
    if (id == UINT16_MAX)
        return anything(p);
    x.strings.v[0] = x.prefix.v[0] = (struct run){.n = 1, .set = {id}};
    x.alphabet = s;
    return x;
}

/* Everything of the language: for optional and repeated parts, "any number of these bytes". */
static void flush(struct parser *p, struct info *x)
{
    if (x->exact)
        text_to_need(p, &x->strings, &x->need);
    x->exact = false;
    x->strings = (struct text){0};
}

/* All strings of an exact language as one: first bytes, then any number of the others. */
static bool collapse(struct parser *p, struct text *t)
{
    struct byteset first = {0}, rest = {0};
    bool empty = false;
    for (size_t i = 0; i < t->n; i++) {
        const struct run *r = &t->v[i];
        empty |= r->n == 0;
        for (size_t k = 0; k < r->n; k++) {
            if (k == 0)
                first = set_or(first, p->sets->v[r->set[k]]);
            else
                rest = set_or(rest, p->sets->v[r->set[k]]);
            rest = set_or(rest, p->sets->v[r->loop[k]]);
        }
    }
    if (empty)
        return false;
    uint16_t f = intern(p->sets, first), l = set_empty(&rest) ? 0 : intern(p->sets, rest);
    if (f == UINT16_MAX || l == UINT16_MAX)
        return false;
    t->v[0] = (struct run){.n = 1, .set = {f}, .loop = {l}};
    t->n = 1;
    return true;
}

static size_t longest(const struct text *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        n = t->v[i].n > n ? t->v[i].n : n;
    return n;
}

/* Holds strings so short that they say little on their own, as the spellings of one letter: better
 * one string of larger sets, to which what follows can be joined, than a group of its own. */
static bool letter_like(const struct text *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i].n <= 2)
            return true;
    return false;
}

static struct text product(struct parser *p, const struct text *x, const struct text *y)
{
    struct text out = {0};
    for (size_t i = 0; i < x->n; i++)
        for (size_t k = 0; k < y->n; k++) {
            struct run r = x->v[i];
            const struct run *tail = &y->v[k];
            memcpy(r.set + r.n, tail->set, tail->n * sizeof *r.set);
            memcpy(r.loop + r.n, tail->loop, tail->n * sizeof *r.loop);
            r.n = (uint16_t)(r.n + tail->n);
            *ARENA_PUSH(p->a, out.v, out.n, out.cap) = r;
        }
    return out;
}

/* Appends y, which may come with loops at its end, to x. */
static void concat(struct parser *p, struct info *x, struct info *y)
{
    need_join(&x->need, &y->need);
    x->alphabet = set_or(x->alphabet, y->alphabet);
    if (!y->exact) {
        struct text tail = y->strings;
        flush(p, x);
        x->strings = tail;
        return;
    }
    if (!x->exact && x->strings.n == 0) {
        /* a new stretch begins behind something unknown */
        x->strings = y->strings;
        return;
    }
    if (x->strings.n * y->strings.n > STRINGS_MAX && letter_like(&y->strings))
        collapse(p, &y->strings);
    if (x->strings.n * y->strings.n > STRINGS_MAX && letter_like(&x->strings))
        collapse(p, &x->strings);
    if (x->strings.n * y->strings.n > STRINGS_MAX ||
        longest(&x->strings) + longest(&y->strings) > RUN_ITEMS) {
        text_to_need(p, &x->strings, &x->need);
        x->strings = y->strings;
        x->exact = false;
        return;
    }
    x->strings = product(p, &x->strings, &y->strings);
}

/* "Any number of these bytes": a loop on the last item of all strings; useless at a start. */
static void add_loop(struct parser *p, struct info *x, struct byteset s)
{
    x->alphabet = set_or(x->alphabet, s);
    if (set_size(&s) > 200) {
        if (x->exact || x->strings.n)
            text_to_need(p, &x->strings, &x->need);
        x->exact = false;
        x->strings = (struct text){0};
        return;
    }
    for (size_t i = 0; i < x->strings.n; i++) {
        struct run *r = &x->strings.v[i];
        if (r->n == 0) {
            /* the language is not exact any more: a leading loop is left out */
            x->exact = false;
            continue;
        }
        uint16_t id = intern(p->sets, set_or(p->sets->v[r->loop[r->n - 1]], s));
        if (id == UINT16_MAX)
            x->exact = false;
        else
            r->loop[r->n - 1] = id;
    }
}

/* What is left at the end of a sequence. */
static void finish(struct parser *p, struct info *x)
{
    if (!x->exact && x->strings.n) {
        text_to_need(p, &x->strings, &x->need);
        x->strings = (struct text){0};
    }
}

/* --- alternatives --- */

/* One group for "x or y": the cheapest of each. None if one of them needs nothing. */
static void either(struct parser *p, struct info *x, struct info *y)
{
    x->alphabet = set_or(x->alphabet, y->alphabet);
    for (size_t i = 0; i < y->prefix.n && x->prefix.n <= PREFIX_RUNS; i++)
        add_prefix(p, &x->prefix, y->prefix.v[i]);
    if (x->exact && y->exact && x->strings.n + y->strings.n > STRINGS_MAX &&
        (letter_like(&x->strings) || letter_like(&y->strings))) {
        collapse(p, &x->strings);
        collapse(p, &y->strings);
    }
    if (x->exact && y->exact && x->strings.n + y->strings.n <= STRINGS_MAX) {
        for (size_t i = 0; i < y->strings.n; i++)
            *ARENA_PUSH(p->a, x->strings.v, x->strings.n, x->strings.cap) = y->strings.v[i];
        struct need none = {0};
        if (!x->need.ngroups && !y->need.ngroups)
            x->need = none;
        else
            x->need.ngroups = 0;
        return;
    }
    flush(p, x);
    flush(p, y);
    struct need merged = {0};
    if (x->need.ngroups && y->need.ngroups &&
        x->need.groups[0].n + y->need.groups[0].n <= GROUP_MAX) {
        struct runs g = x->need.groups[0];
        const struct runs *h = &y->need.groups[0];
        for (size_t i = 0; i < h->n; i++)
            *ARENA_PUSH(p->a, g.v, g.n, g.cap) = h->v[i];
        g.cost += h->cost;
        g.times = g.times < h->times ? g.times : h->times;
        need_add(&merged, g);
    }
    x->need = merged;
}

/* --- the pattern's elements --- */

static struct info alternatives(struct parser *p);

static bool more(const struct parser *p)
{
    return p->at < p->p.n && !p->gave_up;
}

static char peek(const struct parser *p)
{
    return p->p.p[p->at];
}

static struct byteset range(unsigned from, unsigned to)
{
    struct byteset s = {0};
    for (unsigned c = from; c <= to; c++)
        set_add(&s, c);
    return s;
}

static struct byteset class_of(char c)
{
    struct byteset s = {0};
    switch (ascii_lower(c)) {
    case 'd':
        s = range('0', '9');
        break;
    case 'w':
        s = set_or(set_or(range('0', '9'), range('a', 'z')), range('A', 'Z'));
        set_add(&s, '_');
        break;
    case 's':
        s = range('\t', '\r');
        set_add(&s, ' ');
        break;
    case 'h':
        set_add(&s, '\t');
        set_add(&s, ' ');
        set_add(&s, 0xa0);
        break;
    default: /* v */
        s = range('\n', '\r');
        set_add(&s, 0x85);
    }
    return c >= 'A' && c <= 'Z' ? set_not(s) : s;
}

/* Byte of an escape that stands for one; -1: it is something else. n: its length. */
static int escape_byte(struct span t)
{
    char c = t.p[1];
    static const char names[] = "tnrfea", bytes[] = "\t\n\r\f\x1b\a";
    const char *known = c ? strchr(names, c) : NULL;
    if (known)
        return bytes[known - names];
    if (c == 'x') {
        size_t from = t.n > 2 && t.p[2] == '{' ? 3 : 2;
        unsigned v = 0;
        for (size_t i = from; i < t.n && ascii_hex(t.p[i]) >= 0 && v < 0x1000; i++)
            v = v * 16 + (unsigned)ascii_hex(t.p[i]);
        return v < 256 ? (int)v : -1;
    }
    if (c == '0' || (c >= '1' && c <= '7' && t.n == 4)) {
        unsigned v = 0;
        for (size_t i = 1; i < t.n; i++)
            v = v * 8 + (unsigned)(t.p[i] - '0');
        return v < 256 ? (int)v : -1;
    }
    if (c == 'c' && t.n == 3)
        return ascii_upper(t.p[2]) ^ 64;
    return ascii_isalnum(c) ? -1 : (unsigned char)c;
}

static struct byteset posix(struct span name, bool *known)
{
    static const struct {
        const char *name;
        const char *ranges; /* pairs */
    } table[] = {
        {"alpha", "azAZ"},
        {"digit", "09"},
        {"alnum", "azAZ09"},
        {"upper", "AZ"},
        {"lower", "az"},
        {"space", "\t\r  "},
        {"blank", "\t\t  "},
        {"punct", "!/:@[`{~"},
        {"xdigit", "09afAF"},
        {"word", "azAZ09__"},
        {"graph", "!~"},
        {"print", " ~"},
        {"cntrl", "\x01\x1f\x7f\x7f"},
        {"ascii", "\x01\x7f"},
    };
    struct byteset s = {0};
    bool negated = span_starts(name, SPAN("^"));
    name = span_from(name, negated);
    *known = false;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!span_eq(name, span_str(table[i].name)))
            continue;
        *known = true;
        for (const char *r = table[i].ranges; *r; r += 2)
            s = set_or(s, range((unsigned char)r[0], (unsigned char)r[1]));
        if (i >= 12)
            set_add(&s, 0);
    }
    return negated ? set_not(s) : s;
}

/* One element of a class from t at *i: its set, and its byte when it is a single one (for ranges).
 */
static struct byteset class_element(struct span t, size_t *i, int *byte, bool *ok)
{
    struct byteset s = {0};
    *byte = -1;
    if (t.p[*i] == '[' && *i + 1 < t.n && t.p[*i + 1] == ':') {
        size_t end = span_search(span_from(t, *i + 2), SPAN(":]"));
        if (end != SIZE_MAX) {
            bool known;
            s = posix(span_sub(t, *i + 2, *i + 2 + end), &known);
            *ok &= known;
            *i += end + 4;
            return s;
        }
    }
    if (t.p[*i] == '\\' && *i + 1 < t.n) {
        size_t n = pattern_token(t, *i);
        struct span e = span_sub(t, *i, *i + n);
        *i += n;
        if (e.n == 2 && one_of(e.p[1], "dDwWsShHvV"))
            return class_of(e.p[1]);
        *byte = e.p[1] == 'b' ? '\b' : escape_byte(e);
        if (*byte < 0 && ascii_isdigit(e.p[1])) {
            *ok = false; /* octal in a class has rules of its own */
        }
        *ok &= *byte >= 0;
    } else {
        *byte = (unsigned char)t.p[(*i)++];
    }
    if (*byte >= 0)
        set_add(&s, (unsigned)*byte);
    return s;
}

static struct info bracket(struct parser *p)
{
    size_t n = pattern_token(p->p, p->at);
    struct span t = span_sub(p->p, p->at + 1, p->at + n - 1);
    p->at += n;
    bool negated = span_starts(t, SPAN("^")), ok = true;
    struct byteset s = {0};
    for (size_t i = negated; i < t.n && ok;) {
        int from, to;
        struct byteset part = class_element(t, &i, &from, &ok);
        if (from >= 0 && i + 1 < t.n && t.p[i] == '-') {
            size_t next = i + 1;
            struct byteset end = class_element(t, &next, &to, &ok);
            if (to >= from) {
                part = range((unsigned)from, (unsigned)to);
                i = next;
            } else if (to < 0) {
                part = set_or(part, end);
                set_add(&part, '-');
                i = next;
            } else {
                ok = false;
            }
        }
        s = set_or(s, part);
    }
    if (!ok)
        return anything(p);
    if (p->icase)
        s = folded(s);
    if (negated)
        s = set_not(s);
    return one_set(p, s);
}

static struct info literal(struct parser *p, unsigned char c)
{
    struct byteset s = {0};
    set_add(&s, c);
    if (p->icase)
        set_add(&s, other_case(c));
    return one_set(p, s);
}

static struct info escape(struct parser *p)
{
    size_t n = pattern_token(p->p, p->at);
    struct span t = span_sub(p->p, p->at, p->at + n);
    p->at += n;
    if (t.n < 2) {
        p->gave_up = true;
        return anything(p);
    }
    char c = t.p[1];
    if (one_of(c, "bBAzZGK"))
        return nothing(p);
    if (c == 'Q' || c == 'E') {
        p->gave_up = true;
        return anything(p);
    }
    if (c == 'N' && t.n == 2) {
        struct byteset s = range('\n', '\n');
        return one_set(p, set_not(s));
    }
    if (t.n == 2 && one_of(c, "dDwWsShHvV"))
        return one_set(p, class_of(c));
    int byte = escape_byte(t);
    return byte >= 0 ? literal(p, (unsigned char)byte) : anything(p);
}

static void set_flags(struct parser *p, struct span flags)
{
    bool on = true;
    for (size_t i = 0; i < flags.n; i++) {
        switch (flags.p[i]) {
        case '^':
            p->icase = p->dotall = p->extended = false;
            break;
        case '-':
            on = false;
            break;
        case 'i':
            p->icase = on;
            break;
        case 's':
            p->dotall = on;
            break;
        case 'x':
            p->extended = on;
            break;
        default:
            break;
        }
    }
}

/* Behind "(?": what kind of group; false for "(?flags)", which is done with then. */
enum group { GROUP_PLAIN, GROUP_AHEAD, GROUP_IGNORED, GROUP_FLAGS };

static enum group group_kind(struct parser *p)
{
    struct span rest = span_from(p->p, p->at);
    static const struct {
        const char *open;
        enum group kind;
    } kinds[] = {
        {":", GROUP_PLAIN},   {">", GROUP_PLAIN},    {"|", GROUP_PLAIN},    {"=", GROUP_AHEAD},
        {"!", GROUP_IGNORED}, {"<=", GROUP_IGNORED}, {"<!", GROUP_IGNORED},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (span_starts(rest, span_str(kinds[i].open))) {
            p->at += strlen(kinds[i].open);
            return kinds[i].kind;
        }
    char close = span_starts(rest, SPAN("'")) ? '\'' : '>';
    if (span_starts(rest, SPAN("<")) || span_starts(rest, SPAN("P<")) ||
        span_starts(rest, SPAN("'"))) {
        size_t end = span_find(span_from(rest, 1), close);
        if (end == SIZE_MAX)
            p->gave_up = true;
        else
            p->at += end + 2;
        return GROUP_PLAIN;
    }
    size_t n = 0;
    while (n < rest.n && (ascii_isalpha(rest.p[n]) || rest.p[n] == '-' || rest.p[n] == '^'))
        n++;
    if (n == rest.n || (rest.p[n] != ':' && rest.p[n] != ')')) {
        p->gave_up = true; /* conditions, recursion, comments, verbs */
        return GROUP_IGNORED;
    }
    for (size_t i = 0; i < n; i++)
        p->gave_up |= !one_of(rest.p[i], "imsxnJU^-"); /* (?R) and its like */
    set_flags(p, span_sub(rest, 0, n));
    p->at += n + 1;
    return rest.p[n] == ':' ? GROUP_PLAIN : GROUP_FLAGS;
}

static struct info group(struct parser *p)
{
    p->at++;
    if (p->at < p->p.n && peek(p) == '*') {
        p->gave_up = true;
        return anything(p);
    }
    bool icase = p->icase, dotall = p->dotall, extended = p->extended;
    enum group kind = GROUP_PLAIN;
    if (p->at < p->p.n && peek(p) == '?') {
        p->at++;
        kind = group_kind(p);
    }
    if (kind == GROUP_FLAGS)
        return nothing(p);
    struct info inner = alternatives(p);
    if (p->at >= p->p.n)
        p->gave_up = true;
    p->at++;
    p->icase = icase;
    p->dotall = dotall;
    p->extended = extended;
    if (kind == GROUP_PLAIN)
        return inner;
    struct info out = nothing(p);
    if (kind == GROUP_AHEAD) {
        flush(p, &inner);
        out.need = inner.need;
    }
    return out;
}

static struct info line_start(struct parser *p)
{
    struct info x = nothing(p);
    x.prefix.v[0].loop[1] = BOL;
    return x;
}

static struct info atom(struct parser *p)
{
    switch (peek(p)) {
    case '(':
        return group(p);
    case '[':
        return bracket(p);
    case '\\':
        return escape(p);
    case '^':
        p->at++;
        return line_start(p);
    case '$':
        p->at++;
        return nothing(p);
    case '.': {
        struct byteset s = range('\n', '\n');
        p->at++;
        return one_set(p, p->dotall ? everything : set_not(s));
    }
    default:
        return literal(p, (unsigned char)p->p.p[p->at++]);
    }
}

/* "{n}", "{n,}", "{n,m}" at the place; false when the brace is an ordinary character. */
static bool braces(struct parser *p, unsigned *min, unsigned *max)
{
    struct span s = span_from(p->p, p->at);
    size_t end = span_find(s, '}'), comma;
    uint64_t a, b;
    if (end == SIZE_MAX)
        return false;
    struct span in = span_sub(s, 1, end);
    comma = span_find(in, ',');
    if (!span_u64(span_sub(in, 0, comma), &a) || a > 65535)
        return false;
    b = a;
    if (comma != SIZE_MAX && comma + 1 == in.n)
        b = UINT32_MAX;
    else if (comma != SIZE_MAX && (!span_u64(span_from(in, comma + 1), &b) || b > 65535))
        return false;
    *min = (unsigned)a;
    *max = (unsigned)b;
    p->at += end + 1;
    return true;
}

static bool quantifier(struct parser *p, unsigned *min, unsigned *max)
{
    *min = *max = 1;
    if (!more(p))
        return false;
    char c = peek(p);
    if (c == '{') {
        if (!braces(p, min, max))
            return false;
    } else if (c == '*' || c == '+' || c == '?') {
        *min = c == '+';
        *max = c == '?' ? 1 : UINT32_MAX;
        p->at++;
    } else {
        return false;
    }
    if (more(p) && (peek(p) == '?' || peek(p) == '+'))
        p->at++;
    return true;
}

static unsigned times(unsigned n, unsigned by)
{
    n = (n ? n : 1) * (by < TIMES_MAX ? by : TIMES_MAX);
    return n < TIMES_MAX ? n : TIMES_MAX;
}

/* Appends x{min,max} to the sequence. */
static void repeat(struct parser *p, struct info *seq, struct info *x, unsigned min, unsigned max)
{
    if (min == 0) {
        bool zero_width = set_empty(&x->alphabet);
        x->need = (struct need){0};
        if (zero_width)
            return;
        if (max == 1 && x->exact && x->strings.n * 2 <= STRINGS_MAX / 4 &&
            longest(&x->strings) <= 4 && (seq->exact || seq->strings.n) &&
            seq->strings.n * (x->strings.n + 1) <= STRINGS_MAX) {
            (void)ARENA_PUSH(p->a, x->strings.v, x->strings.n, x->strings.cap);
            concat(p, seq, x);
            return;
        }
        add_loop(p, seq, x->alphabet);
        return;
    }
    struct byteset alphabet = x->alphabet;
    unsigned copies = min < REPEAT_MAX ? min : REPEAT_MAX;
    if (min > 1 && x->exact && x->strings.n > 1 && letter_like(&x->strings))
        collapse(p, &x->strings);
    if (min > 1 && x->exact && x->strings.n > 1)
        flush(p, x); /* counted below */
    if (!x->exact || x->strings.n > 1)
        copies = 1;
    for (size_t i = 0; i < x->need.ngroups && !x->exact; i++) {
        x->need.groups[i].times = times(x->need.groups[i].times, min);
        x->need.groups[i].cost /= min;
    }
    for (unsigned i = 0; i < copies; i++) {
        struct info again = *x;
        again.strings.v = NULL;
        again.strings.n = again.strings.cap = 0;
        for (size_t k = 0; k < x->strings.n; k++)
            *ARENA_PUSH(p->a, again.strings.v, again.strings.n, again.strings.cap) =
                x->strings.v[k];
        concat(p, seq, &again);
    }
    if (max > copies && !set_empty(&alphabet))
        add_loop(p, seq, alphabet);
}

static bool skip_extended(struct parser *p)
{
    if (!p->extended)
        return false;
    if (ascii_isspace(peek(p))) {
        p->at++;
        return true;
    }
    if (peek(p) != '#')
        return false;
    while (p->at < p->p.n && peek(p) != '\n')
        p->at++;
    return true;
}

static struct info sequence(struct parser *p)
{
    struct info seq = nothing(p);
    while (more(p) && peek(p) != '|' && peek(p) != ')') {
        if (skip_extended(p))
            continue;
        struct info x = atom(p);
        unsigned min, max;
        bool repeated = quantifier(p, &min, &max);
        struct text prefix = repeat_prefix(p, &x.prefix, min, max);
        seq.prefix = join_prefix(p, &seq.prefix, &prefix);
        if (repeated)
            repeat(p, &seq, &x, min, max);
        else
            concat(p, &seq, &x);
    }
    finish(p, &seq);
    return seq;
}

static struct info alternatives(struct parser *p)
{
    if (++p->nesting > NESTING_MAX) {
        p->gave_up = true;
        return anything(p);
    }
    struct info x = sequence(p);
    bool several = false;
    while (more(p) && peek(p) == '|') {
        p->at++;
        struct info y = sequence(p);
        either(p, &x, &y);
        several = true;
    }
    if (several && x.exact && x.strings.n > LETTERS_MAX && letter_like(&x.strings))
        collapse(p, &x.strings);
    p->nesting--;
    return x;
}

struct need need_of(struct need_sets *sets, struct arena *a, struct span pattern)
{
    struct parser p = {.sets = sets, .a = a, .p = pattern};
    struct info x = alternatives(&p);
    if (p.gave_up || p.at < p.p.n)
        return (struct need){0};
    flush(&p, &x);
    return x.need;
}

size_t need_prefix(struct need_sets *sets, struct arena *a, struct span pattern, struct run **out)
{
    struct parser p = {.sets = sets, .a = a, .p = pattern};
    struct info x = alternatives(&p);
    *out = x.prefix.v;
    return p.gave_up || p.at < p.p.n || x.prefix.n > PREFIX_RUNS ? 0 : x.prefix.n;
}
