/* HTML rendering: the first byte tells the kind of the source. */
#include <stdint.h>

#include "html/html.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    struct arena *a = arena_new(0);
    struct span s = span_of((const char *)data + 1, n - 1);
    if (data[0] & 2)
        html_parse_octets(a, s);
    else
        html_parse(a, s, data[0] & 1, n - 1);
    arena_free(a);
    return 0;
}
