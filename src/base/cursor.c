#include "base/cursor.h"

struct span cursor_bytes(struct cursor *c, size_t n)
{
    if (c->failed || n > c->rest.n) {
        c->failed = true;
        c->rest.n = 0;
        return SPAN_NONE;
    }
    struct span s = span_sub(c->rest, 0, n);
    c->rest = span_from(c->rest, n);
    return s;
}

static uint64_t little_endian(struct cursor *c, size_t width)
{
    struct span s = cursor_bytes(c, width);
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++)
        v |= (uint64_t)(unsigned char)s.p[i] << (8 * i);
    return v;
}

uint8_t cursor_u8(struct cursor *c)
{
    return (uint8_t)little_endian(c, 1);
}

uint32_t cursor_u32(struct cursor *c)
{
    return (uint32_t)little_endian(c, 4);
}

uint64_t cursor_u64(struct cursor *c)
{
    return little_endian(c, 8);
}

double cursor_f64(struct cursor *c)
{
    uint64_t bits = little_endian(c, 8);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

struct span cursor_lstr(struct cursor *c)
{
    uint32_t n = cursor_u32(c);
    if (n == UINT32_MAX)
        return SPAN_NONE;
    struct span s = cursor_bytes(c, n);
    if (!c->failed && n == 0)
        s.p = "";
    return s;
}
