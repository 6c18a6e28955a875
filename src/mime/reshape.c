/* The two changes that SpamAssassin makes to lines before it looks for parts: long runs of blank
 * lines and long lines are cut. Nearly no message needs either, so both look first and copy only
 * then. */
#include "base/sixteen.h"
#include "mime/mime_private.h"

/* Sets [*from, *to) to the lines that lie entirely in the white space around pos and returns their
 * number. *space_end: where that white space ends. */
static size_t blank_lines_around(struct span s, size_t pos, size_t *from, size_t *to,
                                 size_t *space_end)
{
    size_t begin = pos, end = pos;
    while (begin > 0 && ascii_isspace(s.p[begin - 1]))
        begin--;
    while (end < s.n && ascii_isspace(s.p[end]))
        end++;
    *space_end = end;
    if (begin > 0) { /* the rest of a line with text is not blank */
        const char *lf = memchr(s.p + begin, '\n', end - begin);
        begin = lf ? (size_t)(lf - s.p) + 1 : end;
    }
    if (end < s.n) { /* nor is the indent of one */
        while (end > begin && s.p[end - 1] != '\n')
            end--;
    }
    *from = begin;
    *to = end;
    size_t lines = 0;
    for (size_t at = begin; at < end; at = line_end(s, at))
        lines++;
    return lines;
}

static size_t skip_lines(struct span s, size_t pos, size_t lines)
{
    while (lines--)
        pos = line_end(s, pos);
    return pos;
}

/* Whether there is white space of 16 bytes or more in a row, or may be at the end: half a block of
 * sixteen bytes lies in it. */
static bool has_wide_space(struct span s)
{
    typedef uint64_t halves __attribute__((vector_size(16)));
    size_t i = 0;
    for (; i + SIXTEEN <= s.n; i += SIXTEEN) {
        sixteen v = sixteen_at(s.p + i);
        halves h = (halves)(sixteen_is(v, ' ') | sixteen_within(v, '\t', '\r'));
        if (h[0] == UINT64_MAX || h[1] == UINT64_MAX)
            return true;
    }
    return i + SIXTEEN / 2 <= s.n && ascii_isspace(s.p[i]);
}

/* A run of more than 20 blank lines has more than 20 bytes of white space in a row, so looking at
 * every 20th byte finds them all. Kept are the first line (two when the run opens the body) and the
 * last 19. */
struct text blank_runs_cut(struct mime *m, struct text *t)
{
    struct span s = t->s;
    struct text_copy c = {0};
    size_t copied = 0;
    if (!has_wide_space(s))
        return *t;
    for (size_t pos = MIME_BLANK_RUN; pos < s.n; pos += MIME_BLANK_RUN) {
        if (!ascii_isspace(s.p[pos]))
            continue;
        size_t from, to;
        size_t lines = blank_lines_around(s, pos, &from, &to, &pos);
        size_t first = from == 0 ? 2 : 1;
        if (lines > first + MIME_BLANK_RUN - 1) {
            if (!c.m)
                c = text_copy_of(m, t, s.n);
            text_copy_piece(&c, copied, skip_lines(s, from, first));
            mime_note(m, MIME_A_BODY_BLANK_RUN, text_at(m, t, from));
            copied = skip_lines(s, from, lines - (MIME_BLANK_RUN - 1));
        }
    }
    if (!c.m)
        return *t;
    text_copy_piece(&c, copied, s.n);
    return text_copy_done(&c);
}

/* Each line of more than 2048 bytes, its LF counted, loses pieces of 2048 that get an LF of their
 * own; a line of 2048 and an LF so becomes one of 2048 and an empty one. */
struct text long_lines_cut(struct mime *m, struct text *t)
{
    struct span s = t->s;
    struct text_copy c = {0};
    size_t copied = 0;
    for (size_t at = 0, end; at < s.n; at = end) {
        end = line_end(s, at);
        while (end - at > MIME_LINE_MAX) {
            if (!c.m) {
                c = text_copy_of(m, t, s.n + s.n / MIME_LINE_MAX);
                mime_note(m, MIME_A_BODY_LONG_LINE, text_at(m, t, 0));
            }
            at += MIME_LINE_MAX;
            text_copy_piece(&c, copied, at);
            text_copy_lf(&c);
            copied = at;
        }
    }
    if (!c.m)
        return *t;
    text_copy_piece(&c, copied, s.n);
    return text_copy_done(&c);
}
