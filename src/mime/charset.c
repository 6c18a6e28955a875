/* Charset normalisation (semantics 3.5): which decoder is tried in which order, and when text stays
 * a byte string. */
#include "mime/charset_private.h"
#include "mime/mime_private.h"

#include <unicode/ucnv.h>
#include <unicode/ucnv_err.h>

#define HIGH_BITS 0x8080808080808080u

bool is_ascii(struct span s)
{
    uint64_t bits = 0;
    size_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t word;
        memcpy(&word, s.p + i, 8);
        bits |= word;
    }
    for (; i < s.n; i++)
        bits |= (uint64_t)(unsigned char)s.p[i];
    return !(bits & HIGH_BITS);
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* --- UTF-8 --- */

static bool is_noncharacter(uint32_t c)
{
    return (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
}

/* Length of the well-formed character at p (Unicode table 3-7, noncharacters refused), or 0. */
static size_t utf8_char(const unsigned char *p, size_t n)
{
    unsigned char lead = p[0];
    size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (length == 1)
        return 1;
    if (length == 0 || lead > 0xf4)
        return 0;
    uint32_t c = lead & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        unsigned char low = 0x80, high = 0xbf;
        if (i == 1 && lead == 0xe0)
            low = 0xa0;
        if (i == 1 && lead == 0xed)
            high = 0x9f;
        if (i == 1 && lead == 0xf0)
            low = 0x90;
        if (i == 1 && lead == 0xf4)
            high = 0x8f;
        if (i >= n || p[i] < low || p[i] > high)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    return is_noncharacter(c) ? 0 : length;
}

static bool is_utf8(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n;) {
        uint64_t word;
        if (s.n - i >= sizeof word) {
            memcpy(&word, p + i, sizeof word);
            if (!(word & HIGH_BITS)) {
                i += sizeof word;
                continue;
            }
        }
        if (p[i] < 0x80) {
            i++;
            continue;
        }
        size_t length = utf8_char(p + i, s.n - i);
        if (!length)
            return false;
        i += length;
    }
    return true;
}

/* How many bytes a character that begins so once had; Encode skips as many continuation bytes. */
static size_t utf8_claimed(unsigned char lead)
{
    return lead < 0xc0   ? 1
           : lead < 0xe0 ? 2
           : lead < 0xf0 ? 3
           : lead < 0xf8 ? 4
           : lead < 0xfc ? 5
           : lead < 0xfe ? 6
           : lead < 0xff ? 7
                         : 13;
}

/* Each character that goes wrong becomes one U+FFFD. */
static struct span utf8_repaired(struct arena *a, struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    char *out = arena_raw(a, s.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        size_t length = utf8_char(p + i, s.n - i);
        if (length) {
            memcpy(out + n, p + i, length);
            n += length;
            i += length;
            continue;
        }
        n += put_utf8(out + n, 0xfffd);
        size_t end = i + utf8_claimed(p[i]);
        for (i++; i < s.n && i < end && (p[i] & 0xc0) == 0x80;)
            i++;
    }
    return span_of(out, n);
}

static struct span ascii_repaired(struct arena *a, struct span s)
{
    char *out = arena_raw(a, s.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += put_utf8(out + n, s.p[i] & 0x80 ? 0xfffd : (uint32_t)s.p[i]);
    return span_of(out, n);
}

/* --- Windows-1252 --- */

static uint32_t windows_1252(unsigned char c)
{
    static const uint16_t high[32] = {
        0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
        0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd, 0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178};
    return c >= 0x80 && c < 0xa0 ? high[c - 0x80] : c;
}

/* strict: SPAN_NONE when a byte is undefined, else it becomes U+FFFD. */
static struct span from_1252(struct arena *a, struct span s, bool strict)
{
    char *out = arena_raw(a, s.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint32_t c = windows_1252((unsigned char)s.p[i]);
        if (strict && c == 0xfffd)
            return SPAN_NONE;
        n += put_utf8(out + n, c);
    }
    return span_of(out, n);
}

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

/* --- Single bytes by table --- */

static struct span by_table(struct arena *a, struct span s, const struct charset_table *table,
                            bool strict)
{
    char *out = arena_raw(a, s.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char byte = (unsigned char)s.p[i];
        uint32_t c = byte < table->from ? byte : table->chars[byte - table->from];
        if (strict && c == 0xfffd)
            return SPAN_NONE;
        n += put_utf8(out + n, c);
    }
    return span_of(out, n);
}

/* --- Everything else, by ICU --- */

struct utf8_out {
    struct arena *a;
    char *p;
    size_t n, cap;
    uint32_t high; /* a first surrogate that waits for its second */
};

static void put_utf16(struct utf8_out *o, const UChar *u, size_t n)
{
    if (o->cap - o->n < n * 3 + 4) {
        size_t want = o->cap * 2 + n * 3 + 4;
        o->p = arena_grow(o->a, o->p, o->cap, want);
        o->cap = want;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t c = u[i];
        if (o->high && c >= 0xdc00 && c < 0xe000)
            c = 0x10000 + ((o->high - 0xd800) << 10) + (c - 0xdc00);
        o->high = 0;
        if (c >= 0xd800 && c < 0xdc00)
            o->high = c;
        else
            o->n += put_utf8(o->p + o->n, c);
    }
}

/* Whether ICU maps the character that begins with this byte, but Encode does not. */
static bool is_foreign(const struct charset_icu *cs, unsigned char lead, UChar c)
{
    return ((cs->quirks & QUIRK_NO_CONTROLS) && c >= 0x80 && c < 0xa0) ||
           ((cs->quirks & QUIRK_NO_PRIVATE) && c >= 0xe000 && c < 0xf900) ||
           (c == 0x1a && lead != 0x1a) || (lead && cs->bad_leads && strchr(cs->bad_leads, lead));
}

/* Converts up to the next byte that means nothing. Returns how many bytes that took; s.n: all. */
static size_t convert_good(UConverter *cnv, const struct charset_icu *cs, struct span s,
                           struct utf8_out *o)
{
    enum { CHUNK = 1024 };
    const char *in = s.p, *end = s.p + s.n;
    ucnv_reset(cnv);
    for (;;) {
        UChar chunk[CHUNK], *to = chunk;
        int32_t from[CHUNK];
        const char *start = in;
        UErrorCode e = U_ZERO_ERROR;
        ucnv_toUnicode(cnv, &to, chunk + CHUNK, &in, end, from, true, &e);
        size_t n = (size_t)(to - chunk);
        for (size_t i = 0; i < n; i++) {
            size_t at = from[i] < 0 ? 0 : (size_t)from[i];
            unsigned char lead = (unsigned char)start[at];
            if ((cs->quirks & QUIRK_ASCII) && lead < 0x80)
                chunk[i] = lead; /* IBM's tables exchange three control characters */
            if (!is_foreign(cs, lead, chunk[i]))
                continue;
            put_utf16(o, chunk, i);
            return (size_t)(start - s.p) + at;
        }
        put_utf16(o, chunk, n);
        if (e == U_BUFFER_OVERFLOW_ERROR)
            continue;
        bool cut_off =
            e == U_TRUNCATED_CHAR_FOUND && (cs->quirks & QUIRK_ASCII); /* Encode drops it */
        if (U_SUCCESS(e) || cut_off)
            return s.n;
        char bad[32];
        int8_t length = sizeof bad;
        e = U_ZERO_ERROR;
        ucnv_getInvalidChars(cnv, bad, &length, &e);
        return (size_t)(in - s.p) - (U_SUCCESS(e) ? (size_t)length : 1);
    }
}

/* What Encode makes of a byte that ICU refuses; 0 when it refuses it as well. */
static uint32_t odd_byte(const struct charset_icu *cs, unsigned char byte)
{
    for (size_t i = 0; i < sizeof cs->odd / sizeof *cs->odd && cs->odd[i].byte; i++)
        if (cs->odd[i].byte == byte)
            return cs->odd[i].c;
    return 0;
}

static struct span by_icu(struct arena *a, struct span s, const struct charset_icu *cs, bool strict)
{
    UErrorCode e = U_ZERO_ERROR;
    UConverter *cnv = ucnv_open(cs->converter, &e);
    if (U_FAILURE(e))
        return SPAN_NONE;
    ucnv_setToUCallBack(cnv, UCNV_TO_U_CALLBACK_STOP, NULL, NULL, NULL, &e);
    struct utf8_out o = {.a = a};
    bool failed = false;
    while (s.n && !failed) {
        s = span_from(s, convert_good(cnv, cs, s, &o));
        if (!s.n)
            break;
        if (cs->quirks & QUIRK_STOPS)
            break;
        UChar c = (UChar)odd_byte(cs, (unsigned char)s.p[0]);
        failed = strict && !c;
        c = c ? c : 0xfffd;
        put_utf16(&o, &c, 1);
        s = span_from(s, 1);
    }
    ucnv_close(cnv);
    return failed ? SPAN_NONE : span_of(o.p ? o.p : "", o.n);
}

static struct span by_charset(struct arena *a, struct span s, struct charset cs, bool strict)
{
    switch (cs.kind) {
    case CHARSET_ASCII:
        return is_ascii(s) ? s : strict ? SPAN_NONE : ascii_repaired(a, s);
    case CHARSET_UTF8:
        return is_utf8(s) ? s : strict ? SPAN_NONE : utf8_repaired(a, s);
    case CHARSET_1252:
        return from_1252(a, s, strict);
    case CHARSET_TABLE:
        return by_table(a, s, cs.table, strict);
    case CHARSET_ICU:
        return by_icu(a, s, cs.icu, strict);
    case CHARSET_UNKNOWN:
        break;
    }
    return SPAN_NONE;
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
        return (struct charset){.kind = CHARSET_1252};
    if (span_ieq(declared, SPAN("utf-8")) || span_ieq(declared, SPAN("utf8")))
        return (struct charset){.kind = CHARSET_UTF8};
    struct charset cs = charset_declared(a, declared);
    return cs.kind == CHARSET_UNKNOWN && is_gb18030(declared) ? charset_named(SPAN("cp936")) : cs;
}

static struct span by_declaration(struct arena *a, struct span s, struct span declared, bool insist,
                                  bool tried_utf8)
{
    if (!insist && (span_ieq(declared, SPAN("ascii")) || span_ieq(declared, SPAN("us-ascii"))))
        return SPAN_NONE;
    if (is_utf16_name(declared))
        return by_charset(a, s, guess_utf16(s), true);
    struct charset cs = charset_for(a, declared);
    return cs.kind == CHARSET_UTF8 && tried_utf8 ? SPAN_NONE : by_charset(a, s, cs, !insist);
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
    bool try_utf8 = !ascii && !insist;
    *chars = true;
    if (try_utf8 && is_utf8(s))
        return s;
    struct span text = by_declaration(a, s, declared, insist, try_utf8);
    if (text.p)
        return text;
    if (ascii) {
        *chars = false;
        return s;
    }
    if (looks_like_1252(s)) {
        text = from_1252(a, s, true);
        if (text.p)
            return text;
    }
    return from_1252(a, s, false);
}
