#include "uri/uri_private.h"

/* "%HH" at i: its value, or -1. */
static int escape_at(struct span s, size_t i)
{
    if (s.p[i] != '%' || s.n - i < 3)
        return -1;
    int high = ascii_hex(s.p[i + 1]), low = ascii_hex(s.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool has_escape(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        const char *hit = memchr(s.p + i, '%', s.n - i);
        if (!hit)
            return false;
        i = (size_t)(hit - s.p);
        if (escape_at(s, i) >= 0)
            return true;
    }
    return false;
}

static char *put_escape(char *o, unsigned c)
{
    static const char digits[] = "0123456789abcdef";
    *o++ = '%';
    *o++ = digits[c >> 4];
    *o++ = digits[c & 15];
    return o;
}

struct span uri_decode_escapes(struct arena *a, struct span s, bool wide)
{
    if (!has_escape(s))
        return s;
    char *out = arena_raw(a, s.n * 3), *o = out;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        int v = escape_at(s, i);
        if (v > 0x20 && v < 0x7F) {
            *o++ = (char)v;
            i += 2;
        } else if (v >= 0) {
            memcpy(o, s.p + i, 3);
            o += 3;
            i += 2;
        } else if (wide && (c == 0xC2 || c == 0xC3) && i + 1 < s.n) {
            /* U+0080 to U+00FF */
            o = put_escape(o, (c & 3u) << 6 | ((unsigned char)s.p[++i] & 0x3F));
        } else if (c <= 0x20 || c == 0x7F || (c >= 0x80 && !wide) || c == '"' || c == '%' ||
                   c == '<' || c == '>') {
            o = put_escape(o, c);
        } else {
            *o++ = (char)c;
        }
    }
    return span_of(out, (size_t)(o - out));
}
