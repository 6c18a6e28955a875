#include "pattern/need.h"

#include <math.h>
#include <stdlib.h>

#include "pattern/frequency.h"

/* While strings of byte sets are put together, an expression has an exact language (a few strings
 * of sets) as long as that stays small; then it is turned into groups and a new one begins.
 * Everything that is not understood is "anything", which is always right. */
enum {
    STRINGS_MAX = 24, /* of one exact language */
    GROUP_MAX = 2500, /* runs of one group */
    REPEAT_MAX = 8,   /* copies of a repeated string */
    TIMES_MAX = 200,  /* of a repeated group */
    LETTERS_MAX = 3,  /* spellings of a letter that are kept apart */
    LOOP_MAX = 200,   /* bytes of a set that may be skipped */
    SPELLED_MAX = 64, /* bytes of what may be absent and is spelled out, with and without it */
    STRETCH = 8       /* items of a run; longer ones say no more */
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
    struct extent length; /* of what it matches */
};

struct worker {
    struct byteset_table *sets;
    struct arena *a;
};

/* --- runs and groups --- */

bool run_same(const struct run *x, const struct run *y)
{
    return memcmp(x, y, offsetof(struct run, lead)) == 0;
}

struct extent run_end(const struct run *r, size_t items)
{
    struct extent e = extent_sum(r->lead, (struct extent){(uint32_t)items, (uint32_t)items});
    for (size_t i = 0; i + 1 < items; i++)
        if (r->loop[i])
            e.max = ENDLESS;
    return e;
}

struct extent run_start(const struct run *r, size_t item)
{
    struct extent e = run_end(r, item);
    if (item && r->loop[item - 1])
        e.max = ENDLESS;
    return e;
}

/* The stretch of the string that says most with at most `most` items. */
static struct run best_stretch(struct byteset_table *sets, const struct run *r, size_t most,
                               double *cost)
{
    size_t best = 0, len = r->n < most ? r->n : most;
    const struct frequency *f = frequency_of(sets, r);
    *cost = INFINITY;
    for (size_t i = 0; i + len <= r->n; i++) {
        double c = frequency_at(f, i, i + len);
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
    out.lead = run_start(r, best);
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

/* An exact language as one group; an empty string in it means that nothing is needed. */
static void text_to_need(struct worker *p, const struct text *t, struct need *need)
{
    struct runs g = {0};
    if (t->n == 0)
        return;
    for (size_t i = 0; i < t->n; i++) {
        double cost;
        if (t->v[i].n == 0)
            return;
        struct run r = best_stretch(p->sets, &t->v[i], STRETCH, &cost);
        size_t k = 0;
        while (k < g.n && !run_same(&g.v[k], &r))
            k++;
        if (k < g.n) {
            g.v[k].lead = extent_either(g.v[k].lead, r.lead);
            continue;
        }
        g.cost += cost;
        *ARENA_PUSH(p->a, g.v, g.n, g.cap) = r;
    }
    need_add(need, g);
}

/* --- infos --- */

static struct info nothing(struct worker *p)
{
    struct info x = {.exact = true};
    (void)ARENA_PUSH(p->a, x.strings.v, x.strings.n, x.strings.cap);
    return x;
}

static struct info anything(void)
{
    return (struct info){.alphabet = BYTESET_ALL, .length = {0, ENDLESS}};
}

static struct info one_set(struct worker *p, uint16_t number)
{
    struct info x = nothing(p);
    x.strings.v[0] = (struct run){.n = 1, .set = {number}};
    x.alphabet = p->sets->v[number];
    x.length = (struct extent){1, 1};
    return x;
}

/* Everything in x stands behind `by` more bytes. */
static void move_back(struct info *x, struct extent by)
{
    for (size_t i = 0; i < x->strings.n; i++)
        x->strings.v[i].lead = extent_sum(x->strings.v[i].lead, by);
    for (size_t g = 0; g < x->need.ngroups; g++)
        for (size_t i = 0; i < x->need.groups[g].n; i++) {
            struct run *r = &x->need.groups[g].v[i];
            r->lead = extent_sum(r->lead, by);
        }
}

static struct info copy_of(struct worker *p, const struct info *x)
{
    struct info y = *x;
    y.strings = (struct text){0};
    for (size_t i = 0; i < x->strings.n; i++)
        *ARENA_PUSH(p->a, y.strings.v, y.strings.n, y.strings.cap) = x->strings.v[i];
    for (size_t g = 0; g < x->need.ngroups; g++) {
        struct runs *to = &y.need.groups[g];
        to->v = arena_array(p->a, to->n + 1, sizeof *to->v);
        memcpy(to->v, x->need.groups[g].v, to->n * sizeof *to->v);
        to->cap = to->n + 1;
    }
    return y;
}

/* Everything of the language: for optional and repeated parts, "any number of these bytes". */
static void flush(struct worker *p, struct info *x)
{
    if (x->exact)
        text_to_need(p, &x->strings, &x->need);
    x->exact = false;
    x->strings = (struct text){0};
}

/* All strings of an exact language as one: first bytes, then any number of the others. */
static bool collapse(struct worker *p, struct text *t)
{
    struct byteset first = {{0}}, rest = {{0}};
    struct extent lead = t->n ? t->v[0].lead : (struct extent){0};
    bool empty = false;
    for (size_t i = 0; i < t->n; i++) {
        const struct run *r = &t->v[i];
        empty |= r->n == 0;
        lead = extent_either(lead, r->lead);
        for (size_t k = 0; k < r->n; k++) {
            if (k == 0)
                first = byteset_or(first, p->sets->v[r->set[k]]);
            else
                rest = byteset_or(rest, p->sets->v[r->set[k]]);
            rest = byteset_or(rest, p->sets->v[r->loop[k]]);
        }
    }
    if (empty)
        return false;
    uint16_t f = byteset_number(p->sets, first),
             l = byteset_empty(&rest) ? 0 : byteset_number(p->sets, rest);
    if (f == BYTESET_NONE || l == BYTESET_NONE)
        return false;
    t->v[0] = (struct run){.n = 1, .set = {f}, .loop = {l}, .lead = lead};
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

static struct text product(struct worker *p, const struct text *x, const struct text *y)
{
    struct text out = {0};
    for (size_t i = 0; i < x->n; i++)
        for (size_t k = 0; k < y->n; k++) {
            struct run r = x->v[i];
            const struct run *tail = &y->v[k];
            r.lead = r.n ? r.lead : tail->lead;
            memcpy(r.set + r.n, tail->set, tail->n * sizeof *r.set);
            memcpy(r.loop + r.n, tail->loop, tail->n * sizeof *r.loop);
            r.n = (uint16_t)(r.n + tail->n);
            *ARENA_PUSH(p->a, out.v, out.n, out.cap) = r;
        }
    return out;
}

/* What is left at the end of a stretch. */
static void finish(struct worker *p, struct info *x)
{
    if (!x->exact && x->strings.n) {
        text_to_need(p, &x->strings, &x->need);
        x->strings = (struct text){0};
    }
}

/* Appends y, which may come with loops at its end, to x. */
static void concat(struct worker *p, struct info *x, struct info *y)
{
    move_back(y, x->length);
    x->length = extent_sum(x->length, y->length);
    need_join(&x->need, &y->need);
    x->alphabet = byteset_or(x->alphabet, y->alphabet);
    if (!y->exact) {
        struct text tail = y->strings;
        finish(p, x);
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

/* What comes next is not adjacent to what was found. */
static void break_off(struct worker *p, struct info *x)
{
    text_to_need(p, &x->strings, &x->need);
    x->exact = false;
    x->strings = (struct text){0};
}

/* "Any number of these bytes": a loop on the last item of all strings; useless at a start. */
static void add_loop(struct worker *p, struct info *x, struct byteset s)
{
    x->alphabet = byteset_or(x->alphabet, s);
    if (byteset_size(&s) > LOOP_MAX) {
        break_off(p, x);
        return;
    }
    for (size_t i = 0; i < x->strings.n; i++) {
        struct run *r = &x->strings.v[i];
        if (r->n == 0) {
            /* the language is not exact any more: a leading loop is left out */
            x->exact = false;
            continue;
        }
        uint16_t id = byteset_number(p->sets, byteset_or(p->sets->v[r->loop[r->n - 1]], s));
        if (id == BYTESET_NONE) {
            break_off(p, x);
            return;
        }
        r->loop[r->n - 1] = id;
    }
}

/* --- alternatives --- */

/* One group for "x or y": the cheapest of each. None if one of them needs nothing. */
static void either(struct worker *p, struct info *x, struct info *y)
{
    x->alphabet = byteset_or(x->alphabet, y->alphabet);
    x->length = extent_either(x->length, y->length);
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

/* --- repetition --- */

static unsigned times(unsigned n, unsigned by)
{
    n = (n ? n : 1) * (by < TIMES_MAX ? by : TIMES_MAX);
    return n < TIMES_MAX ? n : TIMES_MAX;
}

static uint32_t product_of(uint32_t n, unsigned by)
{
    return (uint64_t)n * by < ENDLESS ? n * by : ENDLESS;
}

/* Whether what may be absent is better spelled out than passed over. */
static bool spelled(const struct byteset *alphabet)
{
    int n = byteset_size(alphabet);
    return n <= SPELLED_MAX || n > LOOP_MAX;
}

/* Appends x{min,max} to the sequence, but for its length. */
static void append(struct worker *p, struct info *seq, struct info *x, unsigned min, unsigned max)
{
    if (min == 0) {
        bool zero_width = byteset_empty(&x->alphabet);
        x->need = (struct need){0};
        if (zero_width)
            return;
        if (max == 1 && x->exact && spelled(&x->alphabet) && x->strings.n * 2 <= STRINGS_MAX / 4 &&
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
        struct info again = copy_of(p, x);
        concat(p, seq, &again);
    }
    if (max > copies && !byteset_empty(&alphabet))
        add_loop(p, seq, alphabet);
}

static void repeat(struct worker *p, struct info *seq, struct info *x, unsigned min, unsigned max)
{
    struct extent one = x->length, before = seq->length;
    append(p, seq, x, min, max);
    struct extent all = {product_of(one.min, min), product_of(one.max, max)};
    seq->length = extent_sum(before, all);
}

/* --- the tree --- */

static struct info analyse(struct worker *p, const struct tree *t);

static struct info sequence(struct worker *p, const struct tree *t)
{
    struct info seq = nothing(p);
    for (const struct tree *k = t->child; k; k = k->next) {
        struct info x = analyse(p, k->kind == TREE_REPEAT ? k->child : k);
        if (k->kind == TREE_REPEAT)
            repeat(p, &seq, &x, k->min, k->max);
        else
            concat(p, &seq, &x);
    }
    finish(p, &seq);
    return seq;
}

static struct info alternatives(struct worker *p, const struct tree *t)
{
    struct info x = analyse(p, t->child);
    for (const struct tree *k = t->child->next; k; k = k->next) {
        struct info y = analyse(p, k);
        either(p, &x, &y);
    }
    if (x.exact && x.strings.n > LETTERS_MAX && letter_like(&x.strings))
        collapse(p, &x.strings);
    return x;
}

static struct info analyse(struct worker *p, const struct tree *t)
{
    struct info x, out;
    switch (t->kind) {
    case TREE_SET:
        return one_set(p, t->set);
    case TREE_SEQ:
        return sequence(p, t);
    case TREE_ALT:
        return alternatives(p, t);
    case TREE_AHEAD:
        x = analyse(p, t->child);
        flush(p, &x);
        out = nothing(p);
        out.need = x.need;
        return out;
    case TREE_EMPTY:
    case TREE_BOL:
        return nothing(p);
    default:
        return anything();
    }
}

struct need need_of(struct byteset_table *sets, struct arena *a, const struct tree *t)
{
    struct worker p = {sets, a};
    struct info x = analyse(&p, t);
    flush(&p, &x);
    return x.need;
}
