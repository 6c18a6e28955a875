#include "pattern/prefilter.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/parallel.h"
#include "pattern/features.h"

enum {
    MANY = 150,           /* patterns: plain texts may get a filter of their own */
    VARIANTS_MAX = 16,    /* that a pattern is taken apart into */
    ALONE_PLACES_MAX = 32 /* of a group that is the only one: looking at more takes too long */
};
/* Expected times in a kilobyte above which an automaton tells more than the filter. */
static const double USELESS_GUARDABLE = 5;
/* Words of the automaton above which plain texts get a filter of their own. */
static const size_t RUNS_BEARABLE = SHIFTAND_LANES;
/* A pattern is taken apart when the parts are tried that much less often. */
static const double WORTHWHILE = 0.9;

static void note_counted(struct prefilter *f, struct arena *a)
{
    f->counted = arena_array(a, f->nkeyed + 1, sizeof *f->counted);
    for (size_t i = 0; i < f->nkeyed; i++)
        for (uint32_t u = f->start[i]; u < f->start[i + 1]; u++)
            f->counted[i] |= f->users[u].times > 1;
}

void prefilter_finish(struct prefilter *f, struct arena *a)
{
    note_counted(f, a);
    for (size_t i = 0; i < f->n; i++)
        f->nids = f->id[i] < f->nids ? f->nids : f->id[i] + 1;
}

/* --- building --- */

/* A pattern is looked at when its rarest group has been seen. */
static void copy_users(struct prefilter *f, struct arena *a, const struct builder *b)
{
    f->start = arena_array(a, b->n + 1, sizeof *f->start);
    for (size_t i = 0; i < b->n; i++)
        f->nusers += b->v[i].nusers;
    f->users = arena_array(a, f->nusers + 1, sizeof *f->users);
    f->nusers = 0;
    for (size_t i = 0; i < b->n; i++) {
        for (size_t k = 0; k < b->v[i].nusers; k++) {
            const struct use *u = &b->v[i].users[k];
            if (u->group == b->patterns[u->pattern].rarest)
                f->users[f->nusers++] = (struct user){u->pattern, u->times};
        }
        f->start[i + 1] = (uint32_t)f->nusers;
    }
}

/* All uses of features, one after the other. */
static const struct use *next_use(const struct builder *b, size_t *feature, size_t *use)
{
    for (; *feature < b->n; ++*feature, *use = 0)
        if (*use < b->v[*feature].nusers)
            return &b->v[*feature].users[(*use)++];
    return NULL;
}

static int by_group(const void *x, const void *y)
{
    const struct place *a = x, *b = y;
    return a->group != b->group ? (a->group < b->group ? -1 : 1) : a->feature < b->feature ? -1 : 1;
}

/* Group by group: first those that are the soonest looked through, and last the rarest one, of
 * which something has been seen before anything is looked at. */
static void order_places(struct arena *scratch, struct place *v, size_t n, uint16_t rarest)
{
    struct place *from = arena_array(scratch, n, sizeof *from);
    size_t size[NEED_GROUPS] = {0}, out = 0;
    qsort(v, n, sizeof *v, by_group);
    memcpy(from, v, n * sizeof *v);
    for (size_t i = 0; i < n; i++)
        size[v[i].group]++;
    while (out < n) {
        size_t best = NEED_GROUPS, at = 0;
        for (size_t g = 0; g < NEED_GROUPS; g++)
            if (size[g] &&
                (best == NEED_GROUPS || best == rarest || (g != rarest && size[g] < size[best])))
                best = g;
        while (from[at].group != best)
            at++;
        memcpy(v + out, from + at, size[best] * sizeof *v);
        out += size[best];
        size[best] = 0;
    }
}

/* How many places of each pattern are kept. */
static uint32_t *count_places(const struct prefilter *f, const struct builder *b)
{
    const struct use *u;
    uint32_t *n = arena_array(b->a, f->n + 1, sizeof *n);
    for (size_t i = 0, k = 0; (u = next_use(b, &i, &k)) != NULL;)
        n[u->pattern]++;
    for (size_t p = 0; p < f->n; p++)
        if (n[p] > ALONE_PLACES_MAX && (b->patterns[p].groups & (b->patterns[p].groups - 1)) == 0)
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
        if (n[u->pattern])
            f->places[f->place_at[u->pattern + 1]++] =
                (struct place){(uint32_t)i, u->group, u->times,
                               (uint16_t)(u->back.min < PLACE_FAR ? u->back.min : PLACE_FAR),
                               (uint16_t)(u->back.max < PLACE_FAR ? u->back.max : PLACE_FAR)};
    for (size_t i = 0; i < f->n; i++)
        if (f->place_at[i] < f->place_at[i + 1])
            order_places(b->a, f->places + f->place_at[i], f->place_at[i + 1] - f->place_at[i],
                         b->patterns[i].rarest);
}

static void build_finders(struct prefilter *f, struct arena *a, struct builder *b)
{
    const struct run **runs = arena_array(b->a, b->n + 1, sizeof *runs);
    struct finder_key *keys = arena_array(b->a, b->n + 1, sizeof *keys);
    for (size_t i = 0; i < b->n; i++) {
        runs[i] = &b->v[i].run;
        keys[i] = b->v[i].key;
    }
    f->keyed = finder_build(a, &b->sets, runs, keys, f->nkeyed);
    f->runs = shiftand_build(a, &b->sets, runs + f->nkeyed, f->nruns);
}

/* What a pattern needs, whole or taken apart. */
struct needs {
    struct need v[VARIANTS_MAX];
    struct worth worth[VARIANTS_MAX]; /* which groups are looked for */
    size_t n;
    double tries;
};

static void needs_of(struct builder *b, const struct tree *const *v, size_t n, double useless,
                     struct needs *out)
{
    out->n = n;
    out->tries = 0;
    for (size_t i = 0; i < n; i++) {
        out->v[i] = need_of(&b->sets, b->work, v[i]);
        out->worth[i] = features_worth(b, &out->v[i], useless);
        out->tries += out->worth[i].tries;
    }
}

enum added { ADDED, ADDED_ALWAYS, ADDED_NEVER };

/* As it is, or taken apart where that spares many tries. */
static enum added add_variants(struct builder *b, struct prefilter *f,
                               const struct prefilter_pattern *p)
{
    arena_reset(b->work);
    const struct tree *whole = tree_parse(&b->sets, b->work, p->pattern), *v[VARIANTS_MAX];
    struct needs one, several, *needs = &one;
    if (!whole)
        return ADDED_ALWAYS;
    if (b->alphabet &&
        !(whole = tree_within(&b->sets, b->work, whole, b->alphabet, PREFILTER_DISGUISE)))
        return ADDED_NEVER;
    double useless = p->guardable ? USELESS_GUARDABLE : FEATURES_USELESS;
    size_t n = tree_variants(b->work, whole, v, VARIANTS_MAX);
    needs_of(b, &whole, 1, useless, &one);
    if (n > 1)
        needs_of(b, v, n, useless, &several);
    if (n > 1 && several.tries < one.tries * WORTHWHILE)
        needs = &several;
    else if (one.tries == INFINITY)
        return ADDED_ALWAYS;
    for (size_t i = 0; i < needs->n; i++, f->n++) {
        f->id[f->n] = p->id;
        features_add(b, &needs->v[i], &needs->worth[i]);
    }
    return ADDED;
}

static struct prefilter *build(struct arena *a, const struct prefilter_pattern *p, size_t n,
                               const struct byteset *alphabet)
{
    struct prefilter *f = ARENA_NEW(a, struct prefilter);
    struct builder b;
    features_init(&b);
    b.alphabet = alphabet;
    f->id = arena_array(a, n * VARIANTS_MAX + 1, sizeof *f->id);
    f->own = arena_array(a, n + 1, sizeof *f->own);
    for (size_t i = 0; i < n; i++)
        if (add_variants(&b, f, &p[i]) == ADDED_ALWAYS)
            f->own[f->nown++] = p[i].id;
    f->nkeyed = features_split(&b);
    f->nruns = b.n - f->nkeyed;
    copy_users(f, a, &b);
    note_places(f, a, &b);
    build_finders(f, a, &b);
    prefilter_finish(f, a);
    features_free(&b);
    return f;
}

static bool one_of_own(const struct prefilter *f, uint32_t id)
{
    for (size_t i = 0; i < f->nown; i++)
        if (f->own[i] == id)
            return true;
    return false;
}

static void disown(struct prefilter *f, uint32_t id)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->nown; i++)
        if (f->own[i] != id)
            f->own[kept++] = f->own[i];
    f->nown = kept;
}

/* What has to be tried on all texts, whichever filter they are for. */
static void note_always(struct prefilter *f, struct arena *a)
{
    f->always = arena_array(a, f->nown + 1, sizeof *f->always);
    for (size_t i = 0; i < f->nown; i++)
        if (!f->plain || one_of_own(f->plain, f->own[i]))
            f->always[f->nalways++] = f->own[i];
    for (size_t i = 0; i < f->nalways; i++) {
        disown(f, f->always[i]);
        if (f->plain)
            disown(f->plain, f->always[i]);
    }
}

/* Both filters at once, where there are so many patterns that it takes time. */
struct pair {
    const struct prefilter_pattern *p;
    size_t n;
    struct arena *a[2];
    struct prefilter *f[2]; /* for all texts, for plain ones */
    _Atomic int next;
};

static void build_next(void *ctx)
{
    const struct byteset alphabet = byteset_range(0, 0x7f);
    struct pair *both = ctx;
    int i;
    while ((i = atomic_fetch_add(&both->next, 1)) < 2)
        both->f[i] = build(both->a[i], both->p, both->n, i ? &alphabet : NULL);
}

static void free_arena(void *a)
{
    arena_free(a);
}

struct prefilter *prefilter_build(struct arena *a, const struct prefilter_pattern *p, size_t n)
{
    struct pair both = {.p = p, .n = n, .a = {a, n < MANY ? NULL : arena_new(0)}};
    if (n < MANY) {
        both.f[0] = build(a, p, n, NULL);
    } else {
        arena_defer(a, free_arena, both.a[1]);
        parallel(2, build_next, &both);
        if (both.f[0]->runs->words > RUNS_BEARABLE)
            both.f[0]->plain = both.f[1];
    }
    note_always(both.f[0], a);
    return both.f[0];
}

const uint32_t *prefilter_always(const struct prefilter *f, size_t *n)
{
    *n = f->nalways;
    return f->always;
}
