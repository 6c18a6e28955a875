#include "pattern/finder_private.h"

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

static struct finder_hit *push(struct finder_hits *out)
{
    if (out->n == out->cap) {
        out->cap = out->cap ? 2 * out->cap : 1024;
        out->v = xrealloc(out->v, out->cap * sizeof *out->v);
    }
    return &out->v[out->n++];
}

/* --- places --- */

/* The tables are larger than the near caches, so what is wanted of them is asked for some steps
 * ahead: of all places first the buckets, then their entries, then what these leave to be compared.
 */
static inline void ask_for(const void *p)
{
    __builtin_prefetch(p);
}

/* A place, and the bucket of the runs that may have their key there. */
struct spot {
    uint16_t at, bucket;
};

struct spots {
    size_t n;
    struct spot v[2 * FINDER_PIECE];
};

static inline void add_spot(const struct finder *f, struct spots *s, size_t at, size_t bucket)
{
    ask_for(&f->start[bucket]);
    s->v[s->n++] = (struct spot){(uint16_t)at, (uint16_t)bucket};
}

static inline void note_spot(const struct finder *f, struct spots *s, size_t at, uint32_t four)
{
    uint32_t hash;
    if (finder_long(f, four, &hash) & 1)
        add_spot(f, s, at, hash >> FINDER_BUCKET_BITS);
    if (finder_short(f, four) & 1)
        add_spot(f, s, at, finder_hashed(f) + (four & 0xff));
}

/* An entry that remains, until it is confirmed. */
static void remains(const struct finder *f, const struct finder_entry *e, size_t at,
                    struct finder_hits *out)
{
    *push(out) = (struct finder_hit){(uint32_t)(e - f->entries), (uint32_t)at, 0, false};
    if (e->run & FINDER_WALKS)
        ask_for(&f->walks[e->run & ~FINDER_WALKS]);
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
                remains(f, e, at, out);
        }
        return;
    }
    for (; e < end; e++)
        if (e->before <= at && e->after <= text.n - at &&
            (load64(text, at - e->piece) & masks[e->mask]) == e->bytes)
            remains(f, e, at, out);
}

static void ask_for_items(const struct finder *f, const struct finder_hit *h)
{
    const struct finder_entry *e = &f->entries[h->run];
    if (e->run & FINDER_WALKS)
        ask_for(&f->items[f->walks[e->run & ~FINDER_WALKS].items]);
}

/* The run may stand there, and end as far on as its loops allow. */
static struct finder_hit possible(const struct finder *f, const struct finder_entry *e,
                                  struct span text, uint32_t ends)
{
    const struct finder_walk *w = &f->walks[e->run & ~FINDER_WALKS];
    return (struct finder_hit){w->run, ends, w->loops ? (uint32_t)text.n : ends, false};
}

/* Of the entries from `from` on makes hits where the whole run stands. */
static void confirm(const struct finder *f, struct span text, size_t from, struct finder_hits *out)
{
    size_t kept = from, walks = 0;
    for (size_t i = from; i < out->n; i++) {
        if (out->n - i > FINDER_AHEAD)
            ask_for_items(f, &out->v[i + FINDER_AHEAD]);
        const struct finder_entry *e = &f->entries[out->v[i].run];
        size_t at = out->v[i].first;
        uint32_t ends = (uint32_t)(at + e->after);
        struct finder_hit hit = {e->run, ends, ends, false};
        if (out->v[i].many) {
            bool walk = e->run & FINDER_WALKS;
            ends = ends < text.n ? ends : (uint32_t)text.n;
            out->v[kept++] = (struct finder_hit){
                walk ? f->walks[e->run & ~FINDER_WALKS].run : e->run, ends, (uint32_t)text.n, true};
        } else if (e->run & FINDER_WALKS && ++walks > FINDER_WALKS_MAX)
            out->v[kept++] = possible(f, e, text, ends);
        else if (!(e->run & FINDER_WALKS) || finder_walk(f, e, text, at, &hit))
            out->v[kept++] = hit;
    }
    out->n = kept;
}

/* How often the keys of a bucket stood, by the last bits of its number; and which one was too often
 * there. */
struct sames {
    uint16_t n[256];
    uint32_t full[256];
};

static void all_of(const struct finder *f, size_t bucket, size_t at, struct finder_hits *out)
{
    for (uint32_t i = f->start[bucket]; i < f->start[bucket + 1]; i++)
        *push(out) = (struct finder_hit){i, (uint32_t)at, 0, true};
}

/* Whether nothing more has to be looked at for the bucket. */
static bool too_often(const struct finder *f, struct sames *s, uint32_t bucket, size_t at,
                      struct finder_hits *out)
{
    size_t k = bucket % 256;
    if (++s->n[k] < FINDER_SAME_MAX)
        return false;
    if (s->full[k] == bucket + 1)
        return true;
    if (s->full[k])
        return false;
    s->full[k] = bucket + 1;
    all_of(f, bucket, at, out);
    return true;
}

/* from: what places are counted from. */
static void look_at(const struct finder *f, struct span text, size_t from, const struct spots *s,
                    struct finder_hits *out)
{
    struct sames sames;
    bool many = s->n >= FINDER_SAME_MAX;
    size_t before = out->n;
    if (many)
        memset(&sames, 0, sizeof sames);
    for (size_t i = 0; i < s->n; i++) {
        if (s->n - i > FINDER_AHEAD)
            ask_for(&f->entries[f->start[s->v[i + FINDER_AHEAD].bucket]]);
        if (!many || !too_often(f, &sames, s->v[i].bucket, from + s->v[i].at, out))
            compare(f, text, from + s->v[i].at, s->v[i].bucket, out);
    }
    confirm(f, text, before, out);
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
    struct spots s;
    s.n = 0;
    size_t end = text.n - from > FINDER_PIECE ? from + FINDER_PIECE : text.n;
    size_t whole = text.n < 3 ? 0 : text.n - 3; /* places at which four bytes are left */
    size_t places = whole > end ? end - from : whole > from ? whole - from : 0;
    size_t n = finder_sieves(f) ? finder_sift(f, text.p + from, places, at)
                                : find_keys(f, text.p + from, places, at);
    for (size_t i = 0; i < n; i++)
        note_spot(f, &s, at[i], finder_four(text.p + from + at[i]));
    /* The last ones as if zeros followed. */
    for (size_t i = from + places; end == text.n && i < end; i++)
        note_spot(f, &s, i - from, (uint32_t)load64(text, i));
    look_at(f, text, from, &s, out);
    return end;
}
