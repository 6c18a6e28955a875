/* Where reports go: what a domain's record asks for (rua=), and whether those named there agree.
 *
 * DMARC (RFC 7489 section 7.1, RFC 9990 section 4): a destination outside of the organisational
 * domain must publish <domain>._report._dmarc.<destination>, and may name another address of its
 * own there. TLS reports (RFC 8460 section 3) go where _smtp._tls.<domain> says; nobody else is
 * asked. mailto: alone: other URIs are passed over. */
#ifndef GATEHOUSE_REPORTS_RUA_H
#define GATEHOUSE_REPORTS_RUA_H

#include "auth/dmarc.h"
#include "auth/resolver.h"

struct rua_to {
    struct span address;
    uint64_t max_size;   /* bytes of the attachment as it is sent; 0: any */
    const char *refused; /* why nothing is sent there; NULL: it is */
    bool later;          /* refused because the DNS did not answer */
};

struct rua {
    struct rua_to v[DMARC_URIS_MAX];
    size_t n;
    bool later; /* the DNS did not answer: nothing is known */
    /* inside */
    const struct resolver *resolver;
    struct arena *a;
    enum dmarc_method method;
    struct span domain, org;
    size_t at;
    struct dmarc_found found;
    void (*done)(void *ctx);
    void *ctx;
};

/* record: of the policy at `domain`. done is called once, perhaps from inside; r and a stay until
 * then. */
void rua_dmarc(struct rua *r, enum dmarc_method method, struct span domain, struct span record,
               const struct resolver *resolver, struct arena *a, void (*done)(void *ctx),
               void *ctx);
void rua_tls(struct rua *r, struct span domain, const struct resolver *resolver, struct arena *a,
             void (*done)(void *ctx), void *ctx);

/* The address of one mailto: URI, percent-decoded, if it is one that mail can be sent to without a
 * second thought. */
bool rua_mailto(struct arena *a, struct span uri, struct span *address);

#endif
