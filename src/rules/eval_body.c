/* BodyEval (semantics 8.3). */
#include "rules/eval_state.h"

#include "rules/eval.h"

#include <math.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

/* --- how far the html and the text of a multipart/alternative differ --- */

struct alternatives {
    double diff, html, text; /* of the words: percent left over, distinct ones */
};

struct words {
    struct map count; /* word -> number of times, as a pointer */
};

static size_t times(const struct map *m, struct span word)
{
    return (size_t)(uintptr_t)map_get(m, word);
}

static bool unicode_space(UChar32 c)
{
    if (c < 0x80 && c > 0x20)
        return false;
    return c == 0x20 || (c >= 9 && c <= 13) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static bool unicode_word(UChar32 c)
{
    if (c < 0x80)
        return c >= 0 && (ascii_isalnum((char)c) || c == '_');
    int8_t type = u_charType(c);
    return u_isUAlphabetic(c) || type == U_DECIMAL_DIGIT_NUMBER || type == U_NON_SPACING_MARK ||
           type == U_COMBINING_SPACING_MARK || type == U_ENCLOSING_MARK ||
           type == U_CONNECTOR_PUNCTUATION;
}

/* Words with a word character in them, split at white space. Bytes beyond ASCII are neither, and
 * count as the characters of Latin-1 where words are compared. */
static void add_words(struct arena *a, struct map *count, struct html_text t)
{
    struct span s = t.s;
    bool chars = t.chars;
    size_t start = 0, i = 0;
    bool word = false;
    while (i <= s.n) {
        UChar32 c = ' ';
        size_t next = i + 1;
        if (i < s.n) {
            c = (unsigned char)s.p[i];
            if (c >= 0x80 && chars) {
                int32_t at = (int32_t)i;
                U8_NEXT((const uint8_t *)s.p, at, (int32_t)s.n, c);
                next = (size_t)at;
            }
        }
        bool byte_only = !chars && c >= 0x80;
        if (!byte_only && unicode_space(c)) {
            if (word) {
                struct span key = span_sub(s, start, i);
                void **at = map_at(count, chars ? key : html_upgrade(a, key));
                *at = (void *)((uintptr_t)*at + 1);
            }
            start = next;
            word = false;
        } else if (!byte_only && unicode_word(c)) {
            word = true;
        }
        i = next;
    }
}

static const struct html *html_of(const struct text *t, const struct mime_part *p)
{
    for (size_t i = 0; i < t->nhtml; i++)
        if (t->html[i].part == p)
            return t->html[i].html;
    return NULL;
}

/* p and everything below it; the part after them. */
static struct mime_part *behind(struct mime_part *p)
{
    while (p && !p->next)
        p = p->parent;
    return p ? p->next : NULL;
}

static bool text_type(struct span type)
{
    return span_starts(type, SPAN("text")) &&
           (type.n == 4 || !(ascii_isalnum(type.p[4]) || type.p[4] == '_'));
}

static void collect_words(struct rules_ctx *c, struct mime_part *top, struct map *html,
                          struct map *text)
{
    struct mime_part *end = behind(top);
    for (struct mime_part *p = top; p && p != end; p = mime_next(p)) {
        if (!p->leaf || !text_type(p->type))
            continue;
        const struct html *h = html_of(c->text, p);
        if (h) {
            add_words(c->a, html, h->text);
            long count;
            if (html->n == 0 && html_inside(h, "img", &count))
                *map_at(html, SPAN("\n")) = (void *)1; /* stands for the picture */
        } else if (span_eq(p->type, SPAN("text/plain"))) {
            const struct text_part *part = text_part_of(c->text, p);
            if (part)
                add_words(c->a, text, part->text);
        }
    }
}

static void compare_alternative(struct rules_ctx *c, struct mime_part *top, struct alternatives *a)
{
    struct map html = map_in(c->a), text = map_in(c->a);
    collect_words(c, top, &html, &text);
    if (html.n == 0)
        return;
    a->html = (double)html.n;
    a->text = (double)text.n;
    size_t left = 0;
    for (size_t i = 0; i < html.n; i++) {
        size_t in_text = times(&text, html.entries[i].key);
        left += in_text == 0 || (size_t)(uintptr_t)html.entries[i].value > in_text;
    }
    double diff = (double)left / (double)html.n * 100;
    if (diff > a->diff)
        a->diff = diff;
}

/* Meeting requests: exactly an alternative of html and calendar. */
static bool meeting_request(const struct mime *m)
{
    const struct mime_part *root = m->root, *a = root->child, *b = a ? a->next : NULL;
    return b && !b->next && a->leaf && b->leaf &&
           span_eq(root->type, SPAN("multipart/alternative")) &&
           span_eq(a->type, SPAN("text/html")) && span_eq(b->type, SPAN("text/calendar"));
}

static bool alternative_type(struct span type)
{
    struct span name = SPAN("multipart/alternative");
    return span_starts(type, name) &&
           (type.n == name.n || !(ascii_isalnum(type.p[name.n]) || type.p[name.n] == '_'));
}

static struct alternatives *alternatives(struct rules_ctx *c)
{
    struct eval_state *s = eval_state(c);
    if (s->alternatives)
        return s->alternatives;
    s->alternatives = ARENA_NEW(c->a, struct alternatives);
    if (!meeting_request(c->mime))
        for (struct mime_part *p = c->mime->root; p; p = mime_next(p))
            if (alternative_type(p->type))
                compare_alternative(c, p, s->alternatives);
    return s->alternatives;
}

static double multipart_alternative_difference(struct rules_ctx *c, const struct eval_call *call)
{
    double diff = alternatives(c)->diff, min = eval_number(call, 0, 0);
    return (min == 0 || diff > min) && (eval_open(call, 1) || diff <= eval_number(call, 1, 0));
}

static double multipart_alternative_difference_count(struct rules_ctx *c,
                                                     const struct eval_call *call)
{
    const struct alternatives *a = alternatives(c);
    return a->html > eval_number(call, 1, 0) && a->text / a->html > eval_number(call, 0, 0);
}

/* --- lines --- */

static double check_blank_line_ratio(struct rules_ctx *c, const struct eval_call *call)
{
    double min = eval_number(call, 0, 0), max = eval_number(call, 1, 0);
    double least = eval_number(call, 2, 1), lines = 0, blank = 0;
    for (size_t i = 0; i < c->text->rawbody.n; i++) {
        struct span rest = c->text->rawbody.v[i];
        while (rest.n) {
            size_t lf = span_find(rest, '\n'), end = lf == SIZE_MAX ? rest.n : lf + 1;
            lines++;
            blank += span_trim(span_sub(rest, 0, end)).n == 0;
            rest = span_from(rest, end);
        }
    }
    double ratio = lines < (least < 1 ? 1 : least) ? -1 : 100 * blank / lines;
    return ratio <= max && (min == 0 || ratio > min);
}

/* In pieces whose count fits a byte: compilers make vectors of that. */
static size_t count_spaces(struct span s)
{
    enum { PIECE = 255 };
    size_t spaces = 0;
    for (size_t from = 0; from < s.n; from += PIECE) {
        struct span piece = span_sub(s, from, from + PIECE);
        uint8_t n = 0;
        for (size_t i = 0; i < piece.n; i++)
            n = (uint8_t)(n + (piece.p[i] == ' '));
        spaces += n;
    }
    return spaces;
}

static double tvd_vertical_words(struct rules_ctx *c, const struct eval_call *call)
{
    double best = -1, max = eval_number(call, 1, 0);
    for (size_t i = 0; i < c->text->body.n; i++) {
        struct span line = c->text->body.v[i];
        if (line.n <= 5)
            continue;
        size_t spaces = count_spaces(line), rest = line.n - spaces;
        double percent =
            spaces > rest || rest == 0 ? 100 : floor(100 * (double)spaces / (double)rest);
        if (percent > best)
            best = percent;
    }
    return best >= eval_number(call, 0, 0) && best < (max >= 100 ? 101 : max);
}

static double check_body_length(struct rules_ctx *c, const struct eval_call *call)
{
    return (double)c->mime->body_bytes.n <= eval_number(call, 0, 0);
}

/* --- stock tips --- */

struct stock_patterns {
    struct regex *label, *word;
};

static int prepare_stock(struct arena *a, const struct conf *conf, struct eval_call *call,
                         struct err *e)
{
    (void)conf;
    struct stock_patterns *p = ARENA_NEW(a, struct stock_patterns);
    p->label = regex_new(a, SPAN("^\\s*([^:\\s][^:\\n]{2,29})\\s*:\\s*\\S"), SPAN("m"), e);
    p->word = regex_new(
        a,
        SPAN("(^trad(?:e|ing)date|company(?:name)?|s\\w?(?:t\\w?o\\w?c\\w?k|y\\w?m(?:\\w?b\\w?o"
             "\\w?l)?)|t(?:arget|icker)|(?:opening|current)p(?:rice)?|p(?:rojected|osition)|"
             "expectations|weeks?high|marketperformance|(?:year|week|month|day|price)(?:target|"
             "estimates?)|sector|r(?:ecommendation|ating))$"),
        SPAN_NONE, e);
    call->prepared = p;
    return p->label && p->word ? 0 : -1;
}

static struct span letters_of(struct arena *a, struct span s)
{
    char *p = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (ascii_isalpha(s.p[i]))
            p[n++] = ascii_lower(s.p[i]);
    return span_of(p, n);
}

static double check_stock_info(struct rules_ctx *c, const struct eval_call *call)
{
    const struct stock_patterns *pat = call->prepared;
    const struct mime_part *p = c->mime->root;
    while (p && !span_eq(p->type, SPAN("text/plain")))
        p = mime_next(p);
    struct map seen = map_in(c->a);
    struct regex_match m;
    struct span text = p ? text_of_part(c->text, c->mime, p) : SPAN("");
    for (size_t from = 0; regex_exec(pat->label, text, from, &m) == 1;) {
        struct span label = letters_of(c->a, span_sub(text, m.group[1].start, m.group[1].end));
        from = m.end > m.start ? m.end : m.end + 1;
        if (regex_exec(pat->word, label, 0, &m) == 1)
            *map_at(&seen, span_sub(label, m.group[1].start, m.group[1].end)) = c;
    }
    double min = eval_number(call, 0, 0);
    return min == 0 || (double)seen.n >= min;
}

/* --- body and signature of the first plain part --- */

struct signature {
    bool there;
    double body, sig;
};

static struct signature signature(struct rules_ctx *c)
{
    struct signature r = {0};
    struct mime_part *p = c->mime->root;
    while (p && !span_starts(p->type, SPAN("text/plain")))
        p = mime_next(p);
    if (!p)
        return r;
    struct span text = mime_body(c->mime, p);
    r = (struct signature){true, (double)text.n, 0};
    for (size_t at = 0; at < text.n;) {
        size_t lf = span_find(span_from(text, at), '\n'), end = lf == SIZE_MAX ? text.n : at + lf;
        struct span line = span_sub(text, at, end);
        if (span_ends(line, SPAN("\r")))
            line.n--;
        bool mark = span_eq(line, SPAN("--")) || span_eq(line, SPAN("-- "));
        if (mark && text.n - end > 4) { /* a mark at the very end is a decoy */
            r.body = (double)at;
            r.sig = (double)(text.n - end);
        }
        at = end + 1;
    }
    return r;
}

static bool within(double v, const struct eval_call *call, double most)
{
    return v >= eval_number(call, 0, 0) && v <= eval_number(call, 1, most);
}

static double plaintext_body_length(struct rules_ctx *c, const struct eval_call *call)
{
    struct signature s = signature(c);
    return s.there && within(s.body, call, INFINITY);
}

static double plaintext_sig_length(struct rules_ctx *c, const struct eval_call *call)
{
    struct signature s = signature(c);
    return s.there && within(s.sig, call, INFINITY);
}

static double plaintext_body_sig_ratio(struct rules_ctx *c, const struct eval_call *call)
{
    struct signature s = signature(c);
    return s.there && within(s.sig > 0 ? s.body / s.sig : 1e6, call, 1e6);
}

#define ROW(fn)                                                                                    \
    {                                                                                              \
#fn, "BodyEval", fn, .types = EVAL_BODIES                                                  \
    }
#define PREPARED(fn, how)                                                                          \
    {                                                                                              \
#fn, "BodyEval", fn, .types = EVAL_BODIES, .prepare = how                                  \
    }
const struct eval_fn_def eval_body[] = {
    ROW(multipart_alternative_difference),
    ROW(multipart_alternative_difference_count),
    ROW(check_blank_line_ratio),
    ROW(tvd_vertical_words),
    PREPARED(check_stock_info, prepare_stock),
    ROW(check_body_length),
    ROW(plaintext_body_length),
    ROW(plaintext_sig_length),
    ROW(plaintext_body_sig_ratio),
    {NULL},
};
