/* How groups begin, and repetitions of what has no width: Perl warns about those, and SpamAssassin
 * takes such a warning for a mistake of the rule's author. */
#include "pattern/pattern.h"

static size_t through(struct span p, size_t from, char end)
{
    size_t n = from < p.n ? span_find(span_from(p, from), end) : SIZE_MAX;
    return n == SIZE_MAX ? p.n : from + n + 1;
}

/* Behind the balanced parenthesis that opens at `at`. */
static size_t balanced(struct span p, size_t at)
{
    size_t depth = 0;
    while (at < p.n) {
        char c = p.p[at];
        at += pattern_token(p, at);
        depth += c == '(';
        if (c == ')' && --depth == 0)
            break;
    }
    return at < p.n ? at : p.n;
}

size_t pattern_group(struct span p, size_t at, enum pattern_opening *kind)
{
    static const struct {
        const char *text;
        enum pattern_opening kind;
    } starts[] = {{"(?:", OPENS_PLAIN}, {"(?>", OPENS_PLAIN},  {"(?|", OPENS_PLAIN},
                  {"(?=", OPENS_LOOK},  {"(?!", OPENS_LOOK},   {"(?<=", OPENS_LOOK},
                  {"(?<!", OPENS_LOOK}, {"(?P<", OPENS_NAMED}, {"(?<", OPENS_NAMED}};
    struct span rest = span_from(p, at);
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        struct span text = span_str(starts[i].text);
        if (!span_starts(rest, text))
            continue;
        *kind = starts[i].kind == OPENS_NAMED ? OPENS_CAPTURE : starts[i].kind;
        return starts[i].kind == OPENS_NAMED ? through(p, at + text.n, '>') - at : text.n;
    }
    if (span_starts(rest, SPAN("(?'"))) {
        *kind = OPENS_CAPTURE;
        return through(p, at + 3, '\'') - at;
    }
    if (span_starts(rest, SPAN("(?#"))) {
        *kind = OPENS_COMMENT;
        return through(p, at, ')') - at;
    }
    if (span_starts(rest, SPAN("(?("))) {
        *kind = OPENS_CONDITION;
        return balanced(p, at + 2) - at;
    }
    if (rest.n > 1 && one_of(rest.p[1], "?*")) {
        size_t i = at + 2;
        while (i < p.n && (ascii_isalpha(p.p[i]) || one_of(p.p[i], "-^")))
            i++;
        bool flags = rest.p[1] == '?' && i < p.n && one_of(p.p[i], ":)");
        bool recursion = flags && p.p[i] == ')' && span_starts(rest, SPAN("(?R"));
        *kind = !flags || recursion ? OPENS_ATOM : p.p[i] == ':' ? OPENS_PLAIN : OPENS_FLAGS;
        return (*kind == OPENS_ATOM ? through(p, at, ')') : i + 1) - at;
    }
    *kind = OPENS_CAPTURE;
    return 1;
}

size_t pattern_captures(struct span p)
{
    size_t n = 0;
    enum pattern_opening kind;
    for (size_t at = 0; at < p.n;) {
        if (p.p[at] != '(') {
            at += pattern_token(p, at);
            continue;
        }
        at += pattern_group(p, at, &kind);
        n += kind == OPENS_CAPTURE;
    }
    return n;
}

/* Blanks may stand beside the braces and the comma. */
static size_t skip_blank(struct span s, size_t i)
{
    while (i < s.n && one_of(s.p[i], " \t"))
        i++;
    return i;
}

size_t pattern_braces(struct span s, unsigned *min, unsigned *max)
{
    size_t i = skip_blank(s, 1);
    bool lower = false, upper = false;
    if (!s.n || s.p[0] != '{')
        return 0;
    *min = *max = 0;
    for (; i < s.n && ascii_isdigit(s.p[i]); i++, lower = true)
        *min = *min > 100000 ? *min : *min * 10 + (unsigned)(s.p[i] - '0');
    *max = *min;
    i = skip_blank(s, i);
    if (i < s.n && s.p[i] == ',') {
        *max = 0;
        for (i = skip_blank(s, i + 1); i < s.n && ascii_isdigit(s.p[i]); i++, upper = true)
            *max = *max > 100000 ? *max : *max * 10 + (unsigned)(s.p[i] - '0');
        if (!upper)
            *max = UINT_MAX;
        i = skip_blank(s, i);
    }
    return (lower || upper) && i < s.n && s.p[i] == '}' ? i + 1 : 0;
}

/* --- width --- */

enum { DEPTH_MAX = 200 };

struct piece {
    bool any, wide, captures; /* any: something that a quantifier is about */
    bool start;               /* a ^, behind which a brace may stand */
};

struct scan {
    struct span p;
    size_t at;
    bool extended;
    size_t captures; /* of all of it */
    struct err *e;
    bool bad;
};

static struct piece alternatives(struct scan *s, unsigned depth);

static void skip_blanks(struct scan *s)
{
    while (s->extended && s->at < s->p.n) {
        if (s->p.p[s->at] == '#')
            s->at = through(s->p, s->at, '\n');
        else if (ascii_isspace(s->p.p[s->at]))
            s->at++;
        else
            break;
    }
}

static void take_flags(struct scan *s, struct span text)
{
    bool on = true;
    for (size_t i = 2; i < text.n; i++) {
        on &= text.p[i] != '-';
        if (text.p[i] == '^')
            s->extended = false;
        else if (text.p[i] == 'x')
            s->extended = on;
    }
}

static struct piece group(struct scan *s, unsigned depth)
{
    enum pattern_opening kind;
    size_t n = pattern_group(s->p, s->at, &kind);
    struct span text = span_sub(s->p, s->at, s->at + n);
    bool extended = s->extended;
    s->at += n;
    s->bad |= pattern_check_group(text, kind, s->e) != 0;
    if (kind == OPENS_COMMENT)
        return (struct piece){0};
    if (kind == OPENS_ATOM)
        return (struct piece){.any = true, .wide = true};
    if (kind == OPENS_FLAGS || (kind == OPENS_PLAIN && text.n > 3))
        take_flags(s, text);
    if (kind == OPENS_FLAGS)
        return (struct piece){0};
    struct piece in = alternatives(s, depth + 1);
    if (s->at < s->p.n)
        s->at++; /* the closing parenthesis */
    s->extended = extended;
    in.any = true;
    in.wide = kind == OPENS_CONDITION || (in.wide && kind != OPENS_LOOK);
    in.captures |= kind == OPENS_CAPTURE;
    return in;
}

static struct piece atom(struct scan *s, unsigned depth)
{
    if (s->p.p[s->at] == '(')
        return group(s, depth);
    struct span t = span_sub(s->p, s->at, s->at + pattern_token(s->p, s->at));
    s->at += t.n;
    s->bad |= pattern_check_token(t, span_from(s->p, s->at), s->captures, s->e) != 0;
    bool place =
        t.n == 1 ? one_of(t.p[0], "^$") : t.n == 2 && t.p[0] == '\\' && one_of(t.p[1], "bBAzZGK");
    return (struct piece){.any = true, .wide = !place, .start = t.p[0] == '^'};
}

/* "{n}?" says nothing that "{n}" does not. */
static int check_braces(struct scan *s, struct span behind, unsigned min, unsigned max)
{
    enum { REPEATS_MAX = 65534 };
    struct scan next = {.p = behind, .extended = s->extended};
    skip_blanks(&next);
    bool lazy = next.at < behind.n && behind.p[next.at] == '?';
    s->bad |= lazy && min == max;
    if (lazy && min == max)
        return err_set(s->e, "useless '?' behind a fixed number of repetitions");
    s->bad |= min > REPEATS_MAX || (max > REPEATS_MAX && max != UINT_MAX);
    return s->bad ? err_set(s->e, "more than %d repetitions", REPEATS_MAX) : 0;
}

/* The quantifier that stands here, if any. */
static void quantify(struct scan *s, struct piece *piece)
{
    struct span rest = span_from(s->p, s->at);
    unsigned min = 0, max = UINT_MAX;
    size_t n = rest.n && one_of(rest.p[0], "*+?") ? 1 : pattern_braces(rest, &min, &max);
    if (!n && rest.n && rest.p[0] == '{' && piece->any && !piece->start)
        s->bad |= err_set(s->e, "a '{' that begins no quantifier needs a backslash") != 0;
    if (!n || !piece->any)
        return;
    if (rest.p[0] == '{' && check_braces(s, span_from(rest, n), min, max) != 0)
        return;
    if (rest.p[0] == '?')
        max = 1;
    if (!piece->wide && max == UINT_MAX) {
        s->bad = true;
        (void)err_set(s->e, "'%.*s' repeats without end what matches nothing", (int)n, rest.p);
    } else if (!piece->wide && !piece->captures && (min > 0 || max == 0)) {
        s->bad = true;
        (void)err_set(s->e, "'%.*s' repeats what matches nothing", (int)n, rest.p);
    }
    piece->wide &= max > 0;
    s->at += n;
    if (s->at < s->p.n && one_of(s->p.p[s->at], "?+"))
        s->at++;
}

static struct piece alternatives(struct scan *s, unsigned depth)
{
    struct piece all = {0};
    while (s->at < s->p.n && s->p.p[s->at] != ')' && !s->bad && depth < DEPTH_MAX) {
        skip_blanks(s);
        if (s->at >= s->p.n || s->p.p[s->at] == ')')
            break;
        if (s->p.p[s->at] == '|') {
            s->at++;
            continue;
        }
        struct piece piece = atom(s, depth);
        skip_blanks(s);
        quantify(s, &piece);
        all.wide |= piece.wide;
        all.captures |= piece.captures;
    }
    return all;
}

int pattern_refuse(struct span p, struct span mods, struct err *e)
{
    struct scan s = {.p = p,
                     .e = e,
                     .extended = span_find(mods, 'x') != SIZE_MAX,
                     .captures = pattern_captures(p)};
    if (pattern_check_flags(mods, e) != 0)
        return -1;
    while (s.at < p.n && !s.bad) {
        size_t before = s.at;
        (void)alternatives(&s, 0);
        s.at += s.at == before || s.at < p.n; /* an unbalanced parenthesis, or too deep */
    }
    return s.bad ? -1 : 0;
}
