/* Hosts, registered domains and addresses in header values (semantics 6.1, 5.5). */
#include "rules/eval_state.h"

#include "base/ip.h"
#include "relays/ip_pattern.h"

enum { HOST_MAX = 251 }; /* bytes in front of ".TLD" */

static bool us_state(struct span s)
{
    static const char states[] =
        " ak al ar az ca co ct dc de fl ga gu hi ia id il in ks ky la ma md me mi mn mo ms mt nc "
        "nd "
        "ne nh nj nm nv ny oh ok or pa pr ri sc sd tn tx ut va vi vt wa wi wv wy ";
    char key[4] = {' ', s.n == 2 ? s.p[0] : '-', s.n == 2 ? s.p[1] : '-', ' '};
    return span_search(span_str(states), span_of(key, 4)) != SIZE_MAX;
}

/* Whether the last n labels of the domain, which start at `rest`, are one public suffix. */
static bool is_suffix(const struct uri_tables *t, struct span rest, const struct span *label,
                      unsigned n)
{
    switch (n) {
    case 1:
        return true;
    case 2:
        return map_get(&t->two_level, rest) != NULL;
    case 3:
        return span_eq(label[2], SPAN("us")) ? us_state(label[1])
                                             : map_get(&t->three_level, rest) != NULL;
    case 4:
        return span_eq(label[3], SPAN("us")) && us_state(label[2]) &&
               ((span_eq(label[0], SPAN("pvt")) && span_eq(label[1], SPAN("k12"))) ||
                span_eq(label[0], SPAN("ci")) || span_eq(label[0], SPAN("co")));
    default:
        return false;
    }
}

/* Lower case, single dots, none at the ends. */
static struct span plain_domain(struct arena *a, struct span host)
{
    struct span s = arena_lower(a, host);
    char *p = (char *)s.p;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (p[i] != '.' || (n > 0 && p[n - 1] != '.'))
            p[n++] = p[i];
    if (n > 0 && p[n - 1] == '.')
        n--;
    return span_of(p, n);
}

struct span ctx_registered_domain(struct rules_ctx *c, struct span host)
{
    struct span s = plain_domain(c->a, host), label[4];
    /* The longest public suffix of at most four labels; with one more label it is the domain. */
    size_t start = s.n + 1, suffix = s.n;
    for (unsigned n = 1; n <= 4 && start > 0; n++) {
        size_t end = start - 1, dot = span_rfind(span_sub(s, 0, end), '.');
        start = dot == SIZE_MAX ? 0 : dot + 1;
        memmove(label + 1, label, (n - 1) * sizeof *label);
        label[0] = span_sub(s, start, end);
        if (is_suffix(&c->conf->uri, span_from(s, start), label, n))
            suffix = start;
    }
    if (suffix == 0)
        return s;
    size_t dot = span_rfind(span_sub(s, 0, suffix - 1), '.');
    return span_from(s, dot == SIZE_MAX ? 0 : dot + 1);
}

static bool host_edge(char ch)
{
    return ch == '.' || ch == '_' || ch == '-';
}

/* A known top-level domain ends at `end`, its dot at `dot`, and no host goes on after it. */
static bool tld_at(struct rules_ctx *c, struct span s, size_t dot, size_t end)
{
    if (end < s.n && (ascii_isalnum(s.p[end]) || host_edge(s.p[end])))
        return false;
    return map_get(&c->conf->uri.tld, arena_lower(c->a, span_sub(s, dot + 1, end))) != NULL;
}

/* The longest host that starts at `from` and ends in a known TLD; its end, or 0. */
static size_t host_at(struct rules_ctx *c, struct span s, size_t from)
{
    if (from > 0 && host_edge(s.p[from - 1]))
        return 0;
    size_t end = from;
    while (end < s.n && !ascii_isspace(s.p[end]))
        end++;
    size_t last_dot = end - from > HOST_MAX ? from + HOST_MAX : end;
    for (size_t dot = last_dot; dot-- > from + 1;) {
        if (s.p[dot] != '.')
            continue;
        size_t stop = dot + 1;
        while (stop < end && (ascii_isalnum(s.p[stop]) || s.p[stop] == '-'))
            stop++;
        if (stop > dot + 1 && tld_at(c, s, dot, stop))
            return stop;
    }
    return 0;
}

struct span header_host_of(struct rules_ctx *c, struct span s, bool is_address)
{
    if (is_address) {
        for (size_t at = s.n; (at = span_rfind(span_sub(s, 0, at), '@')) != SIZE_MAX;) {
            size_t end = at + 1;
            while (end < s.n && !ascii_isspace(s.p[end]))
                end++;
            if (end > at + 1)
                return span_sub(s, at + 1, end);
        }
        return SPAN_NONE;
    }
    for (size_t at = s.n; (at = span_rfind(span_sub(s, 0, at), '@')) != SIZE_MAX;) {
        size_t end = host_at(c, s, at + 1);
        if (!end)
            continue;
        if (uri_fqdn_valid(arena_lower(c->a, span_sub(s, at + 1, end))))
            return span_sub(s, at + 1, end);
        break;
    }
    for (size_t i = 0; i < s.n;) {
        size_t end = ascii_isspace(s.p[i]) ? 0 : host_at(c, s, i);
        if (end && uri_fqdn_valid(arena_lower(c->a, span_sub(s, i, end))))
            return span_sub(s, i, end);
        i = end ? end : i + 1;
    }
    return SPAN_NONE;
}

static struct span reverse_ip(struct arena *a, struct span s)
{
    struct ip ip;
    if (span_istarts(s, SPAN("IPv6:")) || !ip_parse(s, &ip))
        return SPAN_NONE;
    if (ip_is4(&ip))
        return arena_printf(a, "%u.%u.%u.%u", ip.b[15], ip.b[14], ip.b[13], ip.b[12]);
    char *p = arena_raw(a, 64);
    for (unsigned i = 0; i < 32; i++) {
        unsigned byte = ip.b[15 - i / 2];
        p[2 * i] = "0123456789abcdef"[i % 2 ? byte >> 4 : byte & 15];
        p[2 * i + 1] = '.';
    }
    return span_of(p, 63);
}

struct span header_ip_of(struct rules_ctx *c, struct span s, bool reversed)
{
    struct span ip;
    for (size_t from = 0; ip_pattern_find(s, from, &ip); from = (size_t)(ip.p - s.p) + 1) {
        size_t at = (size_t)(ip.p - s.p), end = at + ip.n;
        if ((at == 0 || s.p[at - 1] != '.') && word_boundary(s, at) && word_boundary(s, end) &&
            (end == s.n || s.p[end] != '.'))
            return reversed ? reverse_ip(c->a, ip) : ip;
    }
    return SPAN_NONE;
}
