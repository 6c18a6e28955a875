/* Charsets by the names that Perl's Encode gives them. */
#include "mime/charset_private.h"

enum { EUC_QUIRKS = QUIRK_ASCII | QUIRK_NO_CONTROLS | QUIRK_NO_PRIVATE };

/* Encode's names of what is not decoded by a table of ours. */
static const struct {
    const char *name;
    struct charset_icu icu;
} multibyte[] = {
    {"euc-cn",
     {.converter = "EUC-CN",
      .quirks = EUC_QUIRKS,
      .bad_leads = "\xaa\xab\xac\xad\xae\xaf\xf8\xf9\xfa\xfb\xfc\xfd\xfe",
      .runs = &charset_runs_gb2312}},
    {"euc-jp",
     {.converter = "EUC-JP", .quirks = EUC_QUIRKS | QUIRK_THREE, .runs = &charset_runs_euc_jp}},
    {"euc-kr",
     {.converter = "EUC-KR",
      .quirks = EUC_QUIRKS,
      .bad_leads = "\xad\xae\xaf\xc9\xfe",
      .runs = &charset_runs_euc_kr}},
    {"big5-eten",
     {.converter = "Big5",
      .bad_leads = "\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93"
                   "\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f\xa0\xfa\xfb\xfc\xfd\xfe",
      .quirks = EUC_QUIRKS,
      .runs = &charset_runs_big5}},
    {"shiftjis",
     {.converter = "Shift_JIS",
      .quirks = QUIRK_ASCII | QUIRK_NO_PRIVATE,
      .bad_leads =
          "\x85\x86\x87\xeb\xec\xed\xee\xef\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc",
      .runs = &charset_runs_shiftjis}},
    {"cp932",
     {.converter = "windows-31j",
      .bad_leads = "\x85\x86\xeb\xec\xef",
      .quirks = QUIRK_ASCII,
      .odd = {{0x80, 0x80}, {0xa0, 0xf8f0}, {0xfd, 0xf8f1}, {0xfe, 0xf8f2}, {0xff, 0xf8f3}}}},
    {"cp936", {.converter = "windows-936", .quirks = QUIRK_ASCII, .odd = {{0xff, 0xf8f5}}}},
    {"cp949", {.converter = "windows-949", .quirks = QUIRK_ASCII, .odd = {{0xff, 0xf8f7}}}},
    {"cp950", {.converter = "windows-950", .quirks = QUIRK_ASCII}},
};

static const struct {
    const char *name;
    struct charset_unicode form;
} unicodes[] = {
    {"utf-16", {2, UNICODE_MARKED, false}},   {"utf-16be", {2, UNICODE_BIG, false}},
    {"utf-16le", {2, UNICODE_LITTLE, false}}, {"ucs-2be", {2, UNICODE_BIG, true}},
    {"ucs-2le", {2, UNICODE_LITTLE, true}},   {"utf-32", {4, UNICODE_MARKED, false}},
    {"utf-32be", {4, UNICODE_BIG, false}},    {"utf-32le", {4, UNICODE_LITTLE, false}},
};

/* Charsets made of what another one is made of. */
static const struct {
    const char *name, *base;
    int kind;
} ways[] = {
    {"7bit-jis", "euc-jp", CHARSET_2022_JP},      {"iso-2022-jp", "euc-jp", CHARSET_2022_JP},
    {"iso-2022-jp-1", "euc-jp", CHARSET_2022_JP}, {"hz", "euc-cn", CHARSET_HZ},
    {"iso-2022-kr", "euc-kr", CHARSET_2022_KR},   {"gb2312-raw", "euc-cn", CHARSET_RAW},
    {"ksc5601-raw", "euc-kr", CHARSET_RAW},
};

static const struct {
    const char *name;
    int kind;
} plain[] = {
    {"ascii", CHARSET_ASCII},
    {"utf-8-strict", CHARSET_UTF8},
    {"utf-7", CHARSET_UTF7},
    {"null", CHARSET_NULL},
};

static struct charset by_way_of(struct charset euc, int kind)
{
    euc.kind = kind;
    return euc;
}

static struct charset by_codes(struct span name)
{
    static const struct charset_runs_row *const lists[] = {
        charset_single, charset_china, charset_hongkong, charset_japan, charset_korea};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const struct charset_runs_row *row = lists[i]; row->name; row++)
            if (span_ieq(name, span_str(row->name)))
                return (struct charset){.kind = span_ieq(name, SPAN("gsm0338")) ? CHARSET_GSM
                                                                                : CHARSET_CODES,
                                        .runs = &row->runs};
    return (struct charset){0};
}

struct charset charset_at_hand(struct span name)
{
    static const char *const names[] = {"ascii",      "ascii-ctrl", "cp1252",
                                        "iso-8859-1", "null",       "utf-8-strict"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_ieq(name, span_str(names[i])))
            return charset_named(name);
    return (struct charset){.kind = span_ieq(name, SPAN("utf8")) ? CHARSET_UTF8 : CHARSET_UNKNOWN};
}

struct charset charset_named(struct span name)
{
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (span_ieq(name, span_str(plain[i].name)))
            return (struct charset){.kind = plain[i].kind};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (span_ieq(name, span_str(ways[i].name)))
            return by_way_of(charset_named(span_str(ways[i].base)), ways[i].kind);
    for (size_t i = 0; i < sizeof unicodes / sizeof *unicodes; i++)
        if (span_ieq(name, span_str(unicodes[i].name)))
            return (struct charset){.kind = CHARSET_UNICODE, .unicode = &unicodes[i].form};
    for (const struct charset_table_row *row = charset_tables; row->name; row++)
        if (span_ieq(name, span_str(row->name)))
            return (struct charset){.kind = CHARSET_TABLE, .table = &row->table};
    for (size_t i = 0; i < sizeof multibyte / sizeof *multibyte; i++)
        if (span_ieq(name, span_str(multibyte[i].name)))
            return (struct charset){.kind = CHARSET_ICU, .icu = &multibyte[i].icu};
    return by_codes(name);
}
