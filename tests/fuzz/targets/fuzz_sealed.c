/* rspamd's HTTPCrypt: the first line is a Key field; what follows is what comes out of the seal. */
#include <stdlib.h>

#include "rspamd/sealed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of((const char *)data, size), field = SPAN(""), inner;
    unsigned char shared[SEALED_SHARED] = {0};
    struct sealed_key key;
    struct sealed_request r;
    struct buf b = {0};
    struct arena *a = arena_new(0);
    sealed_key_parse(SPAN("e4gr3yuw4xiy6dikdpqus8cmxj8c6pqstt448ycwhewhhrtxdahy"), &key);
    span_line(&rest, &field);
    sealed_agree(&key, 1, field, shared);
    sealed_key_parse(field, &key);
    buf_add(&b, rest);
    sealed_open(shared, b.p, b.n, &inner);
    buf_clear(&b);
    sealed_close(&b, shared, rest);
    if (!sealed_open(shared, b.p, b.n, &inner) || !span_eq(inner, rest))
        abort();
    if (sealed_request_parse(inner, a, &r) &&
        (r.nfields > SEALED_FIELDS_MAX || r.body.p + r.body.n != inner.p + inner.n))
        abort();
    buf_free(&b);
    arena_free(a);
    return 0;
}
