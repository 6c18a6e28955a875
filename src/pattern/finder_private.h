/* A finder, between the files that build it, look with it and keep it. */
#ifndef GATEHOUSE_PATTERN_FINDER_PRIVATE_H
#define GATEHOUSE_PATTERN_FINDER_PRIVATE_H

#include "pattern/finder.h"

#include <endian.h>

/* A run that may stand where its key's bytes do. */
struct finder_entry {
    uint64_t bytes; /* of its piece, up to eight items around the key, under the mask */
    uint32_t run;   /* with FINDER_WALKS: the number of a walk */
    uint16_t mask;
    uint8_t piece : 4;  /* so far before the key it begins */
    uint8_t before : 4; /* bytes that the run has at least before the key's first */
    uint8_t after;      /* and from there on */
};
#define FINDER_WALKS 0x80000000u

/* A run that is not told by eight bytes under a mask. */
struct finder_walk {
    uint32_t run;
    uint32_t items;  /* its first one: those inside, before and behind the piece */
    uint8_t inside;  /* how many of the piece's that the mask does not tell exactly */
    uint8_t before;  /* the piece, from it backwards */
    uint8_t behind;  /* and from its end on */
    uint8_t end : 6; /* of the piece, from the key on */
    uint8_t loops : 1;
};

struct finder_item {
    uint16_t set;
    uint16_t loop; /* what may stand between the piece and it; inside: its place in the piece */
};

/* Of bytes: by half, and by their last four bits, which of the first ones go with them. */
struct finder_set {
    uint8_t rows[2][16];
};

static inline bool finder_set_has(const struct finder_set *s, unsigned char c)
{
    return s->rows[c >> 7][c & 15] >> (c >> 4 & 7) & 1;
}

enum {
    FINDER_KEY = 3,      /* bytes that are hashed */
    FINDER_SECONDS = 32, /* classes of second bytes of short keys */
    FINDER_MASKS = 4096,
    FINDER_BITS_MIN = 8,
    FINDER_BITS_MAX = 15,
    FINDER_BUCKET_BITS = 2,
    FINDER_AHEAD = 6 /* steps between the asking for memory and its use */
};

/* Which of three bytes may begin a key, in eight groups of keys, by their halves: for filters of
 * few keys, as many places at once as a vector holds. */
struct finder_sieve {
    uint8_t low[FINDER_KEY][16], high[FINDER_KEY][16];
};

struct finder {
    /* By first byte of keys of one byte or two: which second ones may follow, as bits. */
    uint32_t second[256];
    struct finder_sieve sieve;
    uint32_t sieved; /* 0: too much passes it */
    uint32_t bits;   /* the table has 1 << bits bytes */
    uint8_t *table;  /* by hash of three bytes: which fourth ones may follow, as bits */
    /* By bucket, which is the hash but for its last bits, or of a short key the first byte:
     * entries[start[i]] ... entries[start[i + 1]]. */
    uint32_t *start;
    struct finder_entry *entries;
    uint64_t *masks;
    struct finder_walk *walks;
    struct finder_item *items;
    struct finder_set *sets; /* the first one is empty */
    size_t n, nentries, nmasks, nwalks, nitems, nsets;
};

/* Buckets of the table; those of short keys follow. */
static inline size_t finder_hashed(const struct finder *f)
{
    return (size_t)1 << (f->bits - FINDER_BUCKET_BITS);
}

static inline size_t finder_buckets(const struct finder *f)
{
    return finder_hashed(f) + 256;
}

/* Four bytes, the first one lowest: letters lose their case, of the fourth three bits remain. */
static inline uint32_t finder_fold(uint32_t four)
{
    return four & 0x07dfdfdf;
}

/* Of the first three. */
static inline uint32_t finder_hash(uint32_t folded, uint32_t bits)
{
    return folded * (0x9e3779b1u << 8) >> (32 - bits);
}

/* What may stand at a place of a key: its item, or any byte behind the last one. */
static inline struct byteset finder_item(const struct byteset_table *sets, const struct run *r,
                                         struct finder_key key, size_t i)
{
    return i < key.items ? sets->v[r->set[key.from + i]] : BYTESET_ALL;
}

/* Whether a key of three bytes and more may begin with these four; whether a shorter one: in the
 * last bit. */
static inline uint32_t finder_long(const struct finder *f, uint32_t four, uint32_t *hash)
{
    uint32_t folded = finder_fold(four);
    *hash = finder_hash(folded, f->bits);
    return f->table[*hash] >> (folded >> 24);
}

static inline uint32_t finder_short(const struct finder *f, uint32_t four)
{
    return f->second[four & 0xff] >> (four >> 8 & (FINDER_SECONDS - 1));
}

static inline uint32_t finder_four(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

static inline uint32_t finder_may_begin(const struct finder *f, const char *p)
{
    uint32_t four = finder_four(p), hash;
    return (finder_long(f, four, &hash) | finder_short(f, four)) & 1;
}

/* finder_walk.c: what is left to be compared when the mask of an entry with a walk fits. at: of the
 * key. */
bool finder_walk(const struct finder *f, const struct finder_entry *e, struct span text, size_t at,
                 struct finder_hit *hit);

/* finder_sieve.c: places below n at which a key may begin; four bytes more can be read behind each.
 * Only where finder_sieves says so. */
bool finder_sieves(const struct finder *f);
size_t finder_sift(const struct finder *f, const char *p, size_t n, uint16_t *at);
void finder_make_sieve(struct finder *f, const struct byteset_table *sets,
                       const struct run *const *runs, const struct finder_key *keys, size_t n);

#endif
