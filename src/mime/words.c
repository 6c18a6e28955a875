/* Encoded-words in header values (RFC 2047), read as SpamAssassin reads them (semantics 3.1). */
#include "mime/mime_private.h"

struct word {
    struct span charset, text;
    char encoding; /* 'b' or 'q' */
    size_t length; /* of the whole word */
};

static bool charset_char(char c)
{
    return ascii_isalnum(c) || c == '*' || c == '_' || c == '-';
}

/* "=?" charset "?" encoding "?" text "?=", the text without any '?'. */
static bool word_at(struct span s, size_t at, struct word *w)
{
    s = span_from(s, at);
    if (s.n < 8 || s.p[0] != '=' || s.p[1] != '?')
        return false;
    size_t i = 2;
    while (i < s.n && charset_char(s.p[i]))
        i++;
    w->charset = span_sub(s, 2, i);
    if (i == 2 || i + 2 >= s.n || s.p[i] != '?' || s.p[i + 2] != '?')
        return false;
    w->encoding = ascii_lower(s.p[i + 1]);
    if (w->encoding != 'b' && w->encoding != 'q')
        return false;
    struct span rest = span_from(s, i + 3);
    size_t end = span_find(rest, '?');
    if (end == SIZE_MAX || end + 1 >= rest.n || rest.p[end + 1] != '=')
        return false;
    w->text = span_sub(rest, 0, end);
    w->length = i + 3 + end + 2;
    return true;
}

static struct span word_bytes(struct arena *a, const struct word *w)
{
    if (w->encoding == 'b')
        return base64_decode(a, w->text).bytes;
    struct span in = w->text;
    if (memchr(in.p, '_', in.n)) {
        char *p = arena_cstr(a, in);
        for (size_t i = 0; i < in.n; i++)
            if (p[i] == '_')
                p[i] = ' ';
        /* an underscore is never white space that a line end could drop */
        in.p = p;
    }
    return qp_decode(a, in, false, NULL);
}

/* The result as it grows; adjacent words of one charset are converted together, because senders
 * split them inside characters. */
struct decoding {
    struct arena *a;
    char *out;
    size_t n, cap;
    char *pending; /* decoded bytes that wait for conversion */
    size_t npending, pending_cap;
    struct span charset;
};

static void append(struct arena *a, char **p, size_t *n, size_t *cap, struct span s)
{
    if (s.n > *cap - *n) {
        size_t want = (*n + s.n) * 2 + 64;
        *p = arena_grow(a, *p, *cap, want);
        *cap = want;
    }
    if (s.n)
        memcpy(*p + *n, s.p, s.n);
    *n += s.n;
}

static void convert_pending(struct decoding *d)
{
    if (!d->charset.p)
        return;
    struct span charset = span_sub(d->charset, 0, span_find(d->charset, '*'));
    bool chars;
    struct span text = mime_normalise(d->a, span_of(d->pending ? d->pending : "", d->npending),
                                      charset, true, &chars);
    append(d->a, &d->out, &d->n, &d->cap, text);
    d->npending = 0;
    d->charset = SPAN_NONE;
}

static void add_word(struct decoding *d, const struct word *w)
{
    if (d->charset.p && !span_ieq(d->charset, w->charset))
        convert_pending(d);
    d->charset = w->charset;
    append(d->a, &d->pending, &d->npending, &d->pending_cap, word_bytes(d->a, w));
}

struct span mime_decode_words(struct arena *a, struct span v)
{
    struct decoding d = {.a = a};
    struct word w;
    for (size_t at = 0; at < v.n;) {
        if (word_at(v, at, &w)) {
            add_word(&d, &w);
            at += w.length;
            size_t next = at; /* white space between two words goes */
            while (next < v.n && ascii_isspace(v.p[next]))
                next++;
            struct word ignored;
            if (next > at && word_at(v, next, &ignored))
                at = next;
            continue;
        }
        convert_pending(&d);
        struct span rest = span_from(v, at + 1);
        size_t equals = span_find(rest, '=');
        size_t end = equals == SIZE_MAX ? v.n : at + 1 + equals;
        append(a, &d.out, &d.n, &d.cap, span_sub(v, at, end));
        at = end;
    }
    convert_pending(&d);
    return span_of(d.out ? d.out : "", d.n);
}
