#include "auth/spf.h"

#include <stdio.h>

/* RFC 7208 section 7.1:
 *   macro-string = *( macro-expand / macro-literal )
 *   macro-expand = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
 *   macro-letter = "s" / "l" / "o" / "d" / "i" / "p" / "h" / "c" / "r" / "t" / "v"
 *   transformers = *DIGIT [ "r" ]
 *   delimiter    = "." / "-" / "+" / "," / "/" / "_" / "=" */
struct macro {
    char letter; /* lower case */
    bool escape; /* it was upper case: URL-escaped */
    bool reverse;
    unsigned keep; /* parts on the right that stay; 0: all */
    struct span delimiters;
};

static bool is_delimiter(char c)
{
    return c && strchr(".-+,/_=", c);
}

/* At "%{"; *size becomes the length of the whole macro. */
static bool macro_read(struct span s, struct macro *m, size_t *size)
{
    size_t i = 2;
    if (i >= s.n)
        return false;
    *m = (struct macro){.letter = ascii_lower(s.p[i]), .escape = ascii_lower(s.p[i]) != s.p[i]};
    if (!m->letter || !strchr("slodiphcrtv", m->letter))
        return false;
    i++;
    size_t digits = i;
    for (; i < s.n && ascii_isdigit(s.p[i]); i++)
        if (m->keep < 1000) /* as good as any larger number */
            m->keep = m->keep * 10 + (unsigned)(s.p[i] - '0');
    if (i > digits && m->keep == 0)
        return false;
    if (i < s.n && ascii_lower(s.p[i]) == 'r') {
        m->reverse = true;
        i++;
    }
    size_t start = i;
    while (i < s.n && is_delimiter(s.p[i]))
        i++;
    m->delimiters = span_sub(s, start, i);
    if (i >= s.n || s.p[i] != '}')
        return false;
    *size = i + 1;
    return true;
}

/* toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum ) */
static bool is_toplabel(struct span s)
{
    bool letter = false;
    if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_isalnum(s.p[i]) && s.p[i] != '-')
            return false;
        letter = letter || !ascii_isdigit(s.p[i]);
    }
    return letter;
}

/* domain-end = ( "." toplabel [ "." ] ) / macro-expand; literal: where the last literal text
 * starts, s.n when the string ends in a macro. */
static bool ends_as_domain(struct span s, size_t literal)
{
    if (literal == s.n)
        return s.n > 0;
    if (span_ends(s, SPAN(".")))
        s.n--;
    struct span text = span_from(s, literal);
    size_t dot = span_rfind(text, '.');
    return dot != SIZE_MAX && is_toplabel(span_from(text, dot + 1));
}

bool spf_macro_valid(struct span s, bool explain, bool domain, bool *uses_p)
{
    size_t literal = 0;
    *uses_p = false;
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        if (c != '%') {
            if (c < 0x21 ? !(explain && c == ' ') : c > 0x7e)
                return false;
            i++;
            continue;
        }
        char next = i + 1 < s.n ? s.p[i + 1] : '\0';
        size_t size = 2;
        struct macro m;
        if (next == '{') {
            if (!macro_read(span_from(s, i), &m, &size))
                return false;
            if (!explain && strchr("crt", m.letter))
                return false;
            *uses_p = *uses_p || m.letter == 'p';
        } else if (next != '%' && next != '_' && next != '-') {
            return false;
        }
        i += size;
        literal = i;
    }
    return !domain || ends_as_domain(s, literal);
}

/* --- expansion --- */

struct out {
    char p[SPF_EXPANSION_MAX];
    size_t n;
    bool over;
};

static void put(struct out *o, struct span s)
{
    if (s.n > sizeof o->p - o->n) {
        o->over = true;
        return;
    }
    if (s.n)
        memcpy(o->p + o->n, s.p, s.n);
    o->n += s.n;
}

/* Section 7.3: an IPv6 address as dotted nibbles, upper case as the openspf.org suite has it. */
static struct span address(const struct ip *ip, char out[64])
{
    if (ip_is4(ip))
        return span_str(ip_text(ip, out));
    for (size_t i = 0; i < 32; i++) {
        unsigned char half = i % 2 ? ip->b[i / 2] & 15 : ip->b[i / 2] >> 4;
        out[2 * i] = "0123456789ABCDEF"[half];
        out[2 * i + 1] = '.';
    }
    return span_of(out, 63);
}

static struct span value_of(const struct spf_macros *m, char letter, char room[64])
{
    switch (letter) {
    case 's':
        return m->sender;
    case 'l':
        return m->local;
    case 'o':
        return m->sender_domain;
    case 'd':
        return m->domain;
    case 'i':
        return address(&m->ip, room);
    case 'p':
        return m->validated.n ? m->validated : SPAN("unknown");
    case 'v':
        return ip_is4(&m->ip) ? SPAN("in-addr") : SPAN("ip6");
    case 'h':
        return m->helo;
    case 'c':
        return span_str(ip_text(&m->ip, room));
    case 'r':
        return m->receiver ? span_str(m->receiver) : SPAN("unknown");
    default: /* 't' */
        return span_of(room,
                       (size_t)snprintf(room, 64, "%lld", (long long)(m->now / USEC_PER_SEC)));
    }
}

/* Only the unreserved characters of RFC 3986 stay as they are. */
static void put_escaped(struct out *o, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], hex[4];
        if (ascii_isalnum(c) || (c && strchr("-._~", c))) {
            put(o, span_of(&c, 1));
            continue;
        }
        snprintf(hex, sizeof hex, "%%%02X", (unsigned char)c);
        put(o, span_of(hex, 3));
    }
}

enum { PARTS_MAX = 512 }; /* of one macro's value: a sender of 1,000 dots is no sender */

static void put_macro(struct out *o, const struct spf_macros *m, const struct macro *macro)
{
    char room[64];
    struct span value = value_of(m, macro->letter, room), parts[PARTS_MAX];
    struct span delimiters = macro->delimiters.n ? macro->delimiters : SPAN(".");
    size_t n = 0, start = 0;
    for (size_t i = 0; i <= value.n; i++) {
        if (i < value.n && span_find(delimiters, value.p[i]) == SIZE_MAX)
            continue;
        if (n == PARTS_MAX) {
            o->over = true;
            return;
        }
        parts[n++] = span_sub(value, start, i);
        start = i + 1;
    }
    size_t keep = macro->keep && macro->keep < n ? macro->keep : n;
    for (size_t i = 0; i < keep; i++) {
        struct span part = macro->reverse ? parts[keep - 1 - i] : parts[n - keep + i];
        if (i)
            put(o, SPAN("."));
        if (macro->escape)
            put_escaped(o, part);
        else
            put(o, part);
    }
}

struct span spf_expand(struct arena *a, const struct spf_macros *m, struct span s)
{
    struct out o;
    o.n = 0;
    o.over = false;
    for (size_t i = 0; i < s.n && !o.over;) {
        char next = i + 1 < s.n ? s.p[i + 1] : '\0';
        size_t size = 2;
        struct macro macro;
        if (s.p[i] != '%') {
            put(&o, span_sub(s, i, i + 1));
            size = 1;
        } else if (next == '{' && macro_read(span_from(s, i), &macro, &size)) {
            put_macro(&o, m, &macro);
        } else {
            put(&o, next == '_' ? SPAN(" ") : next == '-' ? SPAN("%20") : SPAN("%"));
        }
        i += size;
    }
    return o.over ? SPAN_NONE : arena_dup(a, span_of(o.p, o.n));
}
