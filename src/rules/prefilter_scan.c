#include "rules/prefilter_private.h"

#include <stdlib.h>

#include "base/xalloc.h"

struct found {
    uint64_t end;
    uint32_t literal;
};

struct prefilter_scratch {
    hs_scratch_t *hs;
    struct found *found;
    size_t nfound, found_cap;
    struct candidate *out;
    size_t nout, out_cap;
    uint32_t *seen;           /* by feature: the last element + 1 */
    uint32_t *element, *bits; /* by pattern: element + 1 and its groups found there */
    uint8_t *count;           /* by pattern and group: places found in that element */
    size_t features, patterns;
    struct buf joined;
    uint64_t *ended;
    size_t ended_cap;
};

struct prefilter_scratch *prefilter_scratch_new(void)
{
    return xcalloc(1, sizeof(struct prefilter_scratch));
}

void prefilter_scratch_fit(struct prefilter_scratch *s, const struct prefilter *f)
{
    if (f->literals && hs_alloc_scratch(f->literals, &s->hs) != HS_SUCCESS)
        abort();
    if (f->nliterals + f->nruns > s->features) {
        s->features = f->nliterals + f->nruns;
        s->seen = xrealloc(s->seen, s->features * sizeof *s->seen);
    }
    if (f->n > s->patterns) {
        s->patterns = f->n;
        s->element = xrealloc(s->element, s->patterns * sizeof *s->element);
        s->bits = xrealloc(s->bits, s->patterns * sizeof *s->bits);
        s->count = xrealloc(s->count, s->patterns * NEED_GROUPS);
    }
    size_t words = f->runs ? f->runs->words : 0;
    if (words > s->ended_cap) {
        s->ended_cap = words;
        s->ended = xrealloc(s->ended, words * sizeof *s->ended);
    }
}

void prefilter_scratch_free(struct prefilter_scratch *s)
{
    if (!s)
        return;
    hs_free_scratch(s->hs);
    free(s->found);
    free(s->out);
    free(s->seen);
    free(s->element);
    free(s->bits);
    free(s->count);
    free(s->ended);
    buf_free(&s->joined);
    free(s);
}

static int on_literal(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                      void *ctx)
{
    struct prefilter_scratch *s = ctx;
    (void)from, (void)flags;
    if (id == PREFILTER_NOBODY)
        return 0;
    if (s->nfound == s->found_cap) {
        s->found_cap = s->found_cap ? 2 * s->found_cap : 1024;
        s->found = xrealloc(s->found, s->found_cap * sizeof *s->found);
    }
    s->found[s->nfound++] = (struct found){to, id};
    return 0;
}

static int by_end(const void *x, const void *y)
{
    uint64_t a = ((const struct found *)x)->end, b = ((const struct found *)y)->end;
    return a < b ? -1 : a > b;
}

/* All literals in all elements, by place. The elements are joined by LF for one scan; a literal
 * that spans two of them is a false alarm and no more. */
static void find_literals(const struct prefilter *f, struct prefilter_scratch *s,
                          const struct span *elements, size_t n)
{
    struct span text = elements[0];
    s->nfound = 0;
    if (!f->literals)
        return;
    if (n > 1) {
        buf_clear(&s->joined);
        for (size_t i = 0; i < n; i++) {
            buf_add(&s->joined, elements[i]);
            buf_char(&s->joined, '\n');
        }
        text = buf_span(&s->joined);
    }
    /* Vectorscan takes 32-bit lengths; longer texts in pieces that overlap by a literal's length.
     */
    const size_t piece = (size_t)1 << 30;
    for (size_t at = 0; at < text.n; at += piece - 2 * RUN_ITEMS) {
        struct span part = span_sub(text, at, at + piece);
        size_t before = s->nfound;
        if (part.n)
            hs_scan(f->literals, part.p, (unsigned)part.n, 0, s->hs, on_literal, s);
        for (size_t i = before; at && i < s->nfound; i++)
            s->found[i].end += at;
    }
    for (size_t i = 1; i < s->nfound; i++)
        if (s->found[i].end < s->found[i - 1].end) {
            qsort(s->found, s->nfound, sizeof *s->found, by_end);
            break;
        }
}

static void add_candidate(struct prefilter_scratch *s, uint32_t id, uint32_t element)
{
    if (s->nout == s->out_cap) {
        s->out_cap = s->out_cap ? 2 * s->out_cap : 256;
        s->out = xrealloc(s->out, s->out_cap * sizeof *s->out);
    }
    s->out[s->nout++] = (struct candidate){id, element};
}

static void feature_seen(const struct prefilter *f, struct prefilter_scratch *s, size_t feature,
                         uint32_t element)
{
    bool counted = feature < f->nliterals && f->counted[feature];
    if (s->seen[feature] == element + 1 && !counted)
        return;
    s->seen[feature] = element + 1;
    for (uint32_t i = f->start[feature]; i < f->start[feature + 1]; i++) {
        const struct user *u = &f->users[i];
        uint32_t p = u->pattern;
        if (s->element[p] != element + 1) {
            s->element[p] = element + 1;
            s->bits[p] = 0;
            memset(s->count + p * NEED_GROUPS, 0, NEED_GROUPS);
        }
        if (s->bits[p] == f->full[p] ||
            (u->times > 1 && ++s->count[p * NEED_GROUPS + u->group] < u->times))
            continue;
        s->bits[p] |= 1u << u->group;
        if (s->bits[p] == f->full[p])
            add_candidate(s, f->id[p], element);
    }
}

static void find_runs(const struct prefilter *f, struct prefilter_scratch *s, struct span text,
                      uint32_t element)
{
    if (!f->nruns || !shiftand_scan(f->runs, text, s->ended))
        return;
    for (size_t w = 0; w < f->runs->words; w++)
        for (uint64_t bits = s->ended[w]; bits; bits &= bits - 1) {
            size_t bit = w * 64 + (size_t)__builtin_ctzll(bits);
            feature_seen(f, s, f->nliterals + f->runs->run_of[bit], element);
        }
}

const struct candidate *prefilter_scan(const struct prefilter *f, struct prefilter_scratch *s,
                                       const struct span *elements, size_t n, size_t *found)
{
    s->nout = 0;
    *found = 0;
    if (n == 0 || f->n == 0 || n >= UINT32_MAX)
        return s->out;
    memset(s->seen, 0, (f->nliterals + f->nruns) * sizeof *s->seen);
    memset(s->element, 0, f->n * sizeof *s->element);
    find_literals(f, s, elements, n);
    size_t k = 0;
    uint64_t end = 0;
    for (uint32_t i = 0; i < n; i++) {
        end += elements[i].n + 1;
        for (; k < s->nfound && s->found[k].end <= end; k++)
            feature_seen(f, s, s->found[k].literal, i);
        find_runs(f, s, elements[i], i);
    }
    *found = s->nout;
    return s->out;
}
