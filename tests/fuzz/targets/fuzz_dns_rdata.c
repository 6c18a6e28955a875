/* Records of a hostile name server: what passes the check of its form can be read, within its
 * bounds. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "dns/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum dns_type types[] = {DNS_A,     DNS_NS,  DNS_CNAME, DNS_SOA, DNS_PTR,
                                      DNS_MX_RR, DNS_TXT, DNS_AAAA,  DNS_TLSA};

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ip ip;
    struct dns_mx mx;
    struct span text;
    if (size == 0)
        return 0;
    enum dns_type type = types[data[0] % (sizeof types / sizeof *types)];
    struct span rdata = span_of((const char *)data + 1, size - 1);
    struct arena *a = arena_new(0);
    bool sane = dns_rdata_sane(rdata, type);
    bool joined = dns_txt_join(rdata, a, &text);
    check(!joined || text.n < rdata.n);
    check(!dns_rdata_mx(rdata, &mx) || memchr(mx.host, '\0', sizeof mx.host));
    check(!sane || type != DNS_TXT || joined);
    check(dns_rdata_ip(rdata, type, &ip) == (sane && (type == DNS_A || type == DNS_AAAA)));
    arena_free(a);
    return 0;
}
