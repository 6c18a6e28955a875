#include "rules/locales.h"

#include <stdlib.h>

enum { CHARSET_MAX = 64 };

static const char cyrillic[] = " KOI8R KOI8U KOI8T ISOIR111 CP1251 GEORGIANPS PT154 CP866 ";

/* By country: what is used there besides ISO 8859, Windows and Unicode. */
static const struct {
    char locale[3];
    const char *charsets;
} table[] = {
    {"ja", " EUCJP JISX020119760 JISX020819830 JISX020819900 JISX020819970 JISX021219900 "
           "JISX021320001 JISX021320002 SHIFT_JIS SHIFTJIS ISO2022JP SJIS JIS7 JISX0201 JISX0208 "
           "JISX0212 "},
    {"ko", " EUCKR KSC56011987 "},
    {"ru", cyrillic},
    {"ka", cyrillic},
    {"tg", cyrillic},
    {"be", cyrillic},
    {"uk", cyrillic},
    {"bg", cyrillic},
    {"th", " TIS620 "},
    {"zh", " GB1988 GB2312 GB231219800 GB18030 GBK BIG5HKSCS BIG5 EUCTW ISO2022CN "},
};

bool locales_all(struct span ok_locales)
{
    struct span word;
    while ((word = span_word(&ok_locales, " \t")).p)
        if (span_eq(word, SPAN("all")))
            return true;
    return false;
}

/* Capitals and digits alone, without what quoted-printable leaves in front. */
static struct span canonical(struct span s, char out[CHARSET_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < CHARSET_MAX - 2; i++)
        if (ascii_isalnum(s.p[i]))
            out[n++] = ascii_isalpha(s.p[i]) ? (char)(ascii_lower(s.p[i]) - 'a' + 'A') : s.p[i];
    struct span c = span_of(out, n);
    return span_starts(c, SPAN("3D")) ? span_from(c, 2) : c;
}

static bool everywhere(struct span c)
{
    static const char *const starts[] = {"ISO8859", "ISO10646", "UTF",           "UCS",
                                         "CP125",   "WINDOWS",  "UNICODE11UTF7", "UNICODE11UTF8"};
    static const char *const names[] = {"USASCII", "ASCII", "IBM852", "XUNKNOWN", "ISO"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (span_starts(c, span_str(starts[i])))
            return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_eq(c, span_str(names[i])))
            return true;
    return false;
}

static bool used_in(struct span locale, struct span charset)
{
    char word[CHARSET_MAX + 2];
    word[0] = ' ';
    memcpy(word + 1, charset.p, charset.n);
    word[charset.n + 1] = ' ';
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (span_starts(locale, span_of(table[i].locale, 2)) &&
            span_search(span_str(table[i].charsets), span_of(word, charset.n + 2)) != SIZE_MAX)
            return true;
    return false;
}

bool locales_charset_ok(struct span ok_locales, struct span charset)
{
    static const char *const names[] = {"LC_ALL", "LANGUAGE", "LC_MESSAGES", "LANG"};
    char text[CHARSET_MAX];
    struct span c = canonical(charset, text), word;
    if (everywhere(c))
        return true;
    while ((word = span_word(&ok_locales, " \t")).p)
        if (used_in(word, c))
            return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *set = getenv(names[i]);
        if (set && *set)
            return used_in(span_str(set), c);
    }
    return false;
}
