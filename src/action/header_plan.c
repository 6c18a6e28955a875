#include "action/header_plan.h"

#include "mime/compose.h"

struct header_plan header_plan_of(struct arena *a, struct mime *h, struct buf *head)
{
    return (struct header_plan){a, h, arena_array(a, h->root->fields.n, sizeof(struct field_fate)),
                                head};
}

bool header_named(const struct mime_field *f, struct span name)
{
    return span_ieq(span_trim(f->name), name);
}

/* Fields with addresses, ids and types are not to be encoded as a whole. */
static bool structured(struct span name)
{
    static const char *const names[] = {"From",         "To",       "Cc",          "Bcc",
                                        "Reply-To",     "Sender",   "Return-Path", "Message-ID",
                                        "Content-Type", "Date",     "References",  "In-Reply-To",
                                        "Received",     "Errors-To"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_ieq(name, span_str(names[i])))
            return true;
    return false;
}

static void compose(struct buf *b, struct arena *a, struct span name, struct span value)
{
    const char *n = arena_cstr(a, name);
    if (structured(name))
        compose_structured(b, n, value);
    else
        compose_field(b, n, value);
}

void header_plan_add(struct header_plan *p, struct span name, struct span value)
{
    compose(p->head, p->arena, name, value);
}

/* Whether field i is an instance of name that is still there; nth: and that one. */
static bool is_nth(const struct header_plan *p, size_t i, struct span name, size_t nth,
                   size_t *seen)
{
    if (p->v[i].deleted || !header_named(&p->h->root->fields.v[i], name))
        return false;
    return ++*seen == nth || nth == 0;
}

void header_plan_delete(struct header_plan *p, struct span name, size_t nth)
{
    size_t seen = 0;
    for (size_t i = 0; i < p->h->root->fields.n; i++)
        p->v[i].deleted |= is_nth(p, i, name, nth, &seen);
}

void header_plan_change(struct header_plan *p, struct span name, size_t nth, struct span value)
{
    size_t seen = 0;
    bool changed = false;
    for (size_t i = 0; i < p->h->root->fields.n; i++) {
        if (!is_nth(p, i, name, nth, &seen))
            continue;
        p->v[i].value = value;
        p->v[i].prefix = SPAN_NONE;
        changed = true;
    }
    if (!changed)
        header_plan_add(p, name, value);
}

bool header_plan_has(const struct header_plan *p, struct span name)
{
    size_t seen = 0;
    for (size_t i = 0; i < p->h->root->fields.n; i++)
        if (is_nth(p, i, name, 0, &seen))
            return true;
    return false;
}

static struct span joined(struct arena *a, struct span x, struct span y)
{
    return arena_printf(a, "%.*s%.*s", SPAN_ARG(x), SPAN_ARG(y));
}

void header_plan_prefix(struct header_plan *p, struct span name, struct span text)
{
    bool found = false;
    for (size_t i = 0; i < p->h->root->fields.n; i++) {
        struct mime_field *f = &p->h->root->fields.v[i];
        struct field_fate *x = &p->v[i];
        if (x->deleted || !header_named(f, name))
            continue;
        found = true;
        struct span now = x->value.p ? x->value : mime_decoded(p->h, f);
        if (!span_starts(x->prefix.p ? x->prefix : now, span_trim(text)))
            x->prefix = joined(p->arena, text, x->prefix);
    }
    if (!found)
        header_plan_add(p, name, text);
}

/* The value as it stands behind the colon of a composed field. */
static struct span composed(const struct header_plan *p, const struct mime_field *f,
                            const struct field_fate *x)
{
    struct buf b = {0};
    struct span name = span_trim(f->name);
    compose(&b, p->arena, name, joined(p->arena, x->prefix, x->value));
    struct span s = arena_dup(p->arena, span_from(buf_span(&b), name.n + 1));
    buf_free(&b);
    return s.n && s.p[0] == ' ' ? span_from(s, 1) : s;
}

void header_plan_emit(const struct header_plan *p, struct splices *out)
{
    for (size_t i = 0; i < p->h->root->fields.n; i++) {
        const struct mime_field *f = &p->h->root->fields.v[i];
        const struct field_fate *x = &p->v[i];
        if (x->deleted)
            header_delete(out, p->h, f);
        else if (x->value.p)
            header_replace(out, p->h, f, composed(p, f, x));
        else if (x->prefix.p && structured(span_trim(f->name)))
            header_prefix_raw(out, p->h, f, x->prefix);
        else if (x->prefix.p)
            header_prefix(out, p->h, f, x->prefix);
    }
}
