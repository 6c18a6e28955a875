/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef GATEHOUSE_BASE_UTF8_H
#define GATEHOUSE_BASE_UTF8_H

#include "base/buf.h"

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Bytes of the character that s, which is not empty, begins with; 0 when it begins with none. */
size_t utf8_length(struct span s);
/* Appends s; each byte that is not UTF-8, and NUL, as U+FFFD. */
void utf8_add(struct buf *b, struct span s);

#endif
