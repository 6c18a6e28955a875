#include "smtp/proxy.h"

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
enum { SIGNATURE_LEN = 12 };

static bool take_port(struct span s, uint16_t *port)
{
    uint64_t v;
    if (s.n > 5 || !span_u64(s, &v) || v > 65535)
        return false;
    *port = (uint16_t)v;
    return true;
}

/* "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443" CRLF, "PROXY UNKNOWN ..." CRLF */
static enum proxy_status parse_v1(struct span in, size_t *used, struct proxy_header *out)
{
    struct span head = span_sub(in, 0, PROXY_V1_MAX);
    size_t nl = span_find(head, '\n');
    if (nl == SIZE_MAX)
        return head.n == PROXY_V1_MAX ? PROXY_BAD : PROXY_MORE;
    if (nl == 0 || head.p[nl - 1] != '\r')
        return PROXY_BAD;
    *used = nl + 1;
    struct span line = span_sub(head, 6, nl - 1);
    struct span family = span_word(&line, " ");
    if (span_eq(family, SPAN("UNKNOWN")))
        return PROXY_DONE;
    bool four = span_eq(family, SPAN("TCP4"));
    if (!four && !span_eq(family, SPAN("TCP6")))
        return PROXY_BAD;
    struct span from = span_word(&line, " "), to = span_word(&line, " ");
    struct span from_port = span_word(&line, " "), to_port = span_word(&line, " ");
    struct ip dst;
    uint16_t dst_port;
    if (line.n > 0 || span_find(from, '[') != SIZE_MAX || span_istarts(from, SPAN("IPv6:")) ||
        !ip_parse(from, &out->ip) || !ip_parse(to, &dst) || !take_port(from_port, &out->port) ||
        !take_port(to_port, &dst_port))
        return PROXY_BAD;
    if ((span_find(from, ':') == SIZE_MAX) != four)
        return PROXY_BAD;
    out->has_ip = true;
    return PROXY_DONE;
}

static void take_v4(const unsigned char *p, struct proxy_header *out)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(out->ip.b, mapped, sizeof mapped);
    memcpy(out->ip.b + 12, p, 4);
    out->port = (uint16_t)(p[8] << 8 | p[9]);
}

static enum proxy_status parse_v2(struct span in, size_t *used, struct proxy_header *out)
{
    if (in.n < 16)
        return PROXY_MORE;
    const unsigned char *p = (const unsigned char *)in.p;
    size_t length = (size_t)(p[14] << 8 | p[15]);
    unsigned version = p[12] >> 4, command = p[12] & 15, family = p[13];
    if (version != 2 || command > 1 || 16 + length > PROXY_V2_MAX)
        return PROXY_BAD;
    if (in.n < 16 + length)
        return PROXY_MORE;
    *used = 16 + length;
    if (command == 0 || family == 0) /* LOCAL (health checks), UNSPEC */
        return PROXY_DONE;
    if (family == 0x11 && length >= 12) { /* TCP over IPv4 */
        take_v4(p + 16, out);
    } else if (family == 0x21 && length >= 36) { /* TCP over IPv6 */
        memcpy(out->ip.b, p + 16, 16);
        out->port = (uint16_t)(p[16 + 32] << 8 | p[16 + 33]);
    } else {
        return PROXY_BAD;
    }
    out->has_ip = true;
    return PROXY_DONE;
}

enum proxy_status proxy_parse(struct span in, size_t *used, struct proxy_header *out)
{
    *out = (struct proxy_header){0};
    *used = 0;
    struct span magic = span_of(signature, SIGNATURE_LEN);
    struct span seen = span_sub(in, 0, SIGNATURE_LEN);
    if (span_starts(magic, seen))
        return seen.n < SIGNATURE_LEN ? PROXY_MORE : parse_v2(in, used, out);
    struct span word = SPAN("PROXY ");
    seen = span_sub(in, 0, word.n);
    if (!span_starts(word, seen))
        return PROXY_BAD;
    return seen.n < word.n ? PROXY_MORE : parse_v1(in, used, out);
}
