/* Signature header fields: DKIM-Signature (RFC 6376 section 3.5), ARC-Message-Signature and
 * ARC-Seal (RFC 8617 section 4.1), DomainKey-Signature (RFC 4870 section 3.3): one reader, since
 * they share their tags, and the digest of the header fields that they name. */
#ifndef GATEHOUSE_AUTH_SIGNATURE_H
#define GATEHOUSE_AUTH_SIGNATURE_H

#include "auth/dkimkey.h"
#include "auth/tags.h"
#include "base/clock.h"

enum {
    SIGNATURE_FIELD_MAX = 16384, /* bytes of one signature field; honest ones have 1,500 */
    SIGNATURE_NAMES_MAX = 512,   /* names in h= */
    SIGNATURE_B_MAX = 1024,      /* bytes of a decoded b=: that of the largest key */
    ARC_INSTANCES_MAX = 50       /* RFC 8617 section 4.2.1 */
};

enum signature_kind { SIG_DKIM, SIG_ARC_MESSAGE, SIG_ARC_SEAL, SIG_DOMAINKEYS };

struct signature {
    enum signature_kind kind;
    const struct signed_field *field;
    struct tags tags;
    const char *wrong;     /* why it can't be verified (permerror); NULL: all below is good */
    struct span algorithm; /* a= as written */
    enum key_type type;
    enum auth_hash hash;
    enum canon head, body;
    struct span domain;          /* d=, canonical (auth/name.h) */
    struct span selector;        /* s=, likewise */
    struct span identity;        /* i= of DKIM; absent when not given */
    struct span names;           /* h=; absent for seals and where DomainKeys give none */
    struct span b, bh;           /* decoded */
    uint64_t limit;              /* l=, UINT64_MAX when not given */
    uint64_t signed_at, expires; /* t=, x=: seconds; 0 when not given */
    unsigned instance;           /* of ARC: 1..ARC_INSTANCES_MAX */
    struct span cv;              /* of a seal */
};

void signature_parse(struct arena *a, enum signature_kind kind, const struct signed_field *f,
                     struct signature *out);

/* SELECTOR._domainkey.DOMAIN, in the arena. */
struct span signature_key_name(struct arena *a, const struct signature *s);

/* The signature field in canonical form with an empty b= and without final CRLF, appended. */
void signature_add_itself(struct buf *out, const struct signature *s, enum canon form);

/* The fields that h= names, from the last instance of each name up, in canonical form, appended:
 * what a signer signs before the signature field itself. */
void signature_add_fields(struct buf *out, const struct signed_mail *m, struct span names,
                          enum canon form);
/* How often h= names a field. */
size_t signature_covers(struct span names, struct span name);

/* i= of an ARC field (also "i=1; ..." of ARC-Authentication-Results): 1..50, 0 when it is none. */
unsigned arc_instance(struct span digits);

#endif
