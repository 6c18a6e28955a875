#include "pattern/firstbytes.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

void firstbytes_allow(struct firstbytes *f, size_t i, unsigned kind, const struct byteset *s)
{
    for (unsigned c = 0; c < 256; c++)
        if (byteset_has(s, (unsigned char)c)) {
            f->low[i][c & 15] |= (uint8_t)(1u << kind);
            f->high[i][c >> 4] |= (uint8_t)(1u << kind);
        }
}

static size_t find_slowly(const struct firstbytes *f, const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n && !firstbytes_hold(f, p + i))
        i++;
    return i;
}

#ifdef __x86_64__
enum { BLOCK = 32 };

__attribute__((target("avx2"))) static inline __m256i both_halves(const uint8_t *table)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
}

/* The kinds that remain at the offset, for each place of the block. */
__attribute__((target("avx2"))) static inline __m256i kinds_at(const struct firstbytes *f, size_t i,
                                                               const uint8_t *p)
{
    const __m256i half = _mm256_set1_epi8(15);
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + f->offset[i]));
    __m256i low = _mm256_shuffle_epi8(both_halves(f->low[i]), _mm256_and_si256(v, half));
    __m256i high = _mm256_shuffle_epi8(both_halves(f->high[i]),
                                       _mm256_and_si256(_mm256_srli_epi16(v, 4), half));
    return _mm256_and_si256(low, high);
}

/* n is a block at least: the last one overlaps the one before it. */
__attribute__((target("avx2"))) static size_t find_fast(const struct firstbytes *f,
                                                        const uint8_t *p, size_t n)
{
    for (size_t at = 0;; at = at + 2 * BLOCK <= n ? at + BLOCK : n - BLOCK) {
        __m256i kinds = kinds_at(f, 0, p + at);
        for (size_t i = 1; i < f->n; i++)
            kinds = _mm256_and_si256(kinds, kinds_at(f, i, p + at));
        uint32_t none =
            (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(kinds, _mm256_setzero_si256()));
        if (~none)
            return at + (size_t)__builtin_ctz(~none);
        if (at + BLOCK == n)
            return n;
    }
}

size_t firstbytes_find(const struct firstbytes *f, const uint8_t *p, size_t n)
{
    if (f->n && n >= BLOCK && __builtin_cpu_supports("avx2"))
        return find_fast(f, p, n);
    return find_slowly(f, p, n);
}
#else
size_t firstbytes_find(const struct firstbytes *f, const uint8_t *p, size_t n)
{
    return find_slowly(f, p, n);
}
#endif
