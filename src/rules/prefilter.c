#include "rules/prefilter_private.h"

#include "base/map.h"

enum {
    LITERAL_MIN = 3, /* shorter ones are left to the automaton */
    VARIANTS = 4,    /* spellings of one run that are still worth literals */
    WINDOW = 6,      /* items of a run in the automaton */
    FORMAT = 3
};
/* Expected times in a kilobyte above which a group tells nothing. */
static const double USELESS = 30;
/* A literal costs less than a run in the automaton: taken unless that is this much rarer. */
static const double LITERAL_BONUS = 200;

static void release(void *p)
{
    hs_free_database(((struct prefilter *)p)->literals);
}

static void note_counted(struct prefilter *f, struct arena *a)
{
    f->counted = arena_array(a, f->nliterals + 1, sizeof *f->counted);
    for (size_t i = 0; i < f->nliterals; i++)
        for (uint32_t u = f->start[i]; u < f->start[i + 1]; u++)
            f->counted[i] |= f->users[u].times > 1;
}

void prefilter_finish(struct prefilter *f, struct arena *a)
{
    note_counted(f, a);
    arena_defer(a, release, f);
}

/* --- building --- */

struct feature {
    struct span text; /* a literal */
    bool caseless;
    struct run run; /* or a run */
    struct user *users;
    size_t nusers, cap;
};

struct features {
    struct feature *v;
    size_t n, cap;
    struct map index; /* key -> number + 1 */
};

struct builder {
    struct arena *a; /* scratch */
    struct byteset_table sets;
    struct features literals, runs;
};

static struct feature *feature_at(struct builder *b, struct features *f, struct span key)
{
    void **slot = map_at(&f->index, key);
    if (!*slot) {
        (void)ARENA_PUSH(b->a, f->v, f->n, f->cap);
        *slot = (void *)(uintptr_t)f->n;
    }
    return &f->v[(uintptr_t)*slot - 1];
}

static void add_user(struct builder *b, struct feature *f, struct user u)
{
    if (f->nusers && f->users[f->nusers - 1].pattern == u.pattern &&
        f->users[f->nusers - 1].group == u.group)
        return;
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

static double cost_of(const struct builder *b, const struct run *r, size_t from, size_t to)
{
    double p = 1000;
    for (size_t i = from; i < to; i++) {
        p *= b->sets.share[r->set[i]];
        if (i + 1 < to && r->loop[i])
            p *= 1 + 4 * b->sets.share[r->loop[i]];
    }
    return p;
}

/* What a run is found by: its best literal stretch, or its best window. */
struct choice {
    bool literal;
    size_t from, to;
    double cost;
};

static struct choice choose(const struct builder *b, const struct run *r)
{
    struct choice lit = {.cost = 1e9, .literal = true}, win = {.cost = 1e9};
    struct spelling sp;
    for (size_t from = 0; from < r->n; from++)
        for (size_t to = from + LITERAL_MIN; to <= r->n; to++) {
            if (!spell(b, r, from, to, &sp))
                break;
            double c = cost_of(b, r, from, to);
            if (c < lit.cost) {
                lit.cost = c;
                lit.from = from;
                lit.to = to;
            }
        }
    size_t len = r->n < WINDOW ? r->n : WINDOW;
    for (size_t from = 0; from + len <= r->n; from++) {
        double c = cost_of(b, r, from, from + len);
        if (c < win.cost) {
            win.cost = c;
            win.from = from;
            win.to = from + len;
        }
    }
    return lit.cost < win.cost * LITERAL_BONUS ? lit : win;
}

static void add_literals(struct builder *b, const struct run *r, const struct choice *c,
                         struct user u)
{
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
        add_user(b, f, u);
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
    *out = (struct run){.n = x->n};
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
    struct run one = {.n = (uint16_t)(c->to - c->from)}, more;
    memcpy(one.set, r->set + c->from, one.n * sizeof *one.set);
    memcpy(one.loop, r->loop + c->from, one.n * sizeof *one.loop);
    one.loop[one.n - 1] = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (!merged(b, &w->v[i], &one, &more))
            continue;
        double cost = cost_of(b, &more, 0, more.n);
        if (cost <= w->cost[i] + c->cost + MERGE_SLACK) {
            w->v[i] = more;
            w->cost[i] = cost;
            return;
        }
    }
    *ARENA_PUSH(b->a, w->cost, w->n, w->cost_cap) = c->cost;
    w->n--;
    *ARENA_PUSH(b->a, w->v, w->n, w->cap) = one;
}

static void add_window(struct builder *b, const struct run *w, struct user u)
{
    u.times = 1;
    struct span key = arena_dup(b->a, span_of((const char *)w, sizeof *w));
    struct feature *f = feature_at(b, &b->runs, key);
    f->run = *w;
    add_user(b, f, u);
}

/* --- patterns --- */

static double group_cost(const struct builder *b, const struct runs *g)
{
    double cost = 0;
    for (size_t i = 0; i < g->n; i++)
        cost += choose(b, &g->v[i]).cost;
    return g->times > 1 ? cost / g->times : cost;
}

/* Adds the useful groups of a pattern; the bits of them, 0 when there is none. */
static uint32_t add_pattern(struct builder *b, const struct need *need, uint32_t pattern)
{
    uint32_t bits = 0;
    for (size_t g = 0; g < need->ngroups; g++) {
        if (group_cost(b, &need->groups[g]) > USELESS)
            continue;
        struct user u = {pattern, (uint16_t)g,
                         (uint16_t)(need->groups[g].times ? need->groups[g].times : 1)};
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

static void copy_users(struct prefilter *f, struct arena *a, const struct builder *b)
{
    const struct features *both[] = {&b->literals, &b->runs};
    f->nliterals = b->literals.n;
    f->nruns = b->runs.n;
    f->start = arena_array(a, f->nliterals + f->nruns + 1, sizeof *f->start);
    size_t at = 0, k = 0;
    for (int i = 0; i < 2; i++)
        for (size_t j = 0; j < both[i]->n; j++)
            f->nusers += both[i]->v[j].nusers;
    f->users = arena_array(a, f->nusers + 1, sizeof *f->users);
    for (int i = 0; i < 2; i++)
        for (size_t j = 0; j < both[i]->n; j++) {
            f->start[k++] = (uint32_t)at;
            for (size_t u = 0; u < both[i]->v[j].nusers; u++)
                f->users[at++] = both[i]->v[j].users[u];
        }
    f->start[k] = (uint32_t)at;
}

/* Vectorscan 5.4.9 loses matches of sets of two to five literals, near the end of texts that hold
 * nothing else (on processors with AVX-512 at least). Sets of more do not: these, which no mail
 * holds, make them so (tests/unit/rules/test_literals.c). */
enum { PADDING = 6, PADDED_BELOW = 8 };
static const char *const padding[PADDING] = {
    "\1\2\3\4\5\6\7\16",    "\2\3\4\5\6\7\16\17",    "\3\4\5\6\7\16\17\20",
    "\4\5\6\7\16\17\20\21", "\5\6\7\16\17\20\21\22", "\6\7\16\17\20\21\22\23",
};

static void compile_literals(struct prefilter *f, struct builder *b)
{
    size_t n = b->literals.n;
    if (n == 0)
        return;
    size_t cap = n + PADDING;
    const char **text = arena_array(b->a, cap, sizeof *text);
    unsigned *flags = arena_array(b->a, cap, sizeof *flags);
    unsigned *ids = arena_array(b->a, cap, sizeof *ids);
    size_t *len = arena_array(b->a, cap, sizeof *len);
    for (size_t i = 0; i < n; i++) {
        const struct feature *lit = &b->literals.v[i];
        text[i] = lit->text.p;
        len[i] = lit->text.n;
        flags[i] = lit->caseless ? HS_FLAG_CASELESS : 0;
        ids[i] = (unsigned)i;
    }
    for (size_t i = 0; b->literals.n < PADDED_BELOW && i < PADDING; i++, n++) {
        text[n] = padding[i];
        len[n] = strlen(padding[i]);
        ids[n] = PREFILTER_NOBODY;
    }
    hs_compile_error_t *e = NULL;
    if (hs_compile_lit_multi(text, flags, ids, len, (unsigned)n, HS_MODE_BLOCK, NULL, &f->literals,
                             &e) != HS_SUCCESS) {
        hs_free_compile_error(e);
        f->literals = NULL;
    }
}

/* Without its literals the filter would miss: every pattern is tried then. */
static void all_always(struct prefilter *f, struct arena *a)
{
    f->always = arena_grow(a, f->always, f->nalways * sizeof *f->always,
                           (f->nalways + f->n) * sizeof *f->always);
    for (size_t i = 0; i < f->n; i++)
        f->always[f->nalways++] = f->id[i];
    f->n = f->nliterals = f->nruns = 0;
    f->runs = NULL;
}

struct prefilter *prefilter_build(struct arena *a, const struct prefilter_pattern *p, size_t n)
{
    struct prefilter *f = ARENA_NEW(a, struct prefilter);
    struct builder b = {.a = arena_new(0)};
    byteset_table_init(&b.sets, b.a);
    b.literals.index = map_in(b.a);
    b.runs.index = map_in(b.a);
    f->id = arena_array(a, n + 1, sizeof *f->id);
    f->full = arena_array(a, n + 1, sizeof *f->full);
    f->always = arena_array(a, n + 1, sizeof *f->always);
    for (size_t i = 0; i < n; i++) {
        struct need need = need_of(&b.sets, b.a, p[i].pattern);
        uint32_t bits = add_pattern(&b, &need, (uint32_t)f->n);
        if (bits) {
            f->id[f->n] = p[i].id;
            f->full[f->n++] = bits;
        } else {
            f->always[f->nalways++] = p[i].id;
        }
    }
    copy_users(f, a, &b);
    compile_literals(f, &b);
    struct run *runs = arena_array(b.a, b.runs.n + 1, sizeof *runs);
    for (size_t i = 0; i < b.runs.n; i++)
        runs[i] = b.runs.v[i].run;
    f->runs = shiftand_build(a, &b.sets, runs, b.runs.n);
    if (f->nliterals && !f->literals)
        all_always(f, a);
    prefilter_finish(f, a);
    arena_free(b.a);
    return f;
}

const uint32_t *prefilter_always(const struct prefilter *f, size_t *n)
{
    *n = f->nalways;
    return f->always;
}

void prefilter_describe(const struct prefilter *f, FILE *out)
{
    fprintf(out, "%zu filtered, %zu always, %zu literals, %zu runs in %zu words\n", f->n,
            f->nalways, f->nliterals, f->nruns, f->runs ? f->runs->words : 0);
}
