/* Programs of the refuter as bytes, for the cache. */
#include "pattern/refute_private.h"

void refuter_save(const struct refuter *r, struct buf *out)
{
    buf_u64(out, r->n);
    buf_u64(out, r->nsets);
    buf_add(out, span_of((const char *)r->at, r->n * sizeof *r->at));
    buf_add(out, span_of((const char *)r->sets, r->nsets * sizeof *r->sets));
    buf_lstr(out, span_of((const char *)r->code, r->size));
}

/* --- whether it can be run --- */

size_t refute_size(const uint8_t *op, size_t left)
{
    switch (*op) {
    case OP_MATCH:
    case OP_START:
    case OP_LINE_START:
    case OP_LAST_LINE:
    case OP_LINE_END:
    case OP_END:
    case OP_EDGE:
    case OP_NO_EDGE:
        return 1;
    case OP_OPEN:
    case OP_CLOSE:
    case OP_SAME:
    case OP_SAME_TEXT:
        return 2;
    case OP_TEXT:
        return left > 1 ? 2 + 2 * (size_t)op[1] : 0;
    case OP_LOOP:
        return 9;
    case OP_RUN:
        return 7;
    case OP_LINES:
        return 6;
    case OP_TRY:
    case OP_IF:
    case OP_TRY_BYTE:
    case OP_IF_BYTE:
        return 5;
    default:
        return *op < OP_COUNT ? 3 : 0;
    }
}

/* Whether the sets that it names are there. */
static bool sets_known(const struct refuter *r, const uint8_t *op)
{
    switch (*op) {
    case OP_LOOP:
        return refute_u16(op + 1) < r->nsets && refute_u16(op + 7) < r->nsets;
    case OP_TRY:
    case OP_IF:
        return refute_u16(op + 3) < r->nsets;
    case OP_LINES:
        return refute_u16(op + 4) < r->nsets;
    case OP_RUN:
    case OP_SET:
    case OP_NEXT:
    case OP_NOT_NEXT:
    case OP_BEHIND:
    case OP_NOT_BEHIND:
        return refute_u16(op + 1) < r->nsets;
    default:
        return true;
    }
}

static bool names_capture(uint8_t op)
{
    return op == OP_OPEN || op == OP_CLOSE || op == OP_SAME || op == OP_SAME_TEXT;
}

static bool leads_on(uint8_t op)
{
    return op == OP_SPLIT || op == OP_TRY || op == OP_IF || op == OP_TRY_BYTE || op == OP_IF_BYTE ||
           op == OP_JUMP || op == OP_LOOK || op == OP_NOT_LOOK;
}

struct check {
    const struct refuter *r;
    const uint8_t *program;
    size_t size;
    bool begins[REFUTE_PROGRAM + 2]; /* an operation begins there */
    size_t look_from[REFUTE_LOOKS], look_to[REFUTE_LOOKS];
    size_t looks; /* that enclose the operation */
};

static bool whole_operations(struct check *c)
{
    memset(c->begins, 0, sizeof c->begins);
    for (size_t at = 0, n; at < c->size; at += n) {
        n = refute_size(c->program + at, c->size - at);
        if (!n || n > c->size - at || !sets_known(c->r, c->program + at))
            return false;
        c->begins[at] = true;
        if (at + n == c->size)
            return c->program[at] == OP_MATCH;
    }
    return false;
}

/* Jumps lead to operations; none leads out of the condition it stands in, so that those do not
 * pile up. */
static bool leads_well(struct check *c, size_t at)
{
    const uint8_t *op = c->program + at;
    size_t by = refute_u16(op + 1), to = *op == OP_AGAIN ? at - by : at + by;
    while (c->looks && at >= c->look_to[c->looks - 1])
        c->looks--;
    if ((*op == OP_AGAIN && by > at) || by == 0 || to >= c->size || !c->begins[to])
        return false;
    if (c->looks && (to < c->look_from[c->looks - 1] || to > c->look_to[c->looks - 1]))
        return false;
    if (*op != OP_LOOK && *op != OP_NOT_LOOK)
        return true;
    if (c->looks == REFUTE_LOOKS)
        return false;
    c->look_from[c->looks] = at + 3;
    c->look_to[c->looks++] = to;
    return true;
}

static bool program_works(const struct refuter *r, size_t at)
{
    struct check c = {.r = r};
    struct head h;
    struct firstbytes f;
    if (at >= r->size || r->size - at < sizeof h + sizeof f)
        return false;
    memcpy(&h, r->code + at, sizeof h);
    memcpy(&f, r->code + at + sizeof h, sizeof f);
    c.program = r->code + at + sizeof h + sizeof f;
    c.size = h.size;
    if (h.size > REFUTE_PROGRAM + 1 || h.size > r->size - at - sizeof h - sizeof f ||
        h.begin > BEGIN_LINE || h.exact > 1 || h.captures > REFUTE_CAPTURES || f.n > FIRSTBYTES ||
        !whole_operations(&c))
        return false;
    for (size_t i = 0; i < f.n; i++)
        if (f.offset[i] >= h.shortest)
            return false;
    for (size_t i = 0; i < c.size; i += refute_size(c.program + i, c.size - i))
        if (((leads_on(c.program[i]) || c.program[i] == OP_AGAIN) && !leads_well(&c, i)) ||
            (names_capture(c.program[i]) && c.program[i + 1] >= h.captures))
            return false;
    return true;
}

static void *copy(struct arena *a, struct cursor *in, size_t n, size_t size)
{
    if (n > in->rest.n / size) {
        in->failed = true;
        return NULL;
    }
    struct span s = cursor_bytes(in, n * size);
    void *v = arena_array(a, n + 1, size);
    if (s.n)
        memcpy(v, s.p, s.n);
    return v;
}

struct refuter *refuter_load(struct arena *a, size_t n, struct cursor *in)
{
    struct refuter *r = ARENA_NEW(a, struct refuter);
    r->n = cursor_u64(in);
    r->nsets = cursor_u64(in);
    if (r->n != n)
        in->failed = true;
    r->at = copy(a, in, in->failed ? 0 : r->n, sizeof *r->at);
    r->sets = copy(a, in, in->failed ? 0 : r->nsets, sizeof *r->sets);
    struct span code = cursor_lstr(in);
    if (in->failed)
        return NULL;
    code = arena_dup(a, code);
    r->code = (uint8_t *)(uintptr_t)code.p;
    r->size = code.n;
    for (size_t i = 0; i < r->n; i++)
        if (r->at[i] && !program_works(r, r->at[i]))
            return NULL;
    return r;
}
