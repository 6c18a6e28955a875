/* Bytes cut into tags (markup.c), texts and comments, exactly as HTML::Parser 3.81 does it with
 * marked sections on (semantics 4.4): what it takes for a tag decides what rules see, so its
 * oddities are kept.
 *
 * Every byte is looked at a bounded number of times: what is unterminated is scanned to its end
 * once, then once more with comments that end at the first '>', then it is a comment itself. */
#include "html/token_private.h"

/* --- events --- */

enum section token_section(const struct tokenizer *t)
{
    return t->nsections ? (enum section)t->sections[t->nsections - 1] : MS_NONE;
}

bool token_telling(struct tokenizer *t, bool ends_title)
{
    if (t->pending_title && ends_title) {
        t->pending_title = false;
        if (token_section(t) != MS_IGNORE)
            html_on_end(t->h, SPAN("title"));
    }
    return token_section(t) != MS_IGNORE;
}

void token_text(struct tokenizer *t, const char *from, const char *to)
{
    if (token_telling(t, false))
        html_on_text(t->h, span_of(from, (size_t)(to - from)), t->cdata);
}

void token_comment(struct tokenizer *t, const char *from, const char *to)
{
    if (token_telling(t, false))
        html_on_comment(t->h, span_of(from, (size_t)(to - from)));
}

void token_end(struct tokenizer *t, const char *from, const char *to)
{
    if (token_telling(t, true))
        html_on_end(t->h, span_of(from, (size_t)(to - from)));
}

void token_close_section(struct tokenizer *t)
{
    if (t->nsections)
        t->nsections--;
    t->cdata = token_section(t) == MS_CDATA;
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
            token_text(t, *from, s);
        token_end(t, name, name_end);
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
            token_text(t, *from, s);
        token_telling(t, true);
        *from = s + 3;
        token_close_section(t);
        return true;
    }
    return false;
}

/* The end of the plain text *from, looked for from s on: the next '<', or t->end. Ends of open
 * sections on the way are taken; behind a ']' that is none, one more byte is skipped unseen. */
static const char *plain_text(struct tokenizer *t, const char **from, const char *s)
{
    if (token_section(t) == MS_NONE)
        return find(t, s, '<');
    while (s < t->end && *s != '<') {
        if (token_section(t) != MS_NONE && *s == ']') {
            const char *text_end = s++;
            if (at(t, s) == ']') {
                s++;
                if (at(t, s) == '>') {
                    s++;
                    token_text(t, *from, text_end);
                    token_telling(t, true);
                    *from = s;
                    token_close_section(t);
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
        } else if (token_section(t) == MS_CDATA || token_section(t) == MS_RCDATA) {
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
                token_text(t, s, wait);
            return wait;
        }
        if (text_end > s)
            token_text(t, s, text_end);
        s = text_end;
        if (t->end - s < 3)
            return s;
        const char *next = token_markup(t, s);
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
            token_text(t, s, t->end);
        token_end(t, tag->name, tag->name + tag->n);
        s = t->end;
    }
    while (s < t->end) {
        tag = html_tag(t->literal);
        if (t->literal == T_STYLE || t->literal == T_SCRIPT) {
            t->literal = T_OTHER; /* and its texts keep their entities, as HTML::Parser has it */
            token_end(t, tag->name, tag->name + tag->n);
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
            token_comment(t, s, t->end);
        else
            token_text(t, s, t->end);
    }
    token_telling(t, true);
}

void html_tokenize(struct html_parser *h, struct span source)
{
    struct tokenizer t = {.h = h, .end = source.p + source.n};
    if (source.n)
        finish(&t, cut(&t, source.p));
}
