#include "rules/nfa.h"

#include "rules/tree.h"

/* Copies of a repeated part that are written out: as many as must be there, but no more than give
 * WRITTEN nodes or two, or WRITTEN_SHORT when that were too many for the whole; and few of those
 * that may be there. All others are "any number": counting them multiplies the states and tells
 * little. */
enum { WRITTEN = 20000, WRITTEN_SHORT = 100, OPTIONAL = 3 };

struct builder {
    struct nfa *nfa;
    unsigned written;
    bool failed;
    uint16_t *same; /* hash table of nodes that are what they will be; 0: free */
};

enum { SAME = 1 << 17 /* slots of that table: more than twice the nodes */ };

static uint16_t add_new(struct builder *b, struct node n)
{
    struct nfa *a = b->nfa;
    if (a->n == NFA_NODES) {
        b->failed = true;
        return 0;
    }
    *ARENA_PUSH(a->arena, a->nodes, a->n, a->cap) = n;
    return (uint16_t)(a->n - 1);
}

/* The pattern is built from its end: what goes on alike is one node. */
static uint16_t add(struct builder *b, struct node n)
{
    uint64_t h = (uint64_t)n.kind << 48 | (uint64_t)n.set << 32 | (uint64_t)n.to << 16 | n.or ;
    h *= 0x9e3779b97f4a7c15u;
    size_t at = h >> 47;
    for (; b->same[at]; at = (at + 1) % SAME) {
        const struct node *x = &b->nfa->nodes[b->same[at]];
        if (x->kind == n.kind && x->set == n.set && x->to == n.to && x->or == n.or)
            return b->same[at];
    }
    return b->same[at] = add_new(b, n);
}

static uint16_t build(struct builder *b, const struct tree *t, uint16_t to);

/* Any number of x, then to. */
static uint16_t loop(struct builder *b, const struct tree *x, uint16_t to)
{
    uint16_t split = add_new(b, (struct node){.kind = NODE_SPLIT, .or = to});
    uint16_t body = build(b, x, split);
    if (!b->failed)
        b->nfa->nodes[split].to = body;
    return split;
}

/* Nodes of x, at most `most`. */
static unsigned size_of(const struct tree *x, unsigned most)
{
    if (x->kind == TREE_SET)
        return 1;
    unsigned n = 0;
    for (const struct tree *k = x->child; k && n < most; k = k->next)
        n += size_of(k, most);
    return n < most ? n : most;
}

static uint16_t repeat(struct builder *b, const struct tree *t, uint16_t to)
{
    unsigned size = size_of(t->child, b->written), most = size ? b->written / size : 1;
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

/* Any bytes, then to. */
static uint16_t anything(struct builder *b, uint16_t to)
{
    uint16_t any = add_new(b, (struct node){.kind = NODE_SPLIT, .or = to});
    uint16_t one =
        add(b, (struct node){
                   .kind = NODE_SET, .set = byteset_number(&b->nfa->sets, BYTESET_ALL), .to = any});
    if (!b->failed)
        b->nfa->nodes[any].to = one;
    return any;
}

static uint16_t build(struct builder *b, const struct tree *t, uint16_t to)
{
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
        return anything(b, to);
    default:
        return to;
    }
}

static bool build_nodes(struct nfa *a, const struct tree *t, unsigned written)
{
    struct arena *scratch = arena_new(0);
    struct builder b = {.nfa = a, .written = written};
    b.same = arena_array(scratch, SAME, sizeof *b.same);
    a->n = 0;
    uint16_t match = add_new(&b, (struct node){.kind = NODE_MATCH});
    a->entry = build(&b, t, match);
    arena_free(scratch);
    return !b.failed;
}

/* Classes of common bytes come first, so that most moves out of a state look into one cache line.
 */
static void make_classes(struct nfa *a)
{
    static const unsigned char common[] = " etaoinsrhldcumfpgwybvkxjqz.,-/0123456789";
    uint64_t seen[256];
    for (unsigned i = 0; i < sizeof common - 1 + 256; i++) {
        unsigned c = i < sizeof common - 1 ? common[i] : i - (unsigned)(sizeof common - 1);
        uint64_t h = 1469598103934665603u + (c == '\n');
        for (size_t k = 1; k < a->sets.n; k++)
            h = (h ^ byteset_has(&a->sets.v[k], (unsigned char)c)) * 1099511628211u;
        unsigned k = 0;
        while (k < a->nclasses && seen[k] != h)
            k++;
        if (k == a->nclasses) {
            seen[a->nclasses] = h;
            a->byte_of[a->nclasses++] = (uint8_t)c;
        }
        a->class_of[c] = (uint8_t)k;
    }
    while (1u << a->shift < a->nclasses)
        a->shift++;
}

/* --- sets of nodes --- */

bool nfa_reach(struct nfa *a, uint16_t at, bool line_start)
{
    size_t depth = 0;
    a->stack[depth++] = at;
    while (depth) {
        uint16_t i = a->stack[--depth];
        const struct node *x = &a->nodes[i];
        if (x->kind == NODE_SET) {
            a->listed[i / 64] |= (uint64_t)1 << i % 64;
            a->words[i / 4096] |= (uint64_t)1 << i / 64 % 64;
            continue;
        }
        if (a->mark[i] == a->round)
            continue;
        a->mark[i] = a->round;
        if (x->kind == NODE_MATCH)
            return true;
        if (x->kind == NODE_SPLIT)
            a->stack[depth++] = x->or ;
        if (x->kind == NODE_SPLIT || (x->kind == NODE_BOL && line_start))
            a->stack[depth++] = x->to;
    }
    return false;
}

bool nfa_step(struct nfa *a, const uint16_t *v, size_t n, unsigned char byte)
{
    for (size_t i = 0; i < n; i++) {
        const struct node *x = &a->nodes[v[i]];
        if (byteset_has(&a->sets.v[x->set], byte) && nfa_reach(a, x->to, byte == '\n'))
            return true;
    }
    return false;
}

struct nodes nfa_take(struct nfa *a)
{
    struct nodes out = {a->list, 0};
    for (size_t w = 0; w < NFA_WORDS; w++) {
        for (uint64_t words = a->words[w]; words; words &= words - 1) {
            size_t k = w * 64 + (size_t)__builtin_ctzll(words);
            for (uint64_t bits = a->listed[k]; bits; bits &= bits - 1)
                a->list[out.n++] = (uint16_t)(k * 64 + (size_t)__builtin_ctzll(bits));
            a->listed[k] = 0;
        }
        a->words[w] = 0;
    }
    if (++a->round == 0) {
        memset(a->mark, 0, a->n * sizeof *a->mark);
        a->round = 1;
    }
    return out;
}

struct nodes nodes_dup(struct arena *arena, struct nodes x)
{
    struct nodes out = {arena_array(arena, x.n + 1, sizeof *out.v), x.n};
    memcpy(out.v, x.v, x.n * sizeof *x.v);
    return out;
}

/* false: it can match the empty string. */
static bool list_start(struct nfa *a, bool line_start)
{
    bool empty = nfa_reach(a, a->entry, line_start);
    a->start[line_start] = nodes_dup(a->arena, nfa_take(a));
    return !empty;
}

bool nfa_build(struct nfa *a, struct arena *arena, struct span pattern)
{
    struct arena *scratch = arena_new(0);
    *a = (struct nfa){.arena = arena};
    byteset_table_init(&a->sets, arena);
    const struct tree *t = tree_parse(&a->sets, scratch, pattern);
    bool ok = t && (build_nodes(a, t, WRITTEN) || build_nodes(a, t, WRITTEN_SHORT));
    a->shortest = ok ? tree_shortest(t) : 0;
    arena_free(scratch);
    if (!ok)
        return false;
    make_classes(a);
    a->list = arena_array(arena, a->n + 1, sizeof *a->list);
    a->stack = arena_array(arena, 2 * a->n + 2, sizeof *a->stack);
    a->mark = arena_array(arena, a->n + 1, sizeof *a->mark);
    a->round = 1;
    a->listed = arena_array(arena, a->n / 64 + 1, sizeof *a->listed);
    return list_start(a, false) && list_start(a, true);
}
