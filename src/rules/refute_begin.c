/* What the first bytes of a program's matches are, and which of them tell most. */
#include "rules/refute_private.h"

enum { DEEP = REFUTE_DEEP, STATES = 100 };

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

size_t refute_first_bytes(const uint8_t *program, const struct byteset *sets, struct byteset *bytes,
                          size_t max)
{
    struct survey s = {.program = program, .sets = sets, .depth = max < DEEP ? max : DEEP};
    reach(&s, 0, 0, 0);
    for (size_t depth = 0; depth < s.depth; depth++)
        for (size_t i = 0; i < s.nstates[depth] && depth < s.depth; i++)
            follow(&s, depth, s.states[depth][i]);
    for (size_t i = 0; i < s.depth; i++)
        bytes[i] = s.bytes[i];
    return s.depth;
}
