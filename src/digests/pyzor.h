/* Pyzor: the digest of a message, and its servers' dialogue (version 2.1): one datagram each way,
 * in the form of header fields. Bytes in, bytes out; no sockets, no clock. */
#ifndef GATEHOUSE_DIGESTS_PYZOR_H
#define GATEHOUSE_DIGESTS_PYZOR_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { PYZOR_DIGEST_SIZE = 41, PYZOR_DATAGRAM_MAX = 8192 };

/* What `pyzor digest` prints: the SHA-1 of chosen lines of the normalised text, in hexadecimal. The
 * digest of nothing for a message without any. a: scratch. */
void pyzor_digest(struct arena *a, struct span raw, char out[PYZOR_DIGEST_SIZE]);
/* As `pyzor predigest`: the lines that are digested, each with LF. */
void pyzor_predigest(struct arena *a, struct span raw, struct buf *out);
/* Of a message without text: all such share it. */
bool pyzor_digest_empty(const char *digest);

/* --- accounts --- */

/* Who asks: the anonymous user, or a line of Pyzor's accounts file. */
struct pyzor_account {
    char user[64], key[128]; /* key in hexadecimal; both empty: anonymous */
};
/* Line "HOST : PORT : USER : SALT,KEY" of an accounts file for that server; false: none, and then
 * the anonymous one is in *out. -1 of pyzor_accounts_check: a line that can't be read. */
bool pyzor_account_find(struct span file, struct span host, uint16_t port,
                        struct pyzor_account *out);
int pyzor_accounts_check(struct span file, struct err *e);

/* --- the dialogue --- */

enum pyzor_op { PYZOR_CHECK, PYZOR_REPORT, PYZOR_WHITELIST, PYZOR_PING };

/* thread: 1024 to 65535, comes back in the answer; now: seconds. Appends the datagram. */
void pyzor_request(struct buf *out, enum pyzor_op op, const char *digest, uint16_t thread,
                   const struct pyzor_account *who, int64_t now);

struct pyzor_reply {
    uint64_t thread, code; /* 200: fine */
    uint64_t count, welcome;
    struct span why; /* Diag; a slice of the datagram */
};
/* false: not the form of an answer, or an answer to a check without its counts. */
bool pyzor_reply_read(struct span datagram, enum pyzor_op op, struct pyzor_reply *out);

#endif
