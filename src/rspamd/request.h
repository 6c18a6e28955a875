/* What rspamd's clients tell about a message in header fields of their request (HTTP or RSPAMC). */
#ifndef GATEHOUSE_RSPAMD_REQUEST_H
#define GATEHOUSE_RSPAMD_REQUEST_H

#include "base/arena.h"
#include "base/ip.h"

enum { RSPAMD_RCPTS_MAX = 10000, RSPAMD_VALUE_MAX = 1000 }; /* bytes of one value that are kept */

struct rspamd_request {
    bool has_ip, has_from;
    struct ip ip;
    struct span from;   /* without brackets; empty: the null sender */
    struct span *rcpts; /* Rcpt, several times or in one list */
    size_t nrcpts, rcpts_cap;
    struct span deliver_to;                     /* absent: not told */
    struct span helo, hostname, user, queue_id; /* absent: not told */
};

/* Takes one field; names are compared without case and unknown ones ignored. Values are copied into
 * the arena, control characters in them become '?'. */
void rspamd_field(struct rspamd_request *r, struct arena *a, struct span name, struct span value);

enum rspamd_command {
    RSPAMD_UNKNOWN,
    RSPAMD_CHECK, /* /checkv2, and /symbols, /check, /scan of older and newer clients */
    RSPAMD_PING,
    RSPAMD_STAT,
    RSPAMD_LEARN_SPAM,
    RSPAMD_LEARN_HAM
};
/* path: without query. */
enum rspamd_command rspamd_command(struct span path);

#endif
