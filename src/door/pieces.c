#include "door/pieces.h"

void pieces_region(const struct splices *s, struct span raw, uint64_t from, uint64_t to, bool last,
                   struct buf *out)
{
    uint64_t done = from;
    for (size_t i = 0; i < s->n; i++) {
        const struct splice *x = &s->v[i];
        uint64_t end = x->at + x->del;
        if (x->at > to || (x->at == to && !last))
            break;
        if (x->at >= from) {
            buf_add(out, span_sub(raw, done, x->at));
            buf_add(out, x->ins);
            done = x->at > done ? x->at : done;
        }
        if (end > done)
            done = end < to ? end : to;
    }
    buf_add(out, span_sub(raw, done, to));
}

bool pieces_next(struct span *rest, struct piece *out)
{
    size_t end = 0;
    do {
        size_t n = span_find(span_from(*rest, end), '\n');
        end = n == SIZE_MAX ? rest->n : end + n + 1;
    } while (end < rest->n && (rest->p[end] == ' ' || rest->p[end] == '\t'));
    struct span field = span_sub(*rest, 0, end);
    *rest = span_from(*rest, end);
    while (field.n && (field.p[field.n - 1] == '\n' || field.p[field.n - 1] == '\r'))
        field.n--;
    size_t colon = span_find(field, ':');
    if (colon == SIZE_MAX || colon == 0)
        return false;
    *out = (struct piece){span_trim(span_sub(field, 0, colon)), span_from(field, colon + 1)};
    return true;
}

bool pieces_read(struct span bytes, struct arena *a, struct pieces *out)
{
    bytes = arena_dup(a, bytes);
    while (bytes.n > 0) {
        struct piece p;
        if (!pieces_next(&bytes, &p))
            return false;
        *ARENA_PUSH(a, out->v, out->n, out->cap) = p;
    }
    return true;
}

bool pieces_touched(const struct splices *s, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < s->n && s->v[i].at < to; i++)
        if (s->v[i].at >= from || s->v[i].at + s->v[i].del > from)
            return true;
    return false;
}
