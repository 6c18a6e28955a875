/* A slice of bytes that somebody else owns: pointer and length, never NUL-terminated.
 *
 * Every byte that comes from outside is held in a span (or in a buf, when it grows). The owner and
 * the lifetime are told where the span is handed out. A span with p == NULL means "absent", a span
 * with n == 0 and p != NULL means "present and empty".
 *
 * All comparisons are byte-wise; the `i` variants fold ASCII letters only (as RFC 5321 and 5322
 * want), never by locale.
 */
#ifndef GATEHOUSE_BASE_SPAN_H
#define GATEHOUSE_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p;
    size_t n;
};

#define SPAN_NONE ((struct span){NULL, 0})
/* A span over a string literal: SPAN("MAIL FROM:"). */
#define SPAN(lit) ((struct span){"" lit, sizeof(lit) - 1})
/* For printf: printf("%.*s", SPAN_ARG(s)). */
#define SPAN_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

static inline struct span span_of(const char *p, size_t n)
{
    return (struct span){p, n};
}

static inline struct span span_str(const char *s)
{
    return s ? (struct span){s, strlen(s)} : SPAN_NONE;
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* [from, to) of s; both are clipped to the length. */
static inline struct span span_sub(struct span s, size_t from, size_t to)
{
    if (to > s.n)
        to = s.n;
    if (from > to)
        from = to;
    return (struct span){s.p ? s.p + from : NULL, to - from};
}

static inline struct span span_from(struct span s, size_t from)
{
    return span_sub(s, from, s.n);
}

/* Where a byte or a text first (or last) stands, or SIZE_MAX. */
size_t span_find(struct span s, char c);
size_t span_rfind(struct span s, char c);
size_t span_search(struct span s, struct span needle);
/* How far the ASCII bytes from `from` on go. */
size_t span_ascii_end(struct span s, size_t from);
/* Where one of four bytes first stands at or behind `from`, or s.n. Fewer: one of them again. */
size_t span_find_any(struct span s, size_t from, const char four[4]);
size_t span_isearch(struct span s, struct span needle);

bool span_ieq(struct span a, struct span b);
int span_cmp(struct span a, struct span b);
int span_icmp(struct span a, struct span b);
bool span_starts(struct span s, struct span prefix);
bool span_istarts(struct span s, struct span prefix);
bool span_ends(struct span s, struct span suffix);
bool span_iends(struct span s, struct span suffix);

/* Without SP, HTAB, CR, LF, VT and FF at both ends. */
struct span span_trim(struct span s);

/* Cuts the next word off *rest: leading bytes of `sep` are skipped, then everything up to the next
 * byte of `sep` is returned. Returns SPAN_NONE when nothing is left. */
struct span span_word(struct span *rest, const char *sep);

/* Cuts the next line off *rest, without its LF or CRLF. false when *rest is empty. */
bool span_line(struct span *rest, struct span *line);

/* The whole span as an unsigned decimal number; false on empty, sign, junk or overflow. */
bool span_u64(struct span s, uint64_t *out);

/* ASCII only, whatever the locale. */
static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}
static inline char ascii_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
}
static inline bool ascii_isalpha(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}
static inline bool ascii_isdigit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool ascii_isalnum(char c)
{
    return ascii_isalpha(c) || ascii_isdigit(c);
}
/* SP HTAB LF VT FF CR */
static inline bool ascii_isspace(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
/* Value of a hexadecimal digit, or -1. */
static inline int ascii_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
