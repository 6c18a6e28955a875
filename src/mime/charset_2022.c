/* ISO-2022-JP, ISO-2022-KR and HZ as Perl's Encode reads them: escape sequences are taken away and
 * what they speak of becomes EUC; the decoder of the first two writes a byte that means nothing as
 * \xHH. */
#include "mime/charset_private.h"

enum set { SET_ASCII, SET_KANJI, SET_EXTRA, SET_KANA };

static const struct escape {
    struct span text;
    enum set set;
} escapes[] = {
    {{"\033$(D", 4}, SET_EXTRA}, {{"\033$@", 3}, SET_KANJI},       {{"\033$B", 3}, SET_KANJI},
    {{"\033(B", 3}, SET_ASCII},  {{"\033&@\033$B", 6}, SET_KANJI}, {{"\033(J", 3}, SET_ASCII},
    {{"\033(I", 3}, SET_KANA},
};

/* The escape sequence that s begins with, or NULL. */
static const struct escape *escape_at(struct span s)
{
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        if (span_starts(s, escapes[i].text))
            return &escapes[i];
    return NULL;
}

static unsigned char raised(char c)
{
    return c >= 0x21 && c <= 0x7e ? (unsigned char)c | 0x80 : (unsigned char)c;
}

static bool is_raised(unsigned char c)
{
    return c >= 0xa1 && c <= 0xfe;
}

/* The characters of one set as EUC-JP. */
static char *put_set(char *o, struct span chunk, enum set set)
{
    for (size_t i = 0; i < chunk.n; i++) {
        unsigned char c = set == SET_ASCII ? (unsigned char)chunk.p[i] : raised(chunk.p[i]);
        if (set == SET_KANA && c >= 0xa1 && c <= 0xdf)
            *o++ = (char)0x8e;
        bool pair = is_raised(c) && i + 1 < chunk.n && is_raised(raised(chunk.p[i + 1]));
        if (set == SET_EXTRA && pair) {
            *o++ = (char)0x8f;
            *o++ = (char)c;
            c = raised(chunk.p[++i]);
        }
        *o++ = (char)c;
    }
    return o;
}

/* Up to the first byte beyond ASCII; an escape sequence that is none ends the text. */
static struct span jis_to_euc(struct arena *a, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] & 0x80)
            s.n = i;
    char *out = arena_raw(a, s.n * 2 + 1), *o = out;
    enum set set = SET_ASCII;
    while (s.n) {
        const struct escape *e = escape_at(s);
        if (e) {
            set = e->set;
            s = span_from(s, e->text.n);
        } else if (s.p[0] == '\033') {
            break;
        }
        size_t end = span_find(s, '\033');
        struct span chunk = span_sub(s, 0, end == SIZE_MAX ? s.n : end);
        o = put_set(o, chunk, set);
        s = span_from(s, chunk.n);
    }
    return span_of(out, (size_t)(o - out));
}

/* Between SO and SI; the designator goes, another escape ends the text. */
static struct span ksc_to_euc(struct arena *a, struct span s)
{
    static const struct span designator = {"\033$)C", 4};
    char *out = arena_raw(a, s.n + 1), *o = out;
    bool shifted = false;
    size_t last = span_rfind(s, '\017');
    const char *shift_in = last == SIZE_MAX ? s.p : s.p + last; /* none behind it */
    while (s.n) {
        if (span_starts(s, designator)) {
            s = span_from(s, designator.n);
            continue;
        }
        if (s.p[0] == '\033')
            break;
        if (!shifted && s.p[0] == '\016' && s.p < shift_in) {
            shifted = true;
        } else if (shifted && s.p[0] == '\017') {
            shifted = false;
        } else {
            *o++ = shifted ? (char)raised(s.p[0]) : s.p[0];
        }
        s = span_from(s, 1);
    }
    return span_of(out, (size_t)(o - out));
}

/* Two letters that are one character of GB 2312: how many bytes of them s begins with. */
static size_t gb_pairs(struct span s)
{
    size_t n = 0;
    while (n + 1 < s.n && s.p[n] >= 0x21 && s.p[n] <= 0x77 && s.p[n + 1] >= 0x21 &&
           s.p[n + 1] <= 0x7e)
        n += 2;
    return n;
}

struct span charset_by_hz(struct arena *a, struct span s, const struct charset *cs, bool strict,
                          bool *wide)
{
    char *out = arena_raw(a, s.n * 2 + 1), *o = out;
    bool gb = false;
    *wide = false;
    while (s.n) {
        size_t n = gb ? gb_pairs(s) : span_find(s, '~');
        if (gb && n) {
            char *raised_pairs = arena_raw(a, n);
            for (size_t i = 0; i < n; i++)
                raised_pairs[i] = (char)raised(s.p[i]);
            struct span text = charset_by_icu(a, span_of(raised_pairs, n), cs->icu,
                                              strict ? ON_ERROR_FAIL : ON_ERROR_REPLACE);
            if (!text.p)
                return SPAN_NONE;
            memcpy(o, text.p, text.n);
            o += text.n;
            *wide = true;
        } else if (!gb && n) {
            size_t ascii = 0;
            n = n == SIZE_MAX ? s.n : n;
            while (ascii < n && !(s.p[ascii] & 0x80))
                *o++ = s.p[ascii++];
            if (ascii < n)
                break;
        } else if (s.n < 2 || s.p[0] != '~' || (s.p[1] == '}') != gb) {
            break; /* what follows means nothing */
        } else {
            n = 2;
            if (!gb && s.p[1] == '~')
                *o++ = '~';
            else if (s.p[1] == '{' || s.p[1] == '}')
                gb = !gb;
            else if (s.p[1] != '\n')
                break;
        }
        s = span_from(s, n);
    }
    return span_of(out, (size_t)(o - out));
}

struct span charset_by_2022(struct arena *a, struct span s, const struct charset *cs)
{
    struct span euc = cs->kind == CHARSET_2022_KR ? ksc_to_euc(a, s) : jis_to_euc(a, s);
    return charset_by_icu(a, euc, cs->icu, ON_ERROR_SPELL);
}
