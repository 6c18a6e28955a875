/* The header block of a message (semantics 3.1). */
#include "mime/mime_private.h"

static bool name_char(char c)
{
    return c > ' ' && c <= '~' && c != ':';
}

size_t field_name_length(struct span s)
{
    size_t n = 0;
    while (n < s.n && name_char(s.p[n]))
        n++;
    return n;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

size_t field_colon(struct span s, bool space)
{
    size_t n = field_name_length(s);
    if (n == 0)
        return SIZE_MAX;
    while (space && n < s.n && is_blank(s.p[n]))
        n++;
    return n < s.n && s.p[n] == ':' ? n : SIZE_MAX;
}

static bool digits_at(struct span s, size_t at, size_t n)
{
    for (size_t i = at; i < at + n; i++)
        if (i >= s.n || !ascii_isdigit(s.p[i]))
            return false;
    return true;
}

static bool char_at(struct span s, size_t at, char c)
{
    return at < s.n && s.p[at] == c;
}

/* " 1-Jan-2024 10:00:00" and whatever follows up to ",SIZE;12 hexadecimal digits-8 word
 * characters". */
static bool is_mbx_line(struct span s)
{
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
        s.n--;
    bool date =
        s.n > 20 && (ascii_isspace(s.p[0]) || ascii_isdigit(s.p[0])) && ascii_isdigit(s.p[1]) &&
        s.p[2] == '-' && ascii_isalpha(s.p[3]) && ascii_isalpha(s.p[4]) && ascii_isalpha(s.p[5]) &&
        s.p[6] == '-' && digits_at(s, 7, 4) && ascii_isspace(s.p[11]) && digits_at(s, 12, 2) &&
        char_at(s, 14, ':') && digits_at(s, 15, 2) && char_at(s, 17, ':') && digits_at(s, 18, 2);
    if (!date || s.n < 20 + 24)
        return false;
    size_t tail = s.n - 22; /* ";hhhhhhhhhhhh-wwwwwwww" */
    if (s.p[tail] != ';' || s.p[tail + 13] != '-')
        return false;
    for (size_t i = tail + 1; i < tail + 13; i++)
        if (!ascii_isdigit(s.p[i]) && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
            return false;
    for (size_t i = tail + 14; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && s.p[i] != '_')
            return false;
    size_t comma = tail;
    while (comma > 20 && ascii_isdigit(s.p[comma - 1]))
        comma--;
    return comma < tail && comma > 20 && s.p[comma - 1] == ',';
}

size_t separator_line(struct span s)
{
    size_t n = s.n ? line_end(s, 0) : 0;
    struct span line = span_sub(s, 0, n);
    if (span_starts(line, SPAN("From")) && n > 4 && ascii_isspace(line.p[4])) {
        /* "From", white space, and something that is no colon; the obsolete "From :" is a field */
        size_t i = 4;
        while (i < n && ascii_isspace(line.p[i]))
            i++;
        if (i - 4 > 1 || !char_at(line, i, ':'))
            return n;
    }
    return is_mbx_line(line) ? n : 0;
}

/* A name that goes over several lines: its line ends are not those of values, but the message's. */
static struct span folded_name(struct mime *m, bool crlf, struct span name)
{
    if (!crlf || span_find(name, '\n') == SIZE_MAX)
        return name;
    char *out = arena_raw(m->arena, name.n * 2);
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '\n')
            out[n++] = '\r';
        out[n++] = name.p[i];
    }
    return span_of(out, n);
}

/* One logical line [at, end) of the text: stored as a field if it has a colon. */
static void store_field(const struct header *h, size_t at, size_t end)
{
    struct mime *m = h->m;
    struct mime_part *p = h->part;
    struct text *t = h->text;
    uint64_t orig = text_at(m, t, at);
    struct span line = span_sub(t->s, at, end);
    size_t colon = span_find(line, ':');
    if (colon == SIZE_MAX || (h->wanted && !h->wanted(span_sub(line, 0, colon))))
        return;
    if (p->fields.n >= m->limits.headers) {
        mime_note(m, MIME_A_HEADER_LIMIT, orig);
        return;
    }
    struct span name = span_sub(line, 0, colon), value = span_from(line, colon + 1);
    while (name.n && is_blank(name.p[name.n - 1]))
        name.n--;
    if (name.n != colon)
        mime_note(m, MIME_A_HEADER_SPACE_BEFORE_COLON, orig);
    name = folded_name(m, h->crlf, name);
    if (name.n > MIME_NAME_MAX) {
        name.n = MIME_NAME_MAX;
        p->flags |= MIME_TRUNCATED_HEADER;
        mime_note(m, MIME_A_HEADER_LONG_NAME, orig);
    }
    if (value.n > MIME_VALUE_MAX) {
        value.n = MIME_VALUE_MAX;
        p->flags |= MIME_TRUNCATED_HEADER;
        mime_note(m, MIME_A_HEADER_LONG_VALUE, orig);
    }
    const struct mime_field field = {
        .name = name, .raw = value, .at = orig, .size = text_at(m, t, end) - orig};
    fields_add(m->arena, &p->fields, &field);
}

enum line_kind { LINE_FOLD, LINE_END, LINE_DELIMITER, LINE_FIELD, LINE_JUNK };

static enum line_kind line_kind(struct span line)
{
    if (is_blank(line.p[0]))
        return LINE_FOLD;
    if (line.p[0] == '\n')
        return LINE_END;
    if (span_starts(line, SPAN("--")))
        return LINE_DELIMITER;
    return field_colon(line, true) == SIZE_MAX ? LINE_JUNK : LINE_FIELD;
}

struct header_end header_read(const struct header *h)
{
    struct mime *m = h->m;
    struct text *t = h->text;
    struct span s = t->s;
    size_t field = SIZE_MAX, errors = 0, at = 0, end;
    enum line_kind kind = LINE_FIELD;
    for (; at < s.n; at = end) {
        end = line_end(s, at);
        kind = line_kind(span_sub(s, at, end));
        if (kind == LINE_FOLD) {
            if (field == SIZE_MAX) {
                mime_note(m, MIME_A_HEADER_LEADING_FOLD, text_at(m, t, at));
                field = at;
            }
            continue;
        }
        if (field != SIZE_MAX)
            store_field(h, field, at);
        field = SIZE_MAX;
        if (kind == LINE_JUNK) {
            mime_note(m, MIME_A_HEADER_JUNK, text_at(m, t, at));
            errors++;
        }
        if (kind == LINE_END)
            return (struct header_end){end, true};
        if (kind == LINE_DELIMITER || errors > MIME_HEADER_ERRORS)
            break;
        field = at;
    }
    if (field != SIZE_MAX)
        store_field(h, field, at);
    h->part->flags |= MIME_MISSING_HEAD_BODY_SEPARATOR;
    mime_note(m, MIME_A_HEADER_NO_SEPARATOR, text_at(m, t, at));
    return (struct header_end){at, false};
}
