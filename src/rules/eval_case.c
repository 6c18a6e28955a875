/* How much of the text is in capitals (check_for_uppercase of MIMEEval, semantics 8.2). */
#include "rules/eval.h"
#include "rules/eval_state.h"

static bool word_byte(char ch)
{
    return ascii_isalnum(ch) || ch == '_';
}

bool charset_likes_capitals(struct span s)
{
    if (span_ieq(s, SPAN("us-ascii")) || span_ieq(s, SPAN("utf-8")) ||
        span_ieq(s, SPAN("iso-8859-1")))
        return false;
    static const char *const parts[] = {"koi",          "jp",         "jis",   "euc",
                                        "gb",           "big5",       "isoir", "cp1251",
                                        "windows-1251", "georgianps", "pt154", "tis"};
    for (size_t i = 0; i < s.n; i++)
        if (!word_byte(s.p[i]) && s.p[i] != '-')
            return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (span_isearch(s, span_str(parts[i])) != SIZE_MAX)
            return true;
    return false;
}

struct span content_type_charset(struct span line)
{
    static const char *const forms[] = {"charset=\"", "charset='", "charset="};
    static const char ends[] = {'"', '\'', ' '};
    for (size_t f = 0; f < 3; f++) {
        struct span form = span_str(forms[f]);
        for (size_t at = 0;; at++) {
            size_t found = span_isearch(span_from(line, at), form);
            if (found == SIZE_MAX)
                break;
            at += found;
            struct span v = span_from(line, at + form.n);
            size_t n = 0;
            while (n < v.n && v.p[n] != ends[f] && !(f == 2 && ascii_isspace(v.p[n])))
                n++;
            if (n > 0 && (f == 2 || n < v.n))
                return span_sub(v, 0, n);
        }
    }
    return SPAN_NONE;
}

static bool capitals_expected(struct rules_ctx *c)
{
    size_t n;
    const struct span *charsets = mime_charsets(c, &n);
    struct span type = header_scalar(c, "Content-Type"), root = content_type_charset(type);
    if (root.p && charset_likes_capitals(root))
        return true;
    for (size_t i = 0; i < n; i++) {
        struct span rest = charsets[i], word;
        while ((word = span_word(&rest, " \t\r\n\v\f")).p)
            if (charset_likes_capitals(word))
                return true;
    }
    return false;
}

/* \S\s+\S */
static bool has_inner_space(struct span s)
{
    s = span_trim(s);
    for (size_t i = 0; i < s.n; i++)
        if (ascii_isspace(s.p[i]))
            return true;
    return false;
}

/* Two runs of 60 to 76 base64 characters, each followed by a space. */
static bool starts_base64(struct span s)
{
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        while (n < s.n && (ascii_isalnum(s.p[n]) || strchr("+/=", s.p[n] ? s.p[n] : ' ')))
            n++;
        if (n < 60 || n > 76 || n == s.n || s.p[n] != ' ')
            return false;
        s = span_from(s, n + 1);
    }
    return true;
}

struct letters {
    size_t all, lower, upper;
};

/* In pieces whose counts fit a byte: compilers make vectors of that. */
static void count_letters(struct span s, struct letters *l)
{
    enum { PIECE = 255 };
    l->all += s.n;
    for (size_t from = 0; from < s.n; from += PIECE) {
        struct span piece = span_sub(s, from, from + PIECE);
        uint8_t lower = 0, upper = 0;
        for (size_t i = 0; i < piece.n; i++) {
            uint8_t b = (uint8_t)piece.p[i];
            lower = (uint8_t)(lower + ((uint8_t)(b - 'a') < 26) + ((uint8_t)(b - '0') < 10));
            upper = (uint8_t)(upper + ((uint8_t)(b - 'A') < 26));
        }
        l->lower += lower;
        l->upper += upper;
    }
}

/* Text shifted by ISO-2022-JP, from the first shift to the last one back, does not count. */
static void count_line(struct span s, struct letters *l)
{
    size_t from = span_find(s, '\x1b'), to = SIZE_MAX;
    if (from != SIZE_MAX)
        from = span_search(s, SPAN("\x1b$B"));
    for (size_t i = s.n; from != SIZE_MAX && to == SIZE_MAX && i-- > from + 3;)
        if (span_starts(span_from(s, i), SPAN("\x1b(B")))
            to = i + 3;
    if (to == SIZE_MAX) {
        count_letters(s, l);
        return;
    }
    count_letters(span_sub(s, 0, from), l);
    count_letters(span_from(s, to), l);
}

static double uppercase_of(struct rules_ctx *c)
{
    if (capitals_expected(c))
        return 0;
    struct letters l = {0};
    for (size_t i = 0; i < c->text->body.n; i++) {
        struct span line = c->text->body.v[i];
        if (has_inner_space(line) && !starts_base64(line))
            count_line(line, &l);
    }
    if (l.all < 200 || l.upper + l.lower == 0)
        return 0;
    return (double)l.upper / (double)(l.upper + l.lower) * 100;
}

double check_for_uppercase(struct rules_ctx *c, const struct eval_call *call)
{
    struct eval_state *s = eval_state(c);
    if (!s->has_uppercase) {
        s->uppercase = uppercase_of(c);
        s->has_uppercase = true;
    }
    return s->uppercase > eval_number(call, 0, 0) && s->uppercase <= eval_number(call, 1, 0);
}
