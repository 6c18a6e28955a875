#include "pattern/pattern.h"

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

/* An escape that means nothing is the letter itself in front of "{n,m}", and a mistake else. */
static bool is_bare_letter(struct span p, size_t at)
{
    unsigned min, max;
    return at + 2 < p.n && p.p[at] == '\\' && one_of(p.p[at + 1], "EFIJLMOQTUYijlmquy") &&
           pattern_braces(span_from(p, at + 2), &min, &max);
}

/* What Perl refuses, or passes through with a warning, which SpamAssassin takes for a mistake;
 * PCRE2 would take it for something else: \Q, \E, \C and the boundaries of Unicode (\b{wb}). */
static bool has_foreign_escape(struct span p, char *which)
{
    for (size_t i = 0; i + 1 < p.n; i++) {
        if (p.p[i] != '\\')
            continue;
        bool bare = is_bare_letter(p, i);
        *which = p.p[++i];
        if ((one_of(*which, "QEC") && !bare) ||
            (one_of(*which, "bB") && i + 1 < p.n && p.p[i + 1] == '{'))
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
    return pattern_refuse(*pattern, *mods, e);
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

/* What a pattern is written into. */
struct target {
    struct buf b;
    bool caseless; /* somewhere in it */
    size_t captures;
    bool expanded; /* within a lookbehind that was written out */
};

/* A class without what no byte is. Ranges that begin among the bytes end at the last. */
static void add_class(struct target *o, struct span t)
{
    bool negated = t.n > 1 && t.p[1] == '^', range = false, any = false;
    struct buf in = {0};
    for (size_t i = 1u + negated; i + 1 < t.n;) {
        size_t n = t.p[i] == '\\' ? pattern_token(t, i) : 1;
        struct span e = span_sub(t, i, i + n);
        long code = pattern_code_point(e, 0);
        i += n;
        if (code > 0xff && range) {
            buf_str(&in, "\\xff");
        } else if (code > 0xff) { /* with the end of its range */
            if (i + 2 < t.n && t.p[i] == '-')
                i += 1 + (t.p[i + 1] == '\\' ? pattern_token(t, i + 1) : 1);
            continue;
        } else if (code >= 0) {
            buf_printf(&in, "\\x{%lx}", code);
        } else if (n == 1 || !pattern_property(&in, e, o->caseless)) {
            buf_add(&in, e);
        }
        range = any && !range && span_eq(e, SPAN("-"));
        any = true;
    }
    if (in.n)
        buf_printf(&o->b, negated ? "[^%.*s]" : "[%.*s]", SPAN_ARG(buf_span(&in)));
    else
        buf_str(&o->b, negated ? "(?s:.)" : "(?:(?!))");
    buf_free(&in);
}

/* Whether a class names something that PCRE2 spells otherwise. */
static bool has_names(struct span t)
{
    static const char *const names[] = {"\\x{", "\\o{", "\\N{", "\\p{", "\\P{",
                                        "\\4",  "\\5",  "\\6",  "\\7"};
    if (t.n < 3 || t.p[0] != '[' || t.p[t.n - 1] != ']' || span_find(t, '\\') == SIZE_MAX)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_search(t, span_str(names[i])) != SIZE_MAX)
            return true;
    return false;
}

/* "\p{Punct}" as a class, "\g{ 1 }" without its blanks. false: it is neither. */
static bool add_braced(struct target *o, struct span t)
{
    struct buf in = {0};
    bool property = pattern_property(&in, t, o->caseless);
    if (property && in.n)
        buf_printf(&o->b, "[%.*s]", SPAN_ARG(buf_span(&in)));
    else if (property)
        buf_str(&o->b, "(?:(?!))");
    buf_free(&in);
    if (property || t.n < 5 || t.p[0] != '\\' || !one_of(t.p[1], "gk") || t.p[2] != '{')
        return property;
    for (size_t i = 0; i < t.n; i++)
        if (!one_of(t.p[i], " \t"))
            buf_char(&o->b, t.p[i]);
    return true;
}

/* What PCRE2 says otherwise than Perl: characters beyond bytes, which match nothing here, and
 * places that are repeated (^{0,1}, $?). */
static void add_token(struct target *o, struct span t, struct span rest)
{
    unsigned min, max;
    bool place =
        t.n == 1 ? one_of(t.p[0], "^$") : t.n == 2 && t.p[0] == '\\' && one_of(t.p[1], "bBAzZG");
    bool repeated = rest.n && (one_of(rest.p[0], "*+?") || pattern_braces(rest, &min, &max));
    long code = pattern_code_point(t, o->captures);
    bool colons = t.n > 3 && t.p[0] == '[' && t.p[1] == ':' && t.p[t.n - 2] == ':';
    if (has_names(t)) {
        add_class(o, t);
    } else if (colons) { /* no POSIX class here, whatever PCRE2 thinks */
        buf_printf(&o->b, "[\\%.*s", SPAN_ARG(span_from(t, 1)));
    } else if (code >= 0) {
        if (code > 0xff)
            buf_str(&o->b, "(?:(?!))");
        else
            buf_printf(&o->b, "\\x{%lx}", code);
    } else if (!add_braced(o, t)) {
        buf_str(&o->b, place && repeated ? "(?:" : "");
        buf_add(&o->b, t);
        buf_str(&o->b, place && repeated ? ")" : "");
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
    if (kind == OPENS_CONDITION && span_starts(condition, SPAN("R")))
        condition = span_from(condition, 1);
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

/* Two groups of the same name, which PCRE2 wants to be told. */
static bool has_names_twice(struct span p)
{
    enum { NAMES_MAX = 64 };
    struct span names[NAMES_MAX];
    enum pattern_opening kind;
    size_t n = 0;
    for (size_t at = 0; at < p.n && n < NAMES_MAX;) {
        if (p.p[at] != '(') {
            at += pattern_token(p, at);
            continue;
        }
        size_t length = pattern_group(p, at, &kind);
        names[n] = span_sub(p, at, at + length);
        at += length;
        if (kind != OPENS_CAPTURE || length == 1)
            continue;
        for (size_t i = 0; i < n; i++)
            if (span_eq(names[i], names[n]))
                return true;
        n++;
    }
    return false;
}

/* A quantifier as PCRE2 spells it: "{ ,3 }" is "{0,3}". */
static void add_braces(struct buf *b, unsigned min, unsigned max, bool fixed)
{
    if (fixed)
        buf_printf(b, "{%u}", min);
    else if (max == UINT_MAX)
        buf_printf(b, "{%u,}", min);
    else
        buf_printf(b, "{%u,%u}", min, max);
}

static void translate(struct target *o, struct span p);

/* What stands at `at` and is not the same to both. Returns its length. */
static size_t add_special(struct target *o, struct span p, size_t at, bool *nothing)
{
    struct span rest = span_from(p, at);
    size_t n = p.p[at] == '(' ? flags_length(p, at) : 0, braces;
    unsigned min, max;
    if (n && !span_starts(rest, SPAN("(?R)"))) {
        *nothing = true;
        return copy_flags(&o->b, p, at, n);
    }
    struct buf expanded = {0};
    n = p.p[at] == '(' && !o->expanded ? pattern_lookbehind(&expanded, p, at) : 0;
    if (n) {
        o->expanded = true; /* what it says is not taken apart again */
        translate(o, buf_span(&expanded));
        o->expanded = false;
    }
    buf_free(&expanded);
    if (n) {
        *nothing = false;
        return n;
    }
    if (p.p[at] == '(')
        return add_group(&o->b, p, at, o->captures, nothing);
    braces = pattern_braces(rest, &min, &max);
    if (*nothing && braces) {
        buf_str(&o->b, "\\{"); /* then it stands for itself */
        *nothing = false;
        return 1;
    }
    if (braces) {
        add_braces(&o->b, min, max, span_find(span_sub(rest, 0, braces), ',') == SIZE_MAX);
        return braces;
    }
    if (is_bare_letter(p, at)) {
        buf_char(&o->b, p.p[at + 1]);
        *nothing = false;
        return 2;
    }
    n = pattern_token(p, at);
    add_token(o, span_sub(p, at, at + n), span_from(p, at + n));
    *nothing = p.p[at] == '|';
    return n;
}

static void translate(struct target *o, struct span p)
{
    bool nothing = true; /* that a quantifier could be about */
    for (size_t at = 0; at < p.n;) {
        size_t same = same_bytes(p, at);
        buf_add(&o->b, span_sub(p, at, at + same));
        at += same;
        if (same)
            nothing = p.p[at - 1] == '|';
        if (at < p.n)
            at += add_special(o, p, at, &nothing);
    }
}

struct span pattern_pcre(struct arena *a, struct span p, struct span mods)
{
    struct target o = {.caseless = span_find(mods, 'i') != SIZE_MAX ||
                                   span_search(p, SPAN("(?i")) != SIZE_MAX,
                       .captures = pattern_captures(p)};
    if (has_names_twice(p))
        buf_str(&o.b, "(?J)");
    if (mods.n) {
        struct span head = arena_printf(a, "(?%.*s)", SPAN_ARG(mods));
        copy_flags(&o.b, head, 0, mods.n);
    }
    translate(&o, p);
    struct span out = arena_dup(a, buf_span(&o.b));
    buf_free(&o.b);
    return out;
}
