/* A finder as bytes, for the cache. */
#include "pattern/finder_private.h"

static void save(struct buf *out, const void *v, size_t n, size_t size)
{
    buf_add(out, span_of(n ? v : "", n * size));
}

void finder_save(const struct finder *f, struct buf *out)
{
    buf_u32(out, f->bits);
    buf_u64(out, f->nentries);
    buf_u64(out, f->nmasks);
    buf_u64(out, f->nwalks);
    buf_u64(out, f->nitems);
    buf_u64(out, f->nsets);
    save(out, f->second, sizeof f->second, 1);
    save(out, &f->sieve, sizeof f->sieve, 1);
    buf_u32(out, f->sieved);
    save(out, f->table, (size_t)1 << f->bits, 1);
    save(out, f->start, finder_buckets(f) + 1, sizeof *f->start);
    save(out, f->entries, f->nentries, sizeof *f->entries);
    save(out, f->masks, f->nmasks, sizeof *f->masks);
    save(out, f->walks, f->nwalks, sizeof *f->walks);
    save(out, f->items, f->nitems, sizeof *f->items);
    save(out, f->sets, f->nsets, sizeof *f->sets);
}

static void *load(struct arena *a, struct cursor *in, size_t n, size_t size)
{
    if (n > in->rest.n / size) {
        in->failed = true;
        return NULL;
    }
    void *v = arena_raw(a, n * size + 1);
    struct span s = cursor_bytes(in, n * size);
    if (s.n)
        memcpy(v, s.p, s.n);
    return v;
}

static bool walk_ok(const struct finder *f, const struct finder_walk *w)
{
    size_t items = (size_t)w->inside + w->before + w->behind;
    if (w->run >= f->n || items > RUN_ITEMS || w->items > f->nitems || f->nitems - w->items < items)
        return false;
    for (size_t i = 0; i < items; i++) {
        const struct finder_item *it = &f->items[w->items + i];
        if (it->set >= f->nsets || (i >= w->inside && it->loop >= f->nsets))
            return false;
    }
    return true;
}

/* A walk stays within the bytes that the entry says the run has at least, but for its loops. */
static bool entry_ok(const struct finder *f, const struct finder_entry *e)
{
    uint32_t number = e->run & ~FINDER_WALKS;
    if (e->mask >= f->nmasks || e->piece > e->before || e->after > RUN_ITEMS)
        return false;
    if (!(e->run & FINDER_WALKS))
        return e->run < f->n;
    if (number >= f->nwalks)
        return false;
    const struct finder_walk *w = &f->walks[number];
    for (size_t i = 0; i < w->inside; i++)
        if (f->items[w->items + i].loop >= e->piece + e->after)
            return false;
    return w->before + e->piece == e->before && w->end + w->behind == e->after;
}

/* Numbers of a damaged file must not lead outside the arrays, nor places outside the text. */
static bool consistent(const struct finder *f)
{
    size_t buckets = finder_buckets(f);
    for (size_t i = 0; i < buckets; i++)
        if (f->start[i] > f->start[i + 1])
            return false;
    if (f->start[buckets] != f->nentries)
        return false;
    for (size_t i = 0; i < f->nwalks; i++)
        if (!walk_ok(f, &f->walks[i]))
            return false;
    for (size_t i = 0; i < f->nentries; i++)
        if (!entry_ok(f, &f->entries[i]))
            return false;
    return true;
}

struct finder *finder_load(struct arena *a, size_t n, struct cursor *in)
{
    struct finder *f = ARENA_NEW(a, struct finder);
    f->n = n;
    f->bits = cursor_u32(in);
    f->nentries = cursor_u64(in);
    f->nmasks = cursor_u64(in);
    f->nwalks = cursor_u64(in);
    f->nitems = cursor_u64(in);
    f->nsets = cursor_u64(in);
    if (in->failed || f->bits < FINDER_BITS_MIN || f->bits > FINDER_BITS_MAX)
        return NULL;
    struct span second = cursor_bytes(in, sizeof f->second);
    if (second.n == sizeof f->second)
        memcpy(f->second, second.p, second.n);
    struct span sieve = cursor_bytes(in, sizeof f->sieve);
    if (sieve.n == sizeof f->sieve)
        memcpy(&f->sieve, sieve.p, sieve.n);
    f->sieved = cursor_u32(in);
    f->table = load(a, in, (size_t)1 << f->bits, 1);
    f->start = load(a, in, finder_buckets(f) + 1, sizeof *f->start);
    f->entries = load(a, in, f->nentries, sizeof *f->entries);
    f->masks = load(a, in, f->nmasks, sizeof *f->masks);
    f->walks = load(a, in, f->nwalks, sizeof *f->walks);
    f->items = load(a, in, f->nitems, sizeof *f->items);
    f->sets = load(a, in, f->nsets, sizeof *f->sets);
    return !in->failed && consistent(f) ? f : NULL;
}
