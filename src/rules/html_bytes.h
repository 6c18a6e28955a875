/* Strings from HTML as rules see them (semantics 4.3). A character string is matched code point by
 * code point; here it becomes one byte a character, with a placeholder for those above U+00FF. */
#ifndef GATEHOUSE_RULES_HTML_BYTES_H
#define GATEHOUSE_RULES_HTML_BYTES_H

#include "html/html.h"

enum { HTML_WIDE = 0x1a }; /* what stands for a character above U+00FF */
struct span html_bytes(struct arena *a, const struct html_text *t);

#endif
