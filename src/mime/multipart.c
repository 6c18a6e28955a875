/* A multipart taken apart, as SpamAssassin does it (semantics 3.4). */
#include "mime/mime_private.h"

enum delimiter { NO_DELIMITER, DELIMITER, LAST_DELIMITER };

/* What is known of the part that is being read. */
struct splitter {
    struct parser *ps;
    const struct job *job;
    struct text text;
    struct mime_part *part;
    struct mime_part **link; /* where the next sibling is hung */
    size_t field;            /* begin of the field being read, SIZE_MAX when none */
    size_t body;             /* begin of the body, SIZE_MAX while in the header */
    size_t nparts;
    bool long_line; /* the body has one */
    bool nested;    /* a part declared the boundary of this multipart */
};

static bool all_space(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isspace(s.p[i]))
            return false;
    return true;
}

static enum delimiter delimiter(struct splitter *sp, size_t at, struct span line)
{
    if (line.n < 2 || line.p[0] != '-' || line.p[1] != '-')
        return NO_DELIMITER;
    struct span rest = span_from(line, 2);
    if (!span_starts(rest, sp->job->boundary))
        return NO_DELIMITER;
    rest = span_from(rest, sp->job->boundary.n);
    if (all_space(rest))
        return DELIMITER;
    if (span_starts(rest, SPAN("--")) && all_space(span_from(rest, 2)))
        return LAST_DELIMITER;
    mime_note(sp->ps->m, MIME_A_BOUNDARY_PREFIX, text_at(sp->ps->m, &sp->text, at));
    return NO_DELIMITER;
}

static void count_delimiter(struct parser *ps, struct span boundary, bool opening)
{
    int **state = (int **)map_at(&ps->open, boundary);
    if (!*state)
        *state = ARENA_NEW(ps->m->arena, int);
    **state = opening ? 1 : **state - 1;
}

static void expect_field(struct splitter *sp, size_t at)
{
    if (at < sp->text.s.n && field_colon(span_from(sp->text.s, at), false) == SIZE_MAX)
        sp->ps->m->flags |= MIME_MISSING_MIME_HEADERS;
}

/* Position after the first delimiter, or 0: without one all lines are the first part. */
static size_t skip_preamble(struct splitter *sp)
{
    struct span s = sp->text.s;
    for (size_t at = 0, end; at < s.n; at = end) {
        end = line_end(s, at);
        if (delimiter(sp, at, span_sub(s, at, end)) == DELIMITER) {
            count_delimiter(sp->ps, sp->job->boundary, true);
            expect_field(sp, end);
            return end;
        }
    }
    mime_note(sp->ps->m, MIME_A_BOUNDARY_UNUSED, sp->job->part->at);
    return 0;
}

static void begin_part(struct splitter *sp, size_t at)
{
    struct mime *m = sp->ps->m;
    sp->part = ARENA_NEW(m->arena, struct mime_part);
    sp->part->parent = sp->job->part;
    sp->part->leaf = true;
    sp->part->at = text_at(m, &sp->text, at);
    sp->field = SIZE_MAX;
    sp->body = SIZE_MAX;
    sp->long_line = false;
}

/* The name as it is, the value without any white space before it. */
static void store_field(struct splitter *sp, size_t end)
{
    struct mime *m = sp->ps->m;
    struct mime_fields *f = &sp->part->fields;
    uint64_t orig = text_at(m, &sp->text, sp->field);
    struct span line = span_sub(sp->text.s, sp->field, end);
    sp->field = SIZE_MAX;
    if (f->n >= m->limits.headers) {
        mime_note(m, MIME_A_HEADER_LIMIT, orig);
        return;
    }
    size_t colon = span_find(line, ':'), value = colon + 1;
    if (line.p[colon - 1] == ' ' || line.p[colon - 1] == '\t')
        mime_note(m, MIME_A_HEADER_SPACE_BEFORE_COLON, orig);
    while (value < line.n && ascii_isspace(line.p[value]))
        value++;
    const struct mime_field field = {.name = span_sub(line, 0, colon),
                                     .raw = span_from(line, value),
                                     .at = orig,
                                     .size = text_at(m, &sp->text, end) - orig};
    fields_add(m->arena, f, &field);
}

/* A line that is neither field nor fold ends the header; an empty one is dropped. */
static void end_header(struct splitter *sp, size_t at, size_t end)
{
    struct mime *m = sp->ps->m;
    struct mime_fields *f = &sp->part->fields;
    if (sp->field != SIZE_MAX) {
        store_field(sp, at);
        if (f->n && span_ieq(f->v[f->n - 1].name, SPAN("Content-Type"))) {
            struct span declared = part_ctype(m, sp->part).boundary;
            if (declared.p && span_eq(declared, sp->job->boundary)) {
                sp->nested = true;
                mime_note(m, MIME_A_BOUNDARY_REUSED, sp->part->at);
            }
        }
    }
    struct span line = span_sub(sp->text.s, at, end);
    if (span_eq(line, SPAN("\n")) || span_eq(line, SPAN("\r\n")) || span_eq(line, SPAN("\r"))) {
        sp->body = end;
        return;
    }
    m->flags |= MIME_MISSING_MIME_HEAD_BODY_SEPARATOR;
    mime_note(m, MIME_A_PART_NO_SEPARATOR, text_at(m, &sp->text, at));
    sp->body = at;
}

static void header_line(struct splitter *sp, size_t at, size_t end)
{
    struct span line = span_sub(sp->text.s, at, end);
    bool fold = line.p[0] == ' ' || line.p[0] == '\t';
    if (fold && sp->field != SIZE_MAX)
        return;
    if (fold || field_colon(line, true) == SIZE_MAX) {
        end_header(sp, at, end);
        return;
    }
    if (sp->field != SIZE_MAX)
        store_field(sp, at);
    sp->field = at;
}

static struct mime_ctype child_ctype(struct splitter *sp)
{
    struct mime_ctype ct = part_ctype(sp->ps->m, sp->part);
    if (ct.missing && span_eq(sp->job->part->type, SPAN("multipart/digest")))
        ct.type = SPAN("message/rfc822");
    return ct;
}

/* The part ends before the delimiter at `at`, of which the line end before it is a part; or, when
 * there is none, at the end of the text (at == s.n). */
static void end_part(struct splitter *sp, size_t at, bool delimited)
{
    struct mime *m = sp->ps->m;
    struct mime_part *p = sp->part;
    if (sp->field != SIZE_MAX)
        mime_note(m, MIME_A_HEADER_LOST_FIELD, text_at(m, &sp->text, sp->field));
    struct text body = text_slice(m, &sp->text, sp->body == SIZE_MAX ? at : sp->body, at);
    p->body_at = body.last.orig;
    bool drop_lf = delimited && at > 0 && sp->text.s.p[at - 1] == '\n';
    uint64_t end = text_at(m, &sp->text, drop_lf ? at - 1 : at);
    p->size = end > p->at ? end - p->at : 0;
    if (sp->long_line)
        body = long_lines_cut(m, &body);
    if (delimited && body.s.n && body.s.p[body.s.n - 1] == '\n')
        body.s.n--;
    struct mime_ctype ct = child_ctype(sp);
    p->type = ct.type;
    p->boundary = ct.boundary;
    *sp->link = p;
    sp->link = &p->next;
    parser_push(sp->ps,
                (struct job){.part = p,
                             .ct = ct,
                             .boundary = is_false(ct.boundary) ? sp->job->boundary : ct.boundary,
                             .text = body,
                             .depth = sp->job->depth - 1});
    sp->nparts++;
}

static void look_at_epilogue(struct splitter *sp, size_t at)
{
    struct span s = sp->text.s;
    while (at < s.n && (ascii_isspace(s.p[at]) || s.p[at] == '.'))
        at++;
    if (at == s.n)
        return;
    sp->ps->m->flags |= MIME_EPILOGUE_EXISTS;
    mime_note(sp->ps->m, MIME_A_EPILOGUE, text_at(sp->ps->m, &sp->text, at));
}

/* One delimiter that counts. false when this multipart is at its end. */
static bool at_delimiter(struct splitter *sp, enum delimiter d, size_t at, size_t end)
{
    struct mime *m = sp->ps->m;
    end_part(sp, at, true);
    if (d == LAST_DELIMITER) {
        count_delimiter(sp->ps, sp->job->boundary, false);
        look_at_epilogue(sp, end);
        return false;
    }
    expect_field(sp, end);
    if (sp->nparts >= m->limits.parts) {
        m->flags |= MIME_PART_LIMIT;
        mime_note(m, MIME_A_PART_LIMIT, text_at(m, &sp->text, end));
        return false;
    }
    if (end < sp->text.s.n)
        begin_part(sp, end);
    return end < sp->text.s.n;
}

void multipart_split(struct parser *ps, const struct job *j)
{
    struct splitter sp = {.ps = ps, .job = j, .text = j->text, .link = &j->part->child};
    struct span s = sp.text.s;
    j->part->leaf = false;
    size_t at = skip_preamble(&sp), end;
    if (at == s.n)
        return;
    begin_part(&sp, at);
    if (at == 0 && j->blank_line)
        sp.body = 0;
    for (; at < s.n; at = end) {
        end = line_end(s, at);
        enum delimiter d = delimiter(&sp, at, span_sub(s, at, end));
        if (d != NO_DELIMITER && sp.nested) {
            if (d == LAST_DELIMITER)
                sp.nested = false;
            d = NO_DELIMITER;
        }
        if (d != NO_DELIMITER) {
            if (!at_delimiter(&sp, d, at, end))
                return;
            continue;
        }
        if (end == s.n) {
            if (sp.body == SIZE_MAX)
                sp.body = at;
            sp.long_line = sp.long_line || end - at > MIME_LINE_MAX;
            end_part(&sp, end, false);
            mime_note(ps->m, MIME_A_BOUNDARY_UNCLOSED, j->part->at);
            return;
        }
        if (sp.body == SIZE_MAX)
            header_line(&sp, at, end);
        if (sp.body != SIZE_MAX && end - at > MIME_LINE_MAX)
            sp.long_line = true;
    }
}
