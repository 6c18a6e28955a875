/* Rule files: any bytes are read; what is not understood is a problem with its line. */
#include <stdint.h>
#include <stdlib.h>

#include "rules/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *a = arena_new(0);
    struct conf_options o = {.language = "de", .local_only = true};
    struct conf *c = conf_new(a, &o);
    conf_text(c, "fuzz.cf", span_of((const char *)data, n));
    conf_finish(c);
    for (size_t i = 0; i < c->nrules; i++)
        if (conf_rule(c, span_str(c->rules[i]->name)) != c->rules[i])
            abort();
    for (size_t i = 0; i < c->nproblems; i++)
        if (!c->problems[i].text)
            abort();
    arena_free(a);
    return 0;
}
