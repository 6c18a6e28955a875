/* ReplaceTags (semantics 2.8): "<V><I><A>" in a pattern becomes what replace_tag says of each name,
 * with texts from replace_pre, replace_inter and replace_post around and between. */
#include "rules/conf_private.h"

#include "base/buf.h"
#include "pattern/pattern.h"

enum { PASSES = 6, EXPANDED_LIMIT = 4 << 20 };

struct pieces {
    struct span *v;
    size_t n, cap;
};

static struct span lookup(const struct map *m, struct span name)
{
    const struct span *text = name.p ? map_get(m, name) : NULL;
    return text ? *text : SPAN_NONE;
}

/* Cuts the first "<kind NAME>" out of *re and returns NAME. */
static struct span take_modifier(struct conf *c, struct span *re, const char *kind)
{
    const struct conf_state *st = c->state;
    struct span open = arena_printf(c->arena, "%.*s%s ", SPAN_ARG(st->replace_start), kind);
    size_t at = span_search(*re, open);
    if (at == SIZE_MAX)
        return SPAN_NONE;
    struct span after = span_from(*re, at + open.n);
    size_t end = after.n ? span_search(span_from(after, 1), st->replace_end) : SIZE_MAX;
    if (end == SIZE_MAX)
        return SPAN_NONE;
    struct span name = span_sub(after, 0, end + 1);
    *re = arena_printf(c->arena, "%.*s%.*s", (int)at, re->p,
                       SPAN_ARG(span_from(after, end + 1 + st->replace_end.n)));
    return name;
}

/* End of a "<[^<>]+>" that starts at `at`, or 0. */
static size_t tag_end(struct span s, size_t at)
{
    size_t i = at + 1;
    while (i < s.n && s.p[i] != '<' && s.p[i] != '>')
        i++;
    return i > at + 1 && i < s.n && s.p[i] == '>' ? i + 1 : 0;
}

/* The pieces between tags and the tags themselves, in turn; empty ones at the end are dropped. */
static struct pieces split(struct arena *a, struct span s)
{
    struct pieces out = {0};
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        size_t end = s.p[i] == '<' ? tag_end(s, i) : 0;
        if (!end)
            continue;
        *ARENA_PUSH(a, out.v, out.n, out.cap) = span_sub(s, from, i);
        *ARENA_PUSH(a, out.v, out.n, out.cap) = span_sub(s, i, end);
        from = end;
        i = end - 1;
    }
    *ARENA_PUSH(a, out.v, out.n, out.cap) = span_from(s, from);
    while (out.n && out.v[out.n - 1].n == 0)
        out.n--;
    return out;
}

/* First "START.+?END" in s: where it starts and ends. */
static bool marked(const struct conf_state *st, struct span s, size_t from, size_t *start,
                   size_t *end)
{
    size_t at = span_search(span_from(s, from), st->replace_start);
    if (at == SIZE_MAX)
        return false;
    *start = from + at;
    size_t inner = *start + st->replace_start.n;
    if (inner >= s.n)
        return false;
    size_t close = span_search(span_from(s, inner + 1), st->replace_end);
    if (close == SIZE_MAX)
        return false;
    *end = inner + 1 + close + st->replace_end.n;
    return true;
}

/* pre before the first tag, post after each. */
static struct span surround(struct conf *c, struct span piece, struct span pre, struct span post)
{
    size_t start, end, from = 0;
    if (!marked(c->state, piece, 0, &start, &end))
        return piece;
    struct buf b = {0};
    buf_add(&b, span_sub(piece, 0, start));
    buf_add(&b, pre);
    for (from = start; marked(c->state, piece, from, &start, &end); from = end) {
        buf_add(&b, span_sub(piece, from, end));
        buf_add(&b, post);
    }
    buf_add(&b, span_from(piece, from));
    struct span out = arena_dup(c->arena, buf_span(&b));
    buf_free(&b);
    return out;
}

static bool holds_tag(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        size_t close = s.p[i] == '<' ? span_find(span_from(s, i), '>') : SIZE_MAX;
        if (close != SIZE_MAX && close > 1)
            return true;
    }
    return false;
}

/* Substitutes the piece's first tag, everywhere in the piece, when its name is known. */
static struct span substitute(struct conf *c, struct span piece, bool *again)
{
    const struct conf_state *st = c->state;
    size_t start, end;
    if (!marked(st, piece, 0, &start, &end))
        return piece;
    struct span tag = span_sub(piece, start, end);
    struct span with =
        lookup(&st->replace_tag, span_sub(tag, st->replace_start.n, tag.n - st->replace_end.n));
    if (!with.n)
        return piece;
    *again |= holds_tag(with);
    struct buf b = {0};
    for (size_t at; (at = span_search(piece, tag)) != SIZE_MAX;) {
        buf_add(&b, span_sub(piece, 0, at));
        buf_add(&b, with);
        piece = span_from(piece, at + tag.n);
    }
    buf_add(&b, piece);
    struct span out = arena_dup(c->arena, buf_span(&b));
    buf_free(&b);
    return out;
}

static struct span one_pass(struct conf *c, struct span re, bool *again)
{
    const struct conf_state *st = c->state;
    struct span pre = lookup(&st->replace_pre, take_modifier(c, &re, "pre"));
    struct span post = lookup(&st->replace_post, take_modifier(c, &re, "post"));
    struct span inter = lookup(&st->replace_inter, take_modifier(c, &re, "inter"));
    struct pieces p = split(c->arena, re);
    struct buf b = {0};
    for (size_t i = 0; i < p.n; i++) {
        struct span piece = p.v[i];
        if (pre.n || post.n)
            piece = surround(c, piece, pre, post);
        if (piece.n == 0 && i > 0 && inter.n)
            piece = inter;
        buf_add(&b, substitute(c, piece, again));
    }
    struct span out = arena_dup(c->arena, buf_span(&b));
    buf_free(&b);
    return out;
}

static void replace_in(struct conf *c, struct rule_def *r)
{
    struct span re =
        r->mods.n ? arena_printf(c->arena, "(?%.*s)%.*s", SPAN_ARG(r->mods), SPAN_ARG(r->pattern))
                  : r->pattern;
    bool again = true;
    for (int pass = 0; again && pass < PASSES && re.n < EXPANDED_LIMIT; pass++) {
        again = false;
        re = one_pass(c, re, &again);
    }
    if (re.n >= EXPANDED_LIMIT) {
        conf_problem(c, r->at,
                     "rule %s: its replace tags expand to more than %d bytes; not replaced",
                     r->name, EXPANDED_LIMIT);
        return;
    }
    r->pattern = re;
    r->mods = SPAN("");
    r->replaced = true;
}

static bool replaceable(const struct rule_def *r)
{
    return r && !r->replaced && r->pattern.p &&
           (r->kind == RULE_HEADER || r->kind == RULE_BODY || r->kind == RULE_RAWBODY ||
            r->kind == RULE_FULL || r->kind == RULE_URI);
}

void conf_replace_tags(struct conf *c)
{
    const struct map *wanted = &c->state->replace_rules;
    for (size_t i = 0; i < wanted->n; i++) {
        struct rule_def *r = map_get(&c->by_name, wanted->entries[i].key);
        if (replaceable(r))
            replace_in(c, r);
    }
}
