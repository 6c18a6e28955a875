/* Where mail for a domain goes next, in Sendmail's mailertable words.
 *
 *   smtp:HOST[:PORT]        by the MX records of HOST ("relay:" and "esmtp:" mean the same)
 *   smtp:[HOST][:PORT]      straight to HOST, a name or an address; also "smtp:[IPv6:2001:db8::1]"
 *   smtp:                   by the MX records of the recipient's own domain; also "mx"
 *   lmtp:/PATH, lmtp:[HOST]:PORT
 *   maildir:/PATH
 *   error:D.S.N:CODE text   refused; "error:CODE text" and Sendmail's "error:nouser text" too
 *   HOST, [HOST]            as with smtp: in front
 *
 * Keys of the file: domain, .domain (all below it), "." (everything else). The exact domain wins,
 * then the longest .domain, then ".", then routes.fallback. */
#ifndef GATEHOUSE_DELIVER_ROUTE_H
#define GATEHOUSE_DELIVER_ROUTE_H

#include "config/settings.h"
#include "smtp/textmap.h"

enum route_kind { ROUTE_SMTP, ROUTE_LMTP, ROUTE_LMTP_UNIX, ROUTE_MAILDIR, ROUTE_ERROR };

struct route {
    enum route_kind kind;
    bool mx;          /* SMTP: look up MX records of host */
    struct span host; /* name or address; empty with mx: the recipient's domain */
    struct ip ip;
    bool has_ip;
    uint16_t port;
    struct span path;  /* LMTP_UNIX, MAILDIR */
    struct span reply; /* ERROR: "550 5.1.1 text" */
};

enum { SMTP_PORT = 25, LMTP_PORT = 24 };

/* 0, or -1 with why. Strings are copied into the arena. */
int route_parse(struct span text, struct arena *a, struct route *out, struct err *e);

struct routes;
/* NULL with e when the fallback can't be understood. A file with mistakes is used as far as it can
 * be read. */
struct routes *routes_open(const struct route_settings *set, struct err *e);
void routes_free(struct routes *r);
/* Reads the file again when it has changed. */
void routes_refresh(struct routes *r);
/* domain in lower case. Never NULL; valid until the next refresh. NULL only while the file has
 * never been readable: the answer is not known. */
const struct route *routes_find(const struct routes *r, struct span domain);

/* The name of the destination, for tables, logs and lists: "smtp:[192.0.2.1]:25", "mx:example.org",
 * "lmtp:/run/lmtp". */
struct span route_key(const struct route *r, struct span domain, struct arena *a);

/* Checks one line of the file (smtp/textmap.h), for `gatehouse check`. */
int routes_line(void *ctx, struct arena *arena, struct textmap_entry *e, struct err *why);

#endif
