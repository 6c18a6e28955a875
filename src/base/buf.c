#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    if (b->p)
        b->p[0] = '\0';
}

char *buf_room(struct buf *b, size_t extra)
{
    size_t need = b->n + extra + 1;
    if (need > b->cap) {
        size_t cap = b->cap ? b->cap : 128;
        while (cap < need)
            cap *= 2;
        b->p = xrealloc(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->n;
}

void buf_add(struct buf *b, struct span s)
{
    char *to = buf_room(b, s.n);
    if (s.n)
        memcpy(to, s.p, s.n);
    b->n += s.n;
    b->p[b->n] = '\0';
}

void buf_str(struct buf *b, const char *s)
{
    buf_add(b, span_str(s));
}

void buf_char(struct buf *b, char c)
{
    buf_add(b, span_of(&c, 1));
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        return;
    vsnprintf(buf_room(b, (size_t)n), (size_t)n + 1, fmt, ap);
    b->n += (size_t)n;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void buf_drop(struct buf *b, size_t n)
{
    if (n >= b->n) {
        buf_clear(b);
        return;
    }
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
    b->p[b->n] = '\0';
}

static void little_endian(struct buf *b, uint64_t v, size_t width)
{
    char bytes[8];
    for (size_t i = 0; i < width; i++)
        bytes[i] = (char)(v >> (8 * i) & 0xff);
    buf_add(b, span_of(bytes, width));
}

void buf_u8(struct buf *b, uint8_t v)
{
    little_endian(b, v, 1);
}

void buf_u32(struct buf *b, uint32_t v)
{
    little_endian(b, v, 4);
}

void buf_u64(struct buf *b, uint64_t v)
{
    little_endian(b, v, 8);
}

void buf_f64(struct buf *b, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    buf_u64(b, bits);
}

void buf_lstr(struct buf *b, struct span s)
{
    buf_u32(b, s.p ? (uint32_t)s.n : UINT32_MAX);
    buf_add(b, s);
}
