#include "base/map.h"

#include <stdlib.h>
#include <sys/random.h>

static uint64_t rotl(uint64_t x, int b)
{
    return x << b | x >> (64 - b);
}

struct sip {
    uint64_t v0, v1, v2, v3;
};

static void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v2 = rotl(s->v2, 32);
}

/* SipHash-1-3 (Aumasson, Bernstein 2012; the rounds that hash tables need, as in Rust and Perl).
 * The secret is drawn once in a process. */
uint64_t map_hash(struct span key)
{
    static uint64_t secret[2];
    if (!secret[0] && getrandom(secret, sizeof secret, 0) != sizeof secret)
        abort();
    struct sip s = {secret[0] ^ 0x736f6d6570736575u, secret[1] ^ 0x646f72616e646f6du,
                    secret[0] ^ 0x6c7967656e657261u, secret[1] ^ 0x7465646279746573u};
    size_t i = 0;
    for (; i + 8 <= key.n; i += 8) {
        uint64_t word;
        memcpy(&word, key.p + i, 8);
        s.v3 ^= word;
        sip_round(&s);
        s.v0 ^= word;
    }
    uint64_t last = (uint64_t)key.n << 56;
    for (size_t shift = 0; i < key.n; i++, shift += 8)
        last |= (uint64_t)(unsigned char)key.p[i] << shift;
    s.v3 ^= last;
    sip_round(&s);
    s.v0 ^= last;
    s.v2 ^= 0xff;
    for (int r = 0; r < 3; r++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

struct map map_in(struct arena *a)
{
    return (struct map){.arena = a};
}

static unsigned filter_bit(const struct map *m, struct span key)
{
    if (key.n == 0)
        return 0;
    unsigned first = (unsigned char)key.p[0], middle = (unsigned char)key.p[key.n / 2];
    unsigned last = (unsigned char)key.p[key.n - 1];
    return (unsigned)(key.n * 37 + first * 101 + middle * 59 + last * 17) %
           (sizeof m->may_hold * 8);
}

/* The slot of key, or the free slot where it belongs. */
static uint32_t *slot_of(const struct map *m, struct span key, uint64_t hash)
{
    for (size_t i = hash & (m->nslots - 1);; i = (i + 1) & (m->nslots - 1)) {
        uint32_t e = m->slots[i];
        if (!e || (m->entries[e - 1].hash == hash && span_eq(m->entries[e - 1].key, key)))
            return &m->slots[i];
    }
}

void *map_get(const struct map *m, struct span key)
{
    unsigned bit = filter_bit(m, key);
    if (!(m->may_hold[bit / 64] >> bit % 64 & 1))
        return NULL;
    uint32_t e = *slot_of(m, key, map_hash(key));
    return e ? m->entries[e - 1].value : NULL;
}

static void rehash(struct map *m)
{
    m->nslots = m->nslots ? m->nslots * 2 : 16;
    m->slots = arena_array(m->arena, m->nslots, sizeof *m->slots);
    for (size_t i = 0; i < m->n; i++)
        *slot_of(m, m->entries[i].key, m->entries[i].hash) = (uint32_t)i + 1;
}

void **map_at(struct map *m, struct span key)
{
    if (m->n * 2 >= m->nslots)
        rehash(m);
    uint64_t hash = map_hash(key);
    uint32_t *slot = slot_of(m, key, hash);
    if (!*slot) {
        struct map_entry *e = ARENA_PUSH(m->arena, m->entries, m->n, m->cap);
        e->key = key;
        e->hash = hash;
        unsigned bit = filter_bit(m, key);
        m->may_hold[bit / 64] |= (uint64_t)1 << bit % 64;
        *slot = (uint32_t)m->n;
    }
    return &m->entries[*slot - 1].value;
}
