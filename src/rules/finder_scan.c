#include "rules/finder_private.h"

#include "base/xalloc.h"

/* Eight bytes from a place on; behind the end of the text stand zeros. */
static inline uint64_t load64(struct span text, size_t at)
{
    uint64_t v = 0;
    if (text.n - at >= sizeof v)
        memcpy(&v, text.p + at, sizeof v);
    else
        memcpy(&v, text.p + at, text.n - at);
    return le64toh(v);
}

static inline bool fits(const struct finder *f, uint16_t set, char c)
{
    return byteset_has(&f->sets[set], (unsigned char)c);
}

static struct finder_hit *push(struct finder_hits *out)
{
    if (out->n == out->cap) {
        out->cap = out->cap ? 2 * out->cap : 1024;
        out->v = xrealloc(out->v, out->cap * sizeof *out->v);
    }
    return &out->v[out->n++];
}

/* --- item by item --- */

/* One step over a byte. Bit i of the state: item i is the next one wanted. */
static uint32_t step(const struct finder *f, const struct finder_item *items, uint32_t state,
                     char byte)
{
    uint32_t next = 0;
    for (; state; state &= state - 1) {
        unsigned i = (unsigned)__builtin_ctz(state);
        next |= (uint32_t)fits(f, items[i].set, byte) << (i + 1);
        next |= (uint32_t)fits(f, items[i].loop, byte) << i;
    }
    return next;
}

/* Whether the items stand before the place, the first one next to it. */
static bool walk_back(const struct finder *f, const struct finder_item *items, size_t n,
                      struct span text, size_t at)
{
    size_t end = at > FINDER_WALK ? at - FINDER_WALK : 0;
    for (uint32_t state = 1; !(state >> n & 1);) {
        if (at == end)
            return at > 0;
        state = step(f, items, state, text.p[--at]);
        if (!state)
            return false;
    }
    return true;
}

/* Whether they stand from the place on, and between which places they end. */
static bool walk_on(const struct finder *f, const struct finder_item *items, size_t n,
                    struct span text, size_t at, struct finder_hit *hit)
{
    size_t end = text.n - at > FINDER_WALK ? at + FINDER_WALK : text.n;
    bool ended = false;
    uint32_t state = 1, done = 1u << n;
    while (state && at < end) {
        state = step(f, items, state, text.p[at++]);
        if (state & done) {
            hit->first = ended ? hit->first : (uint32_t)at;
            hit->last = (uint32_t)at;
            ended = true;
            state &= ~done;
        }
    }
    if (state && at < text.n) {
        hit->first = ended ? hit->first : (uint32_t)at;
        hit->last = (uint32_t)text.n;
        ended = true;
    }
    return ended;
}

/* The same without loops. */
static bool stand_before(const struct finder *f, const struct finder_item *items, size_t n,
                         const char *p)
{
    for (size_t i = 0; i < n; i++)
        if (!fits(f, items[i].set, *--p))
            return false;
    return true;
}

static bool stand_on(const struct finder *f, const struct finder_item *items, size_t n,
                     const char *p)
{
    for (size_t i = 0; i < n; i++)
        if (!fits(f, items[i].set, p[i]))
            return false;
    return true;
}

/* What is left to be compared when the mask fits. at: of the key. */
static bool walk(const struct finder *f, const struct finder_entry *e, struct span text, size_t at,
                 struct finder_hit *hit)
{
    const struct finder_walk *w = &f->walks[e->run & ~FINDER_WALKS];
    const struct finder_item *items = f->items + w->items;
    size_t from = at - e->piece, to = at + w->end;
    hit->run = w->run;
    for (size_t i = 0; i < w->inside; i++)
        if (!fits(f, items[i].set, text.p[from + items[i].loop]))
            return false;
    const struct finder_item *before = items + w->inside, *behind = before + w->before;
    if (!w->loops)
        return stand_before(f, before, w->before, text.p + from) &&
               stand_on(f, behind, w->behind, text.p + to);
    hit->first = hit->last = (uint32_t)to;
    return (w->behind == 0 || walk_on(f, behind, w->behind, text, to, hit)) &&
           walk_back(f, before, w->before, text, from);
}

/* --- places --- */

static void found(const struct finder *f, const struct finder_entry *e, struct span text, size_t at,
                  struct finder_hits *out)
{
    uint32_t ends = (uint32_t)(at + e->after);
    struct finder_hit hit = {e->run, ends, ends};
    if (!(e->run & FINDER_WALKS) || walk(f, e, text, at, &hit))
        *push(out) = hit;
}

/* All runs of a bucket that may have their key at the place. */
static inline void compare(const struct finder *f, struct span text, size_t at, size_t bucket,
                           struct finder_hits *out)
{
    const struct finder_entry *e = f->entries + f->start[bucket];
    const struct finder_entry *end = f->entries + f->start[bucket + 1];
    const uint64_t *masks = f->masks;
    if (at >= RUN_ITEMS && text.n - at >= RUN_ITEMS) {
        for (const char *p = text.p + at; e < end; e++) {
            uint64_t v;
            memcpy(&v, p - e->piece, sizeof v);
            if ((le64toh(v) & masks[e->mask]) == e->bytes)
                found(f, e, text, at, out);
        }
        return;
    }
    for (; e < end; e++)
        if (e->before <= at && e->after <= text.n - at &&
            (load64(text, at - e->piece) & masks[e->mask]) == e->bytes)
            found(f, e, text, at, out);
}

static void look_at(const struct finder *f, struct span text, size_t at, uint32_t four,
                    struct finder_hits *out)
{
    uint32_t hash;
    if (finder_long(f, four, &hash) & 1)
        compare(f, text, at, hash >> FINDER_BUCKET_BITS, out);
    if (finder_short(f, four) & 1)
        compare(f, text, at, finder_hashed(f) + (four & 0xff), out);
}

/* The places at which some key may begin, of the first `n`. */
static size_t find_keys(const struct finder *f, const char *p, size_t n, uint16_t *at)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        at[found] = (uint16_t)i;
        found += finder_may_begin(f, p + i);
    }
    return found;
}

size_t finder_scan(const struct finder *f, struct span text, size_t from, struct finder_hits *out)
{
    uint16_t at[FINDER_PIECE];
    size_t end = text.n - from > FINDER_PIECE ? from + FINDER_PIECE : text.n;
    size_t whole = text.n < 3 ? 0 : text.n - 3; /* places at which four bytes are left */
    size_t places = whole > end ? end - from : whole > from ? whole - from : 0;
    size_t n = finder_sieves(f) ? finder_sift(f, text.p + from, places, at)
                                : find_keys(f, text.p + from, places, at);
    for (size_t i = 0; i < n; i++)
        look_at(f, text, from + at[i], finder_four(text.p + from + at[i]), out);
    /* The last ones as if zeros followed. */
    for (size_t i = from + places; end == text.n && i < end; i++)
        look_at(f, text, i, (uint32_t)load64(text, i), out);
    return end;
}
