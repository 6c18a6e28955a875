/* The forms of a URI that rules see (semantics 5.4). Every trick that hides a host, and every
 * wrapped URI, adds a form; the work list grows by what redirectors wrap. */
#include <unicode/uchar.h>

#include "uri/uri_private.h"

struct forms {
    const struct uri_tables *t;
    struct arena *a;
    bool wide;
    struct span *work; /* what was given and what was unwrapped from it, tidied */
    size_t nwork, work_cap;
    struct span *v; /* other forms */
    size_t n, cap;
};

static void add(struct forms *f, struct span s)
{
    *ARENA_PUSH(f->a, f->v, f->n, f->cap) = s;
}

static void unwrap(struct forms *f, struct span s)
{
    if (f->nwork < URI_REDIRECTS_MAX)
        *ARENA_PUSH(f->a, f->work, f->nwork, f->work_cap) = s;
}

static struct span join(struct arena *a, const struct span *parts, size_t n)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += parts[i].n;
    char *out = arena_raw(a, total + 1), *o = out;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].n)
            memcpy(o, parts[i].p, parts[i].n);
        o += parts[i].n;
    }
    return span_of(out, total);
}
#define JOIN(a, ...)                                                                               \
    join((a), (const struct span[]){__VA_ARGS__},                                                  \
         sizeof((const struct span[]){__VA_ARGS__}) / sizeof(struct span))

/* --- characters --- */

/* White space at the front of s: its length in bytes, or 0. Unicode's in wide strings. */
static size_t space_at(struct span s, bool wide)
{
    static const char *const wide_spaces[] = {"\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80",
                                              "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF",
                                              "\xE2\x81\x9F", "\xE3\x80\x80"};
    if (s.n == 0)
        return 0;
    if (ascii_isspace(s.p[0]))
        return 1;
    if (!wide || !((unsigned char)s.p[0] & 0x80))
        return 0;
    if (s.n >= 3 && memcmp(s.p, "\xE2\x80", 2) == 0 && (unsigned char)s.p[2] >= 0x80 &&
        (unsigned char)s.p[2] <= 0x8A)
        return 3;
    for (size_t i = 0; i < sizeof wide_spaces / sizeof *wide_spaces; i++)
        if (span_starts(s, span_str(wide_spaces[i])))
            return strlen(wide_spaces[i]);
    return 0;
}

static struct span trim(struct span s, bool wide)
{
    size_t n;
    while ((n = space_at(s, wide)) != 0)
        s = span_from(s, n);
    for (;;) {
        size_t back = 1;
        while (wide && back < 3 && back < s.n && ((unsigned char)s.p[s.n - back] & 0xC0) == 0x80)
            back++;
        if (s.n == 0 || space_at(span_from(s, s.n - back), wide) != back)
            return s;
        s.n -= back;
    }
}

static struct span without(struct arena *a, struct span s, char c)
{
    if (span_find(s, c) == SIZE_MAX)
        return s;
    char *out = arena_raw(a, s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != c)
            out[n++] = s.p[i];
    return span_of(out, n);
}

static bool is_single_char(struct span s, bool wide)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < 2; i++)
        n += !wide || ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n <= 1;
}

/* The first byte of s that is one of stop (at most four), or the end. */
static size_t until(struct span s, const char *stop)
{
    char a = stop[0], b = stop[1] ? stop[1] : a;
    char c = b != a && stop[2] ? stop[2] : a, d = c != a && stop[3] ? stop[3] : a;
    size_t i = 0;
    while (i < s.n && s.p[i] != a && s.p[i] != b && s.p[i] != c && s.p[i] != d)
        i++;
    return i;
}

/* --- addresses --- */

static bool is_mail(struct span s)
{
    size_t at = span_find(s, '@');
    return span_istarts(s, SPAN("mailto:")) ||
           (at != SIZE_MAX && span_find(span_sub(s, 0, at), ':') == SIZE_MAX);
}

/* ^(?:mailto:)?(?:%20)*([^@]+@[^?&%]+) with whatever Perl gives back to make it match. */
static void add_without_blanks(struct forms *f, struct span s)
{
    size_t at = span_find(s, '@');
    if (at == SIZE_MAX || span_search(s, SPAN("%20")) == SIZE_MAX)
        return;
    size_t prefix = span_starts(s, SPAN("mailto:")) ? 7 : 0, from = prefix;
    while (span_starts(span_from(s, from), SPAN("%20")))
        from += 3;
    if (from >= at)
        from = from >= prefix + 3 ? from - 3 : 0;
    size_t host = until(span_from(s, at + 1), "?&%");
    if (from < at && host)
        add(f, JOIN(f->a, SPAN("mailto:"), span_sub(s, from, at + 1 + host)));
}

/* ^[^?&]*<([^@>]+@[^>]+)> : the last '<' that begins an address */
static void add_bracketed(struct forms *f, struct span s)
{
    size_t close = span_rfind(s, '>');
    if (close == SIZE_MAX)
        return;
    size_t stop = SIZE_MAX; /* the next '@' or '>' behind i */
    for (size_t i = close, limit = until(s, "?&"); i-- > 0;) {
        if (s.p[i] == '<' && i < limit && stop != SIZE_MAX && s.p[stop] == '@' && stop > i + 1) {
            size_t end = span_find(span_from(s, stop + 1), '>');
            if (end != SIZE_MAX && end > 0) {
                add(f, JOIN(f->a, SPAN("mailto:"), span_sub(s, i + 1, stop + 1 + end)));
                return;
            }
        }
        if (s.p[i] == '@' || s.p[i] == '>')
            stop = i;
    }
}

static void mail_forms(struct forms *f, struct span s)
{
    size_t at = span_find(s, '@');
    add_bracketed(f, s);
    if (at == SIZE_MAX || at == 0)
        return;
    struct span behind = span_from(s, at + 1);
    size_t question = until(behind, "?"), either = until(behind, "?&");
    if (question && question < behind.n)
        add(f, span_sub(s, 0, at + 1 + question));
    if (either && either < behind.n && behind.p[either] == '&')
        add(f, span_sub(s, 0, at + 1 + either));
    add_without_blanks(f, s);
}

/* --- steps for everything else --- */

static struct span slashes(struct arena *a, struct span s)
{
    if (span_find(s, '\\') == SIZE_MAX)
        return s;
    char *out = arena_cstr(a, s);
    for (size_t i = 0; i < s.n; i++)
        if (out[i] == '\\')
            out[i] = '/';
    return span_of(out, s.n);
}

static size_t http_length(struct span s)
{
    return span_istarts(s, SPAN("http:")) ? 5 : span_istarts(s, SPAN("https:")) ? 6 : 0;
}

/* "http:/x", "http:x" -> "http://x" */
static struct span two_slashes(struct arena *a, struct span s)
{
    size_t n = http_length(s), k = 0;
    if (!n)
        return s;
    while (k < 2 && n + k < s.n && s.p[n + k] == '/')
        k++;
    return k == 2 ? s : JOIN(a, span_sub(s, 0, n), SPAN("//"), span_from(s, n + k));
}

static struct span with_scheme(struct arena *a, struct span s)
{
    size_t i = 0;
    while (i < s.n && (ascii_isalnum(s.p[i]) || s.p[i] == '_' || s.p[i] == '-'))
        i++;
    if (i && i < s.n && s.p[i] == ':')
        return s;
    return JOIN(a, span_starts(s, SPAN("ftp.")) ? SPAN("ftp://") : SPAN("http://"), s);
}

/* "http://host?x" -> "http://host/?x" */
static struct span slash_behind_host(struct arena *a, struct span s)
{
    size_t n = http_length(s);
    if (!n || !span_starts(span_from(s, n), SPAN("//")))
        return s;
    n += 2;
    size_t host = until(span_from(s, n), "/?#");
    if (!host || n + host == s.n || s.p[n + host] == '/')
        return s;
    return JOIN(a, span_sub(s, 0, n + host), SPAN("/"), span_from(s, n + host));
}

enum reference { DECIMAL, HEXADECIMAL, DOT };

/* A character reference of that kind at the front of s ("&#33;" to "&#126;", "&#x21;" to "&#x7e;",
 * or one of the dots); its length or 0. */
static size_t reference_at(struct span s, enum reference kind, char *c)
{
    static const struct span dots[] = {{"x2e;", 4},   {"12290;", 6}, {"x3002;", 6}, {"65294;", 6},
                                       {"xff0e;", 6}, {"65377;", 6}, {"xff61;", 6}};
    if (!span_starts(s, SPAN("&#")))
        return 0;
    if (kind == DOT) {
        *c = '.';
        for (size_t i = 0; i < sizeof dots / sizeof *dots; i++)
            if (span_istarts(span_from(s, 2), dots[i]))
                return 2 + dots[i].n;
        return 0;
    }
    int base = kind == HEXADECIMAL ? 16 : 10, v = 0;
    size_t i = 2;
    if (kind == HEXADECIMAL && (i == s.n || s.p[i++] != 'x'))
        return 0;
    for (; i < s.n && v <= 126; i++) {
        int d = ascii_hex(s.p[i]);
        if (d < 0 || d >= base)
            break;
        v = v * base + d;
    }
    *c = (char)v;
    return v >= 33 && v <= 126 && i < s.n && s.p[i] == ';' ? i + 1 : 0;
}

static struct span references(struct arena *a, struct span s, enum reference kind)
{
    if (span_search(s, SPAN("&#")) == SIZE_MAX)
        return s;
    char *out = arena_raw(a, s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        size_t length = s.p[i] == '&' ? reference_at(span_from(s, i), kind, &out[n]) : 0;
        if (!length)
            out[n] = s.p[i];
        n++;
        i += length ? length : 1;
    }
    return span_of(out, n);
}

static struct span plain(struct forms *f, struct span s)
{
    s = two_slashes(f->a, slashes(f->a, s));
    s = uri_decode_escapes(f->a, s, f->wide);
    s = slash_behind_host(f->a, with_scheme(f->a, s));
    for (enum reference kind = DECIMAL; kind <= DOT; kind++)
        s = references(f->a, s, kind);
    return s;
}

/* --- hosts --- */

struct address {
    struct span proto, auth, host, rest; /* rest begins with the ':' of a port, if there is one */
    struct span port;                    /* digits; p == NULL: no ':' */
};

/* ^(https?://)([^@/?#]*@)?([^/?#:]+)((:(\d*))?.*)$ */
static bool take_apart(struct span s, struct address *u)
{
    size_t n = http_length(s);
    if (!n || !span_starts(span_from(s, n), SPAN("//")))
        return false;
    *u = (struct address){.proto = span_sub(s, 0, n + 2)};
    s = span_from(s, n + 2);
    size_t at = until(s, "@/?#");
    size_t from = at < s.n && s.p[at] == '@' ? at + 1 : 0;
    size_t host = until(span_from(s, from), "/?#:");
    if (!host && from) {
        from = 0;
        host = until(s, "/?#:");
    }
    if (!host)
        return false;
    u->auth = span_sub(s, 0, from);
    u->host = span_sub(s, from, from + host);
    u->rest = span_from(s, from + host);
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
    add(f, JOIN(f->a, u->proto, host, u->rest));
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

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] & 0x80)
            return false;
    return true;
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
        add(f, JOIN(f->a, u->proto, host, rest_noport));
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
        size_t n = until(span_from(rest, i + 1), "&#");
        if (n)
            return span_sub(rest, from, i + 1 + n);
    }
    return SPAN_NONE;
}

static void unwrap_redirects(struct forms *f, const struct address *u)
{
    struct span all = JOIN(f->a, u->proto, u->host, u->rest), group;
    for (size_t i = 0; f->t->redirector && i < f->t->nredirectors; i++) {
        if (f->t->redirector(f->t->redirector_ctx, i, all, &group) && group.p &&
            span_find(group, '.') != SIZE_MAX) {
            unwrap(f, arena_dup(f->a, group));
            return;
        }
    }
    group = wrapped(u->rest);
    if (group.p && span_find(group, '.') != SIZE_MAX)
        unwrap(f, group);
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
        add(f, JOIN(f->a, u->proto, SPAN("www."), label, SPAN(".com"), u->rest));
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

static void host_forms(struct forms *f, struct span s)
{
    struct address u;
    if (!take_apart(s, &u))
        return;
    struct span rest_noport = SPAN_NONE;
    if (u.port.n) {
        rest_noport = rest_without_port(&u, f->wide);
        if (rest_noport.n != u.rest.n)
            add(f, JOIN(f->a, u.proto, u.host, rest_noport));
    }
    struct span original = arena_lower(f->a, u.host);
    if (f->wide && !is_ascii(u.host))
        u.host = original = host_bytes(f, &u, rest_noport);
    struct span host = without_controls(f->a, u.host);
    if (host.n != u.host.n)
        add_host(f, &u, host);
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

static void forms_of(struct forms *f, size_t i)
{
    struct span s = trim(without(f->a, f->work[i], '\n'), f->wide);
    s = without(f->a, s, '\r');
    f->work[i] = s;
    if (is_single_char(s, f->wide) || strchr("#?&", s.p[0]) || (s.p[0] == '/' && s.p[1] != '/'))
        return;
    if (is_mail(s)) {
        mail_forms(f, s);
        return;
    }
    struct span p = plain(f, s);
    if (!span_eq(p, s))
        add(f, p);
    host_forms(f, p);
}

/* --- results --- */

struct span uri_narrow(struct arena *a, struct span utf8)
{
    if (is_ascii(utf8))
        return utf8;
    char *out = arena_raw(a, utf8.n);
    size_t n = 0;
    for (size_t i = 0; i < utf8.n; i++) {
        unsigned char c = (unsigned char)utf8.p[i];
        if (c < 0x80) {
            out[n++] = (char)c;
            continue;
        }
        bool latin = (c == 0xC2 || c == 0xC3) && i + 1 < utf8.n;
        out[n++] = (char)(latin ? (c & 3) << 6 | ((unsigned char)utf8.p[i + 1] & 0x3F) : URI_WIDE);
        while (i + 1 < utf8.n && ((unsigned char)utf8.p[i + 1] & 0xC0) == 0x80)
            i++;
    }
    return span_of(out, n);
}

static void keep(struct forms *f, struct span *out, size_t *n, struct span s)
{
    if (f->wide)
        s = uri_narrow(f->a, s);
    for (size_t i = 0; i < *n; i++)
        if (span_eq(out[i], s))
            return;
    out[(*n)++] = s;
}

struct span *uri_canonical(const struct uri_tables *t, struct arena *a, struct span uri, bool wide,
                           size_t *n)
{
    struct forms f = {.t = t, .a = a, .wide = wide};
    unwrap(&f, uri);
    for (size_t i = 0; i < f.nwork; i++)
        forms_of(&f, i);
    struct span *out = arena_array(a, f.nwork + f.n, sizeof *out);
    *n = 0;
    for (size_t i = 0; i < f.nwork; i++)
        keep(&f, out, n, f.work[i]);
    for (size_t i = 0; i < f.n; i++)
        keep(&f, out, n, f.v[i]);
    return out;
}
