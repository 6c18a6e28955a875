/* The URIs of one message, each once, with all that is known of it (semantics 5.3). */
#include "uri/uri_private.h"

struct uris uris_in(struct arena *a)
{
    return (struct uris){.by_key = map_in(a), .by_cleaned = map_in(a)};
}

bool uri_has_type(const struct uri *u, const char *type)
{
    for (size_t i = 0; i < u->ntypes; i++)
        if (strcmp(u->types[i], type) == 0)
            return true;
    return false;
}

/* Where a URI stands; made when it is new. */
static struct uri *entry(struct uris *l, struct arena *a, struct span key)
{
    void **slot = map_at(&l->by_key, key);
    if (!*slot) {
        ARENA_PUSH(a, l->v, l->n, l->cap)->key = key;
        *slot = (void *)(uintptr_t)l->n;
    }
    return &l->v[(size_t)(uintptr_t)*slot - 1];
}

static void add_cleaned(struct uris *l, struct arena *a, struct uri *u, struct span s)
{
    for (size_t i = 0; i < u->ncleaned; i++)
        if (span_eq(u->cleaned[i], s))
            return;
    *ARENA_PUSH(a, u->cleaned, u->ncleaned, u->cleaned_cap) = s;
    void **slot = map_at(&l->by_cleaned, s);
    if (!*slot) {
        *slot = l;
        *ARENA_PUSH(a, l->cleaned, l->ncleaned, l->cleaned_cap) = s;
    }
}

static void add_host(struct arena *a, struct uri *u, struct span host, struct span domain)
{
    for (size_t i = 0; i < u->nhosts; i++)
        if (span_eq(u->hosts[i], host))
            return;
    size_t n = u->nhosts;
    *ARENA_PUSH(a, u->domains, n, u->domains_cap) = domain;
    *ARENA_PUSH(a, u->hosts, u->nhosts, u->hosts_cap) = host;
}

/* Canonical forms cut to length, and the hosts in them. */
struct canonical {
    struct span *v, *hosts, *domains;
    size_t n, nhosts;
};

static struct canonical canonical_of(struct uris *l, const struct uri_tables *t, struct arena *a,
                                     struct span uri, bool wide, bool canonicalise)
{
    struct canonical c = {.n = 1};
    if (canonicalise && l->bytes < URI_LIST_BYTES) {
        c.v = uri_canonical(t, a, uri, wide, &c.n);
    } else {
        l->limited |= canonicalise;
        c.v = ARENA_NEW(a, struct span);
        c.v[0] = wide ? uri_narrow(a, uri) : uri;
    }
    c.hosts = arena_array(a, c.n, sizeof *c.hosts);
    c.domains = arena_array(a, c.n, sizeof *c.domains);
    for (size_t i = 0; i < c.n; i++) {
        if (c.v[i].n > URI_LENGTH_MAX) {
            l->truncated = true;
            c.v[i].n = URI_LENGTH_MAX;
        }
        l->bytes += c.v[i].n;
        if (uri_host_domain(t, a, c.v[i], &c.hosts[c.nhosts], &c.domains[c.nhosts]))
            c.nhosts++;
    }
    return c;
}

struct uri *uris_add(struct uris *l, const struct uri_tables *t, struct arena *a, struct span uri,
                     bool wide, bool canonicalise, bool need_domain, const char *const *types,
                     size_t ntypes)
{
    struct canonical c = canonical_of(l, t, a, uri, wide, canonicalise);
    if (need_domain && c.nhosts == 0)
        return NULL;
    struct uri *u = entry(l, a, wide ? uri_narrow(a, uri) : uri);
    for (size_t i = 0; canonicalise && i < c.n; i++)
        add_cleaned(l, a, u, c.v[i]);
    for (size_t i = 0; i < c.nhosts; i++)
        add_host(a, u, c.hosts[i], c.domains[i]);
    for (size_t i = 0; i < ntypes; i++)
        if (!uri_has_type(u, types[i]))
            *ARENA_PUSH(a, u->types, u->ntypes, u->types_cap) = types[i];
    return u;
}
