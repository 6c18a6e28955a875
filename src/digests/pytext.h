/* Text as Python's str has it, in UTF-8: bytes decoded by a codec's name, white space, and the
 * data that html.parser finds. For Pyzor's digest. Room-private. */
#ifndef GATEHOUSE_DIGESTS_PYTEXT_H
#define GATEHOUSE_DIGESTS_PYTEXT_H

#include "base/arena.h"

/* bytes.decode(charset, "ignore"), or "replace". A charset that Python does not know (or an absent
 * one) is ASCII. The result is valid UTF-8; it may be the bytes themselves. */
struct span py_decode(struct arena *a, struct span bytes, struct span charset, bool replace);

bool py_ascii(struct span s);

/* Bytes of the character that s, which is not empty and valid, begins with; of the white space it
 * begins with (str.isspace, \s), or 0. */
size_t py_char(struct span s);
size_t py_space(struct span s);
struct span py_strip(struct span s);

/* html.unescape */
struct span py_unescape(struct arena *a, struct span s);
/* The value of "amp;" or "amp"; absent: no such name. */
struct span html5_entity(struct span name);

/* What pyzor's HTMLStripper collects: pieces of text outside of tags, scripts and styles, each
 * stripped, joined by blanks. */
struct span py_html_text(struct arena *a, struct span html);

#endif
