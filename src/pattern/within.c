/* What is left of a pattern in texts that do not hold some bytes. */
#include "pattern/tree.h"

static struct tree *copy_of(struct arena *a, const struct tree *t)
{
    struct tree *copy = ARENA_NEW(a, struct tree);
    *copy = *t;
    copy->child = copy->last = copy->next = NULL;
    return copy;
}

static void add(struct tree *t, struct tree *child)
{
    if (t->last)
        t->last->next = child;
    else
        t->child = child;
    t->last = child;
}

static struct tree *within_set(struct byteset_table *sets, struct arena *a, const struct tree *t,
                               const struct byteset *alphabet)
{
    struct byteset s = byteset_and(sets->v[t->set], *alphabet);
    if (byteset_empty(&s))
        return NULL;
    struct tree *copy = copy_of(a, t);
    copy->set = byteset_number(sets, s);
    if (copy->set == BYTESET_NONE)
        copy->set = t->set;
    return copy;
}

/* Whether whatever t matches begins with that byte. */
static bool begins_with(const struct byteset_table *sets, const struct tree *t, unsigned char c)
{
    const struct tree *k = t->child;
    switch (t->kind) {
    case TREE_SET:
        return byteset_has(&sets->v[t->set], c) && byteset_size(&sets->v[t->set]) == 1;
    case TREE_SEQ:
        return k && begins_with(sets, k, c);
    case TREE_ALT:
        for (; k; k = k->next)
            if (!begins_with(sets, k, c))
                return false;
        return true;
    default:
        return false;
    }
}

/* Whether t is a sequence in which the two bytes must follow each other. */
static bool holds_pair(const struct byteset_table *sets, const struct tree *t, const char pair[2])
{
    if (t->kind == TREE_SEQ)
        for (const struct tree *k = t->child; k && k->next; k = k->next)
            if (k->kind == TREE_SET && begins_with(sets, k, (unsigned char)pair[0]) &&
                begins_with(sets, k->next, (unsigned char)pair[1]))
                return true;
    return false;
}

struct tree *tree_within(struct byteset_table *sets, struct arena *a, const struct tree *t,
                         const struct byteset *alphabet, const char pair[2])
{
    if (t->kind == TREE_SET)
        return within_set(sets, a, t, alphabet);
    if (holds_pair(sets, t, pair))
        return NULL;
    struct tree *copy = copy_of(a, t);
    for (const struct tree *k = t->child; k; k = k->next) {
        struct tree *one = tree_within(sets, a, k, alphabet, pair);
        if (one)
            add(copy, one);
        else if (t->kind == TREE_REPEAT && t->min == 0)
            copy->kind = TREE_EMPTY;
        else if (t->kind != TREE_ALT)
            return NULL;
    }
    return t->kind == TREE_ALT && !copy->child ? NULL : copy;
}
