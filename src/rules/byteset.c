#include "rules/byteset.h"

struct byteset byteset_range(unsigned from, unsigned to)
{
    struct byteset s = {{0}};
    for (unsigned c = from; c <= to; c++)
        byteset_add(&s, (unsigned char)c);
    return s;
}

/* Letters and their other case are 32 apart, Latin-1's too: 0xd7 and 0xf7 are no letters, 0xdf and
 * 0xff have no other case in it. */
struct byteset byteset_folded(struct byteset s)
{
    const uint64_t ascii = 0x07fffffe, latin = 0x7f7fffff;
    uint64_t a = (s.w[1] | s.w[1] >> 32) & ascii, l = (s.w[3] | s.w[3] >> 32) & latin;
    s.w[1] |= a | a << 32;
    s.w[3] |= l | l << 32;
    return s;
}

/* Rough shares of bytes in mail: text, markup, addresses. */
static double byte_share(unsigned c)
{
    static const char common[] = " etaonisrhldcmupfgwybvk";
    static const double share[] = {.16,  .085, .062, .056, .052, .05,  .05,  .046,
                                   .046, .03,  .03,  .03,  .025, .024, .022, .02,
                                   .016, .015, .013, .013, .011, .008, .006};
    const char *p = c ? strchr(common, ascii_lower((char)c)) : NULL;
    if (p && c < 0x80)
        return c >= 'A' && c <= 'Z' ? share[p - common] / 12 : share[p - common];
    if (c == '\n' || c == '.' || c == '-' || c == '/' || c == '=')
        return .012;
    if (c >= '0' && c <= '9')
        return .008;
    return c < 0x20 || c >= 0x80 ? .001 : .004;
}

double byteset_share(const struct byteset *s)
{
    double share = 0;
    for (size_t i = 0; i < 4; i++)
        for (uint64_t bits = s->w[i]; bits; bits &= bits - 1)
            share += byte_share(64 * (unsigned)i + (unsigned)__builtin_ctzll(bits));
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
    *ARENA_PUSH(t->arena, t->share, n, t->share_cap) = byteset_share(&s);
    struct span key = arena_dup(t->arena, span_of((const char *)&s, sizeof s));
    *map_at(&t->index, key) = (void *)(uintptr_t)t->n;
    return (uint16_t)(t->n - 1);
}
