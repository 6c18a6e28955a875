#include "action/action_private.h"

static size_t end_of_line(struct span raw, size_t at)
{
    size_t n = span_find(span_from(raw, at), '\n');
    return n == SIZE_MAX ? raw.n : at + n + 1;
}

static bool blank_line(struct span raw, size_t at)
{
    return raw.p[at] == '\n' || (raw.p[at] == '\r' && at + 1 < raw.n && raw.p[at + 1] == '\n');
}

bool field_next(struct span raw, uint64_t *at, struct field *f)
{
    size_t start = *at;
    while (start < raw.n && !blank_line(raw, start)) {
        size_t end = end_of_line(raw, start);
        while (end < raw.n && (raw.p[end] == ' ' || raw.p[end] == '\t'))
            end = end_of_line(raw, end);
        struct span whole = span_sub(raw, start, end);
        size_t colon = span_find(whole, ':');
        size_t first_end = end_of_line(whole, 0);
        if (colon < first_end && !ascii_isspace(whole.p[0])) {
            struct span value = span_from(whole, colon + 1);
            if (value.n && value.p[value.n - 1] == '\n')
                value.n--;
            if (value.n && value.p[value.n - 1] == '\r')
                value.n--;
            *f = (struct field){span_trim(span_sub(whole, 0, colon)), value, start, whole.n};
            *at = end;
            return true;
        }
        start = end;
    }
    *at = start;
    return false;
}

uint64_t header_start(struct span raw)
{
    return span_starts(raw, SPAN("From ")) ? end_of_line(raw, 0) : 0;
}

const char *line_end(struct span raw)
{
    size_t lf = span_find(raw, '\n');
    return lf != SIZE_MAX && (lf == 0 || raw.p[lf - 1] != '\r') ? "\n" : "\r\n";
}

void add_plain(struct buf *b, struct span s, size_t max)
{
    for (size_t i = 0; i < s.n && i < max; i++)
        buf_char(b, s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : '?');
}
