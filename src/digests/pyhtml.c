/* html.parser.HTMLParser.feed, as far as its data go: what is text and what is markup is decided by
 * its regular expressions, named at each function. The parser is fed once and never closed: what it
 * would wait for at the end is dropped. */
#include "digests/pytext.h"

#include "base/buf.h"

struct html {
    struct arena *a;
    struct span s;
    struct buf out;
    struct span raw_element; /* "script" or "style": its content is no text; absent: none */
};

static void data(struct html *h, struct span text)
{
    text = py_strip(text);
    if (!text.n)
        return;
    if (h->out.n)
        buf_char(&h->out, ' ');
    buf_add(&h->out, text);
}

static char at(const struct html *h, size_t i)
{
    return i < h->s.n ? h->s.p[i] : '\0';
}

static bool starts(const struct html *h, size_t i, const char *text)
{
    return span_starts(span_from(h->s, i), span_str(text));
}

static size_t find(const struct html *h, size_t i, char c)
{
    size_t found = span_find(span_from(h->s, i), c);
    return found == SIZE_MAX ? SIZE_MAX : i + found;
}

static size_t skip_space(const struct html *h, size_t i)
{
    size_t n;
    while (i < h->s.n && (n = py_space(span_from(h->s, i))) > 0)
        i += n;
    return i;
}

/* --- start tags --- */

/* [a-zA-Z][^\t\n\r\f />\x00]* at i, which is a letter. */
static size_t tag_name(const struct html *h, size_t i)
{
    while (i < h->s.n && !memchr("\t\n\r\f />\0", h->s.p[i], 8))
        i++;
    return i;
}

/* (?:\s|/(?!>))* */
static size_t skip_gaps(const struct html *h, size_t i)
{
    for (;;) {
        size_t n = i < h->s.n ? py_space(span_from(h->s, i)) : 0;
        if (!n && at(h, i) == '/' && i < h->s.n && !(i + 1 < h->s.n && at(h, i + 1) == '>'))
            n = 1;
        if (!n)
            return i;
        i += n;
    }
}

/* [^>\s]* */
static size_t bare_value(const struct html *h, size_t i)
{
    while (i < h->s.n && h->s.p[i] != '>' && !py_space(span_from(h->s, i)))
        i += py_char(span_from(h->s, i));
    return i;
}

/* \s*=+\s*('[^']*'|"[^"]*"|(?!['"])[^>\s]*) with what backtracking makes of a quote that is not
 * closed; i when there is none. */
static size_t attribute_value(const struct html *h, size_t i)
{
    size_t signs = skip_space(h, i), v = signs;
    while (at(h, v) == '=' && v < h->s.n)
        v++;
    if (v == signs)
        return i;
    size_t w = skip_space(h, v);
    char quote = at(h, w);
    if (w >= h->s.n || (quote != '\'' && quote != '"'))
        return bare_value(h, w);
    size_t end = find(h, w + 1, quote);
    if (end != SIZE_MAX)
        return end + 1;
    if (w > v)
        return w; /* an empty value before the last blank */
    return v - signs > 1 ? bare_value(h, v - 1) : i;
}

/* (?<=['"\s/]) */
static bool behind_gap(const struct html *h, size_t i)
{
    size_t before = i - 1;
    while (before > 0 && ((unsigned char)h->s.p[before] & 0xc0) == 0x80)
        before--;
    char c = h->s.p[before];
    return c == '\'' || c == '"' || c == '/' || py_space(span_from(h->s, before));
}

/* Attributes one after the other, from i on. */
static size_t skip_attributes(const struct html *h, size_t i)
{
    while (i < h->s.n && h->s.p[i] != '/' && h->s.p[i] != '>' && behind_gap(h, i) &&
           !py_space(span_from(h->s, i))) {
        i += py_char(span_from(h->s, i));
        while (i < h->s.n && !memchr("/=>", h->s.p[i], 3) && !py_space(span_from(h->s, i)))
            i += py_char(span_from(h->s, i));
        i = skip_gaps(h, attribute_value(h, i));
    }
    return i;
}

/* check_for_whole_start_tag: behind the tag; SIZE_MAX: it is not complete. */
static size_t tag_end(const struct html *h, size_t i)
{
    size_t j = tag_name(h, i + 1), n;
    while (j < h->s.n && ((n = py_space(span_from(h->s, j))) > 0 || h->s.p[j] == '/'))
        j += n ? n : 1;
    j = skip_space(h, skip_attributes(h, j));
    char next = at(h, j);
    if (j >= h->s.n || next == '=' || ascii_isalpha(next))
        return SIZE_MAX;
    if (next == '>')
        return j + 1;
    if (next == '/')
        return at(h, j + 1) == '>' ? j + 2 : SIZE_MAX;
    return j;
}

static size_t start_tag(struct html *h, size_t i)
{
    size_t end = tag_end(h, i);
    if (end == SIZE_MAX)
        return end;
    size_t name_end = tag_name(h, i + 1);
    size_t k = skip_attributes(h, skip_gaps(h, name_end));
    struct span rest = k < end ? py_strip(span_sub(h->s, k, end)) : SPAN("");
    if (!span_eq(rest, SPAN(">")) && !span_eq(rest, SPAN("/>"))) {
        data(h, span_sub(h->s, i, end));
        return end;
    }
    struct span name = span_sub(h->s, i + 1, name_end);
    if (span_eq(rest, SPAN(">")) && span_ieq(name, SPAN("script")))
        h->raw_element = SPAN("script");
    else if (span_eq(rest, SPAN(">")) && span_ieq(name, SPAN("style")))
        h->raw_element = SPAN("style");
    return end;
}

/* --- other markup --- */

/* Behind the '>' that follows; SIZE_MAX: there is none. */
static size_t behind_bracket(const struct html *h, size_t i)
{
    size_t end = i <= h->s.n ? find(h, i, '>') : SIZE_MAX;
    return end == SIZE_MAX ? end : end + 1;
}

/* "-->" with blanks between "--" and ">". */
static size_t comment_end(const struct html *h, size_t i)
{
    for (i += 4; i + 1 < h->s.n; i++) {
        if (h->s.p[i] != '-' || h->s.p[i + 1] != '-')
            continue;
        size_t j = skip_space(h, i + 2);
        if (at(h, j) == '>' && j < h->s.n)
            return j + 1;
        if (j > i + 2)
            i = j - 1; /* blanks were looked at */
    }
    return SIZE_MAX;
}

/* "]" blanks ["]" blanks] ">" from i on. */
static size_t section_end(const struct html *h, size_t i, bool twice)
{
    for (; i < h->s.n; i++) {
        if (h->s.p[i] != ']')
            continue;
        size_t j = skip_space(h, i + 1);
        if (twice) {
            if (at(h, j) != ']' || j >= h->s.n)
                continue;
            j = skip_space(h, j + 1);
        }
        if (j < h->s.n && h->s.p[j] == '>')
            return j + 1;
    }
    return SIZE_MAX;
}

/* parse_marked_section. Keywords it does not know end Python's parser with an exception; here with
 * what was found so far. */
static size_t marked_section(const struct html *h, size_t i)
{
    static const char *const standard[] = {"temp", "cdata", "ignore", "include", "rcdata"};
    static const char *const office[] = {"if", "else", "endif"};
    size_t from = i + 3, end = from;
    while (end < h->s.n && (ascii_isalnum(h->s.p[end]) || memchr("-_.", h->s.p[end], 3)))
        end++;
    struct span name = span_sub(h->s, from, end);
    if (!name.n || !ascii_isalpha(name.p[0]) || skip_space(h, end) >= h->s.n)
        return SIZE_MAX;
    for (size_t k = 0; k < sizeof standard / sizeof *standard; k++)
        if (span_ieq(name, span_str(standard[k])))
            return section_end(h, from, true);
    for (size_t k = 0; k < sizeof office / sizeof *office; k++)
        if (span_ieq(name, span_str(office[k])))
            return section_end(h, from, false);
    return SIZE_MAX;
}

/* Behind the markup that begins at i with '<'; SIZE_MAX: not complete, the rest is dropped. */
static size_t markup(struct html *h, size_t i)
{
    if (i + 1 < h->s.n && ascii_isalpha(h->s.p[i + 1]))
        return start_tag(h, i);
    if (starts(h, i, "<!--"))
        return comment_end(h, i);
    if (starts(h, i, "<!["))
        return marked_section(h, i);
    if (starts(h, i, "</") || starts(h, i, "<?") || starts(h, i, "<!"))
        return behind_bracket(h, i + 2);
    if (i + 1 >= h->s.n)
        return SIZE_MAX;
    data(h, SPAN("<"));
    return i + 1;
}

/* Behind </script>; SIZE_MAX: it never ends. */
static size_t raw_end(struct html *h, size_t i)
{
    while ((i = find(h, i, '<')) != SIZE_MAX) {
        size_t j = at(h, i + 1) == '/' ? skip_space(h, i + 2) : SIZE_MAX;
        i++;
        if (j == SIZE_MAX || !span_istarts(span_from(h->s, j), h->raw_element))
            continue;
        j = skip_space(h, j + h->raw_element.n);
        if (j < h->s.n && h->s.p[j] == '>') {
            h->raw_element = SPAN_NONE;
            return j + 1;
        }
    }
    return SIZE_MAX;
}

/* A reference may go on behind the end: text with an '&' among its last 34 characters and neither
 * blank nor semicolon behind it waits for more. */
static bool waits(const struct html *h, size_t i)
{
    enum { TAIL = 34 };
    size_t from = h->s.n;
    for (int k = 0; k < TAIL && from > i; k++)
        do
            from--;
        while (from > i && ((unsigned char)h->s.p[from] & 0xc0) == 0x80);
    struct span tail = span_from(h->s, from);
    size_t amp = span_rfind(tail, '&');
    if (amp == SIZE_MAX)
        return false;
    for (size_t k = amp; k < tail.n; k += py_char(span_from(tail, k)))
        if (tail.p[k] == ';' || py_space(span_from(tail, k)))
            return false;
    return true;
}

struct span py_html_text(struct arena *a, struct span html)
{
    struct html h = {.a = a, .s = html};
    size_t i = 0;
    while (i < html.n) {
        if (h.raw_element.p) {
            i = raw_end(&h, i);
            continue;
        }
        size_t next = find(&h, i, '<');
        if (next == SIZE_MAX && waits(&h, i))
            break;
        if (next == SIZE_MAX)
            next = html.n;
        data(&h, py_unescape(a, span_sub(html, i, next)));
        i = next < html.n ? markup(&h, next) : next;
    }
    struct span out = arena_dup(a, buf_span(&h.out));
    buf_free(&h.out);
    return out;
}
