/* uuencoded files inside a text body. */
#include "mime/mime_private.h"

static unsigned uu_value(char c)
{
    return (unsigned)((unsigned char)c - 0x20) & 0x3f;
}

/* "begin", a mode of three or four octal digits, a name. */
static bool begin_line(struct span line, struct span *name)
{
    struct span rest = line;
    if (!span_starts(rest, SPAN("begin ")))
        return false;
    rest = span_from(rest, 6);
    size_t digits = 0;
    while (digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '7')
        digits++;
    if (digits < 3 || digits > 4 || digits + 1 >= rest.n || rest.p[digits] != ' ')
        return false;
    *name = span_trim(span_from(rest, digits + 1));
    return name->n > 0;
}

/* One data line: a length character, then groups of four. Returns bytes written, at most 63. */
static size_t decode_line(struct span line, unsigned char *out)
{
    size_t want = line.n ? uu_value(line.p[0]) : 0, n = 0;
    for (size_t i = 1; n < want && i < line.n; i += 4) {
        unsigned v[4] = {0};
        for (size_t k = 0; k < 4 && i + k < line.n; k++)
            v[k] = uu_value(line.p[i + k]);
        unsigned char bytes[3] = {(unsigned char)(v[0] << 2 | v[1] >> 4),
                                  (unsigned char)(v[1] << 4 | v[2] >> 2),
                                  (unsigned char)(v[2] << 6 | v[3])};
        for (size_t k = 0; k < 3 && n < want; k++)
            out[n++] = bytes[k];
    }
    return n;
}

/* Cuts the data lines off *rest: up to "end", or before the next "begin", or all. */
static struct span data_lines(struct span *rest)
{
    struct span line, start = *rest, before = *rest;
    while (span_line(rest, &line)) {
        if (span_eq(line, SPAN("end")))
            break;
        if (span_starts(line, SPAN("begin "))) {
            *rest = before;
            break;
        }
        before = *rest;
    }
    return span_sub(start, 0, (size_t)(before.p - start.p));
}

static struct span decode_block(struct arena *a, struct span data)
{
    struct span line;
    unsigned char *out = arena_raw(a, data.n / 4 * 3 + 64);
    size_t n = 0;
    while (span_line(&data, &line))
        n += decode_line(line, out + n);
    return span_of((char *)out, n);
}

/* Moves *rest to the next line that starts with "begin "; false when there is none. */
static bool next_begin(struct span text, struct span *rest)
{
    for (size_t hit; (hit = span_search(*rest, SPAN("begin "))) != SIZE_MAX;) {
        *rest = span_from(*rest, hit);
        if (rest->p == text.p || rest->p[-1] == '\n')
            return true;
        *rest = span_from(*rest, 1);
    }
    return false;
}

struct mime_uu *mime_uudecode_all(struct arena *a, struct span text, size_t *n)
{
    struct mime_uu *v = NULL;
    size_t cap = 0;
    struct span rest = text, line, name;
    *n = 0;
    while (next_begin(text, &rest) && span_line(&rest, &line)) {
        if (!begin_line(line, &name))
            continue;
        struct span body = decode_block(a, data_lines(&rest));
        *ARENA_PUSH(a, v, *n, cap) = (struct mime_uu){name, body};
    }
    return v;
}
