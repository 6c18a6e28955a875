/* Which bytes stand side by side in a text, letters in any case: what a text must hold can so be
 * ruled out for many patterns, at a few tests of bits each. Hashed: "may have" is no promise. */
#ifndef GATEHOUSE_BASE_PAIRS_H
#define GATEHOUSE_BASE_PAIRS_H

#include "base/span.h"

enum {
    PAIRS = 4096,
    PAIR_NONE = PAIRS /* is in every text */
};

struct pairs {
    uint64_t bits[PAIRS / 64 + 1];
};

static inline unsigned pair_of(char a, char b)
{
    return ((unsigned char)ascii_lower(a) * 37u ^ (unsigned char)ascii_lower(b)) % PAIRS;
}

/* Forgets what was there before. */
void pairs_of(struct pairs *p, struct span text);

static inline unsigned pairs_have(const struct pairs *p, unsigned pair)
{
    return (unsigned)(p->bits[pair / 64] >> pair % 64) & 1;
}

#endif
