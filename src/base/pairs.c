#include "base/pairs.h"

void pairs_of(struct pairs *out, struct span text)
{
    enum { PIECE = 256 };
    uint16_t v[PIECE]; /* all of a piece first: that goes many at a time */
    const char *p = text.p;
    memset(out, 0, sizeof *out);
    out->bits[PAIR_NONE / 64] = 1;
    for (size_t left = text.n ? text.n - 1 : 0; left;) {
        size_t n = left < PIECE ? left : PIECE;
        for (size_t i = 0; i < n; i++)
            v[i] = (uint16_t)pair_of(p[i], p[i + 1]);
        for (size_t i = 0; i < n; i++)
            out->bits[v[i] / 64] |= (uint64_t)1 << v[i] % 64;
        p += n;
        left -= n;
    }
}
