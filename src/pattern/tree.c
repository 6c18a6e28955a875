#include "pattern/tree.h"

#include "pattern/pattern.h"

enum { NESTING_MAX = 150, KNOWN_GROUPS = 256, KNOWN_PREFIX = 16 };

struct parser {
    struct byteset_table *sets;
    struct arena *a;
    struct span p;
    size_t at;
    bool icase, dotall, extended, lines;
    bool gave_up;
    bool shares; /* there are no references: groups that look alike are alike */
    bool counts; /* the numbers of groups are known, no two have one name */
    unsigned nesting;
    unsigned ngroups, nreferences;
    struct {
        struct span name;
        struct tree *tree; /* NULL: it is still open */
    } groups[TREE_CAPTURES + 1];
    struct span name;         /* of the group that was opened last */
    uint16_t letters[2][256]; /* sets of single bytes, by icase; 0: not asked for yet */
    struct known_group *known[KNOWN_GROUPS];
};

/* Alternatives in parentheses that were read before: what patterns of look-alike letters consist
 * of. */
struct known_group {
    struct span text;
    bool icase, dotall, extended, lines;
    const struct tree *tree;
};

static struct tree *node(struct parser *p, enum tree_kind kind)
{
    struct tree *t = ARENA_NEW(p->a, struct tree);
    t->kind = kind;
    return t;
}

static struct tree *test(struct parser *p, enum tree_kind kind, enum tree_test test)
{
    struct tree *t = node(p, kind);
    t->test = test;
    return t;
}

static void add_child(struct tree *t, struct tree *child)
{
    if (t->last)
        t->last->next = child;
    else
        t->child = child;
    t->last = child;
}

static struct tree *one_set(struct parser *p, struct byteset s)
{
    uint16_t number = byteset_number(p->sets, s);
    struct tree *t = node(p, number == BYTESET_NONE ? TREE_ANY : TREE_SET);
    t->set = number;
    return t;
}

static struct tree *alternatives(struct parser *p);

static bool more(const struct parser *p)
{
    return p->at < p->p.n && !p->gave_up;
}

static char peek(const struct parser *p)
{
    return p->p.p[p->at];
}

static struct byteset class_of(char c)
{
    struct byteset s = {{0}};
    switch (ascii_lower(c)) {
    case 'd':
        s = byteset_range('0', '9');
        break;
    case 'w':
        s = byteset_or(byteset_or(byteset_range('0', '9'), byteset_range('a', 'z')),
                       byteset_range('A', 'Z'));
        byteset_add(&s, '_');
        break;
    case 's':
        s = byteset_range('\t', '\r');
        byteset_add(&s, ' ');
        break;
    case 'h':
        byteset_add(&s, '\t');
        byteset_add(&s, ' ');
        byteset_add(&s, 0xa0);
        break;
    default: /* v */
        s = byteset_range('\n', '\r');
        byteset_add(&s, 0x85);
    }
    return c >= 'A' && c <= 'Z' ? byteset_not(s) : s;
}

/* Byte of an escape that stands for one; -1: it is something else. n: its length. */
static int escape_byte(struct span t)
{
    char c = t.p[1];
    static const char names[] = "tnrfea", bytes[] = "\t\n\r\f\x1b\a";
    const char *known = c ? strchr(names, c) : NULL;
    if (known)
        return bytes[known - names];
    if (c == 'x') {
        size_t from = t.n > 2 && t.p[2] == '{' ? 3 : 2;
        unsigned v = 0;
        for (size_t i = from; i < t.n && ascii_hex(t.p[i]) >= 0 && v < 0x1000; i++)
            v = v * 16 + (unsigned)ascii_hex(t.p[i]);
        return v < 256 ? (int)v : -1;
    }
    if (c == '0' || (c >= '1' && c <= '7' && t.n == 4)) {
        unsigned v = 0;
        for (size_t i = 1; i < t.n; i++)
            v = v * 8 + (unsigned)(t.p[i] - '0');
        return v < 256 ? (int)v : -1;
    }
    if (c == 'c' && t.n == 3)
        return ascii_upper(t.p[2]) ^ 64;
    return ascii_isalnum(c) ? -1 : (unsigned char)c;
}

/* Without regard to case, upper and lower are both of all letters, also where they are negated. */
static struct byteset posix(struct span name, bool icase, bool *known)
{
    static const struct {
        const char *name;
        const char *ranges; /* pairs */
    } table[] = {
        {"alpha", "azAZ"},
        {"digit", "09"},
        {"alnum", "azAZ09"},
        {"upper", "AZ"},
        {"lower", "az"},
        {"space", "\t\r  "},
        {"blank", "\t\t  "},
        {"punct", "!/:@[`{~"},
        {"xdigit", "09afAF"},
        {"word", "azAZ09__"},
        {"graph", "!~"},
        {"print", " ~"},
        {"cntrl", "\x01\x1f\x7f\x7f"},
        {"ascii", "\x01\x7f"},
    };
    struct byteset s = {{0}};
    bool negated = span_starts(name, SPAN("^"));
    name = span_from(name, negated);
    if (icase && (span_eq(name, SPAN("upper")) || span_eq(name, SPAN("lower"))))
        name = SPAN("alpha");
    *known = false;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!span_eq(name, span_str(table[i].name)))
            continue;
        *known = true;
        for (const char *r = table[i].ranges; *r; r += 2)
            s = byteset_or(s, byteset_range((unsigned char)r[0], (unsigned char)r[1]));
        if (i >= 12)
            byteset_add(&s, 0);
    }
    return negated ? byteset_not(s) : s;
}

/* One element of a class from t at *i: its set, and its byte when it is a single one (for ranges).
 */
static struct byteset class_element(struct span t, bool icase, size_t *i, int *byte, bool *ok)
{
    struct byteset s = {{0}};
    *byte = -1;
    if (t.p[*i] == '[' && *i + 1 < t.n && t.p[*i + 1] == ':') {
        size_t end = span_search(span_from(t, *i + 2), SPAN(":]"));
        if (end != SIZE_MAX) {
            bool known;
            s = posix(span_sub(t, *i + 2, *i + 2 + end), icase, &known);
            *ok &= known;
            *i += end + 4;
            return s;
        }
    }
    if (t.p[*i] == '\\' && *i + 1 < t.n) {
        size_t n = pattern_token(t, *i);
        struct span e = span_sub(t, *i, *i + n);
        *i += n;
        if (e.n == 2 && one_of(e.p[1], "dDwWsShHvV"))
            return class_of(e.p[1]);
        *byte = e.p[1] == 'b' ? '\b' : escape_byte(e);
        if (*byte < 0 && ascii_isdigit(e.p[1])) {
            *ok = false; /* octal in a class has rules of its own */
        }
        *ok &= *byte >= 0;
    } else {
        *byte = (unsigned char)t.p[(*i)++];
    }
    if (*byte >= 0)
        byteset_add(&s, (unsigned char)*byte);
    return s;
}

static struct tree *bracket(struct parser *p)
{
    size_t n = pattern_token(p->p, p->at);
    struct span t = span_sub(p->p, p->at + 1, p->at + n - 1);
    p->at += n;
    bool negated = span_starts(t, SPAN("^")), ok = true;
    struct byteset s = {{0}};
    for (size_t i = negated; i < t.n && ok;) {
        int from, to;
        struct byteset part = class_element(t, p->icase, &i, &from, &ok);
        if (from >= 0 && i + 1 < t.n && t.p[i] == '-') {
            size_t next = i + 1;
            struct byteset end = class_element(t, p->icase, &next, &to, &ok);
            if (to >= from) {
                part = byteset_range((unsigned)from, (unsigned)to);
                i = next;
            } else if (to < 0) {
                part = byteset_or(part, end);
                byteset_add(&part, '-');
                i = next;
            } else {
                ok = false;
            }
        }
        s = byteset_or(s, part);
    }
    if (!ok)
        return node(p, TREE_ANY);
    if (p->icase)
        s = byteset_folded(s);
    if (negated)
        s = byteset_not(s);
    return one_set(p, s);
}

static struct tree *literal(struct parser *p, unsigned char c)
{
    uint16_t *known = &p->letters[p->icase][c];
    struct byteset s = {{0}};
    if (*known == 0) {
        byteset_add(&s, c);
        *known = byteset_number(p->sets, p->icase ? byteset_folded(s) : s);
    }
    struct tree *t = node(p, *known == BYTESET_NONE ? TREE_ANY : TREE_SET);
    t->set = *known;
    return t;
}

/* Escapes without width; TEST_NONE: it is none. */
static enum tree_test place_of(char c)
{
    switch (c) {
    case 'b':
        return TEST_EDGE;
    case 'B':
        return TEST_NO_EDGE;
    case 'A':
        return TEST_START;
    case 'z':
        return TEST_END;
    case 'Z':
        return TEST_LAST_LINE;
    case 'G':
        return TEST_BEGIN;
    default:
        return TEST_NONE;
    }
}

/* --- references --- */

/* The number of the group that "\1", "\g{1}", "\g{-1}", "\k<name>" and the like mean; 0: not
 * known. */
static uint64_t group_meant(const struct parser *p, struct span t)
{
    uint64_t n = 0;
    struct span name = span_from(t, 2);
    if (t.n == 2 && ascii_isdigit(t.p[1])) /* with more digits it may be octal */
        return p->at < p->p.n && ascii_isdigit(peek(p)) ? 0 : (uint64_t)(t.p[1] - '0');
    if (t.n < 3 || !one_of(t.p[1], "gk") || (t.p[1] == 'g' && one_of(t.p[2], "<'")))
        return 0; /* those call it */
    if (one_of(name.p[0], "{<'"))
        name = span_sub(name, 1, name.n - 1);
    if (span_u64(name, &n))
        return t.p[1] == 'g' ? n : 0;
    if (span_starts(name, SPAN("-")) && span_u64(span_from(name, 1), &n))
        return n && n <= p->ngroups ? p->ngroups + 1 - n : 0;
    for (n = TREE_CAPTURES; n; n--)
        if (name.n && span_eq(p->groups[n].name, name))
            break;
    return n;
}

static struct tree *reference(struct parser *p, struct span t)
{
    struct tree *ref = node(p, TREE_ANY);
    uint64_t n = group_meant(p, t);
    p->nreferences++;
    if (n == 0 || n > TREE_CAPTURES || !p->groups[n].tree)
        return ref;
    struct tree *of = p->groups[n].tree;
    of->capture = (uint8_t)n;
    ref->of = of;
    ref->folded = p->icase;
    ref->min = tree_shortest(of);
    return ref;
}

/* The group that was opened as the n-th has ended. */
static void note_capture(struct parser *p, unsigned n, struct span name, struct tree *inner)
{
    if (n > TREE_CAPTURES) {
        p->counts &= name.n == 0; /* it may have one of the others' */
        return;
    }
    for (unsigned i = 1; i <= TREE_CAPTURES; i++)
        p->counts &= name.n == 0 || !span_eq(p->groups[i].name, name);
    p->groups[n].name = name;
    p->groups[n].tree = inner;
}

/* Groups whose text is not known for sure have no number. */
static void settle_captures(struct tree *t, bool sure)
{
    if (!sure)
        t->capture = 0;
    sure &= t->kind != TREE_REPEAT && t->kind != TREE_AHEAD;
    if (t->look)
        settle_captures(t->look, false);
    for (struct tree *k = t->child; k; k = k->next)
        settle_captures(k, sure);
}

static bool has_references(struct span s)
{
    for (size_t at; (at = span_find(s, '\\')) != SIZE_MAX; s = span_from(s, at + 2))
        if (at + 1 < s.n && one_of(s.p[at + 1], "123456789gk"))
            return true;
    return false;
}

static struct tree *escape(struct parser *p)
{
    size_t n = pattern_token(p->p, p->at);
    struct span t = span_sub(p->p, p->at, p->at + n);
    p->at += n;
    if (t.n < 2) {
        p->gave_up = true;
        return node(p, TREE_ANY);
    }
    char c = t.p[1];
    if (place_of(c) != TEST_NONE || c == 'K')
        return test(p, TREE_EMPTY, place_of(c));
    if (c == 'Q' || c == 'E') {
        p->gave_up = true;
        return node(p, TREE_ANY);
    }
    if (c == 'N' && t.n == 2) {
        struct byteset s = byteset_range('\n', '\n');
        return one_set(p, byteset_not(s));
    }
    if (t.n == 2 && one_of(c, "dDwWsShHvV"))
        return one_set(p, class_of(c));
    int byte = escape_byte(t);
    return byte >= 0 ? literal(p, (unsigned char)byte) : reference(p, t);
}

static void set_flags(struct parser *p, struct span flags)
{
    bool on = true;
    for (size_t i = 0; i < flags.n; i++) {
        switch (flags.p[i]) {
        case '^':
            p->icase = p->dotall = p->extended = p->lines = false;
            break;
        case '-':
            on = false;
            break;
        case 'i':
            p->icase = on;
            break;
        case 'm':
            p->lines = on;
            break;
        case 's':
            p->dotall = on;
            break;
        case 'n':
        case 'J':
            p->counts = false;
            break;
        case 'x':
            p->gave_up |= i > 0 && flags.p[i - 1] == 'x'; /* blanks in classes count for nothing */
            p->extended = on;
            break;
        default:
            break;
        }
    }
}

/* Behind "(?": what kind of group; false for "(?flags)", which is done with then. */
enum group {
    GROUP_PLAIN,
    GROUP_CAPTURE,
    GROUP_ATOMIC,
    GROUP_AHEAD,
    GROUP_NOT_AHEAD,
    GROUP_BEHIND,
    GROUP_NOT_BEHIND,
    GROUP_FLAGS
};

static enum group group_kind(struct parser *p)
{
    struct span rest = span_from(p->p, p->at);
    static const struct {
        const char *open;
        enum group kind;
    } kinds[] = {
        {":", GROUP_PLAIN},     {">", GROUP_ATOMIC},  {"|", GROUP_PLAIN},       {"=", GROUP_AHEAD},
        {"!", GROUP_NOT_AHEAD}, {"<=", GROUP_BEHIND}, {"<!", GROUP_NOT_BEHIND},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (span_starts(rest, span_str(kinds[i].open))) {
            p->counts &= kinds[i].open[0] != '|';
            p->at += strlen(kinds[i].open);
            return kinds[i].kind;
        }
    char close = span_starts(rest, SPAN("'")) ? '\'' : '>';
    if (span_starts(rest, SPAN("<")) || span_starts(rest, SPAN("P<")) ||
        span_starts(rest, SPAN("'"))) {
        size_t from = rest.p[0] == 'P' ? 2 : 1, end = span_find(span_from(rest, from), close);
        if (end == SIZE_MAX) {
            p->gave_up = true;
        } else {
            p->name = span_sub(rest, from, from + end);
            p->at += from + end + 1;
        }
        return GROUP_CAPTURE;
    }
    size_t n = 0;
    while (n < rest.n && (ascii_isalpha(rest.p[n]) || rest.p[n] == '-' || rest.p[n] == '^'))
        n++;
    if (n == rest.n || (rest.p[n] != ':' && rest.p[n] != ')')) {
        p->gave_up = true; /* conditions, recursion, comments, verbs */
        return GROUP_PLAIN;
    }
    for (size_t i = 0; i < n; i++)
        p->gave_up |= !one_of(rest.p[i], "imsxnJU^-"); /* (?R) and its like */
    set_flags(p, span_sub(rest, 0, n));
    p->at += n + 1;
    return rest.p[n] == ':' ? GROUP_PLAIN : GROUP_FLAGS;
}

static struct known_group **slot_of(struct parser *p, struct span rest)
{
    uint32_t h = 0;
    for (size_t i = 0; i < rest.n && i < KNOWN_PREFIX; i++)
        h = h * 31 + (unsigned char)rest.p[i];
    return &p->known[(h ^ h >> 16) % KNOWN_GROUPS];
}

/* The alternatives that begin here, if they are known. */
static struct tree *known_group(struct parser *p)
{
    struct span rest = span_from(p->p, p->at);
    const struct known_group *k = *slot_of(p, rest);
    if (!k || k->icase != p->icase || k->dotall != p->dotall || k->extended != p->extended ||
        k->lines != p->lines || !span_starts(rest, k->text))
        return NULL;
    struct tree *t = node(p, k->tree->kind);
    *t = *k->tree;
    t->next = NULL;
    p->at += k->text.n;
    return t;
}

/* Only alternatives: nothing looks for one of their parts by its address. */
static void note_group(struct parser *p, size_t from, const struct tree *t)
{
    struct span text = span_sub(p->p, from, p->at);
    if (t->kind != TREE_ALT || !p->shares || p->gave_up || text.n < KNOWN_PREFIX)
        return;
    struct known_group *k = ARENA_NEW(p->a, struct known_group);
    *k = (struct known_group){text, p->icase, p->dotall, p->extended, p->lines, t};
    *slot_of(p, span_from(p->p, from)) = k;
}

/* The node of a group with this inside. */
static struct tree *enclosed(struct parser *p, enum group kind, struct tree *inner)
{
    static const enum tree_test tests[] = {[GROUP_NOT_AHEAD] = TEST_NOT_AHEAD,
                                           [GROUP_BEHIND] = TEST_BEHIND,
                                           [GROUP_NOT_BEHIND] = TEST_NOT_BEHIND};
    inner->loose |= kind == GROUP_ATOMIC;
    if (kind <= GROUP_ATOMIC)
        return inner;
    if (kind == GROUP_AHEAD) {
        struct tree *ahead = node(p, TREE_AHEAD);
        add_child(ahead, inner);
        return ahead;
    }
    struct tree *t = test(p, TREE_EMPTY, tests[kind]);
    t->look = inner;
    return t;
}

static struct tree *group(struct parser *p)
{
    size_t from = p->at;
    struct tree *known = known_group(p);
    if (known)
        return known;
    p->at++;
    if (p->at < p->p.n && peek(p) == '*') {
        p->gave_up = true;
        return node(p, TREE_ANY);
    }
    bool icase = p->icase, dotall = p->dotall, extended = p->extended, lines = p->lines;
    enum group kind = GROUP_CAPTURE;
    p->name = SPAN("");
    if (p->at < p->p.n && peek(p) == '?') {
        p->at++;
        kind = group_kind(p);
    }
    if (kind == GROUP_FLAGS)
        return node(p, TREE_EMPTY);
    const struct span name = p->name;
    const unsigned number = kind == GROUP_CAPTURE ? ++p->ngroups : 0, before = p->nreferences;
    struct tree *inner = alternatives(p);
    inner->refers = p->nreferences > before;
    if (number)
        note_capture(p, number, name, inner);
    if (p->at >= p->p.n)
        p->gave_up = true;
    p->at++;
    p->icase = icase;
    p->dotall = dotall;
    p->extended = extended;
    p->lines = lines;
    if (kind <= GROUP_CAPTURE)
        note_group(p, from, inner);
    return enclosed(p, kind, inner);
}

static struct tree *atom(struct parser *p)
{
    switch (peek(p)) {
    case '(':
        return group(p);
    case '[':
        return bracket(p);
    case '\\':
        return escape(p);
    case '^':
        p->at++;
        return test(p, TREE_BOL, p->lines ? TEST_LINE_START : TEST_START);
    case '$':
        p->at++;
        return test(p, TREE_EMPTY, p->lines ? TEST_LINE_END : TEST_LAST_LINE);
    case '.': {
        struct byteset s = byteset_range('\n', '\n');
        p->at++;
        return one_set(p, p->dotall ? BYTESET_ALL : byteset_not(s));
    }
    default:
        return literal(p, (unsigned char)p->p.p[p->at++]);
    }
}

/* "{n}", "{n,}", "{n,m}" at the place; false when the brace is an ordinary character. */
static bool braces(struct parser *p, unsigned *min, unsigned *max)
{
    struct span s = span_from(p->p, p->at);
    size_t end = span_find(s, '}'), comma;
    uint64_t a, b;
    if (end == SIZE_MAX)
        return false;
    struct span in = span_sub(s, 1, end);
    comma = span_find(in, ',');
    if (!span_u64(span_sub(in, 0, comma), &a) || a > 65535)
        return false;
    b = a;
    if (comma != SIZE_MAX && comma + 1 == in.n)
        b = UINT32_MAX;
    else if (comma != SIZE_MAX && (!span_u64(span_from(in, comma + 1), &b) || b > 65535))
        return false;
    *min = (unsigned)a;
    *max = (unsigned)b;
    p->at += end + 1;
    return true;
}

static bool skip_extended(struct parser *p)
{
    if (!p->extended)
        return false;
    if (ascii_isspace(peek(p))) {
        p->at++;
        return true;
    }
    if (peek(p) != '#')
        return false;
    while (p->at < p->p.n && peek(p) != '\n')
        p->at++;
    return true;
}

static bool quantifier(struct parser *p, unsigned *min, unsigned *max, bool *possessive)
{
    *min = *max = 1;
    *possessive = false;
    while (more(p) && skip_extended(p))
        ;
    if (!more(p))
        return false;
    char c = peek(p);
    if (c == '{') {
        if (!braces(p, min, max))
            return false;
    } else if (c == '*' || c == '+' || c == '?') {
        *min = c == '+';
        *max = c == '?' ? 1 : UINT32_MAX;
        p->at++;
    } else {
        return false;
    }
    bool lazy = more(p) && peek(p) == '?';
    while (more(p) && !lazy && skip_extended(p))
        ;
    *possessive = !lazy && more(p) && peek(p) == '+';
    p->at += lazy || *possessive;
    return true;
}

static struct tree *sequence(struct parser *p)
{
    struct tree *seq = node(p, TREE_SEQ);
    while (more(p) && peek(p) != '|' && peek(p) != ')') {
        if (skip_extended(p))
            continue;
        struct tree *x = atom(p);
        unsigned min, max;
        bool possessive;
        if (quantifier(p, &min, &max, &possessive)) {
            struct tree *r = node(p, TREE_REPEAT);
            r->min = min;
            r->max = max;
            r->loose = possessive;
            add_child(r, x);
            x = r;
        }
        add_child(seq, x);
    }
    return seq;
}

static struct tree *alternatives(struct parser *p)
{
    if (++p->nesting > NESTING_MAX) {
        p->gave_up = true;
        return node(p, TREE_ANY);
    }
    struct tree *t = sequence(p);
    if (more(p) && peek(p) == '|') {
        struct tree *alt = node(p, TREE_ALT);
        add_child(alt, t);
        t = alt;
    }
    while (more(p) && peek(p) == '|') {
        p->at++;
        add_child(t, sequence(p));
    }
    p->nesting--;
    return t;
}

struct tree *tree_parse(struct byteset_table *sets, struct arena *a, struct span pattern)
{
    struct parser p = {.sets = sets, .a = a, .p = pattern, .counts = true};
    p.shares = !has_references(pattern);
    struct tree *t = alternatives(&p);
    if (p.nreferences)
        settle_captures(t, p.counts);
    return p.gave_up || p.at < p.p.n ? NULL : t;
}

unsigned tree_shortest(const struct tree *t)
{
    unsigned n = 0;
    switch (t->kind) {
    case TREE_SET:
        return 1;
    case TREE_ANY:
        return t->min;
    case TREE_SEQ:
        for (const struct tree *k = t->child; k && n < TREE_SHORTEST_MAX; k = k->next)
            n += tree_shortest(k);
        break;
    case TREE_ALT:
        n = TREE_SHORTEST_MAX;
        for (const struct tree *k = t->child; k; k = k->next) {
            unsigned one = tree_shortest(k);
            n = one < n ? one : n;
        }
        break;
    case TREE_REPEAT: {
        unsigned one = tree_shortest(t->child);
        n = one && t->min > TREE_SHORTEST_MAX / one ? TREE_SHORTEST_MAX : one * t->min;
        break;
    }
    default:
        break;
    }
    return n < TREE_SHORTEST_MAX ? n : TREE_SHORTEST_MAX;
}
