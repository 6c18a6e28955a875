/* Base64 as SpamAssassin decodes it (semantics 3.5): forgiving, and exact about how it forgives. */
#include "mime/mime_private.h"

enum { PAD = 0x40, SPACE = 0x41, JUNK = 0x42 };

/* Values 0..63 of the alphabet, else one of the above. */
static const unsigned char value_of[256] = {
#define J4  JUNK, JUNK, JUNK, JUNK
#define J16 J4, J4, J4, J4
    J4,    J4,   JUNK, SPACE, SPACE, SPACE, SPACE, SPACE, JUNK, JUNK, J16,            /* 00 */
    SPACE, JUNK, JUNK, JUNK,  J4,    JUNK,  JUNK,  JUNK,  62,   JUNK, JUNK, JUNK, 63, /* 20 */
    52,    53,   54,   55,    56,    57,    58,    59,    60,   61,   JUNK, JUNK, JUNK,
    PAD,   JUNK, JUNK, JUNK,  0,     1,     2,     3,     4,    5,    6,    7,    8,
    9,     10,   11,   12,    13,    14, /* 40 */
    15,    16,   17,   18,    19,    20,    21,    22,    23,   24,   25,   JUNK, JUNK,
    JUNK,  JUNK, JUNK, JUNK,  26,    27,    28,    29,    30,   31,   32,   33,   34,
    35,    36,   37,   38,    39,    40, /* 60 */
    41,    42,   43,   44,    45,    46,    47,    48,    49,   50,   51,   JUNK, JUNK,
    JUNK,  JUNK, JUNK, J16,   J16,   J16,   J16,   J16,   J16,  J16,  J16 /* 80 */
#undef J4
#undef J16
};

struct state {
    unsigned char *out;
    uint32_t group;  /* bits of the group so far */
    unsigned filled; /* characters in it, 0..3 */
};

static inline void put(struct state *st, unsigned char value)
{
    st->group = st->group << 6 | value;
    if (++st->filled < 4)
        return;
    *st->out++ = (unsigned char)(st->group >> 16);
    *st->out++ = (unsigned char)(st->group >> 8);
    *st->out++ = (unsigned char)st->group;
    st->group = 0;
    st->filled = 0;
}

/* A last group of two or three characters gives one or two bytes, of one character none. */
static void finish(struct state *st)
{
    if (st->filled >= 2)
        *st->out++ = (unsigned char)(st->group >> (st->filled == 2 ? 4 : 10));
    if (st->filled == 3)
        *st->out++ = (unsigned char)(st->group >> 2);
}

/* Whole groups without anything between them: where most of the bytes are. Returns how many. */
static size_t whole_groups(struct state *st, const unsigned char *p, size_t n)
{
    size_t i = 0;
    if (st->filled)
        return 0;
    for (; i + 4 <= n; i += 4) {
        unsigned char a = value_of[p[i]], b = value_of[p[i + 1]];
        unsigned char c = value_of[p[i + 2]], d = value_of[p[i + 3]];
        if ((a | b | c | d) & 0x40)
            break;
        uint32_t group = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | d;
        *st->out++ = (unsigned char)(group >> 16);
        *st->out++ = (unsigned char)(group >> 8);
        *st->out++ = (unsigned char)group;
    }
    return i;
}

struct tally {
    size_t count; /* of characters of the alphabet and '=' */
    size_t last;  /* position behind the last character of the alphabet */
    size_t first_pad;
    bool junk;
};

static struct tally tally(struct span in)
{
    struct tally t = {.first_pad = SIZE_MAX};
    for (size_t i = 0; i < in.n; i++) {
        unsigned char v = value_of[(unsigned char)in.p[i]];
        t.count += v <= PAD;
        if (v < PAD)
            t.last = i + 1;
        else if (v == PAD && t.first_pad == SIZE_MAX)
            t.first_pad = i;
        t.junk |= v == JUNK;
    }
    return t;
}

/* A '=' in the middle: 0 when all else is in order, else 63. */
static unsigned char pad_value(const struct tally *t)
{
    return t->count % 4 == 0 && !t->junk ? 0 : 63;
}

struct base64_result base64_decode(struct arena *a, struct span in)
{
    struct base64_result r = {0};
    unsigned char *bytes = arena_raw(a, in.n / 4 * 3 + 4);
    struct state st = {.out = bytes};
    struct tally t = {0};
    const unsigned char *p = (const unsigned char *)in.p;
    size_t end = in.n;
    for (size_t i = 0; i < end; i++) {
        i += whole_groups(&st, p + i, end - i);
        if (i == end)
            break;
        unsigned char v = value_of[p[i]];
        if (v < PAD) {
            put(&st, v);
        } else if (v == JUNK) {
            r.junk = true;
        } else if (v == PAD) {
            if (!t.count) {
                t = tally(in);
                end = t.last; /* '=' behind it is only padding */
                r.junk = t.junk;
            }
            if (i < end) {
                r.padding = true;
                put(&st, pad_value(&t));
            }
        }
    }
    r.truncated = t.count ? t.count % 4 != 0 : st.filled != 0;
    finish(&st);
    r.bytes = span_of((char *)bytes, (size_t)(st.out - bytes));
    return r;
}

struct span mime_base64_decode(struct arena *a, struct span in, bool *junk)
{
    struct base64_result r = base64_decode(a, in);
    if (junk)
        *junk = r.junk || r.padding;
    return r.bytes;
}
