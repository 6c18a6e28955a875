/* One connection to a next hop, SMTP (RFC 5321) or LMTP (RFC 2033): greets, negotiates, carries one
 * transaction after the other.
 *
 * PIPELINING (RFC 2920), SIZE (1870), 8BITMIME (6152), SMTPUTF8 (6531), DSN (3461), STARTTLS
 * (3207), ENHANCEDSTATUSCODES (2034), REQUIRETLS (8689). A message with 8-bit bytes goes unchanged
 * to a server without 8BITMIME, as Exim, qmail and OpenSMTPD do it: rewriting it would break its
 * signatures. An address that needs SMTPUTF8 fails for good (5.6.7) where the server does not offer
 * it.
 *
 * The client never sends a bare CR or LF, and never the final dot of a message whose bytes do not
 * check out against its checksum. */
#ifndef GATEHOUSE_DELIVER_CLIENT_H
#define GATEHOUSE_DELIVER_CLIENT_H

#include "config/settings.h"
#include "loop/stream.h"
#include "message/envelope.h"

struct client;

enum answer_class { ANSWER_NONE, ANSWER_OK, ANSWER_TEMP, ANSWER_PERM };

/* What the next hop said to one recipient in the end. */
struct answer {
    enum answer_class class;
    struct span text; /* "550 5.1.1 no such user", in the transaction's arena */
};

struct transaction {
    struct arena *arena;
    const struct envelope *env;
    struct span from;      /* the sender that is told: env->from, or what SRS and BATV made of it */
    const uint32_t *rcpts; /* indexes into env->rcpts */
    size_t nrcpts;
    bool probe; /* stop after RCPT: would it be taken? */
    uint64_t size;
    uint32_t crc; /* of all bytes (queue_crc) */
    uint32_t (*checksum)(uint32_t crc, struct span bytes);
    /* Bytes at an offset; -1: can't be read. */
    int64_t (*read)(void *ctx, uint64_t at, void *to, size_t n);
    void *read_ctx;
    /* Results, one for each of rcpts. */
    struct answer *answers;
    bool heard;      /* the server has answered to some of it */
    bool dsn_passed; /* the server speaks DSN: it will report success itself */
    bool damaged;    /* the bytes do not check out, nothing was delivered */
    bool sent_dot;   /* the final dot was sent: an unknown outcome may be a delivery */
};

/* Why a connection ended. */
enum client_end {
    CLIENT_UNREACHABLE, /* before it could be used: no connection, no or bad greeting */
    CLIENT_NO_TLS,      /* as before: STARTTLS failed, or is not there though it must */
    CLIENT_LOST,        /* in a transaction: recipients without an answer got ANSWER_TEMP */
    CLIENT_CLOSED       /* idle */
};

struct client_events {
    void (*on_ready)(void *ctx); /* greeted; a transaction can be started */
    void (*on_done)(void *ctx);  /* the transaction is over; another can be started */
    /* The last call; why is valid during it. Not called from within client_tcp and its like. */
    void (*on_end)(void *ctx, enum client_end end, struct span why);
};

struct ssl_ctx_st;
struct dane;
struct client_options {
    const char *helo;
    const char *host; /* for TLS: name (or address) to ask for and verify; NULL: none */
    bool lmtp;
    enum deliver_tls tls; /* DTLS_REQUIRED: without TLS as tls_context demands it, CLIENT_NO_TLS */
    struct ssl_ctx_st *tls_context;
    const struct dane *dane; /* with a dane_context: what the certificate must match; or NULL */
    bool tls_testing;        /* with a verifying tls_context: go on whatever the certificate is */
    usec connect_timeout, command_timeout, data_timeout;
};

/* Options are copied, strings in them must outlive the client. */
struct client *client_tcp(uv_loop_t *loop, const struct ip *ip, uint16_t port,
                          const struct client_options *o, const struct client_events *ev,
                          void *ctx);
struct client *client_unix(uv_loop_t *loop, const char *path, const struct client_options *o,
                           const struct client_events *ev, void *ctx);
/* Over a connected descriptor. */
struct client *client_fd(uv_loop_t *loop, int fd, const struct client_options *o,
                         const struct client_events *ev, void *ctx);

/* Only between on_ready or on_done and the next on_done. */
void client_send(struct client *c, struct transaction *t);
/* QUIT and close, when idle; on_end follows. */
void client_quit(struct client *c);
/* Closes at once; on_end follows. */
void client_abort(struct client *c, const char *why);
bool client_secure(const struct client *c);
/* How TLS went so far; valid in all calls of events. */
struct client_tls {
    bool tried, secure;
    long verify; /* X509_V_...; of the certificate that was seen */
    bool has_local;
    struct ip local; /* our end of the connection */
};
const struct client_tls *client_tls(const struct client *c);

/* The body as it goes over the wire: dots doubled, line ends CRLF. *state starts at 0 and is
 * carried from piece to piece; wire_end closes an open line and adds the final dot. */
void wire_body(struct buf *out, struct span bytes, unsigned *state);
void wire_end(struct buf *out, unsigned state);

#endif
