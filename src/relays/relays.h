/* Received headers read as SpamAssassin reads them, and who of the relays is trusted (semantics 6.5
 * to 6.7). Arena only. */
#ifndef GATEHOUSE_RELAYS_RELAYS_H
#define GATEHOUSE_RELAYS_RELAYS_H

#include "base/arena.h"
#include "base/ip.h"
#include "mime/mime.h"

/* trusted_networks and friends: SpamAssassin's netset, first declared network that contains the
 * address decides (semantics 2.7). */
struct netset_row {
    struct ip net; /* masked */
    unsigned bits; /* of the mapped form */
    bool exclude;
};
struct netset {
    struct netset_row *v;
    size_t n, cap;
    bool configured;
};
/* Adds one word of a *_networks line ("!10.0.0.0/8", "192.168", "2001:db8::/32"). false: no
 * network. */
bool netset_add(struct netset *s, struct arena *a, struct span word);
bool netset_has(const struct netset *s, struct span ip);
/* Whether a network lies in s: internal and msa networks that are not trusted do not count. */
bool netset_covers(const struct netset *s, const struct netset_row *row);

struct relay {
    struct span ip, rdns, helo, by, ident, envfrom, id, auth;
    bool trusted, internal, msa, is_private, no_reverse_dns;
    struct span text; /* "[ ip=... rdns=... ]" */
};

struct relays {
    struct relay *v; /* newest first, all of them */
    size_t n, cap;
    struct relay **trusted, **untrusted, **internal, **external;
    size_t ntrusted, nuntrusted, ninternal, nexternal;
    struct span trusted_text, untrusted_text, internal_text,
        external_text; /* joined by one space */
    size_t unparseable;
    long last_trusted, last_internal; /* index of the Received header, -1: none (ALL-TRUSTED ...) */
};

struct relays_settings {
    struct netset trusted, internal, msa;
    struct span *originating_ip_headers;
    size_t noriginating;
};

/* memory: of the templates (relays/template.h), NULL: none. */
struct template_memory;
struct relays *relays_parse(struct mime *m, const struct relays_settings *s,
                            struct template_memory *memory);

#endif
