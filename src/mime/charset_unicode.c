/* UTF-16, UTF-32 and UCS-2 as Perl's Encode reads them: a byte order mark where the name leaves the
 * order open, else big-endian; surrogates without their other half, noncharacters and what is no
 * code point are U+FFFD; what is left over at the end is dropped. */
#include "mime/charset_private.h"

enum { BIG_MARK = 0xfeff, LITTLE_MARK_16 = 0xfffe };
#define LITTLE_MARK_32 0xfffe0000u

struct units {
    struct span s;
    size_t size;  /* of a unit */
    size_t least; /* bytes that must be left for a unit to be read */
    bool little;
    bool pairs; /* surrogates make characters */
};

static uint32_t next_unit(struct units *u)
{
    uint32_t v = 0;
    for (size_t i = 0; i < u->size; i++) {
        size_t at = u->little ? u->size - 1 - i : i;
        v = v << 8 | (unsigned char)u->s.p[at];
    }
    u->s = span_from(u->s, u->size);
    return v;
}

static void read_mark(struct units *u)
{
    struct span before = u->s;
    uint32_t mark = next_unit(u);
    u->little = mark == LITTLE_MARK_16 || mark == LITTLE_MARK_32;
    if (mark == LITTLE_MARK_16) /* also in UTF-32: units of two bytes then, while four are left */
        u->size = 2;
    if (!u->little && mark != BIG_MARK)
        u->s = before;
}

static bool is_surrogate(uint32_t c)
{
    return c >= 0xd800 && c < 0xe000;
}

static bool is_character(uint32_t c)
{
    return c <= 0x10ffff && !is_surrogate(c) && !(c >= 0xfdd0 && c <= 0xfdef) &&
           (c & 0xfffe) != 0xfffe;
}

/* The next character; 0xffffffff for none. */
static uint32_t next_character(struct units *u)
{
    uint32_t c = next_unit(u);
    if (!u->pairs || c < 0xd800 || c >= 0xdc00 || u->s.n < u->least)
        return c;
    struct span before = u->s;
    uint32_t low = next_unit(u);
    if (low >= 0xdc00 && low < 0xe000)
        return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    u->s = before;
    return c;
}

struct span charset_by_unicode(struct arena *a, struct span s, const struct charset_unicode *form,
                               bool strict)
{
    struct units u = {.s = s,
                      .size = form->size,
                      .least = form->size,
                      .little = form->order == UNICODE_LITTLE,
                      .pairs = form->size == 2 && !form->no_pairs};
    char *out = arena_raw(a, s.n * 2 + 4);
    size_t n = 0;
    if (form->order == UNICODE_MARKED && s.n >= u.size)
        read_mark(&u);
    while (u.s.n >= u.least) {
        uint32_t c = next_character(&u);
        if (strict && !is_character(c))
            return SPAN_NONE;
        n += put_utf8(out + n, is_character(c) ? c : 0xfffd);
    }
    return strict && u.s.n ? SPAN_NONE : span_of(out, n);
}
