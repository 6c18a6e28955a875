/* The forms of a URI that rules see (semantics 5.4). Every trick that hides a host, and every
 * wrapped URI, adds a form; the work list grows by what redirectors wrap. */
#include "uri/uri_private.h"

void forms_add(struct forms *f, struct span s)
{
    *ARENA_PUSH(f->a, f->v, f->n, f->cap) = s;
}

void forms_unwrap(struct forms *f, struct span s)
{
    if (f->nwork < URI_REDIRECTS_MAX)
        f->work[f->nwork++] = s;
}

struct span uri_join(struct arena *a, const struct span *parts, size_t n)
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

size_t uri_until(struct span s, const char *stop)
{
    char a = stop[0], b = stop[1] ? stop[1] : a;
    char c = b != a && stop[2] ? stop[2] : a, d = c != a && stop[3] ? stop[3] : a;
    const char four[4] = {a, b, c, d};
    return span_find_any(s, 0, four);
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
    size_t host = uri_until(span_from(s, at + 1), "?&%");
    if (from < at && host)
        forms_add(f, JOIN(f->a, SPAN("mailto:"), span_sub(s, from, at + 1 + host)));
}

/* ^[^?&]*<([^@>]+@[^>]+)> : the last '<' that begins an address */
static void add_bracketed(struct forms *f, struct span s)
{
    size_t close = span_rfind(s, '>');
    if (close == SIZE_MAX)
        return;
    size_t stop = SIZE_MAX; /* the next '@' or '>' behind i */
    for (size_t i = close, limit = uri_until(s, "?&"); i-- > 0;) {
        if (s.p[i] == '<' && i < limit && stop != SIZE_MAX && s.p[stop] == '@' && stop > i + 1) {
            size_t end = span_find(span_from(s, stop + 1), '>');
            if (end != SIZE_MAX && end > 0) {
                forms_add(f, JOIN(f->a, SPAN("mailto:"), span_sub(s, i + 1, stop + 1 + end)));
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
    size_t question = uri_until(behind, "?"), either = uri_until(behind, "?&");
    if (question && question < behind.n)
        forms_add(f, span_sub(s, 0, at + 1 + question));
    if (either && either < behind.n && behind.p[either] == '&')
        forms_add(f, span_sub(s, 0, at + 1 + either));
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

size_t uri_http_length(struct span s)
{
    return span_istarts(s, SPAN("http:")) ? 5 : span_istarts(s, SPAN("https:")) ? 6 : 0;
}

/* "http:/x", "http:x" -> "http://x" */
static struct span two_slashes(struct arena *a, struct span s)
{
    size_t n = uri_http_length(s), k = 0;
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
    size_t n = uri_http_length(s);
    if (!n || !span_starts(span_from(s, n), SPAN("//")))
        return s;
    n += 2;
    size_t host = uri_until(span_from(s, n), "/?#");
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
        forms_add(f, p);
    forms_of_host(f, p);
}

/* --- results --- */

bool uri_is_ascii(struct span s)
{
    return span_ascii_end(s, 0) == s.n;
}

struct span uri_narrow(struct arena *a, struct span utf8)
{
    if (uri_is_ascii(utf8))
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
    struct forms f; /* large, and all that counts is set */
    f.t = t;
    f.a = a;
    f.wide = wide;
    f.nwork = f.n = 0;
    f.v = f.few;
    f.cap = sizeof f.few / sizeof *f.few;
    forms_unwrap(&f, uri);
    for (size_t i = 0; i < f.nwork; i++)
        forms_of(&f, i);
    struct span *out = arena_raw(a, (f.nwork + f.n) * sizeof *out);
    *n = 0;
    for (size_t i = 0; i < f.nwork; i++)
        keep(&f, out, n, f.work[i]);
    for (size_t i = 0; i < f.n; i++)
        keep(&f, out, n, f.v[i]);
    return out;
}
