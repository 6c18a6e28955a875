/* IP addresses and networks. IPv4 is held as the mapped IPv6 address, so that one comparison serves
 * both. */
#ifndef GATEHOUSE_BASE_IP_H
#define GATEHOUSE_BASE_IP_H

#include "base/span.h"

struct ip {
    unsigned char b[16];
};

struct cidr {
    struct ip net;
    unsigned bits; /* 0..128, counted in the mapped form */
};

/* Textual address, with or without "IPv6:" prefix or brackets; no zone. false when it is none. */
bool ip_parse(struct span s, struct ip *out);
bool ip_is4(const struct ip *a);
/* "192.0.2.1" or "2001:db8::1". Returns out. */
enum { IP_TEXT_SIZE = 48 };
char *ip_text(const struct ip *a, char out[IP_TEXT_SIZE]);

/* "192.0.2.0/24", "2001:db8::/32", a single address, or Sendmail's octets "192.0.2" and "10". */
bool cidr_parse(struct span s, struct cidr *out);
bool cidr_has(const struct cidr *c, const struct ip *a);

/* 127/8 and ::1. */
bool ip_is_loopback(const struct ip *a);
/* Loopback, RFC 1918, link-local, unique-local, 100.64/10. */
bool ip_is_private(const struct ip *a);

#endif
