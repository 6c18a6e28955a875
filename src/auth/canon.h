/* Canonical forms (RFC 6376 section 3.4; those of DomainKeys, RFC 4870 section 3.4.2).
 *
 * Fields are small and are written into a buffer. The body is never copied: it goes in one pass,
 * in pieces that stay in the processor's cache, through each canonical form that is wanted, and
 * each form feeds all the hashes that are wanted of it. Line ends may be LF; they count as CRLF. */
#ifndef GATEHOUSE_AUTH_CANON_H
#define GATEHOUSE_AUTH_CANON_H

#include "auth/signedmail.h"
#include "base/buf.h"

#include <openssl/evp.h>

/* DomainKeys hash header and body together, with the empty line between them when a body follows:
 * in their two forms that line belongs to the body. */
enum canon { CANON_SIMPLE, CANON_RELAXED, CANON_DK_SIMPLE, CANON_DK_NOFWS };
enum { CANON_FORMS = 4 };

enum auth_hash { AUTH_SHA256, AUTH_SHA1 };
enum { AUTH_HASHES = 2, AUTH_HASH_SIZE = 32 };

/* The digests of OpenSSL, fetched once a process. */
struct auth_digests {
    EVP_MD *md[AUTH_HASHES];
};
void auth_digests_open(struct auth_digests *d);
void auth_digests_close(struct auth_digests *d);
size_t auth_hash_size(enum auth_hash h);

/* The field without its final CRLF. */
void canon_field(struct buf *out, enum canon form, struct span whole);

/* One hash that is wanted of a body. */
struct body_hash {
    enum canon form;
    enum auth_hash hash;
    uint64_t limit;   /* l=: bytes of the canonical body that count; UINT64_MAX: all */
    struct span head; /* hashed before the body; absent: nothing */
    /* the answer */
    uint64_t length; /* of the whole canonical body */
    unsigned char value[AUTH_HASH_SIZE];
};

enum { BODY_HASHES_MAX = 64 };
struct body_hashes {
    struct body_hash v[BODY_HASHES_MAX];
    size_t n;
};

/* Index of the hash, a new one or one that is wanted already; SIZE_MAX when there are too many. The
 * caller may give a new one a head. */
size_t body_hash_want(struct body_hashes *set, enum canon form, enum auth_hash hash,
                      uint64_t limit);
void body_hashes_run(const struct auth_digests *d, struct span body, struct body_hashes *set);

#endif
