/* Names of charsets as Perl's Encode understands them: SpamAssassin's answers depend on which
 * labels it can resolve, and mail is full of labels that no registry knows. The rules are tried in
 * order; one that leads to nothing is passed over. */
#include "mime/charset_private.h"

enum { EUC_QUIRKS = QUIRK_ASCII | QUIRK_NO_CONTROLS | QUIRK_NO_PRIVATE };

/* Encode's names of what is not decoded by a table of ours. */
static const struct {
    const char *name;
    struct charset_icu icu;
} multibyte[] = {
    {"ucs-2be", {.converter = "UTF-16BE", .quirks = QUIRK_UTF16}},
    {"ucs-2le", {.converter = "UTF-16LE", .quirks = QUIRK_UTF16}},
    {"utf-16be", {.converter = "UTF-16BE", .quirks = QUIRK_UTF16}},
    {"utf-16le", {.converter = "UTF-16LE", .quirks = QUIRK_UTF16}},
    {"utf-32", {.converter = "UTF-32"}},
    {"utf-32be", {.converter = "UTF-32BE"}},
    {"utf-32le", {.converter = "UTF-32LE"}},
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
    {"big5-hkscs", {.converter = "Big5-HKSCS", .quirks = QUIRK_ASCII | QUIRK_NO_CONTROLS}},
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

static struct charset by_way_of(struct charset euc, int kind)
{
    euc.kind = kind;
    return euc;
}

struct charset charset_named(struct span name)
{
    if (span_ieq(name, SPAN("7bit-jis")) || span_ieq(name, SPAN("iso-2022-jp")) ||
        span_ieq(name, SPAN("iso-2022-jp-1")))
        return by_way_of(charset_named(SPAN("euc-jp")), CHARSET_2022_JP);
    if (span_ieq(name, SPAN("hz")))
        return by_way_of(charset_named(SPAN("euc-cn")), CHARSET_HZ);
    if (span_ieq(name, SPAN("iso-2022-kr")))
        return by_way_of(charset_named(SPAN("euc-kr")), CHARSET_2022_KR);
    if (span_ieq(name, SPAN("ascii")))
        return (struct charset){.kind = CHARSET_ASCII};
    if (span_ieq(name, SPAN("utf-8-strict")))
        return (struct charset){.kind = CHARSET_UTF8};
    if (span_ieq(name, SPAN("utf-7")))
        return (struct charset){.kind = CHARSET_UTF7};
    for (const struct charset_table_row *row = charset_tables; row->name; row++)
        if (span_ieq(name, span_str(row->name)))
            return (struct charset){.kind = CHARSET_TABLE, .table = &row->table};
    for (size_t i = 0; i < sizeof multibyte / sizeof *multibyte; i++)
        if (span_ieq(name, span_str(multibyte[i].name)))
            return (struct charset){.kind = CHARSET_ICU, .icu = &multibyte[i].icu};
    return (struct charset){0};
}

/* END: the label ends in a word that begins with `text` and is it; WHOLE: it is the text; ANYWHERE:
 * it has it somewhere. */
enum where { END, WHOLE, ANYWHERE };

struct rule {
    const char *text;
    enum where where;
    const char *name;
};

static const struct rule rules[] = {
    {"utf-8", END, "utf-8-strict"},
    {"cp65001", ANYWHERE, "utf-8-strict"},
    {"cp65000", ANYWHERE, "utf-7"},
    {"hkscs-big5", END, "big5-hkscs"},
    {"hkscsbig5", END, "big5-hkscs"},
    {"hk-big5", END, "big5-hkscs"},
    {"hkbig5", END, "big5-hkscs"},
    {"big5-hkscs", END, "big5-hkscs"},
    {"big5hkscs", END, "big5-hkscs"},
    {"big5-hk", END, "big5-hkscs"},
    {"big5hk", END, "big5-hkscs"},
    {"tca-big5", END, "big5-eten"},
    {"tcabig5", END, "big5-eten"},
    {"big5-eten", END, "big5-eten"},
    {"big5eten", END, "big5-eten"},
    {"big5-et", END, "big5-eten"},
    {"big5et", END, "big5-eten"},
    {"big5", END, "big5-eten"},
    {"big-5", END, "big5-eten"},
    {"ks_c_5601-1987", END, "cp949"},
    {"windows-949", END, "cp949"},
    {"uhc", END, "cp949"},
    {"windows-31j", END, "cp932"},
    {"sjis", END, "shiftjis"},
    {"ujis", END, "euc-jp"},
    {"gbk", WHOLE, "cp936"},
    {"koi8r", END, "koi8-r"},
    {"koi8-r", END, "koi8-r"},
    {"koi8u", END, "koi8-u"},
    {"koi8-u", END, "koi8-u"},
    {"macce", WHOLE, "maccentraleurroman"},
    {"macintosh", WHOLE, "macroman"},
    {"tis620", END, "iso-8859-11"},
    {"tis-620", END, "iso-8859-11"},
    {"thai", WHOLE, "iso-8859-11"},
    {"hebrew", WHOLE, "iso-8859-8"},
    {"greek", WHOLE, "iso-8859-7"},
    {"arabic", WHOLE, "iso-8859-6"},
    {"cyrillic", WHOLE, "iso-8859-5"},
    {"winlatin1", END, "cp1252"},
    {"winlatin2", END, "cp1250"},
    {"wincyrillic", END, "cp1251"},
    {"wingreek", END, "cp1253"},
    {"winturkish", END, "cp1254"},
    {"winhebrew", END, "cp1255"},
    {"winarabic", END, "cp1256"},
    {"winbaltic", END, "cp1257"},
    {"winvietnamese", END, "cp1258"},
    {"ansi_x3.4-1968", END, "ascii"},
    {"ansi-x3.4-1968", END, "ascii"},
    {"ansix3.4-1968", END, "ascii"},
    {"iso646-us", END, "ascii"},
    {"646-us", END, "ascii"},
    {"646us", END, "ascii"},
    {"646", END, "ascii"},
    {"c", WHOLE, "ascii"},
    {"us-ascii", WHOLE, "ascii"},
    {"usascii", WHOLE, "ascii"},
    {"utf32be", WHOLE, "utf-32be"},
    {"utf32le", WHOLE, "utf-32le"},
    {"utf32", WHOLE, "utf-32"},
    {"iso-10646-1", WHOLE, "ucs-2be"},
    {"ucs4", WHOLE, "utf-32"},
    {"ucs-4", WHOLE, "utf-32"},
    {"ucs2", WHOLE, "ucs-2be"},
    {"ucs-2", WHOLE, "ucs-2be"},
    {"utf7", WHOLE, "utf-7"},
    {"unicode-1-1-utf-7", WHOLE, "utf-7"},
    {"unicode-1-1-utf7", WHOLE, "utf-7"},
};

static bool is_word(char c)
{
    return ascii_isalnum(c) || c == '_';
}

/* A word begins at i (Perl's \b before a word character). */
static bool word_begins(struct span s, size_t i)
{
    return i == 0 || !is_word(s.p[i - 1]);
}

static bool ends_with_word(struct span s, struct span text)
{
    return span_iends(s, text) && word_begins(s, s.n - text.n);
}

/* A word that begins with `first`, and `last` at the end, in this order. */
static bool spans_words(struct span s, struct span first, struct span last)
{
    if (!span_iends(s, last))
        return false;
    for (size_t i = 0; i + first.n + last.n <= s.n; i++)
        if (word_begins(s, i) && span_istarts(span_from(s, i), first))
            return true;
    return false;
}

static const char *by_rules(struct span s)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct span text = span_str(rules[i].text);
        bool hit = rules[i].where == END     ? ends_with_word(s, text)
                   : rules[i].where == WHOLE ? span_ieq(s, text)
                                             : span_isearch(s, text) != SIZE_MAX;
        if (hit)
            return rules[i].name;
    }
    return NULL;
}

/* The two national EUC spellings ("euc-jp", "jp-euc"), shift-jis and gb2312 in all their forms. */
static const char *by_words(struct span s)
{
    static const struct {
        const char *country, *name;
    } eucs[] = {{"kr", "euc-kr"}, {"jp", "euc-jp"}, {"cn", "euc-cn"}};
    for (size_t i = 0; i < sizeof eucs / sizeof *eucs; i++) {
        struct span country = span_str(eucs[i].country);
        if (spans_words(s, SPAN("euc"), country) || spans_words(s, country, SPAN("euc")))
            return eucs[i].name;
    }
    if (spans_words(s, SPAN("shift"), SPAN("jis")))
        return "shiftjis";
    if (ends_with_word(s, SPAN("jis")))
        return "7bit-jis";
    static const char *const gb[] = {"gb2312", "gb-2312", "gb_2312"};
    for (size_t i = 0; i < sizeof gb / sizeof *gb; i++) {
        struct span text = span_str(gb[i]);
        for (size_t at = 0; at + text.n <= s.n; at++) {
            struct span rest = span_from(s, at);
            if (word_begins(s, at) && span_istarts(rest, text) &&
                !span_istarts(span_from(rest, text.n), SPAN("raw")) &&
                !span_istarts(span_from(rest, text.n), SPAN("-raw")))
                return "euc-cn";
        }
    }
    return NULL;
}

/* The number at the end of s behind one of the stems and at most one of "-_"; *number is what there
 * is of digits. */
static bool numbered(struct span s, const char *const *stems, size_t n, struct span *number)
{
    size_t digits = s.n;
    while (digits > 0 && ascii_isdigit(s.p[digits - 1]))
        digits--;
    *number = span_from(s, digits);
    struct span head = span_sub(s, 0, digits);
    if (!number->n)
        return false;
    for (size_t i = 0; i < n; i++) {
        struct span stem = span_str(stems[i]), cut = head;
        if (ends_with_word(cut, stem))
            return true;
        if (cut.n && (cut.p[cut.n - 1] == '-' || cut.p[cut.n - 1] == '_')) {
            cut.n--;
            if (ends_with_word(cut, stem))
                return true;
        }
    }
    return false;
}

static const char *by_number(struct arena *a, struct span s)
{
    static const char *const pages[] = {"cp", "ibm", "ms", "windows"};
    static const char *const latins[] = {"latin", "isolatin", "iso-latin", "iso_latin"};
    static const char *const isos[] = {"iso8859", "iso-8859", "iso_8859"};
    static const int latin_parts[] = {0, 1, 2, 3, 4, 9, 10, 13, 14, 15, 16};
    struct span number;
    uint64_t n;
    if (numbered(s, pages, 4, &number) && number.n >= 2 && number.n <= 4)
        return arena_printf(a, "cp%.*s", SPAN_ARG(number)).p;
    if (numbered(s, latins, 4, &number) && span_u64(number, &n) && n > 0 && n <= 10)
        return arena_printf(a, "iso-8859-%d", latin_parts[n]).p;
    if (numbered(s, isos, 3, &number))
        return arena_printf(a, "iso-8859-%.*s", SPAN_ARG(number)).p;
    return NULL;
}

static const char *by_mac(struct arena *a, struct span s)
{
    static const char *const stems[] = {"mac-", "mac_", "x-mac-", "x_mac-", "x-mac_", "x_mac_"};
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++)
        if (span_istarts(s, span_str(stems[i])))
            return arena_printf(a, "mac%.*s", SPAN_ARG(span_from(s, strlen(stems[i])))).p;
    return NULL;
}

/* One run of underscores in the name becomes a hyphen. */
static struct span hyphenated(struct arena *a, struct span s)
{
    size_t from = span_find(s, '_'), to = from;
    if (from == SIZE_MAX || from == 0)
        return SPAN_NONE;
    while (to < s.n && s.p[to] == '_')
        to++;
    if (span_find(span_from(s, to), '_') != SIZE_MAX)
        return SPAN_NONE;
    return arena_printf(a, "%.*s-%.*s", (int)from, s.p, (int)(s.n - to), s.p + to);
}

static struct span without_space(struct arena *a, struct span s)
{
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isspace(s.p[i]))
            out[n++] = s.p[i];
    return span_of(out, n);
}

static struct charset resolve(struct arena *a, struct span s)
{
    struct charset cs = {0};
    struct span other = hyphenated(a, s);
    if (other.p)
        cs = resolve(a, other);
    const char *names[] = {by_rules(s), by_words(s), by_mac(a, s), by_number(a, s)};
    for (size_t i = 0; i < sizeof names / sizeof *names && !cs.kind; i++)
        if (names[i])
            cs = charset_named(span_str(names[i]));
    if (!cs.kind && span_iends(s, SPAN("@euro")) && s.n > 5)
        cs = resolve(a, span_sub(s, 0, s.n - 5));
    return cs.kind ? cs : charset_named(s);
}

/* Longer labels mean nothing. */
enum { LABEL_MAX = 64 };

struct charset charset_declared(struct arena *a, struct span label)
{
    struct span s = without_space(a, span_sub(label, 0, LABEL_MAX + 1));
    return s.n && s.n <= LABEL_MAX ? resolve(a, s) : (struct charset){0};
}
