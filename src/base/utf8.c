#include "base/utf8.h"

size_t utf8_length(struct span s)
{
    const unsigned char *u = (const unsigned char *)s.p;
    unsigned char low = 0x80, high = 0xbf;
    size_t n;
    if (u[0] < 0x80)
        return 1;
    if (u[0] >= 0xc2 && u[0] <= 0xdf)
        n = 2;
    else if ((u[0] & 0xf0) == 0xe0)
        n = 3;
    else if (u[0] >= 0xf0 && u[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (n > s.n)
        return 0;
    if (u[0] == 0xe0)
        low = 0xa0; /* overlong */
    else if (u[0] == 0xed)
        high = 0x9f; /* surrogates */
    else if (u[0] == 0xf0)
        low = 0x90;
    else if (u[0] == 0xf4)
        high = 0x8f;
    if (u[1] < low || u[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((u[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

void utf8_add(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.n;) {
        size_t n = s.p[i] ? utf8_length(span_from(s, i)) : 0;
        if (n)
            buf_add(b, span_sub(s, i, i + n));
        else
            buf_str(b, UTF8_REPLACEMENT);
        i += n ? n : 1;
    }
}
