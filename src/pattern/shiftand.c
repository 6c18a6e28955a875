#include "pattern/shiftand.h"

/* Eight words at once: GCC turns this into AVX-512, or pairs of AVX2, where the processor has them.
 */
typedef uint64_t lanes __attribute__((vector_size(SHIFTAND_LANES * sizeof(uint64_t)), aligned(8)));

enum { MAX_VECTORS = 64 };

/* Bytes that no set tells apart share a class, which keeps the tables small. */
static void make_classes(struct shiftand *m, const struct byteset_table *sets, const bool *used)
{
    uint64_t seen[256];
    for (unsigned c = 0; c < 256; c++) {
        uint64_t h = 1469598103934665603u;
        for (size_t i = 1; i < sets->n; i++)
            if (used[i])
                h = (h ^ byteset_has(&sets->v[i], (unsigned char)c)) * 1099511628211u;
        size_t k = 0;
        while (k < m->nclasses && seen[k] != h)
            k++;
        if (k == m->nclasses)
            seen[m->nclasses++] = h;
        m->class_of[c] = (uint8_t)k;
    }
}

static void place(struct shiftand *m, const struct byteset_table *sets, const struct run *r,
                  uint32_t run, size_t word, unsigned bit)
{
    m->first[word] |= (uint64_t)1 << bit;
    for (unsigned i = 0; i < r->n; i++)
        for (unsigned c = 0; c < 256; c++) {
            size_t at = m->class_of[c] * m->words + word;
            uint64_t mask = (uint64_t)1 << (bit + i);
            if (byteset_has(&sets->v[r->set[i]], (unsigned char)c))
                m->next[at] |= mask;
            if (i + 1u < r->n && byteset_has(&sets->v[r->loop[i]], (unsigned char)c))
                m->stay[at] |= mask;
        }
    unsigned end = bit + r->n - 1u;
    m->last[word] |= (uint64_t)1 << end;
    m->run_of[word * 64 + end] = run;
}

/* Vectors that lie across two lines of the cache are read twice. */
static uint64_t *vectors(struct arena *a, size_t n)
{
    const uintptr_t line = sizeof(lanes);
    uint64_t *v = arena_array(a, n + SHIFTAND_LANES, sizeof *v);
    return (uint64_t *)(((uintptr_t)v + line - 1) & ~(line - 1));
}

static void allocate(struct shiftand *m, struct arena *a)
{
    m->next = vectors(a, m->nclasses * m->words);
    m->stay = vectors(a, m->nclasses * m->words);
    m->first = vectors(a, m->words);
    m->last = vectors(a, m->words);
    m->run_of = arena_array(a, m->words * 64, sizeof *m->run_of);
}

struct shiftand *shiftand_build(struct arena *a, const struct byteset_table *sets,
                                const struct run *const *runs, size_t n)
{
    struct shiftand *m = ARENA_NEW(a, struct shiftand);
    bool *used = arena_array(a, sets->n + 1, sizeof *used);
    size_t bits = 0, words = 1;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < runs[i]->n; k++)
            used[runs[i]->set[k]] = used[runs[i]->loop[k]] = true;
        if (bits + runs[i]->n > 64) {
            words++;
            bits = 0;
        }
        bits += runs[i]->n;
    }
    if (n == 0)
        return m;
    m->words = (words + SHIFTAND_LANES - 1) / SHIFTAND_LANES * SHIFTAND_LANES;
    make_classes(m, sets, used);
    allocate(m, a);
    size_t word = 0;
    bits = 0;
    for (size_t i = 0; i < n; i++) {
        if (bits + runs[i]->n > 64) {
            word++;
            bits = 0;
        }
        place(m, sets, runs[i], (uint32_t)i, word, (unsigned)bits);
        bits += runs[i]->n;
    }
    return m;
}

/* Vectors that are moved over the string side by side: one alone waits for its own last step, three
 * keep the processor busy. State, accumulated ends and starts stay in registers. */
enum { ABREAST = 3 };

static inline __attribute__((always_inline)) uint64_t
scan_vectors(const struct shiftand *m, struct span s, size_t w, size_t n, uint64_t *ended)
{
    const size_t block = shiftand_block(s.n);
    lanes state[ABREAST] = {0}, seen[ABREAST], first[ABREAST], any = {0};
    for (size_t k = 0; k < n; k++)
        first[k] = *(const lanes *)(m->first + w + k * SHIFTAND_LANES);
    for (size_t i = 0; i < s.n; ended += m->words) {
        for (size_t k = 0; k < n; k++)
            seen[k] = (lanes){0};
        for (size_t end = s.n - i < block ? s.n : i + block; i < end; i++) {
            size_t row = m->class_of[(unsigned char)s.p[i]] * m->words + w;
            const lanes *next = (const lanes *)(m->next + row);
            const lanes *stay = (const lanes *)(m->stay + row);
            for (size_t k = 0; k < n; k++) {
                state[k] = (((state[k] << 1) | first[k]) & next[k]) | (state[k] & stay[k]);
                seen[k] |= state[k];
            }
        }
        for (size_t k = 0; k < n; k++) {
            seen[k] &= *(const lanes *)(m->last + w + k * SHIFTAND_LANES);
            memcpy(ended + w + k * SHIFTAND_LANES, &seen[k], sizeof seen[k]);
            any |= seen[k];
        }
    }
    uint64_t some = 0;
    for (size_t k = 0; k < SHIFTAND_LANES; k++)
        some |= any[k];
    return some;
}

#if defined __x86_64__ && !defined __clang__
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
bool shiftand_scan(const struct shiftand *m, struct span s, uint64_t *ended)
{
    enum { STRIDE = ABREAST * SHIFTAND_LANES };
    uint64_t any = 0;
    size_t w = 0;
    for (; w + STRIDE <= m->words; w += STRIDE)
        any |= scan_vectors(m, s, w, ABREAST, ended);
    for (; w < m->words; w += SHIFTAND_LANES)
        any |= scan_vectors(m, s, w, 1, ended);
    return any != 0;
}

static void save_words(struct buf *out, const uint64_t *v, size_t n)
{
    buf_add(out, span_of((const char *)v, n * sizeof *v));
}

void shiftand_save(const struct shiftand *m, struct buf *out)
{
    buf_u64(out, m->words);
    buf_u64(out, m->nclasses);
    buf_add(out, span_of((const char *)m->class_of, sizeof m->class_of));
    save_words(out, m->next, m->nclasses * m->words);
    save_words(out, m->stay, m->nclasses * m->words);
    save_words(out, m->first, m->words);
    save_words(out, m->last, m->words);
    buf_add(out, span_of((const char *)m->run_of, m->words * 64 * sizeof *m->run_of));
}

static void load_bytes(struct cursor *in, void *to, size_t n)
{
    struct span s = cursor_bytes(in, n);
    if (s.n == n && n)
        memcpy(to, s.p, n);
}

struct shiftand *shiftand_load(struct arena *a, struct cursor *in)
{
    struct shiftand *m = ARENA_NEW(a, struct shiftand);
    m->words = cursor_u64(in);
    m->nclasses = cursor_u64(in);
    load_bytes(in, m->class_of, sizeof m->class_of);
    if (in->failed || m->words > MAX_VECTORS * SHIFTAND_LANES || m->words % SHIFTAND_LANES ||
        m->nclasses > 256)
        return NULL;
    for (unsigned c = 0; c < 256; c++)
        if (m->words && m->class_of[c] >= m->nclasses)
            return NULL;
    allocate(m, a);
    load_bytes(in, m->next, m->nclasses * m->words * sizeof *m->next);
    load_bytes(in, m->stay, m->nclasses * m->words * sizeof *m->stay);
    load_bytes(in, m->first, m->words * sizeof *m->first);
    load_bytes(in, m->last, m->words * sizeof *m->last);
    load_bytes(in, m->run_of, m->words * 64 * sizeof *m->run_of);
    return in->failed ? NULL : m;
}
