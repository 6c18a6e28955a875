#include "mime/charset_private.h"

/* Lower-cased name as Encode has it, converter. */
static const struct {
    const char *name, *converter;
} converters[] = {
    {"utf-8-strict", "=utf-8"},
    {"utf-8", "=utf-8"},
    {"utf8", "=utf-8"},
    {"utf-7", "UTF-7"},
    {"ascii", "US-ASCII"},
    {"us-ascii", "US-ASCII"},
    {"iso-8859-1", "ISO-8859-1"},
    {"iso-8859-2", "ISO-8859-2"},
    {"iso-8859-3", "ISO-8859-3"},
    {"iso-8859-4", "ISO-8859-4"},
    {"iso-8859-5", "ISO-8859-5"},
    {"iso-8859-6", "ISO-8859-6"},
    {"iso-8859-7", "ISO-8859-7"},
    {"iso-8859-8", "ISO-8859-8"},
    {"iso-8859-9", "ISO-8859-9"},
    {"iso-8859-10", "ISO-8859-10"},
    {"iso-8859-13", "ISO-8859-13"},
    {"iso-8859-14", "ISO-8859-14"},
    {"iso-8859-15", "ISO-8859-15"},
    {"koi8-r", "KOI8-R"},
    {"koi8-u", "KOI8-U"},
    {"windows-1250", "windows-1250"},
    {"windows-1251", "windows-1251"},
    {"windows-1252", "=windows-1252"},
    {"gb2312", "EUC-CN"},
    {"gbk", "GBK"},
    {"big5", "Big5"},
    {"euc-jp", "EUC-JP"},
    {"iso-2022-jp", "ISO-2022-JP"},
    {"shift_jis", "Shift_JIS"},
    {"euc-kr", "EUC-KR"},
    {"ks_c_5601-1987", "windows-949"},
};

const char *charset_converter(struct arena *a, struct span declared)
{
    struct span name = arena_lower(a, declared);
    for (size_t i = 0; i < sizeof converters / sizeof *converters; i++)
        if (span_eq(name, span_str(converters[i].name)))
            return converters[i].converter;
    return NULL;
}
