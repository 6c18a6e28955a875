/* Signatures of a message: DKIM (RFC 6376, 8301, 8463), DomainKeys (RFC 4870) and the ARC chain
 * (RFC 8617), checked together: one reading of the header, one pass over the body, each key asked
 * for once. Keys are asked for before anything is hashed.
 *
 * What is proven and what we accept are kept apart: dkim_fact.verified says that the mathematics
 * hold, dkim_fact.result is DKIM_PASS only when also our rules do: SHA-256, keys of
 * dkim.minimum_bits, nothing behind l=, no second From, Subject or Content-Type that the signature
 * does not cover, no line in the header that other readers may take for its end. */
#ifndef GATEHOUSE_AUTH_DKIM_H
#define GATEHOUSE_AUTH_DKIM_H

#include "auth/resolver.h"
#include "config/settings.h"
#include "message/message.h"

enum {
    DKIM_SIGNATURES_MAX =
        10,                  /* of a message that are looked at, from the top; told when exceeded */
    DKIM_QUESTIONS_MAX = 40, /* different keys of a message, those of ARC included */
    DKIM_RECORDS_MAX = 8     /* TXT records of one name that are tried */
};

/* What a process keeps for all its messages: digests and parsed keys. Not for several threads. */
struct dkim;
struct dkim *dkim_new(void);
void dkim_free(struct dkim *d);

/* Fills dkim and arc of m->facts.auth. done(ctx) comes exactly once, now or later; m and r must
 * stay until then. */
void dkim_check(struct dkim *d, const struct settings *set, const struct resolver *r,
                struct message *m, void (*done)(void *ctx), void *ctx);

#endif
