/* Charset normalisation (semantics 3.5): which decoder is tried in which order, and when text stays
 * a byte string. */
#include "mime/charset_private.h"
#include "mime/mime_private.h"

/* The bytes that make a text look like Windows-1252: no-break space, soft hyphen, some punctuation
 * and the letters of Latin-1. */
static bool looks_like_1252(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool fits = c < 0x80 || c == 0xa0 || c == 0xa9 || c == 0xad || c == 0x82 || c == 0x84 ||
                    c == 0x85 || (c >= 0x91 && c <= 0x97) || c == 0x99 ||
                    (c >= 0xc0 && c <= 0xfe && c != 0xd7 && c != 0xdf && c != 0xf7);
        if (!fits)
            return false;
    }
    return true;
}

/* --- UTF-16 without byte order mark --- */

/* Counts of spaces, and how much more is in the one half of the pairs than in the other. */
static struct charset guess_utf16(struct span s)
{
    size_t little = 0, big = 0, even = 0, odd = 0;
    if (s.n >= 2 && (memcmp(s.p, "\xff\xfe", 2) == 0 || memcmp(s.p, "\xfe\xff", 2) == 0))
        return (struct charset){0};
    for (size_t i = 0; i < s.n; i += 2) {
        unsigned char first = (unsigned char)s.p[i];
        unsigned char second = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;
        even += (first >> 4) + (first & 15u);
        odd += (second >> 4) + (second & 15u);
        little += first == 0x20 && second == 0;
        big += first == 0 && second == 0x20;
    }
    little += even > odd * 4;
    big += odd * 4 > even;
    return charset_named(little > big   ? SPAN("utf-16le")
                         : big > little ? SPAN("utf-16be")
                                        : SPAN(""));
}

/* --- The order of attempts --- */

static bool matches_number(struct span s, struct span prefix, size_t min, size_t max)
{
    if (!span_istarts(s, prefix))
        return false;
    struct span digits = span_from(s, prefix.n);
    for (size_t i = 0; i < digits.n; i++)
        if (!ascii_isdigit(digits.p[i]))
            return false;
    return digits.n >= min && digits.n <= max;
}

static bool is_ascii_name(struct span s)
{
    static const char *const names[] = {"ascii",          "us-ascii",       "ansi x3.4-1986",
                                        "ansi x3.4-1968", "ansi_x3.4-1986", "ansi_x3.4-1968",
                                        "ansix3.4-1986",  "ansix3.4-1968",  "iso646-us"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_ieq(s, span_str(names[i])))
            return true;
    return false;
}

static bool is_iso_8859(struct span s)
{
    static const char *const stems[] = {"iso8859", "iso-8859", "iso 8859"};
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
        if (!span_istarts(s, span_str(stems[i])))
            continue;
        struct span rest = span_from(s, strlen(stems[i]));
        return rest.n == 0 || matches_number(rest, SPAN("-"), 1, 2);
    }
    return false;
}

static bool is_gb18030(struct span s)
{
    static const char *const stems[] = {"gb18030", "gb-18030", "gb 18030"};
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
        if (!span_istarts(s, span_str(stems[i])))
            continue;
        struct span rest = span_from(s, strlen(stems[i]));
        return rest.n == 0 || (rest.n == 5 && matches_number(rest, SPAN("-20"), 2, 2));
    }
    return false;
}

/* KOI8-R, EUC-JP and their like: one or two letters. */
static bool is_lettered(struct span s)
{
    if (!span_istarts(s, SPAN("koi8-")) && !span_istarts(s, SPAN("euc-")))
        return false;
    struct span letters = span_from(s, span_find(s, '-') + 1);
    return (letters.n == 1 || letters.n == 2) && ascii_isalpha(letters.p[0]) &&
           ascii_isalpha(letters.p[letters.n - 1]);
}

/* Declared so, seven-bit text is what it looks like and stays a byte string. */
static bool extends_ascii(struct span s)
{
    return is_ascii_name(s) || is_iso_8859(s) || matches_number(s, SPAN("windows-"), 4, 4) ||
           span_ieq(s, SPAN("utf-8")) || span_ieq(s, SPAN("utf8")) || is_lettered(s) ||
           span_ieq(s, SPAN("big5")) || span_ieq(s, SPAN("gbk")) || is_gb18030(s);
}

static bool is_utf16_name(struct span s)
{
    return span_istarts(s, SPAN("utf16")) || span_istarts(s, SPAN("utf-16")) ||
           span_istarts(s, SPAN("utf 16"));
}

static struct charset charset_for(struct arena *a, struct span declared)
{
    if (span_ieq(declared, SPAN("iso-8859-1")) || span_ieq(declared, SPAN("iso8859-1")) ||
        span_ieq(declared, SPAN("windows-1252")) || span_ieq(declared, SPAN("cp1252")))
        return charset_named(SPAN("cp1252"));
    if (span_ieq(declared, SPAN("utf-8")) || span_ieq(declared, SPAN("utf8")))
        return (struct charset){.kind = CHARSET_UTF8};
    struct charset cs = charset_declared(a, declared);
    return cs.kind == CHARSET_UNKNOWN && is_gb18030(declared) ? charset_named(SPAN("cp936")) : cs;
}

/* UTF-7 without a wide character: "+-" is a plus, all else itself. */
static struct span utf7_bytes(struct arena *a, struct span s)
{
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        out[n++] = s.p[i];
        i += s.p[i] == '+' && i + 1 < s.n && s.p[i + 1] == '-';
    }
    return span_of(out, n);
}

/* As declared; SPAN_NONE when that leads nowhere. *chars: whether
 * the result is a character string. */
static struct span by_declaration(struct arena *a, struct span s, struct span declared, bool insist,
                                  bool *chars)
{
    bool ascii = is_ascii(s), tried_utf8 = !ascii && !insist;
    *chars = true;
    if (!insist && (span_ieq(declared, SPAN("ascii")) || span_ieq(declared, SPAN("us-ascii"))))
        return SPAN_NONE;
    if (is_utf16_name(declared)) {
        struct span text = charset_decode(a, s, guess_utf16(s), true);
        return insist && text.p ? s : text; /* SpamAssassin gives back what it was given */
    }
    struct charset cs = charset_for(a, declared);
    if (cs.kind == CHARSET_UTF8 && tried_utf8)
        return SPAN_NONE;
    if (cs.kind == CHARSET_UTF7 && !insist && !utf7_has_wide(s)) {
        *chars = false;
        return utf7_bytes(a, s);
    }
    if (cs.kind == CHARSET_GSM)
        return charset_by_gsm(a, s, cs.runs, !insist, chars);
    if (cs.kind == CHARSET_HZ)
        return charset_by_hz(a, s, &cs, !insist, chars);
    return charset_decode(a, s, cs, !insist);
}

struct span mime_normalise(struct arena *a, struct span s, struct span declared, bool insist,
                           bool *chars)
{
    bool ascii = is_ascii(s);
    *chars = false;
    if (!declared.p)
        declared = SPAN("us-ascii");
    if (ascii && extends_ascii(declared))
        return s;
    *chars = true;
    if (!ascii && !insist && is_utf8(s))
        return s;
    struct span text = by_declaration(a, s, declared, insist, chars);
    if (text.p)
        return text;
    *chars = !ascii;
    if (ascii)
        return s;
    struct charset western = charset_named(SPAN("cp1252"));
    if (looks_like_1252(s)) {
        text = charset_decode(a, s, western, true);
        if (text.p)
            return text;
    }
    return charset_decode(a, s, western, false);
}

bool mime_is_plainly_utf8(struct span s, struct span declared)
{
    bool may =
        !declared.p || span_ieq(declared, SPAN("us-ascii")) || span_ieq(declared, SPAN("utf-8"));
    return may && !is_ascii(s) && is_utf8(s);
}
