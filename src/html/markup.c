/* Tags, comments and declarations, exactly as HTML::Parser 3.81 reads them with marked sections on
 * (semantics 4.4). Each function returns where its mark-up ends, `beg` when the input ends first,
 * NULL when it is none. */
#include "html/token_private.h"

static void enter_literal(struct tokenizer *t, const char *name, const char *end)
{
    static const enum html_tag_id raw[] = {T_SCRIPT,    T_STYLE, T_XMP,     T_IFRAME,
                                           T_PLAINTEXT, T_TITLE, T_TEXTAREA};
    for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) {
        const struct html_tag *tag = html_tag(raw[i]);
        if (span_ieq(span_of(name, (size_t)(end - name)), span_of(tag->name, tag->n))) {
            t->literal = raw[i];
            t->cdata = raw[i] != T_TITLE && raw[i] != T_TEXTAREA;
            return;
        }
    }
}

/* The value of an attribute behind its '='; NULL when the input ends first. */
static const char *attr_value(struct tokenizer *t, const char *s, struct html_attr *a)
{
    s = skip_space(t, s);
    if (s == t->end)
        return NULL;
    a->has_value = true;
    a->value = span_of(s, 0);
    if (*s == '>') /* as if ="" */
        return s;
    if (*s == '"' || *s == '\'') {
        const char *close = find(t, s + 1, *s);
        if (close == t->end)
            return NULL;
        a->value = span_of(s + 1, (size_t)(close - s - 1));
        s = close + 1;
    } else {
        const char *end = word_end(t, s);
        if (end == t->end)
            return NULL;
        a->value.n = (size_t)(end - s);
        s = end;
    }
    s = skip_space(t, s);
    return s == t->end ? NULL : s;
}

static const char *start_tag(struct tokenizer *t, const char *beg)
{
    const char *name = beg + 1, *name_end = word_end(t, beg + 2);
    const char *s = skip_space(t, name_end);
    if (s == t->end)
        return beg;
    t->nattrs = 0;
    while (*s != '>') {
        struct html_attr *a = ARENA_PUSH(t->h->a, t->attrs, t->nattrs, t->attrs_cap);
        const char *attr = s++;
        while (s < t->end && !space(*s) && *s != '=' && *s != '>')
            s++;
        a->name = span_of(attr, (size_t)(s - attr));
        s = skip_space(t, s);
        if (s == t->end)
            return beg;
        if (*s == '=' && (s = attr_value(t, s + 1, a)) == NULL)
            return beg;
    }
    if (token_telling(t, true))
        html_on_start(t->h, span_of(name, (size_t)(name_end - name)),
                      (struct html_attrs){t->attrs, t->nattrs});
    enter_literal(t, name, name_end);
    return s + 1;
}

/* To the next '>' that is not in quotes; quotes count behind a blank or '='. */
static const char *skip_until_gt(const struct tokenizer *t, const char *s)
{
    char quote = '\0', previous = ' ';
    for (; s < t->end; previous = *s++) {
        if (!quote && *s == '>')
            return s;
        if (*s != '"' && *s != '\'')
            continue;
        if (*s == quote)
            quote = '\0';
        else if (!quote && (previous == ' ' || previous == '='))
            quote = *s;
    }
    return t->end;
}

static const char *end_tag(struct tokenizer *t, const char *beg)
{
    const char *name = beg + 2;
    if (name >= t->end)
        return beg;
    bool named = !space(*name) && *name != '>';
    const char *name_end = named ? word_end(t, name) : name;
    const char *s = skip_until_gt(t, name_end);
    if (s == t->end)
        return beg;
    if (named)
        token_end(t, name, name_end);
    else
        token_comment(t, beg, s + 1);
    return s + 1;
}

static const char *comment(struct tokenizer *t, const char *beg)
{
    const char *s = beg + 4;
    if (t->loose_comments) {
        s = find(t, s, '>');
        if (s == t->end)
            return beg;
        token_comment(t, beg, s + 1);
        return s + 1;
    }
    for (; (s = find(t, s, '-')) < t->end; s++) {
        if (at(t, s + 1) != '-')
            continue;
        const char *gt = skip_space(t, s + 2);
        if (at(t, gt) == '>') {
            token_comment(t, beg, gt + 1);
            return gt + 1;
        }
    }
    return beg;
}

/* "-- ... --" inside a declaration; NULL: none; t->end: not finished. */
static const char *inner_comment(const struct tokenizer *t, const char *s)
{
    if (s + 1 >= t->end)
        return t->end;
    if (s[1] != '-')
        return NULL;
    for (s += 2; (s = find(t, s, '-')) < t->end; s++)
        if (at(t, s + 1) == '-')
            return s + 2;
    return t->end;
}

/* <!DOCTYPE ...> and <!ENTITY ...>. NULL: not one; t->end: not finished. *bad: where it went wrong.
 */
static const char *doctype(const struct tokenizer *t, const char *beg, const char **bad)
{
    const char *s = beg + 2;
    while (s < t->end && name_char(*s))
        s++;
    *bad = s;
    struct span id = span_of(beg + 2, (size_t)(s - beg - 2));
    if (s == t->end)
        return t->end;
    if (!span_ieq(id, SPAN("DOCTYPE")) && !span_ieq(id, SPAN("ENTITY")))
        return NULL;
    for (;;) {
        s = skip_space(t, s);
        if (s == t->end || *s == '>')
            break;
        if (*s == '"' || *s == '\'') {
            s = find(t, s + 1, *s);
            if (s < t->end)
                s++;
        } else if (*s == '-') {
            *bad = s + 1;
            s = inner_comment(t, s);
            if (!s)
                return NULL;
        } else {
            s = word_end(t, s + 1);
        }
        if (s == t->end)
            break;
    }
    return s;
}

static enum section section_named(struct span name)
{
    if (span_ieq(name, SPAN("include")))
        return MS_INCLUDE;
    if (span_ieq(name, SPAN("rcdata")))
        return MS_RCDATA;
    if (span_ieq(name, SPAN("cdata")))
        return MS_CDATA;
    return span_ieq(name, SPAN("ignore")) ? MS_IGNORE : MS_NONE;
}

static void open_section(struct tokenizer *t, enum section own)
{
    enum section now = token_section(t);
    *ARENA_PUSH(t->h->a, t->sections, t->nsections, t->sections_cap) =
        (uint8_t)(now > own ? now : own);
    t->cdata = token_section(t) == MS_CDATA;
}

/* <![NAME NAME -- comment -- [ */
static const char *marked_section(struct tokenizer *t, const char *beg)
{
    const char *s = beg + 3;
    enum section own = MS_NONE;
    bool any = false;
    for (;;) {
        s = skip_space(t, s);
        while (name_first(at(t, s))) {
            const char *name = s++;
            while (name_char(at(t, s)))
                s++;
            enum section named = section_named(span_of(name, (size_t)(s - name)));
            own = named > own ? named : own;
            any = true;
            s = skip_space(t, s);
            if (s == t->end)
                return beg;
        }
        if (at(t, s) != '-')
            break;
        if (at(t, s + 1) != '-')
            return NULL;
        s = inner_comment(t, s);
        if (s == t->end)
            return beg;
    }
    if (at(t, s) != '[')
        return NULL;
    token_telling(t, true);
    open_section(t, any ? own : MS_INCLUDE);
    return s + 1;
}

static const char *declaration(struct tokenizer *t, const char *beg)
{
    const char *s = beg + 2, *from = s;
    if (at(t, s) == '-') {
        if (s + 1 >= t->end)
            return beg;
        if (s[1] == '-')
            return comment(t, beg);
        from = s + 1;
    } else if (at(t, s) == '[') {
        const char *end = marked_section(t, beg);
        if (end)
            return end;
    } else if (ascii_isalpha(at(t, s))) {
        const char *end = doctype(t, beg, &from);
        if (end == t->end)
            return beg;
        if (end) {
            if (token_telling(t, true))
                html_on_declaration(t->h, span_of(beg, (size_t)(end + 1 - beg)));
            return end + 1;
        }
    }
    /* Anything else is a comment up to the first '>'. */
    s = find(t, from, '>');
    if (s == t->end)
        return beg;
    token_comment(t, beg, s + 1);
    return s + 1;
}

static const char *processing_instruction(struct tokenizer *t, const char *beg)
{
    const char *s = find(t, beg + 2, '>');
    if (s == t->end)
        return beg;
    token_telling(t, true);
    return s + 1;
}

const char *token_markup(struct tokenizer *t, const char *beg)
{
    char c = at(t, beg + 1);
    if (name_first(c))
        return start_tag(t, beg);
    if (c == '/')
        return end_tag(t, beg);
    if (c == '!')
        return declaration(t, beg);
    return c == '?' ? processing_instruction(t, beg) : NULL;
}
