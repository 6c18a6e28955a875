/* Addresses as SMTP writes them: Reverse-path, Forward-path, Mailbox, Domain, address literals
 * (RFC 5321 section 4.1.2 and 4.1.3; UTF-8 of RFC 6531 section 3.3 when it was asked for). */
#ifndef GATEHOUSE_SMTP_PATH_H
#define GATEHOUSE_SMTP_PATH_H

#include "base/ip.h"

enum {
    SMTP_LOCAL_MAX = 256,  /* RFC 5321 says 64; VERP and SRS senders need more */
    SMTP_DOMAIN_MAX = 255, /* RFC 5321 section 4.5.3.1.2 */
    SMTP_LABEL_MAX = 63,   /* octets of an ASCII label (RFC 1035) */
    SMTP_ROUTE_MAX = 1024, /* the source route, which is ignored */
    SMTP_ADDR_MAX = 2 * SMTP_LOCAL_MAX + 2 + 1 + SMTP_DOMAIN_MAX
};

enum path_error {
    PATH_OK,
    PATH_SYNTAX,
    PATH_UTF8 /* non-ASCII bytes that are not UTF-8, or not allowed here */
};

struct smtp_path {
    /* The mailbox with minimal quoting: "a b"@example.org, but "ab"@example.org becomes
     * ab@example.org. Empty for the null reverse-path. */
    char addr[SMTP_ADDR_MAX + 1];
    size_t n;
    size_t at;    /* index of the '@' that separates the domain; == n when there is no domain */
    bool null;    /* <> */
    bool literal; /* the domain is an address literal */
    bool routed;  /* had a source route, which was dropped (RFC 5321 appendix C) */
    bool non_ascii;
};

/* Cuts a path in angle brackets off *rest. utf8: SMTPUTF8 is allowed. "<>" and mailboxes without
 * domain are parsed; whether they are acceptable is the caller's decision. Local part and domain
 * hold no control characters, ever. */
enum path_error path_parse(struct span *rest, bool utf8, struct smtp_path *out);
/* The same for a whole mailbox without brackets. */
enum path_error mailbox_parse(struct span text, bool utf8, struct smtp_path *out);

static inline struct span path_addr(const struct smtp_path *p)
{
    return (struct span){p->addr, p->n};
}
static inline struct span path_local(const struct smtp_path *p)
{
    return (struct span){p->addr, p->at};
}
static inline struct span path_domain(const struct smtp_path *p)
{
    return p->at < p->n ? (struct span){p->addr + p->at + 1, p->n - p->at - 1} : SPAN_NONE;
}

/* Whether a local part asks a next hop to route further: percent hack, bang path, '@' or ':' within
 * (the classical relay tests). A quoted local part is looked into. */
bool local_is_route(struct span local);

/* Domain = sub-domain *("." sub-domain); '_' is let through, since real hosts have it. */
bool domain_valid(struct span s, bool utf8);
/* "[192.0.2.1]", "[IPv6:2001:db8::1]". ip may be NULL. */
bool literal_valid(struct span s, struct ip *ip);
/* Well-formed UTF-8 without overlong forms, surrogates and C1 controls (RFC 3629). */
bool utf8_valid(struct span s);

#endif
