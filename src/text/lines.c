/* The body array: all rendered parts as one text, white space squeezed, cut into lines
 * (semantics 4.2, 4.3). */
#include "text/text_private.h"

#include "base/sixteen.h"

/* --- cutting a part at the scan size --- */

/* The byte at which the n-th character behind `from` starts, or the end. */
static size_t skip_chars(struct html_text t, size_t from, size_t n)
{
    if (!t.chars)
        return t.s.n - from < n ? t.s.n : from + n;
    while (from < t.s.n && n) {
        from++;
        while (from < t.s.n && ((unsigned char)t.s.p[from] & 0xC0) == 0x80)
            from++;
        n--;
    }
    return from;
}

static struct html_text cut(struct html_text t, size_t limit)
{
    if (!limit || t.s.n <= limit)
        return t;
    size_t at = skip_chars(t, 0, limit);
    if (at == t.s.n)
        return t;
    size_t last = skip_chars(t, at, TEXT_CUT_SLACK + 1);
    struct span slack = span_sub(t.s, at, last);
    size_t stop = span_find(slack, '\n');
    if (stop == SIZE_MAX)
        stop = span_find(slack, ' ');
    t.s.n = stop == SIZE_MAX ? at : at + stop + 1;
    return t;
}

/* --- squeezing --- */

enum class { ORDINARY, BLANK, NUL, MAYBE };

/* MAYBE: the first byte of white space beyond ASCII, in UTF-8. */
static const uint8_t class_of[256] = {
    [0] = NUL,     ['\t'] = BLANK, ['\n'] = BLANK, ['\v'] = BLANK, ['\f'] = BLANK, ['\r'] = BLANK,
    [' '] = BLANK, [0xC2] = MAYBE, [0xE1] = MAYBE, [0xE2] = MAYBE, [0xE3] = MAYBE};

/* Length of the white-space character at p, or 0. */
static size_t wide_space(const char *p, const char *end)
{
    const unsigned char *s = (const unsigned char *)p;
    if (end - p >= 2 && s[0] == 0xC2)
        return s[1] == 0x85 || s[1] == 0xA0 ? 2 : 0;
    if (end - p < 3)
        return 0;
    unsigned c = (s[0] & 0x0Fu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
    bool space = c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
                 c == 0x202F || c == 0x205F || c == 0x3000;
    return space && (s[0] & 0xF0) == 0xE0 ? 3 : 0;
}

/* A stretch of white space becomes one space; with two line ends or more in it, a line end with a
 * space on each side where there was white space outside of them. A NUL becomes a line end. */
struct squeezer {
    char *o;
    bool chars;
    bool in_space, before, behind; /* white space in front of the first, behind the last line end */
    size_t line_ends;
};

static void end_space(struct squeezer *z)
{
    if (z->line_ends >= 2) {
        if (z->before)
            *z->o++ = ' ';
        *z->o++ = '\n';
        if (z->behind)
            *z->o++ = ' ';
    } else if (z->in_space) {
        *z->o++ = ' ';
    }
    z->in_space = z->before = z->behind = false;
    z->line_ends = 0;
}

static void add_space(struct squeezer *z, bool line_end)
{
    z->in_space = true;
    if (line_end) {
        z->line_ends++;
        z->behind = false;
    } else if (z->line_ends) {
        z->behind = true;
    } else {
        z->before = true;
    }
}

/* Neither a space before another nor any byte that is not ORDINARY but a space. */
static bool only_words(const char *p)
{
    sixteen v = sixteen_at(p), next = sixteen_at(p + 1);
    return !sixteen_any(sixteen_is(v, '\0') | sixteen_within(v, '\t', '\r') |
                        sixteen_is(v, '\xC2') | sixteen_within(v, 0xE1, 0xE3) |
                        (sixteen_is(v, ' ') & sixteen_is(next, ' ')));
}

static bool is_ordinary(const char *p, const char *end)
{
    return p < end && class_of[(unsigned char)*p] == ORDINARY;
}

/* Behind the words at p with single spaces between them, the bulk of every text. */
static const char *after_words(const char *p, const char *end)
{
    const char *from = p;
    if (!is_ordinary(p, end))
        return p;
    while (end - p > SIXTEEN && only_words(p))
        p += SIXTEEN;
    if (p > from && p[-1] == ' ' && !is_ordinary(p, end))
        return p - 1;
    while (is_ordinary(p, end) || (p < end && *p == ' ' && is_ordinary(p + 1, end)))
        p++;
    return p;
}

static void add_text(struct squeezer *z, struct span s)
{
    const char *p = s.p, *end = p + s.n;
    while (p < end) {
        const char *from = p;
        p = after_words(p, end);
        if (p > from) {
            end_space(z);
            memcpy(z->o, from, (size_t)(p - from));
            z->o += p - from;
            continue;
        }
        enum class c = class_of[(unsigned char)*p];
        size_t n = c == MAYBE && z->chars ? wide_space(p, end) : 0;
        if (c == BLANK || n) {
            add_space(z, *p == '\n');
            p += n ? n : 1;
        } else {
            end_space(z);
            *z->o++ = c == NUL ? '\n' : *p;
            p++;
        }
    }
}

/* --- lines --- */

static void push(struct text *t, struct lines *l, struct span s)
{
    *ARENA_PUSH(t->arena, l->v, l->n, l->cap) = s;
}

/* Cuts after each line end; lines longer than TEXT_LINE_MAX after the last space that fits. */
static void split(struct text *t, struct lines *out, struct span s)
{
    while (s.n) {
        size_t lf = span_find(s, '\n');
        struct span line = span_sub(s, 0, lf == SIZE_MAX ? s.n : lf + 1);
        s = span_from(s, line.n);
        while (line.n > TEXT_LINE_MAX) {
            size_t space = span_rfind(span_sub(line, 0, TEXT_LINE_MAX + 1), ' ');
            size_t n = space == SIZE_MAX ? TEXT_LINE_MAX : space + 1;
            push(t, out, span_sub(line, 0, n));
            line = span_from(line, n);
        }
        if (line.n)
            push(t, out, line);
    }
}

static struct html_text text_for(const struct text *t, const struct text_part *p,
                                 enum text_which which)
{
    struct html_text s = p->text;
    if (which == TEXT_VISIBLE && p->html)
        s = p->html->visible;
    else if (which == TEXT_INVISIBLE)
        s = p->html ? p->html->invisible : (struct html_text){SPAN(""), false};
    return cut(s, t->body_part);
}

struct lines text_lines(struct text *t, enum text_which which)
{
    struct lines lines = {0};
    struct squeezer z = {0};
    size_t room = t->subject.n;
    for (size_t i = 0; i < t->nparts; i++) {
        struct html_text s = text_for(t, &t->parts[i], which);
        z.chars |= s.chars;
        room += s.chars ? s.s.n : s.s.n * 2;
    }
    size_t leaves = 0;
    for (struct mime_part *p = t->mime->root; p; p = mime_next(p)) {
        room++;
        leaves += p->leaf && p->type.n > 0;
    }
    if (!leaves) /* then there is no Subject line either */
        return lines;
    char *out = z.o = arena_raw(t->arena, room + 3);
    if (which != TEXT_INVISIBLE) {
        memcpy(out, t->subject.p, t->subject.n);
        z.o += t->subject.n;
    }
    bool any = false;
    size_t next = 0; /* parts are the rendered ones of all leaves, in the same order */
    for (struct mime_part *p = t->mime->root; p; p = mime_next(p)) {
        if (!p->leaf || p->type.n == 0)
            continue;
        if (any)
            add_space(&z, true);
        if (next == t->nparts || t->parts[next].part != p)
            continue;
        struct html_text s = text_for(t, &t->parts[next++], which);
        any |= s.s.n > 0;
        if (z.chars && !s.chars)
            s.s = html_upgrade(t->arena, s.s);
        add_text(&z, s.s);
    }
    end_space(&z);
    split(t, &lines, span_of(out, (size_t)(z.o - out)));
    return lines;
}
