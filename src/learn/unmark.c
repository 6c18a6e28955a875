#include "learn/unmark.h"

#include "base/buf.h"
#include "mime/mime.h"

/* The part that holds the message of a report. */
static bool is_original(const struct mime_part *p)
{
    struct mime_field *f = mime_last(&p->fields, SPAN("Content-Type"));
    struct span v = f ? span_trim(f->raw) : SPAN("");
    static const char *const types[] = {"message/rfc822", "text/plain"};
    for (size_t i = 0; i < 2; i++) {
        if (!span_starts(v, span_str(types[i])))
            continue;
        struct span rest = span_from(v, strlen(types[i]));
        if (rest.n && rest.p[0] == ';' &&
            span_starts(span_trim(span_from(rest, 1)), SPAN("x-spam-type=original")))
            return true;
    }
    return false;
}

static struct span original(const struct mime *m)
{
    if (!span_eq(m->root->type, SPAN("multipart/mixed")))
        return SPAN_NONE;
    for (const struct mime_part *p = m->root->child; p; p = p->next)
        if (is_original(p))
            return span_sub(m->raw, p->body_at, p->at + p->size);
    return SPAN_NONE;
}

static const struct mime_field *kept_copy(const struct mime_fields *f, struct span name)
{
    struct span prefix = SPAN("X-Spam-Prev-");
    for (size_t i = 0; i < f->n; i++)
        if (span_istarts(f->v[i].name, prefix) && span_ieq(span_from(f->v[i].name, prefix.n), name))
            return &f->v[i];
    return NULL;
}

static struct span bytes_of(const struct mime *m, const struct mime_field *f)
{
    return span_sub(m->raw, f->at, f->at + f->size);
}

/* "Subject: [SPAM] Hello" without "[SPAM] ", as often as it stands there. */
static void add_subject(struct buf *b, struct span field, struct span prefix)
{
    size_t colon = span_find(field, ':');
    struct span value = span_from(field, colon + 1);
    while (value.n && value.p[0] == ' ')
        value = span_from(value, 1);
    while (prefix.n && span_starts(value, prefix)) {
        value = span_from(value, prefix.n);
        while (value.n && value.p[0] == ' ')
            value = span_from(value, 1);
    }
    buf_add(b, span_sub(field, 0, colon + 1));
    buf_char(b, ' ');
    buf_add(b, value);
}

static void add_field(struct buf *b, const struct mime *m, const struct mime_field *f,
                      struct span prefix)
{
    const struct mime_field *kept = kept_copy(&m->root->fields, f->name);
    if (span_istarts(f->name, SPAN("X-Spam-")))
        return;
    if (kept)
        buf_add(b, span_from(bytes_of(m, kept), sizeof "X-Spam-Prev-" - 1));
    else if (prefix.n && span_ieq(f->name, SPAN("Subject")))
        add_subject(b, bytes_of(m, f), prefix);
    else
        buf_add(b, bytes_of(m, f));
}

struct span unmark(struct arena *a, struct span raw, struct span prefix)
{
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    const struct mime *m = mime_parse(a, raw, &limits);
    const struct mime_fields *f = &m->root->fields;
    struct buf b = {0};
    if (mime_find(f, SPAN("X-Spam-Checker-Version"), 0) == f->n)
        return raw;
    struct span inner = original(m);
    if (inner.p)
        return inner;
    size_t at = 0;
    for (size_t i = 0; i < f->n; i++) {
        buf_add(&b, span_sub(raw, at, f->v[i].at));
        add_field(&b, m, &f->v[i], prefix);
        at = f->v[i].at + f->v[i].size;
    }
    buf_add(&b, span_from(raw, at));
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}
