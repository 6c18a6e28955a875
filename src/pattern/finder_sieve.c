/* Of filters of few keys: the places at which one may begin, 32 at once. */
#include "pattern/finder_private.h"

#if defined __x86_64__
#include <immintrin.h>
#endif

enum { GROUPS = 8, KEYS_MAX = 400 };
/* Of all places, those that may pass. */
static const double PASSING = 0.2;

/* --- making --- */

static void add(struct finder_sieve *s, const struct byteset set[FINDER_KEY], uint8_t group)
{
    for (size_t k = 0; k < FINDER_KEY; k++)
        for (unsigned c = 0; c < 256; c++)
            if (byteset_has(&set[k], (unsigned char)c)) {
                s->low[k][c & 15] |= group;
                s->high[k][c >> 4] |= group;
            }
}

/* Of all places, those that pass for keys of the group. */
static double passing(const struct finder_sieve *s, uint8_t group, const double share[256])
{
    double all = 1;
    for (size_t k = 0; k < FINDER_KEY; k++) {
        double here = 0;
        for (unsigned c = 0; c < 256; c++)
            if (s->low[k][c & 15] & s->high[k][c >> 4] & group)
                here += share[c];
        all *= here < 1 ? here : 1;
    }
    return all;
}

static void shares(double share[256])
{
    for (unsigned c = 0; c < 256; c++) {
        struct byteset one = byteset_range(c, c);
        share[c] = byteset_share(one);
    }
}

void finder_make_sieve(struct finder *f, const struct byteset_table *sets,
                       const struct run *const *runs, const struct finder_key *keys, size_t n)
{
    double share[256], passed[GROUPS] = {0}, all = 0;
    shares(share);
    for (size_t i = 0; i < n && n <= KEYS_MAX && all <= PASSING; i++) {
        struct byteset set[FINDER_KEY];
        for (size_t k = 0; k < FINDER_KEY; k++)
            set[k] = finder_item(sets, runs[i], keys[i], k);
        size_t best = 0;
        double least = 2;
        for (size_t g = 0; g < GROUPS; g++) {
            struct finder_sieve with = f->sieve;
            add(&with, set, (uint8_t)(1u << g));
            double more = passing(&with, (uint8_t)(1u << g), share) - passed[g];
            if (more < least) {
                least = more;
                best = g;
            }
        }
        add(&f->sieve, set, (uint8_t)(1u << best));
        passed[best] += least;
        all += least;
    }
    f->sieved = n <= KEYS_MAX && all <= PASSING;
}

/* --- looking --- */

#if defined __x86_64__

bool finder_sieves(const struct finder *f)
{
    return f->sieved && __builtin_cpu_supports("avx2");
}

struct halves {
    __m256i low, high;
};

static inline __attribute__((always_inline, target("avx2"))) struct halves
halves_of(const struct finder_sieve *s, size_t k)
{
    return (struct halves){
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)s->low[k])),
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)s->high[k]))};
}

static inline __attribute__((always_inline, target("avx2"))) __m256i look_up(struct halves h,
                                                                             const char *p)
{
    __m256i v = _mm256_loadu_si256((const __m256i *)p), half = _mm256_set1_epi8(15);
    __m256i low = _mm256_shuffle_epi8(h.low, _mm256_and_si256(v, half));
    __m256i high = _mm256_shuffle_epi8(h.high, _mm256_and_si256(_mm256_srli_epi16(v, 4), half));
    return _mm256_and_si256(low, high);
}

__attribute__((target("avx2"))) size_t finder_sift(const struct finder *f, const char *p, size_t n,
                                                   uint16_t *at)
{
    const struct halves a = halves_of(&f->sieve, 0), b = halves_of(&f->sieve, 1),
                        c = halves_of(&f->sieve, 2);
    size_t found = 0, i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i some = _mm256_and_si256(_mm256_and_si256(look_up(a, p + i), look_up(b, p + i + 1)),
                                        look_up(c, p + i + 2));
        uint32_t none =
            (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(some, _mm256_setzero_si256()));
        for (uint32_t bits = ~none; bits; bits &= bits - 1) {
            size_t place = i + (size_t)__builtin_ctz(bits);
            at[found] = (uint16_t)place;
            found += finder_may_begin(f, p + place);
        }
    }
    for (; i < n; i++) {
        at[found] = (uint16_t)i;
        found += finder_may_begin(f, p + i);
    }
    return found;
}

#else

bool finder_sieves(const struct finder *f)
{
    (void)f;
    return false;
}

size_t finder_sift(const struct finder *f, const char *p, size_t n, uint16_t *at)
{
    (void)f, (void)p, (void)n, (void)at;
    return 0;
}

#endif
