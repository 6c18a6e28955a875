/* A byte stream with a peer over libuv, with or without TLS; used by every SMTP, LMTP and console
 * session. One thread, one loop. SIGPIPE is ignored from the first stream on.
 *
 * Writes are copied and queued; when more than STREAM_HIGH_WATER bytes wait, stream_full() is true
 * and the session should stop producing until on_drain. Writes made inside a callback leave
 * together when it returns. Reading stops by itself while STREAM_IN_MAX bytes wait unconsumed, and
 * can be paused. A session that can't go on before something else has happened pauses: then the
 * peer's end of file is kept back too, until it resumes. No memory but the struct (about 900 bytes;
 * TLS adds OpenSSL's) is held while nothing is on the way.
 *
 * All callbacks get `ctx`; those that are not needed may be NULL. After stream_close no callback
 * but on_close comes, always from the loop; the stream frees itself after on_close. A peer that
 * resets is on_close with an error, never a signal.
 *
 * TLS: OpenSSL. Plaintext that arrived before the handshake and was not consumed is dropped and
 * counted (plaintext injection, CVE-2011-0411 and kin): see stream_dropped. */
#ifndef GATEHOUSE_LOOP_STREAM_H
#define GATEHOUSE_LOOP_STREAM_H

#include "base/clock.h"
#include "base/err.h"
#include "base/ip.h"

#include <uv.h>

struct ssl_ctx_st;
struct ssl_st;
struct stream;

enum {
    STREAM_HIGH_WATER = 256 * 1024,
    STREAM_IN_MAX = 64 * 1024,
    STREAM_READ_SIZE = 64 * 1024, /* bytes of one read */
    STREAM_LINGER_MS = 2000,      /* how long a finished stream waits for the peer's end of file */
    STREAM_FINISH_MS = 15000      /* how long a finished stream may take to send what is queued */
};

struct stream_events {
    /* Bytes arrived: returns how many were consumed; the rest is offered again with the next bytes,
     * or after stream_more() or stream_resume(). */
    size_t (*on_data)(void *ctx, struct span bytes);
    void (*on_drain)(void *ctx);   /* the queue was full and is not any longer */
    void (*on_connect)(void *ctx); /* stream_connect succeeded */
    void (*on_secure)(void *ctx);  /* the TLS handshake is done */
    void (*on_timeout)(void *ctx); /* the deadline of stream_deadline passed */
    /* Gone; why: "eof", "reset", "tls: ...", "closed", or the system's text. */
    void (*on_close)(void *ctx, const char *why);
    /* A handshake is about to begin: what the session demands of it (DANE). -1: not possible. */
    int (*on_handshake)(void *ctx, struct ssl_st *ssl);
    /* The peer has said its last word. With this callback the stream stays open for ours and the
     * session ends it; without it the stream ends by itself. */
    void (*on_eof)(void *ctx);
};

/* Takes an accepted descriptor (TCP or Unix). Never NULL: a descriptor that can't be used is
 * on_close. */
struct stream *stream_from_fd(uv_loop_t *loop, int fd, const struct stream_events *ev, void *ctx);
/* Connects to an address or to a Unix socket; failure comes as on_close. */
struct stream *stream_connect_tcp(uv_loop_t *loop, const struct ip *ip, uint16_t port,
                                  const struct stream_events *ev, void *ctx);
struct stream *stream_connect_unix(uv_loop_t *loop, const char *path,
                                   const struct stream_events *ev, void *ctx);

void stream_write(struct stream *s, struct span bytes);
bool stream_full(const struct stream *s);
/* Bytes that wait to be sent. */
size_t stream_queued(const struct stream *s);
void stream_pause(struct stream *s);
/* Also offers unconsumed bytes again, as stream_more. */
void stream_resume(struct stream *s);
/* Offers unconsumed bytes again: soon, from the loop, not from within the call. */
void stream_more(struct stream *s);

/* Starts the handshake as server or as client; host: SNI and, when ctx verifies, the name or
 * address to verify (client), may be NULL. Called inside on_data, it takes effect when that
 * returns: what was not consumed is dropped. What was written before goes out in plain text first.
 */
void stream_starttls(struct stream *s, struct ssl_ctx_st *ctx, bool server, const char *host);
/* As stream_starttls, for implicit TLS: bytes behind the ones consumed (a PROXY header) belong to
 * the handshake and are kept. */
void stream_tls_behind(struct stream *s, struct ssl_ctx_st *ctx);
/* How many plaintext bytes stream_starttls dropped; known in on_secure. */
size_t stream_dropped(const struct stream *s);
/* NULL without TLS: version, cipher, certificate are asked from OpenSSL. */
struct ssl_st *stream_ssl(const struct stream *s);

/* One deadline at a time, from now; 0 clears it. */
void stream_deadline(struct stream *s, usec in);
/* Sends what is queued, says goodbye to the peer, then closes; nothing more is offered or written.
 * Lingers for a moment so that unread input does not turn the last reply into a reset. */
void stream_finish(struct stream *s);
/* Closes at once. */
void stream_close(struct stream *s);

/* false for Unix sockets and when the peer is gone. */
bool stream_peer(const struct stream *s, struct ip *ip, uint16_t *port);
/* Our own end. */
bool stream_local(const struct stream *s, struct ip *ip, uint16_t *port);

#endif
