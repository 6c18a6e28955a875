#include "auth/tags.h"

static size_t name_length(struct span s)
{
    size_t n = 0;
    if (s.n && ascii_isalpha(s.p[0]))
        while (n < s.n && (ascii_isalnum(s.p[n]) || s.p[n] == '_'))
            n++;
    return n;
}

static bool value_char(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 0x80 || (u > ' ' && u < 0x7f) || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool value_ok(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!value_char(s.p[i]))
            return false;
    return true;
}

static const char *tag_parse(struct span spec, struct tag *out)
{
    size_t equals = span_find(spec, '=');
    if (equals == SIZE_MAX)
        return "a tag has no value";
    out->name = span_trim(span_sub(spec, 0, equals));
    out->whole = span_from(spec, equals + 1);
    out->value = span_trim(out->whole);
    if (out->name.n == 0 || name_length(out->name) != out->name.n)
        return "a tag has no proper name";
    return value_ok(out->value) ? NULL : "a tag holds control characters";
}

const char *tags_parse(struct span text, struct tags *out)
{
    out->n = 0;
    struct span rest = text;
    while (rest.n) {
        size_t end = span_find(rest, ';');
        bool last = end == SIZE_MAX;
        struct span spec = span_sub(rest, 0, end);
        rest = last ? SPAN("") : span_from(rest, end + 1);
        if (last && span_trim(spec).n == 0)
            break;
        if (out->n == TAGS_MAX)
            return "too many tags";
        struct tag *t = &out->v[out->n];
        const char *wrong = tag_parse(spec, t);
        if (wrong)
            return wrong;
        if (tags_get(out, t->name).p)
            return "a tag stands there twice";
        out->n++;
    }
    return out->n ? NULL : "no tags";
}

struct span tags_get(const struct tags *t, struct span name)
{
    for (size_t i = 0; i < t->n; i++)
        if (span_eq(t->v[i].name, name))
            return t->v[i].value;
    return SPAN_NONE;
}

bool tags_item(struct span *rest, char separator, struct span *item)
{
    if (!rest->p)
        return false;
    size_t end = span_find(*rest, separator);
    *item = span_trim(span_sub(*rest, 0, end));
    *rest = end == SIZE_MAX ? SPAN_NONE : span_from(*rest, end + 1);
    return true;
}

bool tags_has_item(struct span list, char separator, struct span word)
{
    struct span item;
    while (tags_item(&list, separator, &item))
        if (span_ieq(item, word))
            return true;
    return false;
}
