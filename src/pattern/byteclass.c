#include "pattern/byteclass.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

struct byteclass byteclass_of(const struct byteset *s)
{
    struct byteclass k = {{0}};
    for (unsigned c = 0; c < 256; c++)
        if (byteset_has(s, (unsigned char)c))
            k.bits[(c >> 3 & 16) | (c & 15)] |= (uint8_t)(1u << (c >> 4 & 7));
    return k;
}

static size_t find_slowly(const struct byteclass *k, const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n && !byteclass_has(k, p[i]))
        i++;
    return i;
}

static size_t span_slowly(const struct byteclass *k, const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n && byteclass_has(k, p[i]))
        i++;
    return i;
}

#ifdef __x86_64__
#define WITH_AVX2 __attribute__((target("avx2")))

/* A class as registers hold it. */
struct wide {
    __m256i low, high;
};

WITH_AVX2 static inline struct wide wide_of(const struct byteclass *k)
{
    return (struct wide){
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)k->bits)),
        _mm256_broadcastsi128_si256(
            _mm_loadu_si128((const __m128i *)(const void *)(k->bits + 16)))};
}

/* One bit for each byte of v that is of the class. */
WITH_AVX2 static inline uint32_t members(const struct wide *k, __m256i v)
{
    const __m256i bit_of =
        _mm256_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16,
                         32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
    __m256i row =
        _mm256_or_si256(_mm256_shuffle_epi8(k->low, v),
                        _mm256_shuffle_epi8(k->high, _mm256_xor_si256(v, _mm256_set1_epi8(-128))));
    __m256i nibble = _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));
    __m256i bit = _mm256_shuffle_epi8(bit_of, nibble);
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_and_si256(row, bit), bit));
}

WITH_AVX2 static inline uint32_t members_at(const struct wide *k, const uint8_t *p)
{
    return members(k, _mm256_loadu_si256((const __m256i *)(const void *)p));
}

/* How many bytes come before one that is in the class, or is not. n is 32 at least: the last block
 * overlaps the one before it. */
WITH_AVX2 static size_t before(const struct byteclass *class, bool in, const uint8_t *p, size_t n)
{
    const struct wide k = wide_of(class);
    for (size_t at = 0;; at = at + 64 <= n ? at + 32 : n - 32) {
        uint32_t found = members_at(&k, p + at);
        found = in ? found : ~found;
        if (found)
            return at + (size_t)__builtin_ctz(found);
        if (at + 32 == n)
            return n;
    }
}

static bool is_fast(size_t n)
{
    return n >= 32 && __builtin_cpu_supports("avx2");
}
#else
static size_t before(const struct byteclass *k, bool in, const uint8_t *p, size_t n)
{
    return in ? find_slowly(k, p, n) : span_slowly(k, p, n);
}

static bool is_fast(size_t n)
{
    (void)n;
    return false;
}
#endif

/* What ends within a word is found before the fast way has begun. */
enum { WORD = 16 };

size_t byteclass_near(const struct byteclass *k, const uint8_t *p, size_t n)
{
    size_t few = n < WORD ? n : WORD, found = find_slowly(k, p, few);
    if (found < few || few == n)
        return found;
    p += few;
    n -= few;
    return few + (is_fast(n) ? before(k, true, p, n) : find_slowly(k, p, n));
}

size_t byteclass_span(const struct byteclass *k, const uint8_t *p, size_t n)
{
    size_t few = n < WORD ? n : WORD, found = span_slowly(k, p, few);
    if (found < few || few == n)
        return found;
    p += few;
    n -= few;
    return few + (is_fast(n) ? before(k, false, p, n) : span_slowly(k, p, n));
}
