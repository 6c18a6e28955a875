/* The rawbody array: decoded text parts in chunks (semantics 4.1). Slices; nothing is copied. */
#include "text/text_private.h"

/* The first `c` at or behind from, if it is at most `reach` further; SIZE_MAX otherwise. */
static size_t find_near(struct span s, size_t from, size_t reach, char c)
{
    return span_find(span_sub(s, from, from + reach + 1), c);
}

/* Where to cut behind `from`: after a line end, a '>' or a space within reach, in this order.
 * Without one: SIZE_MAX. */
static size_t cut_near(struct span s, size_t from, size_t reach)
{
    static const char stops[] = {'\n', '>', ' '};
    for (size_t i = 0; i < sizeof stops; i++) {
        size_t at = find_near(s, from, reach, stops[i]);
        if (at != SIZE_MAX)
            return from + at + 1;
    }
    return SIZE_MAX;
}

static void push(struct text *t, struct span s)
{
    *ARENA_PUSH(t->arena, t->rawbody.v, t->rawbody.n, t->rawbody.cap) = s;
}

static void add_chunks(struct text *t, struct span s)
{
    while (s.n > 2 * TEXT_LINE_MAX) {
        size_t n = cut_near(s, TEXT_LINE_MAX, TEXT_LINE_MAX - 1);
        if (n == SIZE_MAX)
            n = TEXT_LINE_MAX + 1;
        push(t, span_sub(s, 0, n));
        s = span_from(s, n);
    }
    push(t, s);
}

static bool begins_word(struct span type, struct span word)
{
    return span_starts(type, word) &&
           (type.n == word.n || (!ascii_isalnum(type.p[word.n]) && type.p[word.n] != '_'));
}

void text_rawbody(struct text *t, struct mime *m, size_t limit)
{
    for (struct mime_part *p = m->root; p; p = mime_next(p)) {
        if (!p->leaf || p->type.n == 0 || span_eq(p->type, SPAN("text/calendar")))
            continue;
        struct span type = text_effective_type(p);
        if (!begins_word(type, SPAN("text")) && !begins_word(type, SPAN("message")))
            continue;
        struct span body = mime_body(m, p);
        if (limit && body.n > limit) {
            size_t n = cut_near(body, limit, TEXT_CUT_SLACK);
            body = span_sub(body, 0, n == SIZE_MAX ? limit : n);
        }
        add_chunks(t, body);
    }
}
