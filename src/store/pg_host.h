/* The address of a server's host within a deadline: libpq would wait as long as the resolver does.
 */
#ifndef GATEHOUSE_STORE_PG_HOST_H
#define GATEHOUSE_STORE_PG_HOST_H

#include <netdb.h>

#include "base/clock.h"
#include "base/err.h"

struct pg_host; /* a look-up that may outlast its deadline; one at a time */

/* out gets the address of the one host name that dsn (libpq's words) has; "" when it has none, or
 * says the address itself, or several. *pending keeps what is not answered yet, NULL at first.
 * 0, or -1 and e. */
int pg_host_address(struct pg_host **pending, const char *dsn, usec deadline,
                    char out[static NI_MAXHOST], struct err *e);
void pg_host_free(struct pg_host *h);

#endif
