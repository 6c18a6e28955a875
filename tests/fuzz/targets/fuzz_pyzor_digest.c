/* Any bytes as a message: Pyzor's digest ends, and is one. */
#include "digests/pyzor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char digest[PYZOR_DIGEST_SIZE];
    struct arena *a = arena_new(0);
    pyzor_digest(a, span_of((const char *)data, size), digest);
    if (strlen(digest) != PYZOR_DIGEST_SIZE - 1)
        __builtin_trap();
    arena_free(a);
    return 0;
}
