/* What the files of this room share. */
#ifndef GATEHOUSE_MIME_MIME_PRIVATE_H
#define GATEHOUSE_MIME_MIME_PRIVATE_H

#include "base/map.h"
#include "mime/anomaly.h"
#include "mime/mime.h"

/* Lengths at which SpamAssassin cuts (semantics 3.1, 3.2, 3.4). */
enum {
    MIME_NAME_MAX = 256,
    MIME_VALUE_MAX = 8192,
    MIME_LINE_MAX = 2048,
    MIME_BLANK_RUN = 20,
    MIME_HEADER_ERRORS = 3
};

/* --- Texts: bytes with LF line ends that remember where they stand in the original. ---
 *
 * A text is a slice of the original or a copy that lost CRs, blank lines, or gained LFs where a
 * long line was cut. Up to the next mark a text and the original have the same lines, but for the
 * CRs at their ends; so a position is found by walking lines from the last known one. Positions are
 * asked for in rising order within one text, which keeps all of it linear. */
struct mark {
    size_t pos;    /* in the origin's own coordinates */
    uint64_t orig; /* in the original message */
};

struct origin {
    struct mark *marks; /* ascending; marks[0].pos is 0 */
    size_t n, cap;
    bool cr;      /* the original has CRs that the text has not */
    bool regular; /* ... before each and every LF */
    bool decoded; /* a transfer encoding lies between: everything stands at marks[0].orig */
};

struct text {
    struct span s;
    const struct origin *origin;
    size_t base;             /* of s in the origin's coordinates */
    struct mark first, last; /* of s, and the last position asked for */
};

/* Where pos (0..s.n) of the text stands in the original. */
uint64_t text_at(const struct mime *m, struct text *t, size_t pos);
/* The slice [from, to). */
struct text text_slice(const struct mime *m, struct text *t, size_t from, size_t to);
/* A text over all of raw[from..], or its copy without CRs. */
struct text text_of_raw(struct mime *m, size_t from, bool crlf);
/* A text whose bytes were decoded from a transfer encoding that starts at orig. */
struct text text_decoded(struct mime *m, struct span bytes, uint64_t orig);
/* The text without the CRs before its LFs. */
struct text text_without_cr(struct mime *m, struct text *t);

/* Building a changed copy of a text: pieces of it, and bytes of ours. */
struct text_copy {
    struct mime *m;
    struct text *from;
    struct origin *origin;
    char *p;
    size_t n;
    bool strip_cr; /* drop the CR of each CRLF */
};
/* room: the most bytes the copy can have. */
struct text_copy text_copy_of(struct mime *m, struct text *from, size_t room);
/* Appends from->s[at, end). Pieces come in rising order. */
void text_copy_piece(struct text_copy *c, size_t at, size_t end);
void text_copy_lf(struct text_copy *c);
struct text text_copy_done(struct text_copy *c);

/* Runs of more than MIME_BLANK_RUN blank lines cut (semantics 3.2). The text itself if there are
 * none. */
struct text blank_runs_cut(struct mime *m, struct text *t);
/* Lines of more than MIME_LINE_MAX bytes cut (semantics 3.4). The text itself if there are none. */
struct text long_lines_cut(struct mime *m, struct text *t);

/* --- Lines --- */

/* Position after the LF of the line that begins at pos, or s.n. */
static inline size_t line_end(struct span s, size_t pos)
{
    const char *lf = memchr(s.p + pos, '\n', s.n - pos);
    return lf ? (size_t)(lf - s.p) + 1 : s.n;
}

/* Bytes of a field name: ! to ~ without the colon. Length of the run that s begins with. */
size_t field_name_length(struct span s);
/* One field more; by nothing else, so that names are known. */
void fields_add(struct arena *a, struct mime_fields *f, const struct mime_field *field);
/* The field name, then (when `space`) blanks, then a colon: position of the colon, or SIZE_MAX. */
size_t field_colon(struct span s, bool space);

/* --- Messages and parts --- */

/* What mime_parse allocates. */
struct mime_state {
    struct mime m;
    uint8_t noted[MIME_ANOMALY_KINDS];
};

void mime_note(struct mime *m, enum mime_anomaly_kind kind, uint64_t at);
/* Notes what two readers may read differently in the header of a part. */
/* boundary: the one in force, inherited or own. */
void mime_note_fields(struct mime *m, struct mime_part *p, struct span boundary);

/* The header block of a message: text is the whole message without separator line; fields and flags
 * of part are filled. crlf: the message has CRLF line ends, the text has lost the CRs. */
struct header {
    struct mime *m;
    struct mime_part *part;
    struct text *text;
    bool crlf;
    bool (*wanted)(struct span name); /* fields that are stored; NULL: all */
};
/* CRLF mode: the first or the last line ends so. */
bool ends_lines_with_crlf(struct span s);
/* body: where it begins; separator: an empty line stands before it. */
struct header_end {
    size_t body;
    bool separator;
};
struct header_end header_read(const struct header *h);
/* Length of a first line that separates messages in an mbox or MBX file; 0 when there is none. */
size_t separator_line(struct span first_line);

/* One part that waits to be taken apart. */
struct job {
    struct mime_part *part;
    struct mime_ctype ct;
    struct span boundary; /* its own or inherited; absent when there is none */
    struct text text;
    size_t depth;    /* levels that may still be opened */
    bool blank_line; /* an empty line is to be read before the text (semantics 3.2) */
};

struct parser {
    struct mime *m;
    struct job *jobs; /* first in, first out */
    size_t next, n, cap;
    struct map open; /* boundary -> int *: 1 when opened, less 1 for each final delimiter */
};

void multipart_split(struct parser *ps, const struct job *j);
void parser_push(struct parser *ps, struct job j);
/* Content-Type of the part, analysed. */
struct mime_ctype part_ctype(struct mime *m, struct mime_part *p);
/* Perl's false: absent, empty or "0". */
bool is_false(struct span s);

/* --- Decoding --- */

struct base64_result {
    struct span bytes;
    bool junk, padding, truncated;
};
struct base64_result base64_decode(struct arena *a, struct span in);
/* crlf: also turn CRLF into LF in the result. broken: set when a '=' led to nothing. */
struct span qp_decode(struct arena *a, struct span in, bool crlf, bool *broken);
/* In place; returns the new length. */
size_t crlf_to_lf(char *p, size_t n);

bool is_ascii(struct span s);

#endif
