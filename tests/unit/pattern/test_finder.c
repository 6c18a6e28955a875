/* The finder against a search that takes every place and every way: on random runs, in random texts
 * of few bytes, so that much overlaps and nearly fits, from their first byte to their last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "pattern/finder.h"

enum { RUNS = 60, TEXTS = 120, ROUNDS = 25 };

static uint32_t seed = 20261122;

static unsigned next(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

struct stand {
    struct arena *a;
    struct byteset_table sets;
    const struct run *runs[RUNS];
    struct finder_key keys[RUNS];
    size_t n;
    struct finder *f;
    struct finder_hits hits;
};

/* --- runs --- */

static const char alphabet[] = "aAbBcC1. -\xe9\xc9";

static char letter(void)
{
    return alphabet[next(sizeof alphabet - 1)];
}

static uint16_t random_set(struct stand *t)
{
    struct byteset s = {{0}};
    switch (next(8)) {
    case 0:
        s = byteset_range('0', '9');
        break;
    case 1:
        s = byteset_not(byteset_range('a', 'm'));
        break;
    case 2:
        for (unsigned i = 0; i < 3; i++)
            byteset_add(&s, (unsigned char)letter());
        break;
    default:
        byteset_add(&s, (unsigned char)letter());
        if (next(2))
            s = byteset_folded(s);
    }
    return byteset_number(&t->sets, s);
}

static struct run *random_run(struct stand *t, bool loops)
{
    struct run *r = ARENA_NEW(t->a, struct run);
    r->n = (uint16_t)(1 + next(next(3) ? 8 : RUN_ITEMS));
    for (size_t i = 0; i < r->n; i++) {
        r->set[i] = random_set(t);
        if (loops && i + 1u < r->n && next(4) == 0)
            r->loop[i] = random_set(t);
    }
    return r;
}

static void make(struct stand *t, bool loops)
{
    arena_reset(t->a);
    byteset_table_init(&t->sets, t->a);
    t->n = 0;
    while (t->n < RUNS) {
        t->runs[t->n] = random_run(t, loops);
        if (finder_key(&t->sets, t->runs[t->n], &t->keys[t->n]) < 1e6)
            t->n++;
    }
    t->f = finder_build(t->a, &t->sets, t->runs, t->keys, t->n);
}

/* Letters at random, and pieces that some run likes. */
static struct span random_text(struct stand *t, struct arena *a, size_t most)
{
    char *p = arena_raw(a, most + RUN_ITEMS);
    size_t n = 0, end = next((unsigned)most);
    while (n < end) {
        const struct run *r = t->runs[next((unsigned)t->n)];
        size_t from = next(r->n);
        for (size_t i = from; next(3) && i < r->n && n < end; i++) {
            char c = letter();
            for (int k = 0; k < 30 && !byteset_has(&t->sets.v[r->set[i]], (unsigned char)c); k++)
                c = letter();
            p[n++] = c;
        }
        if (n < end && next(3) == 0)
            p[n++] = letter();
    }
    /* an own block, so that a byte too many is seen */
    char *own = malloc(n + 1);
    memcpy(own, p, n);
    return span_of(own, n);
}

/* --- the slow search --- */

static bool fits(const struct stand *t, uint16_t set, char c)
{
    return byteset_has(&t->sets.v[set], (unsigned char)c);
}

/* Whether items [0, i) can end before the place. */
static bool before(const struct stand *t, const struct run *r, size_t i, struct span s, size_t at)
{
    if (i == 0)
        return true;
    for (; at > 0; at--) {
        if (fits(t, r->set[i - 1], s.p[at - 1]) && before(t, r, i - 1, s, at - 1))
            return true;
        if (i == r->n || !fits(t, r->loop[i - 1], s.p[at - 1]))
            return false;
    }
    return false;
}

/* All places at which items from i on can end, when they begin at the place. */
static void ends(const struct stand *t, const struct run *r, size_t i, struct span s, size_t at,
                 struct finder_hit *hit)
{
    if (i == r->n) {
        hit->first = at < hit->first ? (uint32_t)at : hit->first;
        hit->last = at > hit->last ? (uint32_t)at : hit->last;
        return;
    }
    for (bool loop = true; loop && at < s.n; at++) {
        if (fits(t, r->set[i], s.p[at]))
            ends(t, r, i + 1, s, at + 1, hit);
        loop = i > t->keys[hit->run].from && fits(t, r->loop[i - 1], s.p[at]);
    }
}

/* What the finder should tell, place by place of the key. */
static void search(const struct stand *t, uint32_t run, struct span s, struct finder_hits *out)
{
    const struct run *r = t->runs[run];
    size_t key = t->keys[run].from;
    for (size_t at = 0; at < s.n; at++) {
        struct finder_hit hit = {run, UINT32_MAX, 0};
        ends(t, r, key, s, at, &hit);
        bool whole = key == 0 || before(t, r, key, s, at);
        if (hit.last && whole) {
            out->v = realloc(out->v, (out->n + 1) * sizeof *out->v);
            out->v[out->n++] = hit;
        }
    }
}

/* --- both --- */

static void look(struct stand *t, struct span s)
{
    t->hits.n = 0;
    for (size_t at = 0; at < s.n;)
        at = finder_scan(t->f, s, at, &t->hits);
}

/* exact: nothing else is told; else what is told includes it. */
static void compare(struct stand *t, struct span s, bool exact)
{
    look(t, s);
    for (uint32_t run = 0; run < t->n; run++) {
        struct finder_hits wanted = {0};
        search(t, run, s, &wanted);
        size_t k = 0, told = 0;
        for (size_t i = 0; i < t->hits.n; i++) {
            const struct finder_hit *hit = &t->hits.v[i];
            if (hit->run != run)
                continue;
            told++;
            if (k < wanted.n && hit->first <= wanted.v[k].first && hit->last >= wanted.v[k].last &&
                (!exact || (hit->first == wanted.v[k].first && hit->last == wanted.v[k].last)))
                k++;
        }
        if (k < wanted.n || (exact && told > wanted.n))
            fail_msg("run %u of %zu items: %zu of %zu places, %zu told, in '%.*s'", run,
                     (size_t)t->runs[run]->n, k, wanted.n, told, SPAN_ARG(s));
        free(wanted.v);
    }
}

static int set_up(void **state)
{
    struct stand *t = calloc(1, sizeof *t);
    t->a = arena_new(0);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct stand *t = *state;
    arena_free(t->a);
    free(t->hits.v);
    free(t);
    return 0;
}

static void rounds(struct stand *t, bool loops, size_t most)
{
    struct arena *a = arena_new(0);
    for (int round = 0; round < ROUNDS; round++) {
        make(t, loops);
        for (int i = 0; i < TEXTS; i++) {
            struct span s = random_text(t, a, 1 + next((unsigned)most));
            compare(t, s, !loops || s.n <= FINDER_WALK);
            free((void *)(uintptr_t)s.p);
            arena_reset(a);
        }
    }
    arena_free(a);
}

static void plain_runs_are_found(void **state)
{
    rounds(*state, false, 200);
}

static void runs_with_loops_are_found(void **state)
{
    rounds(*state, true, FINDER_WALK);
}

/* Longer ones than are followed: told all the same. */
static void long_loops_are_taken_for_endless(void **state)
{
    struct stand *t = *state;
    struct byteset a = {{0}}, b = a, x = a;
    byteset_add(&a, 'a');
    byteset_add(&b, 'b');
    byteset_add(&x, 'x');
    arena_reset(t->a);
    byteset_table_init(&t->sets, t->a);
    struct run r = {.n = 2,
                    .set = {byteset_number(&t->sets, a), byteset_number(&t->sets, b)},
                    .loop = {byteset_number(&t->sets, x)}};
    t->n = 1;
    t->runs[0] = &r;
    for (uint8_t key = 0; key < 2; key++) {
        t->keys[0] = (struct finder_key){key, 1};
        t->f = finder_build(t->a, &t->sets, t->runs, t->keys, 1);
        for (size_t n = 0; n < 3 * FINDER_WALK; n++) {
            char *p = arena_raw(t->a, n + 2);
            memset(p, 'x', n + 2);
            p[0] = 'a';
            p[n + 1] = 'b';
            look(t, span_of(p, n + 2));
            assert_int_equal(t->hits.n, 1);
            assert_true(t->hits.v[0].first <= n + 2 && t->hits.v[0].last >= n + 2);
        }
    }
}

/* Pieces of the text are looked at one after the other: nothing is lost where they meet. */
static void pieces_meet(void **state)
{
    struct stand *t = *state;
    struct arena *a = arena_new(0);
    make(t, false);
    size_t n = 2 * FINDER_PIECE + 100;
    char *p = arena_raw(a, n);
    for (size_t i = 0; i < n; i++)
        p[i] = letter();
    compare(t, span_of(p, n), true);
    arena_free(a);
}

static void saved_and_loaded(void **state)
{
    struct stand *t = *state;
    struct buf b = {0};
    struct arena *a = arena_new(0);
    make(t, true);
    finder_save(t->f, &b);
    struct cursor in = cursor_over(buf_span(&b));
    t->f = finder_load(t->a, t->n, &in);
    assert_non_null(t->f);
    assert_true(cursor_ok(&in));
    for (int i = 0; i < TEXTS; i++) {
        struct span s = random_text(t, a, FINDER_WALK);
        compare(t, s, true);
        free((void *)(uintptr_t)s.p);
    }
    for (size_t n = 0; n < b.n; n += 1 + b.n / 50) {
        in = cursor_over(span_of(b.p, n));
        assert_null(finder_load(a, t->n, &in));
    }
    /* A damaged one is refused, or finds other things, but stays inside. */
    for (int i = 0; i < 2000; i++) {
        size_t at = next((unsigned)b.n);
        char was = b.p[at];
        b.p[at] = (char)next(256);
        in = cursor_over(buf_span(&b));
        t->f = finder_load(a, t->n, &in);
        struct span s = random_text(t, a, 100);
        if (t->f)
            look(t, s);
        free((void *)(uintptr_t)s.p);
        b.p[at] = was;
        arena_reset(a);
    }
    buf_free(&b);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_runs_are_found),
        cmocka_unit_test(runs_with_loops_are_found),
        cmocka_unit_test(long_loops_are_taken_for_endless),
        cmocka_unit_test(pieces_meet),
        cmocka_unit_test(saved_and_loaded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
