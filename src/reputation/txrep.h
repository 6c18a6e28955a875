/* TxRep and AWL, as SpamAssassin 4.0.1 computes them (semantics 9.4): the score of a message is
 * pulled towards the average of what its sender, the sender's domain, the sending host and its HELO
 * have sent before. Entries are kept a year after the last message (txrep_expiry_days).
 *
 * Both work on kv's space KV_TXREP with SpamAssassin's keys ("addr|ip=192.0"), so that what one
 * reads the other could have written; a gateway uses one of them. Without memory the result is 0.
 */
#ifndef GATEHOUSE_REPUTATION_TXREP_H
#define GATEHOUSE_REPUTATION_TXREP_H

#include "base/ip.h"
#include "kv/kv.h"

enum { TXREP_RECIPIENTS = 256 }; /* of one message that are welcomed */

struct txrep_query {
    struct span from;   /* address of the author */
    struct span domain; /* the signing domain, or the author's; empty: none */
    struct span helo;   /* of the oldest relay that said something new; empty: none */
    struct span msgid;  /* identity of the message; empty: do not remember it */
    struct ip origin;   /* where it comes from */
    bool has_origin;
    bool signed_by; /* DKIM or SPF vouch for the sender: the address does not depend on the host */
    /* Of mail that leaves: recipients whose answers are welcome, and by how many points
     * (txrep_welcomelist_out). What was known of their addresses without a host is replaced. */
    const struct span *recipients;
    size_t nrecipients;
    double welcome;
};

struct txrep_weights {
    double email_ip, email, domain, ip, helo; /* 10, 3, 2, 4, 0.5 */
    double factor;                            /* 0.5 */
};
extern const struct txrep_weights txrep_defaults;

/* What is to be added to score; remembers the message. */
double txrep_adjust(struct kv *kv, const struct txrep_weights *w, const struct txrep_query *q,
                    double score, usec now);

struct awl_result {
    bool known; /* there was an average */
    double mean, delta;
    uint64_t count;
};
/* factor: 0.5. */
struct awl_result awl_adjust(struct kv *kv, double factor, struct span from,
                             const struct ip *origin, double score, usec now);

#endif
