/* A finder as bytes, for the cache. */
#include "rules/finder_private.h"

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
    buf_u64(out, f->nsets);
    save(out, f->second, sizeof f->second, 1);
    save(out, &f->sieve, sizeof f->sieve, 1);
    buf_u32(out, f->sieved);
    save(out, f->table, (size_t)1 << f->bits, 1);
    save(out, f->start, finder_buckets(f) + 1, sizeof *f->start);
    save(out, f->entries, f->nentries, sizeof *f->entries);
    save(out, f->masks, f->nmasks, sizeof *f->masks);
    save(out, f->walk_of, f->n, sizeof *f->walk_of);
    save(out, f->walks, f->nwalks, sizeof *f->walks);
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
    if (w->n == 0 || w->n > RUN_ITEMS || w->key >= w->n)
        return false;
    for (size_t i = 0; i < w->n; i++)
        if (w->set[i] >= f->nsets || w->loop[i] >= f->nsets)
            return false;
    return true;
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
    for (size_t i = 0; i < f->n; i++)
        if (f->walk_of[i] > f->nwalks)
            return false;
    for (size_t i = 0; i < f->nentries; i++) {
        const struct finder_entry *e = &f->entries[i];
        if (e->run >= f->n || e->mask >= f->nmasks || e->piece > e->before || e->after > RUN_ITEMS)
            return false;
        const struct finder_walk *w = f->walk_of[e->run] ? &f->walks[f->walk_of[e->run] - 1] : NULL;
        if (w && (w->key != e->before || w->n - w->key != e->after))
            return false;
    }
    for (size_t i = 0; i < f->nwalks; i++)
        if (!walk_ok(f, &f->walks[i]))
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
    f->walk_of = load(a, in, n, sizeof *f->walk_of);
    f->walks = load(a, in, f->nwalks, sizeof *f->walks);
    f->sets = load(a, in, f->nsets, sizeof *f->sets);
    return !in->failed && consistent(f) ? f : NULL;
}
