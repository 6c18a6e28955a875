/* The stack of text styles: what is invisible (semantics 4.5). */
#include "html/html_private.h"

#include <stdlib.h>

/* --- style="..." --- */

/* One declaration of a style attribute, as far as it is understood. */
enum { D_NONE, D_COLOR, D_BACKGROUND, D_PROPERTY };

static struct span skip_space(struct span s)
{
    while (s.n && ascii_isspace(s.p[0]))
        s = span_from(s, 1);
    return s;
}

/* "(.+?)\s*$" and "(\S.*?)\s*$": the value without its white space, which holds no line end. */
static bool value_of(struct span s, struct span *value)
{
    *value = span_trim(s);
    return value->n && span_find(*value, '\n') == SIZE_MAX;
}

/* "color: " with nothing but white space: the ".+?" takes a blank, which is no colour. */
static bool blank_value(struct span s, struct span *value)
{
    bool blank = false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_isspace(s.p[i]))
            return false;
        blank |= s.p[i] != '\n';
    }
    *value = SPAN("");
    return blank;
}

static int declaration(struct span s, struct span *name, struct span *value)
{
    s = skip_space(s);
    size_t n = 0;
    while (n < s.n && (ascii_isalpha(s.p[n]) || s.p[n] == '_' || s.p[n] == '-'))
        n++;
    *name = span_sub(s, 0, n);
    bool direct = n < s.n && s.p[n] == ':';
    struct span rest = skip_space(span_from(s, n));
    bool color = span_ieq(*name, SPAN("color")) || span_ieq(*name, SPAN("background-color"));
    if (direct && color && blank_value(span_from(rest, 1), value))
        return D_COLOR;
    if (n == 0 || rest.n == 0 || rest.p[0] != ':' || !value_of(span_from(rest, 1), value))
        return D_NONE;
    if (direct && color)
        return D_COLOR;
    if (direct && span_eq(*name, SPAN("background")))
        return D_BACKGROUND;
    return D_PROPERTY;
}

/* "rgb(1, 2, 300)": keep digits and commas, three numbers, missing ones 0, large ones 255. */
static int32_t rgb_value(struct span s)
{
    unsigned v[3] = {0};
    size_t k = 0;
    for (size_t i = 0; i < s.n && k < 3; i++) {
        if (s.p[i] == ',')
            k++;
        else if (ascii_isdigit(s.p[i]) && v[k] < 256)
            v[k] = v[k] * 10 + (unsigned)(s.p[i] - '0');
    }
    int32_t rgb = 0;
    for (k = 0; k < 3; k++)
        rgb = rgb << 8 | (int32_t)(v[k] > 255 ? 255 : v[k]);
    return rgb;
}

static void set_color(struct arena *a, struct html_style *st, bool background, struct span value)
{
    value = arena_lower(a, value);
    if (span_ends(value, SPAN("important"))) {
        struct span v = span_trim(span_sub(value, 0, value.n - 9));
        if (v.n && v.p[v.n - 1] == '!')
            value = span_trim(span_sub(v, 0, v.n - 1));
    }
    int32_t *color = background ? &st->bg : &st->fg;
    if (span_search(value, SPAN("rgb")) != SIZE_MAX)
        *color = rgb_value(value);
    else if (span_eq(value, SPAN("transparent")))
        *color = COLOR_TRANSPARENT;
    else if (!span_eq(value, SPAN("inherit")))
        *color = html_color(a, value);
}

/* The tokens of a CSS background value; layers are split at commas. Quotes and parentheses group.
 */
struct background {
    const char *token;
    size_t n;
    bool found, any; /* in this layer: a colour; a token at all */
    int32_t color;
};

static void end_token(struct arena *a, struct background *b)
{
    if (!b->n)
        return;
    b->any = true;
    if (!b->found) {
        int32_t c = html_color(a, span_of(b->token, b->n));
        if (c != COLOR_INVALID) {
            b->found = true;
            b->color = c;
        }
    }
    b->n = 0;
}

/* Only the last layer counts; an empty one behind the last comma is none. */
static void set_background(struct arena *a, struct html_style *st, struct span value)
{
    struct background b = {0}, last = {0};
    char quote = 0;
    bool paren = false;
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        bool plain = !quote && !paren;
        if (plain && (c == ' ' || c == ',')) {
            end_token(a, &b);
            if (c == ',') {
                last = b;
                b = (struct background){0};
            }
            continue;
        }
        if (b.n++ == 0)
            b.token = value.p + i;
        if (quote) {
            if (c == quote)
                quote = 0;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (plain && c == '(') {
            paren = true;
        } else if (paren && c == ')') {
            paren = false;
            end_token(a, &b);
        }
    }
    end_token(a, &b);
    if (b.any)
        last = b;
    if (last.found)
        st->bg = last.color;
}

static void apply_style(struct html_parser *h, struct html_style *st, struct span style)
{
    const struct html_style *parent = &h->styles.v[h->styles.n - 1];
    while (style.n) {
        size_t semi = span_find(style, ';');
        struct span part = span_sub(style, 0, semi), name, value;
        style = semi == SIZE_MAX ? SPAN_NONE : span_from(style, semi + 1);
        switch (declaration(part, &name, &value)) {
        case D_COLOR:
            set_color(h->a, st, name.n != 5, value);
            break;
        case D_BACKGROUND:
            set_background(h->a, st, arena_lower(h->a, value));
            break;
        case D_PROPERTY:
            if (span_eq(name, SPAN("display")))
                st->display_none = span_ieq(value, SPAN("none"));
            else if (span_eq(name, SPAN("visibility")))
                st->visibility_hidden = span_ieq(value, SPAN("hidden"));
            break;
        default:
            break;
        }
    }
    if (st->bg == COLOR_TRANSPARENT)
        st->bg = parent->bg;
    if (st->fg == COLOR_TRANSPARENT)
        st->fg = st->bg;
}

/* --- the stack --- */

/* Digits at the front, as Perl turns them into a number. */
static bool digits(struct span s, double *v)
{
    size_t i = 0;
    for (*v = 0; i < s.n && ascii_isdigit(s.p[i]); i++)
        *v = *v * 10 + (s.p[i] - '0');
    return i > 0;
}

static void apply_size(struct html_parser *h, struct html_style *st, struct span value)
{
    double v;
    value = skip_space(value);
    bool signed_ = value.n && (value.p[0] == '+' || value.p[0] == '-');
    if (signed_ && digits(span_from(value, 1), &v))
        st->size = h->styles.basefont + (value.p[0] == '-' ? -v : v);
    else if (!signed_ && digits(value, &v))
        st->size = v;
}

enum { A_COLOR = 1, A_SIZE = 2, A_STYLE = 4, A_TEXT = 8, A_OTHER = 16 };

/* Which attributes are honoured. A_OTHER: ones without effect but on the extremes of size. */
static unsigned honoured(enum html_tag_id id)
{
    switch (id) {
    case T_FONT:
    case T_BASEFONT:
        return A_COLOR | A_SIZE | A_OTHER;
    case T_BODY:
        return A_TEXT | A_OTHER;
    case T_TABLE:
    case T_TR:
    case T_TD:
        return A_STYLE | A_OTHER;
    case T_SPAN:
    case T_P:
    case T_DIV:
    case T_A:
        return A_STYLE;
    default:
        return 0;
    }
}

static void note_size(struct html_parser *h, double size)
{
    if (size > h->out->max_size)
        h->out->max_size = size;
    else if (size < h->out->min_size)
        h->out->min_size = size;
}

static bool has_other(enum html_tag_id id, struct html_attrs attrs)
{
    static const struct span body[] = {
        {"bgcolor", 7}, {"link", 4}, {"alink", 5}, {"vlink", 5}, {"background", 10}};
    static const struct span font[] = {{"face", 4}}, table[] = {{"bgcolor", 7}};
    const struct span *names = id == T_BODY                       ? body
                               : id == T_FONT || id == T_BASEFONT ? font
                                                                  : table;
    size_t n = id == T_BODY ? 5 : 1;
    for (size_t i = 0; i < attrs.n; i++)
        for (size_t k = 0; k < n; k++)
            if (span_ieq(attrs.v[i].name, names[k]))
                return true;
    return false;
}

static void apply_attributes(struct html_parser *h, enum html_tag_id id, struct html_style *st,
                             struct html_attrs attrs)
{
    unsigned which = attrs.n ? honoured(id) : 0;
    struct html_text v;
    if (which & A_SIZE && html_attr(h, attrs, "size", &v)) {
        apply_size(h, st, v.s);
        note_size(h, st->size);
    }
    if (which & (A_COLOR | A_TEXT) && html_attr(h, attrs, which & A_COLOR ? "color" : "text", &v)) {
        st->fg = html_color(h->a, v.s);
        note_size(h, st->size);
    }
    if (which & A_STYLE && html_attr(h, attrs, "style", &v)) {
        apply_style(h, st, v.s);
        note_size(h, st->size);
    }
    if (which & A_OTHER && st->size != 3 && has_other(id, attrs))
        note_size(h, st->size);
}

static void push(struct html_styles *s, struct arena *a, struct html_style st)
{
    *ARENA_PUSH(a, s->v, s->n, s->cap) = st;
    s->open[st.tag]++;
}

static void pop(struct html_styles *s)
{
    s->open[s->v[--s->n].tag]--;
}

/* A cell ends the cell before it, a row the row before it. */
static void close_table_tag(struct html_styles *s, enum html_tag_id id)
{
    if (!s->open[id])
        return;
    for (;;) {
        enum html_tag_id top = s->v[s->n - 1].tag;
        if (top != T_FONT && top != T_TD && !(id == T_TR && top == T_TR))
            return;
        pop(s);
    }
}

static enum html_tag_id style_tag(enum html_tag_id id)
{
    return id == T_TH ? T_TD : id;
}

void html_style_start(struct html_parser *h, enum html_tag_id id, struct html_attrs attrs)
{
    struct html_styles *s = &h->styles;
    struct html_text v;
    double size;
    id = style_tag(id);
    if (id == T_BASEFONT && html_attr(h, attrs, "size", &v) && digits(skip_space(v.s), &size)) {
        s->basefont = size;
        return;
    }
    if (id == T_TD || id == T_TR)
        close_table_tag(s, id);
    struct html_style st = s->v[s->n - 1];
    st.tag = (uint8_t)id;
    if (id == T_BIG)
        st.size += 1;
    else if (id == T_SMALL)
        st.size -= 1;
    else
        apply_attributes(h, id, &st, attrs);
    push(s, h->a, st);
}

void html_style_end(struct html_parser *h, enum html_tag_id id)
{
    struct html_styles *s = &h->styles;
    id = style_tag(id);
    if (id == T_BODY || !s->open[id])
        return;
    enum html_tag_id popped;
    do {
        popped = s->v[s->n - 1].tag;
        pop(s);
    } while (popped != id);
}

/* --- the test --- */

/* Brightness-weighted distance below 12 (of 191). */
static bool too_close(int32_t fg, int32_t bg)
{
    if (fg < 0 || bg < 0)
        return false;
    double r = 0.2126 * ((fg >> 16) - (bg >> 16));
    double g = 0.7152 * ((fg >> 8 & 255) - (bg >> 8 & 255));
    double b = 0.0722 * ((fg & 255) - (bg & 255));
    return r * r + g * g + b * b < 12 * 12;
}

bool html_style_hides(struct html_parser *h)
{
    const struct html_style *st = &h->styles.v[h->styles.n - 1];
    if (st->fg == st->bg || too_close(st->fg, st->bg)) {
        h->out->font_low_contrast = true;
        return true;
    }
    if (st->fg == COLOR_INVALID || st->bg == COLOR_INVALID) {
        h->out->font_invalid_color = true;
        return true;
    }
    return st->size <= 1 || st->display_none || st->visibility_hidden;
}
