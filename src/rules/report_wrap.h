/* SpamAssassin's line wrapping (semantics 10.2): its habits are visible in every report.
 * Room-private. */
#ifndef GATEHOUSE_RULES_REPORT_WRAP_H
#define GATEHOUSE_RULES_REPORT_WRAP_H

#include "base/arena.h"

struct wrap {
    const char *first;  /* in front of the first line */
    const char *prefix; /* in front of the others */
    size_t width;       /* columns; a tab counts eight */
    bool overflow;      /* a line may grow over the width by its last piece */
    bool commas;        /* break behind white space and commas, not at white space alone */
};
/* Lines joined by LF. White space at the end of a broken line is dropped. */
struct span wrap_text(struct arena *a, struct span text, const struct wrap *w);

#endif
