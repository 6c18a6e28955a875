/* Places in text where something may begin, told by a few of its first bytes, for all places of a
 * block at once where the processor can (the "Teddy" of Hyperscan).
 *
 * What may begin is divided into up to eight kinds. At each of a few offsets every kind allows some
 * low and some high halves of the byte; a place remains where one kind allows all. Room-private. */
#ifndef GATEHOUSE_PATTERN_FIRSTBYTES_H
#define GATEHOUSE_PATTERN_FIRSTBYTES_H

#include "pattern/byteset.h"

enum { FIRSTBYTES = 3, FIRSTBYTES_KINDS = 8 };

struct firstbytes {
    uint8_t n; /* offsets that are looked at; 0: every place remains */
    uint8_t offset[FIRSTBYTES];
    uint8_t low[FIRSTBYTES][16], high[FIRSTBYTES][16]; /* a bit for each kind */
};

/* At the i-th offset the kind allows the bytes of s, and such as are made of their halves. */
void firstbytes_allow(struct firstbytes *f, size_t i, unsigned kind, const struct byteset *s);

static inline bool firstbytes_hold(const struct firstbytes *f, const uint8_t *p)
{
    unsigned kinds = 0xff;
    for (size_t i = 0; i < f->n && kinds; i++) {
        uint8_t c = p[f->offset[i]];
        kinds &= f->low[i][c & 15] & f->high[i][c >> 4];
    }
    return kinds != 0;
}

/* The first of the n places from p on that remains, n when none does. Bytes can be read as far
 * behind the last place as the offsets tell. */
size_t firstbytes_find(const struct firstbytes *f, const uint8_t *p, size_t n);

#endif
