#include "base/span.h"

#include "base/sixteen.h"

size_t span_find(struct span s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t span_rfind(struct span s, char c)
{
    const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : SIZE_MAX;
}

/* --- texts in texts ---
 *
 * Sixteen places at a time: where the first and the last byte are not the needle's, nothing else is
 * looked at. */

struct ends {
    char first[2], last[2]; /* in both cases, or twice the same */
    size_t apart;
};

static bool ends_at(const struct ends *e, const char *p)
{
    char first = p[0], last = p[e->apart];
    return (first == e->first[0] || first == e->first[1]) &&
           (last == e->last[0] || last == e->last[1]);
}

static bool any_of_sixteen(const struct ends *e, const char *p)
{
    sixteen first = sixteen_at(p), last = sixteen_at(p + e->apart);
    return sixteen_any((sixteen_is(first, e->first[0]) | sixteen_is(first, e->first[1])) &
                       (sixteen_is(last, e->last[0]) | sixteen_is(last, e->last[1])));
}

/* The first place from `at` on, of `most`, that has these ends; most when there is none. */
static size_t next_place(const struct ends *e, const char *p, size_t at, size_t most)
{
    while (at + SIXTEEN <= most && !any_of_sixteen(e, p + at))
        at += SIXTEEN;
    while (at < most && !ends_at(e, p + at))
        at++;
    return at;
}

size_t span_ascii_end(struct span s, size_t from)
{
    for (; from + SIXTEEN <= s.n; from += SIXTEEN)
        if (sixteen_any(sixteen_within(sixteen_at(s.p + from), 0x80, 0xFF)))
            break;
    while (from < s.n && !((unsigned char)s.p[from] & 0x80))
        from++;
    return from;
}

size_t span_find_any(struct span s, size_t from, const char four[4])
{
    char a = four[0], b = four[1], c = four[2], d = four[3];
    for (; from + SIXTEEN <= s.n; from += SIXTEEN) {
        sixteen v = sixteen_at(s.p + from);
        if (sixteen_any(sixteen_is(v, a) | sixteen_is(v, b) | sixteen_is(v, c) | sixteen_is(v, d)))
            break;
    }
    while (from < s.n && s.p[from] != a && s.p[from] != b && s.p[from] != c && s.p[from] != d)
        from++;
    return from;
}

/* Longer needles are for memmem(), which takes no time for each place where they nearly are. */
enum { NEEDLE_MOST = 32 };

size_t span_search(struct span s, struct span needle)
{
    if (needle.n == 0)
        return 0;
    if (needle.n > s.n)
        return SIZE_MAX;
    if (needle.n > NEEDLE_MOST) {
        const char *hit = memmem(s.p, s.n, needle.p, needle.n);
        return hit ? (size_t)(hit - s.p) : SIZE_MAX;
    }
    char first = needle.p[0], last = needle.p[needle.n - 1];
    const struct ends e = {{first, first}, {last, last}, needle.n - 1};
    size_t most = s.n - needle.n + 1, at = 0;
    while ((at = next_place(&e, s.p, at, most)) < most && memcmp(s.p + at, needle.p, needle.n) != 0)
        at++;
    return at < most ? at : SIZE_MAX;
}

size_t span_isearch(struct span s, struct span needle)
{
    if (needle.n == 0 || needle.n > s.n)
        return needle.n ? SIZE_MAX : 0;
    char first = needle.p[0], last = needle.p[needle.n - 1];
    const struct ends e = {{ascii_lower(first), ascii_upper(first)},
                           {ascii_lower(last), ascii_upper(last)},
                           needle.n - 1};
    size_t most = s.n - needle.n + 1, at = 0;
    while ((at = next_place(&e, s.p, at, most)) < most &&
           !span_ieq(span_of(s.p + at, needle.n), needle))
        at++;
    return at < most ? at : SIZE_MAX;
}

static uint64_t load_64(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

static uint64_t load_32(const char *p)
{
    uint32_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

/* Eight bytes, those from 'A' to 'Z' lower: 0x80 + byte - 'A' has its high bit from 'A' on, 0x80 +
 * byte - 'Z' - 1 behind 'Z'; bytes beyond ASCII stay. */
static uint64_t lower_64(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t low = w & ones * 0x7F;
    uint64_t upper = (low + ones * (0x80 - 'A')) & ~(low + ones * (0x80 - 'Z' - 1)) & ~w;
    return w | (upper & ones * 0x80) >> 2;
}

static bool same_64(uint64_t x, uint64_t y)
{
    return x == y || lower_64(x) == lower_64(y);
}

bool span_ieq(struct span a, struct span b)
{
    size_t n = a.n;
    if (n != b.n)
        return false;
    if (n < 4) {
        for (size_t i = 0; i < n; i++)
            if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
                return false;
        return true;
    }
    if (n < 8)
        return same_64(load_32(a.p) | load_32(a.p + n - 4) << 32,
                       load_32(b.p) | load_32(b.p + n - 4) << 32);
    for (size_t i = 0; i + 8 < n; i += 8)
        if (!same_64(load_64(a.p + i), load_64(b.p + i)))
            return false;
    return same_64(load_64(a.p + n - 8), load_64(b.p + n - 8));
}

int span_cmp(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

int span_icmp(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    for (size_t i = 0; i < n; i++) {
        unsigned char x = (unsigned char)ascii_lower(a.p[i]);
        unsigned char y = (unsigned char)ascii_lower(b.p[i]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return (a.n > b.n) - (a.n < b.n);
}

bool span_starts(struct span s, struct span prefix)
{
    return s.n >= prefix.n && span_eq(span_sub(s, 0, prefix.n), prefix);
}

bool span_istarts(struct span s, struct span prefix)
{
    return s.n >= prefix.n && span_ieq(span_sub(s, 0, prefix.n), prefix);
}

bool span_ends(struct span s, struct span suffix)
{
    return s.n >= suffix.n && span_eq(span_from(s, s.n - suffix.n), suffix);
}

bool span_iends(struct span s, struct span suffix)
{
    return s.n >= suffix.n && span_ieq(span_from(s, s.n - suffix.n), suffix);
}

struct span span_trim(struct span s)
{
    while (s.n && ascii_isspace(s.p[0]))
        s.p++, s.n--;
    while (s.n && ascii_isspace(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct span span_word(struct span *rest, const char *sep)
{
    size_t i = 0;
    while (i < rest->n && rest->p[i] && strchr(sep, rest->p[i]))
        i++;
    if (i == rest->n) {
        *rest = span_from(*rest, rest->n);
        return SPAN_NONE;
    }
    size_t j = i;
    while (j < rest->n && !(rest->p[j] && strchr(sep, rest->p[j])))
        j++;
    struct span word = span_sub(*rest, i, j);
    *rest = span_from(*rest, j);
    return word;
}

bool span_line(struct span *rest, struct span *line)
{
    if (rest->n == 0)
        return false;
    size_t lf = span_find(*rest, '\n');
    size_t end = lf == SIZE_MAX ? rest->n : lf;
    *line = span_sub(*rest, 0, end);
    if (lf != SIZE_MAX && line->n && line->p[line->n - 1] == '\r')
        line->n--;
    *rest = span_from(*rest, lf == SIZE_MAX ? rest->n : lf + 1);
    return true;
}

bool span_u64(struct span s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_isdigit(s.p[i]))
            return false;
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return false;
    }
    *out = v;
    return true;
}
