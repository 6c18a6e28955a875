/* URIs in attributes and the texts of anchors (semantics 5.2). */
#include "html/html_private.h"

enum { URI_MAX = 8192 /* characters; SpamAssassin's MAX_URI_LENGTH */ };

/* Without white space and no-break spaces at both ends, at most URI_MAX characters. */
static struct html_text canonical(struct html_parser *h, struct html_text t)
{
    const char *p = t.s.p, *end = t.s.p + t.s.n;
    while (p < end) {
        const char *next = p;
        unsigned c = html_next(&next, end, t.chars);
        if (c != 0xA0 && !html_is_space(c, t.chars))
            break;
        p = next;
    }
    while (end > p) {
        const char *before = end;
        unsigned c = html_previous(&before, p, t.chars);
        if (c != 0xA0 && !html_is_space(c, t.chars))
            break;
        end = before;
    }
    t.s = span_of(p, (size_t)(end - p));
    if (t.s.n > URI_MAX && html_count(t) > URI_MAX) {
        h->out->links.truncated = true;
        const char *cut = t.s.p;
        if (t.chars)
            for (size_t i = 0; i < URI_MAX; i++)
                html_next(&cut, end, true);
        else
            cut += URI_MAX;
        t.s.n = (size_t)(cut - t.s.p);
    }
    return t;
}

/* The entry of a URI; made when it is new. */
static size_t link_at(struct html_parser *h, struct html_text key)
{
    struct html_links *l = &h->out->links;
    void **slot = map_at(&h->links, html_key(h->a, key));
    if (!*slot) {
        ARENA_PUSH(h->a, l->v, l->n, l->cap)->key = key;
        (void)ARENA_PUSH(h->a, h->extras, h->nextras, h->extras_cap);
        *slot = (void *)(uintptr_t)l->n;
    }
    return (size_t)(uintptr_t)*slot - 1;
}

static void add_type(struct html_parser *h, struct html_text key, enum html_tag_id id)
{
    size_t at = link_at(h, key);
    struct html_link *l = &h->out->links.v[at];
    const char *type = html_tag(id)->name;
    for (size_t i = 0; i < l->ntypes; i++)
        if (l->types[i] == type)
            return;
    *ARENA_PUSH(h->a, l->types, l->ntypes, l->types_cap) = type;
}

static bool kept_as_it_is(struct span uri)
{
    static const struct span schemes[] = {
        {"data:", 5}, {"mailto:", 7}, {"file:", 5}, {"cid:", 4}, {"tel:", 4}};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (span_istarts(uri, schemes[i]))
            return true;
    return false;
}

static void add_uri(struct html_parser *h, enum html_tag_id id, struct html_text value)
{
    struct html_text uri = canonical(h, value);
    if (uri.s.n == 0)
        return;
    if (kept_as_it_is(uri.s)) {
        add_type(h, uri, id);
        return;
    }
    struct span base = h->base;
    bool wide = uri.chars || (base.n && h->base_chars);
    if (wide) {
        uri.s = html_key(h->a, uri);
        base = html_key(h->a, (struct html_text){base, h->base_chars});
    }
    struct html_text target = {html_resolve(h->a, base, uri.s), wide};
    if (target.s.n)
        add_type(h, target, id);
}

/* Whether a name has a word character, a slash and suffix in it. */
static bool is_sloppy(const struct html_parser *h, struct span name, struct span suffix)
{
    for (size_t k = 1; k + 1 + suffix.n <= name.n; k++) {
        if (name.p[k] != '/' || !span_ieq(span_sub(name, k + 1, k + 1 + suffix.n), suffix))
            continue;
        const char *before = name.p + k;
        if (html_is_word(html_previous(&before, name.p, h->chars), h->chars))
            return true;
    }
    return false;
}

/* An attribute of such a name stands for the attribute `suffix`: what is left of sloppy mark-up
 * like <a class/href="...">. The first of one name counts, the last of all names. */
static bool sloppy_attr(struct html_parser *h, struct html_attrs attrs, const char *suffix,
                        struct html_text *value)
{
    struct map seen = map_in(h->a);
    for (size_t i = 0; i < attrs.n; i++) {
        const struct html_attr *at = &attrs.v[i];
        if (at->name.n <= strlen(suffix) || !is_sloppy(h, at->name, span_str(suffix)))
            continue;
        void **slot = map_at(&seen, arena_lower(h->a, at->name));
        if (*slot)
            continue;
        *slot = h;
        *value = at->has_value ? html_decode_in(h, at->value, false)
                               : (struct html_text){at->name, h->chars};
    }
    return seen.n > 0;
}

/* Removes byte order marks. */
static struct html_text without_bom(struct html_parser *h, struct html_text t)
{
    static const struct span bom = {"\xEF\xBB\xBF", 3};
    if (span_search(t.s, bom) == SIZE_MAX)
        return t;
    char *out = arena_raw(h->a, t.s.n);
    size_t n = 0;
    for (size_t i = 0; i < t.s.n;) {
        if (span_starts(span_from(t.s, i), bom))
            i += bom.n;
        else
            out[n++] = t.s.p[i++];
    }
    t.s = span_of(out, n);
    return t;
}

/* What href means for a, area, link. */
static bool href_of(struct html_parser *h, struct html_attrs attrs, struct html_text *value)
{
    if (!sloppy_attr(h, attrs, "href", value) && !html_attr(h, attrs, "href", value))
        return false;
    *value = without_bom(h, *value);
    return true;
}

/* "http:/{0,2}HOST/.../name.ext" -> without "name.ext"; the extension has 2 to 4 characters. */
static struct span without_file(struct span uri)
{
    size_t i = span_find(uri, ':') + 1;
    for (int slashes = 0; slashes < 2 && i < uri.n && uri.p[i] == '/'; slashes++)
        i++;
    size_t host = i;
    while (i < uri.n && uri.p[i] != '/')
        i++;
    if (i == host || i == uri.n)
        return uri;
    i++;
    size_t dot = span_rfind(uri, '.');
    if (dot == SIZE_MAX || dot < i || span_find(span_from(uri, dot), '/') != SIZE_MAX)
        return uri;
    size_t extension = uri.n - dot - 1, name = dot;
    while (name > i && uri.p[name - 1] != '/' && uri.p[name - 1] != '.')
        name--;
    bool line_end = span_find(span_sub(uri, i, name), '\n') != SIZE_MAX;
    if (name == dot || extension < 2 || extension > 4 || line_end)
        return uri;
    return span_sub(uri, 0, name);
}

static void set_base(struct html_parser *h, struct html_attrs attrs)
{
    struct html_text uri;
    if (!html_attr(h, attrs, "href", &uri) || uri.s.n == 0 || span_eq(uri.s, SPAN("0")))
        return;
    uri = canonical(h, uri);
    add_uri(h, T_BASE, uri);
    bool standard = span_istarts(uri.s, SPAN("http:")) || span_istarts(uri.s, SPAN("https:")) ||
                    span_istarts(uri.s, SPAN("ftp:"));
    if (!standard)
        return;
    struct span s = without_file(uri.s);
    char *base = arena_raw(h->a, s.n + 1);
    memcpy(base, s.p, s.n);
    if (base[s.n - 1] != '/')
        base[s.n++] = '/';
    h->base = span_of(base, s.n);
    h->base_chars = uri.chars;
}

/* The end of the last (or first) "\burl\s*=" in s, or SIZE_MAX. */
static size_t url_equals(struct html_text t, bool last)
{
    size_t found = SIZE_MAX;
    const char *end = t.s.p + t.s.n;
    for (size_t i = 0; i + 3 < t.s.n; i++) {
        if (!span_ieq(span_sub(t.s, i, i + 3), SPAN("url")))
            continue;
        const char *before = t.s.p + i;
        if (i && html_is_word(html_previous(&before, t.s.p, t.chars), t.chars))
            continue;
        const char *p = t.s.p + i + 3;
        while (p < end) {
            const char *next = p;
            if (!html_is_space(html_next(&next, end, t.chars), t.chars))
                break;
            p = next;
        }
        if (p < end && *p == '=') {
            found = (size_t)(p + 1 - t.s.p);
            if (!last)
                break;
        }
    }
    return found;
}

/* <meta http-equiv=refresh content="0; url=..."> */
static void add_refresh(struct html_parser *h, struct html_attrs attrs)
{
    struct html_text equiv, content;
    if (!html_attr(h, attrs, "http-equiv", &equiv) || !html_attr(h, attrs, "content", &content) ||
        !html_contains(equiv.s, "refresh") || url_equals(content, false) == SIZE_MAX)
        return;
    /* Only the first line is searched for the last "url=", as "." stops at a line end. */
    struct html_text line = content;
    line.s = span_sub(content.s, 0, span_find(content.s, '\n'));
    size_t at = url_equals(line, true);
    if (at != SIZE_MAX)
        content.s = span_from(content.s, at);
    struct span s = span_trim(content.s);
    size_t semi = span_find(s, ';');
    if (semi != SIZE_MAX) {
        struct span tail = span_from(s, semi);
        size_t lf = span_find(tail, '\n');
        struct span head = span_sub(s, 0, semi);
        while (head.n && ascii_isspace(head.p[head.n - 1]))
            head.n--;
        s = head;
        if (lf != SIZE_MAX) {
            struct html_grow g = {0};
            html_grow_add(h->a, &g, (struct html_text){head, content.chars});
            html_grow_add(h->a, &g, (struct html_text){span_from(tail, lf), content.chars});
            s = span_of(g.p, g.n);
        }
    }
    add_uri(h, T_META, (struct html_text){s, content.chars});
}

void html_links_of(struct html_parser *h, enum html_tag_id id, struct html_attrs attrs)
{
    struct html_text v;
    if (attrs.n == 0)
        return;
    switch (id) {
    case T_BODY:
    case T_TABLE:
    case T_TR:
    case T_TD:
        if (html_attr(h, attrs, "background", &v))
            add_uri(h, id, v);
        break;
    case T_A:
    case T_AREA:
    case T_LINK:
        if (href_of(h, attrs, &v))
            add_uri(h, id, v);
        if (html_attr(h, attrs, "data-saferedirecturl", &v))
            add_uri(h, id, v);
        break;
    case T_FORM:
        if (html_attr(h, attrs, "action", &v))
            add_uri(h, id, v);
        break;
    case T_BASE:
        set_base(h, attrs);
        break;
    case T_META:
        add_refresh(h, attrs);
        break;
    default: /* img frame iframe embed script bgsound */
        if (sloppy_attr(h, attrs, "src", &v) || html_attr(h, attrs, "src", &v))
            add_uri(h, id, v);
    }
}

/* --- anchors --- */

void html_anchor_open(struct html_parser *h, struct html_attrs attrs)
{
    struct html_text href = {span_of("", 0), false};
    if (href_of(h, attrs, &href))
        href = canonical(h, href);
    size_t link = link_at(h, href);
    struct html_link_extra *x = &h->extras[link];
    *ARENA_PUSH(h->a, x->anchors, x->n, x->cap) = (uint32_t)h->nanchors;
    (void)ARENA_PUSH(h->a, h->anchors, h->nanchors, h->anchors_cap);
}

void html_anchor_add(struct html_parser *h, struct html_text t)
{
    if (h->nanchors)
        html_grow_add(h->a, &h->anchors[h->nanchors - 1], t);
}

static struct html_text grown(const struct html_grow *g)
{
    return (struct html_text){span_of(g->p ? g->p : "", g->n), g->chars};
}

/* Each text once for a link. */
static void finish_link(struct html_parser *h, struct html_link *l, const struct html_link_extra *x)
{
    struct map seen = map_in(h->a);
    for (size_t i = 0; i < x->n; i++) {
        struct html_text t = h->out->anchor.v[x->anchors[i]];
        if (x->n > 1) {
            void **slot = map_at(&seen, html_key(h->a, t));
            if (*slot)
                continue;
            *slot = h;
        }
        *ARENA_PUSH(h->a, l->anchors.v, l->anchors.n, l->anchors.cap) = t;
    }
}

static void finish_texts(struct html_parser *h, struct html_texts *out, const struct html_grow *g,
                         size_t n)
{
    for (size_t i = 0; i < n; i++)
        *ARENA_PUSH(h->a, out->v, out->n, out->cap) = grown(&g[i]);
}

void html_links_finish(struct html_parser *h)
{
    finish_texts(h, &h->out->anchor, h->anchors, h->nanchors);
    finish_texts(h, &h->out->title, h->titles, h->ntitles);
    for (size_t i = 0; i < h->out->links.n; i++)
        finish_link(h, &h->out->links.v[i], &h->extras[i]);
}
