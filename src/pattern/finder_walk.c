/* What eight bytes under a mask do not tell of a run, item by item. Loops are followed on all bytes
 * of a stretch at once: places are bits, and the carry of an addition passes over what loops. */
#include "pattern/finder_private.h"

#if defined __x86_64__
#include <immintrin.h>
#endif

static inline bool fits(const struct finder *f, uint16_t set, char c)
{
    return finder_set_has(&f->sets[set], (unsigned char)c);
}

/* --- a stretch --- */

/* Up to FINDER_WALK bytes, in the order in which they are walked over; room for a vector. */
struct stretch {
    char p[FINDER_WALK];
    size_t n;
};

/* Places between bytes of a stretch, as bits. */
struct reach {
    uint64_t ends;  /* the last item ended */
    uint64_t alive; /* another one is wanted */
};

/* From all places on over as many of the looping bytes as follow. */
static inline uint64_t pass_over(uint64_t from, uint64_t looping)
{
    return (((from & looping) + looping) ^ looping) | from;
}

static struct reach reach_plain(const struct finder *f, const struct finder_item *items, size_t n,
                                const struct stretch *s)
{
    struct reach r = {1, 0};
    for (size_t i = 0; i < n && r.ends; i++) {
        uint64_t set = 0, loop = 0;
        for (size_t k = 0; k < s->n; k++) {
            set |= (uint64_t)fits(f, items[i].set, s->p[k]) << k;
            loop |= (uint64_t)fits(f, items[i].loop, s->p[k]) << k;
        }
        uint64_t before = pass_over(r.ends, loop);
        r.alive |= before;
        r.ends = (before & set) << 1;
    }
    return r;
}

#if defined __x86_64__

#define WITH_AVX2 __attribute__((target("avx2")))

struct asked {
    __m256i low, high, bit; /* rows of bytes below 128 and of the others; the bit in the row */
    uint32_t inside;
};

WITH_AVX2 static inline __m256i row(const uint8_t *rows)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)rows));
}

WITH_AVX2 static inline uint64_t having(const struct finder_set *s, const struct asked *a)
{
    __m256i rows = _mm256_or_si256(_mm256_shuffle_epi8(row(s->rows[0]), a->low),
                                   _mm256_shuffle_epi8(row(s->rows[1]), a->high));
    __m256i none = _mm256_cmpeq_epi8(_mm256_and_si256(rows, a->bit), _mm256_setzero_si256());
    return ~(uint32_t)_mm256_movemask_epi8(none) & a->inside;
}

WITH_AVX2 static struct reach reach_fast(const struct finder *f, const struct finder_item *items,
                                         size_t n, const struct stretch *s)
{
    static const uint8_t bits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const __m256i bytes = _mm256_loadu_si256((const __m256i *)s->p),
                  column = _mm256_set1_epi8((char)0x8f), half = _mm256_set1_epi8(15);
    const struct asked a = {
        _mm256_and_si256(bytes, column),
        _mm256_and_si256(_mm256_xor_si256(bytes, _mm256_set1_epi8((char)0x80)), column),
        _mm256_shuffle_epi8(row(bits), _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half)),
        (uint32_t)(((uint64_t)1 << s->n) - 1)};
    struct reach r = {1, 0};
    for (size_t i = 0; i < n && r.ends; i++) {
        uint64_t before = r.ends;
        if (items[i].loop)
            before = pass_over(before, having(&f->sets[items[i].loop], &a));
        r.alive |= before;
        r.ends = (before & having(&f->sets[items[i].set], &a)) << 1;
    }
    return r;
}

static inline struct reach reach_of(const struct finder *f, const struct finder_item *items,
                                    size_t n, const struct stretch *s)
{
    return __builtin_cpu_supports("avx2") ? reach_fast(f, items, n, s)
                                          : reach_plain(f, items, n, s);
}

#else

#define reach_of reach_plain

#endif

/* FINDER_WALK bytes before the end, the last one first. */
static void turn_round(const char *end, char *out)
{
    uint64_t v;
    for (size_t i = 0; i < FINDER_WALK; i += sizeof v) {
        memcpy(&v, end - i - sizeof v, sizeof v);
        v = __builtin_bswap64(v);
        memcpy(out + i, &v, sizeof v);
    }
}

/* Whether the first item has to stand at once, and does not. */
static bool fails(const struct finder *f, const struct finder_item *items, char c)
{
    return items->loop == 0 && !fits(f, items->set, c);
}

/* Whether the items stand before the place, the first one next to it. */
static bool walk_back(const struct finder *f, const struct finder_item *items, size_t n,
                      struct span text, size_t at)
{
    struct stretch s;
    if (at == 0 || fails(f, items, text.p[at - 1]))
        return false;
    s.n = at < FINDER_WALK ? at : FINDER_WALK;
    if (s.n == FINDER_WALK)
        turn_round(text.p + at, s.p);
    for (size_t i = 0; i < s.n && s.n < FINDER_WALK; i++)
        s.p[i] = text.p[at - 1 - i];
    struct reach r = reach_of(f, items, n, &s);
    return r.ends || (r.alive >> s.n & 1 && at > s.n);
}

/* Whether they stand from the place on, and between which places they end. */
static bool walk_on(const struct finder *f, const struct finder_item *items, size_t n,
                    struct span text, size_t at, struct finder_hit *hit)
{
    struct stretch s;
    if (at == text.n || fails(f, items, text.p[at]))
        return false;
    s.n = text.n - at < FINDER_WALK ? text.n - at : FINDER_WALK;
    if (s.n == FINDER_WALK)
        memcpy(s.p, text.p + at, FINDER_WALK);
    else
        memcpy(s.p, text.p + at, s.n);
    struct reach r = reach_of(f, items, n, &s);
    bool further = r.alive >> s.n & 1 && at + s.n < text.n;
    if (!r.ends && !further)
        return false;
    hit->first = (uint32_t)(at + (r.ends ? (size_t)__builtin_ctzll(r.ends) : s.n));
    hit->last = (uint32_t)(further ? text.n : at + 63 - (size_t)__builtin_clzll(r.ends));
    return true;
}

/* --- without loops --- */

static bool stand_before(const struct finder *f, const struct finder_item *items, size_t n,
                         const char *p)
{
    for (size_t i = 0; i < n; i++)
        if (!fits(f, items[i].set, *--p))
            return false;
    return true;
}

static bool stand_on(const struct finder *f, const struct finder_item *items, size_t n,
                     const char *p)
{
    for (size_t i = 0; i < n; i++)
        if (!fits(f, items[i].set, p[i]))
            return false;
    return true;
}

bool finder_walk(const struct finder *f, const struct finder_entry *e, struct span text, size_t at,
                 struct finder_hit *hit)
{
    const struct finder_walk *w = &f->walks[e->run & ~FINDER_WALKS];
    const struct finder_item *items = f->items + w->items;
    size_t from = at - e->piece, to = at + w->end;
    hit->run = w->run;
    for (size_t i = 0; i < w->inside; i++)
        if (!fits(f, items[i].set, text.p[from + items[i].loop]))
            return false;
    const struct finder_item *before = items + w->inside, *behind = before + w->before;
    if (!w->loops)
        return stand_before(f, before, w->before, text.p + from) &&
               stand_on(f, behind, w->behind, text.p + to);
    hit->first = hit->last = (uint32_t)to;
    return (w->behind == 0 || walk_on(f, behind, w->behind, text, to, hit)) &&
           (w->before == 0 || walk_back(f, before, w->before, text, from));
}
