/* A whole message: parts, rendering, lines, URIs. */
#include <stdint.h>
#include <stdlib.h>

#include "text/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *a = arena_new(0);
    struct uri_tables t = {.tld = map_in(a), .two_level = map_in(a), .three_level = map_in(a)};
    *map_at(&t.tld, SPAN("com")) = &t;
    struct text_limits limits = {200, 300, true};
    struct mime *m = mime_parse(a, span_of((const char *)data, n), &MIME_LIMITS_DEFAULT);
    struct text *text = text_make(m, &t, &limits);
    text_visible(text);
    text_invisible(text);
    for (size_t i = 0; i < text->body.n; i++)
        if (text->body.v[i].n > 2049)
            abort();
    arena_free(a);
    return 0;
}
