#include "milter/edit.h"

void milter_verdict(struct buf *b, enum milter_verdict v)
{
    milter_packet(b, (char)v, SPAN(""));
}

/* ---- texts of refusal ---- */

/* Reads "550" and, if there is one of the same class, "5.7.1 ". Returns the length, 0 when it is no
 * refusal. */
static size_t reply_prefix(struct span t)
{
    if (t.n < 3 || (t.p[0] != '4' && t.p[0] != '5') || !ascii_isdigit(t.p[1]) ||
        !ascii_isdigit(t.p[2]) || (t.n > 3 && t.p[3] != ' '))
        return 0;
    size_t i = 4, dots = 0;
    for (; i < t.n && (ascii_isdigit(t.p[i]) || (t.p[i] == '.' && i > 4)); i++)
        dots += t.p[i] == '.';
    if (dots != 2 || t.p[i - 1] == '.' || (i < t.n && t.p[i] != ' ') || t.p[5] != '.')
        return t.n > 3 ? 4 : 3;
    if (t.p[4] != t.p[0])
        return 0;
    return i < t.n ? i + 1 : i;
}

/* Sendmail and libmilter read the text as a format of printf. */
static void add_text(struct buf *b, struct span line)
{
    size_t room = MILTER_REPLY_LINE;
    for (size_t i = 0; i < line.n && room > 1; i++, room--) {
        char c = line.p[i];
        if (c == '%') {
            buf_char(b, '%');
            room--;
        }
        buf_char(b, (unsigned char)c < ' ' || c == 0x7f ? '?' : c);
    }
}

bool milter_reply_text(struct buf *b, struct span text)
{
    struct span first = text, line;
    size_t cut = span_find(first, '\n');
    first = span_trim(span_sub(first, 0, cut));
    size_t prefix = reply_prefix(first);
    if (prefix == 0)
        return false;
    struct buf data = {0};
    struct span rest = text;
    for (unsigned n = 0; n < MILTER_REPLY_LINES && span_line(&rest, &line); n++) {
        bool last = rest.n == 0 || n + 1 == MILTER_REPLY_LINES;
        if (n > 0)
            buf_str(&data, "\r\n");
        else
            line = span_from(span_trim(line), prefix);
        buf_add(&data, span_sub(first, 0, 3));
        buf_char(&data, last ? ' ' : '-');
        buf_add(&data, span_sub(first, 4, prefix));
        if (prefix > 4 && data.p[data.n - 1] != ' ')
            buf_char(&data, ' ');
        add_text(&data, line);
    }
    buf_char(&data, '\0');
    milter_packet(b, 'y', buf_span(&data));
    buf_free(&data);
    return true;
}

/* ---- edits ---- */

static void add_string(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '\0')
            buf_char(b, s.p[i]);
    buf_char(b, '\0');
}

static void add_field(struct buf *b, struct span name, struct span value)
{
    add_string(b, name);
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] != '\0' && value.p[i] != '\r')
            buf_char(b, value.p[i]);
    buf_char(b, '\0');
}

static void send_it(struct buf *b, char cmd, struct buf *data)
{
    milter_packet(b, cmd, buf_span(data));
    buf_free(data);
}

void milter_add_header(struct buf *b, struct span name, struct span value)
{
    struct buf data = {0};
    add_field(&data, name, value);
    send_it(b, 'h', &data);
}

static void indexed(struct buf *b, char cmd, uint32_t index, struct span name, struct span value)
{
    struct buf data = {0};
    milter_add_u32(&data, index);
    add_field(&data, name, value);
    send_it(b, cmd, &data);
}

void milter_insert_header(struct buf *b, uint32_t index, struct span name, struct span value)
{
    indexed(b, 'i', index, name, value);
}

void milter_change_header(struct buf *b, uint32_t nth, struct span name, struct span value)
{
    indexed(b, 'm', nth, name, value);
}

void milter_delete_header(struct buf *b, uint32_t nth, struct span name)
{
    indexed(b, 'm', nth, name, SPAN(""));
}

void milter_replace_body(struct buf *b, struct span bytes)
{
    do {
        struct span piece = span_sub(bytes, 0, MILTER_CHUNK);
        milter_packet(b, 'b', piece);
        bytes = span_from(bytes, piece.n);
    } while (bytes.n > 0);
}

static void addressed(struct buf *b, char cmd, struct span addr, struct span args)
{
    struct buf data = {0};
    buf_char(&data, '<');
    for (size_t i = 0; i < addr.n; i++)
        if (addr.p[i] != '\0')
            buf_char(&data, addr.p[i]);
    buf_str(&data, ">");
    buf_char(&data, '\0');
    if (args.n)
        add_string(&data, args);
    send_it(b, cmd, &data);
}

void milter_change_sender(struct buf *b, struct span addr, struct span args)
{
    addressed(b, 'e', addr, args);
}

void milter_add_rcpt(struct buf *b, struct span addr, struct span args)
{
    addressed(b, args.n ? '2' : '+', addr, args);
}

void milter_delete_rcpt(struct buf *b, struct span addr)
{
    addressed(b, '-', addr, SPAN_NONE);
}

void milter_quarantine(struct buf *b, struct span reason)
{
    struct buf data = {0};
    add_string(&data, reason);
    send_it(b, 'q', &data);
}

void milter_progress(struct buf *b)
{
    milter_packet(b, 'p', SPAN(""));
}
