#include "text/text_private.h"

struct span text_effective_type(const struct mime_part *p)
{
    static const struct span endings[] = {{".htm", 4}, {".html", 5}, {".shtm", 5}, {".shtml", 6}};
    struct span name = p->name;
    if (name.n && name.p[name.n - 1] == '\n')
        name.n--;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (span_iends(name, endings[i]))
            return SPAN("text/html");
    return p->type;
}

/* A part's address as a key. */
static struct span part_key(struct arena *a, const struct mime_part *p)
{
    uintptr_t address = (uintptr_t)p;
    return arena_dup(a, span_of((const char *)&address, sizeof address));
}

static void render(struct text *t, struct mime *m, struct mime_part *p, bool is_html,
                   struct laps *laps)
{
    struct span body = mime_body(m, p);
    struct span charset = p->charset.p ? p->charset : SPAN("us-ascii");
    struct text_part *part = ARENA_PUSH(t->arena, t->parts, t->nparts, t->parts_cap);
    bool chars = false;
    part->part = p;
    *map_at(&t->by_part, part_key(t->arena, p)) = (void *)(uintptr_t)t->nparts;
    if (body.n == 0) {
        part->text = (struct html_text){SPAN(""), false};
        return;
    }
    struct span s = body;
    if (t->keep_charset)
        chars = mime_is_plainly_utf8(body, charset);
    else
        s = mime_normalise(t->arena, body, charset, false, &chars);
    part->text = (struct html_text){s, chars};
    lap(laps, STAGE_DECODE);
    if (!is_html)
        return;
    part->html = t->keep_charset && !chars ? html_parse_octets(t->arena, s)
                                           : html_parse(t->arena, s, chars, body.n);
    lap(laps, STAGE_HTML);
    part->text = part->html->text;
    *ARENA_PUSH(t->arena, t->html, t->nhtml, t->html_cap) = (struct text_html){p, part->html};
}

static void render_parts(struct text *t, struct mime *m, struct laps *laps)
{
    for (struct mime_part *p = m->root; p; p = mime_next(p)) {
        if (!p->leaf || p->type.n == 0)
            continue;
        struct span type = text_effective_type(p);
        bool is_html = span_eq(type, SPAN("text/html"));
        if (is_html || span_eq(type, SPAN("text/plain")))
            render(t, m, p, is_html, laps);
    }
}

static struct span subject_of(struct mime *m, struct arena *a)
{
    struct mime_field *f = mime_last(&m->root->fields, SPAN("Subject"));
    if (!f)
        return SPAN("\n");
    struct span s = mime_decoded(m, f); /* may hold NUL */
    char *line = arena_raw(a, s.n + 1);
    memcpy(line, s.p, s.n);
    line[s.n] = '\n';
    return span_of(line, s.n + 1);
}

struct text *text_make(struct mime *m, const struct uri_tables *tables, const struct text_limits *l)
{
    struct text *t = ARENA_NEW(m->arena, struct text);
    t->arena = m->arena;
    t->mime = m;
    t->body_part = l->body_part;
    t->keep_charset = l->keep_charset;
    t->by_part = map_in(t->arena);
    t->subject = subject_of(m, t->arena);
    render_parts(t, m, l->laps);
    lap(l->laps, STAGE_DECODE);
    t->body = text_lines(t, TEXT_ALL);
    text_rawbody(t, m, l->rawbody_part);
    lap(l->laps, STAGE_LINES);
    text_find_uris(t, m, tables, l->parse_dkim_uris);
    lap(l->laps, STAGE_URIS);
    return t;
}

struct lines text_visible(struct text *t)
{
    return text_lines(t, TEXT_VISIBLE);
}

struct lines text_invisible(struct text *t)
{
    return text_lines(t, TEXT_INVISIBLE);
}

const struct text_part *text_part_of(const struct text *t, const struct mime_part *p)
{
    uintptr_t address = (uintptr_t)p;
    void *at = map_get(&t->by_part, span_of((const char *)&address, sizeof address));
    return at ? &t->parts[(uintptr_t)at - 1] : NULL;
}

struct span text_of_part(struct text *t, struct mime *m, const struct mime_part *p)
{
    (void)m;
    const struct text_part *part = text_part_of(t, p);
    return part ? part->text.s : SPAN_NONE;
}
