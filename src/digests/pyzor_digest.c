/* The digest as pyzor 1.0 computes it (pyzor/digest.py): text of all parts in lines; in each line
 * long words, addresses and URLs are dropped, then all white space; lines of 8 characters and more
 * count. Up to four lines: all of them; else three at 20 % and three at 60 %. */
#include "digests/pyzor.h"

#include <openssl/sha.h>
#include <stdio.h>

#include "digests/pymail.h"
#include "digests/pytext.h"

enum { LINE_MIN = 8, WORD_MAX = 9, WHOLE = 4, PICKED = 3 };

struct lines {
    struct arena *a;
    struct span *v;
    size_t n, cap;
};

/* A word of up to nine characters with a name and a host around an '@'. */
static bool is_address(struct span w)
{
    struct span inner = span_sub(w, py_char(w), w.n);
    size_t last = span_rfind(inner, '@');
    return last != SIZE_MAX && (last + 1 < inner.n || span_find(inner, '@') < last);
}

/* [a-z]+:\S+ without regard to case; in Python that takes in four letters beyond ASCII. */
static size_t letter(struct span s)
{
    static const char *const others[] = {"\xc4\xb0", "\xc4\xb1", "\xc5\xbf", "\xe2\x84\xaa"};
    if (s.n && ascii_isalpha(s.p[0]))
        return 1;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (span_starts(s, span_str(others[i])))
            return strlen(others[i]);
    return 0;
}

/* What is left of the word in front of a URL. */
static struct span before_url(struct span w)
{
    for (size_t i = 0; i < w.n;) {
        size_t j = i, n;
        while ((n = letter(span_from(w, j))) > 0)
            j += n;
        if (j > i && j + 1 < w.n && w.p[j] == ':')
            return span_sub(w, 0, i);
        i = j > i ? j : i + py_char(span_from(w, i));
    }
    return w;
}

static size_t characters(struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static void take_line(struct lines *l, struct span line)
{
    char *out = NULL;
    size_t n = 0;
    for (size_t i = 0; i < line.n;) {
        size_t space = py_space(span_from(line, i)), end = i;
        if (space) {
            i += space;
            continue;
        }
        while (end < line.n && !py_space(span_from(line, end)))
            end += py_char(span_from(line, end));
        struct span word = span_sub(line, i, end);
        i = end;
        if (characters(word) > WORD_MAX || is_address(word))
            continue;
        word = before_url(word);
        if (!out)
            out = arena_raw(l->a, line.n);
        memcpy(out + n, word.p, word.n);
        n += word.n;
    }
    struct span norm = span_of(out ? out : "", n);
    if (characters(norm) >= LINE_MIN)
        *ARENA_PUSH(l->a, l->v, l->n, l->cap) = norm;
}

/* Bytes of the line end at the start of s (str.splitlines), or 0. */
static size_t line_end(struct span s)
{
    unsigned char c = (unsigned char)s.p[0];
    if (c == '\r')
        return 1 + (s.n > 1 && s.p[1] == '\n');
    if ((c >= '\n' && c <= '\f') || (c >= 0x1c && c <= 0x1e))
        return 1;
    if (span_starts(s, SPAN("\xc2\x85")))
        return 2;
    return span_starts(s, SPAN("\xe2\x80\xa8")) || span_starts(s, SPAN("\xe2\x80\xa9")) ? 3 : 0;
}

static void take_text(struct lines *l, struct span text)
{
    while (text.n) {
        size_t n = 0, end = 0;
        while (n < text.n && !(end = line_end(span_from(text, n))))
            n++;
        take_line(l, span_sub(text, 0, n));
        text = span_from(text, n + end);
    }
}

static void take_part(void *ctx, const struct pymail_part *p)
{
    struct lines *l = ctx;
    if (!span_starts(p->type, SPAN("text/"))) {
        take_text(l, py_ascii(p->payload) ? p->payload
                                          : py_decode(l->a, p->payload, p->charset, true));
        return;
    }
    struct span text = py_decode(l->a, pymail_decoded(l->a, p), p->charset, false);
    if (span_eq(p->type, SPAN("text/html")))
        text = py_html_text(l->a, text);
    take_text(l, text);
}

/* Calls fn for each line that counts. */
static void each_line(struct arena *a, struct span raw, void (*fn)(void *ctx, struct span line),
                      void *ctx)
{
    static const unsigned places[] = {20, 60}; /* percent */
    struct lines l = {.a = a};
    pymail_walk(a, raw, take_part, &l);
    for (size_t i = 0; l.n <= WHOLE && i < l.n; i++)
        fn(ctx, l.v[i]);
    for (size_t k = 0; l.n > WHOLE && k < sizeof places / sizeof *places; k++)
        for (size_t i = 0; i < PICKED; i++)
            if (places[k] * l.n / 100 + i < l.n)
                fn(ctx, l.v[places[k] * l.n / 100 + i]);
}

static void print_line(void *ctx, struct span line)
{
    buf_add(ctx, line);
    buf_char(ctx, '\n');
}

void pyzor_predigest(struct arena *a, struct span raw, struct buf *out)
{
    each_line(a, raw, print_line, out);
}

static void add_line(void *ctx, struct span line)
{
    buf_add(ctx, line);
}

void pyzor_digest(struct arena *a, struct span raw, char out[PYZOR_DIGEST_SIZE])
{
    unsigned char sum[SHA_DIGEST_LENGTH];
    struct buf b = {0};
    each_line(a, raw, add_line, &b);
    SHA1((const unsigned char *)buf_span(&b).p, b.n, sum);
    buf_free(&b);
    for (size_t i = 0; i < sizeof sum; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

bool pyzor_digest_empty(const char *digest)
{
    return strcmp(digest, "da39a3ee5e6b4b0d3255bfef95601890afd80709") == 0;
}
