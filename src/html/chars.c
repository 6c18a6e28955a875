#include <unicode/uchar.h>

#include "html/html_private.h"

static bool continues(const char *p, const char *end, int n)
{
    if (end - p <= n)
        return false;
    for (int i = 1; i <= n; i++)
        if (((unsigned char)p[i] & 0xC0) != 0x80)
            return false;
    return true;
}

unsigned html_next(const char **p, const char *end, bool chars)
{
    const unsigned char *s = (const unsigned char *)*p;
    unsigned c = *s;
    if (!chars || c < 0xC0) {
        ++*p;
        return c;
    }
    int n = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    if (!continues(*p, end, n)) {
        ++*p;
        return c;
    }
    c &= 0x3Fu >> n;
    for (int i = 1; i <= n; i++)
        c = c << 6 | (s[i] & 0x3F);
    *p += n + 1;
    return c;
}

unsigned html_previous(const char **p, const char *start, bool chars)
{
    const char *end = *p, *s = end - 1;
    if (chars)
        while (s > start && end - s < 4 && ((unsigned char)*s & 0xC0) == 0x80)
            s--;
    const char *at = s;
    unsigned c = html_next(&at, end, chars);
    if (at != end) { /* broken: the last byte stands for itself */
        s = end - 1;
        c = (unsigned char)*s;
    }
    *p = s;
    return c;
}

bool html_is_space(unsigned c, bool chars)
{
    if (c < 0x80)
        return c == ' ' || (c >= '\t' && c <= '\r');
    return chars && (c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
                     c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000);
}

bool html_is_word(unsigned c, bool chars)
{
    if (c < 0x80)
        return ascii_isalnum((char)c) || c == '_';
    if (!chars)
        return false;
    if (u_isUAlphabetic((UChar32)c) || c == 0x200C || c == 0x200D)
        return true;
    return U_MASK(u_charType((UChar32)c)) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK);
}

size_t html_count(struct html_text t)
{
    if (!t.chars)
        return t.s.n;
    size_t n = 0;
    for (size_t i = 0; i < t.s.n; i++)
        n += ((unsigned char)t.s.p[i] & 0xC0) != 0x80;
    return n;
}

static bool is_ascii(struct span s)
{
    return span_ascii_end(s, 0) == s.n;
}

struct span html_upgrade(struct arena *a, struct span bytes)
{
    if (is_ascii(bytes))
        return bytes;
    char *out = arena_raw(a, bytes.n * 2), *t = out;
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char c = (unsigned char)bytes.p[i];
        if (c < 0x80) {
            *t++ = (char)c;
        } else {
            *t++ = (char)(0xC0 | c >> 6);
            *t++ = (char)(0x80 | (c & 0x3F));
        }
    }
    return span_of(out, (size_t)(t - out));
}

struct span html_key(struct arena *a, struct html_text t)
{
    return t.chars ? t.s : html_upgrade(a, t.s);
}

bool html_contains(struct span s, const char *lower)
{
    size_t n = strlen(lower);
    for (size_t i = 0; i + n <= s.n; i++) {
        size_t k = 0;
        while (k < n && ascii_lower(s.p[i + k]) == lower[k])
            k++;
        if (k == n)
            return true;
    }
    return false;
}

void html_grow_add(struct arena *a, struct html_grow *g, struct html_text t)
{
    if (t.chars && !g->chars) {
        struct span up = html_upgrade(a, span_of(g->p, g->n));
        if (up.p != g->p) {
            g->p = (char *)up.p;
            g->n = g->cap = up.n;
        }
        g->chars = true;
    } else if (g->chars && !t.chars) {
        t.s = html_upgrade(a, t.s);
    }
    if (g->cap - g->n < t.s.n) {
        size_t cap = (g->n + t.s.n) * 2 + 32;
        g->p = arena_grow(a, g->p, g->n, cap);
        g->cap = cap;
    }
    if (t.s.n)
        memcpy(g->p + g->n, t.s.p, t.s.n);
    g->n += t.s.n;
}
