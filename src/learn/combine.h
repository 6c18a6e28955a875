/* From counts to one probability, as SpamAssassin's chi-squared combination (semantics 9.2). */
#ifndef GATEHOUSE_LEARN_COMBINE_H
#define GATEHOUSE_LEARN_COMBINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEARN_SIGNIFICANT = 150 }; /* the tokens that decide, at most */
#define LEARN_STRENGTH 0.346      /* how far from 0.5 a token must be to count */

/* How spammy a token is that was in that many spam and ham messages out of nspam and nham;
 * 0.5 for one that says nothing. nspam and nham are not 0. */
double learn_probability(uint32_t spam, uint32_t ham, uint32_t nspam, uint32_t nham);

/* One probability out of those of the n tokens that count, 0 to 1. n is not 0. */
double learn_combine(uint32_t nspam, uint32_t nham, const double *v, size_t n);

/* How many more messages of the other kind it would take until the token no longer counts
 * (SpamAssassin's "declassification distance"). */
int learn_distance(uint32_t nspam, uint32_t nham, uint32_t spam, uint32_t ham, double p);

#endif
