/* Sets of bytes for looking through text, 16 or 32 bytes at a time where the processor can.
 * Room-private. */
#ifndef GATEHOUSE_PATTERN_BYTECLASS_H
#define GATEHOUSE_PATTERN_BYTECLASS_H

#include "pattern/byteset.h"

/* Of byte c bit (c >> 4 & 7) of what stands under its low four bits, in the second half when c is
 * above 127. */
struct byteclass {
    uint8_t bits[32];
};

struct byteclass byteclass_of(const struct byteset *s);

static inline bool byteclass_has(const struct byteclass *k, uint8_t c)
{
    return k->bits[(c >> 3 & 16) | (c & 15)] >> (c >> 4 & 7) & 1;
}

/* The first of the n bytes from p on that is of the class, n when there is none: near as a rule. */
size_t byteclass_near(const struct byteclass *k, const uint8_t *p, size_t n);
/* How many of the n bytes from p on are of the class before one that is not: few as a rule. */
size_t byteclass_span(const struct byteclass *k, const uint8_t *p, size_t n);

#endif
