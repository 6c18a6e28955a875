#include "auth/spf.h"
#include "mime/mime.h"

static bool empty(const struct mime_field *f)
{
    return span_trim(f->raw).n == 0;
}

static bool is(const struct mime_field *f, struct span name)
{
    return span_ieq(span_trim(f->name), name);
}

/* The first field of that name with something in it; NULL when there is none. n: how many. */
static const struct mime_field *only(const struct mime_fields *fields, struct span name, size_t *n)
{
    const struct mime_field *first = NULL;
    *n = 0;
    for (size_t i = 0; i < fields->n; i++)
        if (is(&fields->v[i], name) && !empty(&fields->v[i])) {
            first = first ? first : &fields->v[i];
            ++*n;
        }
    return first;
}

/* RFC 4407 section 2 step 1: a Resent-From above, with a hop between, begins another, later block.
 */
static bool of_older_block(const struct mime_fields *fields, const struct mime_field *sender)
{
    bool from = false;
    for (size_t i = 0; i < fields->n && &fields->v[i] != sender; i++) {
        const struct mime_field *f = &fields->v[i];
        if (is(f, SPAN("Resent-From")) && !empty(f))
            from = true;
        else if (from && (is(f, SPAN("Received")) || is(f, SPAN("Return-Path"))))
            return true;
    }
    return false;
}

struct span spf_pra(struct arena *a, struct span header)
{
    const struct mime_limits limits = MIME_LIMITS_DEFAULT;
    const struct mime_fields *fields = &mime_parse(a, header, &limits)->root->fields;
    size_t n;
    const struct mime_field *f = only(fields, SPAN("Resent-Sender"), &n);
    if (f && of_older_block(fields, f))
        f = NULL;
    if (!f)
        f = only(fields, SPAN("Resent-From"), &n);
    if (!f) {
        f = only(fields, SPAN("Sender"), &n);
        if (!f)
            f = only(fields, SPAN("From"), &n);
        if (n != 1)
            return SPAN_NONE;
    }
    struct mime_addresses l = mime_addresses_parse(a, f->raw);
    if (l.n != 1 || !l.v[0].addr.p || span_find(l.v[0].addr, '@') == SIZE_MAX)
        return SPAN_NONE;
    return l.v[0].addr;
}
