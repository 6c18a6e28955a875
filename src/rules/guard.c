#include "rules/guard.h"

#include "rules/need.h"

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
 * remain. */
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

static void allow_run(struct table *t, const struct byteset *s[PREFIX_ITEMS])
{
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
    static const struct byteset all = {{~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0}};
    struct arena *scratch = arena_new(0);
    struct need_sets sets;
    need_sets_init(&sets, scratch);
    struct run *runs;
    size_t n = need_prefix(&sets, scratch, pattern, &runs);
    struct guard *g = n ? ARENA_NEW(a, struct guard) : NULL;
    for (size_t i = 0; g && i < n; i++) {
        const struct byteset *s[PREFIX_ITEMS];
        for (size_t k = 0; k < PREFIX_ITEMS; k++)
            s[k] = k < runs[i].n ? &sets.v[runs[i].set[k]] : &all;
        allow_run(&g->line_start, s);
        if (!runs[i].loop[1])
            allow_run(&g->anywhere, s);
    }
    arena_free(scratch);
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
