/* The data machine: what it lets through does not depend on where the pieces were cut, holds no
 * unannounced bare CR or LF, and is never longer than what came in allows. */
#include <stdlib.h>

#include "base/buf.h"
#include "smtp/data.h"

static void keep(void *ctx, struct span bytes)
{
    buf_add(ctx, bytes);
}

static size_t run(struct span in, size_t step, bool normalise, struct buf *out, bool *end,
                  bool *bare)
{
    struct smtp_data d;
    size_t used = 0;
    data_begin(&d, true, normalise);
    d.sink = keep;
    d.ctx = out;
    *end = false;
    while (used < in.n && !*end)
        used += data_feed(&d, span_sub(in, used, used + step), end);
    *bare = d.bare;
    return used;
}

static bool has_bare(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
            return true;
        if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] != '\n')
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    bool normalise = data[0] & 1;
    struct span in = span_of((const char *)data + 1, size - 1);
    struct buf whole = {0}, pieces = {0};
    bool end1, end2, bare1, bare2;
    size_t used1 = run(in, in.n, normalise, &whole, &end1, &bare1);
    size_t used2 = run(in, 1 + data[0] / 2 % 9, normalise, &pieces, &end2, &bare2);
    if (end1 != end2 || bare1 != bare2 || used1 != used2)
        abort();
    if (end1 && !span_eq(buf_span(&whole), buf_span(&pieces)))
        abort();
    if (has_bare(buf_span(&whole)) && (normalise || !bare1))
        abort();
    if (end1 && (used1 < 3 || memcmp(in.p + used1 - 3, ".\r\n", 3) != 0))
        abort();
    if (end1 && used1 > 3 && (used1 < 5 || memcmp(in.p + used1 - 5, "\r\n", 2) != 0))
        abort();
    struct head_watch a, b;
    head_begin(&a);
    head_begin(&b);
    head_feed(&a, buf_span(&whole));
    for (size_t i = 0; i < whole.n; i++)
        head_feed(&b, span_of(whole.p + i, 1));
    if (a.hops != b.hops || a.header_bytes != b.header_bytes || a.done != b.done)
        abort();
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
