#include "rules/pattern.h"

#include "base/buf.h"

/* Modifiers Perl accepts inside (?...): anything else is a mistake of the rule's author. */
static bool mods_valid(struct span mods)
{
    for (size_t i = 0; i < mods.n; i++)
        if (!one_of(mods.p[i], "imsxnpadlu"))
            return false;
    return true;
}

/* An unescaped closing delimiter inside; escaped backslashes don't escape what follows them. */
static bool has_unescaped(struct span p, char delim)
{
    for (size_t i = 0; i < p.n; i++) {
        if (p.p[i] == '\\')
            i++;
        else if (p.p[i] == delim)
            return true;
    }
    return false;
}

static bool has_code(struct span p)
{
    return span_search(p, SPAN("(?{")) != SIZE_MAX || span_search(p, SPAN("(??{")) != SIZE_MAX;
}

/* Where the pattern starts and what ends it; 0 when there is no delimiter. */
static char opening(struct span text, size_t *start)
{
    if (text.n && text.p[0] == '/') {
        *start = 1;
        return '/';
    }
    size_t n = span_starts(text, SPAN("m")) ? 1 : span_starts(text, SPAN("qr")) ? 2 : 0;
    if (!n || n >= text.n || ascii_isalnum(text.p[n]) || text.p[n] == '_')
        return 0;
    *start = n + 1;
    static const char pairs[] = "{}()<>[]";
    const char *p = text.p[n] ? strchr(pairs, text.p[n]) : NULL;
    return p && (p - pairs) % 2 == 0 ? p[1] : text.p[n];
}

static int split(struct span text, bool loose, struct span *pattern, struct span *mods,
                 struct err *e)
{
    size_t start = 0;
    char close = opening(text, &start);
    *mods = (struct span){"", 0};
    *pattern = text;
    if (!close) {
        if (!loose)
            return err_set(e, "regular expression has no delimiters");
    } else {
        if (close == '\\')
            return err_set(e, "a backslash can't be a delimiter");
        size_t end = text.n;
        while (end > start && text.p[end - 1] >= 'a' && text.p[end - 1] <= 'z' &&
               text.p[end - 1] != 'e')
            end--;
        if (end <= start || text.p[end - 1] != close)
            return err_set(e, "regular expression has no closing '%c' or a bad modifier", close);
        *mods = span_from(text, end);
        *pattern = span_sub(text, start, end - 1);
        if (!one_of(close, "})]") && has_unescaped(*pattern, close))
            return err_set(e, "delimiter '%c' stands unescaped in the regular expression", close);
        if (!mods_valid(*mods))
            return err_set(e, "invalid modifier in '%.*s'", SPAN_ARG(*mods));
    }
    if (has_code(*pattern))
        return err_set(e, "code blocks (?{...}) are not allowed");
    return 0;
}

int pattern_split(struct span text, struct span *pattern, struct span *mods, struct err *e)
{
    return split(text, false, pattern, mods, e);
}

int pattern_split_loose(struct span text, struct span *pattern, struct span *mods, struct err *e)
{
    return split(text, true, pattern, mods, e);
}

static size_t class_length(struct span p, size_t at)
{
    size_t i = at + 1;
    if (i < p.n && p.p[i] == '^')
        i++;
    if (i < p.n && p.p[i] == ']')
        i++;
    for (; i < p.n && p.p[i] != ']'; i++) {
        if (p.p[i] == '\\') {
            i++;
        } else if (p.p[i] == '[' && i + 1 < p.n && one_of(p.p[i + 1], ":.=")) {
            char kind = p.p[i + 1];
            for (size_t j = i + 2; j + 1 < p.n && p.p[j] != ']'; j++)
                if (p.p[j] == kind && p.p[j + 1] == ']') {
                    i = j + 1;
                    break;
                }
        }
    }
    return (i < p.n ? i + 1 : p.n) - at;
}

size_t pattern_token(struct span p, size_t at)
{
    if (p.p[at] == '[')
        return class_length(p, at);
    if (p.p[at] != '\\' || at + 1 >= p.n)
        return 1;
    char c = p.p[at + 1];
    if (one_of(c, "xogkNpP") && at + 2 < p.n && p.p[at + 2] == '{') {
        size_t end = span_find(span_from(p, at), '}');
        return end == SIZE_MAX ? 2 : end + 1;
    }
    if (c == 'x') {
        size_t n = 2;
        while (n < 4 && at + n < p.n && ascii_hex(p.p[at + n]) >= 0)
            n++;
        return n;
    }
    if (c >= '0' && c <= '7') {
        size_t n = 2;
        while (n < 4 && at + n < p.n && p.p[at + n] >= '0' && p.p[at + n] <= '7')
            n++;
        return n;
    }
    return c == 'c' && at + 2 < p.n ? 3 : 2;
}

/* "{,n}" is a quantifier since Perl 5.34, but not for PCRE2. */
static bool open_quantifier(struct span p, size_t at)
{
    size_t i = at + 2;
    if (at + 2 >= p.n || p.p[at + 1] != ',')
        return false;
    while (i < p.n && ascii_isdigit(p.p[i]))
        i++;
    return i > at + 2 && i < p.n && p.p[i] == '}';
}

/* Length of the flags of "(?flags)" or "(?flags:" at `at`; 0 when it is another kind of group. */
static size_t flags_length(struct span p, size_t at)
{
    if (at + 2 >= p.n || p.p[at + 1] != '?')
        return 0;
    size_t i = at + 2;
    while (i < p.n && (ascii_isalpha(p.p[i]) || p.p[i] == '-' || p.p[i] == '^'))
        i++;
    return i < p.n && (p.p[i] == ')' || p.p[i] == ':') ? i - at - 2 : 0;
}

static size_t copy_flags(struct buf *b, struct span p, size_t at, size_t n)
{
    size_t before = b->n;
    buf_str(b, "(?");
    for (size_t i = at + 2; i < at + 2 + n; i++)
        if (!one_of(p.p[i], "adlup"))
            buf_char(b, p.p[i]);
    char end = p.p[at + 2 + n];
    if (b->n == before + 2 && end == ')')
        b->n = before;
    else
        buf_char(b, end);
    return n + 3;
}

struct span pattern_pcre(struct arena *a, struct span p, struct span mods)
{
    struct buf b = {0};
    if (mods.n) {
        struct span head = arena_printf(a, "(?%.*s)", SPAN_ARG(mods));
        copy_flags(&b, head, 0, mods.n);
    }
    for (size_t at = 0; at < p.n;) {
        size_t n = p.p[at] == '(' ? flags_length(p, at) : 0;
        if (n) {
            at += copy_flags(&b, p, at, n);
        } else if (p.p[at] == '{' && open_quantifier(p, at)) {
            buf_str(&b, "{0");
            at++;
        } else {
            n = pattern_token(p, at);
            buf_add(&b, span_sub(p, at, at + n));
            at += n;
        }
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}
