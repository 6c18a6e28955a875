#include "dns/dns.h"

#include <stdio.h>

bool dns_name_decode(const unsigned char *rdata, size_t n, char out[DNS_NAME_MAX], size_t *used)
{
    size_t at = 0, w = 0;
    while (at < n && rdata[at] != 0) {
        size_t label = rdata[at++];
        if (label > 63 || label > n - at || w + label + 1 >= DNS_NAME_MAX)
            return false;
        for (size_t i = 0; i < label; i++) {
            char c = ascii_lower((char)rdata[at + i]);
            if (!ascii_isalnum(c) && c != '-' && c != '_')
                return false;
            out[w++] = c;
        }
        out[w++] = '.';
        at += label;
    }
    if (at >= n)
        return false; /* no root label */
    out[w ? w - 1 : 0] = '\0';
    *used = at + 1;
    return true;
}

/* Length of the name at the start, whatever bytes its labels hold; 0: malformed. */
static size_t name_length(struct span s)
{
    size_t at = 0;
    while (at < s.n && s.p[at] != 0) {
        size_t label = (unsigned char)s.p[at];
        if (label > 63 || at + label + 1 >= DNS_NAME_MAX)
            return 0;
        at += label + 1;
    }
    return at < s.n ? at + 1 : 0;
}

bool dns_rdata_ip(struct span rdata, enum dns_type type, struct ip *out)
{
    if (type == DNS_A && rdata.n == 4) {
        memset(out->b, 0, 10);
        memset(out->b + 10, 0xff, 2);
        memcpy(out->b + 12, rdata.p, 4);
        return true;
    }
    if (type != DNS_AAAA || rdata.n != 16)
        return false;
    memcpy(out->b, rdata.p, 16);
    return true;
}

bool dns_rdata_mx(struct span rdata, struct dns_mx *out)
{
    const unsigned char *p = (const unsigned char *)rdata.p;
    size_t used;
    if (rdata.n < 3 || !dns_name_decode(p + 2, rdata.n - 2, out->host, &used) ||
        used != rdata.n - 2)
        return false;
    out->preference = (uint16_t)(p[0] << 8 | p[1]);
    return true;
}

static bool strings_fit(struct span rdata)
{
    size_t at = 0;
    while (at < rdata.n)
        at += (size_t)(unsigned char)rdata.p[at] + 1;
    return rdata.n > 0 && at == rdata.n;
}

bool dns_txt_join(struct span rdata, struct arena *a, struct span *out)
{
    if (!strings_fit(rdata))
        return false;
    char *text = arena_raw(a, rdata.n);
    size_t w = 0;
    for (size_t at = 0; at < rdata.n;) {
        size_t n = (unsigned char)rdata.p[at++];
        memcpy(text + w, rdata.p + at, n);
        w += n;
        at += n;
    }
    *out = span_of(text, w);
    return true;
}

bool dns_rdata_sane(struct span rdata, enum dns_type type)
{
    size_t used;
    switch (type) {
    case DNS_A:
        return rdata.n == 4;
    case DNS_AAAA:
        return rdata.n == 16;
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR:
        return rdata.n > 0 && name_length(rdata) == rdata.n;
    case DNS_MX_RR:
        return rdata.n > 2 && name_length(span_from(rdata, 2)) == rdata.n - 2;
    case DNS_SOA:
        used = name_length(rdata);
        if (used == 0)
            return false;
        rdata = span_from(rdata, used);
        used = name_length(rdata);
        return used > 0 && rdata.n - used == 20;
    case DNS_TXT:
        return strings_fit(rdata);
    case DNS_TLSA:
        return rdata.n > 3;
    }
    return true;
}

bool dns_reversed(const struct ip *ip, struct span zone, char out[DNS_NAME_MAX])
{
    size_t n = 0;
    if (zone.n && zone.p[zone.n - 1] == '.')
        zone.n--;
    if (ip_is4(ip)) {
        n = (size_t)snprintf(out, DNS_NAME_MAX, "%u.%u.%u.%u.", ip->b[15], ip->b[14], ip->b[13],
                             ip->b[12]);
    } else {
        for (int i = 15; i >= 0; i--)
            n +=
                (size_t)snprintf(out + n, DNS_NAME_MAX - n, "%x.%x.", ip->b[i] & 15, ip->b[i] >> 4);
    }
    if (zone.n == 0)
        zone = ip_is4(ip) ? SPAN("in-addr.arpa") : SPAN("ip6.arpa");
    if (n + zone.n >= DNS_NAME_MAX)
        return false;
    memcpy(out + n, zone.p, zone.n);
    out[n + zone.n] = '\0';
    return true;
}
