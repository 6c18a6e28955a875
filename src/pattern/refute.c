/* The interpreter of the refuter's programs. */
#include "pattern/refute_private.h"

enum { FRAMES = 200 };

/* What is left to try: the operation there; or, of a loop, further ends from `at` to `last`. Or
 * of OP_CLOSE: where that capture ended before; `last` is not NULL. */
struct frame {
    const uint8_t *op, *at, *last;
};

struct run {
    const struct byteclass *sets;
    const uint8_t *begin, *end; /* the string */
    int steps;                  /* left; below 0: too many were taken */
    unsigned depth;
    const uint8_t *from[REFUTE_CAPTURES], *to[REFUTE_CAPTURES]; /* to NULL: it took no part */
    struct frame stack[FRAMES];
};

static bool in_set(const struct run *r, const uint8_t *number, uint8_t c)
{
    return byteclass_has(&r->sets[refute_u16(number)], c);
}

/* As PCRE2's tables here have it: ASCII and Latin-1. */
static uint8_t lower(uint8_t c)
{
    bool upper = (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7);
    return upper ? c + 0x20 : c;
}

static bool is_word(uint8_t c)
{
    return ascii_isalnum((char)c) || c == '_';
}

static bool at_edge(const struct run *r, const uint8_t *at)
{
    bool before = at > r->begin && is_word(at[-1]), after = at < r->end && is_word(*at);
    return before != after;
}

static bool test_holds(const struct run *r, uint8_t op, const uint8_t *at)
{
    switch (op) {
    case OP_START:
        return at == r->begin;
    case OP_LINE_START:
        return at == r->begin || (at[-1] == '\n' && at < r->end);
    case OP_LAST_LINE:
        return at == r->end || (*at == '\n' && at + 1 == r->end);
    case OP_LINE_END:
        return at == r->end || *at == '\n';
    case OP_END:
        return at == r->end;
    case OP_EDGE:
        return at_edge(r, at);
    default:
        return !at_edge(r, at);
    }
}

static bool text_stands(const uint8_t *text, size_t n, const uint8_t *at)
{
    for (size_t i = 0; i < n; i++)
        if ((at[i] | text[2 * i]) != text[2 * i + 1])
            return false;
    return true;
}

static bool has_text(const struct run *r, const uint8_t *op, const uint8_t *at)
{
    return (size_t)(r->end - at) >= op[1] && text_stands(op + 2, op[1], at);
}

/* Whether it is worth going on there: the first two operations hold, if they are simple. */
static bool first_hold(const struct run *r, const uint8_t *op, const uint8_t *at)
{
    for (unsigned i = 0; i < 2; i++, at++, op += 3) {
        if (*op == OP_TEXT)
            return has_text(r, op, at);
        if (*op != OP_BYTE && *op != OP_SET)
            return true;
        if (at == r->end || (*op == OP_SET ? !in_set(r, op + 1, *at) : (*at | op[1]) != op[2]))
            return false;
    }
    return true;
}

/* Where the bytes of a loop or run may end at most; NULL: there are too few of them. */
static const uint8_t *farthest(struct run *r, const uint8_t *op, const uint8_t *at)
{
    size_t min = refute_u16(op + 3), max = refute_u16(op + 5), left = (size_t)(r->end - at);
    const uint8_t *end = max == NO_BOUND || max > left ? r->end : at + max;
    const uint8_t *to = at + byteclass_span(&r->sets[refute_u16(op + 1)], at, (size_t)(end - at));
    r->steps -= (int)((to - at) >> 3);
    return (size_t)(to - at) < min ? NULL : to;
}

static bool push(struct run *r, const uint8_t *op, const uint8_t *at, const uint8_t *last)
{
    if (r->depth == FRAMES) {
        r->steps = -1;
        return false;
    }
    r->stack[r->depth++] = (struct frame){op, at, last};
    return true;
}

/* Where the text of a capture ends that stands here again; NULL: it does not. */
static const uint8_t *same_text(struct run *r, const uint8_t *op, const uint8_t *at)
{
    const uint8_t *from = r->from[op[1]], *to = r->to[op[1]];
    if (!to || from > to || to - from > r->end - at)
        return NULL;
    size_t n = (size_t)(to - from);
    r->steps -= (int)(n >> 3);
    if (*op == OP_SAME)
        return memcmp(from, at, n) == 0 ? at + n : NULL;
    for (size_t i = 0; i < n; i++)
        if (from[i] != at[i] && lower(from[i]) != lower(at[i]))
            return NULL;
    return at + n;
}

/* The first place from `at` to `last` where the text of a capture stands again; NULL: there is
 * none. */
static const uint8_t *next_same_text(struct run *r, const uint8_t *op, const uint8_t *at,
                                     const uint8_t *last)
{
    const uint8_t *from = r->from[op[1]], *to = r->to[op[1]], *found = NULL;
    if (!to || from >= to)
        return at;
    const size_t n = (size_t)(to - from), left = (size_t)(r->end - at);
    if (n > left)
        return NULL;
    last = (size_t)(last - at) > left - n ? at + (left - n) : last;
    const uint8_t first = lower(*from);
    if (*op == OP_SAME)
        found = memmem(at, (size_t)(last - at) + n, from, n);
    for (const uint8_t *p = at; *op == OP_SAME_TEXT && p <= last && !found; p++)
        if (lower(*p) == first && same_text(r, op, p))
            found = p;
    r->steps -= (int)(((found ? found : last) - at) >> 3);
    return found;
}

/* The next end of a loop, from `at` to `last`, where it can go on; NULL: there is none. */
static const uint8_t *loop_end(struct run *r, const uint8_t *op, const uint8_t *at,
                               const uint8_t *last)
{
    const struct byteclass *next = &r->sets[refute_u16(op + 7)];
    const uint8_t *behind = op[9] == OP_LINE_START ? op + 10 : op + 9;
    if (*behind == OP_SAME || *behind == OP_SAME_TEXT) {
        at = next_same_text(r, behind, at, last);
        if (at && at < last)
            (void)push(r, op, at + 1, last);
        return at;
    }
    for (;; at++) {
        size_t by = byteclass_near(next, at, (size_t)(last - at));
        r->steps -= (int)(by >> 3);
        at += by;
        if (at == last || first_hold(r, behind, at) || --r->steps < 0)
            break;
    }
    if (at < last)
        (void)push(r, op, at + 1, last);
    else if (at < r->end && !byteclass_has(next, *at))
        return NULL;
    return at;
}

/* Behind the line that begins here; NULL: there is none. */
static const uint8_t *line_behind(struct run *r, const uint8_t *op, const uint8_t *at)
{
    const size_t max = refute_u16(op + 2);
    const uint8_t *end = memchr(at, op[1], (size_t)(r->end - at));
    if (!end || end == at || (max != NO_BOUND && (size_t)(end - at) > max))
        return NULL;
    r->steps -= (int)((end - at) >> 3) + 1;
    while (end < r->end && *end == op[1])
        end++;
    return end;
}

/* The first of the places from `at` on, each a line further, where it can go on; NULL: there is
 * none. */
static const uint8_t *lines_end(struct run *r, const uint8_t *op, const uint8_t *at)
{
    const struct byteclass *next = &r->sets[refute_u16(op + 4)];
    while (at && at < r->end && !byteclass_has(next, *at))
        at = line_behind(r, op, at);
    if (!at || at == r->end)
        return NULL;
    (void)push(r, op, at, at);
    return at;
}

/* Goes on at another place; NULL: there is none. */
static const uint8_t *retry(struct run *r, unsigned bottom, const uint8_t **at)
{
    while (r->depth > bottom) {
        struct frame f = r->stack[--r->depth];
        if (!f.last) {
            *at = f.at;
            return f.op;
        }
        if (*f.op == OP_CLOSE) {
            r->to[f.op[1]] = f.at;
            continue;
        }
        if (*f.op == OP_LINES) {
            if ((*at = lines_end(r, f.op, line_behind(r, f.op, f.at))))
                return f.op + 6;
            continue;
        }
        const uint8_t *found = loop_end(r, f.op, f.at, f.last);
        if (found) {
            *at = found;
            return f.op + 9;
        }
    }
    return NULL;
}

static bool execute(struct run *r, const uint8_t *op, const uint8_t *at)
{
    const unsigned bottom = r->depth;
    const uint8_t *to;
    bool inside, matched;
    while (--r->steps >= 0) {
        switch (*op) {
        case OP_MATCH:
            r->depth = bottom;
            return true;
        case OP_BYTE:
            if (at == r->end || (*at | op[1]) != op[2])
                goto failed;
            at++;
            op += 3;
            continue;
        case OP_TEXT:
            if (!has_text(r, op, at))
                goto failed;
            at += op[1];
            op += 2 + 2 * op[1];
            continue;
        case OP_SET:
            if (at == r->end || !in_set(r, op + 1, *at))
                goto failed;
            at++;
            op += 3;
            continue;
        case OP_RUN:
            if (!(at = farthest(r, op, at)))
                goto failed;
            op += 7;
            continue;
        case OP_LOOP:
            to = farthest(r, op, at);
            if (!to || !(at = loop_end(r, op, at + refute_u16(op + 3), to)))
                goto failed;
            op += 9;
            continue;
        case OP_LINES:
            if (!(at = lines_end(r, op, at)))
                goto failed;
            op += 6;
            continue;
        case OP_SPLIT:
            (void)push(r, op + refute_u16(op + 1), at, NULL);
            op += 3;
            continue;
        case OP_TRY:
        case OP_IF:
            inside = at < r->end && in_set(r, op + 3, *at);
            if (inside && *op == OP_TRY)
                (void)push(r, op + refute_u16(op + 1), at, NULL);
            op += inside ? 5 : refute_u16(op + 1);
            continue;
        case OP_TRY_BYTE:
        case OP_IF_BYTE:
            inside = at < r->end && (*at | op[3]) == op[4];
            if (inside && *op == OP_TRY_BYTE)
                (void)push(r, op + refute_u16(op + 1), at, NULL);
            op += inside ? 5 : refute_u16(op + 1);
            continue;
        case OP_JUMP:
            op += refute_u16(op + 1);
            continue;
        case OP_AGAIN:
            op -= refute_u16(op + 1);
            continue;
        case OP_NEXT:
            if (at == r->end || !in_set(r, op + 1, *at))
                goto failed;
            op += 3;
            continue;
        case OP_NOT_NEXT:
            if (at < r->end && in_set(r, op + 1, *at))
                goto failed;
            op += 3;
            continue;
        case OP_BEHIND:
            if (at == r->begin || !in_set(r, op + 1, at[-1]))
                goto failed;
            op += 3;
            continue;
        case OP_NOT_BEHIND:
            if (at > r->begin && in_set(r, op + 1, at[-1]))
                goto failed;
            op += 3;
            continue;
        case OP_LOOK:
        case OP_NOT_LOOK:
            matched = execute(r, op + 3, at);
            if (matched != (*op == OP_LOOK))
                goto failed;
            op += refute_u16(op + 1);
            continue;
        case OP_OPEN:
            r->from[op[1]] = at;
            op += 2;
            continue;
        case OP_CLOSE:
            (void)push(r, op, r->to[op[1]], at);
            r->to[op[1]] = at;
            op += 2;
            continue;
        case OP_SAME:
        case OP_SAME_TEXT:
            if (!(at = same_text(r, op, at)))
                goto failed;
            op += 2;
            continue;
        case OP_BACK:
            if ((size_t)(at - r->begin) < refute_u16(op + 1))
                goto failed;
            at -= refute_u16(op + 1);
            op += 3;
            continue;
        default:
            if (!test_holds(r, *op, at))
                goto failed;
            op++;
            continue;
        }
    failed:
        if (!(op = retry(r, bottom, &at)))
            break;
    }
    r->depth = bottom;
    return r->steps < 0;
}

/* Of a program that begins with a long run in a line: the first line from this one on, no later
 * than at `last`, that is not shorter; NULL: there is none. */
static const uint8_t *long_line(const struct run *r, const uint8_t *op, const uint8_t *at,
                                const uint8_t *last)
{
    const uint8_t lf = '\n';
    if (op[0] != OP_LINE_START || op[1] != OP_RUN || in_set(r, op + 2, lf))
        return at;
    const size_t min = refute_u16(op + 4);
    for (const uint8_t *end; at <= last; at = end + 1) {
        if ((size_t)(r->end - at) < min)
            return NULL;
        end = memrchr(at, lf, min);
        if (!end)
            return at;
    }
    return NULL;
}

/* The first place from `at` to `last` where a match may begin; NULL: there is none. */
static const uint8_t *next_begin(const struct run *r, enum begin begin, const struct firstbytes *f,
                                 const uint8_t *at, const uint8_t *last)
{
    size_t n;
    switch (begin) {
    case BEGIN_START:
        return at == r->begin && firstbytes_hold(f, at) ? at : NULL;
    case BEGIN_LINE:
        for (; at <= last; at++)
            if (at > r->begin && at[-1] != '\n') {
                at = memchr(at, '\n', (size_t)(last - at));
                if (!at)
                    return NULL;
            } else if (firstbytes_hold(f, at)) {
                return at;
            }
        return NULL;
    default:
        n = (size_t)(last - at) + 1;
        at += firstbytes_find(f, at, n);
        return at <= last ? at : NULL;
    }
}

static int budget(size_t n)
{
    return n > REFUTE_STEPS_MAX / REFUTE_STEPS_A_BYTE ? REFUTE_STEPS_MAX
                                                      : REFUTE_STEPS + (int)n * REFUTE_STEPS_A_BYTE;
}

enum refuted refuter_ask(const struct refuter *r, uint32_t number, struct span s, struct places *at)
{
    if (number >= r->n || !r->at[number])
        return REFUTE_MAYBE;
    struct head h;
    const uint8_t *program = r->code + r->at[number];
    memcpy(&h, program, sizeof h);
    if (s.n < h.shortest)
        return REFUTED;
    size_t latest = s.n - h.shortest, last = at->last;
    last =
        h.later == NO_BOUND || last > latest || latest - last < h.later ? latest : last + h.later;
    if (at->first > last)
        return REFUTED;
    struct run run;
    run.sets = r->sets;
    run.begin = (const uint8_t *)(s.p ? s.p : "");
    run.end = run.begin + s.n;
    run.steps = budget(s.n);
    run.depth = 0;
    for (size_t i = 0; i < h.captures; i++)
        run.from[i] = run.to[i] = NULL;
    const uint8_t *p = run.begin + at->first, *end = run.begin + last;
    const struct firstbytes *f = (const void *)(program + sizeof h);
    const uint8_t *op = program + sizeof h + sizeof *f;
    for (; p <= end && (p = next_begin(&run, h.begin, f, p, end)); p++) {
        if (h.begin == BEGIN_LINE && !(p = long_line(&run, op, p, end)))
            break;
        if (--run.steps < 0 || execute(&run, op, p)) {
            if (!h.later)
                at->first = (size_t)(p - run.begin);
            return h.exact && run.steps >= 0 ? REFUTE_CERTAIN : REFUTE_MAYBE;
        }
    }
    return REFUTED;
}

bool refuter_knows(const struct refuter *r, uint32_t number)
{
    return number < r->n && r->at[number];
}

size_t refuter_size(const struct refuter *r)
{
    return r->size;
}

void refuter_prefetch(const struct refuter *r, uint32_t number)
{
    if (number < r->n) {
        __builtin_prefetch(r->code + r->at[number]);
        __builtin_prefetch(r->code + r->at[number] + 64);
    }
}
