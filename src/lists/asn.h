/* Whose network an address lies in: its autonomous system, from a database of MaxMind's format
 * (GeoLite2-ASN, GeoIP2-ISP), opened once and mapped. A damaged file gives no answers. */
#ifndef GATEHOUSE_LISTS_ASN_H
#define GATEHOUSE_LISTS_ASN_H

#include "base/err.h"
#include "base/ip.h"

struct asn;

/* NULL with e: the file can't be opened, or is no such database. */
struct asn *asn_open(const char *path, struct err *e);
void asn_close(struct asn *a);
/* 0: not known. a may be NULL. */
uint32_t asn_of(const struct asn *a, const struct ip *ip);

#endif
