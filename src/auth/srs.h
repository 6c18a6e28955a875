/* Envelope senders that come back to us: SRS for mail we forward (so that the next hop's SPF holds
 * and bounces find their way), BATV for mail of our own (so that bounces to it can be told from
 * forged ones). Both are keyed: who does not know a secret can make neither.
 *
 *     SRS0=HASH=TT=domain=local@ours      of local@domain
 *     SRS1=HASH=host==rest@ours           of SRS0=rest@host, a forwarder before us
 *     prvs=KDDDSSSSSS=local@domain        (draft-levine-smtp-batv)
 *
 * HASH: 8 characters of base32 (40 bits) of HMAC-SHA-256; mail systems may change the case of a
 * local part, so it is compared without. TT: days modulo 1024 in base32. */
#ifndef GATEHOUSE_AUTH_SRS_H
#define GATEHOUSE_AUTH_SRS_H

#include "base/arena.h"
#include "base/clock.h"

enum {
    SRS_HASH_LEN = 8,
    SRS_ADDRESS_MAX = 254 /* RFC 5321 section 4.5.3.1.3; a longer result is refused */
};
/* Days are counted modulo 1024 and 1000: what is older looks young again. */
#define SRS_AGE_MAX ((usec)365 * 86400 * USEC_PER_SEC)

/* The first secret makes, all verify: rotation. */
struct srs {
    const char *const *secrets;
    size_t nsecrets;
    const char *domain; /* ours, where bounces come back to; BATV has none */
    usec max_age;       /* at most SRS_AGE_MAX; a tag of BATV says itself when it ends */
};

enum srs_result {
    SRS_NONE, /* not an address of this kind */
    SRS_OK,
    SRS_FORGED, /* no secret of ours made it */
    SRS_EXPIRED
};

/* The sender for the next hop. false: too long, or no address: *out is the sender as it came. The
 * null sender and addresses in our domain stay as they are. A local part that needs quotes gets
 * them. */
bool srs_forward(const struct srs *s, struct arena *a, struct span sender, usec now,
                 struct span *out);
/* Where a bounce to one of ours goes. Addresses in other domains are SRS_NONE. */
enum srs_result srs_reverse(const struct srs *s, struct arena *a, struct span recipient, usec now,
                            struct span *out);

/* Signs the sender of mail of our own; the null sender and signed ones stay. */
bool batv_sign(const struct srs *s, struct arena *a, struct span sender, usec now,
               struct span *out);
/* The address under the signature; *out is there, whoever made it, unless SRS_NONE. */
enum srs_result batv_verify(const struct srs *s, struct arena *a, struct span recipient, usec now,
                            struct span *out);

#endif
