#include "rules/guard.h"

#include "rules/tree.h"

enum {
    BYTES = 3, /* that are looked at */
    BEGINNINGS_MAX = 400
};

/* How a match may begin: up to three sets. Shorter ones are either open (anything may follow) or
 * what comes next in the pattern follows. line_start: only at the start of the string or behind an
 * LF. */
struct beginning {
    uint16_t n;
    bool open, line_start;
    uint16_t set[BYTES];
};

struct beginnings {
    struct beginning *v;
    size_t n, cap;
    bool anything; /* too many, or not known */
};

struct builder {
    struct byteset_table sets;
    struct arena *a;
};

/* --- the pattern's beginnings --- */

static bool complete(const struct beginning *b)
{
    return b->n == BYTES || b->open;
}

static void add(struct builder *w, struct beginnings *to, struct beginning b)
{
    for (size_t i = 0; i < to->n; i++) {
        const struct beginning *o = &to->v[i];
        if (o->n == b.n && o->open == b.open && o->line_start == b.line_start &&
            memcmp(o->set, b.set, b.n * sizeof *b.set) == 0)
            return;
    }
    if (to->n == BEGINNINGS_MAX)
        to->anything = true;
    else
        *ARENA_PUSH(w->a, to->v, to->n, to->cap) = b;
}

static bool all_complete(const struct beginnings *x)
{
    for (size_t i = 0; i < x->n; i++)
        if (!complete(&x->v[i]))
            return false;
    return true;
}

/* x followed by y. */
static struct beginnings join(struct builder *w, const struct beginnings *x,
                              const struct beginnings *y)
{
    struct beginnings out = {.anything = x->anything || y->anything};
    for (size_t i = 0; i < x->n && !out.anything; i++) {
        if (complete(&x->v[i])) {
            add(w, &out, x->v[i]);
            continue;
        }
        for (size_t k = 0; k < y->n && !out.anything; k++) {
            struct beginning b = x->v[i];
            for (size_t j = 0; j < y->v[k].n && b.n < BYTES; j++)
                b.set[b.n++] = y->v[k].set[j];
            b.open = b.n < BYTES && y->v[k].open;
            b.line_start |= x->v[i].n == 0 && y->v[k].line_start;
            add(w, &out, b);
        }
    }
    return out;
}

static struct beginnings beginnings_of(struct builder *w, const struct tree *t);

static struct beginnings of_sequence(struct builder *w, const struct tree *t)
{
    struct beginnings out = {0};
    add(w, &out, (struct beginning){0});
    for (const struct tree *k = t->child; k && !out.anything && !all_complete(&out); k = k->next) {
        struct beginnings y = beginnings_of(w, k);
        out = join(w, &out, &y);
    }
    return out;
}

/* After a short one of several copies, another copy or what follows may come. */
static struct beginnings of_repeat(struct builder *w, const struct tree *t)
{
    struct beginnings out = beginnings_of(w, t->child);
    for (size_t i = 0; i < out.n && t->max > 1; i++)
        if (out.v[i].n && out.v[i].n < BYTES)
            out.v[i].open = true;
    if (t->min == 0)
        add(w, &out, (struct beginning){0});
    return out;
}

static struct beginnings beginnings_of(struct builder *w, const struct tree *t)
{
    struct beginnings out = {0};
    switch (t->kind) {
    case TREE_SET:
        add(w, &out, (struct beginning){.n = 1, .set = {t->set}});
        break;
    case TREE_SEQ:
        return of_sequence(w, t);
    case TREE_REPEAT:
        return of_repeat(w, t);
    case TREE_ALT:
        for (const struct tree *k = t->child; k && !out.anything; k = k->next) {
            struct beginnings y = beginnings_of(w, k);
            out.anything |= y.anything;
            for (size_t i = 0; i < y.n; i++)
                add(w, &out, y.v[i]);
        }
        break;
    case TREE_BOL:
        add(w, &out, (struct beginning){.line_start = true});
        break;
    case TREE_EMPTY:
    case TREE_AHEAD:
        add(w, &out, (struct beginning){0});
        break;
    default:
        add(w, &out, (struct beginning){.open = true});
    }
    return out;
}

/* --- the tables --- */

/* Bit y of row x: byte y may follow byte x. */
struct pairs {
    uint64_t row[256][4];
};

/* Bytes 0 and 1, bytes 1 and 2. */
struct table {
    struct pairs first, second;
};

struct guard {
    struct table anywhere, line_start;
};

/* Share of places in ordinary text (taken as letters, digits and some signs, alike) that may
 * remain.
 */
static const double WORTH = 0.25;

static void allow(struct pairs *p, const struct byteset *x, const struct byteset *y)
{
    for (unsigned c = 0; c < 256; c++)
        for (int w = 0; w < 4 && byteset_has(x, (unsigned char)c); w++)
            p->row[c][w] |= y->w[w];
}

static inline bool allows(const struct pairs *p, unsigned char x, unsigned char y)
{
    return p->row[x][y >> 6] >> (y & 63) & 1;
}

static void allow_beginning(struct table *t, const struct byteset_table *sets,
                            const struct beginning *b)
{
    static const struct byteset all = {{~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0}};
    const struct byteset *s[BYTES];
    for (size_t k = 0; k < BYTES; k++)
        s[k] = k < b->n ? &sets->v[b->set[k]] : &all;
    allow(&t->first, s[0], s[1]);
    allow(&t->second, s[1], s[2]);
}

static inline bool allows_three(const struct table *t, const unsigned char *p)
{
    return allows(&t->first, p[0], p[1]) && allows(&t->second, p[1], p[2]);
}

static bool pays(const struct guard *g)
{
    static const char sample[] = " etaoinshrdlucmfwygpbvk eation the.,-0";
    size_t n = sizeof sample - 1, open = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++)
            open += allows(&g->anywhere.first, (unsigned char)sample[i], (unsigned char)sample[k]);
    return (double)open < WORTH * (double)(n * n);
}

struct guard *guard_new(struct arena *a, struct span pattern)
{
    struct builder w = {.a = arena_new(0)};
    struct guard *g = NULL;
    byteset_table_init(&w.sets, w.a);
    const struct tree *t = tree_parse(&w.sets, w.a, pattern);
    struct beginnings b = {.anything = true};
    if (t)
        b = beginnings_of(&w, t);
    if (!b.anything)
        g = ARENA_NEW(a, struct guard);
    for (size_t i = 0; g && i < b.n; i++) {
        allow_beginning(&g->line_start, &w.sets, &b.v[i]);
        if (!b.v[i].line_start)
            allow_beginning(&g->anywhere, &w.sets, &b.v[i]);
    }
    arena_free(w.a);
    return g && pays(g) ? g : NULL;
}

size_t guard_next(const struct guard *g, struct span s, size_t from)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = from;
    for (; i + 2 < s.n; i++)
        if (allows_three(i == 0 || p[i - 1] == '\n' ? &g->line_start : &g->anywhere, p + i))
            return i;
    return i <= s.n ? i : s.n + 1; /* too near the end to tell */
}
