/* The whole of a message: parsed, walked, everything decoded; every place that is told must lie in
 * the original and hold what was read there. */
#include "mime/header_edit.h"

static void check(bool holds)
{
    if (!holds)
        __builtin_trap();
}

static void look_at_field(struct mime *m, struct mime_field *f, bool has_place)
{
    mime_decoded(m, f);
    check(f->at <= m->raw.n && f->size <= m->raw.n - f->at);
    if (!has_place)
        return;
    check(f->size > 0);
    check(f->at == 0 || m->raw.p[f->at - 1] == '\n');
    struct span field = span_sub(m->raw, f->at, f->at + f->size);
    check(span_find(field, ':') != SIZE_MAX);
    check(f->name.n == 0 || span_find(f->name, '\n') != SIZE_MAX || span_starts(field, f->name));
}

/* Nothing inside an encoded message has a place. */
static bool has_place(const struct mime_part *p)
{
    for (; p; p = p->parent)
        if (p->embedded && p->size == 0)
            return false;
    return true;
}

/* The reading for edits finds each field that the parser finds, at the same place. */
static void look_at_header(struct arena *a, const struct mime *m)
{
    struct mime *h = mime_header(a, m->raw, NULL);
    const struct mime_fields *f = &m->root->fields;
    check(h->root->at == m->root->at);
    check(h->root->fields.n >= f->n);
    for (size_t i = 0; i < f->n; i++) {
        const struct mime_field *x = &h->root->fields.v[i];
        check(x->at == f->v[i].at && x->size == f->v[i].size);
        check(span_ieq(span_trim(x->name), span_trim(f->v[i].name)));
        check(header_value(h, x).n < x->size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct mime *m = mime_parse(a, span_of((const char *)data, size), NULL);
    for (struct mime_part *p = m->root; p; p = mime_next(p)) {
        check(p->at <= size && p->size <= size - p->at);
        check(p->body_at <= size);
        bool place = has_place(p);
        for (size_t i = 0; i < p->fields.n; i++)
            look_at_field(m, &p->fields.v[i], place);
        bool chars;
        struct span body = mime_body(m, p);
        mime_normalise(a, body, p->charset, false, &chars);
        size_t n;
        mime_uudecode_all(a, body, &n);
    }
    look_at_header(a, m);
    arena_free(a);
    return 0;
}
