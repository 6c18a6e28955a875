/* Address lists: whatever comes in, what comes out has one '@'. */
#include "mime/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct mime_addresses l = mime_addresses_parse(a, span_of((const char *)data, size));
    for (size_t i = 0; i < l.n; i++) {
        struct span addr = l.v[i].addr;
        size_t at = span_find(addr, '@');
        if (addr.p && (at == SIZE_MAX || span_find(span_from(addr, at + 1), '@') != SIZE_MAX))
            __builtin_trap();
        if (l.v[i].name.p)
            mime_decode_text(a, l.v[i].name);
    }
    arena_free(a);
    return 0;
}
