/* One small text over HTTPS (libcurl), in a thread of the loop's pool.
 *
 * The certificate must verify for the host; redirects, proxies, other protocols and answers other
 * than 200 are failures (RFC 8461 section 3.3). The host's addresses come from the caller: nothing
 * asks the DNS here. */
#ifndef GATEHOUSE_DELIVER_FETCH_H
#define GATEHOUSE_DELIVER_FETCH_H

#include "base/err.h"
#include "base/ip.h"
#include "base/clock.h"

#include <uv.h>

enum { FETCH_ADDRESSES_MAX = 8, FETCH_HTTPS_PORT = 443 };
#define FETCH_TIME ((usec)60 * USEC_PER_SEC)

/* text: the body; absent with e when it could not be had (e->sys is EKEYREJECTED when the
 * certificate does not verify). Called once, from the loop. */
typedef void fetch_done(void *ctx, struct span text, const struct err *e);

/* url: of host. type: the media type it must have. authorities: a file with trusted certificates,
 * or NULL for the system's. Strings are copied. */
void fetch_text(uv_loop_t *loop, const char *host, const char *url, const struct ip *v, size_t n,
                const char *type, const char *authorities, size_t most, fetch_done *done,
                void *ctx);

#endif
