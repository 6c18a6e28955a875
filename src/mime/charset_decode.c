/* The decoders: each makes UTF-8 of bytes in one charset. Strict ones fail at the first byte that
 * means nothing (SPAN_NONE), lax ones put U+FFFD in its place, as Perl's Encode does. */
#include "mime/charset_private.h"
#include "mime/mime_private.h"

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

size_t put_utf8(char *out, uint32_t c)
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

bool is_utf8(struct span s)
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

/* Perl's automaton goes on behind a byte that begins nothing, one row off in its table: what
 * follows is taken as if it began with another byte. The length of such a character at p, which the
 * U+FFFD of the byte in front of it swallows, or 0. */
static size_t utf8_swallowed(const unsigned char *p, size_t n)
{
    unsigned char s[4], c = n ? p[0] : 0;
    for (size_t i = 0; i < sizeof s; i++)
        s[i] = i < n ? p[i] : 0;
    if (c < 0xc0 || c == 0xf0)
        return 0;
    s[0] = c == 0xe0                           ? 0xf0
           : c == 0xef                         ? 0xf4
           : c == 0xf4                         ? 0xf1
           : c == 0xed || c < 0xc2 || c > 0xf4 ? 0xc2
           : c < 0xe0                          ? 0xe1
           : c < 0xf0                          ? 0xef
                                               : 0xe0;
    return utf8_char(s, n < sizeof s ? n : sizeof s);
}

static bool begins_nothing(unsigned char c)
{
    return c < 0xc2 || c == 0xed || c > 0xf4;
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
        size_t more = begins_nothing(p[i]) ? utf8_swallowed(p + i + 1, s.n - i - 1) : 0;
        if (more) {
            i += 1 + more;
            continue;
        }
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

/* --- Single bytes by table --- */

static struct span by_table(struct arena *a, struct span s, const struct charset_table *table,
                            bool strict)
{
    char *out = arena_raw(a, s.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        size_t ascii = table->from < 0x80 ? i : span_ascii_end(s, i);
        memcpy(out + n, s.p + i, ascii - i);
        n += ascii - i;
        i = ascii;
        if (i == s.n)
            break;
        unsigned char byte = (unsigned char)s.p[i];
        uint32_t c = byte < table->from ? byte : table->chars[byte - table->from];
        if (strict && c == 0xfffd)
            return SPAN_NONE;
        n += put_utf8(out + n, c);
    }
    return span_of(out, n);
}

/* --- UTF-7 (RFC 2152) --- */

static size_t utf7_run(struct span s)
{
    size_t n = 0;
    while (n < s.n && (ascii_isalnum(s.p[n]) || s.p[n] == '+' || s.p[n] == '/'))
        n++;
    return n;
}

bool utf7_has_wide(struct span s)
{
    for (size_t i = 0; i + 1 < s.n; i++)
        if (s.p[i] == '+' && utf7_run(span_from(s, i + 1)))
            return true;
    return false;
}

/* "+" base64 "-" is UTF-16, "+-" a plus; a byte outside ASCII is itself, as Encode has it. */
static struct span from_utf7(struct arena *a, struct span s)
{
    static const struct charset_unicode form = {.size = 2, .order = UNICODE_BIG};
    char *out = arena_raw(a, s.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] != '+') {
            n += put_utf8(out + n, (unsigned char)s.p[i++]);
            continue;
        }
        i++;
        struct span rest = span_from(s, i);
        size_t run = utf7_run(rest);
        if (run) {
            struct span units = base64_decode(a, span_sub(rest, 0, run)).bytes;
            struct span text = charset_by_unicode(a, units, &form, false);
            memcpy(out + n, text.p, text.n);
            n += text.n;
        } else {
            out[n++] = '+';
        }
        i += run;
        if (i < s.n && s.p[i] == '-')
            i++;
    }
    return span_of(out, n);
}

static struct span all_replaced(struct arena *a, struct span s, bool strict)
{
    char *out = arena_raw(a, s.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += put_utf8(out + n, 0xfffd);
    return strict && s.n ? SPAN_NONE : span_of(out, n);
}

struct span charset_decode(struct arena *a, struct span s, struct charset cs, bool strict)
{
    bool wide;
    switch (cs.kind) {
    case CHARSET_ASCII:
        return is_ascii(s) ? s : strict ? SPAN_NONE : ascii_repaired(a, s);
    case CHARSET_UTF8:
        return is_utf8(s) ? s : strict ? SPAN_NONE : utf8_repaired(a, s);
    case CHARSET_UTF7:
        return from_utf7(a, s);
    case CHARSET_TABLE:
        return by_table(a, s, cs.table, strict);
    case CHARSET_ICU:
        return charset_by_icu(a, s, cs.icu, strict ? ON_ERROR_FAIL : ON_ERROR_REPLACE);
    case CHARSET_CODES:
        return charset_by_codes(a, s, cs.runs, strict);
    case CHARSET_RAW:
        return charset_by_raised(a, s, &cs, strict);
    case CHARSET_GSM:
        return charset_by_gsm(a, s, cs.runs, strict, &wide);
    case CHARSET_NULL:
        return all_replaced(a, s, strict);
    case CHARSET_UNICODE:
        return charset_by_unicode(a, s, cs.unicode, strict);
    case CHARSET_HZ:
        return charset_by_hz(a, s, &cs, strict, &wide);
    case CHARSET_2022_JP:
    case CHARSET_2022_KR:
        return charset_by_2022(a, s, &cs);
    case CHARSET_UNKNOWN:
        break;
    }
    return SPAN_NONE;
}
