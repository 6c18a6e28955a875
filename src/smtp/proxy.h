/* The PROXY protocol of HAProxy, versions 1 and 2: a header in front of the session that names the
 * real client. Only from peers who were listed; they must send it. */
#ifndef GATEHOUSE_SMTP_PROXY_H
#define GATEHOUSE_SMTP_PROXY_H

#include "base/ip.h"

enum {
    PROXY_V1_MAX = 107, /* bytes of a version 1 line with its CRLF */
    PROXY_V2_MAX =
        16 + 4096 /* version 2 with its TLVs; the length field allows 64 kB, nobody needs it */
};

enum proxy_status { PROXY_MORE, PROXY_DONE, PROXY_BAD };

struct proxy_header {
    bool has_ip; /* false: LOCAL or UNKNOWN, the connection's own address stands */
    struct ip ip;
    uint16_t port;
};

/* PROXY_DONE: *used bytes belong to the header. PROXY_MORE: offer it again with more. */
enum proxy_status proxy_parse(struct span in, size_t *used, struct proxy_header *out);

#endif
