/* A DMARC record: what is taken has a policy, and addresses that mail can be sent to. */
#include "auth/dmarc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct dmarc_record r;
    if (dmarc_parse(a, span_of((const char *)data, size), &r)) {
        if (r.p > DMARC_POLICY_REJECT || r.sp > DMARC_POLICY_REJECT || r.percent > 100 ||
            r.nrua > DMARC_URIS_MAX)
            __builtin_trap();
        for (size_t i = 0; i < r.nrua; i++)
            if (span_find(r.rua[i].address, '@') == SIZE_MAX)
                __builtin_trap();
    }
    arena_free(a);
    return 0;
}
