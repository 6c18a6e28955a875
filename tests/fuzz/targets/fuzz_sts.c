/* MTA-STS records and policies: what is taken keeps its limits. */
#include "deliver/sts_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of((const char *)data, size), id;
    struct arena *a = arena_new(0);
    struct sts_policy p;
    struct err e;
    if (sts_record_parse(text, &id) && (id.n == 0 || id.n > STS_ID_MAX))
        __builtin_trap();
    if (sts_policy_parse(text, a, &p, &e) == 0) {
        if (p.n > STS_MX_MAX || p.max_age > STS_AGE_MAX || (p.mode != STS_NONE && p.n == 0))
            __builtin_trap();
        sts_policy_matches(&p, text);
    }
    arena_free(a);
    return 0;
}
