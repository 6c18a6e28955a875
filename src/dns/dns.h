/* Asynchronous questions to the DNS on a loop: libunbound inside, caching, one context a process,
 * made at the first question. Answers are bounded and checked; names are lower case, without the
 * final dot.
 *
 * A question always ends in exactly one callback, from the loop: at the latest when its time is
 * over (settings.dns.timeout), then as DNS_TEMPFAIL. Cancelling a question is dns_cancel; the
 * callback then does not come. */
#ifndef GATEHOUSE_DNS_DNS_H
#define GATEHOUSE_DNS_DNS_H

#include "base/ip.h"
#include "config/settings.h"

#include <uv.h>

struct dns;
struct dns_question;

enum dns_status {
    DNS_OK,
    DNS_NONE,    /* the name does not exist, or has no such record */
    DNS_TEMPFAIL /* no answer, SERVFAIL, bogus */
};

enum { DNS_ANSWERS_MAX = 64, DNS_NAME_MAX = 254 };

struct dns_mx {
    uint16_t preference;
    char host[DNS_NAME_MAX]; /* empty: null MX (RFC 7505) */
};

struct dns *dns_new(uv_loop_t *loop, const struct dns_settings *s);
/* No callback comes any more; the memory is given back by the loop. */
void dns_free(struct dns *d);

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

void dns_cancel(struct dns_question *q);

/* One name in wire form from rdata (RFC 1035 section 3.1, no compression: libunbound has undone
 * it): false when it is cut short, too long, or holds bytes that no host name has. */
bool dns_name_decode(const unsigned char *rdata, size_t n, char out[DNS_NAME_MAX], size_t *used);

#endif
