/* XCLIENT, by which a trusted peer (a proxy, a test) tells whom it speaks for
 * (Postfix XCLIENT_README). */
#ifndef GATEHOUSE_SMTP_XCLIENT_H
#define GATEHOUSE_SMTP_XCLIENT_H

#include "base/ip.h"

/* Spans point into `bytes`; absent: not given. Present and empty: known to be unavailable
 * ("[UNAVAILABLE]", "[TEMPUNAVAIL]"). */
struct xclient {
    bool has_ip, has_port;
    struct ip ip;
    uint16_t port;
    struct span name, helo, login;
    int esmtp; /* PROTO: -1 not given, 0 SMTP, 1 ESMTP */
    char bytes[1024];
};

/* attributes: what follows the verb. false: malformed, or an attribute that we did not offer. */
bool xclient_parse(struct span attributes, struct xclient *out);

#endif
