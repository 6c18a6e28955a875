/* Sixteen bytes at a time, for loops that look for few things in much text: nothing here touches
 * more than the sixteen bytes at p, which must be there. */
#ifndef GATEHOUSE_BASE_SIXTEEN_H
#define GATEHOUSE_BASE_SIXTEEN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { SIXTEEN = 16 };

/* Each byte 0 or 255, for those of tests. */
typedef uint8_t sixteen __attribute__((vector_size(16)));

static inline sixteen sixteen_at(const char *p)
{
    sixteen v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline sixteen sixteen_is(sixteen v, char c)
{
    return (sixteen)(v == (uint8_t)c);
}

/* Those in [from, to]. */
static inline sixteen sixteen_within(sixteen v, uint8_t from, uint8_t to)
{
    return (sixteen)((v - from) <= (uint8_t)(to - from));
}

static inline bool sixteen_any(sixteen v)
{
    typedef uint64_t halves __attribute__((vector_size(16)));
    halves h = (halves)v;
    return (h[0] | h[1]) != 0;
}

#endif
