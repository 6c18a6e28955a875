#include "pattern/refute_tree.h"

#include "pattern/refute_private.h"

bool refute_overlap(const struct byteset *x, const struct byteset *y)
{
    return (x->w[0] & y->w[0]) | (x->w[1] & y->w[1]) | (x->w[2] & y->w[2]) | (x->w[3] & y->w[3]);
}

static struct byteset refute_both(const struct byteset *x, const struct byteset *y)
{
    return (struct byteset){
        {x->w[0] & y->w[0], x->w[1] & y->w[1], x->w[2] & y->w[2], x->w[3] & y->w[3]}};
}

bool refute_single(const struct byteset_table *sets, const struct tree *t, struct byteset *set)
{
    struct byteset one;
    if (t->capture)
        return false;
    switch (t->kind) {
    case TREE_SET:
        *set = sets->v[t->set];
        return true;
    case TREE_SEQ:
        return t->child && !t->child->next && refute_single(sets, t->child, set);
    case TREE_REPEAT:
        return t->min == 1 && t->max == 1 && refute_single(sets, t->child, set);
    case TREE_ALT:
        *set = (struct byteset){{0}};
        for (const struct tree *k = t->child; k; k = k->next) {
            if (!refute_single(sets, k, &one))
                return false;
            *set = byteset_or(*set, one);
        }
        return true;
    default:
        return false;
    }
}

struct byteset refute_alphabet(const struct byteset_table *sets, const struct tree *t)
{
    struct byteset s = {{0}};
    if (t->kind == TREE_SET)
        return sets->v[t->set];
    if (t->kind == TREE_ANY)
        return BYTESET_ALL;
    if (t->kind == TREE_AHEAD)
        return s;
    for (const struct tree *k = t->child; k; k = k->next)
        s = byteset_or(s, refute_alphabet(sets, k));
    return s;
}

static unsigned nodes(const struct tree *t)
{
    unsigned n = 1;
    for (const struct tree *k = t->child; k && n < REFUTE_WRITTEN; k = k->next)
        n += nodes(k);
    return n;
}

void refute_copies(const struct tree *t, unsigned *must, unsigned *may)
{
    unsigned most = REFUTE_WRITTEN / nodes(t->child);
    most = most < 2 ? 2 : most;
    *must = t->min < most ? t->min : most;
    *may = *must < t->min || t->max - t->min > REFUTE_OPTIONAL ? UINT32_MAX : t->max - t->min;
}

bool refute_exact(const struct byteset_table *sets, const struct tree *t)
{
    struct byteset set;
    unsigned must, may;
    if (t->loose || (t->kind == TREE_ANY && !tree_is_reference(t)) || t->test == TEST_BEGIN ||
        (t->look && !refute_exact(sets, t->look)))
        return false;
    for (const struct tree *k = t->child; k; k = k->next)
        if (!refute_exact(sets, k))
            return false;
    if (t->kind != TREE_REPEAT || t->max == 0)
        return true;
    if (refute_single(sets, t->child, &set))
        return t->min < NO_BOUND && (t->max < NO_BOUND || t->max == UINT32_MAX);
    refute_copies(t, &must, &may);
    return tree_shortest(t->child) > 0 && must == t->min &&
           (may != UINT32_MAX || t->max == UINT32_MAX);
}

bool refute_fixed_length(const struct tree *t, size_t *n)
{
    size_t one;
    switch (t->kind) {
    case TREE_SET:
        *n = 1;
        return true;
    case TREE_SEQ:
        *n = 0;
        for (const struct tree *k = t->child; k; k = k->next, *n += one)
            if (!refute_fixed_length(k, &one))
                return false;
        return *n < REFUTE_PROGRAM;
    case TREE_ALT:
        if (!refute_fixed_length(t->child, n))
            return false;
        for (const struct tree *k = t->child->next; k; k = k->next)
            if (!refute_fixed_length(k, &one) || one != *n)
                return false;
        return true;
    case TREE_REPEAT:
        if (t->min != t->max || !refute_fixed_length(t->child, &one))
            return false;
        *n = one * t->min;
        return *n < REFUTE_PROGRAM;
    case TREE_ANY:
        return false;
    default:
        *n = 0;
        return true;
    }
}

/* --- what comes first --- */

struct next refute_whatever(void)
{
    return (struct next){BYTESET_ALL, true, true};
}

struct next refute_first_of_list(const struct byteset_table *sets, const struct tree *list,
                                 const struct next *next)
{
    if (!list)
        return *next;
    if (tree_shortest(list) > 0)
        return refute_first_of(sets, list, next);
    struct next rest = refute_first_of_list(sets, list->next, next);
    return refute_first_of(sets, list, &rest);
}

void refute_add_next(struct next *x, const struct next *y)
{
    x->set = byteset_or(x->set, y->set);
    x->end |= y->end;
    x->accept |= y->accept;
}

static struct next first_of_test(const struct byteset_table *sets, const struct tree *t,
                                 const struct next *next)
{
    const struct byteset lf = byteset_range('\n', '\n');
    struct next n = *next;
    struct byteset set;
    n.accept &= t->test == TEST_NONE;
    if (t->test == TEST_LAST_LINE || t->test == TEST_LINE_END)
        n.set = refute_both(&n.set, &lf);
    else if (t->test == TEST_END)
        n.set = (struct byteset){{0}};
    else if (t->test == TEST_NOT_AHEAD && refute_single(sets, t->look, &set)) {
        set = byteset_not(set);
        n.set = refute_both(&n.set, &set);
    }
    return n;
}

/* What the group's text began with. */
static struct next first_of_reference(const struct byteset_table *sets, const struct tree *t)
{
    const struct next rest = refute_whatever();
    struct next n = {BYTESET_ALL, true, false};
    if (t->min > 0 && !t->of->refers) { /* references in references could be followed for long */
        n.set = refute_first_of(sets, t->of, &rest).set;
        n.set = t->folded ? byteset_folded(n.set) : n.set;
    }
    n.end = t->min == 0;
    return n;
}

struct next refute_first_of(const struct byteset_table *sets, const struct tree *t,
                            const struct next *next)
{
    struct next n = {0}, one;
    const struct next rest = refute_whatever();
    switch (t->kind) {
    case TREE_SET:
        n.set = sets->v[t->set];
        return n;
    case TREE_SEQ:
        return refute_first_of_list(sets, t->child, next);
    case TREE_ALT:
        for (const struct tree *k = t->child; k; k = k->next) {
            one = refute_first_of(sets, k, next);
            refute_add_next(&n, &one);
        }
        return n;
    case TREE_REPEAT:
        if (t->max)
            n = refute_first_of(sets, t->child, next);
        if (t->min == 0)
            refute_add_next(&n, next);
        return n;
    case TREE_AHEAD:
        one = refute_first_of(sets, t->child, &rest);
        n = *next;
        n.set = refute_both(&n.set, &one.set);
        n.end &= one.end;
        n.accept &= one.accept;
        return n;
    case TREE_ANY:
        return tree_is_reference(t) ? first_of_reference(sets, t) : rest;
    default:
        return first_of_test(sets, t, next);
    }
}
