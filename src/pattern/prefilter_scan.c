#include "pattern/prefilter_private.h"

#include <stdlib.h>

#include "base/xalloc.h"

struct prefilter_scratch {
    struct finder_hits hits;
    struct candidate *out;
    size_t nout, out_cap;
    uint64_t *marks; /* by feature, as bits: it was seen in this element */
    struct sight {
        uint32_t first, last; /* where its first and its last occurrence there ended */
        uint32_t times;
    } * seen;        /* by feature */
    uint32_t *named; /* by id: stamp of the last element it was a candidate in */
    struct tally {
        uint32_t stamp; /* of the last element something of it was seen in */
        uint32_t times; /* places of its rarest group there */
    } * tally;          /* by pattern */
    size_t features, patterns, ids;
    uint32_t stamps; /* given out so far: one for each element of each scan */
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
    if (f->plain)
        prefilter_scratch_fit(s, f->plain);
    if (f->nkeyed + f->nruns > s->features) {
        s->features = f->nkeyed + f->nruns;
        free(s->seen);
        free(s->marks);
        s->seen = xcalloc(s->features, sizeof *s->seen);
        s->marks = xcalloc(s->features / 64 + 1, sizeof *s->marks);
    }
    if (f->n > s->patterns) {
        s->patterns = f->n;
        free(s->tally);
        s->tally = xcalloc(s->patterns, sizeof *s->tally);
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
    free(s->hits.v);
    free(s->out);
    free(s->seen);
    free(s->marks);
    free(s->named);
    free(s->tally);
    free(s->ended);
    free(s);
}

/* p: local number, until the element has been read. */
static void add_candidate(struct prefilter_scratch *s, uint32_t p, uint32_t element)
{
    if (s->nout == s->out_cap) {
        s->out_cap = s->out_cap ? 2 * s->out_cap : 256;
        s->out = xrealloc(s->out, s->out_cap * sizeof *s->out);
    }
    s->out[s->nout++] = (struct candidate){.id = p, .element = element, .last = CANDIDATE_ANYWHERE};
}

static inline bool marked(const struct prefilter_scratch *s, size_t feature)
{
    return s->marks[feature / 64] >> feature % 64 & 1;
}

/* It ended, one or several times, between the places first and last. */
static void feature_seen(const struct prefilter *f, struct prefilter_scratch *s, size_t feature,
                         uint32_t element, uint32_t first, uint32_t last, bool many)
{
    struct sight *seen = &s->seen[feature];
    if (!marked(s, feature)) {
        s->marks[feature / 64] |= (uint64_t)1 << feature % 64;
        *seen = (struct sight){first, last, feature < f->nkeyed ? 1 : UINT16_MAX};
    } else {
        seen->first = first < seen->first ? first : seen->first;
        seen->last = last > seen->last ? last : seen->last;
        seen->times += seen->times < UINT16_MAX;
        if (feature >= f->nkeyed || !f->counted[feature])
            return;
    }
    seen->times = many ? UINT16_MAX : seen->times;
    for (uint32_t i = f->start[feature]; i < f->start[feature + 1]; i++) {
        const struct user *u = &f->users[i];
        struct tally *t = &s->tally[u->pattern];
        if (t->stamp != s->stamps)
            *t = (struct tally){s->stamps, 0};
        if (t->times >= u->times)
            continue;
        t->times += feature < f->nkeyed && !many ? 1 : u->times;
        if (t->times >= u->times)
            add_candidate(s, u->pattern, element);
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
    uint32_t times = 0;
    const struct place *v = f->places + f->place_at[c->id];
    size_t n = f->place_at[c->id + 1] - f->place_at[c->id];
    for (size_t i = 0; i < n; i++) {
        if (marked(s, v[i].feature)) {
            const struct sight *seen = &s->seen[v[i].feature];
            int64_t first = v[i].far == PLACE_FAR ? 0 : (int64_t)seen->first - v[i].far;
            int64_t last = (int64_t)seen->last - v[i].near;
            one.first = first < one.first ? first : one.first;
            one.last = last > one.last ? last : one.last;
            times += seen->times;
        }
        if (i + 1 == n || v[i + 1].group != v[i].group) {
            narrow(&all, &one);
            if (times < v[i].times || all.first > all.last)
                return false;
            one = nowhere;
            times = 0;
        }
    }
    if (n) {
        c->first = (uint32_t)all.first;
        c->last = all.last < CANDIDATE_ANYWHERE ? (uint32_t)all.last : CANDIDATE_ANYWHERE;
    }
    return true;
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

/* A further sight of what nobody counts. */
static bool seen_again(const struct prefilter *f, struct prefilter_scratch *s,
                       const struct finder_hit *h)
{
    struct sight *seen = &s->seen[h->run];
    if (!marked(s, h->run) || f->counted[h->run])
        return false;
    seen->first = h->first < seen->first ? h->first : seen->first;
    seen->last = h->last > seen->last ? h->last : seen->last;
    seen->times += seen->times < UINT16_MAX;
    return true;
}

/* The tables of features are far; each line is asked for before it is used. */
static void see_all(const struct prefilter *f, struct prefilter_scratch *s, uint32_t element)
{
    struct finder_hit *v = s->hits.v;
    size_t n = 0;
    for (size_t i = 0; i < s->hits.n; i++)
        if (!seen_again(f, s, &v[i]))
            v[n++] = v[i];
    for (size_t i = 0; i < n; i++) {
        __builtin_prefetch(&f->start[v[i].run]);
        __builtin_prefetch(&s->seen[v[i].run], 1);
    }
    for (size_t i = 0; i < n; i++)
        __builtin_prefetch(&f->users[f->start[v[i].run]]);
    for (size_t i = 0; i < n; i++)
        __builtin_prefetch(&s->tally[f->users[f->start[v[i].run]].pattern], 1);
    for (size_t i = 0; i < n; i++)
        feature_seen(f, s, v[i].run, element, v[i].first, v[i].last, v[i].many);
}

static void find_keyed(const struct prefilter *f, struct prefilter_scratch *s, struct span text,
                       uint32_t element)
{
    for (size_t at = 0; f->nkeyed && at < text.n;) {
        s->hits.n = 0;
        at = finder_scan(f->keyed, text, at, &s->hits);
        see_all(f, s, element);
    }
}

/* Calls for each bit that is in no word of `known` yet, and adds it there. */
static inline bool add_new(const uint64_t *words, uint64_t *known, uint64_t *fresh)
{
    uint64_t all = 0;
    for (size_t i = 0; i < SHIFTAND_LANES; i++) {
        fresh[i] = words[i] & ~known[i];
        known[i] |= words[i];
        all |= fresh[i];
    }
    return all != 0;
}

/* What ended between the two places for the first time, or seen from the end for the last. */
static void see_words(const struct prefilter *f, struct prefilter_scratch *s, size_t w,
                      uint64_t *known, struct finder_hit where, uint32_t element)
{
    uint64_t fresh[SHIFTAND_LANES];
    if (!add_new(s->ended + where.run * f->runs->words + w, known, fresh))
        return;
    for (size_t i = 0; i < SHIFTAND_LANES; i++)
        for (uint64_t bits = fresh[i]; bits; bits &= bits - 1) {
            size_t bit = (w + i) * 64 + (size_t)__builtin_ctzll(bits);
            feature_seen(f, s, f->nkeyed + f->runs->run_of[bit], element, where.first, where.last,
                         false);
        }
}

/* Of each run the first block and the last one tell all that is asked. */
static void find_runs(const struct prefilter *f, struct prefilter_scratch *s, struct span text,
                      uint32_t element)
{
    if (!f->nruns || !shiftand_scan(f->runs, text, s->ended))
        return;
    size_t block = shiftand_block(text.n), blocks = (text.n + block - 1) / block;
    for (size_t w = 0; w < f->runs->words; w += SHIFTAND_LANES)
        for (int back = 0; back < 2; back++) {
            uint64_t known[SHIFTAND_LANES] = {0};
            for (size_t i = 0; i < blocks; i++) {
                size_t b = back ? blocks - 1 - i : i, at = b * block;
                size_t end = text.n - at < block ? text.n : at + block;
                struct finder_hit where = {(uint32_t)b, (uint32_t)at + 1, (uint32_t)end, false};
                see_words(f, s, w, known, where, element);
            }
        }
}

static void forget_stamps(struct prefilter_scratch *s)
{
    memset(s->tally, 0, s->patterns * sizeof *s->tally);
    memset(s->named, 0, s->ids * sizeof *s->named);
    s->stamps = 0;
}

static bool is_plain(struct span text)
{
    static const char pair[] = PREFILTER_DISGUISE;
    unsigned char all = 0;
    for (size_t i = 0; i < text.n; i++)
        all |= (unsigned char)text.p[i];
    if (all >= 0x80)
        return false;
    for (const char *p = text.p, *end = p + text.n;
         p < end && (p = memchr(p, pair[0], (size_t)(end - p))) != NULL; p++)
        if (end - p > 1 && p[1] == pair[1])
            return false;
    return true;
}

static void scan_one(const struct prefilter *f, struct prefilter_scratch *s, struct span text,
                     uint32_t element)
{
    if (f->plain && is_plain(text))
        f = f->plain;
    s->stamps++;
    memset(s->marks, 0, ((f->nkeyed + f->nruns) / 64 + 1) * sizeof *s->marks);
    for (size_t i = 0; i < f->nown; i++)
        add_candidate(s, f->own[i], element);
    size_t before = s->nout;
    find_keyed(f, s, text, element);
    find_runs(f, s, text, element);
    sift_candidates(f, s, before, text.n);
}

struct candidate *prefilter_scan(const struct prefilter *f, struct prefilter_scratch *s,
                                 const struct span *elements, size_t n, size_t *found)
{
    s->nout = 0;
    *found = 0;
    if (n == 0 || (f->n == 0 && !f->plain) || n >= UINT32_MAX)
        return s->out;
    if (n > UINT32_MAX - s->stamps)
        forget_stamps(s);
    for (uint32_t i = 0; i < n; i++)
        scan_one(f, s, elements[i], i);
    *found = s->nout;
    return s->out;
}
