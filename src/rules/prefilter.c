#include "rules/prefilter.h"

#include <math.h>
#include <stdlib.h>

#include "rules/features.h"

enum {
    VARIANTS_MAX = 16,    /* that a pattern is taken apart into */
    ALONE_PLACES_MAX = 32 /* of a group that is the only one: looking at more takes too long */
};
/* Expected times in a kilobyte above which an automaton tells more than the filter. */
static const double USELESS_GUARDABLE = 5;
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

static int by_group(const void *x, const void *y)
{
    const struct place *a = x, *b = y;
    return a->group != b->group ? (a->group < b->group ? -1 : 1) : a->feature < b->feature ? -1 : 1;
}

/* How many places of each pattern are kept. */
static uint32_t *count_places(const struct prefilter *f, const struct builder *b)
{
    const struct use *u;
    uint32_t *n = arena_array(b->a, f->n + 1, sizeof *n);
    for (size_t i = 0, k = 0; (u = next_use(b, &i, &k)) != NULL;)
        n[u->user.pattern]++;
    for (size_t p = 0; p < f->n; p++)
        if (n[p] > ALONE_PLACES_MAX && (f->full[p] & (f->full[p] - 1)) == 0)
            n[p] = 0;
    return n;
}

static void note_places(struct prefilter *f, struct arena *a, const struct builder *b)
{
    const struct use *u;
    const uint32_t *n = count_places(f, b);
    f->place_at = arena_array(a, f->n + 2, sizeof *f->place_at);
    for (size_t p = 0; p < f->n; p++)
        f->place_at[p + 2] = f->place_at[p + 1] + n[p];
    f->nplaces = f->place_at[f->n + 1];
    f->places = arena_array(a, f->nplaces + 1, sizeof *f->places);
    for (size_t i = 0, k = 0; (u = next_use(b, &i, &k)) != NULL;)
        if (n[u->user.pattern])
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
        double cost = features_cost(b, &need->groups[g]);
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
        out[i] = need_of(&b->sets, b->work, v[i]);
        tries += tries_of(b, &out[i], useless);
    }
    return tries;
}

/* As it is, or taken apart where that spares many tries. false: it has to be tried always. */
static bool add_variants(struct builder *b, struct prefilter *f, const struct prefilter_pattern *p)
{
    arena_reset(b->work);
    const struct tree *whole = tree_parse(&b->sets, b->work, p->pattern), *v[VARIANTS_MAX];
    struct need one, several[VARIANTS_MAX], *need = &one;
    if (!whole)
        return false;
    size_t n = tree_variants(b->work, whole, v, VARIANTS_MAX);
    double useless = p->guardable ? USELESS_GUARDABLE : FEATURES_USELESS;
    double tries = needs_of(b, &whole, 1, useless, &one);
    if (n > 1 && needs_of(b, v, n, useless, several) < tries * WORTHWHILE)
        need = several;
    else if (tries == INFINITY)
        return false;
    for (size_t i = 0; i < (need == &one ? 1 : n); i++, f->n++) {
        f->id[f->n] = p->id;
        f->full[f->n] = features_add(b, &need[i], (uint32_t)f->n);
    }
    return true;
}

struct prefilter *prefilter_build(struct arena *a, const struct prefilter_pattern *p, size_t n)
{
    struct prefilter *f = ARENA_NEW(a, struct prefilter);
    struct builder b;
    features_init(&b);
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
    features_free(&b);
    return f;
}

const uint32_t *prefilter_always(const struct prefilter *f, size_t *n)
{
    *n = f->nalways;
    return f->always;
}
