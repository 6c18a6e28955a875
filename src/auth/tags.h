/* Tag lists (RFC 6376 section 3.2): "v=1; a=rsa-sha256; ...", the syntax of DKIM signatures, key
 * records, ARC seals and DMARC records.
 *
 *     tag-list  =  tag-spec *( ";" tag-spec ) [ ";" ]
 *     tag-spec  =  [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]
 *
 * Names and values are case-sensitive; a name that comes twice makes the whole list invalid. Bytes
 * above 0x7f are taken in values (RFC 8616). All spans point into the text that was parsed. */
#ifndef GATEHOUSE_AUTH_TAGS_H
#define GATEHOUSE_AUTH_TAGS_H

#include "base/span.h"

enum { TAGS_MAX = 48 }; /* real lists have a dozen */

struct tag {
    struct span name;
    struct span value; /* without white space at both ends */
    struct span whole; /* everything between "=" and ";" */
};

struct tags {
    struct tag v[TAGS_MAX];
    size_t n;
};

/* NULL, or what is wrong, as a sentence fragment. */
const char *tags_parse(struct span text, struct tags *out);
/* The value of a tag; SPAN_NONE when the list has none of this name. */
struct span tags_get(const struct tags *t, struct span name);

/* One item of a list such as "from : to : subject", trimmed; false at the end. Empty items are
 * handed out too. */
bool tags_item(struct span *rest, char separator, struct span *item);
/* Whether an item of the list is `word`, compared without case. */
bool tags_has_item(struct span list, char separator, struct span word);

#endif
