/* A pattern with alternatives as several patterns without: each of them holds more that can be
 * looked for than all have in common. */
#include "pattern/tree.h"

/* Shorter alternatives are spellings of a letter and the like. */
enum { ALTERNATIVE_SHORTEST = 2 };

static bool worth(const struct tree *t)
{
    for (const struct tree *k = t->child; k; k = k->next)
        if (tree_shortest(k) < ALTERNATIVE_SHORTEST)
            return false;
    return true;
}

static size_t count(const struct tree *t)
{
    size_t n = 0;
    for (const struct tree *k = t->child; k; k = k->next)
        n++;
    return n;
}

/* The first alternatives that always take part in a match, and are at most `most`. */
static const struct tree *find(const struct tree *t, size_t most)
{
    const struct tree *found = NULL;
    if (t->kind == TREE_ALT)
        return worth(t) && count(t) <= most ? t : NULL;
    if (t->kind == TREE_SEQ)
        for (const struct tree *k = t->child; k && !found; k = k->next)
            found = find(k, most);
    return found;
}

/* A copy of t, but with `by` in the place of `what`; deeper parts are shared. */
static struct tree *replaced(struct arena *a, const struct tree *t, const struct tree *what,
                             const struct tree *by)
{
    struct tree *copy = ARENA_NEW(a, struct tree);
    *copy = t == what ? *by : *t;
    copy->next = NULL;
    if (t == what || t->kind != TREE_SEQ)
        return copy;
    copy->child = copy->last = NULL;
    for (const struct tree *k = t->child; k; k = k->next) {
        struct tree *one = replaced(a, k, what, by);
        if (copy->last)
            copy->last->next = one;
        else
            copy->child = one;
        copy->last = one;
    }
    return copy;
}

size_t tree_variants(struct arena *a, const struct tree *t, const struct tree **out, size_t max)
{
    size_t n = 1;
    out[0] = t;
    for (size_t i = 0; i < n;) {
        const struct tree *whole = out[i], *alternatives = find(whole, max - n + 1);
        if (!alternatives) {
            i++;
            continue;
        }
        size_t at = i;
        for (const struct tree *k = alternatives->child; k; k = k->next) {
            out[at] = replaced(a, whole, alternatives, k);
            at = at == i ? n : at + 1;
        }
        n += count(alternatives) - 1;
    }
    return n;
}
