/* The parts of a message as Razor's agents see them, cleaned of codings and of HTML. */
#include "digests/base64.h"
#include "digests/razor_private.h"

/* Any bytes, NUL too. */
static struct span concat(struct arena *a, struct span x, const char *between, struct span y)
{
    size_t n = strlen(between);
    char *out = arena_raw(a, x.n + n + y.n + 1);
    if (x.n)
        memcpy(out, x.p, x.n);
    memcpy(out + x.n, between, n);
    if (y.n)
        memcpy(out + x.n + n, y.p, y.n);
    return span_of(out, x.n + n + y.n);
}

/* --- lines --- */

struct span razor_unix(struct arena *a, struct span raw)
{
    char *out = arena_raw(a, raw.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++)
        if (raw.p[i] != '\r' || i + 1 >= raw.n || raw.p[i + 1] != '\n')
            out[n++] = raw.p[i];
    return span_of(out, n);
}

/* \n\r*\n: where the header ends; SIZE_MAX: nowhere. *body: behind it. */
static size_t header_end(struct span s, size_t *body)
{
    for (size_t i = 0; i < s.n; i++) {
        size_t j = i + 1;
        if (s.p[i] != '\n')
            continue;
        while (j < s.n && s.p[j] == '\r')
            j++;
        if (j < s.n && s.p[j] == '\n') {
            *body = j + 1;
            return i;
        }
    }
    return SIZE_MAX;
}

/* Without CRs in front of an LF. */
static struct span without_cr(struct arena *a, struct span s)
{
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            while (n && out[n - 1] == '\r')
                n--;
        out[n++] = s.p[i];
    }
    return span_of(out, n);
}

/* --- parts --- */

/* Content-* and X-Razor2* fields, unfolded, each with LF. */
static struct span kept_fields(struct arena *a, struct span header)
{
    char *flat = arena_raw(a, header.n + 2);
    size_t n = 0;
    for (size_t i = 0; i < header.n; i++) {
        bool fold = header.p[i] == '\n' && i + 1 < header.n && ascii_isspace(header.p[i + 1]);
        if (!fold) {
            flat[n++] = header.p[i];
            continue;
        }
        while (i + 1 < header.n && ascii_isspace(header.p[i + 1]))
            i++;
    }
    struct span rest = span_of(flat, n), line;
    char *out = arena_raw(a, n + 2);
    size_t used = 0;
    while (rest.n) {
        size_t end = span_find(rest, '\n');
        line = span_sub(rest, 0, end);
        rest = span_from(rest, end == SIZE_MAX ? rest.n : end + 1);
        if (!span_istarts(line, SPAN("Content-")) && !span_istarts(line, SPAN("X-Razor2")))
            continue;
        memcpy(out + used, line.p, line.n);
        used += line.n;
        out[used++] = '\n';
    }
    return span_of(out, used);
}

/* Content-Type: multipart.+boundary=("[^"]+"|\S+) in one line, the last boundary of it. */
static struct span boundary_of(struct span fields)
{
    static const struct span want = {"Content-Type: multipart", 23};
    for (struct span rest = fields; rest.n;) {
        size_t end = span_find(rest, '\n');
        struct span line = span_sub(rest, 0, end);
        rest = span_from(rest, end == SIZE_MAX ? rest.n : end + 1);
        size_t at = span_isearch(line, want);
        for (size_t i = line.n; at != SIZE_MAX && i > at + want.n + 1; i--) {
            struct span value = span_from(line, i);
            if (i < 9 || !span_ieq(span_sub(line, i - 9, i), SPAN("boundary=")) ||
                i - 9 <= at + want.n)
                continue;
            size_t quote =
                value.n && value.p[0] == '"' ? span_find(span_from(value, 1), '"') : SIZE_MAX;
            if (quote != SIZE_MAX && quote > 0)
                return span_sub(value, 1, quote + 1);
            size_t n = 0;
            while (n < value.n && !ascii_isspace(value.p[n]))
                n++;
            if (n)
                return span_sub(value, 0, n);
        }
    }
    return SPAN("");
}

static void add_part(struct razor_parts *p, struct span header, struct span body)
{
    struct arena *a = p->a;
    if (p->n >= RAZOR_PARTS || body.n == 0 || span_eq(body, SPAN("0")))
        return;
    body = without_cr(a, body);
    header = without_cr(a, header);
    if (body.n > RAZOR_PART_MAX)
        body.n = RAZOR_PART_MAX;
    *ARENA_PUSH(a, p->v, p->n, p->cap) =
        concat(a, concat(a, SPAN("X-Razor2-Agent: "), "\n", header), "\n", body);
}

/* Where the delimiter stands as a line of its own, from `from` on: \n--B\r*\n. *after: behind it.
 */
static size_t next_delimiter(struct span s, struct span delimiter, size_t from, size_t *after)
{
    for (;;) {
        size_t at = span_search(span_from(s, from), delimiter);
        if (at == SIZE_MAX)
            return SIZE_MAX;
        at += from;
        size_t j = at + delimiter.n;
        while (j < s.n && s.p[j] == '\r')
            j++;
        if (j < s.n && s.p[j] == '\n') {
            *after = j + 1;
            return at;
        }
        from = at + 1;
    }
}

static void split(struct razor_parts *p, struct span s, unsigned depth);

static bool blank(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isspace(s.p[i]))
            return false;
    return true;
}

static void split_multipart(struct razor_parts *p, struct span body, struct span boundary,
                            unsigned depth)
{
    struct span delimiter = arena_printf(p->a, "\n--%.*s", SPAN_ARG(boundary));
    struct span last = arena_printf(p->a, "%.*s--", SPAN_ARG(delimiter));
    size_t after = 0;
    body = span_sub(body, 0, span_search(body, last));
    if (span_search(body, span_from(delimiter, 1)) == SIZE_MAX) {
        if (!blank(body))
            split(p, body, depth + 1);
        return;
    }
    struct span first = concat(p->a, SPAN(""), "\n", body);
    /* A delimiter at the very start counts, though no line ends in front of it. */
    if (next_delimiter(first, delimiter, 0, &after) == 0)
        body = first;
    if (next_delimiter(body, delimiter, 0, &after) == SIZE_MAX)
        return;
    while (p->n < RAZOR_PARTS && after <= body.n) {
        size_t next, end = next_delimiter(body, delimiter, after, &next);
        struct span part = span_sub(body, after, end);
        if (!blank(part))
            split(p, part, depth + 1);
        if (end == SIZE_MAX)
            break;
        after = next;
    }
}

static void split(struct razor_parts *p, struct span s, unsigned depth)
{
    size_t body_at = s.n, end = header_end(s, &body_at);
    struct span header = span_sub(s, 0, end), body = span_from(s, body_at);
    bool headed = end != SIZE_MAX && body.n && !span_eq(body, SPAN("0"));
    if (depth && !span_istarts(header, SPAN("Content-Type:")))
        headed = false;
    if (!headed) { /* all of it is body; a line end in front of it is its header's */
        add_part(p, SPAN(""), s.n && s.p[0] == '\n' ? span_from(s, 1) : s);
        return;
    }
    header = kept_fields(p->a, header);
    struct span boundary = boundary_of(header);
    if (!boundary.n || depth >= DEPTH_MAX)
        add_part(p, header, body);
    else
        split_multipart(p, body, boundary, depth);
}

void razor_split(struct arena *a, struct span raw, struct razor_parts *out)
{
    *out = (struct razor_parts){.a = a};
    split(out, raw, 0);
}

/* --- cleaning --- */

/* ^NAME of some line, without regard to case. */
static bool has_line(struct span s, struct span name)
{
    while (s.n) {
        if (span_istarts(s, name))
            return true;
        size_t end = span_find(s, '\n');
        s = span_from(s, end == SIZE_MAX ? s.n : end + 1);
    }
    return false;
}

/* From the blank line behind the field up to the first '='; what is no base64 is passed over. */
static struct span without_base64(struct arena *a, struct span text)
{
    static const struct span field = {"Content-Transfer-Encoding: base64", 33};
    if (!has_line(text, field))
        return text;
    size_t body_at = text.n, end = header_end(text, &body_at);
    struct span header = span_sub(text, 0, end);
    struct span in = span_from(text, span_isearch(text, field) + field.n);
    size_t gap = in.n, at = header_end(in, &gap);
    in = at == SIZE_MAX ? in : span_from(in, gap);
    in = span_sub(in, 0, at == SIZE_MAX ? in.n : span_find(in, '='));
    char *out = arena_raw(a, in.n + 1);
    size_t n = 0;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < in.n; i++) {
        int v = base64_value(in.p[i]);
        if (v < 0)
            continue;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have);
        }
    }
    return concat(a, header, "\n\n", span_of(out, n));
}

static struct span without_qp(struct arena *a, struct span text)
{
    size_t body_at = text.n, end = header_end(text, &body_at);
    struct span header = span_sub(text, 0, end), in = span_from(text, body_at);
    if (!has_line(header, SPAN("Content-Transfer-Encoding: quoted-printable")))
        return text;
    char *soft = arena_raw(a, in.n + 1), *out = arena_raw(a, in.n + 1);
    size_t m = 0, n = 0;
    for (size_t i = 0; i < in.n; i++) { /* soft line ends first: what they join may be a code */
        size_t cr = i + 1 < in.n && in.p[i + 1] == '\r';
        if (in.p[i] == '=' && i + 1 + cr < in.n && in.p[i + 1 + cr] == '\n')
            i += 1 + cr;
        else
            soft[m++] = in.p[i];
    }
    for (size_t i = 0; i < m; i++) {
        bool code = soft[i] == '=' && i + 2 < m && ascii_hex(soft[i + 1]) >= 0 &&
                    ascii_hex(soft[i + 2]) >= 0;
        out[n++] = soft[i];
        if (code)
            out[n - 1] = (char)(ascii_hex(soft[i + 1]) << 4 | ascii_hex(soft[i + 2]));
        i += code ? 2 : 0;
    }
    return concat(a, header, "\n\n", span_of(out, n));
}

static struct span without_newlines(struct arena *a, struct span text)
{
    size_t body_at = text.n, end = header_end(text, &body_at);
    struct span header = span_sub(text, 0, end), body = span_from(text, body_at);
    size_t n = body.n;
    while (n && body.p[n - 1] == '\n')
        n--;
    return n == body.n ? text : concat(a, header, "\n\n", span_sub(body, 0, n));
}

struct span razor_cleaned(struct arena *a, struct span part, bool without_html)
{
    size_t body_at = part.n;
    part = without_qp(a, without_base64(a, part));
    if (without_html)
        part = razor_without_html(a, part);
    part = without_newlines(a, part);
    return header_end(part, &body_at) == SIZE_MAX ? SPAN("") : span_from(part, body_at);
}

void razor_whole(struct arena *a, struct buf *out, struct span raw)
{
    enum { HEADER_MAX = 15 * 1024 };
    struct razor_parts parts;
    size_t body_at = 0;
    struct span text = razor_unix(a, raw);
    struct span header = span_sub(text, 0, header_end(text, &body_at));
    razor_split(a, text, &parts);
    buf_str(out, "-a=r&message=*\r\n");
    buf_add(out, span_sub(header, 0, HEADER_MAX));
    buf_char(out, '\n');
    for (size_t i = 0; i < parts.n; i++) {
        buf_str(out, "\r\n");
        buf_add(out, parts.v[i]);
    }
    buf_str(out, "\r\n.\r\n");
}
