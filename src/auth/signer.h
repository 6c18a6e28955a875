/* The holder of our private keys: makes DKIM-Signature fields (RFC 6376) and ARC sets (RFC 8617)
 * out of what the scanner has prepared (auth/sign.h): canonical fields and a hash of the body. It
 * looks at no message: it hashes bytes that it does not read, and builds the signature fields
 * itself.
 *
 * Keys: dkim.sign names domains; each has a directory dkim.keys/DOMAIN with one file SELECTOR.pem a
 * key and a file "active" with the selectors that sign, one a line. "DOMAIN SELECTOR FILE" in
 * dkim.sign names a key that lies elsewhere. Several active keys (RSA and Ed25519) make several
 * signatures. Files that others may read or write are refused.
 *
 * Several threads may sign with one signer. */
#ifndef GATEHOUSE_AUTH_SIGNER_H
#define GATEHOUSE_AUTH_SIGNER_H

#include "auth/sign.h"
#include "config/settings.h"

enum {
    SIGNER_KEYS_MAX = 4096,
    SIGNER_ACTIVE_MAX = 4,      /* keys of one domain that sign */
    SIGNER_RSA_BITS_MIN = 1024, /* RFC 8301 section 3.2 */
    SIGN_LINE = 72              /* lines of a signature field are not longer */
};

struct signer;

/* Reads all keys: to be called while we may still read what belongs to root. What can't be used is
 * told to `problem` (NULL: to the log); mail of that domain then can't be signed. */
typedef void signer_problem_fn(void *ctx, const char *text);
struct signer *signer_open(const struct settings *set, signer_problem_fn *problem, void *ctx);
void signer_free(struct signer *s);
size_t signer_keys(const struct signer *s);

/* Appends whole fields with LF line ends, to be put on top of the message. now: seconds since 1970.
 * -1 with e when there is no key for the domain, or the request is none. */
int signer_sign(const struct signer *s, const struct sign_request *r, uint64_t now,
                struct buf *fields, struct err *e);

/* A whole message of our own making (a report, a notice): appends the fields to be put on top of
 * it, CRLF line ends. 1; 0 when its author's domain is not one of dkim.sign; -1 with e. */
int signer_sign_own(const struct signer *s, const struct settings *set, struct span raw,
                    uint64_t now, struct buf *fields, struct err *e);

/* --- key files, also for `gatehouse dkim` --- */

/* Names that may become file names: letters, digits, '.', '-', '_', not starting with a dot. */
bool signer_name_ok(struct span s);
/* NULL with e when the file is none, or others may read it. Free with EVP_PKEY_free. */
struct evp_pkey_st *signer_read_key(const char *path, struct err *e);
/* The selectors of DIR/active; how many, -1 with e. */
int signer_read_active(const char *dir, struct arena *a, struct strings *out, struct err *e);

#endif
