/* Compressed messages: whatever comes, cut anywhere, the same bytes come out, and no more than the
 * one who takes them allows. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "rspamd/unpack.h"

enum { ENOUGH = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take(void *ctx, struct span out)
{
    struct buf *b = ctx;
    if (b->n + out.n > ENOUGH)
        return false;
    buf_add(b, out);
    return true;
}

static bool run(struct span in, size_t step, struct buf *out)
{
    struct unpack *u = unpack_new();
    bool fine = u != NULL;
    for (size_t at = 0; fine && at < in.n; at += step)
        fine = unpack_feed(u, span_sub(in, at, at + step), take, out);
    bool done = fine && unpack_done(u);
    unpack_free(u);
    return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct span in = span_of((const char *)data + 1, size - 1);
    struct buf whole = {0}, cut = {0};
    bool a = run(in, in.n, &whole), b = run(in, 1u + data[0] % 9, &cut);
    if (a != b || (a && !span_eq(buf_span(&whole), buf_span(&cut))))
        abort();
    buf_free(&whole);
    buf_free(&cut);
    return 0;
}
