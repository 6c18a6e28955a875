/* How often a run, or a stretch of it, occurs in ordinary mail text. Letters are not strewn at
 * random: "please" is fifteen thousand times as frequent as its letters let expect. Room-private.
 */
#ifndef GATEHOUSE_PATTERN_FREQUENCY_H
#define GATEHOUSE_PATTERN_FREQUENCY_H

#include "pattern/need.h"

/* Of all stretches of one run. */
struct frequency {
    size_t n;
    float rate[]; /* in a kilobyte */
};

/* Worked out once for equal runs; lives as long as the table. */
const struct frequency *frequency_of(struct byteset_table *sets, const struct run *r);

/* Of single bytes in a kilobyte: as often as where in mail they are most frequent. */
double frequency_of_set(const struct byteset *s);
/* Of three bytes without bit 0x20, the first one lowest, whatever their cases: as often as where in
 * mail they are most frequent. 0: less than a third of a time in a kilobyte. */
double frequency_of_three(uint32_t folded);

/* Of its items [from, to). */
static inline double frequency_at(const struct frequency *f, size_t from, size_t to)
{
    return (double)f->rate[from * (f->n + 1) + to];
}

#endif
