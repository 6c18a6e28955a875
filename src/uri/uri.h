/* URIs: found in text, canonicalised, trimmed to their registered domains (semantics 5.1, 5.4, 5.5).
 * The tables of domains come from the rule files. Arena only, no I/O. */
#ifndef GATEHOUSE_URI_URI_H
#define GATEHOUSE_URI_URI_H

#include "base/arena.h"
#include "base/map.h"

/* Filled by the reader of the rule files, read-only afterwards. Keys are lower case, without dots in
 * front; values are non-NULL. */
struct uri_tables {
    struct map tld, two_level, three_level;
    /* redirector_pattern, in file order: leftmost match of the i-th pattern on s; true and the first
     * group. Given as a function so that this room needs no regex engine. */
    size_t nredirectors;
    bool (*redirector)(void *ctx, size_t i, struct span s, struct span *group);
    void *redirector_ctx;
};

struct uri {
    struct span key;      /* as found; bytes */
    struct span *cleaned; /* canonical variants, each at most 8192 bytes */
    size_t ncleaned;
    struct span *hosts, *domains; /* pairs: host -> registered domain */
    size_t nhosts;
    const char **types; /* "parsed", "unlinked", "schemeless", "a", "img", "domainkeys", ... */
    size_t ntypes;
    struct span *anchors;
    size_t nanchors;
};

struct uris {
    struct uri *v;
    size_t n, cap;
    struct span *cleaned; /* union over all entries: what `uri` rules are run against */
    size_t ncleaned;
    bool truncated;
};

/* A candidate found in a line of text, cleaned and with scheme (semantics 5.1). */
struct uri_found {
    struct span uri;
    bool unlinked, schemeless, mail;
};
struct uri_founds {
    struct uri_found *v;
    size_t n, cap;
};
void uri_find(const struct uri_tables *t, struct arena *a, struct span line,
              struct uri_founds *out);

/* All canonical forms of one URI (semantics 5.4), the original first. wide: the string is a character
 * string held as UTF-8 (from HTML). */
struct span *uri_canonical(const struct uri_tables *t, struct arena *a, struct span uri, bool wide,
                           size_t *n);

/* Host of a URI and its registered domain (semantics 5.5); false when it has none. */
bool uri_host_domain(const struct uri_tables *t, struct arena *a, struct span uri,
                     struct span *host, struct span *domain);
/* Registered domain of a host name; SPAN_NONE when it has none. */
struct span uri_registered(const struct uri_tables *t, struct arena *a, struct span host);
bool uri_fqdn_valid(struct span host);
bool uri_tld_known(const struct uri_tables *t, struct arena *a, struct span host);

#endif
