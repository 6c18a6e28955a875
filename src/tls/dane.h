/* DANE for SMTP (RFC 7672): TLSA records (RFC 6698 section 2.1) and what they demand of a
 * handshake.
 *
 * Only usages 2 (DANE-TA) and 3 (DANE-EE) are usable with SMTP (RFC 7672 section 3.1); records with
 * another usage, an unknown selector or matching type, or malformed data are not, and are left out.
 * A set without any usable record still says that TLS is there: encryption without authentication
 * is then mandatory (section 2.2). Records must come from answers that were DNSSEC-validated. */
#ifndef GATEHOUSE_TLS_DANE_H
#define GATEHOUSE_TLS_DANE_H

#include "base/arena.h"

#include <openssl/ssl.h>

enum { DANE_RECORDS_MAX = 16, DANE_RDATA_MAX = 4096 };

struct dane {
    unsigned refs;
    char *host;     /* the exchanger: the TLSA base domain */
    char *next_hop; /* the domain it exchanges for (RFC 7672 section 3.2.2), or NULL */
    struct span *v; /* usable rdata */
    size_t n, seen; /* usable; all of the answer */
};

/* Takes what is usable of n rdata. The first reference is the caller's. */
struct dane *dane_new(const char *host, const char *next_hop, const struct span *rdata, size_t n);
struct dane *dane_ref(struct dane *d);
void dane_unref(struct dane *d);
bool dane_usable(struct span rdata);

/* A context for handshakes that dane_apply prepares; the demands of TLS_OPPORTUNISTIC otherwise. */
SSL_CTX *dane_context(SSL_CTX *ctx);
/* Before the handshake: the certificate must match one of the records, for usage 2 the name too. 0,
 * or -1 when OpenSSL takes none of them. */
int dane_apply(const struct dane *d, SSL *ssl);

#endif
