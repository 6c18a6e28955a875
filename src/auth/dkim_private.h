/* What the checks of one message's signatures share. */
#ifndef GATEHOUSE_AUTH_DKIM_PRIVATE_H
#define GATEHOUSE_AUTH_DKIM_PRIVATE_H

#include "auth/dkim.h"
#include "auth/signature.h"

struct dkim {
    struct auth_digests digests;
    struct dkim_keys *keys;
};

/* A key that was asked for. */
struct key_asked {
    struct dkim_check *check;
    struct span name;
    enum dns_status status;
    struct dkim_key key; /* when status is DNS_OK */
};

/* A signature on its way to a result. */
struct checked {
    struct signature sig;
    struct key_asked *key; /* NULL: there are more than are asked for */
    size_t body;           /* index in hashes; SIZE_MAX: none */
    enum dkim_result result;
    const char *why;
    bool verified, limited;
};

/* RFC 8617 section 4.1.4: one of each field. */
struct arc_set {
    const struct signed_field *results;
    struct checked *message, *seal;
};

struct arc_chain {
    struct arc_set sets[ARC_INSTANCES_MAX + 1]; /* from 1 on */
    unsigned n;                                 /* the highest instance; 0: no chain */
    const char *wrong; /* in its form: it fails whatever the signatures say */
};

struct dkim_check {
    struct dkim *dkim;
    const struct settings *set;
    const struct resolver *resolver;
    struct message *m;
    struct arena *arena;
    struct signed_mail mail;
    uint64_t now;                                        /* seconds */
    struct checked *signatures[DKIM_SIGNATURES_MAX + 1]; /* and the one of DomainKeys */
    size_t n, ignored;
    struct arc_chain *arc; /* NULL: no ARC field */
    struct key_asked keys[DKIM_QUESTIONS_MAX];
    size_t nkeys, waiting;
    struct body_hashes hashes;
    void (*done)(void *ctx);
    void *ctx;
};

/* Reads a signature field, says which key and which hash it needs. */
struct checked *check_new(struct dkim_check *c, enum signature_kind kind,
                          const struct signed_field *f);
/* Fills result and why, when key and hash are there. */
void check_judge(struct dkim_check *c, struct checked *k);
/* Whether key and sig fit each other; says why not in k. */
bool check_key(struct checked *k, uint64_t minimum_bits);

/* domainkeys.c: the header fields that are hashed before the body. */
void domainkeys_add_fields(struct buf *out, const struct signed_mail *m, const struct signature *s);
/* The address that is answered for: that of Sender, or of From. */
struct span domainkeys_identity(struct dkim_check *c);
void domainkeys_judge(struct dkim_check *c, struct checked *k);

/* arc.c */
void arc_collect(struct dkim_check *c);
void arc_judge(struct dkim_check *c);

/* The digest of header data, in one step. */
void digest_of(const struct dkim *d, enum auth_hash hash, struct span data,
               unsigned char out[AUTH_HASH_SIZE]);

#endif
