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

/* What Perl refuses, or passes through with a warning, which SpamAssassin takes for a mistake;
 * PCRE2 would take it for something else: \Q, \E, \C and the boundaries of Unicode (\b{wb}). */
static bool has_foreign_escape(struct span p, char *which)
{
    for (size_t i = 0; i + 1 < p.n; i++) {
        if (p.p[i] != '\\')
            continue;
        *which = p.p[++i];
        if (one_of(*which, "QEC") || (one_of(*which, "bB") && i + 1 < p.n && p.p[i + 1] == '{'))
            return true;
    }
    return false;
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
    char which;
    if (has_foreign_escape(*pattern, &which))
        return err_set(e, "'\\%c' has no such meaning in a rule", which);
    return pattern_check_width(*pattern, *mods, e);
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

/* \k<name>, \k'name', \g-1, \pL: what belongs to the two characters at `at`, from there on. */
static size_t name_length(struct span p, size_t at)
{
    char c = p.p[at + 1];
    struct span rest = span_from(p, at + 2);
    if (!rest.n)
        return 2;
    if (one_of(c, "kg") && one_of(rest.p[0], "<'")) {
        size_t end = span_find(span_from(rest, 1), rest.p[0] == '<' ? '>' : '\'');
        return end == SIZE_MAX ? 2 : end + 4;
    }
    size_t n = c == 'g' && one_of(rest.p[0], "+-");
    while (c == 'g' && n < rest.n && ascii_isdigit(rest.p[n]))
        n++;
    if (one_of(c, "pP"))
        n = 1;
    return n + 2;
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
    if (one_of(c, "kgpP"))
        return name_length(p, at);
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

/* "\x{263a}" and "\N{U+263a}": the number; -1 for anything else. */
static long code_point(struct span t)
{
    size_t n = span_starts(t, SPAN("\\x{")) ? 3 : span_starts(t, SPAN("\\N{U+")) ? 5 : 0;
    long code = 0;
    if (!n || t.p[t.n - 1] != '}')
        return -1;
    for (; n < t.n - 1 && code <= 0x10ffff; n++) {
        int digit = ascii_hex(t.p[n]);
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

/* A class without what no byte is. Ranges that begin among the bytes end at the last. */
static void add_class(struct buf *b, struct span t)
{
    bool negated = t.n > 1 && t.p[1] == '^', range = false, any = false;
    struct buf in = {0};
    for (size_t i = 1u + negated; i + 1 < t.n;) {
        size_t n = t.p[i] == '\\' ? pattern_token(t, i) : 1;
        struct span e = span_sub(t, i, i + n);
        long code = code_point(e);
        i += n;
        if (code > 0xff && range) {
            buf_str(&in, "\\xff");
        } else if (code > 0xff) { /* with the end of its range */
            if (i + 2 < t.n && t.p[i] == '-')
                i += 1 + (t.p[i + 1] == '\\' ? pattern_token(t, i + 1) : 1);
            continue;
        } else if (code >= 0) {
            buf_printf(&in, "\\x{%lx}", code);
        } else {
            buf_add(&in, e);
        }
        range = any && !range && span_eq(e, SPAN("-"));
        any = true;
    }
    if (in.n)
        buf_printf(b, negated ? "[^%.*s]" : "[%.*s]", SPAN_ARG(buf_span(&in)));
    else
        buf_str(b, negated ? "(?s:.)" : "(?:(?!))");
    buf_free(&in);
}

/* What PCRE2 says otherwise than Perl: characters beyond bytes, which match nothing here, and
 * places that are repeated (^{0,1}, $?). */
static void add_token(struct buf *b, struct span t, struct span rest)
{
    bool place =
        t.n == 1 ? one_of(t.p[0], "^$") : t.n == 2 && t.p[0] == '\\' && one_of(t.p[1], "bBAzZG");
    bool repeated = rest.n && (one_of(rest.p[0], "*+?") ||
                               (rest.p[0] == '{' && rest.n > 1 &&
                                (ascii_isdigit(rest.p[1]) || open_quantifier(rest, 0))));
    long code = code_point(t);
    if (t.n > 2 && t.p[0] == '[' && t.p[t.n - 1] == ']' && span_find(t, '\\') != SIZE_MAX &&
        (span_search(t, SPAN("\\x{")) != SIZE_MAX || span_search(t, SPAN("\\N{U+")) != SIZE_MAX)) {
        add_class(b, t);
    } else if (code >= 0) {
        if (code > 0xff)
            buf_str(b, "(?:(?!))");
        else
            buf_printf(b, "\\x{%lx}", code);
    } else {
        buf_str(b, place && repeated ? "(?:" : "");
        buf_add(b, t);
        buf_str(b, place && repeated ? ")" : "");
    }
}

/* How many bytes from `at` on mean the same to both, and begin nothing that does not. */
static size_t same_bytes(struct span p, size_t at)
{
    static const bool differs[256] = {
        ['\\'] = true, ['['] = true, ['('] = true, ['{'] = true, ['^'] = true, ['$'] = true};
    size_t n = 0;
    while (at + n < p.n && !differs[(unsigned char)p.p[at + n]])
        n++;
    return n;
}

/* What opens a group. A condition on a group that is not there is never true. */
static size_t add_group(struct buf *b, struct span p, size_t at, size_t captures, bool *nothing)
{
    enum pattern_opening kind;
    size_t n = pattern_group(p, at, &kind);
    uint64_t number;
    struct span condition = span_sub(p, at + 3, at + n - 1);
    if (kind == OPENS_CONDITION && span_u64(condition, &number) && number > captures)
        buf_str(b, "(?(?!)");
    else if (kind == OPENS_ATOM && span_starts(span_from(p, at), SPAN("(*F")))
        buf_str(b, "(?:(?!))"); /* may be repeated */
    else
        buf_add(b, span_sub(p, at, at + n));
    if (kind != OPENS_COMMENT)
        *nothing = kind != OPENS_ATOM;
    return n;
}

struct span pattern_pcre(struct arena *a, struct span p, struct span mods)
{
    struct buf b = {0};
    bool nothing = true; /* that a quantifier could be about */
    size_t captures = pattern_captures(p);
    if (mods.n) {
        struct span head = arena_printf(a, "(?%.*s)", SPAN_ARG(mods));
        copy_flags(&b, head, 0, mods.n);
    }
    for (size_t at = 0; at < p.n;) {
        size_t same = same_bytes(p, at);
        buf_add(&b, span_sub(p, at, at + same));
        at += same;
        if (same)
            nothing = p.p[at - 1] == '|';
        if (at == p.n)
            break;
        size_t n = p.p[at] == '(' ? flags_length(p, at) : 0;
        unsigned min, max;
        if (n && !span_starts(span_from(p, at), SPAN("(?R)"))) {
            at += copy_flags(&b, p, at, n);
            nothing = true;
        } else if (p.p[at] == '(') {
            at += add_group(&b, p, at, captures, &nothing);
        } else if (nothing && pattern_braces(span_from(p, at), &min, &max)) {
            buf_str(&b, "\\{"); /* then it stands for itself */
            nothing = false;
            at++;
        } else if (p.p[at] == '{' && open_quantifier(p, at)) {
            buf_str(&b, "{0");
            at++;
        } else {
            n = pattern_token(p, at);
            add_token(&b, span_sub(p, at, at + n), span_from(p, at + n));
            nothing = p.p[at] == '|';
            at += n;
        }
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}
