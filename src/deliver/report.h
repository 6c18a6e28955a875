/* Delivery status notifications (RFC 3464, 3461; internationalized ones: RFC 6533): composed here,
 * who gets one is decided in outcome.c. */
#ifndef GATEHOUSE_DELIVER_REPORT_H
#define GATEHOUSE_DELIVER_REPORT_H

#include "queue/queue.h"

/* A recipient (index into the envelope) and what the next hop said. */
struct failed {
    uint32_t rcpt;
    struct span reply;
};
enum report_kind { REPORT_FAILED, REPORT_DELAYED, REPORT_RELAYED };
struct report {
    enum report_kind kind;
    const char *hostname, *from; /* From: of the report */
    const char *id;              /* of the report */
    usec now, expires;           /* expires: when a delayed message is given up */
    const struct queue_meta *meta;
    const struct failed *v;
    size_t n;
    struct span where;    /* the next hop that spoke, or empty */
    struct span original; /* the message, or its beginning */
    bool whole;           /* original is all of it and is to be returned in full */
};
/* Appends the message, CRLF line ends. Replies and addresses may hold anything: control characters
 * become '?'. */
void report_compose(const struct report *r, struct buf *out);

#endif
