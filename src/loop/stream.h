/* A byte stream with a peer over libuv, with or without TLS; used by every SMTP, LMTP and console
 * session. One thread, one loop.
 *
 * Writes are copied and queued; when more than STREAM_HIGH_WATER bytes wait, stream_full() is true
 * and the session should stop producing until on_drain. Reading can be paused (back-pressure).
 * All callbacks get `ctx`. After stream_close no callback but on_close comes; the stream frees itself
 * after on_close. A peer that resets is on_close with an error, never a signal.
 *
 * TLS: OpenSSL with memory BIOs. Bytes that arrived before stream_starttls() was called and were not
 * consumed are dropped and counted (plaintext injection, CVE-2011-0411 and kin): starttls returns how
 * many. */
#ifndef GATEHOUSE_LOOP_STREAM_H
#define GATEHOUSE_LOOP_STREAM_H

#include "base/clock.h"
#include "base/err.h"
#include "base/ip.h"

#include <uv.h>

struct ssl_ctx_st;
struct ssl_st;
struct stream;

enum { STREAM_HIGH_WATER = 256 * 1024 };

struct stream_events {
    /* Bytes arrived: returns how many were consumed; the rest is offered again with the next bytes,
     * or when stream_more() is called. */
    size_t (*on_data)(void *ctx, struct span bytes);
    void (*on_drain)(void *ctx);
    void (*on_connect)(void *ctx);            /* stream_connect succeeded */
    void (*on_secure)(void *ctx);             /* the TLS handshake is done */
    void (*on_timeout)(void *ctx);            /* the deadline of stream_deadline passed */
    void (*on_close)(void *ctx, const char *why); /* gone; why: "eof", "reset", "tls: ...", "closed" */
};

/* Takes an accepted descriptor (TCP or Unix). */
struct stream *stream_from_fd(uv_loop_t *loop, int fd, const struct stream_events *ev, void *ctx);
/* Connects to an address or to a Unix socket; failure comes as on_close. */
struct stream *stream_connect_tcp(uv_loop_t *loop, const struct ip *ip, uint16_t port,
                                  const struct stream_events *ev, void *ctx);
struct stream *stream_connect_unix(uv_loop_t *loop, const char *path,
                                   const struct stream_events *ev, void *ctx);

void stream_write(struct stream *s, struct span bytes);
bool stream_full(const struct stream *s);
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
/* Offers unconsumed bytes again (from the loop, not from within the call). */
void stream_more(struct stream *s);

/* Starts the handshake as server or as client; host: SNI and name to verify (client), may be NULL.
 * Returns the number of plaintext bytes dropped. */
size_t stream_starttls(struct stream *s, struct ssl_ctx_st *ctx, bool server, const char *host);
/* NULL without TLS: version, cipher, certificate are asked from OpenSSL. */
struct ssl_st *stream_ssl(const struct stream *s);

/* One deadline at a time, from now; 0 clears it. */
void stream_deadline(struct stream *s, usec in);
/* Sends what is queued, then closes. */
void stream_finish(struct stream *s);
/* Closes at once. */
void stream_close(struct stream *s);

bool stream_peer(const struct stream *s, struct ip *ip, uint16_t *port);

#endif
