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

static void make_room(struct utf8_out *o, size_t n)
{
    if (o->cap - o->n >= n)
        return;
    size_t want = o->cap * 2 + n;
    o->p = arena_grow(o->a, o->p, o->cap, want);
    o->cap = want;
}

static void put_utf16(struct utf8_out *o, const UChar *u, size_t n)
{
    make_room(o, n * 3 + 4);
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

static void put_text(struct utf8_out *o, struct span text)
{
    make_room(o, text.n);
    memcpy(o->p + o->n, text.p, text.n);
    o->n += text.n;
}

/* --- Where Encode's tables say something else --- */

/* The length of the code at p that Encode maps otherwise, or 0; *text: what it means. */
static size_t mapped_otherwise(const struct charset_icu *cs, struct span s, struct span *text,
                               char buf[4])
{
    const unsigned char *p = (const unsigned char *)s.p;
    if (!cs->runs || s.n < 2 || p[0] < 0x80)
        return 0;
    bool three = (cs->quirks & QUIRK_THREE) && p[0] == 0x8f;
    if (three && s.n < 3)
        return 0;
    uint32_t code = (uint32_t)p[0] << 8 | p[1];
    if (three)
        code = code << 8 | p[2];
    const struct charset_run *run = charset_run_of(cs->runs, code);
    if (!run)
        return 0;
    *text = charset_run_text(run, code, buf);
    return three ? 3 : 2;
}

/* What Encode makes of a byte by itself; 0 when that is nothing else than ICU does. */
static uint32_t odd_byte(const struct charset_icu *cs, unsigned char byte)
{
    for (size_t i = 0; i < sizeof cs->odd / sizeof *cs->odd && cs->odd[i].byte; i++)
        if (cs->odd[i].byte == byte)
            return cs->odd[i].c;
    return 0;
}

/* Whether ICU maps the character that begins with this byte, but Encode does not. */
static bool is_foreign(const struct charset_icu *cs, unsigned char lead, UChar c)
{
    return ((cs->quirks & QUIRK_NO_CONTROLS) && c >= 0x80 && c < 0xa0) ||
           ((cs->quirks & QUIRK_NO_PRIVATE) && c >= 0xe000 && c < 0xf900) ||
           (c == 0x1a && lead != 0x1a) || (lead && cs->bad_leads && strchr(cs->bad_leads, lead)) ||
           odd_byte(cs, lead);
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
            struct span otherwise;
            char buf[4];
            if (!is_foreign(cs, lead, chunk[i]) &&
                !mapped_otherwise(cs, span_of(start + at, (size_t)(end - start) - at), &otherwise,
                                  buf))
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

/* A byte that means nothing to ICU; false when that is an error. */
static bool put_bad(struct utf8_out *o, const struct charset_icu *cs, unsigned char byte,
                    enum charset_on_error on_error)
{
    static const char hex[] = "0123456789ABCDEF";
    UChar c = (UChar)odd_byte(cs, byte);
    if (!c && on_error == ON_ERROR_FAIL)
        return false;
    if (!c && on_error == ON_ERROR_SPELL) {
        UChar spelled[] = {'\\', 'x', (UChar)hex[byte >> 4], (UChar)hex[byte & 15]};
        put_utf16(o, spelled, 4);
    } else {
        c = c ? c : 0xfffd;
        put_utf16(o, &c, 1);
    }
    return true;
}

struct span charset_by_icu(struct arena *a, struct span s, const struct charset_icu *cs,
                           enum charset_on_error on_error)
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
        struct span text;
        char buf[4];
        size_t n = mapped_otherwise(cs, s, &text, buf);
        if (n && text.n) {
            put_text(&o, text);
            s = span_from(s, n);
        } else if (s.n && (cs->quirks & QUIRK_THREE) && s.p[0] == (char)0x8f && s.n < 3) {
            break;
        } else if (s.n) {
            failed = !put_bad(&o, cs, (unsigned char)s.p[0], on_error);
            s = span_from(s, 1);
        }
    }
    ucnv_close(cnv);
    return failed ? SPAN_NONE : span_of(o.p ? o.p : "", o.n);
}
