/* URIs: found in text, canonicalised, trimmed to their registered domains
 * (semantics 5.1, 5.4, 5.5). The tables of domains come from the rule files. Arena only, no I/O.
 *
 * A URI of an HTML part may be a string of characters (semantics 4.3); rules see one byte for each
 * character: Latin-1, and URI_WIDE for all characters beyond it. */
#ifndef GATEHOUSE_URI_URI_H
#define GATEHOUSE_URI_URI_H

#include "base/arena.h"
#include "base/map.h"

enum {
    URI_WIDE = 0x90,        /* stands for any character beyond U+00FF */
    URI_LENGTH_MAX = 8192,  /* characters of one canonical form; SpamAssassin's MAX_URI_LENGTH */
    URI_REDIRECTS_MAX = 32, /* URIs unwrapped from one: more is an attempt to keep us busy */
    URI_LIST_BYTES =
        1 << 25 /* canonical forms of one message; later URIs keep only their own form */
};

/* Filled by the reader of the rule files, read-only afterwards. Keys are lower case, without dots
 * in front; values are non-NULL. */
struct uri_tables {
    struct map tld, two_level, three_level;
    /* redirector_pattern, in file order: the first pattern from number `from` on that matches s,
     * its number and the first group; SIZE_MAX: none does. Given as a function so that this room
     * needs no regex engine; NULL: there are none. */
    size_t (*redirector)(void *ctx, size_t from, struct span s, struct span *group);
    void *redirector_ctx;
};

struct uri {
    struct span key;      /* as found; bytes */
    struct span *cleaned; /* canonical variants, each at most URI_LENGTH_MAX bytes; may be none */
    size_t ncleaned, cleaned_cap;
    struct span *hosts, *domains; /* pairs: host -> registered domain */
    size_t nhosts, hosts_cap, domains_cap;
    const char **types; /* "parsed", "unlinked", "schemeless", "a", "img", "domainkeys", ... */
    size_t ntypes, types_cap;
    struct span *anchors;
    size_t nanchors, anchors_cap;
    /* internal: all of this is known of the key, which is ASCII; a form of it has a host; bytes of
     * its forms */
    bool known, hosted;
    size_t bytes;
};

enum { URI_HOSTS_KEPT = 8 };

struct uris {
    struct uri *v;
    size_t n, cap;
    struct span *cleaned; /* union over all entries: what `uri` rules are run against */
    size_t ncleaned, cleaned_cap;
    bool truncated; /* a canonical form was longer than URI_LENGTH_MAX */
    bool limited;   /* URI_LIST_BYTES was reached */
    /* internal */
    struct map by_key, by_cleaned;
    size_t bytes;
    struct uri_host { /* the last hosts met: most URIs of a message share a few */
        struct span host, domain;
        bool valid;
    } kept[URI_HOSTS_KEPT];
    unsigned nkept; /* met so far */
};

struct uris uris_in(struct arena *a);
/* Adds a URI with its canonical forms, hosts and domains, or more types to one that is there.
 * wide: uri is a character string, held as UTF-8. canonicalise: false for "domainkeys:" entries,
 * which have neither canonical nor cleaned forms. need_domain: not without a valid host
 * (semantics 5.3). Returns the entry, valid until the next call, or NULL when it was not added. */
struct uri *uris_add(struct uris *u, const struct uri_tables *t, struct arena *a, struct span uri,
                     bool wide, bool canonicalise, bool need_domain, const char *const *types,
                     size_t ntypes);
bool uri_has_type(const struct uri *u, const char *type);

/* A candidate found in a line of text, cleaned and with scheme (semantics 5.1). */
struct uri_found {
    struct span uri;
    bool unlinked, schemeless, mail;
};
struct uri_founds {
    struct uri_found *v;
    size_t n, cap;
    struct map seen; /* raw candidates: each counts once for all lines */
};
struct uri_founds uri_founds_in(struct arena *a);
void uri_find(const struct uri_tables *t, struct arena *a, struct span line,
              struct uri_founds *out);

/* All canonical forms of one URI (semantics 5.4), the original (trimmed) first. wide: the string is
 * a character string held as UTF-8; the results are Latin-1 with URI_WIDE. */
struct span *uri_canonical(const struct uri_tables *t, struct arena *a, struct span uri, bool wide,
                           size_t *n);
/* UTF-8 to Latin-1 with URI_WIDE. */
struct span uri_narrow(struct arena *a, struct span utf8);

/* Host of a URI and its registered domain (semantics 5.5); false when it has none. */
bool uri_host_domain(const struct uri_tables *t, struct arena *a, struct span uri,
                     struct span *host, struct span *domain);
/* Registered domain of a host name, lower case; SPAN_NONE when it has none. */
struct span uri_registered(const struct uri_tables *t, struct arena *a, struct span host);
/* Letters of either case. */
bool uri_fqdn_valid(struct span host);
/* Whether the host ends in a known top-level domain. */
bool uri_tld_known(const struct uri_tables *t, struct arena *a, struct span host);

#endif
