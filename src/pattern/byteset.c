#include "pattern/byteset.h"

struct byteset byteset_range(unsigned from, unsigned to)
{
    struct byteset s = {{0}};
    for (unsigned c = from; c <= to; c++)
        byteset_add(&s, (unsigned char)c);
    return s;
}

/* Bits of letters and, 32 further on, of the other case: 'A' to 'Z'; 0xc0 to 0xde but for 0xd7. */
static uint64_t folded(uint64_t w, uint64_t letters)
{
    return w | (w >> 32 & letters) | (w & letters) << 32;
}

struct byteset byteset_folded(struct byteset s)
{
    return (struct byteset){
        {s.w[0], folded(s.w[1], 0x07fffffe), s.w[2], folded(s.w[3], 0x7f7fffff)}};
}

/* Rough shares of bytes in mail: text, markup, addresses. */
static double byte_share(unsigned c)
{
    /* a to z; 0: as other bytes */
    static const double letters[] = {.056, .011, .025, .03,  .085, .016, .015, .03, .05,
                                     0,    .006, .03,  .024, .05,  .052, .02,  0,   .046,
                                     .046, .062, .022, .008, .013, 0,    .013, 0};
    if (ascii_isalpha((char)c) && letters[(c | 0x20) - 'a'] > 0)
        return c < 'a' ? letters[c - 'A'] / 12 : letters[c - 'a'];
    if (c == ' ')
        return .16;
    if (c == '\n' || c == '.' || c == '-' || c == '/' || c == '=')
        return .012;
    if (c >= '0' && c <= '9')
        return .008;
    return c < 0x20 || c >= 0x80 ? .001 : .004;
}

double byteset_share(struct byteset s)
{
    double share = 0;
    for (unsigned w = 0; w < 4; w++)
        for (uint64_t bits = s.w[w]; bits; bits &= bits - 1)
            share += byte_share(w * 64 + (unsigned)__builtin_ctzll(bits));
    return share < 1 ? share : 1;
}

void byteset_table_init(struct byteset_table *t, struct arena *a)
{
    *t = (struct byteset_table){.arena = a, .index = map_in(a), .frequencies = map_in(a)};
    byteset_number(t, (struct byteset){{0}});
}

uint16_t byteset_number(struct byteset_table *t, struct byteset s)
{
    uintptr_t known = (uintptr_t)map_get(&t->index, span_of((const char *)&s, sizeof s));
    if (known)
        return (uint16_t)(known - 1);
    if (t->n == BYTESET_NONE)
        return BYTESET_NONE;
    size_t n = t->n;
    *ARENA_PUSH(t->arena, t->v, t->n, t->cap) = s;
    *ARENA_PUSH(t->arena, t->share, n, t->share_cap) = byteset_share(s);
    struct span key = arena_dup(t->arena, span_of((const char *)&s, sizeof s));
    *map_at(&t->index, key) = (void *)(uintptr_t)t->n;
    return (uint16_t)(t->n - 1);
}
