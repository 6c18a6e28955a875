/* What the first bytes of a program's matches are, and which of them tell most. */
#include "pattern/refute_private.h"

enum { DEEP = 16, STATES = 1000 };

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
    case OP_LINES:
    case OP_SAME:
    case OP_SAME_TEXT:
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

/* From this state at depth 0 on, no deeper than `depth`. */
static void survey_from(struct survey *s, struct state x, size_t depth)
{
    memset(s->nstates, 0, sizeof s->nstates);
    memset(s->bytes, 0, sizeof s->bytes);
    s->depth = depth;
    reach(s, 0, x.op, x.seen);
    run(s);
}

static bool waits_for_byte(uint8_t op)
{
    return op == OP_BYTE || op == OP_SET || op == OP_TEXT || op == OP_LOOP || op == OP_RUN ||
           op == OP_MATCH || op == OP_LINES || op == OP_SAME || op == OP_SAME_TEXT;
}

/* --- kinds of beginnings --- */

struct kinds {
    double of_byte[256]; /* how much of ordinary text it makes */
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

static double share(const struct kinds *k, const struct byteset *s)
{
    double sum = 0;
    for (unsigned w = 0; w < 4; w++)
        for (uint64_t bits = s->w[w]; bits; bits &= bits - 1)
            sum += k->of_byte[w * 64 + (unsigned)__builtin_ctzll(bits)];
    return sum < 1 ? sum : 1;
}

/* Of how many places the first bytes allow the kind, with those of `more` as well. */
static double places(const struct kinds *k, const struct byteset *kind, const struct byteset *more)
{
    enum { FIRST = 4 };
    double part = 1;
    for (size_t d = 0; d < FIRST; d++) {
        struct byteset all = more ? byteset_or(kind[d], more[d]) : kind[d];
        part *= share(k, &all);
    }
    return part;
}

/* To the kind that becomes larger by it least. */
static void add_kind(struct kinds *k, const struct byteset *bytes)
{
    size_t best = 0;
    double least = 2;
    for (size_t i = 0; i < FIRSTBYTES_KINDS; i++) {
        double more = places(k, k->bytes[i], bytes) - places(k, k->bytes[i], NULL);
        if (more < least) {
            least = more;
            best = i;
        }
        if (i == k->n)
            break; /* the next one is as empty */
    }
    for (size_t d = 0; d < DEEP; d++)
        k->bytes[best][d] = byteset_or(k->bytes[best][d], bytes[d]);
    k->n = best < k->n ? k->n : best + 1;
}

/* What a match may begin with, each kind followed on its own. */
static void find_kinds(struct kinds *k, const uint8_t *program, const struct byteset *sets,
                       size_t shortest)
{
    struct survey s = {.program = program, .sets = sets};
    struct state begin[STATES];
    for (unsigned c = 0; c < 256; c++) {
        struct byteset set = byteset_range(c, c);
        k->of_byte[c] = byteset_share(set);
    }
    survey_from(&s, (struct state){0, 0}, 1);
    size_t n = s.nstates[0] < STATES ? s.nstates[0] : 0;
    memcpy(begin, s.states[0], n * sizeof *begin);
    for (size_t i = 0; i < n; i++)
        if (waits_for_byte(program[begin[i].op])) {
            survey_from(&s, begin[i], shortest);
            add_kind(k, s.bytes);
        }
    for (size_t i = 0; i < k->n; i++)
        for (size_t d = 0; d < DEEP; d++) {
            struct byteset allowed = of_halves(&k->bytes[i][d]);
            k->share[i][d] = share(k, &allowed);
        }
}

/* Another offset is worth looking at when it leaves less than this part of what the others leave;
 * all of them together, when they leave less than that part of the places. */
static const double HELPFUL = 0.9, WORTHWHILE = 0.7;

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
    double remain[FIRSTBYTES_KINDS], all, least;
    size_t n = shortest < DEEP ? shortest : DEEP;
    find_kinds(&k, program, sets, n);
    for (size_t i = 0; i < k.n; i++)
        remain[i] = 1;
    all = (double)k.n;
    while (k.n && n && f.n < FIRSTBYTES) {
        size_t d = best_offset(&k, remain, n, &least);
        if (least > all * HELPFUL)
            break;
        all = least;
        f.offset[f.n] = (uint8_t)d;
        for (size_t i = 0; i < k.n; i++) {
            firstbytes_allow(&f, f.n, (unsigned)i, &k.bytes[i][d]);
            remain[i] *= k.share[i][d];
            k.share[i][d] = 1; /* told already */
        }
        f.n++;
    }
    return all < WORTHWHILE ? f : (struct firstbytes){0};
}
