/* Bytes cut into tags, texts and comments, exactly as HTML::Parser 3.81 does it with marked
 * sections on (semantics 4.4): what it takes for a tag decides what rules see, so its oddities are
 * kept.
 *
 * Every byte is looked at a bounded number of times: what is unterminated is scanned to its end
 * once, then once more with comments that end at the first '>', then it is a comment itself. */
#include "html/html_private.h"

enum section { MS_NONE, MS_INCLUDE, MS_RCDATA, MS_CDATA, MS_IGNORE };

struct tokenizer {
    struct html_parser *h;
    const char *end;
    enum html_tag_id literal; /* raw element that is open: only its end tag counts; T_OTHER: none */
    bool cdata;               /* no entities in texts */
    bool loose_comments;      /* at the end of input: comments end at the first '>' */
    bool endless[T_COUNT];    /* no end tag of this raw element follows any more */
    bool pending_title;       /* an unclosed title: its end tag is made up before the next tag */
    uint8_t *sections;        /* the strongest section up to each open level */
    size_t nsections, sections_cap;
    struct html_attr *attrs;
    size_t nattrs, attrs_cap;
};

/* --- character classes; the end of input is a NUL, as in a Perl string --- */

static char at(const struct tokenizer *t, const char *s)
{
    return s < t->end ? *s : '\0';
}

static const bool is_space[256] = {
    ['\t'] = true, ['\n'] = true, ['\v'] = true, ['\f'] = true, ['\r'] = true, [' '] = true};

static bool space(char c)
{
    return is_space[(unsigned char)c];
}

static bool name_first(char c)
{
    return ascii_isalpha(c) || c == '_' || c == ':';
}

static bool name_char(char c)
{
    return name_first(c) || ascii_isdigit(c) || c == '-' || c == '.';
}

static const char *skip_space(const struct tokenizer *t, const char *s)
{
    while (s < t->end && space(*s))
        s++;
    return s;
}

static const char *find(const struct tokenizer *t, const char *s, char c)
{
    const char *hit = s < t->end ? memchr(s, c, (size_t)(t->end - s)) : NULL;
    return hit ? hit : t->end;
}

/* Up to white space or '>'. */
static const char *word_end(const struct tokenizer *t, const char *s)
{
    while (s < t->end && !space(*s) && *s != '>')
        s++;
    return s;
}

/* --- events --- */

static enum section section(const struct tokenizer *t)
{
    return t->nsections ? (enum section)t->sections[t->nsections - 1] : MS_NONE;
}

/* Whether the event is to be told; a title that was never closed ends before it. */
static bool telling(struct tokenizer *t, bool ends_title)
{
    if (t->pending_title && ends_title) {
        t->pending_title = false;
        if (section(t) != MS_IGNORE)
            html_on_end(t->h, SPAN("title"));
    }
    return section(t) != MS_IGNORE;
}

static void tell_text(struct tokenizer *t, const char *from, const char *to)
{
    if (telling(t, false))
        html_on_text(t->h, span_of(from, (size_t)(to - from)), t->cdata);
}

static void tell_comment(struct tokenizer *t, const char *from, const char *to)
{
    if (telling(t, false))
        html_on_comment(t->h, span_of(from, (size_t)(to - from)));
}

static void tell_end(struct tokenizer *t, const char *from, const char *to)
{
    if (telling(t, true))
        html_on_end(t->h, span_of(from, (size_t)(to - from)));
}

/* --- tags. Each returns where it ends, `beg` when the input ends first, NULL when it is none. ---
 */

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
    if (telling(t, true))
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
        tell_end(t, name, name_end);
    else
        tell_comment(t, beg, s + 1);
    return s + 1;
}

static const char *comment(struct tokenizer *t, const char *beg)
{
    const char *s = beg + 4;
    if (t->loose_comments) {
        s = find(t, s, '>');
        if (s == t->end)
            return beg;
        tell_comment(t, beg, s + 1);
        return s + 1;
    }
    for (; (s = find(t, s, '-')) < t->end; s++) {
        if (at(t, s + 1) != '-')
            continue;
        const char *gt = skip_space(t, s + 2);
        if (at(t, gt) == '>') {
            tell_comment(t, beg, gt + 1);
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
    enum section now = section(t);
    *ARENA_PUSH(t->h->a, t->sections, t->nsections, t->sections_cap) =
        (uint8_t)(now > own ? now : own);
    t->cdata = section(t) == MS_CDATA;
}

static void close_section(struct tokenizer *t)
{
    if (t->nsections)
        t->nsections--;
    t->cdata = section(t) == MS_CDATA;
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
    telling(t, true);
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
            if (telling(t, true))
                html_on_declaration(t->h, span_of(beg, (size_t)(end + 1 - beg)));
            return end + 1;
        }
    }
    /* Anything else is a comment up to the first '>'. */
    s = find(t, from, '>');
    if (s == t->end)
        return beg;
    tell_comment(t, beg, s + 1);
    return s + 1;
}

static const char *processing_instruction(struct tokenizer *t, const char *beg)
{
    const char *s = find(t, beg + 2, '>');
    if (s == t->end)
        return beg;
    telling(t, true);
    return s + 1;
}

static const char *markup(struct tokenizer *t, const char *beg)
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

/* --- texts --- */

/* Inside a raw element: up to its end tag. false: the input ends first. */
static bool literal_text(struct tokenizer *t, const char **from)
{
    const struct html_tag *tag = html_tag(t->literal);
    if (t->literal == T_PLAINTEXT || t->endless[t->literal])
        return false;
    for (const char *s = *from; (s = find(t, s, '<')) < t->end; s++) {
        if ((size_t)(t->end - s) < (size_t)tag->n + 3 || s[1] != '/')
            continue;
        const char *name = s + 2, *name_end = name + tag->n;
        const char *gt = skip_space(t, name_end);
        if (!span_ieq(span_of(name, tag->n), span_of(tag->name, tag->n)) || at(t, gt) != '>')
            continue;
        if (s != *from)
            tell_text(t, *from, s);
        tell_end(t, name, name_end);
        t->literal = T_OTHER;
        t->cdata = false;
        *from = gt + 1;
        return true;
    }
    t->endless[t->literal] = true;
    return false;
}

/* Inside a CDATA or RCDATA section: up to its "]]>". false: the input ends first. */
static bool section_text(struct tokenizer *t, const char **from)
{
    for (const char *s = *from; (s = find(t, s, ']')) < t->end; s++) {
        if (at(t, s + 1) != ']' || at(t, s + 2) != '>')
            continue;
        if (s != *from)
            tell_text(t, *from, s);
        telling(t, true);
        *from = s + 3;
        close_section(t);
        return true;
    }
    return false;
}

/* The end of the plain text *from, looked for from s on: the next '<', or t->end. Ends of open
 * sections on the way are taken; behind a ']' that is none, one more byte is skipped unseen. */
static const char *plain_text(struct tokenizer *t, const char **from, const char *s)
{
    if (section(t) == MS_NONE)
        return find(t, s, '<');
    while (s < t->end && *s != '<') {
        if (section(t) != MS_NONE && *s == ']') {
            const char *text_end = s++;
            if (at(t, s) == ']') {
                s++;
                if (at(t, s) == '>') {
                    s++;
                    tell_text(t, *from, text_end);
                    telling(t, true);
                    *from = s;
                    close_section(t);
                    continue;
                }
            }
        }
        s++;
    }
    return s < t->end ? s : t->end;
}

/* Text at the very end of the input: its last word waits, with the white space before it. */
static const char *last_word(const char *from, const char *end)
{
    const char *s = end;
    if (!space(s[-1]))
        while (s > from && !space(s[-1]))
            s--;
    while (s > from && space(s[-1]))
        s--;
    return s;
}

/* Raw elements and sections at s. false: the input ends before they do. */
static bool take_literal(struct tokenizer *t, const char **s)
{
    for (;;) {
        if (t->literal != T_OTHER) {
            if (!literal_text(t, s))
                return false;
        } else if (section(t) == MS_CDATA || section(t) == MS_RCDATA) {
            if (!section_text(t, s))
                return false;
        } else {
            return true;
        }
    }
}

/* Cuts tokens from s on; returns where it could go no further: the end, or unfinished markup or
 * text. */
static const char *cut(struct tokenizer *t, const char *s)
{
    const char *scan = s; /* behind s when the text begins with a '<' that is no markup */
    for (;;) {
        if (scan == s) {
            if (!take_literal(t, &s))
                return s;
            scan = s;
        }
        const char *text_end = plain_text(t, &s, scan);
        if (text_end == t->end) {
            const char *wait = s < t->end ? last_word(s, t->end) : s;
            if (wait > s)
                tell_text(t, s, wait);
            return wait;
        }
        if (text_end > s)
            tell_text(t, s, text_end);
        s = text_end;
        if (t->end - s < 3)
            return s;
        const char *next = markup(t, s);
        if (next == s)
            return s;
        scan = next ? next : s + 1;
        if (next)
            s = next;
    }
}

/* The end of input. A style or script that is still open is closed behind what is left; one that
 * was met only here is closed before it, and what is left is taken as mark-up. */
static void finish(struct tokenizer *t, const char *s)
{
    const struct html_tag *tag = html_tag(t->literal);
    bool raw = t->literal == T_STYLE || t->literal == T_SCRIPT;
    if (raw && html_is_open(t->h, t->literal)) {
        if (s < t->end)
            tell_text(t, s, t->end);
        tell_end(t, tag->name, tag->name + tag->n);
        s = t->end;
    }
    while (s < t->end) {
        tag = html_tag(t->literal);
        if (t->literal == T_STYLE || t->literal == T_SCRIPT) {
            t->literal = T_OTHER; /* and its texts keep their entities, as HTML::Parser has it */
            tell_end(t, tag->name, tag->name + tag->n);
        } else if (t->literal == T_TITLE) {
            t->pending_title = true;
            t->literal = T_OTHER;
        } else if (t->literal == T_OTHER && *s == '<' && !t->loose_comments) {
            t->loose_comments = true;
        } else {
            break;
        }
        s = cut(t, s);
    }
    if (s < t->end) {
        char c = at(t, s + 1);
        bool unfinished = t->literal == T_OTHER && *s == '<' &&
                          (s + 1 == t->end || name_first(c) || c == '/' || c == '!' || c == '?');
        if (unfinished)
            tell_comment(t, s, t->end);
        else
            tell_text(t, s, t->end);
    }
    telling(t, true);
}

void html_tokenize(struct html_parser *h, struct span source)
{
    struct tokenizer t = {.h = h, .end = source.p + source.n};
    if (source.n)
        finish(&t, cut(&t, source.p));
}
