/* PROXY headers: what is complete with some bytes is the same with more behind it, and incomplete
 * with fewer. */
#include <stdlib.h>

#include "smtp/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of((const char *)data, size);
    struct proxy_header h, part;
    size_t used = 0, used_part;
    if (proxy_parse(in, &used, &h) != PROXY_DONE)
        return 0;
    if (used == 0 || used > in.n)
        abort();
    if (proxy_parse(span_sub(in, 0, used), &used_part, &part) != PROXY_DONE || used_part != used ||
        memcmp(&h, &part, sizeof h) != 0)
        abort();
    for (size_t n = 0; n < used; n++)
        if (proxy_parse(span_sub(in, 0, n), &used_part, &part) == PROXY_DONE)
            abort();
    return 0;
}
