/* Mistakes in single elements of a pattern that PCRE2 lets pass: Perl refuses them or warns, and
 * SpamAssassin then does without the rule. */
#include "pattern/pattern.h"

static const char *const posix_names[] = {"alpha", "alnum", "ascii", "blank", "cntrl",
                                          "digit", "graph", "lower", "print", "punct",
                                          "space", "upper", "word",  "xdigit"};

static size_t posix_name(struct span s)
{
    for (size_t i = 0; i < sizeof posix_names / sizeof *posix_names; i++)
        if (span_starts(s, span_str(posix_names[i])))
            return strlen(posix_names[i]);
    return 0;
}

static struct span trimmed(struct span s)
{
    while (s.n && one_of(s.p[0], " \t"))
        s = span_from(s, 1);
    while (s.n && one_of(s.p[s.n - 1], " \t"))
        s.n--;
    return s;
}

/* --- escapes --- */

static int check_hex(struct span t, struct span rest, struct err *e)
{
    static const uint64_t most = 0x7fffffff;
    if (t.n < 3 || t.p[2] != '{') {
        if (t.n < 4 && rest.n)
            return err_set(e, "'%.*s' needs two hexadecimal digits", SPAN_ARG(t));
        return 0;
    }
    struct span digits = trimmed(span_sub(t, 3, t.n - 1));
    uint64_t value = 0;
    for (size_t i = 0; i < digits.n; i++) {
        int digit = ascii_hex(digits.p[i]);
        bool between = digits.p[i] == '_' && i + 1 < digits.n && digits.p[i + 1] != '_';
        if (digit < 0 && !between)
            return err_set(e, "'%.*s' is no hexadecimal number", SPAN_ARG(t));
        if (digit >= 0)
            value = value * 16 + (uint64_t)digit;
        if (value > most)
            return err_set(e, "'%.*s' is no character", SPAN_ARG(t));
    }
    return 0;
}

/* The number that "\12" names when it is a group's. */
static bool is_reference(struct span t, struct span rest, size_t captures)
{
    uint64_t number = 0;
    if (t.p[1] == '0')
        return false;
    for (size_t i = 1; i < t.n; i++)
        number = number * 10 + (uint64_t)(t.p[i] - '0');
    for (size_t i = 0; i < rest.n && ascii_isdigit(rest.p[i]) && number < 1000000; i++)
        number = number * 10 + (uint64_t)(rest.p[i] - '0');
    return number < 10 || number <= captures;
}

static int check_octal(struct span t, struct span rest, struct err *e)
{
    if (t.n < 4 && rest.n && one_of(rest.p[0], "89"))
        return err_set(e, "'%.*s%c' is no octal number", SPAN_ARG(t), rest.p[0]);
    return 0;
}

static int check_control(struct span t, struct err *e)
{
    if (t.n == 3 && t.p[2] > ' ' && !ascii_isalpha(t.p[2]) && !one_of(t.p[2], "@[\\]^_?"))
        return err_set(e, "'%.*s' is no control character", SPAN_ARG(t));
    return 0;
}

static int check_reference(struct span t, struct span rest, struct err *e)
{
    bool braces = t.n > 2 && t.p[2] == '{';
    struct span name = braces ? trimmed(span_sub(t, 3, t.n - 1)) : span_from(t, 2);
    if (name.n && name.p[0] == '-')
        name = span_from(name, 1);
    bool number = name.n && ascii_isdigit(name.p[0]);
    if (!name.n || one_of(name.p[0], "+<'") || (number && name.p[0] == '0') || (!braces && !number))
        return err_set(e, "'%.*s%.*s' is no reference to a group", SPAN_ARG(t),
                       (int)(rest.n < 1 ? rest.n : 1), rest.p);
    return 0;
}

static int check_escape(struct span t, struct span rest, size_t captures, struct err *e)
{
    char c = t.n > 1 ? t.p[1] : 0;
    if (c == 'x')
        return check_hex(t, rest, e);
    if (c == 'g')
        return check_reference(t, rest, e);
    if (c == 'c')
        return check_control(t, e);
    if (c >= '0' && c <= '7' && !is_reference(t, rest, captures))
        return check_octal(t, rest, e);
    return 0;
}

/* --- classes --- */

/* "[:alpha]", "[alpha:]", "[[alpha:]]": meant for a class of POSIX. */
static bool misses_a_colon(struct span inside)
{
    struct span whole = trimmed(inside);
    bool bracket = span_starts(whole, SPAN("["));
    struct span s = span_from(whole, bracket);
    bool first = span_starts(s, SPAN(":"));
    s = span_from(s, first);
    s = span_from(s, span_starts(s, SPAN("^")));
    size_t n = posix_name(s);
    if (!n)
        return false;
    s = span_from(s, n);
    bool last = span_starts(s, SPAN(":"));
    return (first != last || whole.n < inside.n) && span_from(s, last).n == 0 && (first || last);
}

/* "[:" inside a class, with a name but no ":]". */
static bool is_unfinished_posix(struct span s)
{
    if (!span_starts(s, SPAN("[:")))
        return false;
    struct span name = span_from(s, 2);
    name = span_from(name, span_starts(name, SPAN("^")));
    size_t n = posix_name(name), end = span_search(name, SPAN(":]"));
    return n && (end == SIZE_MAX || span_find(name, ']') < end);
}

static int check_class(struct span t, struct err *e)
{
    if (t.n < 4 || t.p[t.n - 1] != ']')
        return 0; /* not closed: PCRE2 says so */
    size_t from = 2u + (t.p[2] == '^'), name = posix_name(span_from(t, from));
    bool bare = t.p[1] == ':' && name && span_eq(span_from(t, from + name), SPAN(":]"));
    if (bare || misses_a_colon(span_sub(t, 1, t.n - 1)))
        return err_set(e, "'%.*s' is no POSIX class", SPAN_ARG(t));
    for (size_t i = 1; i + 1 < t.n;) {
        if (is_unfinished_posix(span_from(t, i)))
            return err_set(e, "'%.*s' has a POSIX class without end", SPAN_ARG(t));
        size_t n = t.p[i] == '\\' ? pattern_token(t, i) : 1;
        struct span escape = span_sub(t, i, i + n), rest = span_from(t, i + n);
        if (n > 1 && one_of(escape.p[1], "89gQE"))
            return err_set(e, "'\\%c' has no meaning in a class", escape.p[1]);
        if (n > 1 && check_escape(escape, rest, 0, e) != 0)
            return -1;
        if (n > 1 && one_of(escape.p[1], "1234567") && check_octal(escape, rest, e) != 0)
            return -1;
        i += n;
    }
    return 0;
}

int pattern_check_token(struct span t, struct span rest, size_t captures, struct err *e)
{
    return t.p[0] == '\\'  ? check_escape(t, rest, captures, e)
           : t.p[0] == '[' ? check_class(t, e)
                           : 0;
}

/* --- groups --- */

/* (*VERB), (*VERB:name) and the spelled out assertions. */
static int check_verb(struct span t, struct err *e)
{
    static const char *const verbs[] = {"ACCEPT", "COMMIT", "FAIL", "F", "PRUNE", "SKIP", "THEN"};
    static const char *const words[] = {
        "pla", "positive_lookahead",  "nla",    "negative_lookahead", "plb", "positive_lookbehind",
        "nlb", "negative_lookbehind", "atomic", "script_run",         "sr",  "atomic_script_run",
        "asr"};
    size_t n = 2;
    while (n < t.n && (ascii_isalpha(t.p[n]) || t.p[n] == '_'))
        n++;
    struct span name = span_sub(t, 2, n);
    bool more = n < t.n && t.p[n] == ':', argument = more && n + 1 < t.n && t.p[n + 1] != ')';
    if (n < t.n && (more || t.p[n] == ')')) {
        for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
            if (span_eq(name, span_str(verbs[i])))
                return 0;
        for (size_t i = 0; more && i < sizeof words / sizeof *words; i++)
            if (span_eq(name, span_str(words[i])))
                return 0;
        if (argument && (name.n == 0 || span_eq(name, SPAN("MARK"))))
            return 0;
    }
    return err_set(e, "'%.*s' is no verb of Perl's", (int)(n < t.n ? n + 1 : n), t.p);
}

/* What stands between the inner parentheses of "(?(...)". */
static int check_condition(struct span t, struct err *e)
{
    struct span c = span_sub(t, 3, t.n - 1);
    bool number = c.n && one_of(c.p[0], "123456789");
    for (size_t i = 0; number && i < c.n; i++)
        number = ascii_isdigit(c.p[i]);
    bool recursion = c.n && c.p[0] == 'R';
    for (size_t i = 1; recursion && i < c.n && c.p[1] != '&'; i++)
        recursion = ascii_isdigit(c.p[i]);
    if (number || recursion || span_eq(c, SPAN("DEFINE")) || (c.n && one_of(c.p[0], "<'?*")))
        return 0;
    return err_set(e, "'%.*s' is no condition of Perl's", SPAN_ARG(t));
}

int pattern_check_flags(struct span flags, struct err *e)
{
    size_t count['z' + 1] = {0};
    bool on = true, caret = span_starts(flags, SPAN("^"));
    for (size_t i = caret; i < flags.n; i++) {
        char c = flags.p[i];
        if (c < 'a' || c > 'z') {
            if (c != '-' || !on || caret)
                return err_set(e, "'%c' is no modifier in '%.*s'", c, SPAN_ARG(flags));
            on = false;
            continue;
        }
        count[(unsigned char)c] += on;
        if (one_of(c, "ogc") || (!on && one_of(c, "adlup")))
            return err_set(e, "useless modifier '%c' in '%.*s'", c, SPAN_ARG(flags));
    }
    size_t sets = (count['a'] > 0) + count['d'] + count['l'] + count['u'];
    if (count['a'] > 2 || sets > 1)
        return err_set(e, "modifiers that exclude each other in '%.*s'", SPAN_ARG(flags));
    return 0;
}

int pattern_check_group(struct span t, enum pattern_opening kind, struct err *e)
{
    if (span_starts(t, SPAN("(?*")) || span_starts(t, SPAN("(?<*")))
        return err_set(e, "'%.*s' opens no group of Perl's", (int)(t.n < 4 ? t.n : 4), t.p);
    if (span_starts(t, SPAN("(*")))
        return check_verb(t, e);
    if (kind == OPENS_CONDITION && span_starts(t, SPAN("(?(")))
        return check_condition(t, e);
    if ((kind == OPENS_FLAGS || (kind == OPENS_PLAIN && t.n > 3)) && span_starts(t, SPAN("(?")))
        return pattern_check_flags(span_sub(t, 2, t.n - 1), e);
    return 0;
}
