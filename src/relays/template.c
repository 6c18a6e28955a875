#include "relays/template.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "relays/ip_pattern.h"

enum { STEPS_BEFORE_MEMORY = 4000 };
static const size_t NO_MATCH = SIZE_MAX;

static bool space(char c)
{
    return ascii_isspace(c);
}
static bool word(char c)
{
    return is_word_byte(c);
}
static bool digit_or_dot(char c)
{
    return ascii_isdigit(c) || c == '.';
}
static bool non_space(char c)
{
    return !ascii_isspace(c);
}
static bool not_blank(char c)
{
    return c != ' ';
}
static bool any(char c)
{
    return c != '\n';
}
static bool not_close(char c)
{
    return c != ')';
}
static bool not_paren(char c)
{
    return c != ' ' && c != '(' && c != ')';
}
static bool not_greater(char c)
{
    return c != '>';
}
static bool not_end(char c)
{
    return !ascii_isspace(c) && c != ';';
}
static bool end_bytes(char c)
{
    return !not_end(c);
}
static bool not_at(char c)
{
    return !ascii_isspace(c) && c != '@';
}
static bool not_dot(char c)
{
    return c != '.';
}
static bool id_byte(char c)
{
    return !ascii_isspace(c) && c != '<' && c != '>' && c != ';';
}
static bool digit(char c)
{
    return ascii_isdigit(c);
}
static bool not_digit(char c)
{
    return !ascii_isdigit(c);
}
static bool digit_to_6(char c)
{
    return c >= '0' && c <= '6';
}
static bool lower(char c)
{
    return c >= 'a' && c <= 'z';
}
static bool lower_or_digit(char c)
{
    return lower(c) || ascii_isdigit(c);
}
static bool alpha(char c)
{
    return ascii_isalpha(c);
}
static bool zone_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || ascii_isdigit(c) || (c && strchr("._~-", c));
}
static bool helo_byte(char c)
{
    return ascii_isalnum(c) || (c && strchr("-.^+_&:=?!@%*$\\/", c));
}
static bool not_host(char c)
{
    return !ascii_isalnum(c) && c != '-' && c != '.';
}
static bool not_host_end(char c)
{
    return not_host(c) && c != ';';
}

/* A class: which characters, how many; lazy ones take as few as they can. */
struct class
{
    bool lazy;
    bool (*in)(char c);
    size_t min, max;
};

enum { MANY = 1 << 20 };

static const struct class classes[128] = {
    ['W'] = {false, non_space, 1, MANY},
    ['Q'] = {false, non_space, 0, MANY},
    ['Y'] = {true, non_space, 1, MANY},
    ['A'] = {false, any, 0, MANY},
    ['O'] = {false, any, 1, MANY},
    ['L'] = {true, any, 0, MANY},
    ['X'] = {false, any, 1, 1},
    ['P'] = {false, not_close, 1, MANY},
    ['K'] = {false, not_close, 0, MANY},
    ['H'] = {false, not_paren, 0, MANY},
    ['U'] = {false, not_at, 1, MANY},
    ['E'] = {false, not_dot, 1, MANY},
    ['T'] = {false, id_byte, 3, MANY},
    ['V'] = {false, helo_byte, 1, MANY},
    ['S'] = {false, end_bytes, 1, MANY},
    ['C'] = {false, not_host, 1, 1},
    ['R'] = {false, not_host_end, 1, 1},
    ['B'] = {false, not_digit, 1, 1},
    ['M'] = {false, alpha, 1, 1},
    ['N'] = {false, digit, 1, MANY},
    ['D'] = {false, digit, 1, 1},
    ['G'] = {false, digit_to_6, 1, 1},
    ['Z'] = {false, zone_byte, 0, MANY},
    ['0'] = {false, any, 10, 80},
    ['1'] = {false, not_close, 0, 40},
    ['2'] = {false, any, 0, 100},
    ['3'] = {false, not_greater, 1, MANY},
    ['4'] = {false, not_end, 1, MANY},
    ['5'] = {false, digit, 0, MANY},
    ['6'] = {false, lower_or_digit, 1, 4},
    ['7'] = {false, digit, 2, 9},
    ['8'] = {false, lower, 3, 3},
    ['~'] = {false, word, 1, MANY},
    ['-'] = {false, non_space, 1, 1},
    [':'] = {false, space, 1, 1},
    ['%'] = {false, digit_or_dot, 1, MANY},
    ['='] = {false, any, 3, 20},
    ['9'] = {false, digit, 1, 3},
    ['J'] = {false, not_blank, 1, MANY},
};

static const struct class *class_of(char letter)
{
    return &classes[letter & 127];
}

/* How many bytes from `at` on the class takes, at most `most`. Words, the bulk, without a call for
 * each byte. */
static size_t run_length(const struct class *c, const char *p, size_t most)
{
    size_t n = 0;
    if (c->in == non_space)
        while (n < most && !ascii_isspace(p[n]))
            n++;
    else
        while (n < most && c->in(p[n]))
            n++;
    return n;
}

/* Past the alternative that t stands in: to '|' or '}' of the same level. */
static const char *alternative_end(const char *t)
{
    for (unsigned depth = 0; *t; t++) {
        if (*t == '{')
            depth++;
        else if (*t == '}' && depth-- == 0)
            return t;
        else if (*t == '|' && depth == 0)
            return t;
    }
    return t;
}

static size_t match_at(struct template_match *m, const char *t, size_t at);

static size_t match_rest(struct template_match *m, const char *t, size_t at, int slot, size_t from)
{
    if (slot < 0)
        return match_at(m, t, at);
    struct span old = m->got[slot];
    m->got[slot] = span_sub(m->line, from, at);
    size_t end = match_at(m, t, at);
    if (end == NO_MATCH)
        m->got[slot] = old;
    return end;
}

/* The literal that must follow, or 0 when anything may. */
static char next_literal(const struct template_match *m, const char *t)
{
    return m->icase || *t == '$' || *t == '{' || *t == '}' || *t == '|' ? '\0' : *t;
}

static size_t match_class(struct template_match *m, char letter, const char *t, size_t at, int slot)
{
    if (letter == 'I') {
        size_t n = ip_pattern_at(m->line, at);
        return n ? match_rest(m, t, at + n, slot, at) : NO_MATCH;
    }
    if (letter == 'F') {
        size_t shorter, n = ip_pattern_localhost_at(m->line, at, &shorter);
        size_t end = n ? match_rest(m, t, at + n, slot, at) : NO_MATCH;
        return end == NO_MATCH && shorter ? match_rest(m, t, at + shorter, slot, at) : end;
    }
    const struct class *c = class_of(letter);
    size_t room = m->line.n - at, most = c->max < room ? c->max : room, n = 0;
    char next = next_literal(m, t);
    if (c->lazy) {
        for (;; n++) {
            if (n >= c->min && (!next || (n < room && m->line.p[at + n] == next))) {
                size_t end = match_rest(m, t, at + n, slot, at);
                if (end != NO_MATCH)
                    return end;
            }
            if (n == most || !c->in(m->line.p[at + n]))
                return NO_MATCH;
            m->steps++;
        }
    }
    n = run_length(c, m->line.p + at, most);
    m->steps += n;
    if (next && n < c->max && !c->in(next)) { /* what follows stands nowhere in the run */
        bool fits = n >= c->min && n < room && m->line.p[at + n] == next;
        return fits ? match_rest(m, t, at + n, slot, at) : NO_MATCH;
    }
    for (n++; n-- > c->min;) {
        if (next && (n >= room || m->line.p[at + n] != next))
            continue;
        size_t end = match_rest(m, t, at + n, slot, at);
        if (end != NO_MATCH)
            return end;
    }
    return NO_MATCH;
}

static size_t match_choice(struct template_match *m, const char *t, size_t at)
{
    for (const char *alt = t;; alt++) {
        char next = next_literal(m, alt);
        bool can = !next || (at < m->line.n && m->line.p[at] == next);
        size_t end = can ? match_at(m, alt, at) : NO_MATCH;
        if (end != NO_MATCH)
            return end;
        alt = alternative_end(alt);
        if (*alt != '|')
            return NO_MATCH;
    }
}

/* After '$'. */
static size_t match_special(struct template_match *m, const char *t, size_t at)
{
    switch (*t) {
    case '.':
        return at == m->line.n ? match_at(m, t + 1, at) : NO_MATCH;
    case '_':
        return word_boundary(m->line, at) ? match_at(m, t + 1, at) : NO_MATCH;
    case '!': {
        const char *end = strchr(t + 1, '!');
        struct span not = span_of(t + 1, (size_t)(end - t - 1));
        return span_starts(span_from(m->line, at), not ) ? NO_MATCH : match_at(m, end + 1, at);
    }
    case '(': {
        size_t old = m->mark[t[1] - 'a'];
        m->mark[t[1] - 'a'] = at;
        size_t end = match_at(m, t + 2, at);
        if (end == NO_MATCH)
            m->mark[t[1] - 'a'] = old;
        return end;
    }
    case ')':
        return match_rest(m, t + 2, at, t[1] - 'a', m->mark[t[1] - 'a']);
    default:
        if (*t >= 'a' && *t <= 'z')
            return match_class(m, t[1], t + 2, at, *t - 'a');
        return match_class(m, *t, t + 1, at, -1);
    }
}

/* Remembers places only in lines that turn out to be costly. NULL: not yet. */
static unsigned char *failed_bit(struct template_match *m, const char *t, size_t at, size_t *bit)
{
    if (m->steps < STEPS_BEFORE_MEMORY)
        return NULL;
    if (!m->remembers) {
        size_t size = (strlen(m->template) + 1) * (m->line.n + 1) / 8 + 1;
        if (size > m->failed_size) {
            m->failed = arena_raw(m->arena, size);
            m->failed_size = size;
        }
        memset(m->failed, 0, size);
        m->remembers = true;
    }
    *bit = (size_t)(t - m->template) * (m->line.n + 1) + at;
    return m->failed;
}

static size_t match_at(struct template_match *m, const char *t, size_t at)
{
    for (;; t++) {
        m->steps++;
        switch (*t) {
        case '\0':
            return at;
        case '}':
            continue;
        case '|':
            while (*t != '}') {
                t = alternative_end(t + 1);
            }
            continue;
        case '$':
        case '{': {
            size_t bit = 0;
            unsigned char *failed = failed_bit(m, t, at, &bit);
            if (failed && (failed[bit / 8] >> (bit % 8) & 1))
                return NO_MATCH;
            size_t end = *t == '$' ? match_special(m, t + 1, at) : match_choice(m, t + 1, at);
            failed = failed_bit(m, t, at, &bit);
            if (failed && end == NO_MATCH)
                failed[bit / 8] |= (unsigned char)(1u << (bit % 8));
            return end;
        }
        default:
            if (at >= m->line.n)
                return NO_MATCH;
            char c = m->line.p[at];
            if (c != *t && !(m->icase && ascii_lower(c) == ascii_lower(*t)))
                return NO_MATCH;
            at++;
        }
    }
}

static void begin(struct template_match *m, const char *template)
{
    m->template = template;
    m->steps = 0;
    m->remembers = false;
    memset(m->got, 0, sizeof m->got);
}

/* Past what stands after '$'. */
static const char *after_special(const char *t)
{
    if (*t == '!') {
        const char *end = strchr(t + 1, '!');
        return end ? end + 1 : t + 1;
    }
    bool stores = (*t >= 'a' && *t <= 'z') || *t == '(' || *t == ')';
    return stores && t[1] ? t + 2 : t + 1;
}

/* --- what a line must hold --- */

enum { MEMORY_SLOTS = 1024, MEMORY_MOST = 512, NEEDED_PAIRS = 10 };

/* What every match of a template holds. */
struct needs {
    const char *template;
    struct span literal; /* the longest one */
    uint16_t npairs, pairs[NEEDED_PAIRS];
};

/* Hashed, but in the order in which they were met, which is that in which they are tried. */
struct template_memory {
    uint16_t slots[MEMORY_SLOTS]; /* index + 1 */
    unsigned n;
    struct needs v[MEMORY_MOST];
};

struct template_memory *template_memory_new(void)
{
    return xcalloc(1, sizeof(struct template_memory));
}

void template_memory_free(struct template_memory *t)
{
    free(t);
}

static unsigned pair_of(const char *p)
{
    return ((unsigned char)ascii_lower(p[0]) * 37u ^ (unsigned char)ascii_lower(p[1])) %
           TEMPLATE_PAIRS;
}

static void note_run(struct needs *n, struct span run)
{
    if (run.n > n->literal.n)
        n->literal = run;
    for (size_t i = 0; i + 1 < run.n && n->npairs < NEEDED_PAIRS; i++)
        n->pairs[n->npairs++] = (uint16_t)pair_of(run.p + i);
}

/* The literals that stand in no choice and follow no "not". */
static struct needs needs_of(const char *t)
{
    struct needs n = {.template = t, .literal = SPAN("")};
    unsigned depth = 0;
    while (*t) {
        if (*t == '$') {
            t = after_special(t + 1);
        } else if (strchr("{}|", *t)) {
            depth += *t == '{';
            depth -= *t == '}' && depth;
            t++;
        } else {
            struct span run = {t, strcspn(t, "${}|")};
            if (depth == 0)
                note_run(&n, run);
            t += run.n;
        }
    }
    return n;
}

/* From the memory, where it is new put there; made in *own without one, or when it is full. */
static const struct needs *needs(struct template_memory *t, const char *template, struct needs *own)
{
    size_t at = (size_t)((uintptr_t) template * 0x9e3779b97f4a7c15u >> 54) % MEMORY_SLOTS;
    for (; t && t->slots[at]; at = (at + 1) % MEMORY_SLOTS)
        if (t->v[t->slots[at] - 1].template == template)
            return &t->v[t->slots[at] - 1];
    *own = needs_of(template);
    if (!t || t->n == MEMORY_MOST)
        return own;
    t->v[t->n++] = *own;
    t->slots[at] = (uint16_t)t->n;
    return &t->v[t->n - 1];
}

static void note_pairs(struct template_match *m)
{
    memset(m->pairs, 0, sizeof m->pairs);
    for (size_t i = 0; i + 1 < m->line.n; i++) {
        unsigned pair = pair_of(m->line.p + i);
        m->pairs[pair / 64] |= (uint64_t)1 << pair % 64;
    }
    m->paired = m->line;
}

/* A piece of a line has no pairs but the line's. */
static bool within(struct span piece, struct span line)
{
    return piece.p >= line.p && piece.p + piece.n <= line.p + line.n;
}

bool template_maybe(struct template_match *m, struct span line, const char *text)
{
    m->line = line;
    if (!within(line, m->paired))
        note_pairs(m);
    for (; text[0] && text[1]; text++) {
        unsigned pair = pair_of(text);
        if (!(m->pairs[pair / 64] >> pair % 64 & 1))
            return false;
    }
    return true;
}

/* Most templates fail on most lines: cheaply, by the lack of two bytes side by side, or of a
 * literal. */
static bool possible(struct template_match *m, const char *template)
{
    struct needs own;
    const struct needs *n = needs(m->memory, template, &own);
    bool known = within(m->line, m->paired);
    if (!known && n->npairs && within(m->line, m->tried)) { /* several for one line: it pays */
        note_pairs(m);
        known = true;
    }
    m->tried = n->npairs ? m->line : m->tried;
    for (unsigned i = 0; known && i < n->npairs; i++)
        if (!(m->pairs[n->pairs[i] / 64] >> n->pairs[i] % 64 & 1))
            return false;
    return m->icase || span_search(m->line, n->literal) != SIZE_MAX;
}

bool template_start(struct template_match *m, const char *template)
{
    begin(m, template);
    return possible(m, template) && match_at(m, template, 0) != NO_MATCH;
}

/* What takes the first byte: past word boundaries and beginnings of stretches. */
static const char *behind_places(const char *t)
{
    while (t[0] == '$' && (t[1] == '_' || t[1] == '('))
        t += t[1] == '_' ? 2 : 3;
    return t;
}

/* The literals that a match begins with, or as many of them as matter. */
static struct span lead_literals(const char *lead)
{
    enum { MATTER = 8 };
    size_t n = 0;
    while (n < MATTER && lead[n] && !strchr("${|}", lead[n]))
        n++;
    return span_of(lead, n);
}

bool template_search(struct template_match *m, const char *template, size_t *at, size_t *end)
{
    begin(m, template);
    if (!possible(m, template))
        return false;
    const char *lead = behind_places(template);
    struct span literals = lead_literals(lead);
    bool stores = *lead == '$' && lead[1] >= 'a' && lead[1] <= 'z';
    const struct class *class = *lead == '$' ? class_of(lead[stores ? 2 : 1]) : NULL;
    bool by_class = class && class->in && class->min;
    for (size_t i = 0; i <= m->line.n; i++) {
        if (by_class && (i == m->line.n || !class->in(m->line.p[i])))
            continue;
        if (literals.n) {
            struct span rest = span_from(m->line, i);
            size_t next = m->icase ? span_isearch(rest, literals) : span_search(rest, literals);
            if (next == SIZE_MAX)
                return false;
            i += next;
        }
        size_t e = match_at(m, template, i);
        if (e == NO_MATCH)
            continue;
        if (at)
            *at = i;
        if (end)
            *end = e;
        return true;
    }
    return false;
}
