/* The structure of a message: header fields, the tree of parts, decoded bodies.
 *
 * One reading, SpamAssassin's (shared/spamassassin-semantics.md section 3; the RFCs leave broken
 * mail open, and rules are only right when they see what their authors saw). Wherever another
 * reader could see something else (two Content-Types, junk in base64, ...) an anomaly is recorded,
 * so that nothing hides in the difference.
 *
 * The parser makes one pass over the bytes, keeps offsets into the original message for edits, and
 * allocates only in the arena. Bodies are decoded when asked for, once. All limits are named in
 * struct mime_limits; reaching one is an anomaly, never an error: every sequence of bytes is a
 * message.
 */
#ifndef GATEHOUSE_MIME_MIME_H
#define GATEHOUSE_MIME_MIME_H

#include "base/arena.h"

struct mime_limits {
    size_t parts;   /* of one multipart: 1000, as SpamAssassin */
    size_t depth;   /* nested multiparts and message/rfc822: 20, as SpamAssassin */
    size_t headers; /* fields in one header block: 5000; the rest is kept in the bytes only */
};
#define MIME_LIMITS_DEFAULT ((struct mime_limits){1000, 20, 5000})

/* One header field of a block, in order of appearance.
 * name: as spelled. raw: the value after the colon, with its leading space, folds and final LF
 * (line ends are LF here even when the message has CRLF). at, size: where the whole field stands in
 * the original bytes, with its line end. */
struct mime_field {
    struct span name;
    struct span raw;
    struct span decoded; /* use mime_decoded(); absent until asked for */
    uint64_t at, size;
    uint32_t next, last; /* places + 1 among those whose names have the same bit, or another one of
                            the same chain: the next; and, for the first, the last. 0: none */
    uint16_t bit;        /* of the name */
};

enum { MIME_CHAINS = 64 };

struct mime_fields {
    struct mime_field *v;
    size_t n, cap;
    uint32_t *first;   /* place + 1 of the first field of each chain; 0: none */
    uint64_t names[4]; /* a bit for each name, hashed: most that are looked for are not there */
};

/* Bits of struct mime_part.flags and struct mime.flags; names as SpamAssassin's parse flags. */
enum mime_flag {
    MIME_MISSING_HEAD_BODY_SEPARATOR = 1u << 0,
    MIME_MISSING_MIME_HEAD_BODY_SEPARATOR = 1u << 1,
    MIME_MISSING_MIME_HEADERS = 1u << 2,
    MIME_EPILOGUE_EXISTS = 1u << 3,
    MIME_PART_LIMIT = 1u << 4,
    MIME_TRUNCATED_HEADER = 1u << 5, /* a value was cut at 8192 bytes */
    MIME_UNBALANCED_BOUNDARY = 1u << 6
};

struct mime_part {
    struct mime_part *parent, *child, *next; /* first child, next sibling, document order */
    struct mime_fields fields;
    struct span type;     /* effective, lower case: "text/plain" (semantics 3.3) */
    struct span charset;  /* as declared, absent when not */
    struct span boundary; /* absent when not declared */
    struct span name;     /* file name (semantics 3.4), absent when none */
    struct span body;     /* undecoded, LF line ends, as the splitter of section 3.4 leaves it */
    uint64_t at, size;    /* the whole part (its header too) in the original bytes, without the line
                             end before the delimiter. Inside an encoded message/rfc822 nothing has a
                             place of its own: at is where the encoded body starts, size is 0. */
    uint64_t body_at;     /* where its body starts in the original bytes */
    bool leaf;            /* no child list */
    bool embedded;        /* root of a message/rfc822 that is its parent */
    unsigned flags;       /* of enum mime_flag; those of a message's header, else 0 */
    struct span decoded_body; /* use mime_body(); absent until asked for */
};

/* Something two readers may read differently. */
struct mime_anomaly {
    const char *name; /* of the table in mime/anomaly.h */
    uint64_t at;      /* offset in the original */
};

struct mime {
    struct arena *arena;
    struct mime_limits limits;
    struct span raw;          /* the original */
    bool crlf;                /* line ending mode of the header block (semantics 3.1) */
    struct span header_bytes; /* pristine header block of raw, with its blank line if present and
                                 without an mbox separator line. A slice of raw, or (when a CRLF
                                 message has bare LFs there) a copy with CRLF, as SpamAssassin */
    struct span
        body_bytes; /* the rest of raw (likewise, when its first line was taken for a header) */
    struct mime_part *root;
    unsigned flags; /* of enum mime_flag, the whole message */
    struct mime_anomaly *anomalies;
    size_t nanomalies, anomalies_cap;
};

/* Parses raw, which must stay mapped as long as the result. Never fails. */
struct mime *mime_parse(struct arena *a, struct span raw, const struct mime_limits *limits);

/* Walks all parts depth-first in document order: for (p = m->root; p; p = mime_next(p)). */
struct mime_part *mime_next(const struct mime_part *p);

/* Field lookup, case-insensitive. `from`: start index, so that all instances can be walked; returns
 * fields->n when there is no more. mime_last returns NULL when there is none. */
size_t mime_find(const struct mime_fields *f, struct span name, size_t from);
/* For a name that is asked for again and again: false when it is not there for sure. */
uint16_t mime_name_bit(struct span name);
static inline bool mime_may_have(const struct mime_fields *f, uint16_t name_bit)
{
    return f->names[name_bit / 64] >> name_bit % 64 & 1;
}
struct mime_field *mime_last(const struct mime_fields *f, struct span name);

/* The decoded value (unfolded, trimmed, RFC 2047, UTF-8; semantics 3.1), without final LF; cached.
 */
struct span mime_decode(struct mime *m, struct mime_field *f);
static inline struct span mime_decoded(struct mime *m, struct mime_field *f)
{
    return f->decoded.p ? f->decoded : mime_decode(m, f);
}

/* Decoding of other text from a header, such as a display name: raw 8-bit bytes and RFC 2047 to
 * UTF-8, line ends dropped. */
struct span mime_decode_text(struct arena *a, struct span text);

/* RFC 2047 alone, on an unfolded value (semantics 3.1). */
struct span mime_decode_words(struct arena *a, struct span value);

/* The body after transfer decoding (semantics 3.5), before any charset conversion; cached. */
struct span mime_body(struct mime *m, struct mime_part *p);

/* Charset normalisation (semantics 3.5). *chars tells whether the result is a character string
 * (true: UTF-8 of characters) or bytes (false: unchanged, but for what stands for one ASCII
 * character in UTF-7 and HZ). insist: use the declared charset, substitute; as for encoded words,
 * UTF-16 comes back as it is. */
struct span mime_normalise(struct arena *a, struct span bytes, struct span declared, bool insist,
                           bool *chars);

/* What is left of it when charsets are not normalised: text declared as UTF-8, as US-ASCII or not
 * at all becomes a character string when it is UTF-8 with characters beyond ASCII; everything else
 * stays a byte string. The bytes are the same either way. */
bool mime_is_plainly_utf8(struct span bytes, struct span declared);

/* Content-Type analysis of a decoded header value (semantics 3.3). Absent results are SPAN_NONE. */
struct mime_ctype {
    struct span type, boundary, charset, name;
    bool missing;
};
struct mime_ctype mime_ctype_parse(struct arena *a, struct span value);

/* Address lists (semantics 6.4): from a raw header value, of which the first 8192 bytes count. */
struct mime_address {
    struct span addr; /* absent for a name alone */
    struct span name; /* phrase or comment, absent when none; quotes resolved, but neither trimmed
                         nor decoded (mime_decode_text) */
};
struct mime_addresses {
    struct mime_address *v;
    size_t n, cap;
};
struct mime_addresses mime_addresses_parse(struct arena *a, struct span raw);

/* Transfer codings, also for others: decoded bytes in the arena. */
struct span mime_base64_decode(struct arena *a, struct span in, bool *junk);
struct span mime_qp_decode(struct arena *a, struct span in);
/* Each "begin MODE NAME" ... "end" block of a text body: name and decoded bytes. */
struct mime_uu {
    struct span name, body;
};
struct mime_uu *mime_uudecode_all(struct arena *a, struct span text, size_t *n);

#endif
