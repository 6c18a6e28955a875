#include "digests/pymail.h"

/* What ends the reading of a part: a delimiter of a multipart around it, or an empty line in a
 * message/delivery-status. */
struct stop {
    bool blank;
    struct span delimiter; /* with its two hyphens */
};

struct reader {
    struct arena *a;
    struct span raw;
    size_t at;
    struct stop stops[PYMAIL_DEPTH + 2];
    unsigned depth;
    size_t nstops, parts;
    pymail_fn *fn;
    void *ctx;
};

/* The fields of a header block that matter here, as written (unfolded by nobody); the first of
 * each name counts. */
struct block {
    struct span type, encoding;
};

/* --- lines --- */

bool pymail_line(struct span *rest, struct span *line)
{
    if (rest->n == 0)
        return false;
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '\n' && rest->p[n] != '\r')
        n++;
    if (n + 1 < rest->n && rest->p[n] == '\r' && rest->p[n + 1] == '\n')
        n++;
    n += n < rest->n;
    *line = span_sub(*rest, 0, n);
    *rest = span_from(*rest, n);
    return true;
}

static struct span without_end(struct span line)
{
    while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
        line.n--;
    return line;
}

static bool is_blank(struct span line)
{
    return line.n && (line.p[0] == '\n' || line.p[0] == '\r');
}

/* Whether the line is this delimiter; *last: the one at the end of the multipart. */
static bool is_delimiter(struct span line, struct span delimiter, bool *last)
{
    *last = false;
    if (!span_starts(line, delimiter))
        return false;
    struct span rest = span_from(without_end(line), delimiter.n);
    if (span_starts(rest, SPAN("--"))) {
        *last = true;
        rest = span_from(rest, 2);
    }
    while (rest.n && (rest.p[0] == ' ' || rest.p[0] == '\t'))
        rest = span_from(rest, 1);
    return rest.n == 0;
}

static bool stops_here(const struct reader *r, struct span line)
{
    bool last;
    for (size_t i = 0; i < r->nstops; i++)
        if (r->stops[i].blank ? is_blank(line) : is_delimiter(line, r->stops[i].delimiter, &last))
            return true;
    return false;
}

/* The next line of what is being read; false at its end. The line is not taken yet: see `take`. */
static bool peek(const struct reader *r, struct span *line)
{
    struct span rest = span_from(r->raw, r->at);
    return pymail_line(&rest, line) && !stops_here(r, *line);
}

static bool take(struct reader *r, struct span *line)
{
    bool found = peek(r, line);
    r->at += found ? line->n : 0;
    return found;
}

/* All that is left of it. */
static struct span take_rest(struct reader *r)
{
    size_t from = r->at;
    struct span line;
    while (take(r, &line))
        ;
    return span_sub(r->raw, from, r->at);
}

/* --- header --- */

/* headerRE: "From ", a field name (may be empty) with its colon, or a continuation. */
static bool is_header(struct span line)
{
    if (span_starts(line, SPAN("From ")))
        return true;
    if (line.n && (line.p[0] == ' ' || line.p[0] == '\t'))
        return true;
    size_t n = 0;
    while (n < line.n && line.p[n] > ' ' && line.p[n] < 127 && line.p[n] != ':')
        n++;
    return n < line.n && line.p[n] == ':';
}

/* value: from behind the colon to the end of the field's last line. */
static void keep_field(struct block *b, struct span name, struct span value)
{
    struct span *slot = NULL;
    if (span_ieq(name, SPAN("Content-Type")))
        slot = &b->type;
    else if (span_ieq(name, SPAN("Content-Transfer-Encoding")))
        slot = &b->encoding;
    if (!slot || slot->p)
        return;
    while (value.n && (value.p[0] == ' ' || value.p[0] == '\t'))
        value = span_from(value, 1);
    *slot = without_end(value);
}

/* Reads lines up to the one that is no header line. A "From " line at the end belongs to the body.
 */
static void read_header(struct reader *r, struct block *b)
{
    struct span line, name = SPAN_NONE, value = SPAN_NONE;
    size_t last_from = SIZE_MAX, start = r->at;
    while (peek(r, &line) && is_header(line)) {
        size_t at = r->at;
        r->at += line.n;
        last_from = SIZE_MAX;
        if (line.p[0] == ' ' || line.p[0] == '\t') {
            if (name.p)
                value.n += line.n;
            continue;
        }
        if (name.p)
            keep_field(b, name, value);
        name = SPAN_NONE;
        if (span_starts(line, SPAN("From "))) {
            last_from = at;
            continue;
        }
        size_t colon = span_find(line, ':');
        if (colon == 0)
            continue;
        name = span_sub(line, 0, colon);
        value = span_from(line, colon + 1);
    }
    if (name.p)
        keep_field(b, name, value);
    if (last_from != SIZE_MAX && last_from != start)
        r->at = last_from;
    else if (peek(r, &line) && is_blank(line))
        r->at += line.n;
}

/* --- parameters of Content-Type --- */

/* email.utils.unquote */
static struct span unquote(struct arena *a, struct span s)
{
    if (s.n > 1 && s.p[0] == '<' && s.p[s.n - 1] == '>')
        return span_sub(s, 1, s.n - 1);
    if (s.n < 2 || s.p[0] != '"' || s.p[s.n - 1] != '"')
        return s;
    char *out = arena_raw(a, s.n);
    size_t n = 0;
    for (size_t i = 1; i + 1 < s.n; i++) {
        if (s.p[i] == '\\' && i + 2 < s.n && (s.p[i + 1] == '\\' || s.p[i + 1] == '"'))
            i++;
        out[n++] = s.p[i];
    }
    return span_of(out, n);
}

/* Where the parameter that begins s ends: a semicolon outside of quotes. */
static size_t parameter_end(struct span s)
{
    bool open = false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' && (i == 0 || s.p[i - 1] != '\\'))
            open = !open;
        else if (s.p[i] == ';' && !open)
            return i;
    }
    /* A quote that is never closed hides no semicolon behind it for ever: Python takes all. */
    return s.n;
}

/* RFC 2231: CHARSET'LANGUAGE'text with %XX. */
static struct span extended(struct arena *a, struct span s)
{
    for (int quotes = 0; quotes < 2; quotes++) {
        size_t at = span_find(s, '\'');
        if (at == SIZE_MAX)
            break;
        s = span_from(s, at + 1);
    }
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' && i + 2 < s.n && ascii_hex(s.p[i + 1]) >= 0 &&
            ascii_hex(s.p[i + 2]) >= 0) {
            out[n++] = (char)(ascii_hex(s.p[i + 1]) << 4 | ascii_hex(s.p[i + 2]));
            i += 2;
        } else {
            out[n++] = s.p[i];
        }
    }
    return span_of(out, n);
}

/* get_param(name): absent when there is none. */
static struct span parameter(struct arena *a, struct span value, const char *name)
{
    struct span found = SPAN_NONE, want = span_str(name);
    for (bool first = true; value.n; first = false) {
        size_t end = parameter_end(value);
        struct span one = span_trim(span_sub(value, 0, end));
        size_t equals = span_find(one, '=');
        value = span_from(value, end + 1);
        struct span key = span_trim(span_sub(one, 0, equals));
        struct span text = equals == SIZE_MAX ? SPAN("") : span_trim(span_from(one, equals + 1));
        if (span_ieq(key, want))
            return unquote(a, text);
        if (!found.p && !first && key.n == want.n + 1 && key.p[want.n] == '*' &&
            span_ieq(span_sub(key, 0, want.n), want))
            found = extended(a, unquote(a, text));
    }
    return found; /* those of RFC 2231 come last */
}

static struct span content_type(struct arena *a, const struct block *b, bool in_digest)
{
    if (!b->type.p)
        return in_digest ? SPAN("message/rfc822") : SPAN("text/plain");
    struct span type = span_trim(span_sub(b->type, 0, span_find(b->type, ';')));
    size_t slash = span_find(type, '/');
    if (slash == SIZE_MAX || slash != span_rfind(type, '/'))
        return SPAN("text/plain");
    return arena_lower(a, type);
}

static struct span charset_of(struct arena *a, const struct block *b)
{
    struct span s = b->type.p ? parameter(a, b->type, "charset") : SPAN_NONE;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return SPAN_NONE;
    return s.p ? arena_lower(a, s) : SPAN_NONE;
}

/* --- parts --- */

static void read_part(struct reader *r, bool in_digest);

static void tell(struct reader *r, const struct block *b, struct span type, struct span payload)
{
    if (r->parts++ >= PYMAIL_PARTS)
        return;
    struct pymail_part p = {.type = type,
                            .charset = charset_of(r->a, b),
                            .encoding = arena_lower(r->a, b->encoding.p ? b->encoding : SPAN("")),
                            .payload = payload};
    r->fn(r->ctx, &p);
}

/* From behind a delimiter to the next one. */
static void read_inner(struct reader *r, struct span delimiter, bool digest)
{
    struct span line, rest = span_from(r->raw, r->at);
    bool last;
    while (pymail_line(&rest, &line) && !stops_here(r, line) &&
           is_delimiter(line, delimiter, &last)) /* the end is such a line, too */
        r->at += line.n;
    r->stops[r->nstops++] = (struct stop){.delimiter = delimiter};
    read_part(r, digest);
    r->nstops--;
}

static void read_multipart(struct reader *r, const struct block *b, struct span type)
{
    struct span boundary = parameter(r->a, b->type.p ? b->type : SPAN(""), "boundary"), line;
    if (!boundary.p) {
        tell(r, b, type, take_rest(r));
        return;
    }
    boundary = unquote(r->a, boundary);
    while (boundary.n && ascii_isspace(boundary.p[boundary.n - 1]))
        boundary.n--;
    struct span delimiter = arena_printf(r->a, "--%.*s", SPAN_ARG(boundary));
    bool preamble = true, last = false;
    size_t from = r->at, to = r->at;
    while (!last && r->parts < PYMAIL_PARTS && take(r, &line)) {
        if (!is_delimiter(line, delimiter, &last)) {
            to = r->at;
        } else if (!last) {
            preamble = false;
            read_inner(r, delimiter, span_eq(type, SPAN("multipart/digest")));
        }
    }
    take_rest(r);
    if (preamble)
        tell(r, b, type, span_sub(r->raw, from, to));
}

/* Blocks of fields, each a message of its own. */
static void read_delivery_status(struct reader *r)
{
    struct span line;
    do {
        r->stops[r->nstops++] = (struct stop){.blank = true};
        read_part(r, false);
        r->nstops--;
        take(r, &line);
    } while (r->parts++ < PYMAIL_PARTS && peek(r, &line));
    take_rest(r);
}

static void read_part(struct reader *r, bool in_digest)
{
    struct block b = {0};
    read_header(r, &b);
    struct span type = content_type(r->a, &b, in_digest);
    if (r->depth >= PYMAIL_DEPTH) {
        tell(r, &b, type, take_rest(r));
        return;
    }
    r->depth++;
    if (span_eq(type, SPAN("message/delivery-status")))
        read_delivery_status(r);
    else if (span_starts(type, SPAN("message/")))
        read_part(r, false);
    else if (span_starts(type, SPAN("multipart/")))
        read_multipart(r, &b, type);
    else
        tell(r, &b, type, take_rest(r));
    r->depth--;
}

void pymail_walk(struct arena *a, struct span raw, pymail_fn *fn, void *ctx)
{
    struct reader r = {.a = a, .raw = raw, .fn = fn, .ctx = ctx};
    read_part(&r, false);
}
