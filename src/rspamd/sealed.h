/* rspamd's HTTPCrypt: a request or reply of HTTP as a whole in the body of another one.
 *
 *     POST /post HTTP/1.1                     the outer one: what it says does not count
 *     Key: BASE32(id of the server's key, 5 bytes)=BASE32(the client's public key)
 *
 *     nonce (24 bytes), mac (16), the inner request, enciphered
 *
 * Keys are those of X25519 (RFC 7748). The shared one is HChaCha20 of what the two give, with a
 * nonce of zeros. XChaCha20 enciphers from its block 1 on; of its block 0 the first 32 bytes are
 * the key of Poly1305 (RFC 8439) over the enciphered bytes. The id of a key is the BLAKE2b-512 of
 * its public half. BASE32: the alphabet of z-base-32, the lowest bits first. It keeps what is said
 * secret and whole; it does not tell who says it, since a client makes a key of its own for each
 * request. */
#ifndef GATEHOUSE_RSPAMD_SEALED_H
#define GATEHOUSE_RSPAMD_SEALED_H

#include "base/arena.h"
#include "base/buf.h"

enum {
    SEALED_OVERHEAD = 24 + 16,
    SEALED_SHARED = 32,
    SEALED_ID = 5,
    SEALED_TEXT = 53,            /* a key as text, with its NUL */
    SEALED_HEADER_MAX = 1 << 18, /* bytes of the inner header */
    SEALED_FIELDS_MAX = 12000    /* in it: a Rcpt field for each recipient */
};

struct sealed_key {
    unsigned char secret[32], public[32], id[SEALED_ID];
};
/* text: what `rspamadm keypair` calls privkey, or 64 hexadecimal digits. */
bool sealed_key_parse(struct span text, struct sealed_key *out);
/* The public half, for `rspamc --key`. */
const char *sealed_key_text(const struct sealed_key *k, char out[SEALED_TEXT]);

/* The shared key by a Key field. false: it is none, or for none of the keys. */
bool sealed_agree(const struct sealed_key *keys, size_t n, struct span field,
                  unsigned char shared[SEALED_SHARED]);
/* Deciphers in place. false: it was not made with this key, or was changed. */
bool sealed_open(const unsigned char shared[SEALED_SHARED], char *body, size_t n,
                 struct span *inner);
void sealed_close(struct buf *out, const unsigned char shared[SEALED_SHARED], struct span inner);

struct sealed_field {
    const char *name, *value;
};
struct sealed_request {
    const char *method, *path; /* without query */
    struct sealed_field *fields;
    size_t nfields;
    struct span body; /* points into inner */
};
/* The inner request; all but the body in the arena. false: it is none. */
bool sealed_request_parse(struct span inner, struct arena *a, struct sealed_request *out);

#endif
