#include "pattern/states.h"

#include <stdlib.h>

#include "base/xalloc.h"

enum { CACHE_LINE = 64 };

static size_t slot_of(const struct states *t, const uint16_t *v, size_t n, bool line_start)
{
    uint64_t h = 1469598103934665603u + line_start;
    for (size_t i = 0; i < n; i++)
        h = (h ^ v[i]) * 1099511628211u;
    size_t at = (size_t)(h ^ h >> 29) & (t->index_cap - 1);
    for (; t->index[at]; at = (at + 1) & (t->index_cap - 1)) {
        const struct state *s = &t->v[t->index[at]];
        if (s->n == n && s->line_start == line_start &&
            memcmp(t->pool + s->at, v, n * sizeof *v) == 0)
            break;
    }
    return at;
}

static void grow_index(struct states *t)
{
    free(t->index);
    t->index_cap *= 2;
    t->index = xcalloc(t->index_cap, sizeof *t->index);
    for (size_t i = STATES_FIXED; i < t->n; i++) {
        const struct state *s = &t->v[i];
        t->index[slot_of(t, t->pool + s->at, s->n, s->line_start)] = (uint16_t)i;
    }
}

void states_drop(struct states *t)
{
    t->n = STATES_FIXED;
    t->pool_n = 0;
    t->first[0] = t->first[1] = STATE_UNKNOWN;
    memset(t->index, 0, t->index_cap * sizeof *t->index);
    memset(t->next, 0, ((size_t)STATES_FIXED << t->nfa->shift) * sizeof *t->next);
}

static size_t memory_of(const struct states *t)
{
    return (t->n << t->nfa->shift) * sizeof *t->next + t->pool_n * sizeof *t->pool +
           t->n * sizeof *t->v;
}

/* Rows begin where cache lines do. */
static uint16_t *rows(const struct states *t, size_t n)
{
    size_t bytes = (n << t->nfa->shift) * sizeof(uint16_t);
    uint16_t *p = aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    if (!p)
        abort();
    return p;
}

static void grow(struct states *t)
{
    uint16_t *more = rows(t, 2 * t->cap);
    memcpy(more, t->next, (t->n << t->nfa->shift) * sizeof *more);
    free(t->next);
    t->next = more;
    t->cap *= 2;
    t->v = xrealloc(t->v, t->cap * sizeof *t->v);
}

/* The classes that no node waits for lead nowhere: so much is known without a move. */
static void note_dead_ends(struct states *t, struct nodes x, uint16_t *row)
{
    const struct nfa *a = t->nfa;
    struct byteset any = nfa_bytes(a, x);
    for (unsigned c = 0; c < a->nclasses; c++)
        row[c] = byteset_has(&any, a->byte_of[c]) ? STATE_UNKNOWN : STATE_NONE;
}

static uint16_t add_state(struct states *t, struct nodes x, bool line_start)
{
    const struct nfa *a = t->nfa;
    if (t->n == t->cap)
        grow(t);
    while (t->pool_n + x.n > t->pool_cap) {
        t->pool_cap *= 2;
        t->pool = xrealloc(t->pool, t->pool_cap * sizeof *t->pool);
    }
    size_t number = t->n++;
    uint16_t *row = t->next + (number << a->shift);
    memset(row, 0, sizeof *row << a->shift);
    if (!t->restarts)
        note_dead_ends(t, x, row);
    t->v[number] = (struct state){(uint32_t)t->pool_n, (uint32_t)x.n, line_start};
    memcpy(t->pool + t->pool_n, x.v, x.n * sizeof *x.v);
    t->pool_n += x.n;
    return (uint16_t)number;
}

/* The state of the nodes; STATE_UNKNOWN: there is no room for it. */
static uint16_t state_of(struct states *t, struct nodes x, bool line_start)
{
    size_t at = slot_of(t, x.v, x.n, line_start);
    if (t->index[at])
        return t->index[at];
    if (memory_of(t) > STATES_MEMORY || t->n >= UINT16_MAX)
        return STATE_UNKNOWN;
    uint16_t number = t->index[at] = add_state(t, x, line_start);
    if (t->n * 2 > t->index_cap)
        grow_index(t);
    return number;
}

uint16_t states_move(struct states *t, uint16_t from, unsigned class)
{
    struct nfa *a = t->nfa;
    const struct state *s = &t->v[from];
    const struct nodes *start = &a->start[s->line_start];
    unsigned char byte = a->byte_of[class];
    uint16_t to = STATE_MATCH;
    bool match = nfa_step(a, t->pool + s->at, s->n, byte) ||
                 (t->restarts && nfa_step(a, start->v, start->n, byte));
    struct nodes x = nfa_take(a);
    if (!match) {
        bool line_start = t->restarts && byte == '\n';
        to = x.n ? state_of(t, x, line_start) : line_start ? STATE_LINE : STATE_NONE;
    }
    t->next[((size_t)from << a->shift) + class] = to;
    return to;
}

uint16_t states_first(struct states *t, bool line_start)
{
    struct nodes start = t->nfa->start[line_start];
    if (t->first[line_start] == STATE_UNKNOWN)
        t->first[line_start] = start.n ? state_of(t, start, false) : STATE_NONE;
    return t->first[line_start];
}

void states_init(struct states *t, struct nfa *nfa, bool restarts)
{
    *t = (struct states){.nfa = nfa, .restarts = restarts};
    t->cap = 8;
    t->v = xcalloc(t->cap, sizeof *t->v);
    t->next = rows(t, t->cap);
    t->pool_cap = 64;
    t->pool = xcalloc(t->pool_cap, sizeof *t->pool);
    t->index_cap = 32;
    t->index = xcalloc(t->index_cap, sizeof *t->index);
    t->v[STATE_LINE].line_start = true;
    states_drop(t);
}

void states_free(struct states *t)
{
    free(t->next);
    free(t->v);
    free(t->pool);
    free(t->index);
}
