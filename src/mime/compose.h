/* Writing messages of our own: bounces (RFC 3464), reports, notices, and texts for headers.
 *
 * Everything is appended to a buf with CRLF line ends. What comes from outside may be given as it
 * is: control characters never reach a header, so nobody can add a field of his own. */
#ifndef GATEHOUSE_MIME_COMPOSE_H
#define GATEHOUSE_MIME_COMPOSE_H

#include "base/buf.h"

enum {
    COMPOSE_LINE = 78,      /* lines are folded here where there is white space (RFC 5322 2.1.1) */
    COMPOSE_LINE_MAX = 998, /* and anywhere before this */
    COMPOSE_BOUNDARY_SIZE = 40
};

/* "Name: text" folded. Words that are not plain ASCII are encoded (RFC 2047; UTF-8, or unknown-8bit
 * when the bytes are no UTF-8). For unstructured fields: Subject, X-..., comments. */
void compose_field(struct buf *b, const char *name, struct span text);
/* As compose_field, with the text in printf form. */
void compose_fieldf(struct buf *b, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "Name: value" folded, nothing encoded: for structured fields (addresses, ids, Content-Type).
 * Bytes outside ASCII stay, control characters become spaces. */
void compose_structured(struct buf *b, const char *name, struct span value);

/* RFC 2047 alone: the text with the words that need it encoded; no line ends are added, a single
 * space stands between encoded words. */
void compose_words(struct buf *b, struct span text);

/* A display name for an address: as it is, quoted (RFC 5322 quoted-string), or encoded. */
void compose_phrase(struct buf *b, struct span name);

/* Bodies, with their CRLFs: base64 in lines of 76, or quoted-printable. In the text given to
 * compose_qp LF and CRLF are line ends; lines of the result have at most 76 characters. */
void compose_base64(struct buf *b, struct span bytes);
void compose_qp(struct buf *b, struct span text);
/* Text as it is, LF turned into CRLF; for 7-bit or 8-bit bodies whose lines are known to be short.
 */
void compose_lines(struct buf *b, struct span text);

/* A boundary that occurs in no text (128 random bits; contains "=_", which neither base64 nor
 * quoted-printable can produce). Returns out. */
char *compose_boundary(char out[COMPOSE_BOUNDARY_SIZE]);

#endif
