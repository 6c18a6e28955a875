/* What the first bytes of a program's matches are, and which of them tell most. */
#include "rules/refute_private.h"

enum { DEEP = 16, STATES = 100 };

/* An operation that waits for a byte, after `seen` bytes of its own. */
struct state {
    uint16_t op, seen;
};

struct survey {
    const uint8_t *program;
    const struct byteset *sets;
    struct state states[DEEP + 1][STATES];
    size_t nstates[DEEP + 1];
    struct byteset bytes[DEEP]; /* that may stand so far behind the beginning */
    size_t depth;               /* how many of them are known */
};

static void reach(struct survey *s, size_t depth, size_t op, size_t seen)
{
    struct state *v = s->states[depth];
    for (size_t i = 0; i < s->nstates[depth]; i++)
        if (v[i].op == op && v[i].seen == seen)
            return;
    if (s->nstates[depth] < STATES)
        v[s->nstates[depth]++] = (struct state){(uint16_t)op, (uint16_t)seen};
    else if (s->depth > depth)
        s->depth = depth;
}

static void take(struct survey *s, size_t depth, struct byteset set)
{
    s->bytes[depth] = byteset_or(s->bytes[depth], set);
}

static struct byteset masked_set(uint8_t mask, uint8_t value)
{
    struct byteset set = {{0}};
    for (unsigned c = 0; c < 256; c++)
        if ((c | mask) == value)
            byteset_add(&set, (unsigned char)c);
    return set;
}

static void loop(struct survey *s, size_t depth, struct state x, size_t behind)
{
    const uint8_t *op = s->program + x.op;
    size_t min = refute_u16(op + 3), max = refute_u16(op + 5);
    if (x.seen >= min)
        reach(s, depth, behind, 0);
    if (x.seen < max) {
        take(s, depth, s->sets[refute_u16(op + 1)]);
        reach(s, depth + 1, x.op, x.seen + 1u);
    }
}

static void text(struct survey *s, size_t depth, struct state x)
{
    const uint8_t *op = s->program + x.op, *pair = op + 2 + 2 * x.seen;
    bool done = x.seen + 1 == op[1];
    take(s, depth, masked_set(pair[0], pair[1]));
    reach(s, depth + 1, done ? x.op + 2u + 2u * op[1] : x.op, done ? 0 : x.seen + 1u);
}

/* What the operation says about the byte at this depth, and where it leads. */
static void follow(struct survey *s, size_t depth, struct state x)
{
    const uint8_t *op = s->program + x.op;
    size_t behind = x.op + refute_size(op, 2);
    switch (*op) {
    case OP_MATCH:
        s->depth = depth < s->depth ? depth : s->depth;
        break;
    case OP_BYTE:
        take(s, depth, masked_set(op[1], op[2]));
        reach(s, depth + 1, behind, 0);
        break;
    case OP_SET:
        take(s, depth, s->sets[refute_u16(op + 1)]);
        reach(s, depth + 1, behind, 0);
        break;
    case OP_TEXT:
        text(s, depth, x);
        break;
    case OP_LOOP:
    case OP_RUN:
        loop(s, depth, x, behind);
        break;
    case OP_SPLIT:
    case OP_TRY:
    case OP_IF:
    case OP_TRY_BYTE:
    case OP_IF_BYTE:
        reach(s, depth, behind, 0);
        reach(s, depth, x.op + refute_u16(op + 1), 0);
        break;
    case OP_JUMP:
    case OP_LOOK:
    case OP_NOT_LOOK:
        reach(s, depth, x.op + refute_u16(op + 1), 0);
        break;
    case OP_AGAIN:
        reach(s, depth, x.op - (size_t)refute_u16(op + 1), 0);
        break;
    default:
        reach(s, depth, behind, 0);
    }
}

static void run(struct survey *s)
{
    for (size_t depth = 0; depth < s->depth; depth++)
        for (size_t i = 0; i < s->nstates[depth] && depth < s->depth; i++)
            follow(s, depth, s->states[depth][i]);
    for (size_t i = s->depth; i < DEEP; i++)
        s->bytes[i] = BYTESET_ALL;
}

static bool waits_for_byte(uint8_t op)
{
    return op == OP_BYTE || op == OP_SET || op == OP_TEXT || op == OP_LOOP || op == OP_RUN ||
           op == OP_MATCH;
}

/* --- kinds of beginnings --- */

struct kinds {
    struct byteset bytes[FIRSTBYTES_KINDS][DEEP];
    double share[FIRSTBYTES_KINDS][DEEP]; /* of ordinary text */
    size_t n;
};

/* Every byte that is made of halves of bytes of s. */
static struct byteset of_halves(const struct byteset *s)
{
    struct firstbytes f = {.n = 1};
    struct byteset all = {{0}};
    firstbytes_allow(&f, 0, 0, s);
    for (unsigned c = 0; c < 256; c++)
        if (firstbytes_hold(&f, &(uint8_t){(uint8_t)c}))
            byteset_add(&all, (unsigned char)c);
    return all;
}

/* What a match may begin with, each kind followed on its own. */
static void find_kinds(struct kinds *k, const uint8_t *program, const struct byteset *sets,
                       size_t shortest)
{
    struct survey all = {.program = program, .sets = sets, .depth = 1}, one;
    size_t kinds = 0;
    reach(&all, 0, 0, 0);
    run(&all);
    for (size_t i = 0; i < all.nstates[0]; i++) {
        struct state x = all.states[0][i];
        if (!waits_for_byte(program[x.op]))
            continue;
        one = (struct survey){
            .program = program, .sets = sets, .depth = shortest < DEEP ? shortest : DEEP};
        reach(&one, 0, x.op, x.seen);
        run(&one);
        size_t to = kinds++ % FIRSTBYTES_KINDS;
        for (size_t d = 0; d < DEEP; d++)
            k->bytes[to][d] = byteset_or(k->bytes[to][d], one.bytes[d]);
    }
    k->n = kinds < FIRSTBYTES_KINDS ? kinds : FIRSTBYTES_KINDS;
    if (all.nstates[0] == STATES)
        k->n = 0;
    for (size_t i = 0; i < k->n; i++)
        for (size_t d = 0; d < DEEP; d++) {
            struct byteset allowed = of_halves(&k->bytes[i][d]);
            k->share[i][d] = byteset_share(&allowed);
        }
}

/* Another offset is worth looking at when it leaves less than this part of the places. */
static const double WORTHWHILE = 0.7;

/* The offset at which fewest places remain, of those that remain so far. */
static size_t best_offset(const struct kinds *k, const double *remain, size_t n, double *least)
{
    size_t best = n;
    *least = 1e9;
    for (size_t d = 0; d < n; d++) {
        double sum = 0;
        for (size_t i = 0; i < k->n; i++)
            sum += remain[i] * k->share[i][d];
        if (sum < *least) {
            *least = sum;
            best = d;
        }
    }
    return best;
}

struct firstbytes refute_first_bytes(const uint8_t *program, const struct byteset *sets,
                                     size_t shortest)
{
    struct firstbytes f = {0};
    struct kinds k = {0};
    double remain[FIRSTBYTES_KINDS], all = 1, least;
    size_t n = shortest < DEEP ? shortest : DEEP;
    find_kinds(&k, program, sets, n);
    for (size_t i = 0; i < k.n; i++)
        remain[i] = 1;
    while (k.n && n && f.n < FIRSTBYTES) {
        size_t d = best_offset(&k, remain, n, &least);
        if (least > all * WORTHWHILE)
            break;
        all = least;
        f.offset[f.n] = (uint8_t)d;
        for (size_t i = 0; i < k.n; i++) {
            firstbytes_allow(&f, f.n, (unsigned)i, &k.bytes[i][d]);
            remain[i] *= k.share[i][d];
        }
        f.n++;
    }
    return f;
}
