/* Forms that differ in the host (semantics 5.4, steps 4 to 6): ports that go without saying, user
 * names, redirectors, hosts that are numbers. */
#include <unicode/uchar.h>

#include "uri/uri_private.h"

struct address {
    struct span proto, auth, host, rest; /* rest begins with the ':' of a port, if there is one */
    struct span port;                    /* digits; p == NULL: no ':' */
    struct span whole; /* proto, host and rest as they stand together, or absent */
};

/* ^(https?://)([^@/?#]*@)?([^/?#:]+)((:(\d*))?.*)$ */
static bool take_apart(struct span s, struct address *u)
{
    size_t n = uri_http_length(s);
    if (!n || !span_starts(span_from(s, n), SPAN("//")))
        return false;
    *u = (struct address){.proto = span_sub(s, 0, n + 2)};
    s = span_from(s, n + 2);
    size_t at = uri_until(s, "@/?#");
    size_t from = at < s.n && s.p[at] == '@' ? at + 1 : 0;
    size_t host = uri_until(span_from(s, from), "/?#:");
    if (!host && from) {
        from = 0;
        host = uri_until(s, "/?#:");
    }
    if (!host)
        return false;
    u->auth = span_sub(s, 0, from);
    u->host = span_sub(s, from, from + host);
    u->rest = span_from(s, from + host);
    if (!from)
        u->whole = span_of(u->proto.p, u->proto.n + s.n);
    if (u->rest.n && u->rest.p[0] == ':') {
        size_t i = 1;
        while (i < u->rest.n && ascii_isdigit(u->rest.p[i]))
            i++;
        u->port = span_sub(u->rest, 1, i);
    }
    return true;
}

static void add_host(struct forms *f, const struct address *u, struct span host)
{
    forms_add(f, JOIN(f->a, u->proto, host, u->rest));
}

/* Perl's \w at the front of s: by Unicode in wide strings. */
static bool begins_word(struct span s, bool wide)
{
    if (s.n == 0)
        return false;
    if (!((unsigned char)s.p[0] & 0x80))
        return ascii_isalnum(s.p[0]) || s.p[0] == '_';
    if (!wide)
        return false;
    UChar32 c = 0;
    const char *p = s.p, *end = s.p + s.n;
    int more = (unsigned char)*p < 0xE0 ? 1 : (unsigned char)*p < 0xF0 ? 2 : 3;
    for (c = (unsigned char)*p++ & (0x3F >> more); more && p < end; more--)
        c = c << 6 | (*p++ & 0x3F);
    return u_isUAlphabetic(c) || c == 0x200C || c == 0x200D ||
           U_MASK(u_charType(c)) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK);
}

/* What stands behind a port that goes without saying (":80\b"); the rest itself when it does not.
 */
static struct span rest_without_port(const struct address *u, bool wide)
{
    struct span usual = span_eq(u->proto, SPAN("http://")) ? SPAN(":80") : SPAN(":443");
    struct span behind = span_from(u->rest, usual.n);
    return span_starts(u->rest, usual) && !begins_word(behind, wide) ? behind : u->rest;
}

/* A host with characters beyond ASCII is also tried as the bytes of its UTF-8, ASCII letters
 * folded. In a string of characters each of these bytes is a character of its own. */
static struct span host_bytes(struct forms *f, const struct address *u, struct span rest_noport)
{
    struct span lower = arena_lower(f->a, u->host);
    char *out = arena_raw(f->a, lower.n * 2), *o = out;
    for (size_t i = 0; i < lower.n; i++) {
        unsigned char c = (unsigned char)lower.p[i];
        if (c & 0x80)
            *o++ = (char)(0xC0 | c >> 6);
        *o++ = (char)(c & 0x80 ? 0x80 | (c & 0x3F) : c);
    }
    struct span host = span_of(out, (size_t)(o - out));
    add_host(f, u, host);
    if (u->port.n && rest_noport.n && !span_eq(rest_noport, SPAN("0")))
        forms_add(f, JOIN(f->a, u->proto, host, rest_noport));
    return host;
}

static struct span without_controls(struct arena *a, struct span s)
{
    size_t k = 0;
    while (k < s.n && (unsigned char)s.p[k] > 0x20)
        k++;
    if (k == s.n)
        return s;
    char *out = arena_raw(a, s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] > 0x20)
            out[n++] = s.p[i];
    return span_of(out, n);
}

/* https?:/{0,2}[^&#]+ inside the rest */
static struct span wrapped(struct span rest)
{
    for (size_t i = 0; i + 5 < rest.n; i++) {
        const char *hit = memchr(rest.p + i, ':', rest.n - i);
        if (!hit)
            break;
        i = (size_t)(hit - rest.p);
        size_t from = i >= 5 && span_ieq(span_sub(rest, i - 5, i), SPAN("https"))  ? i - 5
                      : i >= 4 && span_ieq(span_sub(rest, i - 4, i), SPAN("http")) ? i - 4
                                                                                   : SIZE_MAX;
        if (from == SIZE_MAX)
            continue;
        size_t n = uri_until(span_from(rest, i + 1), "&#");
        if (n)
            return span_sub(rest, from, i + 1 + n);
    }
    return SPAN_NONE;
}

static void unwrap_redirects(struct forms *f, const struct address *u)
{
    struct span group = SPAN_NONE, all = SPAN_NONE;
    if (f->t->redirector)
        all = u->whole.p ? u->whole : JOIN(f->a, u->proto, u->host, u->rest);
    for (size_t i = 0; all.p; i++) {
        i = f->t->redirector(f->t->redirector_ctx, i, all, &group);
        if (i == SIZE_MAX)
            break;
        if (group.p && span_find(group, '.') != SIZE_MAX) {
            forms_unwrap(f, arena_dup(f->a, group));
            return;
        }
    }
    group = wrapped(u->rest);
    if (group.p && span_find(group, '.') != SIZE_MAX)
        forms_unwrap(f, group);
}

/* --- hosts that are numbers --- */

/* Digits in a base to a number; what is too large stays the largest. */
static uint64_t number(struct span s, unsigned base)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++)
        if (__builtin_mul_overflow(v, base, &v) ||
            __builtin_add_overflow(v, (uint64_t)ascii_hex(s.p[i]), &v))
            return UINT64_MAX;
    return v;
}

static bool all_digits(struct span s, unsigned base)
{
    for (size_t i = 0; i < s.n; i++) {
        int d = ascii_hex(s.p[i]);
        if (d < 0 || d >= (int)base)
            return false;
    }
    return s.n > 0;
}

static bool is_hex(struct span s)
{
    return span_istarts(s, SPAN("0x")) && all_digits(span_from(s, 2), 16);
}

/* ^0+([1-3][0-7]{0,2}|[4-7][0-7]?)$ : an octal number of one byte */
static bool is_octal_byte(struct span s, struct span *digits)
{
    size_t i = 0;
    while (i < s.n && s.p[i] == '0')
        i++;
    *digits = span_from(s, i);
    if (i == 0 || !all_digits(*digits, 8))
        return false;
    return digits->n <= (digits->p[0] <= '3' ? 3u : 2u);
}

/* An octet in decimal; a zero vanishes, as in SpamAssassin. */
static struct span octet(struct arena *a, struct span s)
{
    struct span digits;
    if (is_hex(s))
        s = arena_printf(a, "%lld", (long long)number(span_from(s, 2), 16));
    if (is_octal_byte(s, &digits))
        s = arena_printf(a, "%llu", (unsigned long long)number(digits, 8));
    while (s.n && s.p[0] == '0')
        s = span_from(s, 1);
    return s;
}

/* The first four bytes of a number written in at least eight hexadecimal digits. */
static struct span dotted(struct arena *a, uint64_t v)
{
    while (v > UINT32_MAX)
        v >>= 4;
    return arena_printf(a, "%u.%u.%u.%u", (unsigned)(v >> 24 & 255), (unsigned)(v >> 16 & 255),
                        (unsigned)(v >> 8 & 255), (unsigned)(v & 255));
}

/* Four numbers, decimal, octal or hexadecimal. */
static bool add_quad(struct forms *f, const struct address *u, struct span host)
{
    struct span part[4], rest = host;
    for (int k = 0; k < 4; k++) {
        size_t dot = k < 3 ? span_find(rest, '.') : rest.n;
        if (dot == SIZE_MAX)
            return false;
        part[k] = span_sub(rest, 0, dot);
        if (!is_hex(part[k]) && !all_digits(part[k], 10))
            return false;
        rest = span_from(rest, dot + 1);
    }
    struct span dot = SPAN(".");
    add_host(f, u,
             JOIN(f->a, octet(f->a, part[0]), dot, octet(f->a, part[1]), dot, octet(f->a, part[2]),
                  dot, octet(f->a, part[3])));
    return true;
}

/* "http://label" -> "http://www.label.com", as browsers do it. original: as it was before cleaning.
 */
static void add_label(struct forms *f, const struct address *u, struct span original)
{
    bool usual_port = u->port.n == 0 || span_eq(u->port, SPAN("80"));
    struct span label = original;
    if (!span_eq(u->proto, SPAN("http://")) || u->auth.n || !usual_port ||
        span_eq(original, SPAN("localhost")))
        return;
    if (span_starts(label, SPAN("www.")) && label.n > 4 &&
        span_find(span_from(label, 4), '.') == SIZE_MAX)
        label = span_from(label, 4);
    else if (span_find(label, '.') != SIZE_MAX)
        return;
    if (!uri_tld_known(f->t, f->a, original))
        forms_add(f, JOIN(f->a, u->proto, SPAN("www."), label, SPAN(".com"), u->rest));
}

static void number_forms(struct forms *f, const struct address *u, struct span host,
                         struct span original)
{
    if (add_quad(f, u, host))
        return;
    if (is_hex(host)) {
        struct span digits = span_from(host, host.n - 2 > 8 ? host.n - 8 : 2);
        add_host(f, u, dotted(f->a, number(digits, 16)));
    } else if (all_digits(host, 10)) {
        add_host(f, u, dotted(f->a, number(host, 10)));
    } else {
        add_label(f, u, original);
    }
}

void forms_of_host(struct forms *f, struct span s)
{
    struct address u;
    if (!take_apart(s, &u))
        return;
    struct span rest_noport = SPAN_NONE;
    if (u.port.n) {
        rest_noport = rest_without_port(&u, f->wide);
        if (rest_noport.n != u.rest.n)
            forms_add(f, JOIN(f->a, u.proto, u.host, rest_noport));
    }
    struct span original = arena_lower(f->a, u.host);
    if (f->wide && !uri_is_ascii(u.host)) {
        u.host = original = host_bytes(f, &u, rest_noport);
        u.whole = SPAN_NONE;
    }
    struct span host = without_controls(f->a, u.host);
    if (host.n != u.host.n) {
        add_host(f, &u, host);
        u.whole = SPAN_NONE;
    }
    u.host = host;
    unwrap_redirects(f, &u);
    size_t at = span_find(host, '@');
    if (at != SIZE_MAX && at > 0) {
        host = span_from(host, at + 1);
        add_host(f, &u, host);
    }
    size_t n = host.n;
    while (n && !ascii_isalnum(host.p[n - 1]))
        n--;
    if (n != host.n) {
        host = span_sub(host, 0, n);
        add_host(f, &u, host);
    }
    number_forms(f, &u, host, original);
}
