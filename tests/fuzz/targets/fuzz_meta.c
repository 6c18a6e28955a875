/* Meta expressions: compiled ones evaluate within the stack they announced. */
#include <stdint.h>
#include <stdlib.h>

#include "rules/meta.h"

static double value(void *ctx, uint32_t index)
{
    const struct meta *m = ctx;
    if (index >= m->nnames)
        abort();
    return (double)(index % 3) - 0.5;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *a = arena_new(0);
    struct meta m;
    struct err e = {0};
    bool division = false;
    if (meta_compile(a, span_of((const char *)data, n), true, &m, &e) == 0)
        meta_eval(&m, value, &m, &division);
    else if (!e.text[0])
        abort();
    arena_free(a);
    return 0;
}
