/* URIs in a line of text (semantics 5.1): what a mail reader would make a link of, and what only
 * looks like one. SpamAssassin's regular expression, by hand: one pass that stops only at words
 * with a '.',
 * ':' or '@' in a place where it can mean something. */
#include "uri/uri_private.h"

enum {
    C_END = 1,        /* ends a URI: > < " ` } ] { [ | white space ESC A0 */
    C_MAIL_END = 2,   /* ends an address: the same, and , ( ' and bytes from 80 on */
    C_START = 4,      /* a URI may begin behind it */
    C_BARE_START = 8, /* a host without scheme may begin behind it */
    C_WORD = 16,
    C_HOST = 32,  /* letters, digits, '.', '_', '-' */
    C_HINT = 64,  /* '.', ':', '@' */
    C_TRAIL = 128 /* punctuation that is no part of a URI at its end */
};

#define ENDS    (C_END | C_MAIL_END)
#define SPACE   (ENDS | C_START | C_BARE_START)
#define ALNUM   (C_WORD | C_HOST)
#define HIGH_5  C_MAIL_END, C_MAIL_END, C_MAIL_END, C_MAIL_END, C_MAIL_END
#define HIGH_15 HIGH_5, HIGH_5, HIGH_5
/* clang-format off */
static const uint8_t class[256] = {
    ['\t'] = SPACE, ['\n'] = SPACE, ['\v'] = SPACE, ['\f'] = SPACE, ['\r'] = SPACE, [' '] = SPACE,
    [0x1B] = SPACE, [0x7F] = 0,
    ['!'] = C_BARE_START | C_TRAIL, ['"'] = ENDS | C_START | C_BARE_START,
    ['#'] = C_BARE_START | C_TRAIL, ['$'] = C_BARE_START, ['%'] = 0,
    ['&'] = C_BARE_START | C_TRAIL, ['\''] = C_MAIL_END | C_START | C_BARE_START | C_TRAIL,
    ['('] = C_MAIL_END | C_START | C_BARE_START | C_TRAIL, [')'] = C_BARE_START | C_TRAIL,
    ['*'] = C_BARE_START | C_TRAIL, ['+'] = C_BARE_START | C_TRAIL,
    [','] = C_MAIL_END | C_START | C_BARE_START | C_TRAIL, ['-'] = C_HOST | C_TRAIL,
    ['.'] = C_HOST | C_HINT | C_TRAIL, ['/'] = C_BARE_START,
    ['0'] = ALNUM, ['1'] = ALNUM, ['2'] = ALNUM, ['3'] = ALNUM, ['4'] = ALNUM, ['5'] = ALNUM,
    ['6'] = ALNUM, ['7'] = ALNUM, ['8'] = ALNUM, ['9'] = ALNUM,
    [':'] = C_BARE_START | C_HINT | C_TRAIL, [';'] = C_BARE_START | C_TRAIL,
    ['<'] = ENDS | C_START | C_BARE_START, ['='] = C_BARE_START | C_TRAIL,
    ['>'] = ENDS | C_START | C_BARE_START, ['?'] = C_BARE_START | C_TRAIL,
    ['@'] = C_BARE_START | C_HINT | C_TRAIL,
    ['A'] = ALNUM, ['B'] = ALNUM, ['C'] = ALNUM, ['D'] = ALNUM, ['E'] = ALNUM, ['F'] = ALNUM,
    ['G'] = ALNUM, ['H'] = ALNUM, ['I'] = ALNUM, ['J'] = ALNUM, ['K'] = ALNUM, ['L'] = ALNUM,
    ['M'] = ALNUM, ['N'] = ALNUM, ['O'] = ALNUM, ['P'] = ALNUM, ['Q'] = ALNUM, ['R'] = ALNUM,
    ['S'] = ALNUM, ['T'] = ALNUM, ['U'] = ALNUM, ['V'] = ALNUM, ['W'] = ALNUM, ['X'] = ALNUM,
    ['Y'] = ALNUM, ['Z'] = ALNUM,
    ['['] = ENDS | C_START | C_BARE_START, ['\\'] = C_BARE_START, [']'] = ENDS | C_BARE_START,
    ['^'] = C_BARE_START | C_TRAIL, ['_'] = C_WORD | C_HOST | C_TRAIL,
    ['`'] = ENDS | C_START | C_BARE_START,
    ['a'] = ALNUM, ['b'] = ALNUM, ['c'] = ALNUM, ['d'] = ALNUM, ['e'] = ALNUM, ['f'] = ALNUM,
    ['g'] = ALNUM, ['h'] = ALNUM, ['i'] = ALNUM, ['j'] = ALNUM, ['k'] = ALNUM, ['l'] = ALNUM,
    ['m'] = ALNUM, ['n'] = ALNUM, ['o'] = ALNUM, ['p'] = ALNUM, ['q'] = ALNUM, ['r'] = ALNUM,
    ['s'] = ALNUM, ['t'] = ALNUM, ['u'] = ALNUM, ['v'] = ALNUM, ['w'] = ALNUM, ['x'] = ALNUM,
    ['y'] = ALNUM, ['z'] = ALNUM,
    ['{'] = ENDS | C_START | C_BARE_START, ['|'] = ENDS | C_START | C_BARE_START,
    ['}'] = ENDS | C_BARE_START, ['~'] = C_BARE_START | C_TRAIL,
    [0x80] = HIGH_15, C_MAIL_END, HIGH_15, C_MAIL_END,
    [0xA0] = SPACE, HIGH_15, HIGH_15, C_MAIL_END, HIGH_15, C_MAIL_END, HIGH_15, C_MAIL_END,
    HIGH_15, C_MAIL_END, HIGH_15, C_MAIL_END,
};
/* clang-format on */

enum { URI_RUN_MAX = 2048, LOCAL_MAX = 251, MAIL_HOST_MAX = 251, HOST_LABELS_MAX = 252 };

static bool is(char c, unsigned which)
{
    return class[(unsigned char)c] & which;
}

enum kind { KIND_SCHEME, KIND_MAIL, KIND_BARE };

struct finder {
    const struct uri_tables *t;
    struct arena *a;
    struct uri_founds *out;
    struct span line;
    /* of the word under the eye: */
    size_t start, end;       /* it is between two C_END bytes */
    size_t mail_end;         /* the next C_MAIL_END at or behind the last place asked for */
    size_t at;               /* the next '@', likewise; end when there is none */
    size_t mail_for, at_for; /* the places asked for */
};

/* --- the places a URI may begin at --- */

/* \b, or behind a delimiter, or behind the shift sequence ESC ( x of ISO 2022. */
static bool may_start(const struct finder *f, size_t i)
{
    const char *s = f->line.p;
    bool word = is(s[i], C_WORD);
    if (i == 0)
        return word;
    return word != is(s[i - 1], C_WORD) || is(s[i - 1], C_START) ||
           (i >= 3 && s[i - 3] == 0x1B && s[i - 2] == '(' && s[i - 1] != '\n');
}

static size_t next_mail_end(struct finder *f, size_t i)
{
    if (f->mail_for == SIZE_MAX || i < f->mail_for || f->mail_end < i) {
        f->mail_end = i;
        while (f->mail_end < f->end && !is(f->line.p[f->mail_end], C_MAIL_END))
            f->mail_end++;
        f->mail_for = i;
    }
    return f->mail_end;
}

static size_t next_at(struct finder *f, size_t i)
{
    if (f->at_for == SIZE_MAX || i < f->at_for || f->at < i) {
        const char *hit = memchr(f->line.p + i, '@', f->end - i);
        f->at = hit ? (size_t)(hit - f->line.p) : f->end;
        f->at_for = i;
    }
    return f->at;
}

/* --- the three alternatives; each returns the end of the match, or 0 --- */

/* https?:// ftp:// www\d{0,2}. ftp. */
static size_t known_scheme(const struct finder *f, size_t i)
{
    struct span rest = span_sub(f->line, i, f->end);
    size_t n = 0;
    switch (ascii_lower(rest.p[0])) {
    case 'h':
        n = span_istarts(rest, SPAN("http://")) ? 7 : span_istarts(rest, SPAN("https://")) ? 8 : 0;
        break;
    case 'f':
        n = span_istarts(rest, SPAN("ftp://")) ? 6 : span_istarts(rest, SPAN("ftp.")) ? 4 : 0;
        break;
    case 'w':
        if (!span_istarts(rest, SPAN("www")))
            break;
        n = 3;
        while (n < 5 && n < rest.n && ascii_isdigit(rest.p[n]))
            n++;
        n = n < rest.n && rest.p[n] == '.' ? n + 1 : 0;
        break;
    default:
        break;
    }
    return n && rest.n > n && rest.n - n <= URI_RUN_MAX ? f->end : 0;
}

static size_t mail_address(struct finder *f, size_t i)
{
    size_t end = next_mail_end(f, i);
    if (is(f->line.p[i], C_MAIL_END))
        return 0;
    if (ascii_lower(f->line.p[i]) == 'm' && end - i > 7 && end - i - 7 <= URI_RUN_MAX &&
        span_istarts(span_sub(f->line, i, end), SPAN("mailto:")))
        return end;
    size_t at = next_at(f, i);
    if (at >= end || at == i || at - i > LOCAL_MAX)
        return 0;
    size_t host = end - at - 1;
    return host >= 1 && host <= MAIL_HOST_MAX ? end : 0;
}

/* Whether [i, end) is a host below a known top-level domain. */
static bool is_host(const struct finder *f, size_t i, size_t end)
{
    struct span host = span_sub(f->line, i, end);
    size_t dot = span_rfind(host, '.');
    if (dot == SIZE_MAX || dot == 0 || dot > HOST_LABELS_MAX)
        return false;
    struct span tld = span_from(host, dot + 1);
    char lower[64];
    if (tld.n == 0 || tld.n > sizeof lower)
        return false;
    for (size_t k = 0; k < tld.n; k++)
        lower[k] = ascii_lower(tld.p[k]);
    return map_get(&f->t->tld, span_of(lower, tld.n)) != NULL;
}

/* host[.][:port][/path] */
static size_t bare_host(const struct finder *f, size_t i, struct span *host)
{
    const char *s = f->line.p;
    if (!ascii_isalnum(s[i]) || (i && !is(s[i - 1], C_BARE_START)))
        return 0;
    size_t h = i;
    while (h < f->end && is(s[h], C_HOST))
        h++;
    size_t host_end = s[h - 1] == '.' ? h - 1 : h;
    if (host_end == i || s[host_end - 1] == '.')
        return 0;
    size_t k = h;
    if (k < f->end && s[k] == ':') {
        size_t digits = k + 1;
        while (digits < f->end && ascii_isdigit(s[digits]))
            digits++;
        if (digits == k + 1 || digits - k - 1 > 5)
            return 0;
        k = digits;
    }
    if (k < f->end) {
        size_t path = f->end - k - 1;
        if (s[k] != '/' || path < 1 || path > URI_RUN_MAX)
            return 0;
    }
    if (!is_host(f, i, host_end))
        return 0;
    *host = span_sub(f->line, i, host_end);
    return f->end;
}

/* --- what was found --- */

/* A ')' ends it when no '(' comes before; trailing punctuation is no part of it. */
static struct span clean(struct span raw)
{
    size_t paren = span_find(raw, '(');
    size_t close = span_rfind(span_sub(raw, 0, paren), ')');
    if (close != SIZE_MAX)
        raw.n = close;
    while (raw.n && is(raw.p[raw.n - 1], C_TRAIL))
        raw.n--;
    return raw;
}

/* ^\w+:/{0,2}$ */
static bool is_only_scheme(struct span s)
{
    size_t i = 0;
    while (i < s.n && is(s.p[i], C_WORD))
        i++;
    if (i == 0 || i == s.n || s.p[i] != ':')
        return false;
    for (i++; i < s.n && s.p[i] == '/'; i++)
        ;
    return i == s.n && !span_ends(s, SPAN("///"));
}

/* "@", at least one character, "." */
static bool has_dot_behind_at(struct span s)
{
    size_t at = span_find(s, '@');
    return at != SIZE_MAX && span_find(span_from(s, at + 2), '.') != SIZE_MAX;
}

static bool www(struct span s)
{
    size_t i = 3;
    if (!span_istarts(s, SPAN("www")))
        return false;
    while (i < 5 && i < s.n && ascii_isdigit(s.p[i]))
        i++;
    return i < s.n && s.p[i] == '.';
}

/* Without ^(?:skype|e?-?mail)?:+ */
static struct span without_label(struct span s)
{
    static const struct span labels[] = {
        {"skype", 5}, {"e-mail", 6}, {"email", 5}, {"-mail", 5}, {"mail", 4}};
    size_t i = 0;
    for (size_t k = 0; k < sizeof labels / sizeof *labels && !i; k++)
        if (span_istarts(s, labels[k]))
            i = labels[k].n;
    if (i == s.n || s.p[i] != ':')
        return s;
    while (i < s.n && s.p[i] == ':')
        i++;
    return span_from(s, i);
}

/* Gives a candidate its scheme; false when it is garbage. */
static bool add_scheme(struct arena *a, struct uri_found *found)
{
    struct span s = found->uri;
    static const struct span schemes[] = {{"http:", 5}, {"https:", 6}, {"ftp:", 4}, {"mailto:", 7}};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (span_istarts(s, schemes[i]))
            return true;
    const char *scheme = "http://";
    size_t slash = span_find(s, '/'), last_at = span_rfind(s, '@');
    found->schemeless = true;
    if (span_istarts(s, SPAN("ftp."))) {
        scheme = "ftp://";
    } else if (www(s) || (last_at != SIZE_MAX && slash != SIZE_MAX && slash + 1 < last_at)) {
        ; /* a slash before the '@': no address */
    } else if (last_at != SIZE_MAX) {
        if (!has_dot_behind_at(s) || span_search(s, SPAN("&nbsp;")) != SIZE_MAX)
            return false;
        s = without_label(s);
        scheme = "mailto:";
    } else {
        if (span_find(s, '.') == SIZE_MAX)
            return false;
        found->unlinked = true;
    }
    found->uri = arena_printf(a, "%s%.*s", scheme, SPAN_ARG(s));
    return true;
}

/* The address has a host below a known top-level domain. */
static bool check_mail(const struct finder *f, struct uri_found *found)
{
    found->mail = true;
    found->uri = uri_decode_escapes(f->a, found->uri, false);
    size_t at = span_find(found->uri, '@');
    if (at == SIZE_MAX)
        return false;
    struct span host = span_from(found->uri, at + 1);
    size_t n = 0;
    while (n < host.n && host.p[n] != '?' && host.p[n] != '&' && host.p[n] != '>')
        n++;
    host.n = n;
    while (span_ends(host, SPAN("%20")))
        host.n -= 3;
    return uri_tld_known(f->t, f->a, host);
}

static void found(struct finder *f, size_t from, size_t to, enum kind kind, struct span host)
{
    struct uri_found u = {.uri = clean(span_sub(f->line, from, to))};
    void **seen = map_at(&f->out->seen, u.uri);
    if (*seen)
        return;
    *seen = f->out;
    if (kind == KIND_MAIL && span_find(u.uri, '@') == SIZE_MAX)
        return;
    if (kind == KIND_BARE && !uri_fqdn_valid(host))
        return;
    if (span_istarts(u.uri, SPAN("cid:")) || span_istarts(u.uri, SPAN("mid:")) ||
        is_only_scheme(u.uri) || !add_scheme(f->a, &u))
        return;
    if (span_istarts(u.uri, SPAN("mailto:")) && !check_mail(f, &u))
        return;
    *ARENA_PUSH(f->a, f->out->v, f->out->n, f->out->cap) = u;
}

/* All matches in the word [f->start, f->end). */
static void look_at_word(struct finder *f)
{
    f->mail_for = f->at_for = SIZE_MAX;
    for (size_t i = f->start; i < f->end;) {
        struct span host = SPAN_NONE;
        enum kind kind = KIND_SCHEME;
        size_t end = 0;
        if (may_start(f, i)) {
            end = known_scheme(f, i);
            if (!end) {
                kind = KIND_MAIL;
                end = mail_address(f, i);
            }
            if (!end) {
                kind = KIND_BARE;
                end = bare_host(f, i, &host);
            }
        }
        if (end)
            found(f, i, end, kind, host);
        i = end ? end : i + 1;
    }
}

/* Whether the byte at i can be part of a URI: '.' between others, "://", "mailto:", '@'. */
static bool is_hint(const struct finder *f, size_t i)
{
    struct span s = f->line;
    if (i + 1 >= s.n || is(s.p[i + 1], C_END))
        return false;
    if (s.p[i] == ':')
        return s.p[i + 1] == '/' || (i >= 6 && ascii_lower(s.p[i - 1]) == 'o');
    if (s.p[i] == '.') /* of a top-level domain, or of "www." and "ftp." */
        return i > 0 && (ascii_isalnum(s.p[i + 1]) || strchr("wWpP0123456789", s.p[i - 1]));
    return true;
}

struct uri_founds uri_founds_in(struct arena *a)
{
    return (struct uri_founds){.seen = map_in(a)};
}

void uri_find(const struct uri_tables *t, struct arena *a, struct span line, struct uri_founds *out)
{
    struct finder f = {.t = t, .a = a, .out = out, .line = line};
    size_t i = 0;
    while ((i = span_find_any(line, i, ".:@.")) < line.n) {
        if (!is_hint(&f, i)) {
            i++;
            continue;
        }
        size_t previous_end = f.end;
        f.start = f.end = i;
        while (f.start > previous_end && !is(line.p[f.start - 1], C_END))
            f.start--;
        while (f.end < line.n && !is(line.p[f.end], C_END))
            f.end++;
        look_at_word(&f);
        i = f.end;
    }
}
