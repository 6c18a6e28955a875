/* The names of everything that two readers of a message may read differently, in one table.
 * A record calls them "mime." + name. Of each kind the first MIME_ANOMALIES_OF_A_KIND of a message
 * are kept, in the order in which they were met. */
#ifndef GATEHOUSE_MIME_ANOMALY_H
#define GATEHOUSE_MIME_ANOMALY_H

#include <stddef.h>

enum { MIME_ANOMALIES_OF_A_KIND = 4 };

/* X(identifier, name, what) */
#define MIME_ANOMALY_LIST(X)                                                                       \
    X(HEADER_NUL, "header.nul", "a NUL byte in a header")                                          \
    X(HEADER_BARE_CR, "header.bare-cr", "a CR without LF in a header")                             \
    X(HEADER_BARE_LF, "header.bare-lf", "an LF without CR in the header of a CRLF message")        \
    X(HEADER_JUNK, "header.junk", "a line in a header that is no field")                           \
    X(HEADER_LEADING_FOLD, "header.leading-fold", "the first line of a header is a continuation")  \
    X(HEADER_SPACE_BEFORE_COLON, "header.space-before-colon",                                      \
      "white space between name and colon")                                                        \
    X(HEADER_LONG_NAME, "header.long-name", "a field name of more than 256 bytes, cut there")      \
    X(HEADER_LONG_VALUE, "header.long-value", "a field body of more than 8192 bytes, cut there")   \
    X(HEADER_LIMIT, "header.limit", "more fields than the limit; the rest is not looked at")       \
    X(HEADER_NO_SEPARATOR, "header.no-separator", "no empty line between header and body")         \
    X(HEADER_LOST_FIELD, "header.lost-field", "the last field of a part without body is not read") \
    X(FROM_DUPLICATE, "from.duplicate", "more than one From")                                      \
    X(SUBJECT_DUPLICATE, "subject.duplicate", "more than one Subject")                             \
    X(TYPE_DUPLICATE, "content-type.duplicate", "more than one Content-Type")                      \
    X(TYPE_BROKEN, "content-type.broken", "a Content-Type without a proper type/subtype")          \
    X(ENCODING_DUPLICATE, "content-transfer-encoding.duplicate",                                   \
      "more than one Content-Transfer-Encoding")                                                   \
    X(ENCODING_UNKNOWN, "content-transfer-encoding.unknown",                                       \
      "an encoding that is not one of the five, or has something beside it")                       \
    X(ENCODING_OF_MULTIPART, "content-transfer-encoding.multipart", "an encoded multipart")        \
    X(ENCODING_OF_MESSAGE, "content-transfer-encoding.message", "an encoded message/rfc822")       \
    X(DISPOSITION_DUPLICATE, "content-disposition.duplicate", "more than one Content-Disposition") \
    X(PARAM_DUPLICATE, "parameter.duplicate", "a name or charset parameter given twice")           \
    X(PARAM_ENCODED_WORD, "parameter.encoded-word", "an encoded-word (RFC 2047) in a parameter")   \
    X(PARAM_MIXED, "parameter.mixed", "a parameter both plain and in RFC 2231 pieces")             \
    X(NAME_CONFLICT, "name.conflict", "Content-Type and Content-Disposition give other names")     \
    X(BOUNDARY_DUPLICATE, "boundary.duplicate", "the boundary parameter given twice")              \
    X(BOUNDARY_MISSING, "boundary.missing", "a multipart without boundary")                        \
    X(BOUNDARY_INHERITED, "boundary.inherited", "a nested multipart uses its parent's boundary")   \
    X(BOUNDARY_REUSED, "boundary.reused", "a part declares the boundary of its parent")            \
    X(BOUNDARY_LONG, "boundary.long", "a boundary of more than 70 characters")                     \
    X(BOUNDARY_UNUSED, "boundary.unused", "the declared boundary does not occur")                  \
    X(BOUNDARY_UNCLOSED, "boundary.unclosed", "no final delimiter")                                \
    X(BOUNDARY_PREFIX, "boundary.prefix", "a line begins like a delimiter and goes on")            \
    X(EPILOGUE, "multipart.epilogue", "text after the final delimiter")                            \
    X(PART_LIMIT, "part.limit", "more parts than the limit; the rest is not looked at")            \
    X(PART_DEPTH, "part.depth", "nested deeper than the limit; what is inside is not looked at")   \
    X(PART_NO_SEPARATOR, "part.no-separator", "no empty line between header and body of a part")   \
    X(BODY_NUL, "body.nul", "a NUL byte in a body")                                                \
    X(BODY_BARE_CR, "body.bare-cr", "a CR without LF in a body")                                   \
    X(LINE_BARE_LF, "line.bare-lf", "an LF without CR in a CRLF message")                          \
    X(BODY_BLANK_RUN, "body.blank-run", "more than 20 empty lines, cut to 20")                     \
    X(BODY_LONG_LINE, "body.long-line", "a line of more than 2048 bytes in a part, cut")           \
    X(BASE64_JUNK, "base64.junk", "characters outside the alphabet in base64")                     \
    X(BASE64_PADDING, "base64.padding", "a '=' inside base64")                                     \
    X(BASE64_TRUNCATED, "base64.truncated", "base64 that ends inside a group")                     \
    X(QP_BROKEN, "quoted-printable.broken", "a '=' without two hexadecimal digits")

enum mime_anomaly_kind {
#define X(identifier, name, what) MIME_A_##identifier,
    MIME_ANOMALY_LIST(X)
#undef X
        MIME_ANOMALY_KINDS
};

struct mime_anomaly_row {
    const char *name, *what;
};
/* MIME_ANOMALY_KINDS rows, in the order of the enum. */
extern const struct mime_anomaly_row mime_anomaly_table[];

#endif
