#include "mime/splice.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/xalloc.h"

void splices_add(struct splices *s, struct arena *a, uint64_t at, uint64_t del, struct span ins)
{
    *ARENA_PUSH(a, s->v, s->n, s->cap) = (struct splice){at, del, ins};
}

static bool in_order(const struct splices *s)
{
    for (size_t i = 1; i < s->n; i++)
        if (s->v[i - 1].at > s->v[i].at)
            return false;
    return true;
}

static void merge(const struct splice *from, struct splice *to, size_t low, size_t mid, size_t high)
{
    size_t i = low, j = mid;
    for (size_t k = low; k < high; k++)
        to[k] = i < mid && (j == high || from[i].at <= from[j].at) ? from[i++] : from[j++];
}

/* Merge sort: stable, as inserts at one offset must keep their order. */
static void sort_by_offset(struct splices *s)
{
    struct splice *room = xcalloc(s->n, sizeof *room);
    struct splice *from = s->v, *to = room;
    for (size_t width = 1; width < s->n; width *= 2) {
        for (size_t low = 0; low < s->n; low += 2 * width) {
            size_t mid = low + width < s->n ? low + width : s->n;
            size_t high = mid + width < s->n ? mid + width : s->n;
            merge(from, to, low, mid, high);
        }
        struct splice *swap = from;
        from = to;
        to = swap;
    }
    if (from != s->v)
        memcpy(s->v, from, s->n * sizeof *from);
    free(room);
}

int splices_sort(struct splices *s, uint64_t size, struct err *e)
{
    if (!in_order(s))
        sort_by_offset(s);
    uint64_t start = 0, end = 0; /* of the last deletion */
    for (size_t i = 0; i < s->n; i++) {
        const struct splice *x = &s->v[i];
        if (x->at > size || x->del > size - x->at)
            return err_set(e, "an edit at %" PRIu64 " reaches past the end of the message", x->at);
        bool insert_in_front = x->del == 0 && x->at == start;
        if (x->at < end && !insert_in_front)
            return err_set(e, "two edits at %" PRIu64 " and %" PRIu64 " overlap", start, x->at);
        if (x->del) {
            start = x->at;
            end = x->at + x->del;
        }
    }
    return 0;
}

uint64_t splices_size(const struct splices *s, uint64_t size)
{
    for (size_t i = 0; i < s->n; i++)
        size = size - s->v[i].del + s->v[i].ins.n;
    return size;
}

/* Calls piece() for each stretch of the edited message, in order; skips empty ones. */
typedef void piece_fn(void *ctx, struct span piece);

static void walk(const struct splices *s, struct span raw, piece_fn *piece, void *ctx)
{
    uint64_t done = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct splice *x = &s->v[i];
        if (x->at > done) {
            piece(ctx, span_sub(raw, done, x->at));
            done = x->at;
        }
        if (x->ins.n)
            piece(ctx, x->ins);
        if (x->at + x->del > done)
            done = x->at + x->del;
    }
    if (done < raw.n)
        piece(ctx, span_from(raw, done));
}

struct iov_list {
    struct iovec *v;
    size_t n;
};

static void add_iov(void *ctx, struct span piece)
{
    struct iov_list *l = ctx;
    l->v[l->n++] = (struct iovec){(void *)(uintptr_t)piece.p, piece.n};
}

struct iovec *splices_iov(const struct splices *s, struct span raw, struct arena *a, size_t *n)
{
    struct iov_list l = {arena_array(a, 2 * s->n + 1, sizeof *l.v), 0};
    walk(s, raw, add_iov, &l);
    *n = l.n;
    return l.v;
}

static void add_bytes(void *ctx, struct span piece)
{
    buf_add(ctx, piece);
}

void splices_apply(const struct splices *s, struct span raw, struct buf *out)
{
    buf_room(out, splices_size(s, raw.n));
    walk(s, raw, add_bytes, out);
}

/* count u32, then for each: at u64, del u64, ins lstr. */
enum { SPLICE_MIN_WIRE = 8 + 8 + 4 };

void splices_encode(struct buf *b, const struct splices *s)
{
    buf_u32(b, (uint32_t)s->n);
    for (size_t i = 0; i < s->n; i++) {
        buf_u64(b, s->v[i].at);
        buf_u64(b, s->v[i].del);
        buf_lstr(b, s->v[i].ins);
    }
}

void splices_decode(struct cursor *c, struct arena *a, struct splices *s)
{
    *s = (struct splices){0};
    uint32_t n = cursor_u32(c);
    if (n > c->rest.n / SPLICE_MIN_WIRE)
        c->failed = true;
    for (uint32_t i = 0; i < n && !c->failed; i++) {
        uint64_t at = cursor_u64(c), del = cursor_u64(c);
        struct span ins = cursor_lstr(c);
        if (!c->failed)
            splices_add(s, a, at, del, arena_dup(a, ins));
    }
    if (c->failed)
        *s = (struct splices){0};
}
