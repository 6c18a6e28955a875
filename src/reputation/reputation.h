/* What was learned about clients and domains from their mail: good and bad messages, each worth
 * half after reputation.half_life. */
#ifndef GATEHOUSE_REPUTATION_REPUTATION_H
#define GATEHOUSE_REPUTATION_REPUTATION_H

#include "config/settings.h"
#include "kv/kv.h"

enum reputation_kind {
    REP_ADDRESS,
    REP_NETWORK, /* IPv4: /24, IPv6: /64 */
    REP_ASN,
    REP_DOMAIN, /* of the sender, confirmed by SPF */
    REP_DKIM,   /* of a signature that verifies */
    REP_KINDS
};

struct reputation {
    double score; /* -1: nothing but good mail, 1: nothing but bad; nearer to 0 the less is known */
    double messages; /* that this is made of, decayed */
};

/* key: an address of 16 bytes, an ASN of 4 bytes, or a domain. false: nothing is known. */
bool reputation_get(struct kv *kv, const struct reputation_settings *set, enum reputation_kind kind,
                    struct span key, usec now, struct reputation *out);
void reputation_learn(struct kv *kv, const struct reputation_settings *set,
                      enum reputation_kind kind, struct span key, bool bad, usec now);
const char *reputation_kind_name(enum reputation_kind k);
/* "-0.93 (41 messages)". */
enum { REPUTATION_TEXT_SIZE = 64 };
char *reputation_text(const struct reputation *r, char out[REPUTATION_TEXT_SIZE]);
/* The address (REP_ADDRESS) or its network as key. */
struct ip reputation_address(enum reputation_kind kind, const struct ip *ip);

#endif
