/* Key records: a record that is taken has a key within the limits. */
#include "auth/dkimkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct dkim_keys *keys = dkim_keys_new();
    struct dkim_key k;
    dkim_key_parse(keys, a, span_of((const char *)data, size), &k);
    if (!k.wrong && (!k.pkey || k.bits == 0 || k.bits > DKIM_RSA_BITS_MAX))
        __builtin_trap();
    dkim_keys_free(keys);
    arena_free(a);
    return 0;
}
