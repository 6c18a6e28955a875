/* What tags and texts mean, and what is counted (semantics 4.5, 4.6). */
#include "html/html_private.h"

#include <math.h>

#include "base/sixteen.h"

bool html_attr(struct html_parser *h, struct html_attrs attrs, const char *name,
               struct html_text *value)
{
    struct span wanted = span_str(name);
    for (size_t i = 0; i < attrs.n; i++) {
        const struct html_attr *at = &attrs.v[i];
        if (at->name.n != wanted.n || !span_ieq(at->name, wanted))
            continue;
        /* An attribute without a value is its own name. */
        *value = at->has_value ? html_decode_in(h, at->value, false)
                               : (struct html_text){at->name, h->chars};
        return true;
    }
    return false;
}

/* --- counting --- */

/* Names of Office's namespaces: ^(?:o|st\d):[\w-]+/?$ */
static bool is_namespace(struct span s, bool chars)
{
    size_t i = span_starts(s, SPAN("o:")) ? 2 : 0;
    if (!i && s.n > 4 && span_starts(s, SPAN("st")) && ascii_isdigit(s.p[2]) && s.p[3] == ':')
        i = 4;
    if (!i)
        return false;
    const char *p = s.p + i, *end = s.p + s.n, *start = p;
    while (p < end) {
        const char *next = p;
        unsigned c = html_next(&next, end, chars);
        if (c != '-' && !html_is_word(c, chars))
            break;
        p = next;
    }
    return p > start && (p == end || (*p == '/' && p + 1 == end));
}

/* The open count + 1 of a tag that is none of ours. */
static intptr_t *other_at(struct html_parser *h, struct span name)
{
    void **slot = map_at(&h->inside_other, name);
    return (intptr_t *)slot;
}

static enum html_tag_id count_tag(struct html_parser *h, struct span raw, int step)
{
    char lower[HTML_TAG_NAME_MAX + 1];
    enum html_tag_id id = T_OTHER;
    if (raw.n <= HTML_TAG_NAME_MAX) {
        for (size_t i = 0; i < raw.n; i++)
            lower[i] = ascii_lower(raw.p[i]);
        id = html_tag_find(span_of(lower, raw.n));
    }
    long count;
    bool element;
    intptr_t *other = NULL;
    if (id != T_OTHER) {
        element = html_tag(id)->flags & HTML_ELEMENT;
        count = h->inside[id];
    } else {
        struct span name = arena_lower(h->a, raw);
        element = is_namespace(name, h->chars);
        other = other_at(h, name);
        count = (long)*other;
    }
    bool seen = count != 0;
    count = (seen ? count : 1) + step;
    if (count < 1) {
        count = 1;
        h->closed_extra++;
    }
    h->tags++;
    h->tags_seen += !seen;
    h->elements += element;
    h->elements_seen += element && !seen;
    if (other)
        *other = count;
    else
        h->inside[id] = count;
    return id;
}

/* --- tests on attributes --- */

static bool is_run(char c)
{
    return ascii_isalpha(c) || c == ' ' || c == '-';
}

/* One name of a font list from s[i]: its letters, spaces and hyphens, a digit, a closing quote.
 * Where it ends, or SIZE_MAX when it is none. lead: the name may begin with a space. */
static size_t face_name(struct span s, size_t i, bool lead)
{
    size_t start = i;
    while (i < s.n && is_run(s.p[i]))
        i++;
    if (i - start < 2 || !ascii_isalpha(s.p[i - 1]))
        return SIZE_MAX;
    if (!ascii_isalpha(s.p[start]) && !(lead && s.p[start] == ' '))
        return SIZE_MAX;
    if (i < s.n && ascii_isdigit(s.p[i]))
        i++;
    if (i < s.n && (s.p[i] == '"' || s.p[i] == '\''))
        i++;
    return i;
}

/* ^\s*["'.]?[a-z ][a-z -]*[a-z]\d?["']?(?:,\s*["']?[a-z][a-z -]*[a-z]\d?["']?)*;?$ */
static bool face_is_good(struct span s)
{
    size_t i = 0;
    if (s.n && s.p[s.n - 1] == '\n')
        s.n--;
    while (i < s.n && ascii_isspace(s.p[i]))
        i++;
    if (i < s.n && strchr("\"'.", s.p[i]) && s.p[i])
        i++;
    else if (i && s.p[i - 1] == ' ')
        i--; /* a space may be the first character of the name */
    i = face_name(s, i, true);
    while (i < s.n && s.p[i] == ',') { /* SIZE_MAX ends it too */
        i++;
        while (i < s.n && ascii_isspace(s.p[i]))
            i++;
        if (i < s.n && (s.p[i] == '"' || s.p[i] == '\''))
            i++;
        i = face_name(s, i, false);
    }
    return i == s.n || (i < s.n && i + 1 == s.n && s.p[i] == ';');
}

/* "12" or "50%": pixels, of 800x600 for percentages; 200 when it makes no sense. */
static double extent(struct span s, double percent)
{
    double v = 0;
    size_t i = 0;
    if (s.n && s.p[s.n - 1] == '\n')
        s.n--;
    for (; i < s.n && ascii_isdigit(s.p[i]); i++)
        v = v * 10 + (s.p[i] - '0');
    if (i && i + 1 == s.n && s.p[i] == '%') {
        v *= percent;
        i++;
    }
    return i && i == s.n && v > 0 ? v : 200;
}

static void test_start(struct html_parser *h, enum html_tag_id id, struct html_attrs attrs)
{
    struct html_text v, w;
    switch (id) {
    case T_FONT:
        if (html_attr(h, attrs, "face", &v) && !face_is_good(v.s))
            h->out->font_face_bad = true;
        break;
    case T_IMG:
        if (html_is_open(h, T_A))
            html_anchor_add(h, (struct html_text){SPAN("<img>\n"), false});
        if (html_attr(h, attrs, "width", &v) && html_attr(h, attrs, "height", &w))
            h->out->image_area += extent(v.s, 8) * extent(w.s, 6);
        break;
    case T_FORM:
        if (html_attr(h, attrs, "action", &v) && html_contains(v.s, "mailto:"))
            h->out->form_action_mailto = true;
        break;
    case T_OBJECT:
    case T_EMBED:
        h->out->embeds = true;
        break;
    case T_A:
        html_anchor_open(h, attrs);
        break;
    case T_TITLE:
        (void)ARENA_PUSH(h->a, h->titles, h->ntitles, h->titles_cap);
        break;
    default:
        break;
    }
}

/* --- events --- */

void html_on_start(struct html_parser *h, struct span name, struct html_attrs attrs)
{
    enum html_tag_id id = count_tag(h, name, 1);
    if (id == T_OTHER)
        return;
    const struct html_tag *tag = html_tag(id);
    if (tag->flags & HTML_STYLED)
        html_style_start(h, id, attrs);
    if (tag->space)
        html_show_space(h, tag->space);
    if (tag->flags & HTML_LINKS)
        html_links_of(h, id, attrs);
    test_start(h, id, attrs);
}

void html_on_end(struct html_parser *h, struct span name)
{
    enum html_tag_id id = count_tag(h, name, -1);
    if (id == T_OTHER)
        return;
    const struct html_tag *tag = html_tag(id);
    if (tag->flags & HTML_STYLED)
        html_style_end(h, id);
    if (tag->space)
        html_show_space(h, tag->space);
}

static void push_text(struct html_parser *h, struct html_texts *list, struct html_text t)
{
    *ARENA_PUSH(h->a, list->v, list->n, list->cap) = t;
}

void html_on_text(struct html_parser *h, struct span raw, bool cdata)
{
    struct html_text t = {raw, h->chars};
    if (!cdata)
        t = html_decode_in(h, raw, true);
    if (html_is_open(h, T_SCRIPT)) {
        push_text(h, &h->out->script, t);
        return;
    }
    if (html_is_open(h, T_STYLE))
        return;
    if (html_is_open(h, T_A))
        html_anchor_add(h, t);
    if (html_is_open(h, T_TITLE) && h->ntitles)
        html_grow_add(h->a, &h->titles[h->ntitles - 1], t);
    html_show_text(h, t);
}

void html_on_comment(struct html_parser *h, struct span raw)
{
    push_text(h, &h->out->comment, (struct html_text){raw, h->chars});
}

void html_on_declaration(struct html_parser *h, struct span raw)
{
    if (!span_istarts(raw, SPAN("<!doctype")))
        return;
    h->elements++;
    h->tags++;
    *other_at(h, SPAN("!doctype")) = 1;
}

/* --- results --- */

/* The markers of quotes that would spoil attributes, as character and as bytes. */
static bool is_curly_quote(const char *p, const char *end)
{
    return end - p >= 3 && memcmp(p, "\xE2\x80", 2) == 0 &&
           ((unsigned char)p[2] == 0x9C || (unsigned char)p[2] == 0x9D);
}

/* Where "<NAME space" begins in front of a "/>" at the end of what was copied; NULL if it does not.
 */
static char *self_closing(char *start, char *o, bool chars)
{
    const char *p = o;
    while (p > start) {
        const char *before = p;
        if (!html_is_space(html_previous(&before, start, chars), chars))
            break;
        p = before;
    }
    const char *name_end = p;
    while (p > start) {
        const char *before = p;
        if (!html_is_word(html_previous(&before, start, chars), chars))
            break;
        p = before;
    }
    return p < name_end && p > start && p[-1] == '<' ? start + (name_end - start) : NULL;
}

/* The next "&", "/>" or first byte of a curly quote. */
static const char *next_edit(const char *p, const char *end)
{
    for (; end - p > SIXTEEN; p += SIXTEEN) {
        sixteen v = sixteen_at(p), next = sixteen_at(p + 1);
        if (sixteen_any(sixteen_is(v, '&') | sixteen_is(v, '\xE2') |
                        (sixteen_is(v, '/') & sixteen_is(next, '>'))))
            break;
    }
    while (p < end && *p != '&' && *p != '\xE2' && !(*p == '/' && end - p > 1 && p[1] == '>'))
        p++;
    return p;
}

/* Source edits before the tokens are cut: "&nbsp;" is a space, "<br />" is "<br>", curly quotes are
 * straight ones. */
static struct span edit_source(struct html_parser *h, struct span s)
{
    const char *p = s.p, *end = s.p + s.n;
    char *out = arena_raw(h->a, s.n + 1), *o = out;
    while (p < end) {
        const char *from = p;
        p = next_edit(p, end);
        memcpy(o, from, (size_t)(p - from));
        o += p - from;
        if (p == end)
            break;
        char *name_end;
        if (*p == '&' && end - p >= 6 && memcmp(p, "&nbsp;", 6) == 0) {
            *o++ = ' ';
            p += 6;
        } else if (*p == '/' && end - p >= 2 && p[1] == '>' &&
                   (name_end = self_closing(out, o, h->chars)) != NULL) {
            o = name_end;
            *o++ = '>';
            p += 2;
        } else if ((unsigned char)*p == 0xE2 && is_curly_quote(p, end)) {
            *o++ = '"';
            p += 3;
        } else {
            *o++ = *p++;
        }
    }
    return span_of(out, (size_t)(o - out));
}

static void finish(struct html_parser *h, size_t source_bytes)
{
    struct html *out = h->out;
    html_links_finish(h);
    html_render_finish(h);
    if (source_bytes)
        out->ratio = ((double)source_bytes - out->html_length) / (double)source_bytes;
    if (h->tags > 0) {
        out->closed_extra_ratio = h->closed_extra / h->tags;
        if (h->obfuscation > 0)
            out->obfuscation_ratio = h->obfuscation / h->tags;
        if (h->elements > 0)
            out->bad_tag_ratio = (h->tags - h->elements) / h->tags;
    }
    if (h->elements_seen > 0)
        out->non_element_ratio = (h->tags_seen - h->elements_seen) / h->tags_seen;
    if (h->backhair)
        out->backhair_count = __builtin_popcountll(h->backhair);
    out->inside = h->inside_other;
    for (int id = T_OTHER + 1; id < T_COUNT; id++)
        if (h->inside[id])
            *map_at(&out->inside, span_str(html_tag((enum html_tag_id)id)->name)) =
                (void *)h->inside[id];
}

static struct html *parse(struct html_parser h, struct span source, size_t source_bytes)
{
    struct arena *a = h.a;
    struct html *out = h.out = ARENA_NEW(a, struct html);
    h.base = SPAN("");
    h.inside_other = map_in(a);
    h.links = map_in(a);
    h.styles.basefont = 3;
    *ARENA_PUSH(a, h.styles.v, h.styles.n, h.styles.cap) =
        (struct html_style){.size = 3, .fg = 0x000000, .bg = 0xffffff};
    out->length = (double)html_count((struct html_text){source, h.chars});
    out->min_size = out->max_size = 3;
    out->closed_extra_ratio = out->bad_tag_ratio = out->non_element_ratio = NAN;
    out->obfuscation_ratio = out->backhair_count = NAN;
    html_tokenize(&h, edit_source(&h, source));
    finish(&h, source_bytes);
    return out;
}

struct html *html_parse(struct arena *a, struct span source, bool chars, size_t source_bytes)
{
    return parse((struct html_parser){.a = a, .chars = chars}, source, source_bytes);
}

struct html *html_parse_octets(struct arena *a, struct span source)
{
    return parse((struct html_parser){.a = a, .octets = true}, source, source.n);
}

bool html_inside(const struct html *h, const char *tag, long *count)
{
    intptr_t n = (intptr_t)map_get(&h->inside, span_str(tag));
    if (count)
        *count = n ? (long)n - 1 : 0;
    return n != 0;
}
