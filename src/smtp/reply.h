/* SMTP replies (RFC 5321 section 4.2, enhanced codes RFC 3463): the ones we give, all of them in
 * one table, and the ones a server gives us, read with limits. */
#ifndef GATEHOUSE_SMTP_REPLY_H
#define GATEHOUSE_SMTP_REPLY_H

#include "base/buf.h"

/* ---- replies of servers, for clients ---- */

enum {
    REPLY_BYTES_MAX = 32 * 1024, /* one reply with all its lines */
    REPLY_LINE_MAX = 4096        /* RFC 5321 says 512; real servers say more */
};

enum reply_status { REPLY_MORE, REPLY_DONE, REPLY_BAD };

struct smtp_reply {
    unsigned code;        /* 200..599 */
    unsigned char dsn[3]; /* class, subject, detail; all 0 without an enhanced code (RFC 3463) */
    unsigned detail;      /* third number in full: it may be larger than 255 */
    struct span lines;    /* the whole reply, as received; see reply_next */
};

/* Reads one reply from the front of in. REPLY_DONE: *used bytes belong to it, r->lines points into
 * `in`. REPLY_MORE: incomplete, offer it again with more. REPLY_BAD: not a reply, or over the
 * limits: give up on this server. Lines may end in CRLF or LF; lines of one reply must agree on the
 * code. */
enum reply_status reply_parse(struct span in, size_t *used, struct smtp_reply *r);
/* Cuts the next line's text (without code, separator and line end) off *rest, which starts as
 * r->lines. */
bool reply_next(struct span *rest, struct span *text);
/* The reply as one line "550 5.1.1 first second": control characters become '?', so that it may
 * stand in a log, a record or a bounce. At most `max` bytes are added. */
void reply_flatten(const struct smtp_reply *r, size_t max, struct buf *out);
/* Reads "2.1.5" at the front of text. false when there is none. */
bool reply_dsn(struct span text, unsigned char dsn[3], unsigned *detail);

/* ---- our own replies ---- */

/* One row of the table; text may hold one %s for reply_add. */
struct reply_row {
    unsigned short code;
    const char *dsn; /* NULL: none (greeting, 354, 334) */
    const char *text;
};

enum reply_id {
    R_GREETING,
    R_BYE,
    R_EHLO,
    R_RESET,
    R_NOOP,
    R_HELP,
    R_VRFY,
    R_MAIL_OK,
    R_RCPT_OK,
    R_DATA_GO,
    R_CHUNK_OK,
    R_STORED,
    R_DISCARDED,
    R_TLS_GO,
    R_AUTH_OK,
    R_AUTH_GO,
    /* later */
    R_TIMEOUT,
    R_TOO_MANY_ERRORS,
    R_TOO_MANY_COMMANDS,
    R_TOO_LONG_SESSION,
    R_BUSY,
    R_BUSY_ADDRESS,
    R_SHUTDOWN,
    R_LOCAL_ERROR,
    R_NO_SCANNER,
    R_SCAN_FAILED,
    R_SPOOL_GONE,
    R_SPOOL_FULL,
    R_TOO_MANY_RCPTS,
    R_TOO_MANY_MAILS,
    R_RCPT_UNVERIFIED,
    R_DEFERRED,
    R_AUTH_LATER,
    R_TLS_LATER,
    R_MAP_TROUBLE,
    /* no */
    R_UNKNOWN,
    R_BAD_LINE,
    R_LINE_LONG,
    R_NOT_SMTP,
    R_SYNTAX,
    R_BAD_HELO,
    R_BAD_ADDRESS_SYNTAX,
    R_BAD_SENDER_SYNTAX,
    R_BAD_PARAM,
    R_UNKNOWN_PARAM,
    R_BAD_UTF8,
    R_NOT_IMPLEMENTED,
    R_HELO_FIRST,
    R_MAIL_FIRST,
    R_RCPT_FIRST,
    R_NESTED_MAIL,
    R_NO_TRANSACTION,
    R_BDAT_MIXED,
    R_TOO_EARLY,
    R_NEED_TLS,
    R_NEED_AUTH,
    R_AUTH_NEEDS_TLS,
    R_AUTH_TWICE,
    R_AUTH_MECHANISM,
    R_AUTH_BAD,
    R_AUTH_CANCELLED,
    R_AUTH_SYNTAX,
    R_TLS_TWICE,
    R_TLS_NONE,
    R_RELAY_DENIED,
    R_RCPT_UNKNOWN,
    R_UNQUALIFIED,
    R_SENDER_UNQUALIFIED,
    R_ROUTED,
    R_ACCESS_DENIED,
    R_SENDER_DENIED,
    R_RCPT_DENIED,
    R_TOO_BIG,
    R_HEADER_BIG,
    R_TOO_MANY_HOPS,
    R_BARE_LINE_END,
    R_TOO_MANY_CHUNKS,
    R_REJECTED,
    R_CLIENT_DENIED,
    R_XCLIENT_DENIED,
    R_COUNT
};

const struct reply_row *reply_row(enum reply_id id);
/* Appends "550 5.7.1 text CRLF"; detail replaces the %s of the text (NULL: ""). */
void reply_add(struct buf *out, enum reply_id id, const char *detail);
/* Appends one line of a multi-line reply; last: the final one. Control characters become '?'. */
void reply_line(struct buf *out, unsigned code, bool last, struct span text);

/* A complete reply that comes from a map, a policy or another process, "550 5.7.1 go away" or
 * "550 go away": true when it begins with a code 2xx, 4xx or 5xx and holds only printable ASCII
 * and, between its lines, LF: at most REPLY_TEXT_LINES. */
enum { REPLY_TEXT_LINES = 20 };
bool reply_valid(struct span text, unsigned *code);
/* Appends such a text as it is said: the code, and an enhanced code when there is one, in front of
 * each line. */
void reply_text_add(struct buf *out, struct span text);

#endif
