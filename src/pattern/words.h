/* Patterns that are a few short strings of byte sets, such as /e/ or /(?:e|\xc3[\xa8\xa9])/: found
 * by looking at each byte once, which costs less than a call of PCRE2 for every match. Only for
 * those that begin with common bytes; PCRE2 is the faster one where it can leap. Room-private. */
#ifndef GATEHOUSE_PATTERN_WORDS_H
#define GATEHOUSE_PATTERN_WORDS_H

#include "base/arena.h"

enum { WORDS_MAX = 32, WORDS_LENGTH = 4 };

struct words;

/* pattern: as pattern_pcre gives it. NULL: it is none of these. */
struct words *words_new(struct span pattern);
void words_free(struct words *w);
/* The first match at or behind `from`: what PCRE2 would find. */
bool words_find(const struct words *w, struct span s, size_t from, size_t *start, size_t *end);
/* How many there are behind `from`, each behind the one before; at most `most`. */
size_t words_count(const struct words *w, struct span s, size_t from, size_t most);

#endif
