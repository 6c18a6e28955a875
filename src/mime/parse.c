/* The tree of a message: a queue of parts that are taken apart one after the other (semantics 3.4).
 */
#include "mime/mime_private.h"

static struct mime_part *part_new(struct mime *m, struct mime_part *parent)
{
    struct mime_part *p = ARENA_NEW(m->arena, struct mime_part);
    p->parent = parent;
    p->leaf = true;
    return p;
}

void parser_push(struct parser *ps, struct job j)
{
    *ARENA_PUSH(ps->m->arena, ps->jobs, ps->n, ps->cap) = j;
}

bool ends_lines_with_crlf(struct span s)
{
    size_t lf = span_find(s, '\n');
    if (lf == SIZE_MAX)
        return false;
    return (lf > 0 && s.p[lf - 1] == '\r') || span_ends(s, SPAN("\r\n"));
}

/* Before a multipart whose body begins with neither an empty line nor its boundary, an empty line
 * is to be read, lest headers at its beginning count. */
static bool wants_blank_line(struct span body, const struct mime_ctype *ct)
{
    if (!span_starts(ct->type, SPAN("multipart/")) || body.n == 0)
        return false;
    struct span line = span_sub(body, 0, line_end(body, 0));
    if (line.n == body.n || span_trim(line).n == 0)
        return false;
    return !ct->boundary.p || !span_starts(line, SPAN("--")) ||
           !span_starts(span_from(line, 2), ct->boundary);
}

/* Reads the header of a message and queues its body. */
static struct header_end start_message(struct parser *ps, const struct header *h, size_t depth)
{
    struct mime *m = ps->m;
    struct mime_part *p = h->part;
    struct text *t = h->text;
    p->at = text_at(m, t, 0);
    struct header_end head = header_read(h);
    struct text body = text_slice(m, t, head.body, t->s.n);
    p->body_at = body.last.orig;
    p->size = text_at(m, t, t->s.n) - p->at;
    body = blank_runs_cut(m, &body);
    struct job j = {.part = p, .ct = part_ctype(m, p), .text = body, .depth = depth};
    p->type = j.ct.type;
    p->boundary = j.boundary = j.ct.boundary;
    j.blank_line = wants_blank_line(body.s, &j.ct);
    parser_push(ps, j);
    return head;
}

static void open_embedded(struct parser *ps, const struct job *j, struct span decoded)
{
    struct mime *m = ps->m;
    struct mime_part *p = part_new(m, j->part);
    p->embedded = true;
    j->part->child = p;
    j->part->leaf = false;
    struct text t = j->text;
    if (decoded.p != t.s.p || decoded.n != t.s.n) {
        mime_note(m, MIME_A_ENCODING_OF_MESSAGE, j->part->at);
        t = text_decoded(m, decoded, j->part->body_at);
    }
    t = text_slice(m, &t, separator_line(t.s), t.s.n);
    bool crlf = ends_lines_with_crlf(t.s);
    if (crlf)
        t = text_without_cr(m, &t);
    start_message(ps, &(struct header){m, p, &t, crlf, NULL}, j->depth - 1);
}

/* `name=`, blanks, an optional quote, then what is neither quote nor ';' (semantics 3.4). */
static struct span disposition_name(struct span v)
{
    for (size_t at = 0, hit; (hit = span_isearch(span_from(v, at), SPAN("name="))) != SIZE_MAX;) {
        at += hit + 5;
        size_t from = at;
        while (from < v.n && ascii_isspace(v.p[from]))
            from++;
        size_t quoted = from + (from < v.n && v.p[from] == '"'), to = quoted;
        while (to < v.n && v.p[to] != '"' && v.p[to] != ';')
            to++;
        if (to > quoted)
            return span_sub(v, quoted, to);
        if (from > at) /* nothing but blanks: the last of them is the name */
            return span_sub(v, from - 1, from);
    }
    return SPAN_NONE;
}

static struct span part_name(struct mime *m, struct mime_part *p, const struct mime_ctype *ct)
{
    struct mime_field *f = mime_last(&p->fields, SPAN("Content-Disposition"));
    struct span name = f ? disposition_name(mime_decoded(m, f)) : SPAN_NONE;
    bool typed = !is_false(ct->name);
    if (name.p && typed && !span_eq(name, ct->name))
        mime_note(m, MIME_A_NAME_CONFLICT, f->at);
    if (name.p)
        return name;
    return typed ? ct->name : SPAN_NONE;
}

/* The text with the empty line before it that wants_blank_line() asked for. */
static struct span with_blank_line(struct mime *m, struct span s)
{
    char *p = arena_raw(m->arena, s.n + 1);
    p[0] = '\n';
    memcpy(p + 1, s.p, s.n);
    return span_of(p, s.n + 1);
}

static void read_leaf(struct parser *ps, const struct job *j)
{
    struct mime *m = ps->m;
    struct mime_part *p = j->part;
    if (!j->ct.missing)
        p->type = span_starts(j->ct.type, SPAN("multipart/")) && !j->boundary.p ? SPAN("text/plain")
                                                                                : j->ct.type;
    p->charset = j->ct.charset;
    p->name = part_name(m, p, &j->ct);
    p->body = j->blank_line ? with_blank_line(m, j->text.s) : j->text.s;
    if (!span_starts(p->type, SPAN("message/")) || span_eq(p->type, SPAN("message/partial")))
        return;
    if (!span_eq(p->type, SPAN("message/rfc822")) && !span_eq(p->type, SPAN("message/global")))
        return;
    if (j->depth == 0) {
        mime_note(m, MIME_A_PART_DEPTH, p->at);
        return;
    }
    struct span decoded = mime_body(m, p);
    if (decoded.n)
        open_embedded(ps, j, decoded);
}

static void run_queue(struct parser *ps)
{
    while (ps->next < ps->n) {
        struct job j = ps->jobs[ps->next++];
        bool multipart = span_starts(j.part->type, SPAN("multipart/"));
        mime_note_fields(ps->m, j.part, j.boundary);
        if (multipart && j.boundary.p && j.depth > 0) {
            j.part->body = j.text.s;
            multipart_split(ps, &j);
        } else {
            if (multipart && j.boundary.p)
                mime_note(ps->m, MIME_A_PART_DEPTH, j.part->at);
            read_leaf(ps, &j);
        }
    }
    for (size_t i = 0; i < ps->open.n; i++)
        if (*(int *)ps->open.entries[i].value != 0)
            ps->m->flags |= MIME_UNBALANCED_BOUNDARY;
}

/* The bytes, each bare LF made CRLF; themselves when there is none. */
static struct span with_crlf(struct mime *m, struct span s)
{
    size_t bare = 0;
    for (size_t i = 0; i < s.n; i++)
        bare += s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r');
    if (!bare)
        return s;
    char *out = arena_raw(m->arena, s.n + bare);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
            out[n++] = '\r';
        out[n++] = s.p[i];
    }
    return span_of(out, n);
}

/* SpamAssassin repairs the line ends of what it has read as header lines, among them the one that
 * turned out to be the first of the body. */
static void set_pristine(struct mime *m, const struct text *t, size_t from, bool separator)
{
    m->header_bytes = span_sub(m->raw, from, m->root->body_at);
    m->body_bytes = span_from(m->raw, m->root->body_at);
    if (!m->crlf || t->origin->regular)
        return;
    struct span header = with_crlf(m, m->header_bytes);
    if (header.n != m->header_bytes.n)
        mime_note(m, MIME_A_HEADER_BARE_LF, m->root->at);
    m->header_bytes = header;
    size_t line = separator || !m->body_bytes.n ? 0 : line_end(m->body_bytes, 0);
    struct span first = with_crlf(m, span_sub(m->body_bytes, 0, line));
    if (first.n == line)
        return;
    struct span rest = span_from(m->body_bytes, line);
    char *copy = arena_raw(m->arena, first.n + rest.n + 1);
    memcpy(copy, first.p, first.n);
    memcpy(copy + first.n, rest.p, rest.n);
    m->body_bytes = span_of(copy, first.n + rest.n);
}

static void note_bytes(struct mime *m, const struct text *t)
{
    struct span head = span_sub(m->raw, m->root->at, m->root->body_at);
    struct span body = span_from(m->raw, m->root->body_at);
    const char *nul = memchr(head.p, '\0', head.n);
    if (nul)
        mime_note(m, MIME_A_HEADER_NUL, (uint64_t)(nul - m->raw.p));
    nul = body.n ? memchr(body.p, '\0', body.n) : NULL;
    if (nul)
        mime_note(m, MIME_A_BODY_NUL, (uint64_t)(nul - m->raw.p));
    /* a CR that is still there stands alone, or in a message that has LFs only */
    size_t cr = span_find(t->s, '\r');
    if (cr != SIZE_MAX) {
        struct text copy = *t;
        uint64_t at = text_at(m, &copy, cr);
        mime_note(m, at < m->root->body_at ? MIME_A_HEADER_BARE_CR : MIME_A_BODY_BARE_CR, at);
    }
    if (m->crlf && !t->origin->regular)
        mime_note(m, MIME_A_LINE_BARE_LF, m->root->body_at);
}

struct mime *mime_parse(struct arena *a, struct span raw, const struct mime_limits *limits)
{
    struct mime *m = &ARENA_NEW(a, struct mime_state)->m;
    m->arena = a;
    m->limits = limits ? *limits : MIME_LIMITS_DEFAULT;
    m->raw = raw.p ? raw : SPAN("");
    m->root = part_new(m, NULL);
    struct parser ps = {.m = m, .open = map_in(a)};
    size_t separator = separator_line(m->raw);
    m->crlf = ends_lines_with_crlf(span_from(m->raw, separator));
    struct text t = text_of_raw(m, separator, m->crlf);
    struct header_end head =
        start_message(&ps, &(struct header){m, m->root, &t, m->crlf, NULL}, m->limits.depth);
    set_pristine(m, &t, separator, head.separator);
    if (m->raw.n == 0) { /* nothing at all counts as one empty line */
        m->root->flags = 0;
        m->header_bytes = SPAN("\n");
    }
    note_bytes(m, &t);
    m->flags = m->root->flags;
    run_queue(&ps);
    return m;
}

struct mime_part *mime_next(const struct mime_part *p)
{
    if (p->child)
        return p->child;
    while (p && !p->next)
        p = p->parent;
    return p ? p->next : NULL;
}
