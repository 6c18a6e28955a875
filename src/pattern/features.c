#include "pattern/features.h"

#include <math.h>
#include <stdlib.h>

#include "pattern/frequency.h"

/* Nanoseconds for a kilobyte of text, about: an item in the automaton, which has whole vectors of
 * them, and a place at which a key occurs. */
static const double VECTOR_COST = 1100, PLACE_COST = 20;
enum { VECTOR_ITEMS = SHIFTAND_LANES * 60 /* words have room left over */ };

/* What it costs to try a pattern, and to see a feature. */
static const double TRY_COST = 1000, SIGHT_COST = 20;
/* Kilobytes in which two groups of a match stand, about. */
static const double NEAR = 0.3;
/* Of the places of three of its bytes, those of the whole run. */
static const double REMAIN = 0.3;
/* Below that many tries in a kilobyte estimates are not to be relied on. */
static const double TRIES_SURE = 0.05;

void features_init(struct builder *b)
{
    *b = (struct builder){.a = arena_new(0), .work = arena_new(0)};
    byteset_table_init(&b->sets, b->a);
    b->index = map_in(b->a);
}

void features_free(struct builder *b)
{
    arena_free(b->work);
    arena_free(b->a);
}

static struct feature *feature_at(struct builder *b, const struct run *r)
{
    struct span key = span_of((const char *)r, offsetof(struct run, lead));
    uintptr_t known = (uintptr_t)map_get(&b->index, key);
    if (known)
        return &b->v[known - 1];
    struct feature *f = ARENA_PUSH(b->a, b->v, b->n, b->cap);
    *map_at(&b->index, arena_dup(b->a, key)) = (void *)(uintptr_t)b->n;
    f->run = *r;
    f->key_cost = finder_key(&b->sets, r, &f->key) * PLACE_COST;
    return f;
}

static void add_use(struct builder *b, struct feature *f, struct use u)
{
    f->counted |= u.times > 1;
    struct use *last = f->nusers ? &f->users[f->nusers - 1] : NULL;
    if (last && last->pattern == u.pattern && last->group == u.group)
        last->back = extent_either(last->back, u.back);
    else
        *ARENA_PUSH(b->a, f->users, f->nusers, f->cap) = u;
}

/* --- groups --- */

static double cost_of(struct builder *b, const struct runs *g)
{
    double cost = 0;
    for (size_t i = 0; i < g->n; i++)
        cost += frequency_at(frequency_of(&b->sets, &g->v[i]), 0, g->v[i].n);
    return g->times > 1 ? cost / g->times : cost;
}

/* The rarest of the groups that are not among those; NEED_GROUPS: there are no more. */
static size_t next_rarest(const double *cost, size_t n, uint32_t groups)
{
    size_t rarest = NEED_GROUPS;
    for (size_t g = 0; g < n; g++)
        if (!(groups >> g & 1) && (rarest == NEED_GROUPS || cost[g] < cost[rarest]))
            rarest = g;
    return rarest;
}

/* Of text where the run is most frequent: what is left of the least frequent three of its bytes. */
static double at_most(struct builder *b, const struct run *r)
{
    double least = INFINITY;
    for (size_t i = 0; i + 2 < r->n; i++) {
        double often = r->loop[i] || r->loop[i + 1] ? INFINITY : finder_three(&b->sets, r, i);
        least = often < least ? often : least;
    }
    return least < INFINITY ? least * REMAIN : 0;
}

/* The same, but rather too often than too seldom. */
static double cautious(struct builder *b, const struct runs *g)
{
    double cost = 0;
    for (size_t i = 0; i < g->n; i++) {
        double thought = frequency_at(frequency_of(&b->sets, &g->v[i]), 0, g->v[i].n),
               most = at_most(b, &g->v[i]);
        cost += thought > most ? thought : most;
    }
    return g->times > 1 ? cost / g->times : cost;
}

struct worth features_worth(struct builder *b, const struct need *need, double useless)
{
    struct worth w = {.tries = INFINITY};
    double cost[NEED_GROUPS];
    double least = INFINITY;
    for (size_t g = 0; g < need->ngroups; g++) {
        double thought = cost_of(b, &need->groups[g]);
        least = thought < least ? thought : least;
        cost[g] = cautious(b, &need->groups[g]);
    }
    if (least > useless)
        return w;
    size_t g = next_rarest(cost, need->ngroups, 0);
    w = (struct worth){1u << g, (uint16_t)g, cost[g]};
    while ((g = next_rarest(cost, need->ngroups, w.groups)) < NEED_GROUPS) {
        double near = NEAR * cost[g] < 1 ? NEAR * cost[g] : 1;
        double tries = w.tries > TRIES_SURE ? w.tries : TRIES_SURE;
        if (tries * (1 - near) * TRY_COST < cost[g] * SIGHT_COST)
            break;
        w.tries *= near;
        w.groups |= 1u << g;
    }
    return w;
}

void features_add(struct builder *b, const struct need *need, const struct worth *w)
{
    uint32_t pattern = (uint32_t)b->npatterns;
    *ARENA_PUSH(b->a, b->patterns, b->npatterns, b->patterns_cap) = *w;
    for (size_t g = 0; g < need->ngroups; g++) {
        const struct runs *group = &need->groups[g];
        uint16_t times = (uint16_t)(group->times ? group->times : 1);
        for (size_t i = 0; i < group->n && w->groups >> g & 1; i++) {
            const struct run *r = &group->v[i];
            struct use u = {pattern, (uint16_t)g, times, run_end(r, r->n)};
            add_use(b, feature_at(b, r), u);
        }
    }
}

/* --- keys or automaton --- */

/* The automaton can't count: those are found by keys if they can be. */
static int dearest_key_last(const void *x, const void *y)
{
    const struct feature *a = x, *b = y;
    if (a->counted != b->counted)
        return a->counted ? -1 : 1;
    if (a->key_cost != b->key_cost)
        return a->key_cost < b->key_cost ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

size_t features_split(struct builder *b)
{
    for (size_t i = 0; i < b->n; i++)
        b->v[i].number = i;
    if (b->n)
        qsort(b->v, b->n, sizeof *b->v, dearest_key_last);
    double keys = 0, best = INFINITY;
    for (size_t i = 0; i < b->n; i++)
        keys += isinf(b->v[i].key_cost) ? 0 : b->v[i].key_cost;
    size_t items = 0, nkeyed = b->n;
    for (size_t n = b->n;; n--) {
        double vectors = (double)((items + VECTOR_ITEMS - 1) / VECTOR_ITEMS);
        bool possible = n == 0 || !isinf(b->v[n - 1].key_cost);
        if (possible && keys + vectors * VECTOR_COST < best) {
            best = keys + vectors * VECTOR_COST;
            nkeyed = n;
        }
        if (n == 0)
            return nkeyed;
        keys -= isinf(b->v[n - 1].key_cost) ? 0 : b->v[n - 1].key_cost;
        items += b->v[n - 1].run.n;
    }
}
