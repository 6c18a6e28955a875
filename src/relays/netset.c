/* trusted_networks, internal_networks, msa_networks (semantics 2.7). */
#include "relays/relays.h"

/* Beyond this many networks an entry is no longer checked against the earlier ones. */
enum { CHECKED_NETWORKS = 200 };

static bool parse_mask(struct span s, bool v4, unsigned *bits)
{
    uint64_t n;
    if (span_u64(s, &n)) {
        if (n > (v4 ? 32u : 128u))
            return false;
        *bits = (unsigned)n + (v4 ? 96 : 0);
        return true;
    }
    struct ip mask;
    if (!v4 || !ip_parse(s, &mask) || !ip_is4(&mask))
        return false;
    uint32_t m = (uint32_t)mask.b[12] << 24 | (uint32_t)mask.b[13] << 16 |
                 (uint32_t)mask.b[14] << 8 | mask.b[15];
    unsigned ones = 0;
    while (ones < 32 && (m & 0x80000000u >> ones))
        ones++;
    if (ones < 32 && m << ones)
        return false;
    *bits = 96 + ones;
    return true;
}

/* One to four octets; what is missing is zero and not part of the network. */
static bool parse_v4(struct span s, struct ip *ip, unsigned *bits)
{
    memset(ip, 0, sizeof *ip);
    ip->b[10] = ip->b[11] = 0xff;
    unsigned n = 0;
    while (s.n > 0 && n < 4) {
        size_t dot = span_find(s, '.');
        struct span octet = span_sub(s, 0, dot);
        uint64_t v;
        if (!span_u64(octet, &v) || v > 255)
            return false;
        ip->b[12 + n++] = (unsigned char)v;
        if (dot == SIZE_MAX) {
            s.n = 0;
            break;
        }
        if (n == 4)
            return false;
        s = span_from(s, dot + 1);
    }
    *bits = 96 + 8 * n;
    return n > 0 && s.n == 0;
}

static void mask_ip(struct ip *ip, unsigned bits)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = bits > i * 8 ? bits - i * 8 : 0;
        if (keep < 8)
            ip->b[i] = (unsigned char)(ip->b[i] & (0xff00u >> keep));
    }
}

static bool row_has(const struct netset_row *row, const struct ip *ip)
{
    struct ip masked = *ip;
    mask_ip(&masked, row->bits);
    return memcmp(masked.b, row->net.b, 16) == 0;
}

static bool parse_network(struct span word, struct netset_row *row)
{
    if (word.n && word.p[0] == '!') {
        row->exclude = true;
        word = span_trim(span_from(word, 1));
    }
    size_t slash = span_find(word, '/');
    struct span mask = slash == SIZE_MAX ? SPAN_NONE : span_from(word, slash + 1);
    struct span addr = span_sub(word, 0, slash);
    if (addr.n >= 2 && addr.p[0] == '[' && addr.p[addr.n - 1] == ']')
        addr = span_sub(addr, 1, addr.n - 1);
    addr = span_sub(addr, 0, span_find(addr, '%'));
    bool v4 = span_find(addr, ':') == SIZE_MAX;
    if (v4 ? !parse_v4(addr, &row->net, &row->bits) : !ip_parse(addr, &row->net))
        return false;
    if (!v4)
        row->bits = 128;
    if (mask.p && !parse_mask(mask, v4, &row->bits))
        return false;
    mask_ip(&row->net, row->bits);
    return true;
}

bool netset_add(struct netset *s, struct arena *a, struct span word)
{
    struct netset_row row = {0};
    if (!parse_network(span_trim(word), &row))
        return false;
    for (size_t i = 0; i < s->n && s->n < CHECKED_NETWORKS; i++)
        if (s->v[i].bits <= row.bits && row_has(&s->v[i], &row.net))
            return true;
    *ARENA_PUSH(a, s->v, s->n, s->cap) = row;
    return true;
}

bool netset_has(const struct netset *s, struct span text)
{
    struct ip ip;
    if (!ip_parse(text, &ip))
        return false;
    for (size_t i = 0; i < s->n; i++)
        if (row_has(&s->v[i], &ip))
            return !s->v[i].exclude;
    return false;
}

bool netset_covers(const struct netset *s, const struct netset_row *row)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].bits <= row->bits && row_has(&s->v[i], &row->net))
            return !s->v[i].exclude;
    return false;
}
