#include "mime/header_edit.h"

#include "mime/compose.h"
#include "mime/mime_private.h"

bool header_crlf(struct span raw)
{
    return span_find(raw, '\n') == SIZE_MAX ||
           ends_lines_with_crlf(span_from(raw, separator_line(raw)));
}

/* Where the first empty line ends; `any`: also one that is empty but for a CR. */
static size_t empty_line(struct span s, bool any)
{
    size_t at = 0, end;
    for (; at < s.n; at = end) {
        end = line_end(s, at);
        struct span line = span_sub(s, at, end);
        if (span_eq(line, SPAN("\n")) || (any && span_eq(line, SPAN("\r\n"))))
            return end;
    }
    return s.n;
}

struct mime *mime_header(struct arena *a, struct span raw, bool (*wanted)(struct span name))
{
    struct mime *m = &ARENA_NEW(a, struct mime_state)->m;
    struct mime_part *p = ARENA_NEW(a, struct mime_part);
    m->arena = a;
    m->limits.headers = SIZE_MAX;
    m->root = p;
    m->crlf = header_crlf(raw);
    size_t separator = separator_line(raw);
    struct span rest = span_from(raw, separator);
    m->raw = span_sub(raw, 0, separator + empty_line(rest, m->crlf));
    struct text all = text_of_raw(m, separator, m->crlf);
    size_t lenient = empty_line(all.s, true);
    p->at = separator;
    for (size_t at = 0; at == 0 || at < lenient;) {
        struct text t = text_slice(m, &all, at, all.s.n);
        struct header_end head = header_read(&(struct header){m, p, &t, m->crlf, wanted});
        if (head.separator || t.s.n == 0)
            break;
        at += head.body ? head.body : line_end(t.s, 0);
    }
    return m;
}

static struct span eol(const struct mime *m)
{
    return m->crlf ? SPAN("\r\n") : SPAN("\n");
}

/* The lines of text, each with the message's line end. */
static struct span with_line_ends(const struct mime *m, struct span text)
{
    struct buf b = {0};
    struct span line;
    while (span_line(&text, &line)) {
        buf_add(&b, line);
        buf_add(&b, eol(m));
    }
    struct span s = arena_dup(m->arena, buf_span(&b));
    buf_free(&b);
    return s;
}

void header_insert(struct splices *s, const struct mime *m, struct span fields)
{
    splices_add(s, m->arena, m->root->at, 0, with_line_ends(m, fields));
}

void header_delete(struct splices *s, const struct mime *m, const struct mime_field *f)
{
    splices_add(s, m->arena, f->at, f->size, SPAN_NONE);
}

size_t header_delete_all(struct splices *s, const struct mime *m, struct span name)
{
    const struct mime_fields *f = &m->root->fields;
    size_t count = 0;
    for (size_t i = 0; (i = mime_find(f, name, i)) < f->n; i++, count++)
        header_delete(s, m, &f->v[i]);
    return count;
}

/* Where the value begins in the original: behind the colon and the blanks of the first line. */
static size_t value_offset(const struct mime *m, const struct mime_field *f)
{
    struct span field = span_sub(m->raw, f->at, f->at + f->size);
    size_t i = span_find(field, ':') + 1;
    while (i < field.n && (field.p[i] == ' ' || field.p[i] == '\t'))
        i++;
    return f->at + i;
}

struct span header_value(const struct mime *m, const struct mime_field *f)
{
    struct span field = span_sub(m->raw, f->at, f->at + f->size);
    return span_from(field, span_find(field, ':') + 1);
}

static bool has_line_end(const struct mime *m, const struct mime_field *f)
{
    return f->size && m->raw.p[f->at + f->size - 1] == '\n';
}

void header_replace(struct splices *s, const struct mime *m, const struct mime_field *f,
                    struct span value)
{
    uint64_t at = value_offset(m, f);
    struct buf b = {0};
    if (m->raw.p[at - 1] == ':')
        buf_char(&b, ' ');
    buf_add(&b, with_line_ends(m, value.n ? value : SPAN("\n")));
    if (!has_line_end(m, f))
        b.n -= eol(m).n;
    splices_add(s, m->arena, at, f->at + f->size - at, arena_dup(m->arena, buf_span(&b)));
    buf_free(&b);
}

void header_prefix_raw(struct splices *s, const struct mime *m, const struct mime_field *f,
                       struct span text)
{
    uint64_t at = value_offset(m, f);
    const char *space = m->raw.p[at - 1] == ':' ? " " : "";
    splices_add(s, m->arena, at, 0, arena_printf(m->arena, "%s%.*s", space, SPAN_ARG(text)));
}

void header_prefix(struct splices *s, const struct mime *m, const struct mime_field *f,
                   struct span text)
{
    struct buf b = {0};
    if (is_ascii(text)) {
        compose_words(&b, text);
    } else { /* in one piece: white space between encoded-words is not shown */
        compose_phrase(&b, text);
        buf_char(&b, ' ');
    }
    header_prefix_raw(s, m, f, buf_span(&b));
    buf_free(&b);
}
