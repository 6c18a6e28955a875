/* Names and types of a part, in every reading that some mail program has. SpamAssassin's (mime/) is
 * one; RFC 2231 with its percent signs and pieces, encoded-words in parameters, fields that stand
 * twice are others. A name that is blocked must be found in any of them. */
#include "policy/parts_private.h"

#include "base/buf.h"

enum { VALUE_MAX = 65536 };

/* One parameter as it is written: "name*1*" is {name, 1, true}. */
struct param {
    struct span name, value;
    unsigned piece; /* PART_SEGMENTS_MAX: not a piece */
    bool percent;
};

static void add(struct arena *a, struct span **v, size_t *n, struct span s)
{
    for (size_t i = 0; i < *n; i++)
        if (span_eq((*v)[i], s))
            return;
    if (*n == PART_NAMES_MAX)
        return;
    if (!*v)
        *v = arena_array(a, PART_NAMES_MAX, sizeof **v);
    (*v)[(*n)++] = s;
}

/* U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069: marks that turn "exe.gpj" around. */
static size_t direction_mark(struct span s, size_t i)
{
    if (i + 2 >= s.n || s.p[i] != '\xe2')
        return 0;
    unsigned char b = (unsigned char)s.p[i + 1], c = (unsigned char)s.p[i + 2];
    bool mark = (b == 0x80 && (c == 0x8e || c == 0x8f || (c >= 0xaa && c <= 0xae))) ||
                (b == 0x81 && c >= 0xa6 && c <= 0xa9);
    return mark ? 3 : 0;
}

/* As it would be saved: without path, controls, marks, and without the dots and spaces at its end
 * that Windows drops. */
struct span part_clean_name(struct arena *a, struct span s)
{
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        size_t mark = direction_mark(s, i);
        unsigned char c = (unsigned char)s.p[i];
        i += mark ? mark : 1;
        if (mark || c < ' ' || c == 0x7f)
            continue;
        out[n++] = (char)c;
        if (c == '/' || c == '\\')
            n = 0;
    }
    while (n > 0 && (out[n - 1] == '.' || out[n - 1] == ' '))
        n--;
    return span_trim(span_of(out, n));
}

static void add_name(struct parts *ps, struct part_facts *p, struct span name)
{
    struct span clean = part_clean_name(ps->arena, name);
    if (clean.n > 0)
        add(ps->arena, &p->names, &p->nnames, clean);
}

static struct span percent_decoded(struct arena *a, struct span s)
{
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool hex = s.p[i] == '%' && i + 2 < s.n && ascii_hex(s.p[i + 1]) >= 0 &&
                   ascii_hex(s.p[i + 2]) >= 0;
        out[n++] = hex ? (char)(ascii_hex(s.p[i + 1]) * 16 + ascii_hex(s.p[i + 2])) : s.p[i];
        i += hex ? 2 : 0;
    }
    return span_of(out, n);
}

static struct span to_utf8(struct arena *a, struct span bytes, struct span charset)
{
    bool chars;
    return charset.n ? mime_normalise(a, bytes, charset, true, &chars) : bytes;
}

/* charset'language'text (RFC 2231 section 4). */
static struct span extended(struct arena *a, struct span s, struct span *charset)
{
    size_t first = span_find(s, '\'');
    size_t second = first == SIZE_MAX ? SIZE_MAX : span_find(span_from(s, first + 1), '\'');
    if (second == SIZE_MAX)
        return percent_decoded(a, s);
    *charset = span_sub(s, 0, first);
    return percent_decoded(a, span_from(s, first + second + 2));
}

/* --- parameters --- */

/* A quoted string with its backslashes resolved, or everything up to ';'. */
static struct span next_value(struct arena *a, struct span s, size_t *at)
{
    size_t i = *at;
    while (i < s.n && ascii_isspace(s.p[i]))
        i++;
    if (i < s.n && s.p[i] == '"') {
        char *out = arena_raw(a, s.n - i);
        size_t n = 0;
        for (i++; i < s.n && s.p[i] != '"'; i++) {
            i += s.p[i] == '\\' && i + 1 < s.n;
            out[n++] = s.p[i];
        }
        *at = i + 1;
        return span_of(out, n);
    }
    size_t from = i;
    while (i < s.n && s.p[i] != ';')
        i++;
    *at = i;
    return span_trim(span_sub(s, from, i));
}

static void read_param_name(struct span s, struct param *p)
{
    s = span_trim(s);
    p->piece = PART_SEGMENTS_MAX;
    if (s.n && s.p[s.n - 1] == '*') {
        p->percent = true;
        s = span_sub(s, 0, s.n - 1);
    }
    size_t star = span_find(s, '*');
    uint64_t number;
    if (star != SIZE_MAX && span_u64(span_from(s, star + 1), &number)) {
        if (number < PART_SEGMENTS_MAX)
            p->piece = (unsigned)number;
        s = span_sub(s, 0, star);
    }
    p->name = s;
}

/* The next "name=value" behind a ';'. */
static bool next_param(struct arena *a, struct span s, size_t *at, struct param *out)
{
    while (*at < s.n) {
        size_t end = *at;
        while (end < s.n && s.p[end] != '=' && s.p[end] != ';')
            end++;
        struct span name = span_sub(s, *at, end);
        *at = end + 1;
        if (end >= s.n || s.p[end] == ';')
            continue;
        *out = (struct param){0};
        read_param_name(name, out);
        out->value = next_value(a, s, at);
        while (*at < s.n && s.p[*at] != ';')
            (*at)++;
        (*at)++;
        return true;
    }
    return false;
}

static bool names_a_file(struct span name)
{
    return span_ieq(name, SPAN("name")) || span_ieq(name, SPAN("filename"));
}

struct pieces {
    struct span v[PART_SEGMENTS_MAX];
    bool percent[PART_SEGMENTS_MAX];
    bool any;
};

static void join(struct parts *ps, struct part_facts *p, const struct pieces *pieces)
{
    struct span charset = SPAN_NONE;
    size_t n = 0, i;
    for (i = 0; i < PART_SEGMENTS_MAX; i++)
        n += pieces->v[i].n;
    char *out = arena_raw(ps->arena, n + 1);
    n = 0;
    for (i = 0; i < PART_SEGMENTS_MAX && pieces->v[i].p; i++) {
        struct span s = pieces->v[i];
        if (pieces->percent[i])
            s = i == 0 ? extended(ps->arena, s, &charset) : percent_decoded(ps->arena, s);
        if (s.n)
            memcpy(out + n, s.p, s.n);
        n += s.n;
    }
    add_name(ps, p, to_utf8(ps->arena, span_of(out, n), charset));
}

static void read_field(struct parts *ps, struct part_facts *p, struct mime_field *f)
{
    struct span raw = span_sub(f->raw, 0, VALUE_MAX), charset = SPAN_NONE;
    struct pieces *pieces = ARENA_NEW(ps->arena, struct pieces);
    struct param param;
    size_t at = span_find(raw, ';');
    at = at == SIZE_MAX ? raw.n : at + 1;
    while (next_param(ps->arena, raw, &at, &param)) {
        if (!names_a_file(param.name))
            continue;
        if (param.piece < PART_SEGMENTS_MAX) {
            pieces->v[param.piece] = param.value.p ? param.value : SPAN("");
            pieces->percent[param.piece] = param.percent;
            pieces->any = true;
        } else if (param.percent) {
            struct span text = extended(ps->arena, param.value, &charset);
            add_name(ps, p, to_utf8(ps->arena, text, charset));
        } else {
            add_name(ps, p, mime_decode_text(ps->arena, param.value));
            add_name(ps, p, param.value);
        }
    }
    if (pieces->any)
        join(ps, p, pieces);
}

static void read_type(struct parts *ps, struct part_facts *p, struct mime_field *f)
{
    struct span v = mime_decoded(ps->mime, f);
    v = span_trim(span_sub(v, 0, span_find(v, ';')));
    if (v.n > 0)
        add(ps->arena, &p->types, &p->ntypes, arena_lower(ps->arena, v));
}

/* A text may hold files of its own, as they were sent before MIME. */
static void read_uuencoded(struct parts *ps, struct part_facts *p)
{
    if (!span_starts(p->part->type, SPAN("text/")) ||
        span_search(p->part->body, SPAN("begin ")) == SIZE_MAX)
        return;
    size_t n;
    struct mime_uu *uu = mime_uudecode_all(ps->arena, mime_body(ps->mime, p->part), &n);
    for (size_t i = 0; i < n; i++)
        add_name(ps, p, uu[i].name);
}

void part_read_names(struct parts *ps, struct part_facts *p)
{
    static const char *const fields[] = {"Content-Disposition", "Content-Type"};
    struct mime_fields *f = &p->part->fields;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; (i = mime_find(f, span_str(fields[k]), i)) < f->n; i++) {
            read_field(ps, p, &f->v[i]);
            if (k == 1)
                read_type(ps, p, &f->v[i]);
        }
    if (p->part->name.n)
        add_name(ps, p, p->part->name);
    if (!p->part->child)
        read_uuencoded(ps, p);
    if (p->ntypes == 0)
        add(ps->arena, &p->types, &p->ntypes, p->part->type.n ? p->part->type : SPAN("text/plain"));
}

static void add_unfolded(struct buf *b, struct span s)
{
    s = span_trim(s);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '\r' && s.p[i] != '\n')
            buf_char(b, s.p[i] == '\t' ? ' ' : s.p[i]);
}

struct span part_without_names(struct arena *a, struct span value)
{
    struct buf b = {0};
    struct param param;
    size_t at = span_find(value, ';'), from;
    add_unfolded(&b, span_sub(value, 0, at));
    for (at = from = at == SIZE_MAX ? value.n : at + 1; next_param(a, value, &at, &param);
         from = at) {
        if (names_a_file(param.name))
            continue;
        buf_str(&b, "; ");
        add_unfolded(&b, span_sub(value, from, at - 1));
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

struct span part_name_shown(const struct part_facts *p)
{
    return p->nnames ? p->names[0] : SPAN("");
}
