#include "pattern/nfa.h"

#include "pattern/tree.h"

/* Copies of a repeated part that are written out: as many as must be there, but no more than give
 * WRITTEN nodes or two, or WRITTEN_SHORT when that were too many for the whole; and few of those
 * that may be there: one, or so many that they give OPTIONAL_NODES. All others are "any number":
 * counting them multiplies the states and tells little. */
enum { WRITTEN = 15000, WRITTEN_SHORT = 100, OPTIONAL_NODES = 24 };
enum { HUB_ALTERNATIVES = 8 };

struct builder {
    struct nfa *nfa;
    unsigned written;
    bool failed;
    uint16_t *same; /* by hash: the last node with it; 0: none */
};

enum { SAME_BITS = 13 };

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

/* The pattern is built from its end: what goes on alike is one node, mostly. */
static uint16_t add(struct builder *b, struct node n)
{
    uint64_t h = (uint64_t)n.kind << 48 | (uint64_t)n.set << 32 | (uint64_t)n.to << 16 | n.or ;
    uint16_t *slot = &b->same[h * 0x9e3779b97f4a7c15u >> (64 - SAME_BITS)];
    const struct node *x = &b->nfa->nodes[*slot];
    if (!*slot || x->kind != n.kind || x->set != n.set || x->to != n.to || x->or != n.or)
        *slot = add_new(b, n);
    return *slot;
}

static uint16_t build(struct builder *b, const struct tree *t, uint16_t to);

/* Any number of x, or one at least, then to. */
static uint16_t loop(struct builder *b, const struct tree *x, bool once, uint16_t to)
{
    uint16_t split = add_new(b, (struct node){.kind = NODE_SPLIT, .or = to});
    uint16_t body = build(b, x, split);
    if (!b->failed)
        b->nfa->nodes[split].to = body;
    return once ? body : split;
}

/* Nodes of x, at most `most`. */
static unsigned size_of(const struct tree *x, unsigned most)
{
    if (x->kind == TREE_SET || x->kind == TREE_ANY)
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
    bool endless = min < t->min || (max - min > 1 && max - min > OPTIONAL_NODES / size);
    if (endless) {
        to = loop(b, t->child, min > 0, to);
        min -= min > 0;
        max = min;
    }
    uint16_t end = to;
    for (unsigned i = min; i < max && !b->failed; i++)
        to = add(b, (struct node){.kind = NODE_SPLIT, .to = build(b, t->child, to), .or = end});
    for (unsigned i = 0; i < min && !b->failed; i++)
        to = build(b, t->child, to);
    return to;
}

static uint16_t sequence(struct builder *b, const struct tree *first, uint16_t to)
{
    return first ? build(b, first, sequence(b, first->next, to)) : to;
}

static uint16_t hub(struct builder *b, uint16_t to)
{
    struct nfa *a = b->nfa;
    (void)ARENA_PUSH(a->arena, a->hubs, a->nhubs, a->hubs_cap);
    return add_new(b, (struct node){.kind = NODE_HUB, .to = to, .or = (uint16_t)(a->nhubs - 1)});
}

static uint16_t alternatives(struct builder *b, const struct tree *t, uint16_t to)
{
    uint16_t all = build(b, t->child, to);
    unsigned n = 1;
    for (const struct tree *k = t->child->next; k && !b->failed; k = k->next, n++) {
        uint16_t one = build(b, k, to);
        all = add(b, (struct node){.kind = NODE_SPLIT, .to = all, .or = one});
    }
    return n < HUB_ALTERNATIVES || b->failed ? all : hub(b, all);
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
    b.same = arena_array(scratch, (size_t)1 << SAME_BITS, sizeof *b.same);
    a->n = a->nhubs = 0;
    uint16_t match = add_new(&b, (struct node){.kind = NODE_MATCH});
    a->entry = build(&b, t, match);
    arena_free(scratch);
    return !b.failed;
}

/* Numbers the nodes anew: those that wait for one set follow each other. The others, which have set
 * 0, come first. */
static void sort_nodes(struct nfa *a)
{
    struct arena *scratch = arena_new(0);
    uint16_t *number = arena_array(scratch, a->n + 1, sizeof *number);
    struct node *sorted = arena_array(scratch, a->n + 1, sizeof *sorted);
    size_t *at = arena_array(scratch, a->sets.n + 1, sizeof *at);
    a->end_of = arena_array(a->arena, a->sets.n + 1, sizeof *a->end_of);
    for (size_t i = 0; i < a->n; i++)
        at[a->nodes[i].set + 1]++;
    for (size_t k = 0; k < a->sets.n; k++) {
        at[k + 1] += at[k];
        a->end_of[k] = (uint16_t)at[k + 1];
    }
    for (size_t i = 0; i < a->n; i++)
        number[i] = (uint16_t)at[a->nodes[i].set]++;
    for (size_t i = 0; i < a->n; i++) {
        struct node x = a->nodes[i];
        x.to = number[x.to];
        x.or = x.kind == NODE_HUB ? x.or : number[x.or ];
        sorted[number[i]] = x;
    }
    memcpy(a->nodes, sorted, a->n * sizeof *sorted);
    a->entry = number[a->entry];
    arena_free(scratch);
}

/* Equal for bytes that are in the same sets. */
static void hash_bytes(const struct nfa *a, uint64_t hash[256])
{
    memset(hash, 0, 256 * sizeof *hash);
    hash['\n'] = 1;
    for (size_t k = 1; k < a->sets.n; k++) {
        uint64_t own = (k + 1) * 0x9e3779b97f4a7c15u;
        own ^= own >> 32;
        own *= 0xd6e8feb86659fd93u;
        for (unsigned w = 0; w < 4; w++)
            for (uint64_t bits = a->sets.v[k].w[w]; bits; bits &= bits - 1)
                hash[w * 64 + (unsigned)__builtin_ctzll(bits)] += own ^ own >> 32;
    }
}

/* Classes of common bytes come first, so that most moves out of a state look into one cache line.
 */
static void make_classes(struct nfa *a)
{
    static const unsigned char common[] = " etaoinsrhldcumfpgwybvkxjqz.,-/0123456789";
    uint64_t hash[256], seen[256];
    hash_bytes(a, hash);
    for (unsigned i = 0; i < sizeof common - 1 + 256; i++) {
        unsigned c = i < sizeof common - 1 ? common[i] : i - (unsigned)(sizeof common - 1), k = 0;
        while (k < a->nclasses && seen[k] != hash[c])
            k++;
        if (k == a->nclasses) {
            seen[a->nclasses] = hash[c];
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
        const struct hub *h = x->kind == NODE_HUB ? &a->hubs[x->or ] : NULL;
        if (x->kind == NODE_SET || (h && !a->whole && !h->unusable)) {
            a->listed[i / 64] |= (uint64_t)1 << i % 64;
            a->words[i / 4096] |= (uint64_t)1 << i / 64 % 64;
            if (h && h->ends)
                return true;
            continue;
        }
        if (a->mark[i] == a->round)
            continue;
        a->mark[i] = a->round;
        if (x->kind == NODE_MATCH)
            return true;
        a->saw_bol |= x->kind == NODE_BOL;
        if (x->kind == NODE_SPLIT)
            a->stack[depth++] = x->or ;
        if (x->kind != NODE_BOL || line_start)
            a->stack[depth++] = x->to;
    }
    return false;
}

bool nfa_step(struct nfa *a, const uint16_t *v, size_t n, unsigned char byte)
{
    size_t i = 0;
    for (; i < n && a->nodes[v[i]].kind == NODE_HUB; i++) {
        const struct hub *h = &a->hubs[a->nodes[v[i]].or ];
        if (byteset_has(&h->bytes, byte) && nfa_step(a, h->at.v, h->at.n, byte))
            return true;
    }
    while (i < n) {
        uint16_t set = a->nodes[v[i]].set, end = a->end_of[set];
        bool fits = byteset_has(&a->sets.v[set], byte);
        for (; i < n && v[i] < end; i++)
            if (fits && nfa_reach(a, a->nodes[v[i]].to, byte == '\n'))
                return true;
    }
    return false;
}

struct byteset nfa_bytes(const struct nfa *a, struct nodes x)
{
    struct byteset any = {{0}};
    size_t i = 0;
    for (; i < x.n && a->nodes[x.v[i]].kind == NODE_HUB; i++)
        any = byteset_or(any, a->hubs[a->nodes[x.v[i]].or ].bytes);
    while (i < x.n) {
        uint16_t set = a->nodes[x.v[i]].set, end = a->end_of[set];
        any = byteset_or(any, a->sets.v[set]);
        while (i < x.n && x.v[i] < end)
            i++;
    }
    return any;
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

static void make_hubs(struct nfa *a)
{
    for (size_t i = 0; i < a->n && a->nodes[i].set == 0; i++) {
        if (a->nodes[i].kind != NODE_HUB)
            continue;
        struct hub *h = &a->hubs[a->nodes[i].or ];
        a->saw_bol = false;
        h->ends = nfa_reach(a, a->nodes[i].to, false);
        h->at = nodes_dup(a->arena, nfa_take(a));
        h->bytes = nfa_bytes(a, h->at);
        h->unusable = a->saw_bol;
    }
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
    sort_nodes(a);
    a->list = arena_array(arena, a->n + 1, sizeof *a->list);
    a->stack = arena_array(arena, 2 * a->n + 2, sizeof *a->stack);
    a->mark = arena_array(arena, a->n + 1, sizeof *a->mark);
    a->round = 1;
    a->whole = true;
    a->listed = arena_array(arena, a->n / 64 + 1, sizeof *a->listed);
    make_hubs(a);
    return list_start(a, false) && list_start(a, true);
}
