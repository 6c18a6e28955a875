/* A message as Python's email package takes it apart (email.message_from_bytes, policy compat32),
 * because Pyzor's digest is defined over that reading. Room-private.
 *
 * Not mime/: that one reads as SpamAssassin does. Where both agree, nobody notices; where they do
 * not, a digest of the wrong part would find nothing at the servers. */
#ifndef GATEHOUSE_DIGESTS_PYMAIL_H
#define GATEHOUSE_DIGESTS_PYMAIL_H

#include "base/arena.h"

enum {
    PYMAIL_DEPTH = 30,  /* nested multiparts and messages; deeper ones are one part */
    PYMAIL_PARTS = 5000 /* what is behind them is not read */
};

/* A part that holds no others, in the order of Message.walk(). */
struct pymail_part {
    struct span type;     /* get_content_type(): lower case, never absent */
    struct span charset;  /* get_content_charset(): lower case; absent: not declared */
    struct span encoding; /* Content-Transfer-Encoding as written, lower case; may be empty */
    struct span payload;  /* a slice of the message, not decoded */
};
typedef void pymail_fn(void *ctx, const struct pymail_part *p);

void pymail_walk(struct arena *a, struct span raw, pymail_fn *fn, void *ctx);

/* get_payload(decode=True): quoted-printable, base64 or uuencode undone, as binascii does it. */
struct span pymail_decoded(struct arena *a, const struct pymail_part *p);

/* str.splitlines() of bytes in the email package: CR, LF and CRLF end a line. Cuts the next one off
 * *rest, with its end; false when *rest is empty. */
bool pymail_line(struct span *rest, struct span *line);

#endif
