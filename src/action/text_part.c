/* A text in a part of its own, for a message that has none to append to: at the end of its
 * multipart/mixed, or in one that is put around it. */
#include "action/part_plan.h"

#include "mime/compose.h"

static const struct mime_part *last_child(const struct mime_part *x)
{
    const struct mime_part *c = x->child;
    while (c && c->next)
        c = c->next;
    return c;
}

/* Where the delimiter behind the last part begins; SIZE_MAX when there is none: a message that was
 * cut off, which stays as it is. */
static size_t end_of_parts(const struct part_plan *p, const struct mime_part *root)
{
    struct span raw = p->parts->mime->raw;
    const struct mime_part *c = last_child(root);
    if (!c || !c->size)
        return SIZE_MAX;
    size_t at = c->at + c->size;
    at += at < raw.n && raw.p[at] == '\r';
    at += at < raw.n && raw.p[at] == '\n';
    struct span rest = span_from(raw, at);
    bool fits = span_starts(rest, SPAN("--")) && span_starts(span_from(rest, 2), root->boundary);
    return fits ? at : SIZE_MAX;
}

static bool join_mixed(const struct part_plan *p, struct span text, struct splices *out)
{
    const struct mime_part *root = p->parts->mime->root;
    size_t at = root->boundary.n ? end_of_parts(p, root) : SIZE_MAX;
    struct buf b = {0};
    if (at == SIZE_MAX)
        return false;
    buf_printf(&b, "--%.*s\r\n", SPAN_ARG(root->boundary));
    part_text(&b, text);
    splices_add(out, p->arena, at, 0, part_lines(p, buf_span(&b)));
    buf_free(&b);
    return true;
}

/* One that stands nowhere in the message. */
static struct span new_boundary(const struct part_plan *p)
{
    char random[COMPOSE_BOUNDARY_SIZE];
    struct span s = arena_printf(p->arena, "=_%s", p->on->m->id);
    if (span_search(p->parts->mime->raw, s) != SIZE_MAX)
        s = arena_printf(p->arena, "%s", compose_boundary(random));
    return s;
}

static void wrap(const struct part_plan *p, struct span text, struct header_plan *header,
                 struct splices *out)
{
    const struct mime *m = p->parts->mime;
    const struct mime_part *root = m->root;
    struct span boundary = new_boundary(p);
    struct buf b = {0};
    buf_printf(&b, "--%.*s\r\n", SPAN_ARG(boundary));
    struct span open = part_lines(p, buf_span(&b));
    buf_clear(&b);
    buf_add(&b, open);
    for (size_t i = 0; i < root->fields.n; i++)
        if (part_tells_body(&root->fields.v[i]))
            buf_add(&b, span_sub(m->raw, root->fields.v[i].at,
                                 root->fields.v[i].at + root->fields.v[i].size));
    buf_str(&b, m->crlf ? "\r\n" : "\n");
    splices_add(out, p->arena, root->body_at, 0, arena_dup(p->arena, buf_span(&b)));
    buf_clear(&b);
    buf_printf(&b, "\r\n--%.*s\r\n", SPAN_ARG(boundary));
    part_text(&b, text);
    buf_printf(&b, "--%.*s--\r\n", SPAN_ARG(boundary));
    splices_add(out, p->arena, m->raw.n, 0, part_lines(p, buf_span(&b)));
    buf_free(&b);
    part_drop_fields(p, &p->parts->v[0], header, out);
    header_plan_add(
        header, SPAN("Content-Type"),
        arena_printf(p->arena, "multipart/mixed; boundary=\"%.*s\"", SPAN_ARG(boundary)));
    if (mime_find(&root->fields, SPAN("MIME-Version"), 0) == root->fields.n)
        header_plan_add(header, SPAN("MIME-Version"), SPAN("1.0"));
}

void part_add_text(const struct part_plan *p, struct span text, struct header_plan *header,
                   struct splices *out)
{
    const struct mime_part *root = p->parts->mime->root;
    if (root->flags & MIME_MISSING_HEAD_BODY_SEPARATOR || p->v[0].kind != PART_STAYS)
        return; /* what another reader would make of it is not known; or it is a text of ours */
    if (span_eq(p->parts->v[0].types[0], SPAN("multipart/mixed")))
        join_mixed(p, text, out);
    else
        wrap(p, text, header, out);
}
