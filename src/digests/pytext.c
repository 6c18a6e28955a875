#include "digests/pytext.h"

#include "base/utf8.h"

size_t py_char(struct span s)
{
    unsigned char c = (unsigned char)s.p[0];
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return n < s.n ? n : s.n;
}

static uint32_t code_of(struct span s, size_t n)
{
    uint32_t c = (unsigned char)s.p[0] & (n == 1 ? 0x7fu : 0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)s.p[i] & 0x3fu);
    return c;
}

size_t py_space(struct span s)
{
    unsigned char c = s.n ? (unsigned char)s.p[0] : 0;
    if (c < 0x80)
        return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
    size_t n = py_char(s);
    uint32_t u = code_of(s, n);
    bool yes = u == 0x85 || u == 0xa0 || u == 0x1680 || (u >= 0x2000 && u <= 0x200a) ||
               u == 0x2028 || u == 0x2029 || u == 0x202f || u == 0x205f || u == 0x3000;
    return yes ? n : 0;
}

struct span py_strip(struct span s)
{
    size_t n;
    while ((n = py_space(s)) > 0)
        s = span_from(s, n);
    while (s.n) {
        size_t at = s.n - 1;
        while (at > 0 && ((unsigned char)s.p[at] & 0xc0) == 0x80)
            at--;
        if (!py_space(span_from(s, at)))
            break;
        s.n = at;
    }
    return s;
}

/* --- character references --- */

static bool never_a_character(uint32_t c)
{
    return (c >= 1 && c <= 8) || c == 11 || (c >= 14 && c <= 31) || (c >= 0x7f && c <= 0x9f) ||
           (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
}

static void add_code(struct buf *b, uint32_t c)
{
    char out[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    buf_add(b, span_of(out, n));
}

static void add_number(struct buf *b, uint64_t c)
{
    /* What 0x80 to 0x9f mean in windows-1252; 0: itself. */
    static const uint16_t windows[32] = {
        0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
        0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};
    if (c >= 0x80 && c < 0xa0)
        add_code(b, windows[c - 0x80] ? windows[c - 0x80] : (uint32_t)c);
    else if (c == 0 || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
        buf_str(b, UTF8_REPLACEMENT);
    else if (!never_a_character((uint32_t)c))
        add_code(b, (uint32_t)c);
}

/* "#65;" at s; bytes taken, 0: no such reference. */
static size_t numeric(struct buf *b, struct span s)
{
    bool hex = s.n > 1 && (s.p[1] == 'x' || s.p[1] == 'X');
    size_t from = hex ? 2 : 1, at = from;
    uint64_t value = 0;
    for (; at < s.n && (hex ? ascii_hex(s.p[at]) >= 0 : ascii_isdigit(s.p[at])); at++)
        if (value <= 0x10ffff)
            value = value * (hex ? 16 : 10) + (uint64_t)ascii_hex(s.p[at]);
    if (at == from)
        return 0;
    add_number(b, value);
    return at + (at < s.n && s.p[at] == ';');
}

/* Up to 32 characters of a name, and its semicolon. */
static struct span name_at(struct span s)
{
    enum { CHARS = 32 };
    size_t n = 0;
    for (int i = 0; i < CHARS && n < s.n && !memchr("\t\n\f <&#;", s.p[n], 8); i++)
        n += py_char(span_from(s, n));
    return span_sub(s, 0, n ? n + (n < s.n && s.p[n] == ';') : 0);
}

static size_t named(struct buf *b, struct span s)
{
    struct span name = name_at(s), text = html5_entity(name);
    size_t n = name.n;
    while (!text.p && --n > 1 && n < name.n)
        text = html5_entity(span_sub(name, 0, n));
    if (!text.p)
        return 0;
    buf_add(b, text);
    return n;
}

struct span py_unescape(struct arena *a, struct span s)
{
    if (span_find(s, '&') == SIZE_MAX)
        return s;
    struct buf b = {0};
    while (s.n) {
        size_t amp = span_find(s, '&');
        buf_add(&b, span_sub(s, 0, amp));
        s = span_from(s, amp);
        if (!s.n)
            break;
        struct span rest = span_from(s, 1);
        size_t n = rest.n && rest.p[0] == '#' ? numeric(&b, rest) : named(&b, rest);
        if (!n)
            buf_char(&b, '&');
        s = span_from(rest, n);
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}
