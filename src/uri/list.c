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

static void add_to_all(struct uris *l, struct arena *a, struct span s)
{
    void **slot = map_at(&l->by_cleaned, s);
    if (!*slot) {
        *slot = l;
        *ARENA_PUSH(a, l->cleaned, l->ncleaned, l->cleaned_cap) = s;
    }
}

static bool is_cleaned(const struct uri *u, struct span s)
{
    for (size_t i = 0; i < u->ncleaned; i++)
        if (span_eq(u->cleaned[i], s))
            return true;
    return false;
}

/* Most lists have one entry or two. */
static void *room_for_one(struct arena *a, void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return v;
    size_t now = *cap;
    *cap = now ? now * 2 : 2;
    return arena_grow(a, v, now * size, *cap * size);
}

static void add_host(struct arena *a, struct uri *u, struct span host, struct span domain)
{
    for (size_t i = 0; i < u->nhosts; i++)
        if (span_eq(u->hosts[i], host))
            return;
    u->domains = room_for_one(a, u->domains, u->nhosts, &u->domains_cap, sizeof *u->domains);
    u->hosts = room_for_one(a, u->hosts, u->nhosts, &u->hosts_cap, sizeof *u->hosts);
    u->domains[u->nhosts] = domain;
    u->hosts[u->nhosts++] = host;
}

static void add_types(struct arena *a, struct uri *u, const char *const *types, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (uri_has_type(u, types[i]))
            continue;
        u->types = room_for_one(a, u->types, u->ntypes, &u->types_cap, sizeof *u->types);
        u->types[u->ntypes++] = types[i];
    }
}

/* A host's registered domain, from those of the last hosts when it is one of them. */
static bool domain_of(struct uris *l, const struct uri_tables *t, struct arena *a, struct span host,
                      struct span *domain)
{
    unsigned n = l->nkept < URI_HOSTS_KEPT ? l->nkept : URI_HOSTS_KEPT;
    for (unsigned i = 0; i < n; i++)
        if (span_eq(l->kept[i].host, host)) {
            *domain = l->kept[i].domain;
            return l->kept[i].valid;
        }
    struct uri_host *h = &l->kept[l->nkept++ % URI_HOSTS_KEPT];
    h->host = host;
    h->valid = uri_domain_of(t, a, host, &h->domain);
    *domain = h->domain;
    return h->valid;
}

/* s itself when it is lower case. */
static struct span lower_case(struct arena *a, struct span s)
{
    unsigned upper = 0;
    for (size_t i = 0; i < s.n; i++)
        upper |= (unsigned)((unsigned char)(s.p[i] - 'A') < 26);
    return upper ? arena_lower(a, s) : s;
}

/* Canonical forms cut to length, and the hosts in them. */
struct canonical {
    struct span *v, *hosts, *domains;
    size_t n, nhosts, bytes;
    bool cut, limited;
};

static struct canonical canonical_of(struct uris *l, const struct uri_tables *t, struct arena *a,
                                     struct span uri, bool wide, bool canonicalise)
{
    struct canonical c = {.n = 1};
    if (canonicalise && l->bytes < URI_LIST_BYTES) {
        c.v = uri_canonical(t, a, uri, wide, &c.n);
    } else {
        l->limited |= c.limited = canonicalise;
        c.v = ARENA_NEW(a, struct span);
        c.v[0] = wide ? uri_narrow(a, uri) : uri;
    }
    c.hosts = arena_raw(a, 2 * c.n * sizeof *c.hosts);
    c.domains = c.hosts + c.n;
    for (size_t i = 0; i < c.n; i++) {
        if (c.v[i].n > URI_LENGTH_MAX) {
            c.cut = true;
            c.v[i].n = URI_LENGTH_MAX;
        }
        c.bytes += c.v[i].n;
        if (uri_host_of(lower_case(a, c.v[i]), &c.hosts[c.nhosts]) &&
            domain_of(l, t, a, c.hosts[c.nhosts], &c.domains[c.nhosts]))
            c.nhosts++;
    }
    l->truncated |= c.cut;
    l->bytes += c.bytes;
    return c;
}

static void add_forms(struct uris *l, struct arena *a, struct uri *u, const struct canonical *c)
{
    if (u->ncleaned == 0 && !c->cut) { /* each is there once */
        u->cleaned = c->v;
        u->ncleaned = u->cleaned_cap = c->n;
        for (size_t i = 0; i < c->n; i++)
            add_to_all(l, a, c->v[i]);
        return;
    }
    for (size_t i = 0; i < c->n; i++)
        if (!is_cleaned(u, c->v[i])) {
            *ARENA_PUSH(a, u->cleaned, u->ncleaned, u->cleaned_cap) = c->v[i];
            add_to_all(l, a, c->v[i]);
        }
}

/* The entry of a URI of which everything is known: it is the same for the same ASCII bytes. */
static struct uri *known(struct uris *l, struct span uri)
{
    void *at = l->bytes < URI_LIST_BYTES ? map_get(&l->by_key, uri) : NULL;
    struct uri *u = at ? &l->v[(size_t)(uintptr_t)at - 1] : NULL;
    return u && u->known ? u : NULL;
}

struct uri *uris_add(struct uris *l, const struct uri_tables *t, struct arena *a, struct span uri,
                     bool wide, bool canonicalise, bool need_domain, const char *const *types,
                     size_t ntypes)
{
    struct uri *u = canonicalise ? known(l, uri) : NULL;
    if (u) {
        l->bytes += u->bytes;
        if (need_domain && !u->hosted)
            return NULL;
        add_types(a, u, types, ntypes);
        return u;
    }
    struct canonical c = canonical_of(l, t, a, uri, wide, canonicalise);
    if (need_domain && c.nhosts == 0)
        return NULL;
    u = entry(l, a, wide ? uri_narrow(a, uri) : uri);
    if (canonicalise)
        add_forms(l, a, u, &c);
    for (size_t i = 0; i < c.nhosts; i++)
        add_host(a, u, c.hosts[i], c.domains[i]);
    add_types(a, u, types, ntypes);
    if (canonicalise && !c.cut && !c.limited && uri_is_ascii(uri)) {
        u->known = true;
        u->hosted = c.nhosts > 0;
        u->bytes = c.bytes;
    }
    return u;
}
