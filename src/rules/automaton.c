#include "rules/automaton.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "rules/tree.h"

enum node_kind { NODE_SET, NODE_SPLIT, NODE_BOL, NODE_MATCH };

struct node {
    uint8_t kind;
    uint16_t set;     /* number */
    uint16_t to, or ; /* or: of NODE_SPLIT */
};

/* Numbers of states in the table. */
enum { UNKNOWN, MATCH, START, LINE_START, FIRST_FREE };

/* Nodes under way that wait for a byte, in ascending order; those of the start always wait too,
 * those that wait only at the start of a line in states that a LF leads to. Where nothing is under
 * way the state is START or LINE_START. */
struct state {
    uint32_t at, n; /* in pool */
    bool line_start;
};

struct nodes {
    uint16_t *v;
    size_t n;
};

struct automaton {
    atomic_flag busy;
    bool gave_up;
    unsigned drops;
    struct arena *arena; /* sets and nodes */
    struct byteset_table sets;
    struct node *nodes;
    size_t nnodes, nodes_cap;
    uint16_t entry;
    struct nodes start[2];               /* what waits everywhere; at the start of a line */
    uint8_t class_of[256], byte_of[256]; /* byte_of: one of each class */
    unsigned nclasses, shift;

    uint16_t *next; /* by state << shift | class */
    struct state *states;
    size_t nstates, states_cap;
    uint16_t *pool;
    size_t pool_n, pool_cap;
    uint16_t *index; /* hash table of states */
    size_t index_cap;

    uint16_t *list, *stack; /* work */
    size_t listed;
    uint32_t *mark, round;
};

/* --- the pattern as nodes --- */

/* Copies of a repeated part that are written out: as many as must be there, but no more than give
 * WRITTEN nodes or two; and few of those that may be there. All others are "any number": counting
 * them multiplies the states and tells little. */
enum { WRITTEN = 100, OPTIONAL = 3 };

struct builder {
    struct automaton *m;
    bool failed;
};

static uint16_t add(struct builder *b, struct node n)
{
    struct automaton *m = b->m;
    if (m->nnodes == AUTOMATON_NODES) {
        b->failed = true;
        return 0;
    }
    *ARENA_PUSH(m->arena, m->nodes, m->nnodes, m->nodes_cap) = n;
    return (uint16_t)(m->nnodes - 1);
}

static uint16_t build(struct builder *b, const struct tree *t, uint16_t to);

/* Any number of x, then to. */
static uint16_t loop(struct builder *b, const struct tree *x, uint16_t to)
{
    uint16_t split = add(b, (struct node){.kind = NODE_SPLIT, .or = to});
    uint16_t body = build(b, x, split);
    if (!b->failed)
        b->m->nodes[split].to = body;
    return split;
}

/* Nodes of x, at most WRITTEN. */
static unsigned size_of(const struct tree *x)
{
    if (x->kind == TREE_SET)
        return 1;
    unsigned n = 0;
    for (const struct tree *k = x->child; k && n < WRITTEN; k = k->next)
        n += size_of(k);
    return n < WRITTEN ? n : WRITTEN;
}

static uint16_t repeat(struct builder *b, const struct tree *t, uint16_t to)
{
    unsigned size = size_of(t->child), most = size ? WRITTEN / size : 1;
    most = most < 2 ? 2 : most;
    if (t->max == 0 || size == 0)
        return to;
    unsigned min = t->min < most ? t->min : most, max = t->max;
    if (min < t->min || max - min > OPTIONAL)
        max = UINT32_MAX;
    if (max == UINT32_MAX)
        to = loop(b, t->child, to);
    uint16_t end = to;
    for (unsigned i = min; i < max && max != UINT32_MAX && !b->failed; i++)
        to = add(b, (struct node){.kind = NODE_SPLIT, .to = build(b, t->child, to), .or = end});
    for (unsigned i = 0; i < min && !b->failed; i++)
        to = build(b, t->child, to);
    return to;
}

static uint16_t sequence(struct builder *b, const struct tree *first, uint16_t to)
{
    return first ? build(b, first, sequence(b, first->next, to)) : to;
}

static uint16_t alternatives(struct builder *b, const struct tree *t, uint16_t to)
{
    uint16_t all = build(b, t->child, to);
    for (const struct tree *k = t->child->next; k && !b->failed; k = k->next) {
        uint16_t one = build(b, k, to);
        all = add(b, (struct node){.kind = NODE_SPLIT, .to = all, .or = one});
    }
    return all;
}

static uint16_t build(struct builder *b, const struct tree *t, uint16_t to)
{
    uint16_t any;
    if (b->failed)
        return 0;
    switch (t->kind) {
    case TREE_SET:
        return add(b, (struct node){.kind = NODE_SET, .set = t->set, .to = to});
    case TREE_SEQ:
        return sequence(b, t->child, to);
    case TREE_ALT:
        return alternatives(b, t, to);
    case TREE_REPEAT:
        return repeat(b, t, to);
    case TREE_BOL:
        return add(b, (struct node){.kind = NODE_BOL, .to = to});
    case TREE_ANY:
        any = add(b, (struct node){.kind = NODE_SPLIT, .or = to});
        to = add(b, (struct node){.kind = NODE_SET,
                                  .set = byteset_number(&b->m->sets, BYTESET_ALL),
                                  .to = any});
        if (!b->failed)
            b->m->nodes[any].to = to;
        return any;
    default:
        return to;
    }
}

static bool build_nodes(struct automaton *m, const struct tree *t)
{
    struct builder b = {.m = m};
    uint16_t match = add(&b, (struct node){.kind = NODE_MATCH});
    m->entry = build(&b, t, match);
    return !b.failed;
}

/* Bytes that all sets treat alike are one class; LF is one of its own. Those of common bytes come
 * first, so that most moves out of a state look into one cache line. */
static void make_classes(struct automaton *m)
{
    static const unsigned char common[] = " etaoinsrhldcumfpgwybvkxjqz.,-/0123456789";
    uint64_t seen[256];
    for (unsigned i = 0; i < sizeof common - 1 + 256; i++) {
        unsigned c = i < sizeof common - 1 ? common[i] : i - (unsigned)(sizeof common - 1);
        uint64_t h = 1469598103934665603u + (c == '\n');
        for (size_t k = 1; k < m->sets.n; k++)
            h = (h ^ byteset_has(&m->sets.v[k], (unsigned char)c)) * 1099511628211u;
        unsigned k = 0;
        while (k < m->nclasses && seen[k] != h)
            k++;
        if (k == m->nclasses) {
            seen[m->nclasses] = h;
            m->byte_of[m->nclasses++] = (uint8_t)c;
        }
        m->class_of[c] = (uint8_t)k;
    }
    while (1u << m->shift < m->nclasses)
        m->shift++;
}

/* --- states --- */

/* Lists what waits at node `at`; true when a match is reached without another byte. */
static bool reach(struct automaton *m, uint16_t at, bool line_start)
{
    size_t depth = 0;
    m->stack[depth++] = at;
    while (depth) {
        uint16_t i = m->stack[--depth];
        const struct node *x = &m->nodes[i];
        if (m->mark[i] == m->round)
            continue;
        m->mark[i] = m->round;
        if (x->kind == NODE_MATCH)
            return true;
        if (x->kind == NODE_SET)
            m->list[m->listed++] = i;
        if (x->kind == NODE_SPLIT)
            m->stack[depth++] = x->or ;
        if (x->kind == NODE_SPLIT || (x->kind == NODE_BOL && line_start))
            m->stack[depth++] = x->to;
    }
    return false;
}

static void clear_list(struct automaton *m)
{
    m->listed = 0;
    if (++m->round == 0) {
        memset(m->mark, 0, m->nnodes * sizeof *m->mark);
        m->round = 1;
    }
}

static int by_number(const void *x, const void *y)
{
    return *(const uint16_t *)x - *(const uint16_t *)y;
}

static size_t slot_of(const struct automaton *m, const uint16_t *v, size_t n, bool line_start)
{
    uint64_t h = 1469598103934665603u + line_start;
    for (size_t i = 0; i < n; i++)
        h = (h ^ v[i]) * 1099511628211u;
    size_t at = (size_t)(h ^ h >> 29) & (m->index_cap - 1);
    for (; m->index[at]; at = (at + 1) & (m->index_cap - 1)) {
        const struct state *s = &m->states[m->index[at]];
        if (s->n == n && s->line_start == line_start &&
            memcmp(m->pool + s->at, v, n * sizeof *v) == 0)
            break;
    }
    return at;
}

static void grow_index(struct automaton *m)
{
    free(m->index);
    m->index_cap *= 2;
    m->index = xcalloc(m->index_cap, sizeof *m->index);
    for (size_t i = FIRST_FREE; i < m->nstates; i++) {
        const struct state *s = &m->states[i];
        m->index[slot_of(m, m->pool + s->at, s->n, s->line_start)] = (uint16_t)i;
    }
}

static void drop_states(struct automaton *m)
{
    m->nstates = FIRST_FREE;
    m->pool_n = 0;
    memset(m->index, 0, m->index_cap * sizeof *m->index);
    memset(m->next, 0, ((size_t)FIRST_FREE << m->shift) * sizeof *m->next);
}

static size_t memory_of(const struct automaton *m)
{
    return (m->nstates << m->shift) * sizeof *m->next + m->pool_n * sizeof *m->pool +
           m->nstates * sizeof *m->states;
}

static uint16_t add_state(struct automaton *m, bool line_start)
{
    if (m->nstates == m->states_cap) {
        m->states_cap *= 2;
        m->states = xrealloc(m->states, m->states_cap * sizeof *m->states);
        m->next = xrealloc(m->next, (m->states_cap << m->shift) * sizeof *m->next);
    }
    while (m->pool_n + m->listed > m->pool_cap) {
        m->pool_cap *= 2;
        m->pool = xrealloc(m->pool, m->pool_cap * sizeof *m->pool);
    }
    size_t number = m->nstates++;
    memset(m->next + (number << m->shift), 0, sizeof *m->next << m->shift);
    m->states[number] = (struct state){(uint32_t)m->pool_n, (uint32_t)m->listed, line_start};
    memcpy(m->pool + m->pool_n, m->list, m->listed * sizeof *m->list);
    m->pool_n += m->listed;
    return (uint16_t)number;
}

/* The state of the listed nodes; UNKNOWN: there is no room for it. */
static uint16_t state_of(struct automaton *m, bool line_start)
{
    qsort(m->list, m->listed, sizeof *m->list, by_number);
    size_t at = slot_of(m, m->list, m->listed, line_start);
    if (m->index[at])
        return m->index[at];
    if (memory_of(m) > AUTOMATON_MEMORY || m->nstates >= UINT16_MAX)
        return UNKNOWN;
    uint16_t number = m->index[at] = add_state(m, line_start);
    if (m->nstates * 2 > m->index_cap)
        grow_index(m);
    return number;
}

/* --- moving --- */

static bool step(struct automaton *m, const uint16_t *v, size_t n, unsigned char byte)
{
    for (size_t i = 0; i < n; i++) {
        const struct node *x = &m->nodes[v[i]];
        if (byteset_has(&m->sets.v[x->set], byte) && reach(m, x->to, byte == '\n'))
            return true;
    }
    return false;
}

/* Where a state goes with a byte of the class; UNKNOWN when there is no room for that state. */
static uint16_t move(struct automaton *m, uint16_t from, unsigned class)
{
    const struct state *s = &m->states[from];
    const struct nodes *start = &m->start[s->line_start];
    unsigned char byte = m->byte_of[class];
    clear_list(m);
    uint16_t to = MATCH;
    if (!step(m, m->pool + s->at, s->n, byte) && !step(m, start->v, start->n, byte)) {
        bool line_start = byte == '\n';
        to = m->listed ? state_of(m, line_start) : line_start ? LINE_START : START;
    }
    m->next[((size_t)from << m->shift) + class] = to;
    return to;
}

/* After the states have been dropped it begins anew at the place, having forgotten what was under
 * way: all places behind the last start are the only safe answer then. */
static void no_room(struct automaton *m, struct window *w, size_t end)
{
    drop_states(m);
    m->gave_up = ++m->drops == AUTOMATON_DROPS;
    w->last = end;
}

/* Moves over the bytes from `at` as far as the states are known; the place where that ends, in
 * *state the one before it. */
static size_t glide(const struct automaton *m, struct span s, size_t at, uint16_t *state,
                    size_t *first)
{
    const uint8_t *p = (const uint8_t *)s.p, *class_of = m->class_of;
    const uint16_t *next = m->next;
    const unsigned shift = m->shift;
    size_t from = *state, start = *first, i = at;
    for (; i < s.n; i++) {
        size_t to = next[(from << shift) + class_of[p[i]]];
        if (to <= MATCH)
            break;
        start = to <= LINE_START ? i + 1 : start;
        from = to;
    }
    *state = (uint16_t)from;
    *first = start;
    return i;
}

static bool run(struct automaton *m, struct span s, size_t from, struct window *w)
{
    const uint8_t *p = (const uint8_t *)s.p;
    uint16_t state = from == 0 || p[from - 1] == '\n' ? LINE_START : START;
    w->first = from;
    for (size_t i = from; (i = glide(m, s, i, &state, &w->first)) < s.n;) {
        unsigned class = m->class_of[p[i]];
        uint16_t to = m->next[((size_t)state << m->shift) + class];
        if (to == UNKNOWN)
            to = move(m, state, class);
        if (to <= MATCH) {
            w->last = i;
            if (to == UNKNOWN)
                no_room(m, w, s.n);
            return true;
        }
    }
    return false;
}

bool automaton_next(struct automaton *m, struct span s, size_t from, struct window *w)
{
    *w = (struct window){from, s.n};
    if (atomic_flag_test_and_set_explicit(&m->busy, memory_order_acquire))
        return true;
    bool possible = m->gave_up || run(m, s, from, w);
    atomic_flag_clear_explicit(&m->busy, memory_order_release);
    return possible;
}

/* --- all --- */

static void list_start(struct automaton *m, bool line_start)
{
    clear_list(m);
    bool empty = reach(m, m->entry, line_start);
    m->gave_up |= empty; /* it can match the empty string */
    m->start[line_start].v = arena_array(m->arena, m->listed + 1, sizeof *m->list);
    memcpy(m->start[line_start].v, m->list, m->listed * sizeof *m->list);
    m->start[line_start].n = m->listed;
}

static void allocate(struct automaton *m)
{
    m->list = arena_array(m->arena, m->nnodes + 1, sizeof *m->list);
    m->stack = arena_array(m->arena, 2 * m->nnodes + 2, sizeof *m->stack);
    m->mark = arena_array(m->arena, m->nnodes + 1, sizeof *m->mark);
    m->states_cap = 8;
    m->states = xcalloc(m->states_cap, sizeof *m->states);
    m->next = xcalloc(m->states_cap << m->shift, sizeof *m->next);
    m->pool_cap = 64;
    m->pool = xcalloc(m->pool_cap, sizeof *m->pool);
    m->index_cap = 32;
    m->index = xcalloc(m->index_cap, sizeof *m->index);
}

struct automaton *automaton_new(struct span pattern)
{
    struct automaton *m = xcalloc(1, sizeof *m);
    struct arena *scratch = arena_new(0);
    m->arena = arena_new(0);
    byteset_table_init(&m->sets, m->arena);
    const struct tree *t = tree_parse(&m->sets, scratch, pattern);
    bool ok = t && build_nodes(m, t);
    arena_free(scratch);
    if (ok) {
        make_classes(m);
        allocate(m);
        list_start(m, false);
        list_start(m, true);
        drop_states(m);
        m->states[LINE_START].line_start = true;
    }
    if (ok && !m->gave_up)
        return m;
    automaton_free(m);
    return NULL;
}

void automaton_free(struct automaton *m)
{
    if (!m)
        return;
    free(m->next);
    free(m->states);
    free(m->pool);
    free(m->index);
    arena_free(m->arena);
    free(m);
}
