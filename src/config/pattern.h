/* The form of patterns in settings: "!" for not, then a glob or "/regex/flags". */
#ifndef GATEHOUSE_CONFIG_PATTERN_H
#define GATEHOUSE_CONFIG_PATTERN_H

#include "base/err.h"
#include "base/span.h"

/* Cuts "!" off the front. */
bool pattern_negated(struct span *s);
/* The regular expression between the slashes and PCRE2's options for it; false: it is a glob (or
 * has no closing slash, or flags that are none: see pattern_check). */
bool pattern_regex(struct span s, struct span *regex, uint32_t *options);
/* -1 with the reason when a pattern that begins with a slash can't be compiled. */
int pattern_check(struct span s, struct err *e);

#endif
