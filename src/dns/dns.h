/* Asynchronous questions to the DNS on a loop: libunbound inside, caching, validating, one context
 * a process, made at the first question. Answers are bounded and checked; names are lower case,
 * without the final dot.
 *
 * A question always ends in exactly one callback, from the loop and never from inside the call that
 * asked: at the latest when its time is over (settings.dns.timeout), then as DNS_TEMPFAIL.
 * Cancelling a question is dns_cancel; the callback then does not come. The handle of a question is
 * dead once its callback was called. */
#ifndef GATEHOUSE_DNS_DNS_H
#define GATEHOUSE_DNS_DNS_H

#include "base/arena.h"
#include "base/ip.h"
#include "config/settings.h"

#include <uv.h>

struct dns;
struct dns_question;

enum dns_status {
    DNS_OK,
    DNS_NONE,    /* the name does not exist, or has no such record */
    DNS_TEMPFAIL /* no answer, SERVFAIL, REFUSED, bogus, or nothing in it that can be read */
};

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_MX_RR = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_TLSA = 52
};

enum {
    DNS_ANSWERS_MAX = 64, /* records of one answer that are looked at */
    DNS_NAME_MAX = 254,   /* text of a name with its NUL */
    DNS_RCODE_NOERROR = 0,
    DNS_RCODE_SERVFAIL = 2,
    DNS_RCODE_NXDOMAIN = 3,
    DNS_RCODE_NO_ANSWER = -1
};

struct dns_mx {
    uint16_t preference;
    char host[DNS_NAME_MAX]; /* empty: null MX (RFC 7505) */
};

struct dns *dns_new(uv_loop_t *loop, const struct dns_settings *s);
/* No callback comes any more; the memory is given back by the loop. */
void dns_free(struct dns *d);

/* --- one question, one answer --- */

struct dns_answer {
    enum dns_status status;
    bool nxdomain;            /* DNS_NONE because the name does not exist */
    bool secure;              /* DNSSEC-validated */
    int rcode;                /* RFC 1035 section 4.1.1; DNS_RCODE_NO_ANSWER: nobody answered */
    const struct span *rdata; /* n records, wire form, names not compressed; valid in the callback
                               * only. Aliases (CNAME) have been followed. */
    size_t n;                 /* at most DNS_ANSWERS_MAX */
    uint32_t ttl;             /* seconds */
    struct span canonical;    /* the name behind the last alias; absent when there was none */
};
typedef void dns_answer_fn(void *ctx, const struct dns_answer *a);

/* name: any bytes, labels separated by dots, with or without the last one. A name that can't exist
 * (empty, an empty label, a label over 63 bytes, over 253 in all, a NUL) is answered DNS_NONE with
 * nxdomain. Of the records, those whose rdata does not have the form of their type are left out. */
struct dns_question *dns_ask(struct dns *d, struct span name, enum dns_type type,
                             dns_answer_fn *done, void *ctx);

void dns_cancel(struct dns_question *q);

/* --- questions that take several --- */

/* Addresses (A and AAAA) of a host. */
typedef void dns_addresses_fn(void *ctx, enum dns_status st, const struct ip *v, size_t n);
struct dns_question *dns_addresses(struct dns *d, struct span host, dns_addresses_fn *done,
                                   void *ctx);

/* MX records, sorted by preference; equal ones in random order (RFC 5321 section 5.1). */
typedef void dns_mx_fn(void *ctx, enum dns_status st, const struct dns_mx *v, size_t n);
struct dns_question *dns_mx(struct dns *d, struct span domain, dns_mx_fn *done, void *ctx);

/* The name of an address, only if the name has that address too ("forward-confirmed"). */
typedef void dns_name_fn(void *ctx, enum dns_status st, struct span name);
struct dns_question *dns_reverse(struct dns *d, const struct ip *ip, dns_name_fn *done, void *ctx);

/* --- names and rdata (rdata.c): no questions --- */

/* One name in wire form from rdata (RFC 1035 section 3.1, no compression: libunbound has undone
 * it): false when it is cut short, too long, or holds bytes that no host name has. */
bool dns_name_decode(const unsigned char *rdata, size_t n, char out[DNS_NAME_MAX], size_t *used);

/* Rdata of A or AAAA as address; of MX; of TXT as one string (its character-strings joined), in the
 * arena. false when malformed. */
bool dns_rdata_ip(struct span rdata, enum dns_type type, struct ip *out);
bool dns_rdata_mx(struct span rdata, struct dns_mx *out);
bool dns_txt_join(struct span rdata, struct arena *a, struct span *out);
/* Whether rdata has the form of its type; types that are not named above are taken as they are. */
bool dns_rdata_sane(struct span rdata, enum dns_type type);

/* The name under which an address stands in a zone: "25.2.0.192.ZONE", or 32 nibbles for IPv6.
 * An empty zone means in-addr.arpa or ip6.arpa. false when it would be too long. */
bool dns_reversed(const struct ip *ip, struct span zone, char out[DNS_NAME_MAX]);

#endif
