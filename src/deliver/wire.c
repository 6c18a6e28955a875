/* How message bytes look on the wire (RFC 5321 sections 2.3.8 and 4.5.2). */
#include "deliver/client.h"

enum { LINE_START = 0, IN_LINE = 1, AFTER_CR = 2 };

/* Up to the next CR or LF, without looking at it. */
static size_t plain(struct span s)
{
    const char *lf = memchr(s.p, '\n', s.n);
    size_t n = lf ? (size_t)(lf - s.p) : s.n;
    const char *cr = memchr(s.p, '\r', n);
    return cr ? (size_t)(cr - s.p) : n;
}

void wire_body(struct buf *out, struct span bytes, unsigned *state)
{
    while (bytes.n) {
        if (*state == AFTER_CR) {
            buf_add(out, SPAN("\r\n"));
            if (bytes.p[0] == '\n')
                bytes = span_from(bytes, 1);
            *state = LINE_START;
            continue;
        }
        if (*state == LINE_START && bytes.p[0] == '.')
            buf_char(out, '.');
        size_t n = plain(bytes);
        if (n) {
            buf_add(out, span_sub(bytes, 0, n));
            *state = IN_LINE;
            bytes = span_from(bytes, n);
        }
        if (bytes.n && bytes.p[0] == '\r') {
            *state = AFTER_CR;
            bytes = span_from(bytes, 1);
        } else if (bytes.n) {
            buf_add(out, SPAN("\r\n"));
            *state = LINE_START;
            bytes = span_from(bytes, 1);
        }
    }
}

void wire_end(struct buf *out, unsigned state)
{
    if (state != LINE_START)
        buf_add(out, SPAN("\r\n"));
    buf_add(out, SPAN(".\r\n"));
}
