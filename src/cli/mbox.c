#include "cli/mbox.h"

static bool digit(struct span s, size_t i)
{
    return i < s.n && s.p[i] >= '0' && s.p[i] <= '9';
}

/* " 19" or " 20" and two more digits: the year behind the time. */
static bool year(struct span s)
{
    for (size_t i = 0; i + 4 < s.n; i++)
        if (s.p[i] == ' ' &&
            ((s.p[i + 1] == '1' && s.p[i + 2] == '9') ||
             (s.p[i + 1] == '2' && s.p[i + 2] == '0')) &&
            digit(s, i + 3) && digit(s, i + 4) && !digit(s, i + 5))
            return true;
    return false;
}

bool mbox_separator(struct span line)
{
    if (!span_starts(line, SPAN("From ")) || line.n > 1000)
        return false;
    line = span_from(line, 5);
    for (size_t i = 1; i + 4 < line.n; i++)
        if (line.p[i] == ':' && digit(line, i - 1) && digit(line, i + 1) && digit(line, i + 2))
            return year(span_from(line, i + 3));
    return false;
}

/* The line at the start of s, with its end. */
static struct span whole_line(struct span s)
{
    const char *lf = s.n ? memchr(s.p, '\n', s.n) : NULL;
    return lf ? span_sub(s, 0, (size_t)(lf - s.p) + 1) : s;
}

static struct span without_end(struct span line)
{
    if (line.n && line.p[line.n - 1] == '\n')
        line.n--;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

bool mbox_next(struct span *rest, struct span *separator, struct span *message)
{
    *separator = SPAN_NONE;
    if (rest->n == 0)
        return false;
    struct span first = whole_line(*rest);
    if (mbox_separator(without_end(first))) {
        *separator = without_end(first);
        *rest = span_from(*rest, first.n);
    }
    const char *start = rest->p;
    size_t at = 0, empty_at = SIZE_MAX; /* where the empty line just before `at` begins */
    while (at < rest->n) {
        struct span line = whole_line(span_from(*rest, at));
        if (empty_at != SIZE_MAX && mbox_separator(without_end(line))) {
            *message = span_of(start, empty_at);
            *rest = span_from(*rest, at);
            return true;
        }
        empty_at = without_end(line).n == 0 ? at : SIZE_MAX;
        at += line.n;
    }
    *message = *rest;
    *rest = span_from(*rest, rest->n);
    return true;
}
