/* What is to be signed (RFC 6376 section 5): chosen and hashed where the message is taken apart,
 * over the bytes that leave, our own edits included. The keys are elsewhere (auth/signer.h). */
#ifndef GATEHOUSE_AUTH_SIGN_H
#define GATEHOUSE_AUTH_SIGN_H

#include "auth/canon.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "config/settings.h"
#include "message/message.h"
#include "mime/splice.h"

enum { SIGN_NAMES_MAX = 256, SIGN_REQUEST_MAX = 8 << 20 };

enum sign_kind { SIGN_DKIM = 1, SIGN_ARC = 2 };

struct sign_request {
    enum sign_kind kind;
    enum canon head, body;
    struct span domain; /* d= */
    struct span names;  /* h= */
    struct span data;   /* the fields that h= names, canonical */
    struct span bh;     /* 32 bytes */
    uint64_t expire;    /* seconds that the signature holds; 0: without end */
    /* ARC */
    unsigned instance;
    struct span cv;      /* "none", "pass", "fail" */
    struct span results; /* of ARC-Authentication-Results, behind "i=N; ", LF folds */
    struct span
        chain; /* the sets before, canonical; empty when cv is fail (RFC 8617 section 5.1.2) */
};

void sign_request_encode(struct buf *b, const struct sign_request *r);
/* Spans point into the payload. false when it is malformed. */
bool sign_request_decode(struct span payload, struct sign_request *r);

/* One message with its edits, ready to be signed. Made once for each group of recipients; the body
 * is only read again when an edit reaches into it. */
struct signable;
struct signable *signable_new(const struct auth_digests *d, const struct message *m,
                              const struct splices *edits, struct arena *a);

/* Whether the message is one that we sign: sent by our own (authenticated, or from relay.networks),
 * its one author in a domain of dkim.sign. Fills everything but what belongs to ARC. */
bool sign_wants_dkim(const struct settings *set, const struct message *m, struct signable *s,
                     struct sign_request *out);
/* A message of our own making (a report), CRLF line ends; and whether its author's domain is one of
 * dkim.sign. */
struct signable *signable_own(const struct auth_digests *d, struct span raw, struct arena *a);
bool sign_wants_own(const struct settings *set, struct signable *s, struct sign_request *out);
/* Appends the fields of signer_sign with CRLF line ends. */
void sign_fields_wire(struct buf *out, struct span fields);
/* Whether it is to be sealed (arc.seal); results: of our Authentication-Results. */
bool sign_wants_seal(const struct settings *set, const struct message *m, struct signable *s,
                     struct span results, struct sign_request *out);

#endif
