/* The access map in Sendmail's text form (cf/README "access_db"), CIDR in addition.
 *
 *     Connect:192.0.2         REJECT          From:spammer.example   ERROR:5.7.1:"550 no thanks"
 *     Connect:10.0.0.0/8      RELAY           To:info@example.org    OK
 *     Connect:IPv6:2001:db8   OK              To:example.com         RELAY
 *     198.51.100              REJECT          bad.example            DISCARD
 *     Spam:abuse@             FRIEND          From:odd.example       QUARANTINE:look at it
 *     GreetPause:192.0.2      5000            ClientConn:            10
 *
 * Tags Connect:, From:, To:, or none (all three); Spam: (recipients, see access_delayed);
 * GreetPause: (milliseconds), ClientRate: (connections a minute), ClientConn: (at the same time),
 * 0 meaning no limit and an empty key all others. Networks: octets, colon groups, addresses, CIDR;
 * the longest prefix counts. Addresses: user@domain, user@ (in any domain), domain (and all below
 * it); the most exact counts, with the tag before without. Values: OK, RELAY (implies OK; From:
 * never lets anybody relay, senders are forged at will), REJECT, DISCARD, SKIP (ends the search,
 * default result), QUARANTINE:reason (what would be delivered is held), ERROR:[dsn:]["]code
 * text["], or "code text". A line that can't be understood is named in the log; the rest stays in
 * force. */
#ifndef GATEHOUSE_DOOR_ACCESS_H
#define GATEHOUSE_DOOR_ACCESS_H

#include "base/ip.h"
#include "smtp/textmap.h"
#include "policy/domains.h"

enum access_verb {
    ACCESS_NONE, /* nothing said, or SKIP */
    ACCESS_OK,
    ACCESS_RELAY,
    ACCESS_REJECT,
    ACCESS_DISCARD,
    ACCESS_QUARANTINE, /* reply holds the reason */
    ACCESS_ERROR       /* reply holds what to say */
};

struct access_rule {
    enum access_verb verb;
    struct span reply; /* ERROR: complete, valid by reply_valid; valid until the next refresh */
};
static inline bool access_refuses(const struct access_rule *r)
{
    return r->verb == ACCESS_REJECT || r->verb == ACCESS_ERROR;
}

struct access;

/* path NULL: an empty map. */
struct access *access_open(const char *path);
void access_free(struct access *a);
void access_refresh(struct access *a);
/* false while the file could never be read. */
bool access_ok(const struct access *a);

/* name: of the client, or absent. */
struct access_rule access_client(const struct access *a, const struct ip *ip, struct span name);
/* An address without domain stands for the null sender: "<>". */
struct access_rule access_sender(const struct access *a, const struct lookup *from);
struct access_rule access_recipient(const struct access *a, const struct lookup *to);

/* What the map says about a client in numbers. false: nothing, the setting counts. ip, name: as
 * above. */
enum access_number {
    ACCESS_GREET_PAUSE, /* milliseconds before the greeting */
    ACCESS_CLIENT_RATE, /* connections in 60 seconds */
    ACCESS_CLIENT_CONN  /* connections at the same time */
};
enum { ACCESS_NUMBER_MAX = 1000000 };
bool access_number(const struct access *a, enum access_number what, const struct ip *ip,
                   struct span name, unsigned *out);

/* Sendmail's delay_checks (access_delay): refusals of client and sender are told to each recipient,
 * unless this one is a FRIEND of spam (Spam:abuse@ FRIEND), or only if it is a HATER. The rule to
 * be refused with, or ACCESS_NONE. ip may be NULL. */
struct access_rule access_delayed(const struct access *a, enum access_delay mode,
                                  const struct ip *ip, struct span name, const struct lookup *from,
                                  const struct lookup *to);

/* For tests and `gatehouse check`: the map from memory; report gets the bad lines. */
struct access *access_read(struct span text, const char *name,
                           void (*report)(void *ctx, const char *text), void *ctx);

/* Checks one line of the file (smtp/textmap.h), for `gatehouse check`. */
int access_line(void *ctx, struct arena *arena, struct textmap_entry *e, struct err *why);

#endif
