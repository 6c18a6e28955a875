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

/* Behind the rest of a soft line break, its '=' taken: blanks in front of the line end, or between
 * its CR and its LF; 0 when it is none. */
static size_t after_break(struct span s, size_t i)
{
    size_t after = after_line_end(s, skip_blanks(s, i));
    if (!after && i < s.n && s.p[i] == '\r') {
        size_t lf = skip_blanks(s, i + 1);
        after = lf < s.n && s.p[lf] == '\n' ? lf + 1 : 0;
    }
    return after;
}

/* Behind the soft line breaks at i. */
static size_t skip_soft_breaks(struct span s, size_t i)
{
    while (i < s.n && s.p[i] == '=') {
        size_t after = after_break(s, i + 1);
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

/* The next c at or after i, remembered in *next (SIZE_MAX - 1 at first). */
static size_t next_char(struct span s, size_t i, char c, size_t *next)
{
    if (*next < i || *next == SIZE_MAX - 1) {
        const char *p = memchr(s.p + i, c, s.n - i);
        *next = p ? (size_t)(p - s.p) : SIZE_MAX;
    }
    return *next < s.n ? *next : s.n;
}

static size_t put(char *out, size_t n, struct span s)
{
    memcpy(out + n, s.p, s.n);
    return n + s.n;
}

/* A line end: with the CR that stands before it, unless crlf says that this becomes LF. */
static size_t put_line_end(char *out, size_t n, bool crlf)
{
    if (crlf && n && out[n - 1] == '\r')
        n--;
    out[n] = '\n';
    return n + 1;
}

/* [from, lf) without the blanks before the line end, CR or not. */
static size_t put_line(char *out, size_t n, struct span s, size_t from, size_t lf)
{
    bool cr = lf > from && s.p[lf - 1] == '\r';
    size_t to = lf - cr;
    while (to > from && is_blank(s.p[to - 1]))
        to--;
    n = put(out, n, span_sub(s, from, to));
    if (cr)
        out[n++] = '\r';
    return n;
}

struct span qp_decode(struct arena *a, struct span s, bool crlf, bool *broken)
{
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0, equals = SIZE_MAX - 1, lf = SIZE_MAX - 1;
    for (size_t i = 0; i < s.n;) {
        size_t e = next_char(s, i, '=', &equals), l = next_char(s, i, '\n', &lf);
        if (l < e) {
            n = put_line_end(out, put_line(out, n, s, i, l), crlf);
            i = l + 1;
            continue;
        }
        n = put(out, n, span_sub(s, i, e));
        i = e;
        if (i == s.n)
            break;
        size_t after = skip_soft_breaks(s, i);
        if (after > i) {
            i = after;
            continue;
        }
        int byte = escaped(s, &i);
        if (byte == '\n') {
            n = put_line_end(out, n, crlf);
        } else if (byte >= 0) {
            out[n++] = (char)byte;
        } else {
            if (broken)
                *broken = true;
            out[n++] = '=';
            i++;
        }
    }
    return span_of(out, n);
}

struct span mime_qp_decode(struct arena *a, struct span in)
{
    return qp_decode(a, in, false, NULL);
}
