/* Multi-byte charsets by ICU, held to what Perl's Encode makes of them: one byte at a time is given
 * up where something means nothing, and named quirks where their tables differ. */
#include "mime/charset_private.h"

#include <unicode/ucnv.h>
#include <unicode/ucnv_err.h>

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
        if (U_SUCCESS(e))
            return s.n;
        bool cut_off = e == U_TRUNCATED_CHAR_FOUND && (cs->quirks & QUIRK_ASCII);
        char bad[32];
        int8_t length = sizeof bad;
        e = U_ZERO_ERROR;
        ucnv_getInvalidChars(cnv, bad, &length, &e);
        if (U_FAILURE(e) || length < 1)
            return (size_t)(in - s.p) - 1;
        if (cut_off && !is_foreign(cs, (unsigned char)bad[0], 0)) /* Encode drops it */
            return s.n;
        return (size_t)(in - s.p) - (size_t)length;
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

struct span charset_by_icu(struct arena *a, struct span s, const struct charset_icu *cs,
                           bool strict)
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
