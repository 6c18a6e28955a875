/* Edits of a message's header, as splices over the original bytes (mime/splice.h).
 *
 * Line ends are those of the message (struct mime.crlf). Fields are those of the root part:
 * m->root. */
#ifndef GATEHOUSE_MIME_HEADER_EDIT_H
#define GATEHOUSE_MIME_HEADER_EDIT_H

#include "mime/mime.h"
#include "mime/splice.h"

/* The fields of a message's header, for edits: m->root->fields, without limit on their count, and
 * m->crlf. Nothing of the body is read. The reading is that of mime_parse, and goes on where it saw
 * the header end without an empty line (behind junk lines, at a delimiter): what a more lenient
 * reader would still find as a field is there too.
 * wanted: says by its name whether a field is kept (names may end in white space or line ends where
 * the sender put some before the colon); NULL keeps all. */
struct mime *mime_header(struct arena *a, struct span raw, bool (*wanted)(struct span name));

/* Whether lines that are added to the message's header end with CRLF: as those that are there do;
 * in a message without any line end they do. The same as m->crlf of mime_header. */
bool header_crlf(struct span raw);

/* The value as it stands in the original: behind the colon, with folds and line end, of any length.
 */
struct span header_value(const struct mime *m, const struct mime_field *f);

/* Inserts whole fields ("Name: value\n...", LF or CRLF, the last line end may be missing) in front
 * of all others, behind an mbox separator line. Later inserts stand below earlier ones. */
void header_insert(struct splices *s, const struct mime *m, struct span fields);

/* Deletes a field with its folds and line end. */
void header_delete(struct splices *s, const struct mime *m, const struct mime_field *f);

/* Deletes every instance of a field; returns how many there were. */
size_t header_delete_all(struct splices *s, const struct mime *m, struct span name);

/* Puts a new value into a field's place. Line ends inside value must be folds. */
void header_replace(struct splices *s, const struct mime *m, const struct mime_field *f,
                    struct span value);

/* Puts text in front of a field's value; name, spacing, folds and the (perhaps encoded) value stay
 * as they are. Text that is not ASCII is encoded (RFC 2047). Give it its own trailing space. */
void header_prefix(struct splices *s, const struct mime *m, const struct mime_field *f,
                   struct span text);
/* The same with ASCII that goes there as it is: comments of addresses. */
void header_prefix_raw(struct splices *s, const struct mime *m, const struct mime_field *f,
                       struct span text);

#endif
