/* Quoted-printable as SpamAssassin decodes it (semantics 3.5): blanks before line ends go first,
 * then soft line breaks, then "=HH" in either case becomes a byte; any other '=' stays. */
#include "mime/mime_private.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Behind the line end (LF or CRLF) at i, or 0. */
static size_t after_line_end(struct span s, size_t i)
{
    if (i < s.n && s.p[i] == '\n')
        return i + 1;
    return i + 1 < s.n && s.p[i] == '\r' && s.p[i + 1] == '\n' ? i + 2 : 0;
}

static size_t skip_blanks(struct span s, size_t i)
{
    while (i < s.n && is_blank(s.p[i]))
        i++;
    return i;
}

/* Behind the soft line breaks at i. */
static size_t skip_soft_breaks(struct span s, size_t i)
{
    while (i < s.n && s.p[i] == '=') {
        size_t after = after_line_end(s, skip_blanks(s, i + 1));
        if (!after)
            break;
        i = after;
    }
    return i;
}

static int hex_at(struct span s, size_t i)
{
    return i < s.n ? ascii_hex(s.p[i]) : -1;
}

/* The byte that the '=' at *i stands for (*i goes behind it), or -1. Soft line breaks may stand
 * anywhere inside. */
static int escaped(struct span s, size_t *i)
{
    size_t first = skip_soft_breaks(s, *i + 1);
    int high = hex_at(s, first);
    if (high < 0)
        return -1;
    size_t second = skip_soft_breaks(s, first + 1);
    int low = hex_at(s, second);
    if (low < 0)
        return -1;
    *i = second + 1;
    return high << 4 | low;
}

struct span qp_decode(struct arena *a, struct span s, bool crlf, bool *broken)
{
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        char c = s.p[i];
        if (c == '=') {
            size_t after = skip_soft_breaks(s, i);
            if (after > i) {
                i = after;
                continue;
            }
            int byte = escaped(s, &i);
            if (byte < 0 && broken)
                *broken = true;
            i += byte < 0;
            out[n++] = byte < 0 ? '=' : (char)byte;
            c = out[n - 1];
        } else if (is_blank(c)) {
            size_t end = skip_blanks(s, i);
            if (!after_line_end(s, end)) {
                memcpy(out + n, s.p + i, end - i);
                n += end - i;
            }
            i = end;
            continue;
        } else {
            out[n++] = c;
            i++;
        }
        if (crlf && c == '\n' && n > 1 && out[n - 2] == '\r')
            out[--n - 1] = '\n';
    }
    return span_of(out, n);
}

struct span mime_qp_decode(struct arena *a, struct span in)
{
    return qp_decode(a, in, false, NULL);
}
