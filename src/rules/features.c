#include "rules/features.h"

#include "rules/frequency.h"

enum {
    LITERAL_MIN = 3, /* shorter ones are left to the automaton */
    VARIANTS = 4,    /* spellings of one run that are still worth literals */
    WINDOW = 8       /* items of a run in the automaton */
};
/* A literal costs less than a run in the automaton: taken unless that is so much rarer. */
static const double LITERAL_BONUS = 0.01;

void features_init(struct builder *b)
{
    *b = (struct builder){.a = arena_new(0), .work = arena_new(0)};
    byteset_table_init(&b->sets, b->a);
    b->literals.index = map_in(b->a);
    b->runs.index = map_in(b->a);
    b->choices = map_in(b->a);
}

void features_free(struct builder *b)
{
    arena_free(b->work);
    arena_free(b->a);
}

/* --- features --- */

static struct feature *feature_at(struct builder *b, struct features *f, struct span key)
{
    void **slot = map_at(&f->index, key);
    if (!*slot) {
        (void)ARENA_PUSH(b->a, f->v, f->n, f->cap);
        *slot = (void *)(uintptr_t)f->n;
    }
    return &f->v[(uintptr_t)*slot - 1];
}

static void add_use(struct builder *b, struct feature *f, struct use u)
{
    struct use *last = f->nusers ? &f->users[f->nusers - 1] : NULL;
    if (last && last->user.pattern == u.user.pattern && last->user.group == u.user.group)
        last->back = extent_either(last->back, u.back);
    else
        *ARENA_PUSH(b->a, f->users, f->nusers, f->cap) = u;
}

/* The bytes of a set, lower case of a pair standing for both; 0 when there are too many. */
static size_t set_bytes(const struct byteset *s, char *out, size_t max, bool *caseless, bool *exact)
{
    size_t n = 0;
    for (unsigned c = 0; c < 256; c++) {
        if (!byteset_has(s, (unsigned char)c))
            continue;
        bool letter = ascii_isalpha((char)c);
        bool pair = letter && byteset_has(s, (unsigned char)(c ^ 0x20));
        if (letter && !pair)
            *exact = true;
        if (pair)
            *caseless = true;
        if (pair && c < 'a')
            continue;
        if (n == max)
            return 0;
        out[n++] = (char)c;
    }
    return n;
}

struct spelling {
    char text[VARIANTS][RUN_ITEMS];
    size_t n, len;
    bool caseless;
};

/* All spellings of items [from, to) when they are few; letters are either all caseless or all exact
 * (a mixture is taken as caseless, which only lets more through). */
static bool spell(const struct builder *b, const struct run *r, size_t from, size_t to,
                  struct spelling *out)
{
    bool exact = false;
    *out = (struct spelling){.n = 1, .len = to - from};
    for (size_t i = from; i < to; i++) {
        char bytes[VARIANTS];
        size_t k = set_bytes(&b->sets.v[r->set[i]], bytes, VARIANTS, &out->caseless, &exact);
        if (k == 0 || out->n * k > VARIANTS || (i + 1 < to && r->loop[i]))
            return false;
        for (size_t v = out->n; v-- > 0;)
            for (size_t j = k; j-- > 0;) {
                memmove(out->text[v + j * out->n], out->text[v], i - from);
                out->text[v + j * out->n][i - from] = bytes[j];
            }
        out->n *= k;
    }
    return true;
}

static double cost_of(struct builder *b, const struct run *r)
{
    return frequency_at(frequency_of(&b->sets, r), 0, r->n);
}

/* What a run is found by: its best literal stretch, or its best window. */
struct choice {
    bool literal;
    size_t from, to;
    double cost;
};

static struct choice choose_anew(struct builder *b, const struct run *r)
{
    struct choice lit = {.cost = 1e9, .literal = true}, win = {.cost = 1e9};
    struct spelling sp;
    const struct frequency *f = frequency_of(&b->sets, r);
    for (size_t from = 0; from < r->n; from++)
        for (size_t to = from + LITERAL_MIN; to <= r->n; to++) {
            if (!spell(b, r, from, to, &sp))
                break;
            double c = frequency_at(f, from, to);
            if (c < lit.cost) {
                lit.cost = c;
                lit.from = from;
                lit.to = to;
            }
        }
    size_t len = r->n < WINDOW ? r->n : WINDOW;
    for (size_t from = 0; from + len <= r->n; from++) {
        double c = frequency_at(f, from, from + len);
        if (c < win.cost) {
            win.cost = c;
            win.from = from;
            win.to = from + len;
        }
    }
    return lit.cost < win.cost + LITERAL_BONUS ? lit : win;
}

static struct choice choose(struct builder *b, const struct run *r)
{
    struct span key = span_of((const char *)r, offsetof(struct run, lead));
    struct choice *known = map_get(&b->choices, key);
    if (!known) {
        known = ARENA_NEW(b->a, struct choice);
        *known = choose_anew(b, r);
        *map_at(&b->choices, arena_dup(b->a, key)) = known;
    }
    return *known;
}

static void add_literals(struct builder *b, const struct run *r, const struct choice *c,
                         struct use u)
{
    u.back = run_end(r, c->to);
    struct spelling sp;
    spell(b, r, c->from, c->to, &sp);
    for (size_t i = 0; i < sp.n; i++) {
        char key[RUN_ITEMS + 1];
        key[0] = (char)sp.caseless;
        for (size_t k = 0; k < sp.len; k++)
            key[k + 1] = sp.caseless ? ascii_lower(sp.text[i][k]) : sp.text[i][k];
        struct span own = arena_dup(b->a, span_of(key, sp.len + 1));
        struct feature *f = feature_at(b, &b->literals, own);
        f->text = span_from(own, 1);
        f->caseless = sp.caseless;
        add_use(b, f, u);
    }
}

/* --- windows --- */

/* What a window may match more often in a kilobyte for taking in another: a try of the pattern
 * costs about as much as the automaton takes for a hundred windows in that time. */
static const double MERGE_SLACK = 0.03;

/* Windows of one group: any of them will do, so one that matches all that two match may stand for
 * both. */
struct windows {
    struct run *v;
    double *cost;
    size_t n, cap, cost_cap;
};

static uint16_t both(struct builder *b, uint16_t x, uint16_t y)
{
    return x == y ? x : byteset_number(&b->sets, byteset_or(b->sets.v[x], b->sets.v[y]));
}

static bool merged(struct builder *b, const struct run *x, const struct run *y, struct run *out)
{
    *out = (struct run){.n = x->n, .lead = extent_either(x->lead, y->lead)};
    if (x->n != y->n)
        return false;
    for (size_t i = 0; i < x->n; i++) {
        out->set[i] = both(b, x->set[i], y->set[i]);
        out->loop[i] = both(b, x->loop[i], y->loop[i]);
        if (out->set[i] == BYTESET_NONE || out->loop[i] == BYTESET_NONE)
            return false;
    }
    return true;
}

static void note_window(struct builder *b, struct windows *w, const struct run *r,
                        const struct choice *c)
{
    struct run one = {.n = (uint16_t)(c->to - c->from), .lead = run_start(r, c->from)}, more;
    memcpy(one.set, r->set + c->from, one.n * sizeof *one.set);
    memcpy(one.loop, r->loop + c->from, one.n * sizeof *one.loop);
    one.loop[one.n - 1] = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (!merged(b, &w->v[i], &one, &more))
            continue;
        double cost = cost_of(b, &more);
        if (cost <= w->cost[i] + c->cost + MERGE_SLACK) {
            w->v[i] = more;
            w->cost[i] = cost;
            return;
        }
    }
    *ARENA_PUSH(b->work, w->cost, w->n, w->cost_cap) = c->cost;
    w->n--;
    *ARENA_PUSH(b->work, w->v, w->n, w->cap) = one;
}

static void add_window(struct builder *b, const struct run *w, struct use u)
{
    u.user.times = 1;
    u.back = run_end(w, w->n);
    struct span key = arena_dup(b->a, span_of((const char *)w, offsetof(struct run, lead)));
    struct feature *f = feature_at(b, &b->runs, key);
    f->run = *w;
    add_use(b, f, u);
}

/* --- patterns --- */

double features_cost(struct builder *b, const struct runs *g)
{
    double cost = 0;
    for (size_t i = 0; i < g->n; i++)
        cost += choose(b, &g->v[i]).cost;
    return g->times > 1 ? cost / g->times : cost;
}

uint32_t features_add(struct builder *b, const struct need *need, uint32_t pattern)
{
    uint32_t bits = 0;
    for (size_t g = 0; g < need->ngroups; g++) {
        if (features_cost(b, &need->groups[g]) > FEATURES_USELESS)
            continue;
        struct use u = {.user = {pattern, (uint16_t)g,
                                 (uint16_t)(need->groups[g].times ? need->groups[g].times : 1)}};
        struct windows w = {0};
        for (size_t i = 0; i < need->groups[g].n; i++) {
            const struct run *r = &need->groups[g].v[i];
            struct choice c = choose(b, r);
            if (c.literal)
                add_literals(b, r, &c, u);
            else
                note_window(b, &w, r, &c);
        }
        for (size_t i = 0; i < w.n; i++)
            add_window(b, &w.v[i], u);
        bits |= 1u << g;
    }
    return bits;
}
