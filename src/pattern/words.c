#include "pattern/words.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "pattern/tree.h"

/* How much of ordinary text the first bytes must make up. */
static const double COMMON = 0.03;

/* Bytes of a pattern that may be words. */
enum { WORDS_PATTERN = 500 };

/* Bytes that are looked at together when words are counted; less than LOOK. */
enum { BLOCK = 64, LOOK = 1 << 16 };

struct words {
    uint32_t weight[256]; /* by byte: 1: it is a word; LOOK: one may begin with it; 0: none does */
    uint32_t first[256];  /* by byte: the words that begin with it */
    struct {
        unsigned n;
        struct byteset set[WORDS_LENGTH];
    } v[WORDS_MAX]; /* in the order of the pattern */
    unsigned n;
};

/* Most patterns have what words do not; and groups that store, or give nothing back, are more than
 * the strings they hold. */
static bool plain(struct span pattern)
{
    if (pattern.n > WORDS_PATTERN)
        return false;
    for (size_t i = 0; i < pattern.n; i++) {
        struct span rest = span_from(pattern, i);
        char c = pattern.p[i];
        if (c == '\\' || span_starts(rest, SPAN("(?:")))
            i += c == '\\' ? 1 : 2;
        else if (c == '(' || c == '*' || c == '+' || c == '?' || c == '{' || c == '^' || c == '$')
            return false;
    }
    return true;
}

static bool add_word(struct words *w, const struct byteset_table *sets, const struct tree *t)
{
    const struct tree *set = t->kind == TREE_SEQ ? t->child : t;
    if (w->n == WORDS_MAX || !set)
        return false;
    unsigned n = 0;
    for (; set; set = t->kind == TREE_SEQ ? set->next : NULL) {
        if (set->kind != TREE_SET || n == WORDS_LENGTH)
            return false;
        w->v[w->n].set[n++] = sets->v[set->set];
    }
    w->v[w->n++].n = n;
    return true;
}

static void note_first(struct words *w)
{
    for (unsigned i = 0; i < w->n; i++)
        for (unsigned c = 0; c < 256; c++)
            if (byteset_has(&w->v[i].set[0], (unsigned char)c))
                w->first[c] |= 1u << i;
    for (unsigned c = 0; c < 256; c++)
        if (w->first[c])
            w->weight[c] = w->v[__builtin_ctz(w->first[c])].n == 1 ? 1 : LOOK;
}

static double share_of_first(const struct words *w, struct byteset_table *sets)
{
    struct byteset all = {{0}};
    for (unsigned i = 0; i < w->n; i++)
        all = byteset_or(all, w->v[i].set[0]);
    uint16_t number = byteset_number(sets, all);
    return number == BYTESET_NONE ? 0 : sets->share[number];
}

struct words *words_new(struct span pattern)
{
    if (!plain(pattern))
        return NULL;
    struct arena *scratch = arena_new(0);
    struct byteset_table sets;
    byteset_table_init(&sets, scratch);
    const struct tree *t = tree_parse(&sets, scratch, pattern);
    while (t && t->kind == TREE_SEQ && t->child && !t->child->next)
        t = t->child;
    struct words *w = xcalloc(1, sizeof *w);
    bool ok = t != NULL;
    if (t && t->kind == TREE_ALT)
        for (const struct tree *k = t->child; k && ok; k = k->next)
            ok = add_word(w, &sets, k);
    else if (t)
        ok = add_word(w, &sets, t);
    ok = ok && share_of_first(w, &sets) >= COMMON;
    if (ok)
        note_first(w);
    arena_free(scratch);
    if (ok)
        return w;
    free(w);
    return NULL;
}

void words_free(struct words *w)
{
    free(w);
}

static bool stands_at(const struct words *w, unsigned i, struct span s, size_t at)
{
    if (w->v[i].n > s.n - at)
        return false;
    for (unsigned k = 1; k < w->v[i].n; k++)
        if (!byteset_has(&w->v[i].set[k], (unsigned char)s.p[at + k]))
            return false;
    return true;
}

/* Bytes of the word that begins at the place; 0: none does. */
static unsigned word_at(const struct words *w, struct span s, size_t at)
{
    for (uint32_t can = w->first[(unsigned char)s.p[at]]; can; can &= can - 1) {
        unsigned i = (unsigned)__builtin_ctz(can);
        if (stands_at(w, i, s, at))
            return w->v[i].n;
    }
    return 0;
}

bool words_find(const struct words *w, struct span s, size_t from, size_t *start, size_t *end)
{
    for (size_t at = from; at < s.n; at++) {
        unsigned n = word_at(w, s, at);
        if (n) {
            *start = at;
            *end = at + n;
            return true;
        }
    }
    return false;
}

size_t words_count(const struct words *w, struct span s, size_t from, size_t most)
{
    size_t found = 0;
    for (size_t at = from; at < s.n && found < most;) {
        size_t end = s.n - at < BLOCK ? s.n : at + BLOCK;
        uint32_t weight = 0;
        for (size_t i = at; i < end; i++)
            weight += w->weight[(unsigned char)s.p[i]];
        if (weight < LOOK) {
            found += weight;
            at = end;
        }
        while (at < end) {
            unsigned n = word_at(w, s, at);
            found += n > 0;
            at += n ? n : 1;
        }
    }
    return found < most ? found : most;
}
