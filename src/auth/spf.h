/* Sender Policy Framework, RFC 7208: check_host() as a resumable machine, and the records it reads.
 * With scope SPF_PRA also RFC 4406's records and 4407's responsible address (spf_pra).
 *
 * Nothing is believed of a record before all of it was parsed; a syntax error anywhere is permerror
 * (section 4.6). Memory: the message's arena, bounded by the limits below. */
#ifndef GATEHOUSE_AUTH_SPF_H
#define GATEHOUSE_AUTH_SPF_H

#include "auth/resolver.h"
#include "message/facts.h"

enum {
    SPF_LOOKUPS_MAX = 10,   /* terms that ask the DNS, in all records together (4.6.4) */
    SPF_VOID_MAX = 2,       /* of their lookups may find nothing (4.6.4) */
    SPF_MX_MAX = 10,        /* hosts of one mx term; more is permerror (4.6.4) */
    SPF_PTR_MAX = 10,       /* names of the client that are looked at; more are ignored (4.6.4) */
    SPF_RECORD_MAX = 16384, /* bytes of a record; longer is permerror. The longest honest ones need
                               TCP and have 2,000 */
    SPF_TERMS_MAX = 1000,   /* of a record, likewise */
    SPF_EXPANSION_MAX = 4096, /* bytes of an expanded macro string; longer is permerror */
    SPF_EXPLANATION_MAX = 450 /* bytes of an explanation; longer ones are not used: an SMTP reply
                                 line has 512 */
};

enum spf_scope { SPF_MFROM, SPF_PRA };

struct spf_query {
    struct ip ip;
    struct span domain;   /* <domain>: of HELO or of the sender */
    struct span sender;   /* <sender>; without local part: postmaster@ */
    struct span helo;     /* %{h} */
    const char *receiver; /* %{r}: our host name */
    enum spf_scope scope;
    bool explain; /* fetch exp= after a fail */
    usec now;     /* %{t}, wall time */
};

/* Evaluates q and fills *out (in arena a). done(ctx) comes exactly once, now or later. */
void spf_check(const struct spf_query *q, const struct resolver *r, struct arena *a,
               struct spf_fact *out, void (*done)(void *ctx), void *ctx);

/* --- records --- */

enum spf_mechanism { SPF_ALL, SPF_INCLUDE, SPF_A, SPF_MX, SPF_PTR, SPF_IP4, SPF_IP6, SPF_EXISTS };

struct spf_term {
    struct span text; /* as written */
    enum spf_mechanism mechanism;
    enum spf_result qualifier; /* what a match means: pass, fail, softfail, neutral */
    struct span domain;        /* domain-spec, unexpanded; absent: the current domain */
    struct cidr net;           /* ip4, ip6 */
    unsigned bits4, bits6;     /* of a and mx: prefix lengths */
};

struct spf_record {
    struct spf_term *terms;
    size_t n, cap;
    struct span redirect, exp; /* domain-specs; absent when not given */
};

/* Whether a TXT record is one of ours: "v=spf1" (4.5), or for SPF_PRA "spf2.0/...pra". */
bool spf_is_record(struct span txt, enum spf_scope scope);
/* The record behind its version; spans point into it. false with why in words. */
bool spf_parse(struct arena *a, struct span txt, struct spf_record *out, struct span *why);

/* --- macros (section 7) --- */

struct spf_macros {
    struct ip ip;
    struct span sender, local, sender_domain, domain, helo, validated;
    const char *receiver;
    usec now;
};
/* Whether s is a macro-string; explain: the letters c, r and t and SP are allowed too. uses_p: it
 * names the validated domain. domain: s must end as a domain-spec does (7.1). */
bool spf_macro_valid(struct span s, bool explain, bool domain, bool *uses_p);
/* Expands a valid macro-string. SPAN_NONE when it is longer than SPF_EXPANSION_MAX. */
struct span spf_expand(struct arena *a, const struct spf_macros *m, struct span s);

/* --- around it --- */

/* RFC 4407: the purported responsible address from a header block (with its blank line or not).
 * SPAN_NONE when there is none, or not exactly one. */
struct span spf_pra(struct arena *a, struct span header);

/* The value of Received-SPF (section 9.1), folded with LF; `identity`: "mailfrom" or "helo". */
struct span spf_received(struct arena *a, const struct spf_fact *f, const char *identity,
                         const struct ip *ip, struct span helo, const char *receiver);

#endif
