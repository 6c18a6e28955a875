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
    struct sight {
        uint32_t stamp;       /* of the last element it was seen in */
        uint32_t first, last; /* where its first and its last occurrence there ended */
    } * seen;                 /* by feature */
    uint32_t *named;          /* by id: stamp of the last element it was a candidate in */
    uint32_t *stamp, *bits;   /* by pattern: of an element, and its groups found there */
    uint8_t *count;           /* by pattern and group: places found in that element */
    size_t features, patterns, ids;
    uint32_t stamps; /* given out so far: one for each element of each scan */
    struct buf joined;
    uint64_t *ended;
    size_t ended_cap;
};

/* Places in longer strings are not counted. */
static const size_t PLACES_COUNTED = UINT32_MAX;

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
        free(s->seen);
        s->seen = xcalloc(s->features, sizeof *s->seen);
    }
    if (f->n > s->patterns) {
        s->patterns = f->n;
        free(s->stamp);
        s->stamp = xcalloc(s->patterns, sizeof *s->stamp);
        s->bits = xrealloc(s->bits, s->patterns * sizeof *s->bits);
        s->count = xrealloc(s->count, s->patterns * NEED_GROUPS);
    }
    if (f->nids > s->ids) {
        s->ids = f->nids;
        free(s->named);
        s->named = xcalloc(s->ids, sizeof *s->named);
    }
    size_t words = f->runs ? f->runs->words : 0;
    if (words > s->ended_cap) {
        s->ended_cap = words;
        s->ended = xrealloc(s->ended, SHIFTAND_BLOCKS * words * sizeof *s->ended);
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
    free(s->named);
    free(s->stamp);
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

/* p: local number, until the element has been read. */
static void add_candidate(struct prefilter_scratch *s, uint32_t p, uint32_t element)
{
    if (s->nout == s->out_cap) {
        s->out_cap = s->out_cap ? 2 * s->out_cap : 256;
        s->out = xrealloc(s->out, s->out_cap * sizeof *s->out);
    }
    s->out[s->nout++] = (struct candidate){.id = p, .element = element};
}

/* It ended, one or several times, between the places first and last. */
static void feature_seen(const struct prefilter *f, struct prefilter_scratch *s, size_t feature,
                         uint32_t element, uint32_t first, uint32_t last)
{
    struct sight *seen = &s->seen[feature];
    seen->last = last;
    if (seen->stamp != s->stamps) {
        seen->stamp = s->stamps;
        seen->first = first;
    } else if (feature >= f->nliterals || !f->counted[feature]) {
        return;
    }
    for (uint32_t i = f->start[feature]; i < f->start[feature + 1]; i++) {
        const struct user *u = &f->users[i];
        uint32_t p = u->pattern;
        if (s->stamp[p] != s->stamps) {
            s->stamp[p] = s->stamps;
            s->bits[p] = 0;
            memset(s->count + p * NEED_GROUPS, 0, NEED_GROUPS);
        }
        if (s->bits[p] == f->full[p] ||
            (u->times > 1 && ++s->count[p * NEED_GROUPS + u->group] < u->times))
            continue;
        s->bits[p] |= 1u << u->group;
        if (s->bits[p] == f->full[p])
            add_candidate(s, p, element);
    }
}

/* Where a match may begin. */
struct window {
    int64_t first, last;
};

static void narrow(struct window *w, const struct window *by)
{
    w->first = by->first > w->first ? by->first : w->first;
    w->last = by->last < w->last ? by->last : w->last;
}

/* Whether one match can hold what was seen of all groups: each tells where such a match begins, and
 * all together what the candidate is told. */
static bool together(const struct prefilter *f, const struct prefilter_scratch *s,
                     struct candidate *c)
{
    const struct window nowhere = {INT64_MAX, INT64_MIN};
    struct window all = {0, INT64_MAX}, one = nowhere;
    const struct place *v = f->places + f->place_at[c->id];
    size_t n = f->place_at[c->id + 1] - f->place_at[c->id];
    for (size_t i = 0; i < n; i++) {
        const struct sight *seen = &s->seen[v[i].feature];
        if (seen->stamp == s->stamps) {
            int64_t first = v[i].far == PLACE_FAR ? 0 : (int64_t)seen->first - v[i].far;
            int64_t last = (int64_t)seen->last - v[i].near;
            one.first = first < one.first ? first : one.first;
            one.last = last > one.last ? last : one.last;
        }
        if (i + 1 == n || v[i + 1].group != v[i].group) {
            narrow(&all, &one);
            one = nowhere;
        }
    }
    if (n) {
        c->first = (uint32_t)all.first;
        c->last = all.last < CANDIDATE_ANYWHERE ? (uint32_t)all.last : CANDIDATE_ANYWHERE;
    }
    return all.first <= all.last;
}

/* The same pattern is a candidate by another variant, too. */
static void widen(struct prefilter_scratch *s, size_t from, const struct candidate *c)
{
    size_t i = from;
    while (s->out[i].id != c->id)
        i++;
    struct candidate *known = &s->out[i];
    known->first = c->first < known->first ? c->first : known->first;
    known->last = c->last > known->last ? c->last : known->last;
}

/* After an element: of its candidates, those that remain, each once. */
static void sift_candidates(const struct prefilter *f, struct prefilter_scratch *s, size_t from,
                            size_t bytes)
{
    size_t kept = from;
    for (size_t i = from; i < s->nout; i++) {
        struct candidate c = s->out[i];
        c.last = CANDIDATE_ANYWHERE;
        if (bytes < PLACES_COUNTED && !together(f, s, &c))
            continue;
        c.id = f->id[c.id];
        if (s->named[c.id] == s->stamps) {
            widen(s, from, &c);
            continue;
        }
        s->named[c.id] = s->stamps;
        s->out[kept++] = c;
    }
    s->nout = kept;
}

static void find_runs(const struct prefilter *f, struct prefilter_scratch *s, struct span text,
                      uint32_t element)
{
    if (!f->nruns || !shiftand_scan(f->runs, text, s->ended))
        return;
    size_t block = shiftand_block(text.n), words = f->runs->words;
    const uint64_t *ended = s->ended;
    for (size_t at = 0; at < text.n; at += block, ended += words) {
        size_t end = text.n - at < block ? text.n : at + block;
        for (size_t w = 0; w < words; w++)
            for (uint64_t bits = ended[w]; bits; bits &= bits - 1) {
                size_t bit = w * 64 + (size_t)__builtin_ctzll(bits);
                feature_seen(f, s, f->nliterals + f->runs->run_of[bit], element, (uint32_t)at + 1,
                             (uint32_t)end);
            }
    }
}

static void forget_stamps(struct prefilter_scratch *s)
{
    memset(s->seen, 0, s->features * sizeof *s->seen);
    memset(s->stamp, 0, s->patterns * sizeof *s->stamp);
    memset(s->named, 0, s->ids * sizeof *s->named);
    s->stamps = 0;
}

struct candidate *prefilter_scan(const struct prefilter *f, struct prefilter_scratch *s,
                                 const struct span *elements, size_t n, size_t *found)
{
    s->nout = 0;
    *found = 0;
    if (n == 0 || f->n == 0 || n >= UINT32_MAX)
        return s->out;
    if (n > UINT32_MAX - s->stamps)
        forget_stamps(s);
    find_literals(f, s, elements, n);
    size_t k = 0;
    uint64_t end = 0;
    for (uint32_t i = 0; i < n; i++) {
        size_t before = s->nout;
        uint64_t begin = end;
        s->stamps++;
        end += elements[i].n + 1;
        for (; k < s->nfound && s->found[k].end <= end; k++) {
            uint32_t at = (uint32_t)(s->found[k].end - begin);
            feature_seen(f, s, s->found[k].literal, i, at, at);
        }
        find_runs(f, s, elements[i], i);
        sift_candidates(f, s, before, elements[i].n);
    }
    *found = s->nout;
    return s->out;
}
