/* Which charset a label means to Perl's Encode: SpamAssassin's answers depend on which labels it
 * can resolve, and mail is full of labels that no registry knows. The rules are tried in order;
 * what one leads to is a label again, and one that leads to nothing is passed over. */
#include "mime/charset_private.h"

/* In a pattern, letters count in either case, and ^ and $ stand for the ends, < and > for the edges
 * of a word, ? for an optional character in front of it, ~ for - or _, * for anything, # for
 * digits, % for two to four of them, ! for no "raw" behind it. In the replacement, # is what the
 * digits in turn were and * what the rest was. */
struct rule {
    const char *pattern, *to;
};

static const struct rule rules[] = {
    {"<utf-8$", "utf-8-strict"},
    {"cp65001", "utf-8-strict"},
    {"cp65000", "utf-7"},
    {"<hk~?big5$", "big5-hkscs"},
    {"<hkscs~?big5$", "big5-hkscs"},
    {"<big5-?hk$", "big5-hkscs"},
    {"<big5-?hkscs$", "big5-hkscs"},
    {"<tca~?big5$", "big5-eten"},
    {"<big5-?et$", "big5-eten"},
    {"<big5-?eten$", "big5-eten"},
    {"<big-?5$", "big5-eten"},
    {"<ks_c_5601-1987$", "cp949"},
    {"windows-949$", "cp949"},
    {"uhc$", "cp949"},
    {"<kr*euc$", "euc-kr"},
    {"<euc*kr$", "euc-kr"},
    {"<windows-31j$", "cp932"},
    {"<sjis$", "shiftjis"},
    {"<shift*jis$", "shiftjis"},
    {"<ujis$", "euc-jp"},
    {"<jp*euc$", "euc-jp"},
    {"<euc*jp$", "euc-jp"},
    {"<jis$", "7bit-jis"},
    {"<gb~?2312!", "euc-cn"},
    {"^gbk$", "cp936"},
    {"<cn*euc$", "euc-cn"},
    {"<euc*cn$", "euc-cn"},
    {"<koi8r$", "koi8-r"},
    {"<koi8u$", "koi8-u"},
    {"<koi8~~?~?~?r$", "koi8-r"},
    {"<koi8~~?~?~?u$", "koi8-u"},
    {"^macce$", "maccentraleurroman"},
    {"^macintosh$", "macroman"},
    {"^mac~*", "mac*"},
    {"^x~mac~*", "mac*"},
    {"<cp~?%$", "cp#"},
    {"<ibm~?%$", "cp#"},
    {"<ms~?%$", "cp#"},
    {"<windows~?%$", "cp#"},
    {"<tis-?620>", "iso-8859-11"},
    {"^thai$", "iso-8859-11"},
    {"^hebrew$", "iso-8859-8"},
    {"^greek$", "iso-8859-7"},
    {"^arabic$", "iso-8859-6"},
    {"^cyrillic$", "iso-8859-5"},
    {"<winlatin1$", "cp1252"},
    {"<winlatin2$", "cp1250"},
    {"<wincyrillic$", "cp1251"},
    {"<wingreek$", "cp1253"},
    {"<winturkish$", "cp1254"},
    {"<winhebrew$", "cp1255"},
    {"<winarabic$", "cp1256"},
    {"<winbaltic$", "cp1257"},
    {"<winvietnamese$", "cp1258"},
    {"<ansi~?x3.4~?1968$", "ascii"},
    {"<iso8859#$", "iso-8859-#"},
    {"<iso~?#~#$", "iso-#-#"},
    {"<iso~?646$", "ascii"},
    {"<iso~?646~?us$", "ascii"},
    {"<646$", "ascii"},
    {"<646~?us$", "ascii"},
    {"^c$", "ascii"},
    {"^us-?ascii$", "ascii"},
    {"^utf-?16-?be$", "utf-16be"},
    {"^utf-?16-?le$", "utf-16le"},
    {"^utf-?32-?be$", "utf-32be"},
    {"^utf-?32-?le$", "utf-32le"},
    {"^utf-?16$", "utf-16"},
    {"^utf-?32$", "utf-32"},
    {"^iso-10646-1$", "ucs-2be"},
    {"^ucs-?4-?$", "utf-32"},
    {"^ucs-?4-?be$", "utf-32be"},
    {"^ucs-?4-?le$", "utf-32le"},
    {"^ucs-?2-?$", "ucs-2be"},
    {"^ucs-?2-?be$", "ucs-2be"},
    {"^ucs-?2-?le$", "ucs-2le"},
    {"^utf-?7$", "utf-7"},
    {"^unicode-1-1-utf-?7$", "utf-7"},
};

/* --- Patterns --- */

struct matched {
    struct span digits[2], rest;
    size_t n; /* of digits */
};

static bool is_word(struct span s, size_t i)
{
    return i < s.n && (ascii_isalnum(s.p[i]) || s.p[i] == '_');
}

static bool matches(const char *p, struct span s, size_t at, struct matched *m);

static bool matches_digits(const char *p, struct span s, size_t at, struct matched *m)
{
    size_t most = *p == '%' ? 4 : s.n, least = *p == '%' ? 2 : 1, n = 0;
    while (n < most && at + n < s.n && ascii_isdigit(s.p[at + n]))
        n++;
    for (size_t k = m->n; n >= least; n--) {
        m->digits[k] = span_sub(s, at, at + n);
        m->n = k + 1;
        if (matches(p + 1, s, at + n, m))
            return true;
        m->n = k;
    }
    return false;
}

/* Not "raw" nor "-raw". */
static bool is_cooked(struct span s)
{
    return !span_istarts(s, SPAN("raw")) && !span_istarts(s, SPAN("-raw"));
}

/* Whether the rest of a pattern fits s from `at` on. */
static bool matches(const char *p, struct span s, size_t at, struct matched *m)
{
    switch (*p) {
    case 0:
        return true;
    case '$':
        return at == s.n;
    case '>':
        return is_word(s, at - 1) != is_word(s, at);
    case '!':
        return is_cooked(span_from(s, at));
    case '#':
    case '%':
        return matches_digits(p, s, at, m);
    case '*':
        m->rest = span_from(s, at);
        for (size_t i = at; i <= s.n; i++)
            if (matches(p + 1, s, i, m))
                return true;
        return false;
    default:
        break;
    }
    bool optional = p[1] == '?';
    char c = at < s.n ? s.p[at] : 0;
    bool fits = *p == '~' ? c == '-' || c == '_' : c && ascii_lower(c) == *p;
    if (fits && matches(p + 1 + optional, s, at + 1, m))
        return true;
    return optional && matches(p + 2, s, at, m);
}

static bool finds(const char *p, struct span s, struct matched *m)
{
    *m = (struct matched){0};
    if (*p == '^')
        return matches(p + 1, s, 0, m);
    bool edge = *p == '<';
    for (size_t i = 0; i < s.n; i++)
        if ((!edge || i == 0 || !is_word(s, i - 1)) && matches(p + edge, s, i, m))
            return true;
    return false;
}

static struct span replaced(struct arena *a, const char *to, const struct matched *m)
{
    struct span out = SPAN("");
    size_t digits = 0;
    for (; *to; to++) {
        struct span piece = *to == '#'   ? m->digits[digits++]
                            : *to == '*' ? m->rest
                                         : span_of(to, 1);
        out = span_str(arena_printf(a, "%.*s%.*s", SPAN_ARG(out), SPAN_ARG(piece)).p);
    }
    return out;
}

/* --- Rules that are none of these --- */

/* One run of underscores in the label becomes a hyphen. */
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

/* The part of ISO 8859 that is called Latin 1 to 10. */
static struct span latin(struct arena *a, struct span s)
{
    static const int parts[] = {0, 1, 2, 3, 4, 9, 10, 13, 14, 15, 16};
    static const char *const patterns[] = {"<latin~?#$", "<iso~?latin~?#$"};
    struct matched m;
    uint64_t n;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (finds(patterns[i], s, &m) && span_u64(m.digits[0], &n) && n > 0 && n <= 10)
            return arena_printf(a, "iso-8859-%d", parts[n]);
    return SPAN_NONE;
}

/* Rules lead to rules at most this often. */
enum { DEPTH_MAX = 4 };

static struct charset resolve(struct arena *a, struct span s, int depth)
{
    struct charset cs = charset_at_hand(s);
    if (cs.kind || depth > DEPTH_MAX)
        return cs;
    struct span other = hyphenated(a, s);
    if (other.p)
        cs = resolve(a, other, depth + 1);
    struct matched m;
    for (size_t i = 0; i < sizeof rules / sizeof *rules && !cs.kind; i++) {
        if (!finds(rules[i].pattern, s, &m))
            continue;
        other = replaced(a, rules[i].to, &m);
        if (!span_ieq(other, s))
            cs = resolve(a, other, depth + 1);
    }
    other = latin(a, s);
    if (!cs.kind && other.p)
        cs = resolve(a, other, depth + 1);
    if (!cs.kind && span_iends(s, SPAN("@euro")) && s.n > 5)
        cs = resolve(a, span_sub(s, 0, s.n - 5), depth + 1);
    return cs.kind ? cs : charset_named(s);
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

/* Longer labels mean nothing. */
enum { LABEL_MAX = 64 };

struct charset charset_declared(struct arena *a, struct span label)
{
    struct span s = without_space(a, span_sub(label, 0, LABEL_MAX + 1));
    return s.n && s.n <= LABEL_MAX ? resolve(a, s, 0) : (struct charset){0};
}
