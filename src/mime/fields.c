#include "mime/mime_private.h"

uint16_t mime_name_bit(struct span name)
{
    if (name.n == 0)
        return 0;
    unsigned first = (unsigned char)ascii_lower(name.p[0]);
    unsigned middle = (unsigned char)ascii_lower(name.p[name.n / 2]);
    unsigned last = (unsigned char)ascii_lower(name.p[name.n - 1]);
    return (uint16_t)((name.n * 7 + first * 31 + middle * 13 + last * 5) % 256);
}

void fields_add(struct arena *a, struct mime_fields *f, const struct mime_field *field)
{
    uint16_t bit = mime_name_bit(field->name);
    *ARENA_PUSH(a, f->v, f->n, f->cap) = *field;
    f->names[bit / 64] |= (uint64_t)1 << bit % 64;
}

size_t mime_find(const struct mime_fields *f, struct span name, size_t from)
{
    if (from == 0 && !mime_may_have(f, mime_name_bit(name)))
        return f->n;
    while (from < f->n && (f->v[from].name.n != name.n || !span_ieq(f->v[from].name, name)))
        from++;
    return from;
}

struct mime_field *mime_last(const struct mime_fields *f, struct span name)
{
    for (size_t i = mime_may_have(f, mime_name_bit(name)) ? f->n : 0; i-- > 0;)
        if (f->v[i].name.n == name.n && span_ieq(f->v[i].name, name))
            return &f->v[i];
    return NULL;
}

/* LF and the blanks after it become one space; other line ends go. */
static struct span unfolded(struct arena *a, struct span raw)
{
    if (!memchr(raw.p, '\n', raw.n))
        return raw;
    char *out = arena_raw(a, raw.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.n;) {
        const char *lf = memchr(raw.p + i, '\n', raw.n - i);
        size_t stop = lf ? (size_t)(lf - raw.p) : raw.n;
        memcpy(out + n, raw.p + i, stop - i);
        n += stop - i;
        if (!lf)
            break;
        i = stop + 1;
        if (i < raw.n && (raw.p[i] == ' ' || raw.p[i] == '\t')) {
            out[n++] = ' ';
            while (i < raw.n && (raw.p[i] == ' ' || raw.p[i] == '\t'))
                i++;
        } else if (n && out[n - 1] == '\r') {
            n--;
        }
    }
    return span_of(out, n);
}

/* Fields that are never RFC 2047 decoded (semantics 3.1). */
static bool is_literal_field(struct span name)
{
    static const struct span names[] = {
        {"Received", 8},     {"Message-ID", 10},   {"Resent-Message-ID", 17}, {"Date", 4},
        {"Resent-Date", 11}, {"MIME-Version", 12}, {"References", 10},        {"In-Reply-To", 11}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name.n == names[i].n && span_ieq(name, names[i]))
            return true;
    return span_istarts(name, SPAN("List-"));
}

static struct span decode(struct arena *a, struct span v, bool words)
{
    bool chars;
    if (v.n == 0)
        return SPAN("");
    v = unfolded(a, v);
    if (!is_ascii(v))
        v = mime_normalise(a, v, SPAN("UTF-8"), false, &chars);
    if (words && span_search(v, SPAN("=?")) != SIZE_MAX)
        v = mime_decode_words(a, v);
    return v;
}

struct span mime_decode_text(struct arena *a, struct span text)
{
    return decode(a, text, true);
}

struct span mime_decoded(struct mime *m, struct mime_field *f)
{
    if (!f->decoded.p)
        f->decoded = decode(m->arena, span_trim(f->raw), !is_literal_field(f->name));
    return f->decoded;
}
