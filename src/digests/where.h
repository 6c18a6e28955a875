/* Where a service answers: "unix:/PATH", "/PATH", "HOST:PORT", "ADDRESS:PORT", "[ADDRESS]:PORT".
 * Room-private; settings are checked against the same form (config/check_digests.c). */
#ifndef GATEHOUSE_DIGESTS_WHERE_H
#define GATEHOUSE_DIGESTS_WHERE_H

#include "dns/dns.h"

struct where {
    char text[300]; /* as written */
    char path[108]; /* of a Unix socket; "": TCP or UDP */
    char host[256];
    uint16_t port;
};

int where_parse(const char *text, struct where *out, struct err *e);

/* The first address of the host: done is called once, from within for literal addresses; ip is NULL
 * with why when there is none. NULL is returned when done was called already, else what where_drop
 * cancels. d may be NULL when host is an address. */
typedef void where_done(void *ctx, const struct ip *ip, const char *why);
struct where_question;
struct where_question *where_find(struct dns *d, const struct where *w, where_done *done,
                                  void *ctx);
void where_drop(struct where_question *q);

#endif
