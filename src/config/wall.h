/* The settings of the first wall: who is calling, before anything is read. */
#ifndef GATEHOUSE_CONFIG_WALL_H
#define GATEHOUSE_CONFIG_WALL_H

#include "base/clock.h"
#include "base/err.h"
#include "base/ip.h"

struct strings;

/* What a finding does: nothing is looked for (off), it is told to rules and record (fact), the
 * sender is put off (4xx) or refused (5xx). */
enum wall_action { WALL_OFF, WALL_FACT, WALL_DEFER, WALL_REJECT };
enum wall_refuse { WALL_AT_CONNECT, WALL_AT_RCPT };
enum greylist_mode { GREY_OFF, GREY_ALL, GREY_DOUBTFUL };

/* ---- one list ---- */

enum {
    LIST_FILTERS = 4,      /* octets of a reply filter */
    LIST_FILTER_RANGES = 8 /* ranges of one octet */
};

/* "ZONE[=FILTER][*WEIGHT] [as NAME] [test=NAME] [URL]", as postscreen writes the first word:
 * "zen.spamhaus.org=127.0.0.[2..11]*3". FILTER: four octets, each a number or [a;b..c]; without it
 * every answer in 127/8 counts, but none in 127.255.255/24, which lists use to say that something
 * is wrong. WEIGHT: 1 when not given; negative: a list of good clients. NAME: what senders are told
 * instead of a zone that holds a secret key. test: a domain that is listed (domain lists). URL: the
 * page to delist; _IP_ and _DOMAIN_ in it are filled in. Spans point into the text. */
struct list_spec {
    struct span zone, name, test, url;
    double weight;
    bool filtered;
    struct {
        unsigned char from[LIST_FILTER_RANGES], to[LIST_FILTER_RANGES];
        unsigned n;
    } octets[LIST_FILTERS];
};
int list_spec_parse(struct span text, struct list_spec *out, struct err *e);
/* Whether an answer counts (ip: IPv4). */
bool list_spec_counts(const struct list_spec *s, const struct ip *ip);

/* ---- one rate ---- */

enum rate_what { RATE_CONNECTIONS, RATE_SESSIONS, RATE_MESSAGES, RATE_RECIPIENTS, RATE_BAD_RCPTS };
enum rate_who {
    RATE_ADDRESS,
    RATE_NETWORK, /* IPv4: /24, IPv6: /64 */
    RATE_ASN,
    RATE_SENDER,
    RATE_SENDER_DOMAIN,
    RATE_RCPT,
    RATE_RCPT_DOMAIN,
    RATE_USER
};
enum rate_answer { RATE_DEFER, RATE_DELAY, RATE_STOP };

/* "WHAT WHO N/TIME [burst N] [defer|delay|stop] [as NAME]", or "sessions WHO N". A bucket holds
 * `burst` (N when not given) and loses N in TIME. delay: the answer waits until there is room, at
 * most RATE_DELAY_MAX; stop: the user is refused until an operator says otherwise. */
enum { RATE_DELAY_MAX = 30 }; /* seconds */
struct rate_spec {
    enum rate_what what;
    enum rate_who who;
    double n, burst;
    usec per; /* 0 for sessions */
    enum rate_answer answer;
    char name[64]; /* "messages-address" when not given */
};
int rate_spec_parse(struct span text, struct rate_spec *out, struct err *e);

#endif
