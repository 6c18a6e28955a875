/* URIs found in a line, their canonical forms, hosts and domains. */
#include <stdint.h>
#include <stdlib.h>

#include "uri/uri.h"

static void same_host(const struct uri_tables *t, struct arena *a, struct span uri)
{
    struct span host, domain;
    if (!uri_host_domain(t, a, uri, &host, &domain))
        return;
    if (host.n == 0 || domain.n == 0 || domain.n > host.n)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *a = arena_new(0);
    struct span s = span_of((const char *)data, n);
    struct uri_tables t = {.tld = map_in(a), .two_level = map_in(a), .three_level = map_in(a)};
    *map_at(&t.tld, SPAN("com")) = &t;
    *map_at(&t.tld, SPAN("uk")) = &t;
    *map_at(&t.two_level, SPAN("co.uk")) = &t;
    struct uri_founds found = uri_founds_in(a);
    uri_find(&t, a, s, &found);
    for (size_t i = 0; i < found.n; i++) {
        size_t forms;
        struct span *v = uri_canonical(&t, a, found.v[i].uri, false, &forms);
        for (size_t k = 0; k < forms; k++)
            same_host(&t, a, v[k]);
    }
    size_t forms;
    uri_canonical(&t, a, s, true, &forms);
    same_host(&t, a, s);
    uri_registered(&t, a, s);
    uri_fqdn_valid(s);
    arena_free(a);
    return 0;
}
