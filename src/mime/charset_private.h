#ifndef GATEHOUSE_MIME_CHARSET_PRIVATE_H
#define GATEHOUSE_MIME_CHARSET_PRIVATE_H

#include "base/arena.h"

/* The name of ICU's converter for a charset as Perl's Encode resolves the name, NULL when Encode
 * knows none (semantics 3.5). Names of charsets that are decoded here begin with '=': "=ascii". */
const char *charset_converter(struct arena *a, struct span declared);

#endif
