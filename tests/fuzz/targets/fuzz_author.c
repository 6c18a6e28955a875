/* Whose name is shown: bounded, canonical, and never fine without a single From field. */
#include "auth/author.h"
#include "auth/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct authors out;
    authors_find(a, span_of((const char *)data, size), &out);
    if (out.n > AUTHOR_DOMAINS_MAX || out.bad != (out.why != NULL))
        __builtin_trap();
    for (size_t i = 0; i < out.n; i++)
        if (!name_fits(out.domains[i]))
            __builtin_trap();
    arena_free(a);
    return 0;
}
