/* A message as signatures see it (RFC 6376 section 3.7): its header fields byte for byte, and its
 * body. Made for verifying and for signing, independent of the MIME reading: what counts here is
 * what the next reader gets over the wire.
 *
 * The header ends at the first empty line. A line in it that is neither a field nor a fold is kept
 * apart (`junk`): other readers may take it for the end of the header, so a signature over such a
 * message proves nothing about what is shown. Lines end with CRLF or LF. An mbox separator ("From
 * alice ...") in front is passed over. Spans point into the message. */
#ifndef GATEHOUSE_AUTH_SIGNEDMAIL_H
#define GATEHOUSE_AUTH_SIGNEDMAIL_H

#include "base/arena.h"

enum { SIGNED_FIELDS_MAX = 5000 }; /* of one header; what comes later is junk */

struct signed_field {
    struct span name;  /* as spelled, without white space before the colon */
    struct span value; /* behind the colon, with folds, without the final line end */
    struct span whole; /* name, colon and value */
    uint32_t hash;     /* of the lower-case name */
};

struct signed_mail {
    struct signed_field *v; /* in order of appearance */
    size_t n, cap;
    struct span body;
    bool junk; /* a line that is no field, or more fields than are looked at */
};

/* WSP of the RFCs. */
static inline bool is_wsp(char c)
{
    return c == ' ' || c == '\t';
}

void signed_mail_read(struct arena *a, struct span raw, struct signed_mail *out);

uint32_t signed_name_hash(struct span name);
/* Index of the last field of this name before `end`, SIZE_MAX when there is none. */
size_t signed_mail_last(const struct signed_mail *m, struct span name, size_t end);
/* How many fields have this name. */
size_t signed_mail_count(const struct signed_mail *m, struct span name);

#endif
