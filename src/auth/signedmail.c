#include "auth/signedmail.h"

/* FNV-1a: only tells names apart quickly, the names themselves are compared too. */
uint32_t signed_name_hash(struct span name)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)ascii_lower(name.p[i])) * 16777619u;
    return h;
}

/* Length of the line at the start of s, with its end. */
static size_t line_length(struct span s)
{
    const char *lf = memchr(s.p, '\n', s.n);
    return lf ? (size_t)(lf - s.p) + 1 : s.n;
}

static bool is_empty_line(struct span line)
{
    return span_eq(line, SPAN("\n")) || span_eq(line, SPAN("\r\n"));
}

static struct span without_end(struct span line)
{
    if (line.n && line.p[line.n - 1] == '\n')
        line.n--;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

/* field = field-name ":" unstructured CRLF; obsolete syntax has white space before the colon. */
static bool field_of(struct span whole, struct signed_field *out)
{
    size_t colon = span_find(whole, ':');
    if (colon == SIZE_MAX || colon == 0)
        return false;
    struct span name = span_sub(whole, 0, colon);
    while (name.n && is_wsp(name.p[name.n - 1]))
        name.n--;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] > '~')
            return false;
    *out = (struct signed_field){name, span_from(whole, colon + 1), whole, signed_name_hash(name)};
    return name.n > 0;
}

static void add_field(struct arena *a, struct signed_mail *m, struct span whole)
{
    struct signed_field f;
    if (m->n == SIGNED_FIELDS_MAX || !field_of(without_end(whole), &f))
        m->junk = true;
    else
        *ARENA_PUSH(a, m->v, m->n, m->cap) = f;
}

void signed_mail_read(struct arena *a, struct span raw, struct signed_mail *out)
{
    *out = (struct signed_mail){.body = SPAN("")};
    struct span rest = raw;
    if (span_starts(rest, SPAN("From ")))
        rest = span_from(rest, line_length(rest));
    struct span whole = SPAN_NONE;
    while (rest.n) {
        struct span line = span_sub(rest, 0, line_length(rest));
        rest = span_from(rest, line.n);
        if (is_wsp(line.p[0]) && whole.p) {
            whole.n += line.n;
            continue;
        }
        if (whole.p)
            add_field(a, out, whole);
        if (is_empty_line(line)) {
            out->body = rest;
            return;
        }
        whole = line;
    }
    if (whole.p)
        add_field(a, out, whole);
}

size_t signed_mail_last(const struct signed_mail *m, struct span name, size_t end)
{
    uint32_t hash = signed_name_hash(name);
    for (size_t i = end < m->n ? end : m->n; i-- > 0;)
        if (m->v[i].hash == hash && span_ieq(m->v[i].name, name))
            return i;
    return SIZE_MAX;
}

size_t signed_mail_count(const struct signed_mail *m, struct span name)
{
    size_t count = 0;
    for (size_t i = m->n; (i = signed_mail_last(m, name, i)) != SIZE_MAX;)
        count++;
    return count;
}
