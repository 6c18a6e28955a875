/* A client of SpamAssassin's daemon (spamc, Exim's spam=, ...): bytes in, events out. No sockets,
 * no clock. One request a session:
 *
 *     LINE --"CHECK SPAMC/1.5"--> HEADERS --blank line--> CONTENT --all of it--> host.end
 *                                                            '-- PING, SKIP: answered here
 *
 * As spamd 4.0.1 reads it (semantics 10.1): the command may stand anywhere in the first line,
 * header fields follow from version 1.1 on (PING, SKIP: from 1.5 on), the content is Content-length
 * bytes or all until the end of file, `Compress: zlib` wants a length. More lenient in two points:
 * a bare LF ends a header line, and names of fields are compared without case. What spamd refuses
 * is refused in its words.
 *
 * Exim's variant=rspamd speaks the same dialogue with RSPAMC in place of SPAMC and the envelope in
 * header fields: these are handed on in request.fields. */
#ifndef GATEHOUSE_SPAMC_SESSION_H
#define GATEHOUSE_SPAMC_SESSION_H

#include "base/arena.h"
#include "base/buf.h"

enum {
    SPAMC_LINE_MAX = 8192,      /* the first line, a header line; spamd has no limit */
    SPAMC_HEADERS_MAX = 256,    /* spamd's own limit */
    SPAMC_HEADER_BYTES = 65536, /* all of them */
    SPAMC_FIELDS_MAX = SPAMC_HEADERS_MAX
};

/* Replies' codes: sysexits and one of spamd's own. */
enum spamc_code {
    SPAMC_OK = 0,
    SPAMC_UNAVAILABLE = 69,
    SPAMC_TEMPFAIL = 75,
    SPAMC_PROTOCOL = 76,
    SPAMC_TIMEOUT = 79
};

enum spamc_method {
    SPAMC_CHECK,
    SPAMC_SYMBOLS,
    SPAMC_REPORT,
    SPAMC_REPORT_IFSPAM,
    SPAMC_PROCESS,
    SPAMC_HEADERS,
    SPAMC_TELL,
    SPAMC_PING,
    SPAMC_SKIP
};

struct spamc_field {
    struct span name, value;
};

/* What TELL wants: Message-class, Set and Remove. */
struct spamc_tell {
    bool spam; /* Message-class: spam; else ham */
    bool set_local, set_remote, remove_local, remove_remote;
};

struct spamc_request {
    enum spamc_method method;
    bool rspamc;      /* RSPAMC: of rspamd's clients */
    unsigned version; /* in thousandths: 1500 for SPAMC/1.5 */
    bool has_length, zlib;
    uint64_t length;
    struct spamc_tell tell;                      /* of TELL */
    struct span user;                            /* absent when not given; no control characters */
    struct spamc_field fields[SPAMC_FIELDS_MAX]; /* all of them, in order */
    size_t nfields;
};

/* Spans are valid during the call; those of the request until the session ends. */
struct spamc_host {
    void (*send)(void *ctx, struct span bytes);
    /* A message follows. false: refused by spamc_refuse. */
    bool (*begin)(void *ctx, const struct spamc_request *r);
    void (*content)(void *ctx, struct span bytes);
    /* It is complete. The host sends the reply and closes; no further bytes are taken. */
    void (*end)(void *ctx, const struct spamc_request *r);
    /* Send what waits and close. why: for the log. */
    void (*close)(void *ctx, const char *why);
};

enum spamc_state {
    SPAMC_IN_LINE,
    SPAMC_IN_HEADERS,
    SPAMC_IN_CONTENT,
    SPAMC_ANSWERING,
    SPAMC_CLOSED
};

struct spamc_session {
    const struct spamc_host *host;
    void *ctx;
    uint64_t message_max;
    bool allow_tell; /* set it after spamc_begin; spamd's --allow-tell */
    enum spamc_state state;
    struct buf line;
    struct arena *arena;
    struct spamc_request *request; /* in the arena */
    size_t header_bytes;
    uint64_t taken, produced; /* content: on the wire, and for the host */
    struct z_stream_s *inflate;
    bool inflated; /* the compressed stream has ended */
};

/* message_max: bytes of a message, uncompressed. */
void spamc_begin(struct spamc_session *s, uint64_t message_max, const struct spamc_host *host,
                 void *ctx);
/* Takes all bytes (what follows a complete request is dropped). */
void spamc_input(struct spamc_session *s, struct span bytes);
/* The client has said its last word: the end of a content without length, else an error. */
void spamc_eof(struct spamc_session *s);
/* "SPAMD/1.0 75 TEXT", then close. Text that a stranger wrote loses its control characters. */
void spamc_refuse(struct spamc_session *s, enum spamc_code code, const char *text);
/* Frees everything. */
void spamc_end(struct spamc_session *s);

/* The value of a field, absent when it is not there; without case. */
struct span spamc_field(const struct spamc_request *r, struct span name);
const char *spamc_method_name(enum spamc_method m);

#endif
