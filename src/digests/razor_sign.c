/* Razor's two engines. */
#include <math.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "digests/razor_private.h"

static void sha1_hex(struct span x, struct span y, char out[41])
{
    unsigned char sum[SHA_DIGEST_LENGTH];
    struct buf b = {0};
    buf_add(&b, x);
    buf_add(&b, y);
    SHA1((const unsigned char *)buf_span(&b).p, b.n, sum);
    buf_free(&b);
    for (size_t i = 0; i < sizeof sum; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

/* --- engine 4 --- */

/* Perl's rand: drand48. */
static double next_random(uint64_t *x, double most)
{
    *x = (*x * UINT64_C(0x5deece66d) + 11) & ((UINT64_C(1) << 48) - 1);
    return ldexp((double)*x, -48) * most;
}

struct cut {
    struct span *v; /* lines without their separators */
    size_t n;
};

/* Perl's split: no empty lines at the end. */
static struct cut split_at(struct arena *a, struct span text, char separator)
{
    struct cut c = {NULL, 0};
    size_t cap = 0, used = 0;
    for (struct span rest = text; rest.p;) {
        size_t end = span_find(rest, separator);
        *ARENA_PUSH(a, c.v, c.n, cap) = span_sub(rest, 0, end);
        if (span_sub(rest, 0, end).n)
            used = c.n;
        rest = end == SIZE_MAX ? SPAN_NONE : span_from(rest, end + 1);
    }
    c.n = used;
    return c;
}

/* A line that is true to Perl: neither empty nor "0". */
static bool counts(const struct cut *c, long i)
{
    return i >= 0 && (size_t)i < c->n && c->v[i].n && !span_eq(c->v[i], SPAN("0"));
}

static long length_of(const struct cut *c, long from, long to)
{
    long n = 0;
    for (long i = from; i <= to; i++)
        n += counts(c, i) ? (long)c->v[i].n : 0;
    return n;
}

/* Perl's substr(LINE, from, length); a negative length leaves that many off. */
static struct span sub_of(const struct cut *c, long line, long from, long length)
{
    if (line < 0 || (size_t)line >= c->n || from > (long)c->v[line].n)
        return SPAN("");
    long n = (long)c->v[line].n, end = length < 0 ? n + length : from + length;
    return span_sub(c->v[line], (size_t)from, end < from ? (size_t)from : (size_t)end);
}

/* What stands between two offsets into the text of lines from..to. */
static void pick(const struct cut *c, long from, long to, long start, long end, struct buf *out)
{
    long x = 0, sc = 0, sl = 0, ec = 0, el = 0;
    for (long i = from; i <= to && !ec; i++) {
        if (!counts(c, i))
            continue;
        long n = (long)c->v[i].n;
        x += n;
        if (x > start && sc == 0) {
            sc = n - (x - start);
            sl = i;
        }
        if (x > end) {
            ec = n - (x - end);
            el = i;
        }
    }
    sc = sc < 0 ? 0 : sc;
    ec = ec < 0 ? 0 : ec;
    if (sl == el) {
        if (counts(c, sl))
            buf_add(out, sub_of(c, sl, sc, ec - sc + 1));
        return;
    }
    buf_add(out, sub_of(c, sl, sc, (long)INT32_MAX));
    for (long i = sl + 1; i < el; i++)
        if ((size_t)i < c->n)
            buf_add(out, c->v[i]);
    buf_add(out, sub_of(c, el, 0, ec));
}

static bool white(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isspace(s.p[i]))
            return false;
    return s.n > 0;
}

void razor_ephemeral(struct arena *a, struct span text, uint64_t seed, char separator, char out[41])
{
    enum { SECTIONS = 6, LEAST = 128 };
    uint64_t x = (seed & 0xffffffff) << 16 | 0x330e;
    struct cut c = split_at(a, text, separator);
    double place[SECTIONS], offset[4];
    long line[SECTIONS];
    for (int i = 0; i < SECTIONS; i++) {
        place[i] = next_random(&x, 100.0 / SECTIONS) + i * (100.0 / SECTIONS);
        line[i] = (long)(place[i] * (double)c.n / 100);
    }
    for (int i = 0; i < 4; i++)
        offset[i] = next_random(&x, 50) + (i % 2) * 50;
    struct buf b = {0};
    size_t half = 0;
    for (int k = 0; k < 2; k++) {
        long from = line[1 + 2 * k], to = line[2 + 2 * k];
        double n = (double)length_of(&c, from, to);
        half = b.n;
        pick(&c, from, to, (long)(offset[2 * k] * n / 100), (long)(offset[2 * k + 1] * n / 100),
             &b);
    }
    struct span all = buf_span(&b), empty = SPAN("");
    bool nothing = white(span_sub(all, 0, half)) && white(span_from(all, half));
    if (b.n > LEAST)
        sha1_hex(nothing ? empty : all, empty, out);
    else
        sha1_hex(text, empty, out);
    buf_free(&b);
}

/* --- engine 8 --- */

/* %XX and &#DD; undone. Numbers above 255 are no bytes: as UTF-8. */
static struct span unescaped(struct arena *a, struct span s)
{
    char *hex = arena_raw(a, s.n + 1), *out = arena_raw(a, 2 * s.n + 4);
    size_t m = 0, n = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool code = s.p[i] == '%' && i + 2 < s.n && ascii_hex(s.p[i + 1]) >= 0 &&
                    ascii_hex(s.p[i + 2]) >= 0;
        hex[m++] = s.p[i];
        if (code)
            hex[m - 1] = (char)(ascii_hex(s.p[i + 1]) << 4 | ascii_hex(s.p[i + 2]));
        i += code ? 2 : 0;
    }
    for (size_t i = 0; i < m; i++) {
        size_t end = i + 2;
        unsigned value = 0;
        while (hex[i] == '&' && i + 1 < m && hex[i + 1] == '#' && end < m &&
               ascii_isdigit(hex[end]) && end < i + 5)
            value = value * 10 + (unsigned)(hex[end++] - '0');
        if (end < i + 4 || end >= m || hex[end] != ';') {
            out[n++] = hex[i];
            continue;
        }
        if (value > 255)
            out[n++] = (char)(0xc0 | value >> 6);
        out[n++] = (char)(value > 255 ? 0x80 | (value & 0x3f) : value);
        i = end;
    }
    return span_of(out, n);
}

struct hosts {
    struct arena *a;
    struct span v[RAZOR_HOSTS];
    size_t n;
};

static void add_host(struct hosts *h, struct span s, bool once)
{
    for (size_t i = 0; once && i < h->n; i++)
        if (span_eq(h->v[i], s))
            return;
    if (h->n < RAZOR_HOSTS)
        h->v[h->n++] = s;
}

/* \s+(www.[^ />< "\r\n]+): what Outlook makes links of. */
static void add_autolinks(struct hosts *h, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_isspace(s.p[i]))
            continue;
        while (i + 1 < s.n && ascii_isspace(s.p[i + 1]))
            i++;
        struct span word = span_from(s, i + 1);
        size_t n = 4;
        if (word.n < 5 || !span_istarts(word, SPAN("www")) || word.p[3] == '\n')
            continue;
        while (n < word.n && !memchr(" /><\"\r\n", word.p[n], 7))
            n++;
        if (n == 4)
            continue;
        add_host(h, span_sub(word, 0, n), false);
        i += n;
    }
}

/* Behind "http://", "https://", "http:/" at s; 0: it begins with none. */
static size_t scheme(struct span s)
{
    size_t n = 4;
    if (!span_istarts(s, SPAN("http")))
        return 0;
    n += n < s.n && ascii_lower(s.p[n]) == 's';
    if (!span_starts(span_from(s, n), SPAN(":/")))
        return 0;
    n += 2;
    return n + (n < s.n && s.p[n] == '/');
}

static size_t skip_white(struct span s, size_t i)
{
    while (i < s.n && ascii_isspace(s.p[i]))
        i++;
    return i;
}

/* Behind href\s*=\s*"?https?://? at s; 0: it begins with something else. */
static size_t href(struct span s)
{
    if (!span_istarts(s, SPAN("href")))
        return 0;
    size_t i = skip_white(s, 4);
    if (i >= s.n || s.p[i] != '=')
        return 0;
    i = skip_white(s, i + 1);
    i += i < s.n && s.p[i] == '"';
    size_t n = scheme(span_from(s, i));
    return n ? i + n : 0;
}

/* next_host: s begins behind its scheme; one that stands there once more is passed over, but not in
 * the first link. */
static struct span host_of(struct arena *a, struct span s, bool in_href, bool first)
{
    size_t n = 0;
    if (!first && span_istarts(s, SPAN("http://")))
        s = span_from(s, 7);
    while (n < s.n && !memchr(in_href ? ">\"/?<" : ">\"/?<\n\r", s.p[n], in_href ? 5 : 7))
        n++;
    s = span_sub(s, 0, n);
    size_t user = span_find(s, '@');
    if (user != SIZE_MAX)
        s = span_from(s, user + 1);
    /* \S+= goes, once: the first word that has an '=' not at its start */
    for (size_t i = 0; i < s.n; i++) {
        size_t end = i, last = 0;
        while (end < s.n && !ascii_isspace(s.p[end])) {
            if (s.p[end] == '=' && end > i)
                last = end;
            end++;
        }
        if (last) {
            char *left = arena_raw(a, s.n);
            size_t rest = s.n - last - 1;
            memcpy(left, s.p, i);
            memcpy(left + i, s.p + last + 1, rest);
            s = span_of(left, i + rest);
            break;
        }
        i = end;
    }
    n = 0;
    while (n < s.n && !ascii_isspace(s.p[n]))
        n++;
    char *out = arena_raw(a, n + 1);
    size_t used = 0;
    for (size_t i = 0; i < n && s.p[i] != ':'; i++)
        if (s.p[i] != '=')
            out[used++] = ascii_lower(s.p[i]);
    if (used && out[used - 1] == '.')
        used--;
    return span_of(out, used);
}

static bool is_number(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isdigit(s.p[i]) && s.p[i] != '.')
            return false;
    return s.n > 0;
}

/* http://(.*)$ where '.' is no line end: the next link, which must be in the last line. */
static bool next_link(struct span *s)
{
    struct span text = *s;
    if (text.n && text.p[text.n - 1] == '\n')
        text.n--;
    size_t line = span_rfind(text, '\n');
    struct span last = span_from(text, line == SIZE_MAX ? 0 : line + 1);
    size_t at = span_search(last, SPAN("http://"));
    if (at == SIZE_MAX)
        return false;
    *s = span_from(last, at + 7);
    return true;
}

enum { LINKS_MAX = 2000 }; /* looked at in one part */

static void extract(struct hosts *h, struct span s)
{
    size_t n = 0, at = 0;
    add_autolinks(h, s);
    bool in_href = false;
    for (at = 0; at < s.n && !(n = href(span_from(s, at))); at++)
        ;
    in_href = n > 0;
    for (at = in_href ? at : 0; !n && at < s.n && !(n = scheme(span_from(s, at)));)
        at++;
    if (!n) {
        h->n = 0; /* autolinks count only beside a link */
        return;
    }
    bool first = true;
    size_t links = 0;
    for (s = span_from(s, at + n);; first = in_href = false) {
        struct span host = host_of(h->a, s, in_href, first);
        if (!host.n || span_eq(host, SPAN("0")))
            return;
        struct span domain = is_number(host) ? host : razor_domain(host);
        if (domain.n > 1 && span_find(domain, '.') != SIZE_MAX)
            add_host(h, domain, true);
        if (h->n >= RAZOR_HOSTS || ++links >= LINKS_MAX || !next_link(&s))
            return;
    }
}

size_t razor_whiplash(struct arena *a, struct span text, char out[RAZOR_HOSTS][17])
{
    enum { STEP = 100 };
    char sum[41], length[24];
    struct hosts h = {.a = a};
    if (!text.n || span_eq(text, SPAN("0")))
        return 0;
    extract(&h, unescaped(a, text));
    snprintf(length, sizeof length, "%zu", text.n - text.n % STEP);
    for (size_t i = 0; i < h.n; i++) {
        sha1_hex(h.v[i], SPAN(""), sum);
        memcpy(out[i], sum, 12);
        sha1_hex(span_str(length), SPAN(""), sum);
        memcpy(out[i] + 12, sum, 4);
        out[i][16] = '\0';
    }
    return h.n;
}

/* --- both, of all parts --- */

void razor_base64(const char *hex, char *out, size_t size)
{
    static const char table[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t n = strlen(hex), used = 0;
    for (size_t i = 0; i < n && used + 2 < size; i += 3) {
        unsigned bits = 0; /* each digit with its lowest bit first */
        for (size_t k = 0; k < 3; k++) {
            unsigned digit = i + k < n ? (unsigned)ascii_hex(hex[i + k]) : 0;
            for (int bit = 0; bit < 4; bit++)
                bits = bits << 1 | (digit >> bit & 1);
        }
        out[used++] = table[bits >> 6];
        out[used++] = table[bits & 63];
    }
    out[used] = '\0';
}

static void add_signature(struct arena *a, struct razor_signatures *out, unsigned part,
                          unsigned engine, const char *hex)
{
    char text[40];
    if (out->n >= RAZOR_SIGNATURES)
        return;
    razor_base64(hex, text, sizeof text);
    *ARENA_PUSH(a, out->v, out->n, out->cap) =
        (struct razor_signature){part, engine, arena_dup(a, span_str(text))};
}

/* A part with nothing but its header, or white space. */
static bool says_nothing(struct span s)
{
    enum { SHORT = 128 };
    bool fields = s.n < SHORT;
    for (struct span rest = s, line; fields && span_line(&rest, &line);)
        fields =
            line.n == 0 || (span_starts(line, SPAN("Content")) && span_find(line, ':') != SIZE_MAX);
    return s.n == 0 || white(s) || (fields && span_starts(s, SPAN("Content")));
}

void razor_sign(struct arena *a, struct span raw, const struct razor_server *s,
                struct razor_signatures *out)
{
    char hosts[RAZOR_HOSTS][17], hex[41];
    struct razor_parts parts;
    *out = (struct razor_signatures){0};
    razor_split(a, razor_unix(a, raw), &parts);
    for (size_t i = 0; i < parts.n; i++) {
        struct span text = razor_cleaned(a, parts.v[i], false);
        if (says_nothing(text))
            continue;
        out->parts = (unsigned)i + 1;
        if (s->engines & 1u << 3) {
            razor_ephemeral(a, razor_cleaned(a, parts.v[i], true), s->seed, s->separator, hex);
            add_signature(a, out, (unsigned)i, 4, hex);
        }
        size_t n = s->engines & 1u << 7 ? razor_whiplash(a, text, hosts) : 0;
        for (size_t k = 0; k < n; k++)
            add_signature(a, out, (unsigned)i, 8, hosts[k]);
    }
}
