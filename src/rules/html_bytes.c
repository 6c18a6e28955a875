#include "rules/html_bytes.h"

struct span html_bytes(struct arena *a, const struct html_text *t)
{
    size_t i = 0;
    while (i < t->s.n && (unsigned char)t->s.p[i] < 0x80)
        i++;
    if (!t->chars || i == t->s.n)
        return t->s;
    char *p = arena_raw(a, t->s.n + 1);
    size_t n = 0;
    for (i = 0; i < t->s.n;) {
        unsigned char lead = (unsigned char)t->s.p[i++];
        unsigned char next = i < t->s.n ? (unsigned char)t->s.p[i] : 0;
        if (lead < 0x80)
            p[n++] = (char)lead;
        else if (lead <= 0xc3)
            p[n++] = (char)((lead & 3) << 6 | (next & 0x3f));
        else
            p[n++] = HTML_WIDE;
        while (lead >= 0x80 && i < t->s.n && ((unsigned char)t->s.p[i] & 0xc0) == 0x80)
            i++;
    }
    return span_of(p, n);
}
