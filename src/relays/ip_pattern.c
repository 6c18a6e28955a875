#include "relays/ip_pattern.h"

#include "base/ip.h"

static bool is_hex_or_colon(char c)
{
    return c == ':' || ascii_hex(c) >= 0;
}

/* One decimal octet without leading zeros; 0 when there is none. The longest run of digits decides:
 * what follows an octet is never a digit. */
static size_t octet_at(struct span s, size_t at)
{
    size_t n = 0;
    unsigned value = 0;
    while (at + n < s.n && ascii_isdigit(s.p[at + n])) {
        if (n == 3)
            return 0;
        value = value * 10 + (unsigned)(s.p[at + n] - '0');
        n++;
    }
    if (n == 0 || value > 255 || (n > 1 && s.p[at] == '0'))
        return 0;
    return n;
}

/* Four octets; what stands around them is the caller's business. */
static size_t quad_at(struct span s, size_t at)
{
    size_t p = at;
    for (int i = 0; i < 4; i++) {
        if (i > 0) {
            if (p >= s.n || s.p[p] != '.')
                return 0;
            p++;
        }
        size_t n = octet_at(s, p);
        if (n == 0)
            return 0;
        p += n;
    }
    return p - at;
}

size_t ip_pattern_v4_at(struct span s, size_t at)
{
    if (at >= s.n || !ascii_isdigit(s.p[at]) || !word_boundary(s, at))
        return 0;
    size_t n = quad_at(s, at);
    return n && word_boundary(s, at + n) ? n : 0;
}

/* Whether the colon-separated groups of s are well-formed: `full` groups, or fewer with one "::".
 */
static bool groups_ok(struct span s, unsigned full)
{
    unsigned groups = 0;
    bool gap = false;
    size_t i = 0;
    if (s.n >= 2 && s.p[0] == ':' && s.p[1] == ':') {
        gap = true;
        i = 2;
    }
    while (i < s.n) {
        size_t n = 0;
        while (i + n < s.n && ascii_hex(s.p[i + n]) >= 0)
            n++;
        if (n == 0 || n > 4)
            return false;
        groups++;
        i += n;
        if (i == s.n)
            break;
        i++; /* the colon */
        if (i < s.n && s.p[i] == ':') {
            if (gap)
                return false;
            gap = true;
            i++;
        } else if (i == s.n) {
            return false;
        }
    }
    return gap ? groups < full : groups == full;
}

/* An IPv6 address at `at`, no prefix. */
static size_t v6_at(struct span s, size_t at)
{
    size_t n = 0, colon = 0;
    while (at + n < s.n && is_hex_or_colon(s.p[at + n])) {
        n++;
        if (s.p[at + n - 1] == ':')
            colon = n;
        if (n > 45)
            return 0;
    }
    if (colon == 0)
        return 0;
    if (at + n < s.n && s.p[at + n] == '.') {
        size_t quad = quad_at(s, at + colon), end = at + colon + quad;
        /* the groups with the colon that separates them from the quad, or the "::" itself */
        struct span head = span_sub(s, at, at + colon);
        bool gap_last = head.n >= 2 && head.p[head.n - 2] == ':';
        if (quad && (end >= s.n || !is_hex_or_colon(s.p[end])) &&
            groups_ok(span_sub(head, 0, gap_last ? head.n : head.n - 1), 6))
            return colon + quad;
    }
    return groups_ok(span_sub(s, at, at + n), 8) ? n : 0;
}

size_t ip_pattern_at(struct span s, size_t at)
{
    if (at >= s.n)
        return 0;
    if (ascii_isdigit(s.p[at]) && (at == 0 || s.p[at - 1] != ':')) {
        size_t n = ip_pattern_v4_at(s, at);
        if (n)
            return n;
    }
    if (span_istarts(span_from(s, at), SPAN("IPv6:"))) {
        size_t n = v6_at(s, at + 5);
        return n ? n + 5 : 0;
    }
    if (!is_hex_or_colon(s.p[at]) || (at > 0 && is_hex_or_colon(s.p[at - 1])))
        return 0;
    return v6_at(s, at);
}

bool ip_pattern_find(struct span s, size_t from, struct span *out)
{
    for (size_t i = from; i < s.n; i++) {
        if (!is_hex_or_colon(s.p[i]) && ascii_lower(s.p[i]) != 'i')
            continue;
        size_t n = ip_pattern_at(s, i);
        if (n) {
            *out = span_sub(s, i, i + n);
            return true;
        }
    }
    return false;
}

bool ip_pattern_is(struct span s)
{
    return s.n > 0 && ip_pattern_at(s, 0) == s.n;
}

bool ip_pattern_is_v4(struct span s)
{
    return s.n > 0 && ip_pattern_v4_at(s, 0) == s.n;
}

static bool private_v4_text(struct span s)
{
    unsigned o[2] = {0, 0};
    size_t p = octet_at(s, 0);
    if (p == 0 || p >= s.n || s.p[p] != '.')
        return false;
    for (size_t i = 0; i < p; i++)
        o[0] = o[0] * 10 + (unsigned)(s.p[i] - '0');
    size_t n = octet_at(s, p + 1);
    for (size_t i = 0; i < n; i++)
        o[1] = o[1] * 10 + (unsigned)(s.p[p + 1 + i] - '0');
    return o[0] == 10 || o[0] == 127 || (o[0] == 169 && o[1] == 254) ||
           (o[0] == 172 && o[1] >= 16 && o[1] <= 31) || (o[0] == 192 && o[1] == 168) ||
           (o[0] == 100 && o[1] >= 64 && o[1] <= 127);
}

bool ip_pattern_private(struct span s)
{
    if (span_istarts(s, SPAN("IPv6:")))
        s = span_from(s, 5);
    else if (private_v4_text(s))
        return true;
    struct ip ip;
    if (span_find(s, ':') == SIZE_MAX || !ip_parse(s, &ip))
        return false;
    if (ip_is4(&ip)) {
        char text[IP_TEXT_SIZE];
        return private_v4_text(span_str(ip_text(&ip, text)));
    }
    static const unsigned char one[16] = {[15] = 1};
    return memcmp(ip.b, one, 16) == 0 || (ip.b[0] == 0xfe && (ip.b[1] & 0xc0) == 0x80);
}

size_t ip_pattern_localhost_at(struct span s, size_t at, size_t *shorter)
{
    *shorter = 0;
    struct span rest = span_from(s, at);
    if (span_istarts(rest, SPAN("localhost"))) {
        if (span_istarts(rest, SPAN("localhost.localdomain"))) {
            *shorter = 9;
            return 21;
        }
        return 9;
    }
    size_t n = ip_pattern_at(s, at);
    struct ip ip;
    if (n == 0 || !ip_parse(span_sub(rest, 0, n), &ip))
        return 0;
    static const unsigned char one[16] = {[15] = 1}, v4[4] = {127, 0, 0, 1};
    bool loop = memcmp(ip.b, one, 16) == 0 || (ip_is4(&ip) && memcmp(ip.b + 12, v4, 4) == 0);
    return loop ? n : 0;
}
