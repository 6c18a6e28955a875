/* Patterns that need many bytes of one set in a row, such as /^[^\r\n]{998}/ or /\w{6}\s{8}\w/: in
 * most strings there are none, which is seen by looking at few bytes. Room-private. */
#ifndef GATEHOUSE_PATTERN_STRETCH_H
#define GATEHOUSE_PATTERN_STRETCH_H

#include "pattern/byteset.h"

struct stretch {
    struct byteset set;
    size_t n; /* so many in a row */
};

/* The rarest that every match of the pattern holds. pattern: as pattern_pcre gives it. false: there
 * is none that is rare. */
bool stretch_of(struct span pattern, struct stretch *out);
/* Whether one stands in s at or behind `from`. */
bool stretch_stands(const struct stretch *x, struct span s, size_t from);

#endif
