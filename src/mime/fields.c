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
    f->v[f->n - 1].bit = bit;
    f->names[bit / 64] |= (uint64_t)1 << bit % 64;
    if (!f->first)
        f->first = arena_array(a, MIME_CHAINS, sizeof *f->first);
    uint32_t *first = &f->first[bit % MIME_CHAINS], place = (uint32_t)f->n;
    if (!*first)
        *first = place;
    else
        f->v[f->v[*first - 1].last - 1].next = place;
    f->v[*first - 1].last = place;
}

static bool is_named(const struct mime_field *f, struct span name, uint16_t bit)
{
    return f->bit == bit && f->name.n == name.n && span_ieq(f->name, name);
}

/* The first of the chain that does not stand before `from`: behind the one that was found last, as
 * a rule. */
static uint32_t chain_from(const struct mime_fields *f, uint16_t bit, size_t from)
{
    if (from > 0 && from <= f->n && f->v[from - 1].bit == bit)
        return f->v[from - 1].next;
    uint32_t place = f->first[bit % MIME_CHAINS];
    while (place && place <= from)
        place = f->v[place - 1].next;
    return place;
}

size_t mime_find(const struct mime_fields *f, struct span name, size_t from)
{
    uint16_t bit = mime_name_bit(name);
    if (!mime_may_have(f, bit))
        return f->n;
    for (uint32_t place = chain_from(f, bit, from); place; place = f->v[place - 1].next)
        if (is_named(&f->v[place - 1], name, bit))
            return place - 1;
    return f->n;
}

struct mime_field *mime_last(const struct mime_fields *f, struct span name)
{
    uint16_t bit = mime_name_bit(name);
    struct mime_field *found = NULL;
    if (!mime_may_have(f, bit))
        return NULL;
    for (uint32_t place = f->first[bit % MIME_CHAINS]; place; place = f->v[place - 1].next)
        if (is_named(&f->v[place - 1], name, bit))
            found = &f->v[place - 1];
    return found;
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
    switch (name.n ? ascii_lower(name.p[0]) : '\0') {
    case 'r':
        return span_ieq(name, SPAN("Received")) || span_ieq(name, SPAN("References")) ||
               span_ieq(name, SPAN("Resent-Message-ID")) || span_ieq(name, SPAN("Resent-Date"));
    case 'm':
        return span_ieq(name, SPAN("Message-ID")) || span_ieq(name, SPAN("MIME-Version"));
    case 'd':
        return span_ieq(name, SPAN("Date"));
    case 'i':
        return span_ieq(name, SPAN("In-Reply-To"));
    case 'l':
        return span_istarts(name, SPAN("List-"));
    default:
        return false;
    }
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

struct span mime_decode(struct mime *m, struct mime_field *f)
{
    return f->decoded = decode(m->arena, span_trim(f->raw), !is_literal_field(f->name));
}
