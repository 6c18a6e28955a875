/* A filter as bytes, for the cache. */
#include "pattern/prefilter_private.h"

enum { FORMAT = 7 };

static void save_array(struct buf *out, const void *v, size_t n, size_t size)
{
    buf_add(out, span_of(v ? v : "", n * size));
}

void prefilter_save(const struct prefilter *f, struct buf *out)
{
    buf_u32(out, FORMAT);
    buf_u64(out, f->n);
    buf_u64(out, f->nalways);
    buf_u64(out, f->nown);
    buf_u64(out, f->nkeyed);
    buf_u64(out, f->nruns);
    buf_u64(out, f->nusers);
    buf_u64(out, f->nplaces);
    save_array(out, f->id, f->n, sizeof *f->id);
    save_array(out, f->always, f->nalways, sizeof *f->always);
    save_array(out, f->own, f->nown, sizeof *f->own);
    save_array(out, f->start, f->nkeyed + f->nruns + 1, sizeof *f->start);
    save_array(out, f->users, f->nusers, sizeof *f->users);
    save_array(out, f->place_at, f->n + 1, sizeof *f->place_at);
    save_array(out, f->places, f->nplaces, sizeof *f->places);
    finder_save(f->keyed, out);
    buf_u8(out, f->runs != NULL);
    if (f->runs)
        shiftand_save(f->runs, out);
    buf_u8(out, f->plain != NULL);
    if (f->plain)
        prefilter_save(f->plain, out);
}

static void *load_array(struct arena *a, struct cursor *in, size_t n, size_t size)
{
    if (n > in->rest.n / size) {
        in->failed = true;
        return NULL;
    }
    void *v = arena_array(a, n + 1, size);
    struct span s = cursor_bytes(in, n * size);
    if (s.n)
        memcpy(v, s.p, s.n);
    return v;
}

/* Numbers of a damaged cache must not lead outside the arrays. */
static bool consistent(const struct prefilter *f, size_t ids)
{
    size_t features = f->nkeyed + f->nruns;
    if (f->start[features] != f->nusers || (f->nruns && !f->runs))
        return false;
    for (size_t i = 0; i < features; i++)
        if (f->start[i] > f->start[i + 1])
            return false;
    for (size_t i = 0; i < f->nusers; i++)
        if (f->users[i].pattern >= f->n)
            return false;
    for (size_t i = 0; i < f->n; i++)
        if (f->id[i] >= ids || f->place_at[i] > f->place_at[i + 1])
            return false;
    if (f->place_at[f->n] != f->nplaces)
        return false;
    for (size_t i = 0; i < f->nplaces; i++)
        if (f->places[i].feature >= features)
            return false;
    for (size_t i = 0; i < f->nalways; i++)
        if (f->always[i] >= ids)
            return false;
    for (size_t i = 0; i < f->nown; i++)
        if (f->own[i] >= ids)
            return false;
    for (size_t i = 0; f->runs && i < f->runs->words * 64; i++)
        if (f->runs->run_of[i] >= f->nruns && f->nruns)
            return false;
    return true;
}

static struct prefilter *load(struct arena *a, size_t ids, struct cursor *in)
{
    struct prefilter *f = ARENA_NEW(a, struct prefilter);
    if (cursor_u32(in) != FORMAT)
        in->failed = true;
    f->n = cursor_u64(in);
    f->nalways = cursor_u64(in);
    f->nown = cursor_u64(in);
    f->nkeyed = cursor_u64(in);
    f->nruns = cursor_u64(in);
    f->nusers = cursor_u64(in);
    f->nplaces = cursor_u64(in);
    if (in->failed || f->nkeyed > UINT32_MAX || f->nruns > UINT32_MAX)
        return NULL;
    f->id = load_array(a, in, f->n, sizeof *f->id);
    f->always = load_array(a, in, f->nalways, sizeof *f->always);
    f->own = load_array(a, in, f->nown, sizeof *f->own);
    f->start = load_array(a, in, f->nkeyed + f->nruns + 1, sizeof *f->start);
    f->users = load_array(a, in, f->nusers, sizeof *f->users);
    f->place_at = load_array(a, in, f->n + 1, sizeof *f->place_at);
    f->places = load_array(a, in, f->nplaces, sizeof *f->places);
    f->keyed = finder_load(a, f->nkeyed, in);
    bool runs = cursor_u8(in);
    if (in->failed || !f->keyed)
        return NULL;
    f->runs = runs ? shiftand_load(a, in) : NULL;
    if (in->failed || !consistent(f, ids))
        return NULL;
    prefilter_finish(f, a);
    return f;
}

struct prefilter *prefilter_load(struct arena *a, size_t ids, struct cursor *in)
{
    struct prefilter *f = load(a, ids, in);
    if (!f || !cursor_u8(in))
        return in->failed ? NULL : f;
    f->plain = load(a, ids, in);
    if (!f->plain || cursor_u8(in))
        return NULL;
    return in->failed ? NULL : f;
}
