/* From a pattern's tree to a program of the refuter. */
#include "pattern/refute_private.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "pattern/refute_tree.h"

enum { TEXT_MAX = 255 };
/* Where an operation is that was not written. */
enum { NOWHERE = UINT16_MAX };

struct refuter_maker {
    struct arena *keep, *work; /* work: of one program */
    struct byteset_table parsed, used;
    struct buf all;
    uint32_t *at;
    size_t n;
    uint8_t program[REFUTE_PROGRAM + 1]; /* room for OP_MATCH */
    uint8_t spare[2 * TEXT_MAX + 2];     /* is written to when the program is full */
    size_t size;
    bool full;
    unsigned looks;
    unsigned captures; /* their numbers in the tree are no higher */
    bool dropped;      /* a condition was left out: what was written matches more */
};

/* --- writing --- */

static uint8_t *put(struct refuter_maker *m, enum op op, size_t operands)
{
    if (!m->full && m->size + 1 + operands > REFUTE_PROGRAM) {
        m->full = true;
        m->program[m->size++] = OP_MATCH;
    }
    if (m->full)
        return m->spare;
    uint8_t *p = m->program + m->size;
    m->size += 1 + operands;
    *p = (uint8_t)op;
    return p + 1;
}

static void write16(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

/* Where the next operation will stand; when there is no room, the OP_MATCH at the end. */
static size_t here(const struct refuter_maker *m)
{
    return m->full ? m->size - 1 : m->size;
}

/* The operation at `from` leads here. */
static void patch(struct refuter_maker *m, size_t from)
{
    if (from + 3 <= m->size && here(m) > from)
        write16(m->program + from + 1, here(m) - from);
}

static uint16_t number(struct refuter_maker *m, struct byteset s)
{
    uint16_t n = byteset_number(&m->used, s);
    m->dropped |= n == BYTESET_NONE;
    return n == BYTESET_NONE ? byteset_number(&m->used, BYTESET_ALL) : n;
}

/* Sets that are a byte of which some bits do not matter. */
static bool masked(const struct byteset *s, uint8_t *mask, uint8_t *value)
{
    unsigned all = 0xff, any = 0;
    for (unsigned c = 0; c < 256; c++)
        if (byteset_has(s, (unsigned char)c)) {
            all &= c;
            any |= c;
        }
    *mask = (uint8_t)(any & ~all);
    *value = (uint8_t)any;
    return any >= all && byteset_size(s) == 1 << __builtin_popcount(*mask);
}

/* --- operations --- */

static void emit_list(struct refuter_maker *m, const struct tree *list, const struct next *next);

static void emit_set(struct refuter_maker *m, enum op op, struct byteset set)
{
    uint8_t mask, value;
    if (op == OP_SET && masked(&set, &mask, &value)) {
        uint8_t *p = put(m, OP_BYTE, 2);
        p[0] = mask;
        p[1] = value;
    } else {
        write16(put(m, op, 2), number(m, set));
    }
}

/* Goes on if `first` can stand here, and elsewhere if not; only_here: there is no use in trying
 * both. Returns where it is, for patch(). */
static size_t emit_choice(struct refuter_maker *m, const struct next *first, bool only_here)
{
    size_t at = m->size;
    uint8_t mask, value;
    if (first->end) {
        (void)put(m, OP_SPLIT, 2);
    } else if (masked(&first->set, &mask, &value)) {
        uint8_t *p = put(m, only_here ? OP_IF_BYTE : OP_TRY_BYTE, 4);
        p[2] = mask;
        p[3] = value;
    } else {
        write16(put(m, only_here ? OP_IF : OP_TRY, 4) + 2, number(m, first->set));
    }
    return m->full ? NOWHERE : at;
}

/* Bytes of one set, repeated. */
static void emit_loop(struct refuter_maker *m, struct byteset set, unsigned min, unsigned max,
                      const struct next *next)
{
    if (next->accept)
        max = min;
    if (max == 0)
        return;
    if (min == 1 && max == 1) {
        emit_set(m, OP_SET, set);
        return;
    }
    bool run = (min == max && max < NO_BOUND) || !refute_overlap(&set, &next->set);
    uint8_t *p = put(m, run ? OP_RUN : OP_LOOP, run ? 6 : 8);
    write16(p, number(m, set));
    write16(p + 2, min < NO_BOUND ? min : NO_BOUND - 1);
    write16(p + 4, max < NO_BOUND ? max : NO_BOUND);
    if (!run)
        write16(p + 6, number(m, next->set));
}

/* Any number of what is not empty. */
static void emit_again(struct refuter_maker *m, const struct tree *t, const struct next *next)
{
    struct next first = refute_first_of(&m->parsed, t, next), then = *next;
    refute_add_next(&then, &first);
    size_t begin = m->size;
    size_t at = emit_choice(m, &first, !refute_overlap(&first.set, &next->set));
    emit_list(m, t, &then);
    size_t back = m->size;
    uint8_t *p = put(m, OP_AGAIN, 2);
    if (!m->full)
        write16(p, back - begin);
    patch(m, at);
}

/* Lines, and what ends them, any number of times. */
static bool emit_lines(struct refuter_maker *m, const struct tree *t, const struct next *next)
{
    const struct tree *line = t->child->kind == TREE_SEQ ? t->child->child : NULL,
                      *end = line ? line->next : NULL;
    struct byteset inside, ends;
    if (t->min || t->max != UINT32_MAX || !end || end->next || line->kind != TREE_REPEAT ||
        end->kind != TREE_REPEAT || line->min != 1 || end->min != 1 || end->max != UINT32_MAX ||
        !refute_single(&m->parsed, line->child, &inside) ||
        !refute_single(&m->parsed, end->child, &ends))
        return false;
    inside = byteset_not(inside);
    if (byteset_size(&ends) != 1 || memcmp(&inside, &ends, sizeof ends) != 0 || next->end ||
        refute_overlap(&next->set, &ends))
        return false;
    uint8_t mask, value, *p = put(m, OP_LINES, 5);
    if (masked(&ends, &mask, &value))
        *p = value;
    write16(p + 1, line->max < NO_BOUND ? line->max : NO_BOUND);
    write16(p + 3, number(m, next->set));
    return true;
}

static void emit_repeat(struct refuter_maker *m, const struct tree *t, const struct next *next)
{
    struct byteset set;
    const struct tree *child = t->child;
    unsigned must, may, max = next->accept ? t->min : t->max;
    if (refute_single(&m->parsed, child, &set)) {
        emit_loop(m, set, t->min, max, next);
        return;
    }
    if (max == 0 || emit_lines(m, t, next))
        return;
    if (tree_shortest(child) == 0 && max > 1) {
        set = refute_alphabet(&m->parsed, child);
        if (byteset_empty(&set) && t->min)
            emit_list(m, child, next);
        else if (!byteset_empty(&set))
            emit_loop(m, set, 0, UINT32_MAX, next);
        return;
    }
    refute_copies(t, &must, &may);
    may = next->accept ? 0 : may;
    struct next first = refute_first_of(&m->parsed, child, next), then = *next;
    refute_add_next(&then, &first);
    for (unsigned i = 0; i < must && !m->full; i++)
        emit_list(m, child, i + 1 < must ? &first : may ? &then : next);
    if (may == UINT32_MAX) {
        emit_again(m, child, next);
        return;
    }
    size_t left[REFUTE_OPTIONAL];
    bool only = !first.end && !refute_overlap(&first.set, &next->set);
    for (unsigned i = 0; i < may; i++) {
        left[i] = emit_choice(m, &first, only);
        emit_list(m, child, i + 1 < may ? &then : next);
    }
    for (unsigned i = 0; i < may; i++)
        patch(m, left[i]);
}

/* --- alternatives: their order does not matter here --- */

/* Of those that are one byte, one. Returns how many are left. */
static size_t join_singles(struct refuter_maker *m, const struct tree **v, size_t n)
{
    struct byteset all = {{0}}, set;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (v[i] && !v[i]->next && refute_single(&m->parsed, v[i], &set))
            all = byteset_or(all, set);
        else
            v[kept++] = v[i];
    if (kept == n)
        return n;
    struct tree *t = ARENA_NEW(m->work, struct tree);
    t->set = byteset_number(&m->parsed, all);
    t->kind = t->set == BYTESET_NONE ? TREE_ANY : TREE_SET;
    m->dropped |= t->kind == TREE_ANY;
    v[kept++] = t;
    return kept;
}

static struct next first_of_all(const struct refuter_maker *m, const struct tree **v, size_t n,
                                const struct next *next)
{
    struct next all = {0};
    for (size_t i = 0; i < n; i++) {
        struct next one = refute_first_of_list(&m->parsed, v[i], next);
        refute_add_next(&all, &one);
    }
    return all;
}

static void swap(const struct tree **x, const struct tree **y)
{
    const struct tree *t = *x;
    *x = *y;
    *y = t;
}

/* Those that begin with the same set as v[0] come first; their number. */
static size_t gather(const struct tree **v, size_t n)
{
    size_t same = 1;
    for (size_t i = 1; i < n && v[0] && v[0]->kind == TREE_SET; i++)
        if (v[i] && v[i]->kind == TREE_SET && v[i]->set == v[0]->set)
            swap(&v[same++], &v[i]);
    return same;
}

static void emit_alternatives(struct refuter_maker *m, const struct tree **v, size_t n,
                              const struct next *next);

/* Alternatives that begin with the same set, or a single one. */
static void emit_same(struct refuter_maker *m, const struct tree **v, size_t n,
                      const struct next *next)
{
    if (n == 1) {
        emit_list(m, v[0], next);
        return;
    }
    const struct tree **rest = arena_array(m->work, n, sizeof *rest);
    emit_set(m, OP_SET, m->parsed.v[v[0]->set]);
    for (size_t i = 0; i < n; i++)
        rest[i] = v[i]->next;
    emit_alternatives(m, rest, n, next);
}

static void emit_alternatives(struct refuter_maker *m, const struct tree **v, size_t n,
                              const struct next *next)
{
    n = join_singles(m, v, n);
    const struct next all = first_of_all(m, v, n, next);
    size_t *jumps = arena_array(m->work, n + 1, sizeof *jumps), njumps = 0;
    if (all.accept) {
        (void)put(m, OP_MATCH, 0);
        return;
    }
    if (n > 2 && !all.end)
        emit_set(m, OP_NEXT, all.set);
    while (n && !m->full) {
        size_t same = gather(v, n);
        if (same == n) {
            emit_same(m, v, n, next);
            break;
        }
        struct next first = refute_first_of_list(&m->parsed, v[0], next),
                    rest = first_of_all(m, v + same, n - same, next);
        size_t at = emit_choice(m, &first, !refute_overlap(&first.set, &rest.set));
        emit_same(m, v, same, next);
        jumps[njumps++] = m->full ? NOWHERE : m->size;
        (void)put(m, OP_JUMP, 2);
        patch(m, at);
        v += same;
        n -= same;
    }
    for (size_t i = 0; i < njumps; i++)
        patch(m, jumps[i]);
}

static void emit_alt(struct refuter_maker *m, const struct tree *t, const struct next *next)
{
    size_t n = 0;
    for (const struct tree *k = t->child; k; k = k->next)
        n++;
    const struct tree **v = arena_array(m->work, n + 1, sizeof *v);
    n = 0;
    for (const struct tree *k = t->child; k; k = k->next)
        v[n++] = k->child; /* each is a sequence */
    emit_alternatives(m, v, n, next);
}

/* --- what has no width --- */

static bool emit_lookahead(struct refuter_maker *m, const struct tree *t)
{
    const struct next rest = refute_whatever();
    emit_list(m, t, &rest);
    (void)put(m, OP_MATCH, 0);
    return true;
}

/* Alternatives of fixed length, each of which is tried so far back. */
static bool emit_lookbehind(struct refuter_maker *m, const struct tree *t)
{
    const struct next rest = refute_whatever();
    bool several = t->kind == TREE_ALT;
    for (const struct tree *k = several ? t->child : t; k; k = several ? k->next : NULL) {
        size_t length, at = m->size;
        if (!refute_fixed_length(k, &length))
            return false;
        if (several && k->next)
            (void)put(m, OP_SPLIT, 2);
        write16(put(m, OP_BACK, 2), length);
        emit_list(m, several ? k->child : k, &rest);
        (void)put(m, OP_MATCH, 0);
        if (several && k->next)
            patch(m, at);
    }
    return true;
}

/* What t says about this place. One that is negated must be told exactly or not at all. */
static void emit_look(struct refuter_maker *m, const struct tree *t, bool negated,
                      bool (*inside)(struct refuter_maker *m, const struct tree *t))
{
    bool ahead = inside == emit_lookahead, dropped = m->dropped, known;
    struct byteset set;
    size_t at = m->size;
    if (m->full)
        return;
    if (refute_single(&m->parsed, t, &set)) {
        emit_set(m,
                 ahead     ? negated ? OP_NOT_NEXT : OP_NEXT
                 : negated ? OP_NOT_BEHIND
                           : OP_BEHIND,
                 set);
        return;
    }
    m->dropped = m->looks == REFUTE_LOOKS || (negated && !refute_exact(&m->parsed, t));
    if (m->dropped)
        return;
    m->looks++;
    (void)put(m, negated ? OP_NOT_LOOK : OP_LOOK, 2);
    known = inside(m, t) && !m->full && !(negated && m->dropped);
    patch(m, at);
    if (!known) {
        m->size = at;
        m->full = false;
        m->dropped = true;
    }
    m->dropped |= dropped;
    m->looks--;
}

static void emit_test(struct refuter_maker *m, const struct tree *t)
{
    static const enum op ops[] = {
        [TEST_START] = OP_START,
        [TEST_LINE_START] = OP_LINE_START,
        [TEST_LAST_LINE] = OP_LAST_LINE,
        [TEST_LINE_END] = OP_LINE_END,
        [TEST_END] = OP_END,
        [TEST_EDGE] = OP_EDGE,
        [TEST_NO_EDGE] = OP_NO_EDGE,
    };
    switch (t->test) {
    case TEST_NONE:
    case TEST_BEGIN:
        break;
    case TEST_NOT_AHEAD:
        emit_look(m, t->look, true, emit_lookahead);
        break;
    case TEST_BEHIND:
    case TEST_NOT_BEHIND:
        emit_look(m, t->look, t->test == TEST_NOT_BEHIND, emit_lookbehind);
        break;
    default:
        (void)put(m, ops[t->test], 0);
    }
}

/* --- all kinds --- */

static void emit_capture(struct refuter_maker *m, enum op op, unsigned number)
{
    *put(m, op, 1) = (uint8_t)(number - 1);
    m->captures = number > m->captures ? number : m->captures;
}

static void emit_one(struct refuter_maker *m, const struct tree *t, const struct next *next)
{
    if (t->capture)
        emit_capture(m, OP_OPEN, t->capture);
    switch (t->kind) {
    case TREE_SET:
        emit_set(m, OP_SET, m->parsed.v[t->set]);
        break;
    case TREE_SEQ:
        emit_list(m, t->child, next);
        break;
    case TREE_ALT:
        emit_alt(m, t, next);
        break;
    case TREE_REPEAT:
        emit_repeat(m, t, next);
        break;
    case TREE_AHEAD:
        emit_look(m, t->child, false, emit_lookahead);
        break;
    case TREE_ANY:
        if (tree_is_reference(t))
            emit_capture(m, t->folded ? OP_SAME_TEXT : OP_SAME, t->of->capture);
        else
            (void)put(m, OP_MATCH, 0);
        break;
    default:
        emit_test(m, t);
    }
    if (t->capture)
        emit_capture(m, OP_CLOSE, t->capture);
}

/* The bytes that the list begins with, as one operation; what is behind them. */
static const struct tree *emit_text(struct refuter_maker *m, const struct tree *list)
{
    uint8_t pairs[2 * TEXT_MAX];
    size_t n = 0;
    for (; list && list->kind == TREE_SET && n < TEXT_MAX; list = list->next, n++)
        if (!masked(&m->parsed.v[list->set], &pairs[2 * n], &pairs[2 * n + 1]))
            break;
    if (n == 1)
        memcpy(put(m, OP_BYTE, 2), pairs, 2);
    if (n > 1) {
        uint8_t *p = put(m, OP_TEXT, 1 + 2 * n);
        p[0] = (uint8_t)n;
        memcpy(p + 1, pairs, 2 * n);
    }
    return list;
}

static void emit_list(struct refuter_maker *m, const struct tree *list, const struct next *next)
{
    while (list && !m->full) {
        const struct tree *behind = emit_text(m, list);
        if (behind != list) {
            list = behind;
            continue;
        }
        struct next then = refute_first_of_list(&m->parsed, list->next, next);
        if (refute_first_of(&m->parsed, list, &then).accept) {
            (void)put(m, OP_MATCH, 0);
            return;
        }
        emit_one(m, list, &then);
        list = list->next;
    }
}

/* --- programs --- */

/* Where a match of the list begins, when that is told by its first condition; else TEST_NONE. */
static enum tree_test anchor_of(const struct tree *list)
{
    enum tree_test all, one;
    for (; list; list = list->next) {
        switch (list->kind) {
        case TREE_BOL:
        case TREE_EMPTY:
            if (list->test == TEST_START || list->test == TEST_LINE_START)
                return list->test;
            break;
        case TREE_AHEAD:
            break;
        case TREE_SEQ:
            return anchor_of(list->child);
        case TREE_ALT:
            all = anchor_of(list->child->child);
            for (const struct tree *k = list->child->next; k && all; k = k->next) {
                one = anchor_of(k->child);
                all = one == TEST_NONE || one == all ? one : TEST_LINE_START;
            }
            return all;
        default:
            return TEST_NONE;
        }
    }
    return TEST_NONE;
}

static struct head head_of(struct refuter_maker *m, const struct tree *list)
{
    enum tree_test anchor = anchor_of(list);
    unsigned shortest = 0;
    for (const struct tree *k = list; k && shortest < TREE_SHORTEST_MAX; k = k->next)
        shortest += tree_shortest(k);
    struct head h = {.size = (uint16_t)m->size, .shortest = (uint16_t)shortest};
    if (anchor != TEST_NONE)
        h.begin = anchor == TEST_START ? BEGIN_START : BEGIN_LINE;
    return h;
}

/* Bytes that a pattern begins with and may have more or fewer of: the fewest are enough, if a match
 * may then begin later. Returns the list that stands for it. */
static const struct tree *fewest(struct refuter_maker *m, const struct tree *list, size_t *later)
{
    struct byteset set;
    while (list && list->kind == TREE_SEQ && !list->next && !list->capture)
        list = list->child;
    for (const struct tree *t = list; t && t->kind == TREE_REPEAT; t = t->next) {
        if (!refute_single(&m->parsed, t->child, &set))
            break;
        *later += t->max < NO_BOUND && *later < NO_BOUND ? t->max - t->min : NO_BOUND;
        struct tree *copy = ARENA_NEW(m->work, struct tree);
        *copy = *t;
        copy->max = t->min;
        list = copy;
        if (t->min > 0)
            break;
        list = t->next;
    }
    *later = *later < NO_BOUND ? *later : NO_BOUND;
    return list;
}

/* It matters where the search begins. */
static bool asks_begin(const struct tree *t)
{
    if (t->test == TEST_BEGIN || (t->look && asks_begin(t->look)))
        return true;
    for (const struct tree *k = t->child; k; k = k->next)
        if (asks_begin(k))
            return true;
    return false;
}

static void emit_program(struct refuter_maker *m, const struct tree *t)
{
    const struct next rest = refute_whatever();
    size_t later = 0;
    const struct tree *list = fewest(m, t, &later);
    m->size = 0;
    m->captures = 0;
    m->full = m->dropped = false;
    emit_list(m, list, &rest);
    if (!m->full)
        (void)put(m, OP_MATCH, 0);
    struct head h = head_of(m, list);
    struct firstbytes f = refute_first_bytes(m->program, m->used.v, h.shortest);
    h.exact = refute_exact(&m->parsed, t) && !m->full && !m->dropped;
    h.later = (uint16_t)later;
    h.captures = (uint16_t)m->captures;
    if (m->program[0] == OP_MATCH && !h.begin && !h.shortest) {
        m->size = 0; /* it would say nothing */
        return;
    }
    buf_add(&m->all, span_of((const char *)&h, sizeof h));
    buf_add(&m->all, span_of((const char *)&f, sizeof f));
}

struct refuter_maker *refuter_maker_new(size_t n)
{
    struct refuter_maker *m = xcalloc(1, sizeof *m);
    m->keep = arena_new(0);
    m->work = arena_new(0);
    byteset_table_init(&m->parsed, m->keep);
    byteset_table_init(&m->used, m->keep);
    m->at = arena_array(m->keep, n + 1, sizeof *m->at);
    m->n = n;
    buf_char(&m->all, '\0'); /* 0 is no place */
    return m;
}

void refuter_add(struct refuter_maker *m, uint32_t number, struct span pattern)
{
    if (number >= m->n || m->at[number])
        return;
    const struct tree *t = tree_parse(&m->parsed, m->work, pattern);
    size_t at = buf_span(&m->all).n;
    if (t && asks_begin(t))
        t = NULL;
    if (t)
        emit_program(m, t);
    if (t && m->size && at < UINT32_MAX) {
        buf_add(&m->all, span_of((const char *)m->program, m->size));
        m->at[number] = (uint32_t)at;
    }
    arena_reset(m->work);
}

struct refuter *refuter_finish(struct refuter_maker *m, struct arena *a)
{
    struct refuter *r = ARENA_NEW(a, struct refuter);
    r->n = m->n;
    r->at = arena_array(a, m->n + 1, sizeof *r->at);
    memcpy(r->at, m->at, m->n * sizeof *r->at);
    struct span code = arena_dup(a, buf_span(&m->all));
    r->code = (uint8_t *)(uintptr_t)code.p;
    r->size = code.n;
    r->nsets = m->used.n;
    r->sets = arena_array(a, r->nsets + 1, sizeof *r->sets);
    for (size_t i = 0; i < r->nsets; i++)
        r->sets[i] = byteclass_of(&m->used.v[i]);
    buf_free(&m->all);
    arena_free(m->keep);
    arena_free(m->work);
    free(m);
    return r;
}
