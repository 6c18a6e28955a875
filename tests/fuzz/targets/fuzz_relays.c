/* Received lines: every field points into valid memory and holds none of the characters that
 * separate fields. */
#include "relays/relays_private.h"

#include <stdlib.h>

static void check(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '[' || s.p[i] == ']' || s.p[i] == ' ')
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 8192)
        return 0;
    struct arena *a = arena_new(0);
    struct template_match m = {.arena = a};
    struct received_carry carry = {0};
    struct relay r;
    if (received_parse(&m, span_of((const char *)data, size), &r, &carry) == RECEIVED_RELAY) {
        check(r.ip);
        check(r.rdns);
        check(r.helo);
        check(r.by);
        check(r.ident);
        check(r.envfrom);
    }
    arena_free(a);
    return 0;
}
