#include "rules/prefilter_private.h"

#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "rules/frequency.h"

enum {
    LITERAL_MIN = 3,  /* shorter ones are left to the automaton */
    VARIANTS = 4,     /* spellings of one run that are still worth literals */
    WINDOW = 8,       /* items of a run in the automaton */
    VARIANTS_MAX = 16 /* that a pattern is taken apart into */
};
/* Expected times in a kilobyte above which a group tells nothing. */
static const double USELESS = 30, USELESS_GUARDABLE = 5;
/* A literal costs less than a run in the automaton: taken unless that is so much rarer. */
static const double LITERAL_BONUS = 0.01;
/* Kilobytes in which two groups of a match stand, about. */
static const double NEAR = 0.3;
/* A pattern is taken apart when the parts are tried that much less often. */
static const double WORTHWHILE = 0.9;

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
    for (size_t i = 0; i < f->n; i++)
        f->nids = f->id[i] < f->nids ? f->nids : f->id[i] + 1;
    arena_defer(a, release, f);
}

/* --- building --- */

struct feature {
    struct span text; /* a literal */
    bool caseless;
    struct run run; /* or a run */
    struct use {
        struct user user;
        struct extent back; /* from its end to the beginning of the match */
    } * users;
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
    struct map choices; /* run -> struct choice */
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
    u.back = run_lead(r, c->to);
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
    struct run one = {.n = (uint16_t)(c->to - c->from), .lead = run_lead(r, c->from)}, more;
    if (c->from && r->loop[c->from - 1])
        one.lead.max = ENDLESS;
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
    *ARENA_PUSH(b->a, w->cost, w->n, w->cost_cap) = c->cost;
    w->n--;
    *ARENA_PUSH(b->a, w->v, w->n, w->cap) = one;
}

static void add_window(struct builder *b, const struct run *w, struct use u)
{
    u.user.times = 1;
    u.back = run_lead(w, w->n);
    struct span key = arena_dup(b->a, span_of((const char *)w, offsetof(struct run, lead)));
    struct feature *f = feature_at(b, &b->runs, key);
    f->run = *w;
    add_use(b, f, u);
}

/* --- patterns --- */

static double group_cost(struct builder *b, const struct runs *g)
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
                f->users[at++] = both[i]->v[j].users[u].user;
        }
    f->start[k] = (uint32_t)at;
}

/* All uses of features, one after the other. */
static const struct use *next_use(const struct builder *b, size_t *feature, size_t *use)
{
    for (;; ++*feature, *use = 0) {
        bool literal = *feature < b->literals.n;
        size_t i = literal ? *feature : *feature - b->literals.n;
        if (!literal && i >= b->runs.n)
            return NULL;
        const struct feature *f = literal ? &b->literals.v[i] : &b->runs.v[i];
        if (*use < f->nusers)
            return &f->users[(*use)++];
    }
}

static bool several_groups(const struct prefilter *f, uint32_t pattern)
{
    return (f->full[pattern] & (f->full[pattern] - 1)) != 0;
}

static int by_group(const void *x, const void *y)
{
    const struct place *a = x, *b = y;
    return a->group != b->group ? (a->group < b->group ? -1 : 1) : a->feature < b->feature ? -1 : 1;
}

static void note_places(struct prefilter *f, struct arena *a, const struct builder *b)
{
    const struct use *u;
    f->place_at = arena_array(a, f->n + 2, sizeof *f->place_at);
    for (size_t i = 0, k = 0; (u = next_use(b, &i, &k)) != NULL;)
        f->place_at[u->user.pattern + 2] += several_groups(f, u->user.pattern);
    for (size_t i = 2; i < f->n + 2; i++)
        f->place_at[i] += f->place_at[i - 1];
    f->nplaces = f->place_at[f->n + 1];
    f->places = arena_array(a, f->nplaces + 1, sizeof *f->places);
    for (size_t i = 0, k = 0; (u = next_use(b, &i, &k)) != NULL;)
        if (several_groups(f, u->user.pattern))
            f->places[f->place_at[u->user.pattern + 1]++] =
                (struct place){(uint32_t)i, u->user.group,
                               (uint16_t)(u->back.min < PLACE_FAR ? u->back.min : PLACE_FAR),
                               (uint16_t)(u->back.max < PLACE_FAR ? u->back.max : PLACE_FAR)};
    for (size_t i = 0; i < f->n; i++)
        if (f->place_at[i] < f->place_at[i + 1])
            qsort(f->places + f->place_at[i], f->place_at[i + 1] - f->place_at[i],
                  sizeof *f->places, by_group);
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
    f->n = f->nliterals = f->nruns = f->nplaces = 0;
    f->place_at[0] = 0;
    f->runs = NULL;
}

/* How often the pattern will be tried in a kilobyte: for the rarest of its groups, if the others
 * are near. INFINITY: nothing useful is known of it. */
static double tries_of(struct builder *b, const struct need *need, double useless)
{
    double tries = INFINITY;
    for (size_t g = 0; g < need->ngroups; g++) {
        double cost = group_cost(b, &need->groups[g]);
        if (cost > useless)
            continue;
        double near = NEAR * cost;
        tries = tries == INFINITY ? cost : tries * (near < 1 ? near : 1);
    }
    return tries;
}

static double needs_of(struct builder *b, const struct tree *const *v, size_t n, double useless,
                       struct need *out)
{
    double tries = 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = need_of(&b->sets, b->a, v[i]);
        tries += tries_of(b, &out[i], useless);
    }
    return tries;
}

/* As it is, or taken apart where that spares many tries. false: it has to be tried always. */
static bool add_variants(struct builder *b, struct prefilter *f, const struct prefilter_pattern *p)
{
    const struct tree *whole = tree_parse(&b->sets, b->a, p->pattern), *v[VARIANTS_MAX];
    struct need one, several[VARIANTS_MAX], *need = &one;
    if (!whole)
        return false;
    size_t n = tree_variants(b->a, whole, v, VARIANTS_MAX);
    double useless = p->guardable ? USELESS_GUARDABLE : USELESS;
    double tries = needs_of(b, &whole, 1, useless, &one);
    if (n > 1 && needs_of(b, v, n, useless, several) < tries * WORTHWHILE)
        need = several;
    else if (tries == INFINITY)
        return false;
    for (size_t i = 0; i < (need == &one ? 1 : n); i++, f->n++) {
        f->id[f->n] = p->id;
        f->full[f->n] = add_pattern(b, &need[i], (uint32_t)f->n);
    }
    return true;
}

struct prefilter *prefilter_build(struct arena *a, const struct prefilter_pattern *p, size_t n)
{
    struct prefilter *f = ARENA_NEW(a, struct prefilter);
    struct builder b = {.a = arena_new(0)};
    byteset_table_init(&b.sets, b.a);
    b.literals.index = map_in(b.a);
    b.runs.index = map_in(b.a);
    b.choices = map_in(b.a);
    f->id = arena_array(a, n * VARIANTS_MAX + 1, sizeof *f->id);
    f->full = arena_array(a, n * VARIANTS_MAX + 1, sizeof *f->full);
    f->always = arena_array(a, n + 1, sizeof *f->always);
    for (size_t i = 0; i < n; i++)
        if (!add_variants(&b, f, &p[i]))
            f->always[f->nalways++] = p[i].id;
    copy_users(f, a, &b);
    note_places(f, a, &b);
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
