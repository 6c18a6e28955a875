/* What Perl's patterns have and PCRE2's have not: names of properties and characters, and
 * lookbehind of several lengths. */
#include "pattern/pattern.h"

#include "base/buf.h"

#include <stdio.h>
#include <unicode/uchar.h>
#include <unicode/uset.h>
#include <unicode/ustring.h>

static struct span trimmed(struct span s)
{
    while (s.n && one_of(s.p[0], " \t"))
        s = span_from(s, 1);
    while (s.n && one_of(s.p[s.n - 1], " \t"))
        s.n--;
    return s;
}

/* --- characters --- */

enum { CODE_MAX = 0x10ffff };

static long number(struct span digits, int base)
{
    long code = 0;
    digits = trimmed(digits);
    for (size_t i = 0; i < digits.n; i++) {
        int digit = ascii_hex(digits.p[i]);
        if (digits.p[i] == '_')
            continue;
        if (digit < 0 || digit >= base)
            return -1;
        code = code > CODE_MAX ? code : code * base + digit;
    }
    return code;
}

static long named(struct span name)
{
    char text[128];
    UErrorCode e = U_ZERO_ERROR;
    if (!name.n || name.n >= sizeof text)
        return -1;
    for (size_t i = 0; i < name.n; i++)
        if (!(name.p[i] >= 'A' && name.p[i] <= 'Z') && !ascii_isdigit(name.p[i]) &&
            !one_of(name.p[i], " -"))
            return -1;
    memcpy(text, name.p, name.n);
    text[name.n] = 0;
    UChar32 c = u_charFromName(U_CHAR_NAME_ALIAS, text, &e);
    if (U_FAILURE(e)) {
        e = U_ZERO_ERROR;
        c = u_charFromName(U_UNICODE_CHAR_NAME, text, &e);
    }
    return U_FAILURE(e) ? -1 : c;
}

/* "\777": three octal digits that are no byte; others are the same to PCRE2. */
static long octal(struct span t, size_t captures)
{
    long decimal = 0, code = 0;
    for (size_t i = 1; i < t.n; i++) {
        if (t.p[i] < '0' || t.p[i] > '7')
            return -1;
        decimal = decimal * 10 + (t.p[i] - '0');
        code = code * 8 + (t.p[i] - '0');
    }
    return t.n == 4 && code > 0xff && decimal > (long)captures ? code : -1;
}

long pattern_code_point(struct span t, size_t captures)
{
    if (t.n < 2 || t.p[0] != '\\')
        return -1;
    if (ascii_isdigit(t.p[1]))
        return octal(t, captures);
    if (t.p[t.n - 1] != '}')
        return -1;
    if (span_starts(t, SPAN("\\x{")))
        return number(span_sub(t, 3, t.n - 1), 16);
    if (span_starts(t, SPAN("\\o{")))
        return t.n > 4 ? number(span_sub(t, 3, t.n - 1), 8) : -1;
    if (span_starts(t, SPAN("\\N{U+")))
        return number(span_sub(t, 5, t.n - 1), 16);
    return span_starts(t, SPAN("\\N{")) ? named(span_sub(t, 3, t.n - 1)) : -1;
}

/* --- properties --- */

/* Perl's own names, small and without blanks and underscores, and what they are to ICU. */
static const struct {
    const char *name, *set, *caseless;
} properties[] = {
    {"alpha", "[:Alphabetic:]", NULL},
    {"alnum", "[[:Alphabetic:][:Nd:]]", NULL},
    {"ascii", "[\\u0000-\\u007f]", NULL},
    {"blank", "[\\t[:Zs:]]", NULL},
    {"horizspace", "[\\t[:Zs:]]", NULL},
    {"cntrl", "[:Cc:]", NULL},
    {"digit", "[:Nd:]", NULL},
    {"graph", "[^[:White_Space:][:Cc:][:Cs:][:Cn:]]", NULL},
    {"print", "[^[[:White_Space:]-[\\t[:Zs:]]][:Cc:][:Cs:][:Cn:]]", NULL},
    {"punct", "[:P:]", NULL},
    {"xposixpunct", "[[:P:][[:S:]&[\\u0000-\\u007f]]]", NULL},
    {"space", "[:White_Space:]", NULL},
    {"spaceperl", "[:White_Space:]", NULL},
    {"xperlspace", "[:White_Space:]", NULL},
    {"word", "[[:Alphabetic:][:M:][:Nd:][:Pc:][:Join_Control:]]", NULL},
    {"xdigit", "[0-9A-Fa-f]", NULL},
    {"upper", "[:Uppercase:]", "[:Cased:]"},
    {"uppercase", "[:Uppercase:]", "[:Cased:]"},
    {"lower", "[:Lowercase:]", "[:Cased:]"},
    {"lowercase", "[:Lowercase:]", "[:Cased:]"},
    {"lu", "[:Lu:]", "[:LC:]"},
    {"ll", "[:Ll:]", "[:LC:]"},
    {"lt", "[:Lt:]", "[:LC:]"},
    {"uppercaseletter", "[:Lu:]", "[:LC:]"},
    {"lowercaseletter", "[:Ll:]", "[:LC:]"},
    {"titlecaseletter", "[:Lt:]", "[:LC:]"},
    {"title", "[:Lt:]", "[:LC:]"},
    {"titlecase", "[:Lt:]", "[:LC:]"},
    {"l&", "[:LC:]", NULL},
    {"vertspace", "[\\n-\\r\\u0085]", NULL},
    {"perlspace", "[\\t-\\r ]", NULL},
    {"perlword", "[A-Za-z0-9_]", NULL},
    {"posixalpha", "[A-Za-z]", NULL},
    {"posixalnum", "[A-Za-z0-9]", NULL},
    {"posixblank", "[\\t ]", NULL},
    {"posixcntrl", "[\\u0000-\\u001f\\u007f]", NULL},
    {"posixdigit", "[0-9]", NULL},
    {"posixgraph", "[\\u0021-\\u007e]", NULL},
    {"posixlower", "[a-z]", "[A-Za-z]"},
    {"posixprint", "[\\u0020-\\u007e]", NULL},
    {"posixpunct", "[\\u0021-\\u002f\\u003a-\\u0040\\u005b-\\u0060\\u007b-\\u007e]", NULL},
    {"posixspace", "[\\t-\\r ]", NULL},
    {"posixupper", "[A-Z]", "[A-Za-z]"},
    {"posixword", "[A-Za-z0-9_]", NULL},
    {"posixxdigit", "[0-9A-Fa-f]", NULL},
    {"all", "[\\u0000-\\u00ff]", NULL},
    {"unicode", "[\\u0000-\\u00ff]", NULL},
    {"age=1.1", "[\\u0000-\\u00ff]", NULL}, /* all that a byte is has been there ever since */
};

enum { NAME_SIZE = 80 };

/* Without what Perl does not look at. false: too long. */
static bool loose_name(struct span s, char out[NAME_SIZE])
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (one_of(s.p[i], " \t_-"))
            continue;
        if (n + 1 >= NAME_SIZE)
            return false;
        out[n++] = s.p[i] == ':' ? '=' : ascii_lower(s.p[i]);
    }
    out[n] = 0;
    return n > 0;
}

/* The set in ICU's language. */
static bool set_of(const char *name, bool caseless, char *out, size_t size)
{
    size_t xposix = strncmp(name, "xposix", 6) == 0 && strcmp(name, "xposixpunct") != 0 ? 6 : 0;
    size_t is = strncmp(name, "is", 2) == 0 ? 2 : 0;
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
        if (strcmp(name + xposix, properties[i].name) != 0 &&
            strcmp(name + is, properties[i].name) != 0)
            continue;
        bool other = caseless && properties[i].caseless;
        snprintf(out, size, "%s", other ? properties[i].caseless : properties[i].set);
        return true;
    }
    if (strncmp(name, "in=", 3) == 0 || strncmp(name, "presentin=", 10) == 0)
        snprintf(out, size, "[\\u0000-\\u00ff]"); /* as for age=1.1 */
    else if (strncmp(name, "age=", 4) == 0)
        snprintf(out, size, "[]");
    else if (strncmp(name, "in", 2) == 0 && !strchr(name, '='))
        snprintf(out, size, "[\\p{Block=%s}]", name + 2);
    else
        snprintf(out, size, "[\\p{%s}]", name + is);
    return true;
}

static bool is_category(struct span name)
{
    static const char majors[] = "LMNPSZC";
    return (name.n == 1 || (name.n == 2 && name.p[1] >= 'a' && name.p[1] <= 'z')) &&
           one_of(name.p[0], majors);
}

static void add_range(struct buf *b, int first, int last)
{
    buf_printf(b, first == last ? "\\x{%x}" : "\\x{%x}-\\x{%x}", (unsigned)first, (unsigned)last);
}

bool pattern_property(struct buf *b, struct span t, bool caseless)
{
    if (t.n < 5 || !one_of(t.p[1], "pP") || t.p[2] != '{')
        return false;
    bool negated = t.p[1] == 'P';
    struct span name = trimmed(span_sub(t, 3, t.n - 1));
    if (span_starts(name, SPAN("^"))) {
        negated = !negated;
        name = trimmed(span_from(name, 1));
    }
    bool of_case = name.n == 2 && name.p[0] == 'L' && one_of(name.p[1], "ult");
    char loose[NAME_SIZE], set[4 * NAME_SIZE];
    if ((is_category(name) && !(caseless && of_case)) || !loose_name(name, loose) ||
        !set_of(loose, caseless, set, sizeof set))
        return false;
    UChar wide[4 * NAME_SIZE];
    u_uastrcpy(wide, set);
    UErrorCode e = U_ZERO_ERROR;
    USet *u = uset_openPattern(wide, -1, &e);
    if (U_FAILURE(e))
        return false;
    int first = -1;
    for (int c = 0; c <= 0x100; c++) {
        bool in = c < 0x100 && (bool)uset_contains(u, c) != negated;
        if (in && first < 0)
            first = c;
        if (!in && first >= 0) {
            add_range(b, first, c - 1);
            first = -1;
        }
    }
    uset_close(u);
    return true;
}

/* --- lookbehind --- */

/* Texts of fixed length; of different lengths among each other. */
enum { TEXTS_MAX = 256, TEXT_BYTES_MAX = 2000, TIMES_MAX = 255, LEVELS_MAX = 8 };

struct texts {
    struct {
        struct buf text;
        size_t length; /* of what it matches */
    } v[TEXTS_MAX];
    size_t n;
};

static void texts_free(struct texts *t)
{
    for (size_t i = 0; i < t->n; i++)
        buf_free(&t->v[i].text);
    t->n = 0;
}

static bool texts_add(struct texts *t, struct span text, size_t length)
{
    if (t->n == TEXTS_MAX || text.n > TEXT_BYTES_MAX)
        return false;
    t->v[t->n].text = (struct buf){0};
    t->v[t->n].length = length;
    buf_add(&t->v[t->n++].text, text);
    return true;
}

static bool texts_move(struct texts *to, struct texts *from)
{
    bool ok = true;
    for (size_t i = 0; i < from->n; i++)
        ok = texts_add(to, buf_span(&from->v[i].text), from->v[i].length) && ok;
    texts_free(from);
    return ok;
}

/* Each of `a` with each of `b` behind it. */
static bool texts_join(struct texts *a, const struct texts *b)
{
    struct texts out = {0};
    bool ok = true;
    for (size_t i = 0; i < a->n && ok; i++)
        for (size_t k = 0; k < b->n && ok; k++) {
            struct buf both = {0};
            buf_add(&both, buf_span(&a->v[i].text));
            buf_add(&both, buf_span(&b->v[k].text));
            ok = texts_add(&out, buf_span(&both), a->v[i].length + b->v[k].length);
            buf_free(&both);
        }
    texts_free(a);
    return texts_move(a, &out) && ok;
}

struct reading {
    struct span p;
    size_t at;
};

static bool read_alternatives(struct reading *r, unsigned level, struct texts *out);

/* One element without its quantifier. */
static bool read_element(struct reading *r, unsigned level, struct texts *out)
{
    enum pattern_opening kind;
    size_t n = pattern_token(r->p, r->at);
    struct span t = span_sub(r->p, r->at, r->at + n);
    if (t.p[0] == '(') {
        n = pattern_group(r->p, r->at, &kind);
        struct span start = span_sub(r->p, r->at, r->at + n);
        if (kind != OPENS_PLAIN || start.p[n - 1] != ':')
            return false;
        r->at += n;
        if (!read_alternatives(r, level + 1, out) || r->at >= r->p.n)
            return false;
        r->at++;
        for (size_t i = 0; i < out->n; i++) {
            struct buf grouped = {0};
            buf_printf(&grouped, "%.*s%.*s)", SPAN_ARG(start), SPAN_ARG(buf_span(&out->v[i].text)));
            buf_free(&out->v[i].text);
            out->v[i].text = grouped;
        }
        return true;
    }
    r->at += n;
    if (one_of(t.p[0], "?*+")) /* a quantifier of nothing */
        return false;
    if (t.n == 2 && t.p[0] == '\\' && t.p[1] == 'R')
        return texts_add(out, SPAN("\\r\\n"), 2) && texts_add(out, SPAN("[\\n-\\r\\x85]"), 1);
    bool place =
        t.n == 1 ? one_of(t.p[0], "^$") : t.n == 2 && t.p[0] == '\\' && one_of(t.p[1], "bBAzZG");
    if (t.p[0] == '\\' && (t.n < 2 || one_of(t.p[1], "XKgk123456789")))
        return false;
    return texts_add(out, t, !place);
}

/* The element as often as its quantifier allows. */
static bool read_repeated(struct reading *r, unsigned level, struct texts *out)
{
    struct texts one = {0}, so_far = {0};
    unsigned min = 1, max = 1;
    bool ok = read_element(r, level, &one);
    struct span rest = span_from(r->p, r->at);
    size_t n = ok ? pattern_braces(rest, &min, &max) : 0;
    if (ok && rest.n && rest.p[0] == '?') {
        n = 1;
        min = 0;
        max = 1;
    }
    ok = ok && max <= TIMES_MAX && min <= max && !(rest.n && one_of(rest.p[0], "*+"));
    r->at += n;
    if (n && r->at < r->p.n && one_of(r->p.p[r->at], "?+"))
        r->at++; /* any match counts */
    ok = ok && texts_add(&so_far, SPAN(""), 0);
    for (unsigned k = 0; ok && k <= max; k++) {
        for (size_t i = 0; k >= min && i < so_far.n && ok; i++)
            ok = texts_add(out, buf_span(&so_far.v[i].text), so_far.v[i].length);
        ok = ok && (k == max || texts_join(&so_far, &one));
    }
    texts_free(&one);
    texts_free(&so_far);
    return ok;
}

static bool read_sequence(struct reading *r, unsigned level, struct texts *out)
{
    bool ok = texts_add(out, SPAN(""), 0);
    while (ok && r->at < r->p.n && !one_of(r->p.p[r->at], "|)")) {
        struct texts next = {0};
        ok = read_repeated(r, level, &next) && texts_join(out, &next);
        texts_free(&next);
    }
    return ok;
}

static bool read_alternatives(struct reading *r, unsigned level, struct texts *out)
{
    bool ok = level < LEVELS_MAX;
    while (ok) {
        struct texts one = {0};
        ok = read_sequence(r, level, &one);
        ok = texts_move(out, &one) && ok;
        if (r->at >= r->p.n || r->p.p[r->at] != '|')
            break;
        r->at++;
    }
    return ok;
}

/* Whether every alternative stands there as it is; then PCRE2 can do it, too. */
static bool is_fixed(struct span inside)
{
    size_t depth = 0;
    unsigned min, max;
    for (size_t at = 0; at < inside.n; at += pattern_token(inside, at)) {
        char c = inside.p[at];
        depth += c == '(';
        depth -= c == ')' && depth;
        bool optional = c == '?' && at && inside.p[at - 1] != '(';
        if (optional || (c == '|' && depth) || span_starts(span_from(inside, at), SPAN("\\R")) ||
            (pattern_braces(span_from(inside, at), &min, &max) && min != max))
            return false;
    }
    return true;
}

size_t pattern_lookbehind(struct buf *b, struct span p, size_t at)
{
    if (!span_starts(span_from(p, at), SPAN("(?<=")) &&
        !span_starts(span_from(p, at), SPAN("(?<!")))
        return 0;
    struct reading r = {p, at + 4};
    struct texts all = {0};
    bool ok = read_alternatives(&r, 0, &all) && r.at < p.n && p.p[r.at] == ')' &&
              !is_fixed(span_sub(p, at + 4, r.at));
    size_t same = 0;
    while (ok && same < all.n && all.v[same].length == all.v[0].length)
        same++;
    ok = ok && same < all.n; /* else they are all of one length, and PCRE2 sees that */
    if (ok)
        buf_add(b, span_sub(p, at, at + 4));
    for (size_t i = 0; ok && i < all.n; i++)
        buf_printf(b, "%s%.*s", i ? "|" : "", SPAN_ARG(buf_span(&all.v[i].text)));
    if (ok)
        buf_char(b, ')');
    texts_free(&all);
    return ok ? r.at + 1 - at : 0;
}
