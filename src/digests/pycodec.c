/* Python's text codecs by the converters of ICU. */
#include "digests/pytext.h"

#include <unicode/ucnv.h>
#include <unicode/ucnv_cb.h>
#include <unicode/ucnv_err.h>

#include "base/utf8.h"
#include "base/xalloc.h"

enum codec_flag {
    CODEC_ASCII = 1,      /* bytes below 0x80 are ASCII */
    CODEC_NO_CONTROLS = 2 /* ICU maps bytes without a meaning to C1 controls, Python does not */
};

struct codec {
    const char *icu; /* NULL: ASCII */
    const char *names;
    int flags;
};

/* Names as Python normalises them: lower case, runs of other characters are one '_'. */
/* clang-format off */
static const struct codec codecs[] = {
    {NULL, "ascii 646 ansi_x3.4_1968 ansi_x3_4_1968 ansi_x3.4_1986 cp367 csascii ibm367 iso646_us "
           "iso_646.irv_1991 iso_ir_6 us us_ascii", 1},
    {"UTF-8", "utf_8 u8 utf utf8 utf8_ucs2 utf8_ucs4 cp65001", 1},
    {"ISO-8859-1", "latin_1 8859 cp819 csisolatin1 ibm819 iso8859 iso8859_1 iso_8859_1 "
                   "iso_8859_1_1987 iso_ir_100 l1 latin latin1", 1},
    {"windows-1252", "cp1252 1252 windows_1252", 3},
    {"ISO-8859-2", "iso8859_2 csisolatin2 iso_8859_2 iso_8859_2_1987 iso_ir_101 l2 latin2", 1},
    {"ISO-8859-3", "iso8859_3 csisolatin3 iso_8859_3 iso_8859_3_1988 iso_ir_109 l3 latin3", 1},
    {"ISO-8859-4", "iso8859_4 csisolatin4 iso_8859_4 iso_8859_4_1988 iso_ir_110 l4 latin4", 1},
    {"ISO-8859-5", "iso8859_5 csisolatincyrillic cyrillic iso_8859_5 iso_8859_5_1988 iso_ir_144", 1},
    {"ISO-8859-6", "iso8859_6 arabic asmo_708 csisolatinarabic ecma_114 iso_8859_6 "
                   "iso_8859_6_1987 iso_ir_127", 1},
    {"ISO-8859-7", "iso8859_7 csisolatingreek ecma_118 elot_928 greek greek8 iso_8859_7 "
                   "iso_8859_7_1987 iso_ir_126", 1},
    {"ISO-8859-8", "iso8859_8 csisolatinhebrew hebrew iso_8859_8 iso_8859_8_1988 iso_ir_138", 1},
    {"ISO-8859-9", "iso8859_9 csisolatin5 iso_8859_9 iso_8859_9_1989 iso_ir_148 l5 latin5", 1},
    {"ISO-8859-10", "iso8859_10 csisolatin6 iso_8859_10 iso_8859_10_1992 iso_ir_157 l6 latin6", 1},
    {"ISO-8859-13", "iso8859_13 iso_8859_13 l7 latin7", 1},
    {"ISO-8859-14", "iso8859_14 iso_8859_14 iso_8859_14_1998 iso_celtic iso_ir_199 l8 latin8", 1},
    {"ISO-8859-15", "iso8859_15 iso_8859_15 l9 latin9", 1},
    {"iso-8859_11-2001", "iso8859_11 thai iso_8859_11 iso_8859_11_2001", 1},
    {"TIS-620", "tis_620 tis620 tis_620_0 tis_620_2529_0 tis_620_2529_1 iso_ir_166", 3},
    {"windows-874", "cp874", 3},
    {"windows-1250", "cp1250 1250 windows_1250", 3},
    {"windows-1251", "cp1251 1251 windows_1251", 3},
    {"windows-1253", "cp1253 1253 windows_1253", 3},
    {"windows-1254", "cp1254 1254 windows_1254", 3},
    {"windows-1255", "cp1255 1255 windows_1255", 3},
    {"windows-1256", "cp1256 1256 windows_1256", 3},
    {"windows-1257", "cp1257 1257 windows_1257", 3},
    {"windows-1258", "cp1258 1258 windows_1258", 3},
    {"KOI8-R", "koi8_r cskoi8r", 1},
    {"KOI8-U", "koi8_u", 1},
    {"IBM437", "cp437 437 cspc8codepage437 ibm437", 1},
    {"IBM737", "cp737", 1},
    {"IBM775", "cp775 775 cspc775baltic ibm775", 1},
    {"IBM850", "cp850 850 cspc850multilingual ibm850", 1},
    {"IBM852", "cp852 852 cspcp852 ibm852", 1},
    {"IBM855", "cp855 855 csibm855 ibm855", 1},
    {"IBM857", "cp857 857 csibm857 ibm857", 1},
    {"IBM858", "cp858 858 csibm858 ibm858", 1},
    {"IBM860", "cp860 860 csibm860 ibm860", 1},
    {"IBM861", "cp861 861 cp_is csibm861 ibm861", 1},
    {"IBM862", "cp862 862 cspc862latinhebrew ibm862", 1},
    {"IBM863", "cp863 863 csibm863 ibm863", 1},
    {"IBM865", "cp865 865 csibm865 ibm865", 1},
    {"IBM866", "cp866 866 csibm866 ibm866", 1},
    {"IBM869", "cp869 869 cp_gr csibm869 ibm869", 1},
    {"IBM037", "cp037 037 csibm037 ebcdic_cp_ca ebcdic_cp_nl ebcdic_cp_us ebcdic_cp_wt ibm037 "
               "ibm039", 0},
    {"IBM500", "cp500 500 csibm500 ebcdic_cp_be ebcdic_cp_ch ibm500", 0},
    {"macintosh", "mac_roman macintosh macroman", 1},
    {"x-mac-cyrillic", "mac_cyrillic maccyrillic", 1},
    {"x-mac-greek", "mac_greek macgreek", 1},
    {"x-mac-turkish", "mac_turkish macturkish", 1},
    {"Big5", "big5 big5_tw csbig5 x_mac_trad_chinese", 1},
    {"Big5-HKSCS", "big5hkscs big5_hkscs hkscs", 1},
    {"windows-950", "cp950 950 ms950", 1},
    {"gb2312", "gb2312 chinese csiso58gb231280 euc_cn euccn eucgb2312_cn gb2312_1980 gb2312_80 "
               "iso_ir_58 x_mac_simp_chinese", 1},
    {"GBK", "gbk 936 cp936 ms936", 1},
    {"gb18030", "gb18030 gb18030_2000", 1},
    {"HZ-GB-2312", "hz hzgb hz_gb hz_gb_2312", 0},
    {"EUC-JP", "euc_jp eucjp ujis u_jis", 1},
    {"Shift_JIS", "shift_jis csshiftjis shiftjis sjis s_jis x_mac_japanese", 1},
    {"windows-31j", "cp932 932 ms932 mskanji ms_kanji", 1},
    {"ISO-2022-JP", "iso2022_jp csiso2022jp iso2022jp iso_2022_jp", 0},
    {"ISO-2022-JP-1", "iso2022_jp_1 iso2022jp_1 iso_2022_jp_1", 0},
    {"ISO-2022-JP-2", "iso2022_jp_2 iso2022jp_2 iso_2022_jp_2", 0},
    {"EUC-KR", "euc_kr euckr korean ksc5601 ks_c_5601 ks_c_5601_1987 ksx1001 ks_x_1001 "
               "x_mac_korean", 1},
    {"windows-949", "cp949 949 ms949 uhc", 1},
    {"ISO-2022-KR", "iso2022_kr csiso2022kr iso2022kr iso_2022_kr", 0},
    {"UTF-7", "utf_7 u7 utf7 unicode_1_1_utf_7", 0},
    {"UTF-16", "utf_16 u16 utf16", 0},
    {"UTF-16BE", "utf_16_be unicodebigunmarked utf_16be", 0},
    {"UTF-16LE", "utf_16_le unicodelittleunmarked utf_16le", 0},
    {"UTF-32", "utf_32 u32 utf32", 0},
    {"UTF-32BE", "utf_32_be utf_32be", 0},
    {"UTF-32LE", "utf_32_le utf_32le", 0},
};
/* clang-format on */

static struct span normalised(struct span name, char out[64])
{
    size_t n = 0;
    bool gap = false;
    for (size_t i = 0; i < name.n && n < 62; i++) {
        if (!ascii_isalnum(name.p[i]) && name.p[i] != '.') {
            gap = true;
            continue;
        }
        if (gap && n)
            out[n++] = '_';
        out[n++] = ascii_lower(name.p[i]);
        gap = false;
    }
    return span_of(out, n);
}

static const struct codec *codec_of(struct span charset)
{
    char text[64];
    struct span want = normalised(charset, text);
    for (size_t i = 1; want.n && i < sizeof codecs / sizeof *codecs; i++) {
        struct span names = span_str(codecs[i].names), name;
        while ((name = span_word(&names, " ")).p)
            if (span_eq(name, want))
                return &codecs[i];
    }
    return &codecs[0];
}

bool py_ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static struct span from_ascii(struct arena *a, struct span s, bool replace)
{
    struct buf b = {0};
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x80)
            buf_char(&b, s.p[i]);
        else if (replace)
            buf_str(&b, UTF8_REPLACEMENT);
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

static void add_utf16(struct buf *b, const UChar *u, size_t n, uint32_t *high, int flags)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t c = u[i];
        char *out = buf_room(b, 4);
        size_t used = 0;
        if (*high && c >= 0xdc00 && c < 0xe000)
            c = 0x10000 + ((*high - 0xd800) << 10) + (c - 0xdc00);
        *high = 0;
        if (c >= 0xd800 && c < 0xdc00) {
            *high = c;
            continue;
        }
        if ((c >= 0xdc00 && c < 0xe000) || ((flags & CODEC_NO_CONTROLS) && c >= 0x80 && c < 0xa0))
            continue;
        if (c < 0x80) {
            out[used++] = (char)c;
        } else if (c < 0x800) {
            out[used++] = (char)(0xc0 | c >> 6);
            out[used++] = (char)(0x80 | (c & 0x3f));
        } else {
            if (c >= 0x10000)
                out[used++] = (char)(0xf0 | c >> 18);
            out[used++] = (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 0x3f) : 0xe0 | c >> 12);
            out[used++] = (char)(0x80 | (c >> 6 & 0x3f));
            out[used++] = (char)(0x80 | (c & 0x3f));
        }
        b->n += used;
    }
}

static void convert(UConverter *cnv, struct span s, int flags, struct buf *b)
{
    enum { CHUNK = 4096 };
    UChar chunk[CHUNK];
    const char *in = s.p, *end = s.p + s.n;
    uint32_t high = 0;
    UErrorCode e;
    do {
        UChar *to = chunk;
        e = U_ZERO_ERROR;
        ucnv_toUnicode(cnv, &to, chunk + CHUNK, &in, end, NULL, true, &e);
        add_utf16(b, chunk, (size_t)(to - chunk), &high, flags);
    } while (e == U_BUFFER_OVERFLOW_ERROR);
}

struct span py_decode(struct arena *a, struct span bytes, struct span charset, bool replace)
{
    const struct codec *codec = codec_of(charset);
    if ((codec->flags & CODEC_ASCII) && py_ascii(bytes))
        return bytes;
    UErrorCode e = U_ZERO_ERROR;
    UConverter *cnv = codec->icu ? ucnv_open(codec->icu, &e) : NULL;
    if (!cnv || U_FAILURE(e))
        return from_ascii(a, bytes, replace);
    ucnv_setToUCallBack(cnv, replace ? UCNV_TO_U_CALLBACK_SUBSTITUTE : UCNV_TO_U_CALLBACK_SKIP,
                        NULL, NULL, NULL, &e);
    struct buf b = {0};
    convert(cnv, bytes, codec->flags, &b);
    ucnv_close(cnv);
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}
