/* Reports to SpamCop: a mail that holds the message. */
#ifndef GATEHOUSE_CLI_SPAMCOP_H
#define GATEHOUSE_CLI_SPAMCOP_H

#include <uv.h>

#include "base/buf.h"
#include "config/settings.h"
#include "dns/dns.h"

enum { SPAMCOP_AGE_DAYS = 2 }; /* older mail is not reported */

/* The address that reports come from. */
const char *spamcop_from(const struct settings *set, struct arena *a);
/* When the message came in: the top Received field, else Date; 0: not known. Seconds. */
int64_t spamcop_received(struct arena *a, struct span raw);
/* The report, with LF line ends; now: seconds. */
void spamcop_compose(const struct settings *set, struct arena *a, struct span raw, int64_t now,
                     struct buf *out);
/* Sends it; runs the loop until it is over. -1 with why. */
int spamcop_send(const struct settings *set, uv_loop_t *loop, struct dns *dns, struct arena *a,
                 struct span report, struct err *e);

#endif
