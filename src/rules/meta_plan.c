#include "rules/meta_plan.h"

#include "rules/ruleset_private.h"

enum { SETS_MAX = 16, MEMBERS_MAX = 64, WORD = 64 };

/* Rules of which one at least must hit. */
struct set {
    uint32_t *v;
    size_t n;
};

/* What is known of an expression: when it can be something else than 0. */
struct condition {
    bool never;    /* it can't */
    bool constant; /* it is `number` */
    bool positive; /* never below 0 */
    double number;
    struct set *sets; /* one rule of each of them has hit; none: nothing is known */
    size_t n;
};

struct reader {
    struct arena *a; /* scratch */
    const struct ruleset *rs;
    const struct meta *m;
    struct condition *stack; /* as many as there are operations are enough */
    size_t top;
};

static const struct condition unknown;

static struct condition number(double x)
{
    return (struct condition){.never = x == 0, .constant = true, .positive = x >= 0, .number = x};
}

static struct condition operand(struct reader *r, uint32_t index)
{
    struct condition c = {.positive = true};
    if (r->rs->rules[index].base != 0)
        return c;
    uint32_t *member = arena_raw(r->a, sizeof *member);
    *member = index;
    c.sets = ARENA_NEW(r->a, struct set);
    *c.sets = (struct set){member, 1};
    c.n = 1;
    return c;
}

/* Both must be something else than 0. */
static struct condition both(struct reader *r, const struct condition *x, const struct condition *y)
{
    struct condition c = {.never = x->never || y->never, .positive = x->positive && y->positive};
    c.sets = arena_array(r->a, x->n + y->n + 1, sizeof *c.sets);
    for (size_t i = 0; i < x->n && c.n < SETS_MAX; i++)
        c.sets[c.n++] = x->sets[i];
    for (size_t i = 0; i < y->n && c.n < SETS_MAX; i++)
        c.sets[c.n++] = y->sets[i];
    return c;
}

static struct set joined(struct reader *r, const struct set *x, const struct set *y)
{
    struct set s = {arena_array(r->a, x->n + y->n, sizeof *s.v), x->n + y->n};
    memcpy(s.v, x->v, x->n * sizeof *s.v);
    memcpy(s.v + x->n, y->v, y->n * sizeof *s.v);
    return s;
}

/* One of them must. Each set of the one together with each set of the other. */
static struct condition either(struct reader *r, const struct condition *x,
                               const struct condition *y)
{
    bool positive = x->positive && y->positive;
    struct condition c = x->never ? *y : *x;
    if (!x->never && !y->never) {
        c = unknown;
        c.sets = arena_array(r->a, SETS_MAX, sizeof *c.sets);
        for (size_t i = 0; i < x->n; i++)
            for (size_t k = 0; k < y->n && c.n < SETS_MAX; k++)
                if (x->sets[i].n + y->sets[k].n <= MEMBERS_MAX)
                    c.sets[c.n++] = joined(r, &x->sets[i], &y->sets[k]);
    }
    c.constant = false;
    c.positive = positive;
    return c;
}

/* x > y, or x >= y. */
static struct condition greater(const struct condition *x, const struct condition *y, bool or_equal)
{
    struct condition c = unknown;
    bool above_zero = or_equal ? y->constant && y->number > 0 : y->positive;
    if (above_zero)
        c = *x;
    c.constant = false;
    c.positive = true;
    return c;
}

static struct condition equal(const struct condition *x, const struct condition *y)
{
    struct condition c = unknown;
    if (y->constant && y->number != 0)
        c = *x;
    else if (x->constant && x->number != 0)
        c = *y;
    c.constant = false;
    c.positive = true;
    return c;
}

static struct condition computed(struct reader *r, enum meta_opcode code, const struct condition *x,
                                 const struct condition *y)
{
    struct condition c = unknown;
    switch (code) {
    case META_MUL:
        return both(r, x, y);
    case META_DIV: /* by 0 is 0 */
        c = *x;
        c.constant = false;
        c.positive = x->positive && y->positive;
        return c;
    case META_ADD:
        return either(r, x, y);
    case META_XOR:
    case META_NE:
        c = either(r, x, y); /* both 0: equal */
        c.positive = true;
        return c;
    case META_SUB:
        c = either(r, x, y);
        c.positive = false;
        return c;
    case META_GT:
    case META_GE:
        return greater(x, y, code == META_GE);
    case META_LT:
    case META_LE:
        return greater(y, x, code == META_LE);
    default:
        return equal(x, y);
    }
}

static struct condition unary(enum meta_opcode code, const struct condition *x)
{
    struct condition c = *x;
    if (code == META_NOT)
        return (struct condition){.positive = true};
    c.number = -x->number;
    c.positive = false;
    return c;
}

static struct condition read_range(struct reader *r, size_t from, size_t to);

/* At an operation that may jump, with its left side on the stack. The right side takes its place;
 * i goes to the last operation that has been read. */
static void read_jump(struct reader *r, size_t *i)
{
    const struct meta_op *ops = r->m->ops, *op = &ops[*i];
    struct condition *left = &r->stack[r->top - 1];
    if (op->code != META_JUMP_FALSE) {
        struct condition right = read_range(r, *i + 1, op->index);
        *left = op->code == META_AND ? both(r, left, &right) : either(r, left, &right);
        *i = op->index - 1;
        return;
    }
    size_t jump = op->index - 1; /* A ? B : C; the last operation of B jumps over C */
    struct condition yes = read_range(r, *i + 1, jump);
    struct condition no = read_range(r, jump + 1, ops[jump].index);
    yes = both(r, left, &yes);
    *left = either(r, &yes, &no);
    *i = ops[jump].index - 1;
}

/* The operations from..to, which leave one value. As deep as parentheses were (META_NESTING). */
static struct condition read_range(struct reader *r, size_t from, size_t to)
{
    size_t bottom = r->top;
    for (size_t i = from; i < to; i++) {
        const struct meta_op *op = &r->m->ops[i];
        struct condition *last = r->stack + r->top - 1;
        switch (op->code) {
        case META_NUMBER:
            r->stack[r->top++] = number(r->m->numbers[op->index]);
            break;
        case META_RULE:
            r->stack[r->top++] = operand(r, op->index);
            break;
        case META_NOT:
        case META_NEG:
            *last = unary(op->code, last);
            break;
        case META_AND:
        case META_OR:
        case META_JUMP_FALSE:
            read_jump(r, &i);
            break;
        default:
            last[-1] = computed(r, op->code, &last[-1], last);
            r->top--;
        }
    }
    struct condition result = r->top > bottom ? r->stack[r->top - 1] : unknown;
    r->top = bottom;
    return result;
}

/* Everything the meta names. */
static struct set operands(struct reader *r)
{
    struct set s = {arena_array(r->a, r->m->nops + 1, sizeof *s.v), 0};
    for (size_t i = 0; i < r->m->nops; i++)
        if (r->m->ops[i].code == META_RULE)
            s.v[s.n++] = r->m->ops[i].index;
    return s;
}

/* --- the plan --- */

struct new_edge {
    uint32_t rule;
    struct meta_edge edge;
};

struct maker {
    struct arena *scratch;
    struct meta_plan *p;
    struct new_edge *v;
    size_t n, cap;
};

static void add_set(struct maker *k, const struct set *s, size_t meta)
{
    const struct meta_edge e = {(uint32_t)k->p->nsets, (uint32_t)meta};
    for (size_t i = 0; i < s->n; i++)
        *ARENA_PUSH(k->scratch, k->v, k->n, k->cap) = (struct new_edge){s->v[i], e};
    k->p->nsets++;
    k->p->open[meta]++;
}

static void add_meta(struct maker *k, const struct ruleset *rs, size_t meta)
{
    struct reader r = {.a = k->scratch, .rs = rs, .m = rs->metas[meta]->meta};
    struct condition c = unknown;
    r.stack = arena_array(r.a, r.m->nops + 1, sizeof *r.stack);
    if (rs->metas[meta]->base == 0)
        c = read_range(&r, 0, r.m->nops);
    else
        k->p->always[meta / WORD] |= (uint64_t)1 << meta % WORD;
    if (c.never)
        return;
    for (size_t i = 0; i < c.n; i++)
        add_set(k, &c.sets[i], meta);
    if (c.n == 0) {
        struct set any = operands(&r);
        add_set(k, &any, meta);
    }
}

/* Edges in the order of their rules. */
static void sort_edges(struct maker *k, struct arena *a, size_t nrules)
{
    struct meta_plan *p = k->p;
    p->first = arena_array(a, nrules + 2, sizeof *p->first);
    p->edges = arena_array(a, k->n + 1, sizeof *p->edges);
    for (size_t i = 0; i < k->n; i++)
        p->first[k->v[i].rule + 2]++;
    for (size_t i = 2; i < nrules + 2; i++)
        p->first[i] += p->first[i - 1];
    for (size_t i = 0; i < k->n; i++)
        p->edges[p->first[k->v[i].rule + 1]++] = k->v[i].edge;
}

/* Copies of all operations and numbers, in the order of evaluation. */
static void place_code(struct meta_plan *p, struct arena *a, const struct ruleset *rs)
{
    size_t nops = 0, nnumbers = 0;
    for (size_t i = 0; i < rs->nmetas; i++) {
        nops += rs->metas[i]->meta->nops;
        nnumbers += rs->metas[i]->meta->nnumbers;
    }
    struct meta_op *ops = arena_array(a, nops + 1, sizeof *ops);
    double *numbers = arena_array(a, nnumbers + 1, sizeof *numbers);
    p->code = arena_array(a, rs->nmetas + 1, sizeof *p->code);
    for (size_t i = 0; i < rs->nmetas; i++) {
        const struct rule *r = rs->metas[i];
        const struct meta *m = r->meta;
        p->code[i] = (struct meta_code){ops, numbers, (uint32_t)m->nops, r->index, r->base};
        memcpy(ops, m->ops, m->nops * sizeof *ops);
        memcpy(numbers, m->numbers, m->nnumbers * sizeof *numbers);
        ops += m->nops;
        numbers += m->nnumbers;
    }
}

struct meta_plan *meta_plan_new(struct arena *a, const struct ruleset *rs)
{
    struct maker k = {.scratch = arena_new(0), .p = ARENA_NEW(a, struct meta_plan)};
    k.p->nmetas = rs->nmetas;
    k.p->open = arena_alloc(a, rs->nmetas + 1);
    k.p->always = arena_array(a, rs->nmetas / WORD + 1, sizeof *k.p->always);
    for (size_t i = 0; i < rs->nmetas; i++)
        add_meta(&k, rs, i);
    sort_edges(&k, a, rs->nrules);
    place_code(k.p, a, rs);
    arena_free(k.scratch);
    return k.p;
}

/* --- a message --- */

struct meta_run *meta_run_new(struct arena *a, const struct meta_plan *p)
{
    struct meta_run *r = ARENA_NEW(a, struct meta_run);
    *r = (struct meta_run){.plan = p,
                           .open = arena_alloc(a, p->nmetas + 1),
                           .ticked = arena_array(a, p->nsets / WORD + 1, sizeof *r->ticked),
                           .due = arena_array(a, p->nmetas / WORD + 1, sizeof *r->due)};
    return r;
}

void meta_run_begin(struct meta_run *r)
{
    const struct meta_plan *p = r->plan;
    memcpy(r->open, p->open, p->nmetas);
    memset(r->ticked, 0, (p->nsets / WORD + 1) * sizeof *r->ticked);
    memcpy(r->due, p->always, (p->nmetas / WORD + 1) * sizeof *r->due);
}

void meta_run_expect(const struct meta_run *r, uint32_t index)
{
    __builtin_prefetch(&r->plan->edges[r->plan->first[index]]);
}

void meta_run_changed(struct meta_run *r, uint32_t index)
{
    const struct meta_plan *p = r->plan;
    for (uint32_t i = p->first[index]; i < p->first[index + 1]; i++) {
        struct meta_edge e = p->edges[i];
        uint64_t *word = &r->ticked[e.set / WORD], bit = (uint64_t)1 << e.set % WORD;
        if (*word & bit)
            continue;
        *word |= bit;
        if (--r->open[e.meta] == 0) {
            r->due[e.meta / WORD] |= (uint64_t)1 << e.meta % WORD;
            __builtin_prefetch(&p->code[e.meta]);
        }
    }
}

size_t meta_run_next(const struct meta_run *r, size_t from, bool *compute)
{
    size_t n = r->plan->nmetas;
    for (size_t at = from; at < n; at = (at / WORD + 1) * WORD) {
        uint64_t word = r->due[at / WORD] >> at % WORD;
        if (!word)
            continue;
        at += (size_t)__builtin_ctzll(word);
        *compute = r->open[at] == 0 && r->plan->open[at] != 0;
        return at;
    }
    return SIZE_MAX;
}
