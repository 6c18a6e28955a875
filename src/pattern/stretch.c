#include "pattern/stretch.h"

#include <math.h>

#include "pattern/tree.h"

enum { STRETCH_MIN = 6, STRETCH_MAX = 1 << 20 };
/* Expected at so many of all places at most. */
static const double RARE = 1e-4;

struct finder {
    const struct byteset_table *sets;
    uint16_t set; /* of the stretch under way; 0: none */
    size_t n;
    uint16_t best;
    size_t best_n;
    double best_chance;
};

/* Shares are rough: of a large set, that of the others tells more. */
static double chance_of(const struct finder *f)
{
    double others = byteset_share(byteset_not(f->sets->v[f->set])), own = f->sets->share[f->set];
    return pow(own < 1 - others ? own : 1 - others, (double)f->n);
}

static void end(struct finder *f)
{
    double chance = f->set ? chance_of(f) : 1;
    if (f->n >= STRETCH_MIN && chance < f->best_chance) {
        f->best = f->set;
        f->best_n = f->n;
        f->best_chance = chance;
    }
    f->set = 0;
    f->n = 0;
}

static void extend(struct finder *f, uint16_t set, size_t n)
{
    if (set != f->set)
        end(f);
    f->set = set;
    f->n = f->n + n < STRETCH_MAX ? f->n + n : STRETCH_MAX;
}

/* What every match goes through. */
static void follow(struct finder *f, const struct tree *t)
{
    if (t->kind == TREE_SET) {
        extend(f, t->set, 1);
    } else if (t->kind == TREE_REPEAT && t->child->kind == TREE_SET && t->min > 0) {
        extend(f, t->child->set, t->min); /* that there may be more does not end it */
    } else if (t->kind == TREE_SEQ) {
        for (const struct tree *k = t->child; k; k = k->next)
            follow(f, k);
    } else if (t->kind == TREE_REPEAT && t->min > 0) {
        end(f);
        follow(f, t->child);
        end(f);
    } else if (t->kind != TREE_EMPTY && t->kind != TREE_BOL && t->kind != TREE_AHEAD) {
        end(f);
    }
}

/* Whether some "{n" in the text lets expect one: most patterns need not be taken apart. */
static bool counts(struct span pattern)
{
    for (size_t at; (at = span_find(pattern, '{')) != SIZE_MAX;) {
        pattern = span_from(pattern, at + 1);
        size_t digits = 0;
        while (digits < pattern.n && ascii_isdigit(pattern.p[digits]))
            digits++;
        if (digits > 1 || (digits == 1 && pattern.p[0] - '0' >= STRETCH_MIN / 2))
            return true;
    }
    return false;
}

bool stretch_of(struct span pattern, struct stretch *out)
{
    if (!counts(pattern))
        return false;
    struct arena *scratch = arena_new(0);
    struct byteset_table sets;
    byteset_table_init(&sets, scratch);
    const struct tree *t = tree_parse(&sets, scratch, pattern);
    struct finder f = {.sets = &sets, .best_chance = RARE};
    if (t) {
        follow(&f, t);
        end(&f);
    }
    if (f.best)
        *out = (struct stretch){sets.v[f.best], f.best_n};
    arena_free(scratch);
    return f.best != 0;
}

/* From the last byte that it would have, back to one that does not belong to it: it can only begin
 * behind that. */
bool stretch_stands(const struct stretch *x, struct span s, size_t from)
{
    for (size_t begin = from; s.n >= x->n && begin <= s.n - x->n;) {
        size_t at = begin + x->n;
        while (at > begin && byteset_has(&x->set, (unsigned char)s.p[at - 1]))
            at--;
        if (at == begin)
            return true;
        begin = at;
    }
    return false;
}
