/* The .json of held mail: what decodes, encodes to something that decodes to the same bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "quarantine/quarantine_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct quarantine_item x, y;
    struct err e;
    if (sidecar_decode(span_of((const char *)data, size), a, &x, &e) == 0) {
        struct buf once = {0}, twice = {0};
        sidecar_encode(&once, &x);
        if (sidecar_decode(buf_span(&once), a, &y, &e))
            abort();
        sidecar_encode(&twice, &y);
        if (!span_eq(buf_span(&once), buf_span(&twice)))
            abort();
        buf_free(&once);
        buf_free(&twice);
    }
    arena_free(a);
    return 0;
}
