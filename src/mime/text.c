#include "mime/mime_private.h"

/* In blocks whose count fits a byte, which compilers turn into vector code. */
static size_t count_lf(const char *p, size_t n)
{
    enum { BLOCK = 240 };
    size_t count = 0;
    while (n) {
        size_t block = n < BLOCK ? n : BLOCK;
        unsigned char in_block = 0;
        for (size_t i = 0; i < block; i++)
            in_block = (unsigned char)(in_block + (p[i] == '\n'));
        count += in_block;
        p += block;
        n -= block;
    }
    return count;
}

static struct origin *origin_new(struct mime *m, uint64_t orig)
{
    struct origin *o = ARENA_NEW(m->arena, struct origin);
    *ARENA_PUSH(m->arena, o->marks, o->n, o->cap) = (struct mark){0, orig};
    return o;
}

/* The last mark at or before pos. */
static struct mark mark_before(const struct origin *o, size_t pos)
{
    size_t low = 0, high = o->n;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (o->marks[mid].pos <= pos)
            low = mid;
        else
            high = mid;
    }
    return o->marks[low];
}

/* Walks the lines between `from` and pos, which no mark separates, in text and original. */
static uint64_t walk_lines(struct span raw, const struct text *t, struct mark from, size_t pos)
{
    const char *p = t->s.p + (from.pos - t->base), *end = t->s.p + (pos - t->base);
    uint64_t orig = from.orig;
    const char *lf;
    while (p < end && (lf = memchr(p, '\n', (size_t)(end - p)))) {
        orig += (uint64_t)(lf - p);
        while (orig < raw.n && raw.p[orig] != '\n')
            orig++;
        orig++;
        p = lf + 1;
    }
    return orig + (uint64_t)(end - p);
}

uint64_t text_at(const struct mime *m, struct text *t, size_t pos)
{
    const struct origin *o = t->origin;
    if (o->decoded)
        return o->marks[0].orig;
    pos += t->base;
    struct mark from = t->last.pos <= pos ? t->last : t->first;
    if (o->n > 1) {
        struct mark mark = mark_before(o, pos);
        if (mark.pos > from.pos)
            from = mark;
    }
    if (!o->cr)
        from.orig += pos - from.pos;
    else if (o->regular)
        from.orig += pos - from.pos + count_lf(t->s.p + (from.pos - t->base), pos - from.pos);
    else
        from.orig = walk_lines(m->raw, t, from, pos);
    from.pos = pos;
    t->last = from;
    return from.orig;
}

struct text text_slice(const struct mime *m, struct text *t, size_t from, size_t to)
{
    struct text slice = *t;
    slice.first = slice.last = (struct mark){t->base + from, text_at(m, t, from)};
    slice.base = t->base + from;
    slice.s = span_sub(t->s, from, to);
    return slice;
}

/* Copies without the CR of each CRLF; *bare_lf tells whether an LF stood alone. */
static size_t copy_without_cr(char *to, struct span from, bool *bare_lf)
{
    const char *p = from.p, *end = p + from.n;
    char *out = to;
    size_t removed = 0;
    while (p < end) {
        const char *cr = memchr(p, '\r', (size_t)(end - p));
        const char *stop = cr ? cr : end;
        memcpy(out, p, (size_t)(stop - p));
        out += stop - p;
        p = stop;
        if (!cr)
            break;
        if (cr + 1 < end && cr[1] == '\n') {
            *out++ = '\n';
            p += 2;
            removed++;
        } else {
            *out++ = '\r';
            p++;
        }
    }
    *bare_lf = count_lf(to, (size_t)(out - to)) != removed;
    return (size_t)(out - to);
}

struct text text_of_raw(struct mime *m, size_t from, bool crlf)
{
    struct origin *o = origin_new(m, from);
    struct text t = {span_from(m->raw, from), o, 0, o->marks[0], o->marks[0]};
    if (!crlf)
        return t;
    char *copy = arena_raw(m->arena, t.s.n + 1);
    bool bare_lf;
    t.s = span_of(copy, copy_without_cr(copy, t.s, &bare_lf));
    o->cr = true;
    o->regular = !bare_lf;
    return t;
}

struct text text_decoded(struct mime *m, struct span bytes, uint64_t orig)
{
    struct origin *o = origin_new(m, orig);
    o->decoded = true;
    return (struct text){bytes, o, 0, o->marks[0], o->marks[0]};
}

struct text_copy text_copy_of(struct mime *m, struct text *from, size_t room)
{
    struct origin *o = ARENA_NEW(m->arena, struct origin);
    o->cr = from->origin->cr;
    o->regular = from->origin->regular;
    o->decoded = from->origin->decoded;
    return (struct text_copy){m, from, o, arena_raw(m->arena, room + 1), 0};
}

static void add_mark(struct text_copy *c, size_t at)
{
    struct mark mark = {c->n, text_at(c->m, c->from, at)};
    *ARENA_PUSH(c->m->arena, c->origin->marks, c->origin->n, c->origin->cap) = mark;
}

/* Where the next mark of the source stands after `at`, at most `end`. */
static size_t stretch_end(const struct text *t, size_t at, size_t end)
{
    const struct origin *o = t->origin;
    size_t low = 0, high = o->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (o->marks[mid].pos > t->base + at)
            high = mid;
        else
            low = mid + 1;
    }
    if (low == o->n || o->marks[low].pos - t->base >= end)
        return end;
    return o->marks[low].pos - t->base;
}

void text_copy_piece(struct text_copy *c, size_t at, size_t end)
{
    while (at < end) {
        size_t stop = stretch_end(c->from, at, end);
        struct span piece = span_sub(c->from->s, at, stop);
        add_mark(c, at);
        if (c->strip_cr) {
            bool ignored;
            c->n += copy_without_cr(c->p + c->n, piece, &ignored);
        } else {
            memcpy(c->p + c->n, piece.p, piece.n);
            c->n += piece.n;
        }
        at = stop;
    }
}

void text_copy_lf(struct text_copy *c)
{
    c->p[c->n++] = '\n';
}

struct text text_copy_done(struct text_copy *c)
{
    if (c->origin->n == 0)
        add_mark(c, 0);
    return (struct text){span_of(c->p, c->n), c->origin, 0, c->origin->marks[0],
                         c->origin->marks[0]};
}

struct text text_without_cr(struct mime *m, struct text *t)
{
    struct text_copy c = text_copy_of(m, t, t->s.n);
    c.strip_cr = true;
    c.origin->cr = true;
    c.origin->regular = false;
    text_copy_piece(&c, 0, t->s.n);
    return text_copy_done(&c);
}
