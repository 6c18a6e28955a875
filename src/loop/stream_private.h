/* What stream.c and stream_tls.c share. */
#ifndef GATEHOUSE_LOOP_STREAM_PRIVATE_H
#define GATEHOUSE_LOOP_STREAM_PRIVATE_H

#include "base/buf.h"
#include "loop/stream.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>

enum stream_phase {
    ST_CONNECTING,
    ST_OPEN,
    ST_FINISHING, /* sends the queue, then its end of file */
    ST_LINGERING, /* waits for the peer's end of file */
    ST_CLOSING
};

struct stream_tls {
    SSL *ssl;
    BIO_METHOD *method;
    struct span raw;  /* ciphertext that OpenSSL has not read yet; points into the read in hand */
    struct buf kept;  /* the same, kept while reading is paused */
    struct buf early; /* written before the handshake was done */
    bool secure;
};

struct stream {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } h;
    uv_timer_t timer;
    uv_idle_t again;
    struct stream_events ev;
    void *ctx;
    enum stream_phase phase;
    uint8_t handles; /* still to be closed */
    bool is_tcp, paused, reading, eof, eof_told, was_full, in_callback, offering;
    bool deaf;         /* the peer takes no more bytes */
    struct buf in;     /* offered, not consumed */
    struct buf out;    /* wire bytes not yet given to the kernel */
    struct buf flight; /* wire bytes of the write in progress */
    struct stream_tls *tls;
    struct {
        SSL_CTX *ctx;
        char *host;
        bool server, keep;
    } starting; /* stream_starttls was called inside on_data */
    size_t dropped;
    char why[120];
};

/* Ends the stream with a reason (the first one counts). */
void stream_fail(struct stream *s, const char *why);
void stream_fail_uv(struct stream *s, int code);
/* What must follow every chance the session had to act. */
void stream_settle(struct stream *s);
/* Starts or stops reading, as the state wants it. */
void stream_read_more(struct stream *s);
/* Hands n plaintext bytes to the session. */
void stream_offer(struct stream *s, struct span bytes);
/* Whether more plaintext may be offered now. */
bool stream_ready(const struct stream *s);

void stream_tls_start(struct stream *s, SSL_CTX *ctx, bool server, const char *host);
/* Ciphertext from the wire (or none): drives the handshake, decrypts, offers. */
void stream_tls_feed(struct stream *s, struct span wire);
void stream_tls_write(struct stream *s, struct span bytes);
void stream_tls_goodbye(struct stream *s);
void stream_tls_free(struct stream *s);

#endif
