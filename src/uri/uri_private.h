/* Shared by the files of this room. */
#ifndef GATEHOUSE_URI_URI_PRIVATE_H
#define GATEHOUSE_URI_URI_PRIVATE_H

#include "uri/uri.h"

/* Escapes of printable characters decoded, the others kept; raw control characters, blanks, bytes
 * from 7F on and " % < > escaped. s itself when it holds no escape. wide: s is UTF-8 of characters.
 */
struct span uri_decode_escapes(struct arena *a, struct span s, bool wide);

#endif
