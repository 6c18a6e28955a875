/* Hosts and registered domains (semantics 5.5). */
#include <arpa/inet.h>

#include "uri/uri_private.h"

enum { HOST_MAX = 253, LABEL_MAX = 63 };

static bool label_char(char c)
{
    return ascii_isalnum(c) || c == '_';
}

static bool label_valid(struct span l)
{
    if (l.n < 1 || l.n > LABEL_MAX || !label_char(l.p[0]) || !label_char(l.p[l.n - 1]))
        return false;
    for (size_t i = 1; i + 1 < l.n; i++)
        if (!label_char(l.p[i]) && l.p[i] != '-')
            return false;
    return true;
}

bool uri_fqdn_valid(struct span host)
{
    while (host.n && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n == 0 || host.n > HOST_MAX)
        return false;
    /* From the right: the last two labels may hold no underscore. */
    size_t end = host.n;
    for (int k = 1;; k++) {
        size_t dot = span_rfind(span_sub(host, 0, end), '.');
        struct span label = span_sub(host, dot == SIZE_MAX ? 0 : dot + 1, end);
        if (!label_valid(label) || (k <= 2 && span_find(label, '_') != SIZE_MAX))
            return false;
        if (dot == SIZE_MAX)
            return k > 1;
        end = dot;
    }
}

static bool known(const struct map *m, struct span name, size_t limit)
{
    char lower[HOST_MAX + 1];
    if (name.n == 0 || name.n > limit)
        return false;
    for (size_t i = 0; i < name.n; i++)
        lower[i] = ascii_lower(name.p[i]);
    return map_get(m, span_of(lower, name.n)) != NULL;
}

bool uri_tld_known(const struct uri_tables *t, struct arena *a, struct span host)
{
    (void)a;
    size_t dot = span_rfind(host, '.');
    if (dot == SIZE_MAX)
        return false;
    for (size_t i = 0; i < host.n; i++)
        if (ascii_isspace(host.p[i]))
            return false;
    return known(&t->tld, span_from(host, dot + 1), LABEL_MAX);
}

static bool us_state(struct span s)
{
    static const char states[] =
        "akalarazcacoctdcdeflgaguhiiaidilinkskylamamdmemimnmomsmtncndnenhnj"
        "nmnvnyohokorpaprriscsdtntxutvavivtwawiwvwy";
    for (size_t i = 0; s.n == 2 && i + 1 < sizeof states; i += 2)
        if (memcmp(states + i, s.p, 2) == 0)
            return true;
    return false;
}

/* The first n labels of s, each in its span; fewer when there are fewer. */
static size_t labels(struct span s, struct span *l, size_t n)
{
    size_t k = 0;
    while (k < n) {
        size_t dot = span_find(s, '.');
        l[k++] = span_sub(s, 0, dot);
        if (dot == SIZE_MAX)
            break;
        s = span_from(s, dot + 1);
    }
    return k;
}

/* Whether names are registered directly below s, which has n labels. */
static bool is_registry(const struct uri_tables *t, struct span s, size_t n)
{
    struct span l[4];
    if (n == 2)
        return map_get(&t->two_level, s) != NULL;
    if (n != 3 && n != 4)
        return false;
    labels(s, l, n);
    bool us = span_eq(l[n - 1], SPAN("us"));
    if (n == 3)
        return us ? us_state(l[1]) : map_get(&t->three_level, s) != NULL;
    bool school = span_eq(l[0], SPAN("pvt")) && span_eq(l[1], SPAN("k12"));
    bool city = span_eq(l[0], SPAN("ci")) || span_eq(l[0], SPAN("co"));
    return us && (school || city) && us_state(l[2]);
}

/* Lower case, runs of dots squeezed, none at the ends. */
static struct span tidy(struct arena *a, struct span host)
{
    char *out = arena_raw(a, host.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < host.n; i++)
        if (host.p[i] != '.' || (n && out[n - 1] != '.'))
            out[n++] = ascii_lower(host.p[i]);
    if (n && out[n - 1] == '.')
        n--;
    return span_of(out, n);
}

struct span uri_registered(const struct uri_tables *t, struct arena *a, struct span host)
{
    struct span s = tidy(a, host), before = s;
    if (s.n == 0)
        return SPAN_NONE;
    size_t n = 1;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '.';
    while (n > 1 && !is_registry(t, s, n)) {
        before = s;
        s = span_from(s, span_find(s, '.') + 1);
        n--;
    }
    return before;
}

static bool octet(struct span *s)
{
    size_t n = 0;
    while (n < s->n && ascii_isdigit(s->p[n]))
        n++;
    if (n < 1 || n > 3 || (n > 1 && s->p[0] == '0'))
        return false;
    unsigned v = 0;
    for (size_t i = 0; i < n; i++)
        v = v * 10 + (unsigned)(s->p[i] - '0');
    *s = span_from(*s, n);
    return v <= 255;
}

static bool is_ip4(struct span s)
{
    for (int k = 0; k < 4; k++) {
        if (k) {
            if (s.n == 0 || s.p[0] != '.')
                return false;
            s = span_from(s, 1);
        }
        if (!octet(&s))
            return false;
    }
    return s.n == 0;
}

static bool is_ip(struct span s)
{
    if (s.n && ascii_isdigit(s.p[0]) && is_ip4(s))
        return true;
    if (span_find(s, ':') == SIZE_MAX)
        return false;
    char text[INET6_ADDRSTRLEN];
    unsigned char address[16];
    if (span_istarts(s, SPAN("ipv6:")))
        s = span_from(s, 5);
    if (s.n == 0 || s.n >= sizeof text || memchr(s.p, '\0', s.n))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET6, text, address) == 1;
}

/* An escape of a printable character (%21 to %7E): there is a decoded form of this URI as well. */
static bool has_needless_escape(struct span s)
{
    for (size_t i = 0; (i = span_find(s, '%')) != SIZE_MAX; s = span_from(s, i + 1)) {
        if (s.n - i < 3)
            return false;
        int high = ascii_hex(s.p[i + 1]), low = ascii_hex(s.p[i + 2]);
        if (high < 0 || low < 0)
            continue;
        int c = high * 16 + low;
        if (c >= 0x21 && c <= 0x7E)
            return true;
    }
    return false;
}

/* The host part of a lower-case URI; false when it has none. */
static bool host_of(struct span s, struct span *host)
{
    if (span_starts(s, SPAN("mailto:"))) {
        s = span_from(s, 7);
        s = span_sub(s, 0, span_find(s, '?'));
        size_t mail = span_find(s, '@');
        if (mail == SIZE_MAX || span_rfind(s, '@') != mail)
            return false;
        *host = span_from(s, mail + 1);
        return true;
    }
    size_t i = 0;
    while (i < s.n && s.p[i] >= 'a' && s.p[i] <= 'z')
        i++;
    if (i && i < s.n && s.p[i] == ':') {
        i++;
        for (int k = 0; k < 2 && i < s.n && s.p[i] == '/'; k++)
            i++;
        s = span_from(s, i);
    }
    for (i = 0; i < s.n && s.p[i] != '/' && s.p[i] != '?' && s.p[i] != '#'; i++)
        ;
    s = span_sub(s, 0, i);
    size_t mail = span_rfind(s, '@');
    if (mail != SIZE_MAX)
        s = span_from(s, mail + 1);
    for (i = s.n; i && ascii_isdigit(s.p[i - 1]); i--)
        ;
    if (i && s.p[i - 1] == ':')
        s = span_sub(s, 0, i - 1);
    *host = s;
    return true;
}

bool uri_host_of(struct span lower, struct span *host)
{
    if (span_starts(lower, SPAN("javascript:")) || span_starts(lower, SPAN("cid:")) ||
        span_starts(lower, SPAN("file:")))
        return false;
    return host_of(lower, host) && host->n && !has_needless_escape(*host);
}

bool uri_domain_of(const struct uri_tables *t, struct arena *a, struct span host,
                   struct span *domain)
{
    if (is_ip(host)) {
        *domain = host;
        return true;
    }
    if (!uri_fqdn_valid(host) || !uri_tld_known(t, a, host))
        return false;
    *domain = uri_registered(t, a, host);
    return true;
}

bool uri_host_domain(const struct uri_tables *t, struct arena *a, struct span uri,
                     struct span *host, struct span *domain)
{
    return uri_host_of(arena_lower(a, uri), host) && uri_domain_of(t, a, *host, domain);
}
