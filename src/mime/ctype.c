/* Content-Type as SpamAssassin reads it (semantics 3.3): not RFC 2045's grammar, but what mail in
 * the wild needs. Parameters are searched for by name anywhere in the value. */
#include "mime/mime_private.h"

/* Pieces of an RFC 2231 name beyond this number are not looked at. */
enum { NAME_PIECES_MAX = 100 };

static bool is_word(char c)
{
    return ascii_isalnum(c) || c == '_';
}

/* Next occurrence of the word (or of "file" before it, when `file`) that begins a word, at or after
 * *at; *at goes behind it. */
static bool next_word(struct span s, struct span word, bool file, size_t *at)
{
    for (size_t i = *at; i + word.n <= s.n; i++) {
        if (i > 0 && is_word(s.p[i - 1]))
            continue;
        size_t skip = file && span_istarts(span_from(s, i), SPAN("file")) ? 4 : 0;
        if (span_istarts(span_from(s, i + skip), word)) {
            *at = i + skip + word.n;
            return true;
        }
    }
    return false;
}

static size_t skip_space(struct span s, size_t at)
{
    while (at < s.n && ascii_isspace(s.p[at]))
        at++;
    return at;
}

/* White space, '=', white space: position behind it, or SIZE_MAX. */
static size_t skip_equals(struct span s, size_t at)
{
    at = skip_space(s, at);
    return at < s.n && s.p[at] == '=' ? skip_space(s, at + 1) : SIZE_MAX;
}

static bool is_quote(struct span s, size_t at)
{
    return at < s.n && (s.p[at] == '"' || s.p[at] == '\'');
}

/* An optional quote, then everything up to ';' (or the end) less one closing quote. *at goes behind
 * the ';'. A line end inside makes it no value; *hopeless remembers where, as every value that
 * starts before it runs into it. */
static struct span loose_value(struct span s, size_t *at, size_t *hopeless)
{
    if (*at < *hopeless)
        return SPAN_NONE;
    size_t from = *at + is_quote(s, *at), to = from;
    while (to < s.n && s.p[to] != ';' && s.p[to] != '\n')
        to++;
    if (to < s.n && s.p[to] == '\n' && to + 1 != s.n) {
        *hopeless = to;
        return SPAN_NONE;
    }
    *at = to < s.n ? to + 1 : s.n;
    if (to > from && is_quote(s, to - 1))
        to--;
    return span_sub(s, from, to);
}

static struct span find_param(struct span s, struct span word, bool file)
{
    size_t hopeless = 0;
    for (size_t at = 0; next_word(s, word, file, &at);) {
        size_t value = skip_equals(s, at);
        struct span v = value == SIZE_MAX ? SPAN_NONE : loose_value(s, &value, &hopeless);
        if (v.p)
            return v;
    }
    return SPAN_NONE;
}

/* "*N" at: the number, and *at goes behind it. SIZE_MAX when there is none or it is too large. */
static size_t piece_number(struct span s, size_t *at)
{
    size_t i = *at, n = 0;
    if (i >= s.n || s.p[i] != '*')
        return SIZE_MAX;
    size_t digits = ++i;
    for (; i < s.n && ascii_isdigit(s.p[i]); i++)
        n = n < NAME_PIECES_MAX ? n * 10 + (size_t)(s.p[i] - '0') : n;
    if (i == digits || n >= NAME_PIECES_MAX)
        return SIZE_MAX;
    *at = i;
    return n;
}

/* Whether there is a piece 0 at all, be it inside the value of another. */
static bool has_first_piece(struct span s)
{
    for (size_t at = 0; next_word(s, SPAN("name"), true, &at);)
        if (span_starts(span_from(s, at), SPAN("*0")) && skip_equals(s, at + 2) != SIZE_MAX)
            return true;
    return false;
}

/* RFC 2231 section 3: name*0=...; name*1=... joined; of two pieces with one number the last counts.
 * Percent-encoded pieces (name*0*=) are not read, as in SpamAssassin. */
static struct span join_name(struct arena *a, struct span s)
{
    struct span pieces[NAME_PIECES_MAX] = {0};
    size_t last = 0, hopeless = 0;
    if (!has_first_piece(s))
        return SPAN_NONE;
    for (size_t at = 0; next_word(s, SPAN("name"), true, &at);) {
        size_t i = at;
        size_t number = piece_number(s, &i);
        size_t value = number == SIZE_MAX ? SIZE_MAX : skip_equals(s, i);
        if (value == SIZE_MAX)
            continue;
        struct span v = loose_value(s, &value, &hopeless);
        if (!v.p)
            continue;
        at = value;
        pieces[number] = v;
        last = number > last ? number : last;
    }
    char *out = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i <= last; i++) {
        if (pieces[i].n)
            memcpy(out + n, pieces[i].p, pieces[i].n);
        n += pieces[i].n;
    }
    return span_of(out, n);
}

/* A quoted string needs no closing quote; an unquoted value must be followed by space, ';' or the
 * end. Quotes are dropped. */
static struct span find_boundary(struct span s)
{
    size_t hopeless = 0; /* an unquoted value that starts before here runs into a quote */
    for (size_t at = 0; next_word(s, SPAN("boundary"), false, &at);) {
        size_t from = skip_equals(s, at);
        if (from == SIZE_MAX || from == s.n || from < hopeless)
            continue;
        if (s.p[from] == '"') {
            size_t to = ++from;
            while (to < s.n && s.p[to] != '"')
                to++;
            if (to > from)
                return span_sub(s, from, to);
            continue;
        }
        size_t to = from;
        while (to < s.n && !ascii_isspace(s.p[to]) && s.p[to] != '"' && s.p[to] != ';')
            to++;
        if (to > from && (to == s.n || s.p[to] != '"'))
            return span_sub(s, from, to);
        hopeless = to;
    }
    return SPAN_NONE;
}

bool is_false(struct span s)
{
    return s.n == 0 || (s.n == 1 && s.p[0] == '0');
}

static bool kept_in_type(char c)
{
    return c > ' ' && c < 0x7f && !strchr("\"(),:;<=>?@[\\]", c);
}

static struct span find_type(struct arena *a, struct span s, bool *missing)
{
    s = span_from(s, skip_space(s, 0));
    size_t end = span_find(s, ';');
    s = span_sub(s, 0, end);
    size_t slash = span_find(s, '/');
    if (slash != SIZE_MAX && slash > 0) {
        size_t to = slash + 1;
        while (to < s.n && s.p[to] != '/' && !ascii_isspace(s.p[to]))
            to++;
        s = span_sub(s, 0, to);
    }
    if (is_false(s)) {
        *missing = true;
        return SPAN("text/plain");
    }
    struct span type = arena_lower(a, s);
    bool text = span_starts(type, SPAN("text")) && (type.n == 4 || !is_word(type.p[4]));
    if (text && !span_eq(type, SPAN("text/x-vcard")) && !span_eq(type, SPAN("text/calendar")) &&
        !span_eq(type, SPAN("text/html")))
        return SPAN("text/plain");
    char *out = (char *)(uintptr_t)type.p;
    size_t n = 0;
    for (size_t i = 0; i < type.n; i++)
        if (kept_in_type(type.p[i]))
            out[n++] = type.p[i];
    return span_of(out, n);
}

struct mime_ctype mime_ctype_parse(struct arena *a, struct span value)
{
    struct mime_ctype ct = {0};
    if (is_false(value)) {
        ct.type = SPAN("text/plain");
        ct.charset = SPAN("us-ascii");
        ct.missing = true;
        return ct;
    }
    ct.boundary = find_boundary(value);
    ct.charset = find_param(value, SPAN("charset"), false);
    ct.name = find_param(value, SPAN("name"), true);
    if (is_false(ct.name)) {
        struct span joined = join_name(a, value);
        if (joined.p)
            ct.name = joined;
    }
    ct.type = find_type(a, value, &ct.missing);
    return ct;
}

struct mime_ctype part_ctype(struct mime *m, struct mime_part *p)
{
    struct mime_field *f = mime_last(&p->fields, SPAN("Content-Type"));
    return mime_ctype_parse(m->arena, f ? mime_decoded(m, f) : SPAN_NONE);
}
