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

/* Items wanted one after the other; before item i bytes of loop i may be passed over. */
struct chain {
    const struct finder *f;
    const uint16_t *set, *loop;
};

/* Bit i: item i is the next one wanted. One step over a byte. */
static uint32_t step(const struct chain *c, uint32_t state, char byte)
{
    uint32_t next = 0;
    for (; state; state &= state - 1) {
        unsigned i = (unsigned)__builtin_ctz(state);
        next |= (uint32_t)fits(c->f, c->set[i], byte) << (i + 1);
        next |= (uint32_t)fits(c->f, c->loop[i], byte) << i;
    }
    return next;
}

/* Whether the only state stays as it is over the byte. */
static inline bool stays(const struct byteset *set, const struct byteset *loop, char byte)
{
    return byteset_has(loop, (unsigned char)byte) && !byteset_has(set, (unsigned char)byte);
}

/* Whether the items before the key stand before the place. */
static bool walk_back(const struct chain *c, size_t n, struct span text, size_t at)
{
    size_t end = at > FINDER_WALK ? at - FINDER_WALK : 0;
    for (uint32_t state = 1; !(state >> n & 1);) {
        if ((state & (state - 1)) == 0) {
            unsigned i = (unsigned)__builtin_ctz(state);
            const struct byteset *set = &c->f->sets[c->set[i]], *loop = &c->f->sets[c->loop[i]];
            while (at > end && stays(set, loop, text.p[at - 1]))
                at--;
        }
        if (at == end)
            return at > 0;
        state = step(c, state, text.p[--at]);
        if (!state)
            return false;
    }
    return true;
}

/* The items from the key on: between which places they end. */
static bool walk_on(const struct chain *c, size_t n, struct span text, size_t at,
                    struct finder_hit *hit)
{
    size_t end = text.n - at > FINDER_WALK ? at + FINDER_WALK : text.n;
    bool ended = false;
    uint32_t state = 1, done = 1u << n;
    while (state && at < end) {
        if ((state & (state - 1)) == 0) {
            unsigned i = (unsigned)__builtin_ctz(state);
            const struct byteset *set = &c->f->sets[c->set[i]], *loop = &c->f->sets[c->loop[i]];
            while (at < end && stays(set, loop, text.p[at]))
                at++;
            if (at == end)
                break;
        }
        state = step(c, state, text.p[at++]);
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

static bool walk(const struct finder *f, const struct finder_walk *w, struct span text, size_t at,
                 struct finder_hit *hit)
{
    const struct chain before = {f, w->set, w->loop}, from = {f, w->set + w->key, w->loop + w->key};
    size_t n = w->n - w->key;
    if (w->loops)
        return walk_on(&from, n, text, at, hit) && walk_back(&before, w->key, text, at);
    for (size_t i = 0; i < n; i++)
        if (!fits(f, from.set[i], text.p[at + i]))
            return false;
    for (size_t i = 0; i < w->key; i++)
        if (!fits(f, before.set[i], text.p[at - 1 - i]))
            return false;
    return true;
}

/* --- places --- */

static void found(const struct finder *f, const struct finder_entry *e, struct span text, size_t at,
                  struct finder_hits *out)
{
    uint32_t ends = (uint32_t)(at + e->after), number = f->walk_of[e->run];
    struct finder_hit hit = {e->run, ends, ends};
    if (number == 0 || walk(f, &f->walks[number - 1], text, at, &hit))
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
