#include "base/ip.h"

#include <arpa/inet.h>
#include <stdio.h>

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool ip_is4(const struct ip *a)
{
    return memcmp(a->b, mapped, sizeof mapped) == 0;
}

bool ip_parse(struct span s, struct ip *out)
{
    char text[IP_TEXT_SIZE];
    if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        s = span_sub(s, 1, s.n - 1);
    if (span_istarts(s, SPAN("IPv6:")))
        s = span_from(s, 5);
    if (s.n == 0 || s.n >= sizeof text || memchr(s.p, '\0', s.n))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    if (inet_pton(AF_INET, text, out->b + 12) == 1) {
        memcpy(out->b, mapped, sizeof mapped);
        return true;
    }
    return inet_pton(AF_INET6, text, out->b) == 1;
}

char *ip_text(const struct ip *a, char out[IP_TEXT_SIZE])
{
    if (ip_is4(a))
        inet_ntop(AF_INET, a->b + 12, out, IP_TEXT_SIZE);
    else
        inet_ntop(AF_INET6, a->b, out, IP_TEXT_SIZE);
    return out;
}

/* One to four dotted octets, as Sendmail's access map writes networks. */
static bool octets(struct span s, struct cidr *out)
{
    struct span rest = s, word;
    unsigned n = 0;
    memset(out, 0, sizeof *out);
    memcpy(out->net.b, mapped, sizeof mapped);
    if (s.n && s.p[s.n - 1] == '.')
        rest.n--;
    while (rest.n) {
        size_t dot = span_find(rest, '.');
        uint64_t v;
        word = span_sub(rest, 0, dot);
        if (n == 4 || word.n > 3 || !span_u64(word, &v) || v > 255)
            return false;
        out->net.b[12 + n++] = (unsigned char)v;
        rest = dot == SIZE_MAX ? span_from(rest, rest.n) : span_from(rest, dot + 1);
    }
    out->bits = 96 + 8 * n;
    return n > 0;
}

bool cidr_parse(struct span s, struct cidr *out)
{
    size_t slash = span_find(s, '/');
    if (slash == SIZE_MAX) {
        out->bits = 128;
        return ip_parse(s, &out->net) || octets(s, out);
    }
    uint64_t bits;
    struct span net = span_sub(s, 0, slash);
    if (!span_u64(span_from(s, slash + 1), &bits))
        return false;
    if (!ip_parse(net, &out->net)) {
        struct cidr c;
        if (!octets(net, &c))
            return false;
        out->net = c.net;
    }
    unsigned base = ip_is4(&out->net) ? 96 : 0;
    if (bits > 128 - base)
        return false;
    out->bits = base + (unsigned)bits;
    for (unsigned i = out->bits; i < 128; i++)
        out->net.b[i / 8] &= (unsigned char)~(0x80u >> i % 8);
    return true;
}

bool cidr_has(const struct cidr *c, const struct ip *a)
{
    unsigned whole = c->bits / 8, rest = c->bits % 8;
    if (memcmp(c->net.b, a->b, whole) != 0)
        return false;
    unsigned char mask = (unsigned char)(0xff00u >> rest);
    return rest == 0 || ((c->net.b[whole] ^ a->b[whole]) & mask) == 0;
}

bool ip_is_loopback(const struct ip *a)
{
    static const unsigned char one[16] = {[15] = 1};
    return ip_is4(a) ? a->b[12] == 127 : memcmp(a->b, one, 16) == 0;
}

bool ip_is_private(const struct ip *a)
{
    const unsigned char *v4 = a->b + 12;
    if (ip_is_loopback(a))
        return true;
    if (!ip_is4(a))
        return (a->b[0] & 0xfe) == 0xfc || (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80);
    return v4[0] == 10 || (v4[0] == 192 && v4[1] == 168) ||
           (v4[0] == 172 && (v4[1] & 0xf0) == 16) || (v4[0] == 169 && v4[1] == 254) ||
           (v4[0] == 100 && (v4[1] & 0xc0) == 64);
}
