/* Domain-based Message Authentication, Reporting and Conformance: RFC 7489 (organisational domains
 * by the public suffix list) and RFC 9989 (by a walk up the DNS tree), chosen by dmarc.method.
 *
 * Identifiers come from facts that stand already: spf and dkim of m->facts.auth. The author's
 * domains come from auth/author.h: where a message shows several, each is checked, and the
 * strictest result holds. */
#ifndef GATEHOUSE_AUTH_DMARC_H
#define GATEHOUSE_AUTH_DMARC_H

#include "auth/author.h"
#include "auth/resolver.h"
#include "config/settings.h"
#include "message/message.h"

enum {
    DMARC_RECORD_MAX = 8192, /* bytes; a longer one is none */
    DMARC_WALK_MAX = 8,      /* questions of one walk (RFC 9989 section 4.10) */
    DMARC_WALKS_MAX = 8,     /* walks for domains that passed SPF or DKIM; later ones don't align */
    DMARC_URIS_MAX = 10      /* of rua or ruf */
};

enum dmarc_psd { DMARC_PSD_UNKNOWN, DMARC_PSD_YES, DMARC_PSD_NO };

struct dmarc_uri {
    struct span address; /* of a mailto: URI, percent-decoded */
    uint64_t max_size;   /* bytes; 0: none given */
};

struct dmarc_record {
    enum dmarc_policy p, sp, np; /* sp, np: those that hold (default p, sp) */
    bool strict_dkim, strict_spf;
    bool testing; /* t=y */
    unsigned percent;
    enum dmarc_psd psd;
    struct span text; /* as published */
    struct dmarc_uri rua[DMARC_URIS_MAX];
    size_t nrua;
    struct span fo; /* as published, or absent */
};

/* One of rua=: "mailto:a@example.org!10m". false when it is no address that reports can be sent to.
 */
bool dmarc_uri_parse(struct arena *a, struct span s, struct dmarc_uri *out);
/* Whether a TXT record begins as one ("v=DMARC1" and ';' or the end). */
bool dmarc_is_record(struct span txt);
/* false when nothing is to be made of it. Without a valid policy but with rua it is p=none (RFC
 * 7489 section 6.6.3). */
bool dmarc_parse(struct arena *a, struct span txt, struct dmarc_record *out);

/* Organisational domain by the public suffix list; the domain itself when it is a suffix. */
struct span dmarc_organisation(struct arena *a, struct span domain);

/* The record that holds for a domain. */
struct dmarc_found {
    bool tempfail, has_record;
    struct dmarc_record record;
    struct span record_domain, organisation;
};
void dmarc_find(enum dmarc_method method, struct span domain, const struct resolver *r,
                struct arena *a, struct dmarc_found *out, void (*done)(void *ctx), void *ctx);

/* The records of all authors, asked for before it is known what passed: they need nothing but the
 * header. done(ctx) comes exactly once; out, authors and r must stay until then. */
struct dmarc_ahead {
    struct dmarc_found found[AUTHOR_DOMAINS_MAX];
    size_t waiting;
    void (*done)(void *ctx);
    void *ctx;
};
void dmarc_ask_ahead(enum dmarc_method method, const struct authors *authors,
                     const struct resolver *r, struct arena *a, struct dmarc_ahead *out,
                     void (*done)(void *ctx), void *ctx);

/* Evaluates DMARC for m and fills m->facts.auth.dmarc. ahead: of these authors, or NULL: they are
 * asked about now. done(ctx) comes exactly once. */
void dmarc_check(enum dmarc_method method, const struct authors *authors,
                 const struct dmarc_ahead *ahead, const struct resolver *r, struct message *m,
                 void (*done)(void *ctx), void *ctx);

#endif
