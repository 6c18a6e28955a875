/* The tokenizer's state, and what token.c and markup.c share. Room-private. */
#ifndef GATEHOUSE_HTML_TOKEN_PRIVATE_H
#define GATEHOUSE_HTML_TOKEN_PRIVATE_H

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

static inline char at(const struct tokenizer *t, const char *s)
{
    return s < t->end ? *s : '\0';
}

static inline bool space(char c)
{
    return ascii_isspace(c);
}

static inline bool name_first(char c)
{
    return ascii_isalpha(c) || c == '_' || c == ':';
}

static inline bool name_char(char c)
{
    return name_first(c) || ascii_isdigit(c) || c == '-' || c == '.';
}

static inline const char *skip_space(const struct tokenizer *t, const char *s)
{
    while (s < t->end && space(*s))
        s++;
    return s;
}

static inline const char *find(const struct tokenizer *t, const char *s, char c)
{
    const char *hit = s < t->end ? memchr(s, c, (size_t)(t->end - s)) : NULL;
    return hit ? hit : t->end;
}

/* Up to white space or '>'. */
static inline const char *word_end(const struct tokenizer *t, const char *s)
{
    while (s < t->end && !space(*s) && *s != '>')
        s++;
    return s;
}

/* --- token.c: events --- */

/* The strongest marked section that is open. */
enum section token_section(const struct tokenizer *t);
/* The innermost section ends. */
void token_close_section(struct tokenizer *t);
/* Whether the event is to be told; a title that was never closed ends before it. */
bool token_telling(struct tokenizer *t, bool ends_title);
void token_text(struct tokenizer *t, const char *from, const char *to);
void token_comment(struct tokenizer *t, const char *from, const char *to);
void token_end(struct tokenizer *t, const char *from, const char *to);

/* --- markup.c --- */

/* The mark-up that begins with the '<' at beg: where it ends, `beg` when the input ends first, NULL
 * when it is none. */
const char *token_markup(struct tokenizer *t, const char *beg);

#endif
