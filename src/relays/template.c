#include "relays/template_private.h"

#include "relays/ip_pattern.h"

enum { STEPS_BEFORE_MEMORY = 4000 };
static const size_t NO_MATCH = SIZE_MAX;

/* --- steps --- */

static size_t match_at(struct template_match *m, size_t i, size_t at);

static size_t match_rest(struct template_match *m, size_t i, size_t at, unsigned slot, size_t from)
{
    if (slot == NO_SLOT)
        return match_at(m, i, at);
    struct span old = m->got[slot];
    uint32_t stored = m->stored;
    m->got[slot] = span_sub(m->line, from, at);
    m->stored |= 1u << slot;
    size_t end = match_at(m, i, at);
    if (end == NO_MATCH) {
        m->got[slot] = old;
        m->stored = stored;
    }
    return end;
}

/* How many bytes from p on are of the class, at most `most`. */
static size_t run_length(unsigned class, const char *p, size_t most)
{
    size_t n = 0;
    if (template_class_is_any(class)) {
        const char *lf = most ? memchr(p, '\n', most) : NULL;
        return lf ? (size_t)(lf - p) : most;
    }
    while (n < most && template_bytes[(unsigned char)p[n]] >> class & 1)
        n++;
    return n;
}

static size_t match_lazy(struct template_match *m, const struct step *s, size_t i, size_t at,
                         size_t most)
{
    const struct byte_set *follow = &m->memory->sets[s->follow];
    for (size_t n = 0;; n++) {
        if (n >= template_classes[s->class].min && set_has(follow, m->line, at + n)) {
            size_t end = match_rest(m, i + 1, at + n, s->slot, at);
            if (end != NO_MATCH)
                return end;
        }
        if (n == most || !(template_bytes[(unsigned char)m->line.p[at + n]] >> s->class & 1))
            return NO_MATCH;
        m->steps++;
    }
}

static size_t match_class(struct template_match *m, const struct step *s, size_t i, size_t at)
{
    const struct template_class *c = &template_classes[s->class];
    const struct byte_set *follow = &m->memory->sets[s->follow];
    size_t room = m->line.n - at, most = c->max < room ? c->max : room;
    if (c->lazy)
        return match_lazy(m, s, i, at, most);
    size_t n = run_length(s->class, m->line.p + at, most);
    m->steps += n;
    size_t least = s->alone && n < c->max && n > c->min ? n : c->min;
    for (n++; n-- > least;) {
        if (!set_has(follow, m->line, at + n))
            continue;
        size_t end = match_rest(m, i + 1, at + n, s->slot, at);
        if (end != NO_MATCH)
            return end;
    }
    return NO_MATCH;
}

static size_t match_localhost(struct template_match *m, const struct step *s, size_t i, size_t at)
{
    size_t shorter, n = ip_pattern_localhost_at(m->line, at, &shorter);
    size_t end = n ? match_rest(m, i + 1, at + n, s->slot, at) : NO_MATCH;
    return end == NO_MATCH && shorter ? match_rest(m, i + 1, at + shorter, s->slot, at) : end;
}

static size_t match_choice(struct template_match *m, size_t i, size_t at)
{
    const struct step *v = m->compiled->steps;
    do {
        if (!set_has(&m->memory->sets[v[i].follow], m->line, at))
            continue;
        size_t end = match_at(m, i + 1, at);
        if (end != NO_MATCH)
            return end;
    } while ((i = v[i].to) != 0);
    return NO_MATCH;
}

static size_t match_stretch(struct template_match *m, const struct step *s, size_t i, size_t at)
{
    if (s->kind == STEP_CLOSE)
        return match_rest(m, i + 1, at, s->slot, m->mark[s->slot]);
    size_t old = m->mark[s->slot];
    m->mark[s->slot] = at;
    size_t end = match_at(m, i + 1, at);
    if (end == NO_MATCH)
        m->mark[s->slot] = old;
    return end;
}

/* A step with several ways on. */
static size_t match_ways(struct template_match *m, const struct step *s, size_t i, size_t at)
{
    switch ((enum step_kind)s->kind) {
    case STEP_CLASS:
        return match_class(m, s, i, at);
    case STEP_CHOICE:
        return match_choice(m, i, at);
    case STEP_IP: {
        size_t n = ip_pattern_at(m->line, at);
        return n ? match_rest(m, i + 1, at + n, s->slot, at) : NO_MATCH;
    }
    case STEP_LOCALHOST:
        return match_localhost(m, s, i, at);
    default:
        return match_stretch(m, s, i, at);
    }
}

/* Remembers places only in lines that turn out to be costly. NULL: not yet. */
static unsigned char *failed_bit(struct template_match *m, size_t i, size_t at, size_t *bit)
{
    if (m->steps < STEPS_BEFORE_MEMORY)
        return NULL;
    if (!m->remembers) {
        size_t size = (size_t)m->compiled->nsteps * (m->line.n + 1) / 8 + 1;
        if (size > m->failed_size) {
            m->failed = arena_raw(m->arena, size);
            m->failed_size = size;
        }
        memset(m->failed, 0, size);
        m->remembers = true;
    }
    *bit = i * (m->line.n + 1) + at;
    return m->failed;
}

static bool text_at(const struct template_match *m, const struct step *s, size_t at)
{
    const char *text = m->compiled->template + s->text, *p = m->line.p + at;
    if (s->n > m->line.n - at)
        return false;
    size_t k = 0;
    if (m->icase)
        while (k < s->n && ascii_lower(p[k]) == ascii_lower(text[k]))
            k++;
    else
        while (k < s->n && p[k] == text[k])
            k++;
    return k == s->n;
}

static bool not_text(const struct template_match *m, const struct step *s, size_t at)
{
    struct span text = span_of(m->compiled->template + s->text, s->n);
    return !span_starts(span_from(m->line, at), text);
}

static size_t match_at(struct template_match *m, size_t i, size_t at)
{
    for (;; i++) {
        const struct step *s = &m->compiled->steps[i];
        m->steps++;
        switch ((enum step_kind)s->kind) {
        case STEP_DONE:
            return at;
        case STEP_TEXT:
            if (!text_at(m, s, at))
                return NO_MATCH;
            at += s->n;
            continue;
        case STEP_JUMP:
            i = s->to - 1u;
            continue;
        case STEP_LINE_END:
            if (at != m->line.n)
                return NO_MATCH;
            continue;
        case STEP_BOUNDARY:
            if (!word_boundary(m->line, at))
                return NO_MATCH;
            continue;
        case STEP_NOT:
            if (!not_text(m, s, at))
                return NO_MATCH;
            continue;
        default: {
            size_t bit = 0;
            unsigned char *failed = failed_bit(m, i, at, &bit);
            if (failed && (failed[bit / 8] >> (bit % 8) & 1))
                return NO_MATCH;
            size_t end = match_ways(m, s, i, at);
            failed = failed_bit(m, i, at, &bit);
            if (failed && end == NO_MATCH)
                failed[bit / 8] |= (unsigned char)(1u << (bit % 8));
            return end;
        }
        }
    }
}

/* --- what a line must hold --- */

static void note_pairs(struct template_match *m)
{
    pairs_of(&m->pairs, m->line);
    m->paired = m->line;
}

static unsigned has_pair(const struct template_match *m, unsigned pair)
{
    return pairs_have(&m->pairs, pair);
}

/* A piece of a line has no pairs but the line's. */
static bool within(struct span piece, struct span line)
{
    return piece.p && line.p && piece.p >= line.p && piece.p + piece.n <= line.p + line.n;
}

bool template_maybe(struct template_match *m, struct span line, const char *text)
{
    m->line = line;
    if (!within(line, m->paired))
        note_pairs(m);
    for (; text[0] && text[1]; text++)
        if (!has_pair(m, pair_of(text[0], text[1])))
            return false;
    return true;
}

/* Most templates fail on most lines: cheaply, by the lack of two bytes side by side, or of a
 * literal. NULL: this one does. */
static const struct compiled *possible(struct template_match *m, const char *template, bool search)
{
    const struct compiled *p = template_compiled(m, template);
    bool known = within(m->line, m->paired);
    if (!known && p->npairs && within(m->line, m->tried)) { /* several for one line: it pays */
        note_pairs(m);
        known = true;
    }
    m->tried = p->npairs ? m->line : m->tried;
    for (unsigned i = 0; known && i < p->npairs; i++)
        if (!has_pair(m, p->pairs[i]))
            return NULL;
    if (m->icase || (search && p->literal.p == p->lead.p)) /* the search begins with that */
        return p;
    return span_search(m->line, p->literal) != SIZE_MAX ? p : NULL;
}

/* --- lists --- */

/* Without a branch for each: no two lines are alike. */
uint64_t template_which(struct template_match *m, struct span line, const void *list, size_t size)
{
    const struct plan *p = template_plan(m, list, size);
    uint64_t may = 0;
    m->line = line;
    if (!within(line, m->paired))
        note_pairs(m);
    for (size_t i = 0; i < p->n; i++) {
        const uint16_t *v = p->held[i].pairs;
        unsigned all =
            has_pair(m, v[0]) & has_pair(m, v[1]) & has_pair(m, v[2]) & has_pair(m, v[3]);
        may |= (uint64_t)all << i;
    }
    return may;
}

static void begin(struct template_match *m, const struct compiled *p)
{
    m->compiled = p;
    m->steps = 0;
    m->remembers = false;
}

bool template_start(struct template_match *m, const char *template)
{
    const struct compiled *p = possible(m, template, false);
    m->stored = 0;
    if (!p || !set_has(&m->memory->sets[p->first], m->line, 0))
        return false;
    begin(m, p);
    return match_at(m, 0, 0) != NO_MATCH;
}

/* The next place at or behind i where a match may begin, or SIZE_MAX. */
static size_t next_place(const struct template_match *m, const struct compiled *p, size_t i)
{
    if (p->lead.n) {
        struct span rest = span_from(m->line, i);
        size_t next = m->icase ? span_isearch(rest, p->lead) : span_search(rest, p->lead);
        return next == SIZE_MAX ? SIZE_MAX : i + next;
    }
    const struct byte_set *first = &m->memory->sets[p->first];
    while (i <= m->line.n && !set_has(first, m->line, i))
        i++;
    return i <= m->line.n ? i : SIZE_MAX;
}

bool template_search(struct template_match *m, const char *template, size_t *at, size_t *end)
{
    const struct compiled *p = possible(m, template, true);
    m->stored = 0;
    if (!p)
        return false;
    begin(m, p);
    for (size_t i = 0; (i = next_place(m, p, i)) != SIZE_MAX; i++) {
        size_t e = match_at(m, 0, i);
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
