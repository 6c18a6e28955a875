#include "pattern/finder_private.h"

#include <math.h>
#include <stdlib.h>

#include "pattern/frequency.h"

enum {
    FOLDED_BIT = 0x20,
    STRINGS_MAX = 256, /* spellings of a key */
    /* Bytes of the table for each spelling; fewer when it is large. */
    ROOMY = 32,
    ROOMY_BITS = 12,
    CROWDED = 4
};
/* What a spelling costs, as if it occurred so often in a kilobyte. */
static const double BURDEN = 0.03;
static const double FOLLOWS = 2;
/* So many times as often as thought something may be. */
static const double MISJUDGED = 50;
/* Of places that the key's last byte tells apart by its class only, those that remain. */
static const double BLURRED = 0.3;

/* --- keys --- */

/* The bytes of a set as the table is asked for them. */
static struct byteset folded(struct byteset s)
{
    struct byteset out;
    for (size_t i = 0; i < 4; i++)
        out.w[i] = (s.w[i] | s.w[i] >> FOLDED_BIT) & UINT32_MAX;
    return out;
}

static size_t bytes_of(const struct byteset *s, unsigned char out[256])
{
    size_t n = 0;
    for (size_t i = 0; i < 4; i++)
        for (uint64_t bits = s->w[i]; bits; bits &= bits - 1)
            out[n++] = (unsigned char)(64 * i + (unsigned)__builtin_ctzll(bits));
    return n;
}

/* Which classes of bytes, by their last bits. */
static uint32_t classes(const struct byteset *s, unsigned mask)
{
    uint32_t out = 0;
    unsigned char v[256];
    size_t n = bytes_of(s, v);
    for (size_t i = 0; i < n; i++)
        out |= 1u << (v[i] & mask);
    return out;
}

/* How many items from `from` on stand side by side. */
static size_t adjacent(const struct run *r, size_t from)
{
    size_t n = 1;
    while (n < FINDER_KEY + 1 && from + n < r->n && !r->loop[from + n - 1])
        n++;
    return n;
}

/* Of `often` places those that are taken for the key, where only `known` items of it are compared
 * whole and of the next one its class. */
static double places(struct byteset_table *sets, const struct run *r, struct finder_key key,
                     size_t known, unsigned mask)
{
    const struct frequency *f = frequency_of(sets, r);
    if (key.items <= known)
        return frequency_at(f, key.from, key.from + key.items);
    struct byteset next = finder_item(sets, r, key, known);
    double share = __builtin_popcount(classes(&next, mask)) / (mask + 1.0);
    double often = frequency_at(f, key.from, key.from + known),
           exact = frequency_at(f, key.from, key.from + known + 1);
    return exact + (often - exact) * share * BLURRED;
}

/* Of keys of one or two bytes. What follows a byte is more often what goes with it. */
static double short_cost(struct byteset_table *sets, const struct run *r, struct finder_key key)
{
    struct byteset first = finder_item(sets, r, key, 0), next = finder_item(sets, r, key, 1);
    double often = frequency_of_set(&first), with = FOLLOWS * frequency_of_set(&next) / 1000,
           thought = places(sets, r, key, 1, FINDER_SECONDS - 1);
    if (key.items > 1)
        often *= with < 1 ? with : 1;
    return often > thought ? often : thought;
}

/* The sets of three items as the table is asked for them; how many spellings they have. */
static double three_sets(const struct byteset_table *sets, const struct run *r,
                         struct finder_key key, struct byteset out[FINDER_KEY])
{
    double strings = 1;
    for (size_t i = 0; i < FINDER_KEY; i++) {
        out[i] = folded(finder_item(sets, r, key, i));
        strings *= byteset_size(&out[i]);
    }
    return strings;
}

double finder_three(const struct byteset_table *sets, const struct run *r, size_t from)
{
    struct byteset s[FINDER_KEY];
    struct finder_key key = {(uint8_t)from, FINDER_KEY};
    if (three_sets(sets, r, key, s) > STRINGS_MAX)
        return INFINITY;
    double often = 0;
    unsigned char v[FINDER_KEY][256];
    size_t n[FINDER_KEY];
    for (size_t i = 0; i < FINDER_KEY; i++)
        n[i] = bytes_of(&s[i], v[i]);
    for (size_t x = 0; x < n[0]; x++)
        for (size_t y = 0; y < n[1]; y++)
            for (size_t z = 0; z < n[2]; z++)
                often +=
                    frequency_of_three(v[0][x] | (uint32_t)v[1][y] << 8 | (uint32_t)v[2][z] << 16);
    return often;
}

static double key_cost(struct byteset_table *sets, const struct run *r, struct finder_key key)
{
    struct byteset s[FINDER_KEY];
    if (key.items < FINDER_KEY)
        return short_cost(sets, r, key);
    double strings = three_sets(sets, r, key, s);
    if (strings > STRINGS_MAX)
        return INFINITY;
    double thought = frequency_at(frequency_of(sets, r), key.from, key.from + FINDER_KEY),
           seen = finder_three(sets, r, key.from),
           often = places(sets, r, key, FINDER_KEY, 7) + strings * BURDEN;
    if (seen <= thought || thought <= 0)
        return often;
    return often * (seen / thought < MISJUDGED ? seen / thought : MISJUDGED);
}

double finder_key(struct byteset_table *sets, const struct run *r, struct finder_key *out)
{
    double best = INFINITY;
    for (size_t from = 0; from < r->n; from++) {
        size_t most = adjacent(r, from);
        for (size_t n = 1; n <= most; n++) {
            struct finder_key key = {(uint8_t)from, (uint8_t)n};
            double cost = key_cost(sets, r, key);
            if (cost < best) {
                best = cost;
                *out = key;
            }
        }
    }
    return best;
}

/* --- building --- */

struct pending {
    uint32_t bucket;
    struct finder_entry entry;
};

struct maker {
    struct finder *f;
    struct arena *a, *scratch;
    const struct byteset_table *sets;
    uint16_t *number; /* by set of the table: its number here */
    struct pending *v;
    size_t n, cap, walks_cap, items_cap;
};

/* Calls for each spelling of a key of three bytes and more, and which fourth bytes it wants. */
static void spell(struct maker *m, const struct run *r, struct finder_key key,
                  void (*fn)(struct maker *m, uint32_t hash, uint8_t fourth, void *ctx), void *ctx)
{
    struct byteset s[FINDER_KEY], next = finder_item(m->sets, r, key, FINDER_KEY);
    uint8_t fourth = (uint8_t)classes(&next, 7);
    for (size_t i = 0; i < FINDER_KEY; i++)
        s[i] = folded(finder_item(m->sets, r, key, i));
    for (unsigned x = 0; x < 256; x++)
        for (unsigned y = 0; y < 256 && byteset_has(&s[0], (unsigned char)x); y++)
            for (unsigned z = 0; z < 256 && byteset_has(&s[1], (unsigned char)y); z++)
                if (byteset_has(&s[2], (unsigned char)z))
                    fn(m, finder_hash(x | y << 8 | z << 16, m->f->bits), fourth, ctx);
}

static void count_string(struct maker *m, uint32_t hash, uint8_t fourth, void *ctx)
{
    (void)m, (void)hash, (void)fourth;
    ++*(size_t *)ctx;
}

/* Large enough that most of it stays empty, and small enough for the nearest cache. */
static uint32_t table_bits(size_t strings)
{
    uint32_t bits = FINDER_BITS_MIN;
    while (bits < FINDER_BITS_MAX &&
           ((size_t)1 << bits) < (bits < ROOMY_BITS ? ROOMY : CROWDED) * strings)
        bits++;
    return bits;
}

/* The smallest mask and value that all bytes of the set agree with; true: no other byte does. */
static bool masked(const struct byteset *s, uint8_t *mask, uint8_t *value)
{
    unsigned all = 0xff, some = 0;
    for (unsigned c = 0; c < 256; c++)
        if (byteset_has(s, (unsigned char)c)) {
            all &= c;
            some |= c;
        }
    *mask = (uint8_t) ~(all ^ some);
    *value = (uint8_t)(all & *mask);
    return byteset_size(s) == 1 << __builtin_popcount((unsigned)(all ^ some));
}

static uint16_t mask_number(struct finder *f, uint64_t *mask)
{
    for (size_t i = 0; i < f->nmasks; i++)
        if (f->masks[i] == *mask)
            return (uint16_t)i;
    if (f->nmasks == FINDER_MASKS) {
        *mask = 0; /* the first one: nothing is told by it */
        return 0;
    }
    f->masks[f->nmasks] = *mask;
    return (uint16_t)f->nmasks++;
}

/* Up to eight items around the key that stand side by side: [*from, *to). */
static void piece_of(const struct run *r, struct finder_key key, size_t *from, size_t *to)
{
    *from = key.from;
    *to = key.from + 1u;
    while (*to < r->n && *to - *from < 8 && !r->loop[*to - 1])
        ++*to;
    while (*from > 0 && *to - *from < 8 && !r->loop[*from - 1])
        --*from;
}

static struct finder_set set_of(const struct byteset *s)
{
    struct finder_set out = {0};
    for (unsigned c = 0; c < 256; c++)
        if (byteset_has(s, (unsigned char)c))
            out.rows[c >> 7][c & 15] |= (uint8_t)(1u << (c >> 4 & 7));
    return out;
}

static uint16_t set_number(struct maker *m, uint16_t set)
{
    if (m->number[set] == 0) {
        m->f->sets[m->f->nsets] = set_of(&m->sets->v[set]);
        m->number[set] = (uint16_t)++m->f->nsets;
    }
    return (uint16_t)(m->number[set] - 1);
}

static void add_item(struct maker *m, uint16_t set, uint16_t loop)
{
    *ARENA_PUSH(m->a, m->f->items, m->f->nitems, m->items_cap) = (struct finder_item){set, loop};
}

/* [from, to): the piece; inexact: which of its items the mask does not tell, as bits. */
static uint32_t add_walk(struct maker *m, const struct run *r, struct finder_key key, uint32_t run,
                         size_t from, size_t to, uint32_t inexact)
{
    struct finder *f = m->f;
    struct finder_walk w = {.run = run,
                            .items = (uint32_t)f->nitems,
                            .inside = (uint8_t)__builtin_popcount(inexact),
                            .before = (uint8_t)from,
                            .behind = (uint8_t)(r->n - to),
                            .end = (to - key.from) & 63};
    for (size_t i = from; i < to; i++)
        if (inexact >> i & 1)
            add_item(m, set_number(m, r->set[i]), (uint16_t)(i - from));
    for (size_t i = from; i-- > 0;) {
        add_item(m, set_number(m, r->set[i]), set_number(m, r->loop[i]));
        w.loops |= r->loop[i] != 0;
    }
    for (size_t i = to; i < r->n; i++) {
        add_item(m, set_number(m, r->set[i]), set_number(m, r->loop[i - 1]));
        w.loops |= r->loop[i - 1] != 0;
    }
    *ARENA_PUSH(m->a, f->walks, f->nwalks, m->walks_cap) = w;
    return (uint32_t)(f->nwalks - 1) | FINDER_WALKS;
}

static struct finder_entry entry_of(struct maker *m, const struct run *r, struct finder_key key,
                                    uint32_t run)
{
    size_t from, to;
    piece_of(r, key, &from, &to);
    uint32_t inexact = 0;
    uint64_t mask = 0, bytes = 0;
    for (size_t i = from; i < to; i++) {
        uint8_t one, value;
        inexact |= (uint32_t)!masked(&m->sets->v[r->set[i]], &one, &value) << i;
        mask |= (uint64_t)one << 8 * (i - from);
        bytes |= (uint64_t)value << 8 * (i - from);
    }
    uint64_t wanted = mask;
    uint16_t mask_at = mask_number(m->f, &mask);
    if (mask != wanted)
        inexact = (1u << to) - (1u << from);
    if (inexact || to - from < r->n)
        run = add_walk(m, r, key, run, from, to, inexact);
    return (struct finder_entry){.bytes = bytes & mask,
                                 .run = run,
                                 .mask = mask_at,
                                 .piece = (key.from - from) & 15,
                                 .before = (uint8_t)(key.from & 15),
                                 .after = (uint8_t)(r->n - key.from)};
}

static void add_string(struct maker *m, uint32_t hash, uint8_t fourth, void *ctx)
{
    m->f->table[hash] |= fourth;
    *ARENA_PUSH(m->scratch, m->v, m->n, m->cap) =
        (struct pending){hash >> FINDER_BUCKET_BITS, *(struct finder_entry *)ctx};
}

/* A key of one or two bytes. */
static void add_short(struct maker *m, const struct run *r, struct finder_key key,
                      const struct finder_entry *e)
{
    struct byteset first = finder_item(m->sets, r, key, 0), next = finder_item(m->sets, r, key, 1);
    for (unsigned c = 0; c < 256; c++)
        if (byteset_has(&first, (unsigned char)c)) {
            m->f->second[c] |= classes(&next, FINDER_SECONDS - 1);
            *ARENA_PUSH(m->scratch, m->v, m->n, m->cap) =
                (struct pending){(uint32_t)finder_hashed(m->f) + c, *e};
        }
}

static int by_bucket(const void *x, const void *y)
{
    const struct pending *a = x, *b = y;
    if (a->bucket != b->bucket)
        return a->bucket < b->bucket ? -1 : 1;
    return a->entry.run < b->entry.run ? -1 : a->entry.run > b->entry.run;
}

/* A run is once in a bucket, however many of its key's spellings are. */
static void fill_buckets(struct maker *m)
{
    struct finder *f = m->f;
    if (m->n)
        qsort(m->v, m->n, sizeof *m->v, by_bucket);
    f->entries = arena_array(m->a, m->n + 1, sizeof *f->entries);
    f->start = arena_array(m->a, finder_buckets(f) + 1, sizeof *f->start);
    uint32_t bucket = 0;
    for (size_t i = 0; i < m->n; i++) {
        const struct pending *p = &m->v[i];
        if (i && p[-1].bucket == p->bucket && p[-1].entry.run == p->entry.run)
            continue;
        while (bucket < p->bucket)
            f->start[++bucket] = (uint32_t)f->nentries;
        f->entries[f->nentries++] = p->entry;
    }
    while (bucket < finder_buckets(f))
        f->start[++bucket] = (uint32_t)f->nentries;
}

static void make_table(struct maker *m, const struct run *const *runs,
                       const struct finder_key *keys, size_t n)
{
    struct finder *f = m->f;
    size_t strings = 0;
    f->bits = FINDER_BITS_MIN;
    for (size_t i = 0; i < n; i++)
        if (keys[i].items >= FINDER_KEY)
            spell(m, runs[i], keys[i], count_string, &strings);
    f->bits = table_bits(strings);
    f->table = arena_array(m->a, (size_t)1 << f->bits, 1);
    for (size_t i = 0; i < n; i++) {
        struct finder_entry e = entry_of(m, runs[i], keys[i], (uint32_t)i);
        if (keys[i].items >= FINDER_KEY)
            spell(m, runs[i], keys[i], add_string, &e);
        else
            add_short(m, runs[i], keys[i], &e);
    }
}

struct finder *finder_build(struct arena *a, const struct byteset_table *sets,
                            const struct run *const *runs, const struct finder_key *keys, size_t n)
{
    struct maker m = {.f = ARENA_NEW(a, struct finder), .a = a, .sets = sets};
    struct finder *f = m.f;
    m.scratch = arena_new(0);
    m.number = arena_array(m.scratch, sets->n + 1, sizeof *m.number);
    f->n = n;
    f->sets = arena_array(a, sets->n + 2, sizeof *f->sets);
    set_number(&m, 0);
    f->masks = arena_array(a, FINDER_MASKS, sizeof *f->masks);
    f->nmasks = 1;
    make_table(&m, runs, keys, n);
    finder_make_sieve(f, sets, runs, keys, n);
    fill_buckets(&m);
    arena_free(m.scratch);
    return f;
}
