#include "mime/compose.h"

#include "mime/mime_private.h"

#include <sodium.h>

/* Of an encoded-word: RFC 2047 section 2 allows 75, less leaves room for the field's name on its
 * line. And what of it is neither charset nor text. */
enum { WORD_MAX = 64, WORD_FRAME = 7 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static char printable(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f ? ' ' : c;
}

/* --- RFC 2047 --- */

static bool needs_encoding(struct span word)
{
    return !is_ascii(word) || span_search(word, SPAN("=?")) != SIZE_MAX;
}

static bool plain_in_q(unsigned char c)
{
    return ascii_isalnum((char)c) || (c && strchr("!*+-/", c));
}

static size_t q_length(struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == ' ' || plain_in_q((unsigned char)s.p[i]) ? 1 : 3;
    return n;
}

static size_t b_length(size_t n)
{
    return (n + 2) / 3 * 4;
}

static void put_q(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == ' ')
            buf_char(b, '_');
        else if (plain_in_q(c))
            buf_char(b, (char)c);
        else
            buf_printf(b, "=%02X", c);
    }
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put_b64(struct buf *b, struct span s)
{
    char *out = buf_room(b, b_length(s.n));
    size_t n = 0;
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;
        v |= left > 1 ? (uint32_t)(unsigned char)s.p[i + 1] << 8 : 0;
        v |= left > 2 ? (uint32_t)(unsigned char)s.p[i + 2] : 0;
        out[n++] = alphabet[v >> 18];
        out[n++] = alphabet[v >> 12 & 63];
        out[n++] = left > 1 ? alphabet[v >> 6 & 63] : '=';
        out[n++] = left > 2 ? alphabet[v & 63] : '=';
    }
    b->n += n;
}

/* How many bytes of s fit into one encoded-word, whole UTF-8 characters only. */
static size_t fitting(struct span s, bool q, size_t room)
{
    size_t n = 0, used = 0;
    while (n < s.n) {
        size_t next = n + 1;
        while (next < s.n && ((unsigned char)s.p[next] & 0xc0) == 0x80 && next - n < 4)
            next++;
        size_t cost = q ? used + q_length(span_sub(s, n, next)) : b_length(next);
        if (cost > room)
            break;
        used = cost;
        n = next;
    }
    return n ? n : 1;
}

static void encode(struct buf *b, struct span s)
{
    bool chars;
    struct arena *scratch = arena_new(0);
    /* valid UTF-8 comes back as it went in */
    struct span checked = mime_normalise(scratch, s, SPAN("UTF-8"), false, &chars);
    const char *charset = is_ascii(s) ? "us-ascii" : span_eq(checked, s) ? "utf-8" : "unknown-8bit";
    arena_free(scratch);
    bool q = q_length(s) <= 2 * s.n; /* readable as long as most of it is ASCII */
    size_t room = WORD_MAX - WORD_FRAME - strlen(charset);
    while (s.n) {
        size_t n = fitting(s, q, room);
        buf_printf(b, "=?%s?%c?", charset, q ? 'q' : 'b');
        if (q)
            put_q(b, span_sub(s, 0, n));
        else
            put_b64(b, span_sub(s, 0, n));
        buf_str(b, "?=");
        s = span_from(s, n);
        if (s.n)
            buf_char(b, ' ');
    }
}

/* The end of the stretch of words from `at` that are encoded together: white space between two
 * encoded-words is not shown, so it must go into them. */
static size_t encoded_stretch(struct span s, size_t at)
{
    size_t end = at;
    for (size_t i = at; i < s.n;) {
        size_t word = i;
        while (i < s.n && !is_space(s.p[i]))
            i++;
        if (!needs_encoding(span_sub(s, word, i)))
            break;
        end = i;
        while (i < s.n && is_space(s.p[i]))
            i++;
    }
    return end;
}

static void encode_words(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.n;) {
        if (is_space(s.p[i])) {
            buf_char(b, s.p[i++]);
            continue;
        }
        size_t end = encoded_stretch(s, i);
        if (end > i) {
            encode(b, span_sub(s, i, end));
            i = end;
            continue;
        }
        while (i < s.n && !is_space(s.p[i]))
            buf_char(b, s.p[i++]);
    }
}

static struct buf cleaned(struct span text)
{
    struct buf clean = {0};
    char *out = buf_room(&clean, text.n);
    for (size_t i = 0; i < text.n; i++)
        out[i] = text.p[i] == '\t' ? ' ' : printable(text.p[i]);
    clean.n = text.n;
    return clean;
}

void compose_words(struct buf *b, struct span text)
{
    struct buf clean = cleaned(text);
    encode_words(b, buf_span(&clean));
    buf_free(&clean);
}

void compose_phrase(struct buf *b, struct span name)
{
    struct buf clean = cleaned(name);
    struct span s = buf_span(&clean);
    bool quote = false;
    for (size_t i = 0; i < s.n; i++)
        quote = quote || strchr("()<>[]:;@\\,.\"", s.p[i]);
    if (needs_encoding(s)) {
        encode(b, s);
    } else if (quote || s.n == 0) {
        buf_char(b, '"');
        for (size_t i = 0; i < s.n; i++) {
            if (s.p[i] == '"' || s.p[i] == '\\')
                buf_char(b, '\\');
            buf_char(b, s.p[i]);
        }
        buf_char(b, '"');
    } else {
        buf_add(b, s);
    }
    buf_free(&clean);
}

/* --- Fields --- */

/* How much of s goes on a line that has `used` characters already: all of it; or up to the last
 * white space that fits, else the next one, but never a line of white space alone; or as much as a
 * line may have at all. */
static size_t fold_point(struct span s, size_t used)
{
    if (used + s.n <= COMPOSE_LINE)
        return s.n;
    size_t best = 0;
    bool text = false;
    for (size_t i = 0; i < s.n && used + i < COMPOSE_LINE_MAX - 2; i++) {
        if (used + i > COMPOSE_LINE && best)
            return best;
        if (is_space(s.p[i]) && text)
            best = i;
        text = text || !is_space(s.p[i]);
    }
    if (best)
        return best;
    return used + s.n <= COMPOSE_LINE_MAX - 2 ? s.n : COMPOSE_LINE_MAX - 2 - used;
}

static void put_folded(struct buf *b, const char *name, struct span value)
{
    buf_str(b, name);
    buf_char(b, ':');
    size_t used = strlen(name) + 1;
    while (value.n && is_space(value.p[value.n - 1]))
        value.n--;
    if (value.n && !is_space(value.p[0])) {
        buf_char(b, ' ');
        used++;
    }
    while (value.n) {
        size_t n = fold_point(value, used);
        buf_add(b, span_sub(value, 0, n));
        value = span_from(value, n);
        if (!value.n)
            break;
        buf_str(b, "\r\n");
        used = 0;
        if (!is_space(value.p[0])) {
            buf_char(b, ' ');
            used = 1;
        }
    }
    buf_str(b, "\r\n");
}

void compose_field(struct buf *b, const char *name, struct span text)
{
    struct buf words = {0};
    compose_words(&words, text);
    put_folded(b, name, buf_span(&words));
    buf_free(&words);
}

void compose_fieldf(struct buf *b, const char *name, const char *fmt, ...)
{
    struct buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    compose_field(b, name, buf_span(&text));
    buf_free(&text);
}

void compose_structured(struct buf *b, const char *name, struct span value)
{
    struct buf clean = cleaned(value);
    put_folded(b, name, buf_span(&clean));
    buf_free(&clean);
}

/* --- Bodies --- */

void compose_base64(struct buf *b, struct span bytes)
{
    enum { BYTES_A_LINE = 57 };
    for (size_t i = 0; i < bytes.n; i += BYTES_A_LINE) {
        put_b64(b, span_sub(bytes, i, i + BYTES_A_LINE));
        buf_str(b, "\r\n");
    }
}

/* One line without its end (RFC 2045 section 6.7). */
static void put_qp_line(struct buf *b, struct span line)
{
    size_t used = 0;
    for (size_t i = 0; i < line.n; i++) {
        unsigned char c = (unsigned char)line.p[i];
        bool last = i + 1 == line.n;
        bool literal = (c > ' ' && c <= '~' && c != '=') || (is_space((char)c) && !last);
        /* "From " and a lone dot are eaten on the way */
        if ((i == 0 && c == 'F') || (used == 0 && c == '.'))
            literal = false;
        size_t cost = literal ? 1 : 3;
        if (used + cost > 75) {
            buf_str(b, "=\r\n");
            used = 0;
        }
        if (literal)
            buf_char(b, (char)c);
        else
            buf_printf(b, "=%02X", c);
        used += cost;
    }
}

void compose_qp(struct buf *b, struct span text)
{
    struct span line;
    while (span_line(&text, &line)) {
        put_qp_line(b, line);
        buf_str(b, "\r\n");
    }
}

void compose_lines(struct buf *b, struct span text)
{
    struct span line;
    while (span_line(&text, &line)) {
        buf_add(b, line);
        buf_str(b, "\r\n");
    }
}

char *compose_boundary(char out[COMPOSE_BOUNDARY_SIZE])
{
    unsigned char random[16];
    randombytes_buf(random, sizeof random);
    memcpy(out, "=_", 2);
    sodium_bin2hex(out + 2, COMPOSE_BOUNDARY_SIZE - 2, random, sizeof random);
    return out;
}
