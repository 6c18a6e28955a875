/* Public keys of signers as the DNS has them (RFC 6376 section 3.6.1, RFC 8301, RFC 8463; key
 * records of DomainKeys, RFC 4870 section 3.2.3, are nearly the same).
 *
 * What is published is a stranger's: records, keys and exponents have limits, and a parsed key is
 * kept by the process (struct dkim_keys), since parsing costs more than verifying. */
#ifndef GATEHOUSE_AUTH_DKIMKEY_H
#define GATEHOUSE_AUTH_DKIMKEY_H

#include "auth/canon.h"

enum {
    DKIM_RECORD_MAX = 8192,      /* bytes of one TXT record */
    DKIM_RSA_BITS_MAX = 8192,    /* larger moduli are refused: verifying would cost milliseconds */
    DKIM_RSA_EXPONENT_BITS = 64, /* so would large exponents */
    DKIM_KEYS_KEPT = 512
};

enum key_type { KEY_RSA, KEY_ED25519 };

/* Not for several threads. */
struct dkim_keys;
struct dkim_keys *dkim_keys_new(void);
void dkim_keys_free(struct dkim_keys *k);

struct dkim_key {
    const char *wrong; /* why it is none; NULL: all below is filled in */
    bool revoked;      /* p= is empty */
    enum key_type type;
    EVP_PKEY *pkey;        /* until the arena ends */
    struct kept_key *kept; /* as long; what it stands in */
    unsigned bits;
    unsigned hashes;         /* h=: 1 << enum auth_hash of those that are allowed */
    bool email;              /* s= allows it for mail */
    bool testing;            /* t=y */
    bool strict;             /* t=s: i= and d= must be the same domain */
    struct span granularity; /* g= of DomainKeys, absent when not given */
};

void dkim_key_parse(struct dkim_keys *keys, struct arena *a, struct span record,
                    struct dkim_key *out);

/* Whether sig is the key's signature of a digest. RSA: PKCS #1 v1.5 of the hash; Ed25519: of the 32
 * bytes (RFC 8463 section 3). */
bool dkim_key_verify(const struct dkim_key *key, const struct auth_digests *d, enum auth_hash hash,
                     const unsigned char *digest, struct span sig);

/* Base64 with white space anywhere and nothing else (RFC 6376 section 2.10); false when it is not.
 * The result is in the arena. */
bool auth_base64(struct arena *a, struct span text, struct span *out);

#endif
