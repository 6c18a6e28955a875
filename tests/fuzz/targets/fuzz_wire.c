/* The wire forms of envelope, peer and splices: what decodes must encode to the same bytes again,
 * and splices that are in order must apply to what they name. */
#include "message/envelope.h"
#include "mime/splice.h"

static void check(bool holds)
{
    if (!holds)
        __builtin_trap();
}

static void apply(struct splices *s, struct arena *a)
{
    char raw[256];
    memset(raw, 'r', sizeof raw);
    struct span text = span_of(raw, sizeof raw);
    struct err e;
    if (splices_sort(s, text.n, &e) != 0)
        return;
    struct buf out = {0};
    splices_apply(s, text, &out);
    check(out.n == splices_size(s, text.n));
    size_t n, sum = 0;
    struct iovec *v = splices_iov(s, text, a, &n);
    for (size_t i = 0; i < n; i++)
        sum += v[i].iov_len;
    check(sum == out.n);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena *a = arena_new(0);
    struct span in = span_of((const char *)data + 1, size - 1);
    struct cursor c = cursor_over(in);
    struct buf again = {0};
    struct splices s;
    if (data[0] % 3 == 0) {
        struct envelope env;
        envelope_decode(&c, a, &env);
        envelope_encode(&again, &env);
    } else if (data[0] % 3 == 1) {
        struct peer p;
        peer_decode(&c, a, &p);
        peer_encode(&again, &p);
    } else {
        splices_decode(&c, a, &s);
        splices_encode(&again, &s);
        apply(&s, a);
    }
    /* an absent insert comes back as an empty one */
    if (cursor_ok(&c) && data[0] % 3 != 2)
        check(span_eq(buf_span(&again), in));
    buf_free(&again);
    arena_free(a);
    return 0;
}
