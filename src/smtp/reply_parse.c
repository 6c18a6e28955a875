#include "smtp/reply.h"

bool reply_dsn(struct span text, unsigned char dsn[3], unsigned *detail)
{
    unsigned v[3] = {0};
    size_t i = 0;
    for (int k = 0; k < 3; k++) {
        size_t digits = 0;
        for (; i < text.n && ascii_isdigit(text.p[i]) && digits < 3; i++, digits++)
            v[k] = v[k] * 10 + (unsigned)(text.p[i] - '0');
        if (digits == 0 || (k < 2 && (i >= text.n || text.p[i++] != '.')))
            return false;
    }
    if (i < text.n && text.p[i] != ' ')
        return false;
    if (v[0] != 2 && v[0] != 4 && v[0] != 5)
        return false;
    for (int k = 0; k < 3; k++)
        dsn[k] = (unsigned char)(v[k] > 255 ? 255 : v[k]);
    *detail = v[2];
    return true;
}

/* Reply-line = Reply-code [ "-" / SP textstring ] CRLF */
static bool line_code(struct span line, unsigned *code, bool *last)
{
    if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5')
        return false;
    if (!ascii_isdigit(line.p[1]) || !ascii_isdigit(line.p[2]))
        return false;
    if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
        return false;
    *code = (unsigned)((line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0'));
    *last = line.n == 3 || line.p[3] == ' ';
    return true;
}

enum reply_status reply_parse(struct span in, size_t *used, struct smtp_reply *r)
{
    struct span rest = span_sub(in, 0, REPLY_BYTES_MAX);
    *r = (struct smtp_reply){0};
    for (;;) {
        size_t nl = span_find(rest, '\n');
        if (nl == SIZE_MAX) {
            bool over = rest.n > REPLY_LINE_MAX || in.n >= REPLY_BYTES_MAX;
            return over ? REPLY_BAD : REPLY_MORE;
        }
        if (nl > REPLY_LINE_MAX)
            return REPLY_BAD;
        struct span line = span_sub(rest, 0, nl);
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        rest = span_from(rest, nl + 1);
        unsigned code;
        bool last;
        if (!line_code(line, &code, &last) || (r->code && r->code != code))
            return REPLY_BAD;
        if (!r->code) {
            r->code = code;
            reply_dsn(span_from(line, 4), r->dsn, &r->detail);
        }
        if (last)
            break;
    }
    *used = (size_t)(rest.p - in.p);
    r->lines = span_sub(in, 0, *used);
    return REPLY_DONE;
}

bool reply_next(struct span *rest, struct span *text)
{
    struct span line;
    if (!span_line(rest, &line))
        return false;
    *text = span_from(line, 4);
    return true;
}

void reply_flatten(const struct smtp_reply *r, size_t max, struct buf *out)
{
    size_t limit = out->n + max;
    buf_printf(out, "%u", r->code);
    struct span rest = r->lines, text;
    bool first = true;
    while (reply_next(&rest, &text) && out->n < limit) {
        unsigned char dsn[3];
        unsigned detail;
        /* The enhanced code stands on every line; once is enough. */
        if (!first && reply_dsn(text, dsn, &detail))
            text = span_from(text, span_find(text, ' '));
        first = false;
        text = span_trim(text);
        if (text.n > 0)
            buf_char(out, ' ');
        for (size_t i = 0; i < text.n && out->n < limit; i++) {
            unsigned char c = (unsigned char)text.p[i];
            buf_char(out, c < ' ' || c == 0x7f ? '?' : (char)c);
        }
    }
    if (out->n > limit)
        out->n = limit;
}
