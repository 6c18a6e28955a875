/* TLS under a stream. OpenSSL reads ciphertext straight from the read in hand and writes into the
 * stream's output queue through a BIO of our own, so that an idle session holds no buffers (two
 * memory BIOs would keep up to 34 kB for each). */
#include "loop/stream_private.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"

enum { PLAIN_MAX = 16 * 1024 }; /* the largest TLS record (RFC 8446 section 5.1) */

static int wire_read(BIO *bio, char *to, size_t n, size_t *done)
{
    struct stream *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    struct span *raw = &s->tls->raw;
    if (raw->n == 0) {
        BIO_set_retry_read(bio);
        *done = 0;
        return 0;
    }
    if (n > raw->n)
        n = raw->n;
    memcpy(to, raw->p, n);
    *raw = span_from(*raw, n);
    *done = n;
    return 1;
}

static int wire_write(BIO *bio, const char *from, size_t n, size_t *done)
{
    struct stream *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    buf_add(&s->out, span_of(from, n));
    *done = n;
    return 1;
}

static long wire_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio, (void)num, (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

static void fail_tls(struct stream *s, int ret)
{
    char why[sizeof s->why];
    int code = SSL_get_error(s->tls->ssl, ret);
    unsigned long e = ERR_get_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    long verify = SSL_get_verify_result(s->tls->ssl);
    if (verify != X509_V_OK && !s->tls->secure)
        snprintf(why, sizeof why, "tls: %s", X509_verify_cert_error_string(verify));
    else if (reason)
        snprintf(why, sizeof why, "tls: %s", reason);
    else
        snprintf(why, sizeof why, "tls: error %d", code);
    ERR_clear_error();
    stream_fail(s, why);
}

static void name_peer(SSL *ssl, const char *host)
{
    struct ip ip;
    if (ip_parse(span_str(host), &ip)) {
        char text[IP_TEXT_SIZE];
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), ip_text(&ip, text));
        return;
    }
    SSL_set_tlsext_host_name(ssl, host);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(ssl, host);
}

void stream_tls_start(struct stream *s, SSL_CTX *ctx, bool server, const char *host)
{
    struct stream_tls *t = xcalloc(1, sizeof *t);
    s->tls = t;
    ERR_clear_error();
    t->ssl = SSL_new(ctx);
    t->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");
    BIO *bio = NULL;
    if (t->method) {
        BIO_meth_set_read_ex(t->method, wire_read);
        BIO_meth_set_write_ex(t->method, wire_write);
        BIO_meth_set_ctrl(t->method, wire_ctrl);
        bio = BIO_new(t->method);
    }
    if (!t->ssl || !bio) {
        BIO_free(bio);
        stream_fail(s, "tls: out of memory");
        return;
    }
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    if (server)
        SSL_set_accept_state(t->ssl);
    else
        SSL_set_connect_state(t->ssl);
    if (host)
        name_peer(t->ssl, host);
    if (s->ev.on_handshake && s->ev.on_handshake(s->ctx, t->ssl) != 0) {
        stream_fail(s, "tls: the handshake can't be prepared");
        return;
    }
    stream_tls_feed(s, SPAN_NONE);
}

static bool shake_hands(struct stream *s)
{
    struct stream_tls *t = s->tls;
    int ret = SSL_do_handshake(t->ssl);
    if (ret != 1) {
        int code = SSL_get_error(t->ssl, ret);
        if (code != SSL_ERROR_WANT_READ && code != SSL_ERROR_WANT_WRITE)
            fail_tls(s, ret);
        return false;
    }
    t->secure = true;
    if (s->ev.on_secure)
        s->ev.on_secure(s->ctx);
    if (s->phase == ST_OPEN && t->early.n > 0) {
        stream_tls_write(s, buf_span(&t->early));
        buf_free(&t->early);
    }
    return s->phase == ST_OPEN;
}

static void decrypt(struct stream *s)
{
    char *plain = NULL;
    while (stream_ready(s)) {
        if (!plain)
            plain = xmalloc(PLAIN_MAX);
        int n = SSL_read(s->tls->ssl, plain, PLAIN_MAX);
        if (n > 0) {
            stream_offer(s, span_of(plain, (size_t)n));
            continue;
        }
        int code = SSL_get_error(s->tls->ssl, n);
        if (code == SSL_ERROR_ZERO_RETURN)
            s->eof = true;
        else if (code != SSL_ERROR_WANT_READ && code != SSL_ERROR_WANT_WRITE)
            fail_tls(s, n);
        break;
    }
    free(plain);
}

void stream_tls_feed(struct stream *s, struct span wire)
{
    struct stream_tls *t = s->tls;
    struct buf held = {0};
    if (t->kept.n > 0) {
        held = t->kept;
        t->kept = (struct buf){0};
        buf_add(&held, wire);
        wire = buf_span(&held);
    }
    t->raw = wire;
    ERR_clear_error();
    if (t->secure || shake_hands(s))
        decrypt(s);
    /* Only while paused, or when the session ended the stream, is anything left. */
    if (t->raw.n > 0 && s->phase == ST_OPEN)
        buf_add(&t->kept, t->raw);
    t->raw = SPAN_NONE;
    buf_free(&held);
}

void stream_tls_write(struct stream *s, struct span bytes)
{
    struct stream_tls *t = s->tls;
    if (!t->secure) {
        buf_add(&t->early, bytes);
        return;
    }
    ERR_clear_error();
    size_t done;
    int ret = SSL_write_ex(t->ssl, bytes.p, bytes.n, &done);
    if (ret != 1)
        fail_tls(s, ret);
}

void stream_tls_goodbye(struct stream *s)
{
    if (s->tls->secure) {
        ERR_clear_error();
        SSL_shutdown(s->tls->ssl);
        ERR_clear_error();
    }
}

void stream_tls_free(struct stream *s)
{
    struct stream_tls *t = s->tls;
    if (!t)
        return;
    SSL_free(t->ssl);
    BIO_meth_free(t->method);
    buf_free(&t->kept);
    buf_free(&t->early);
    free(t);
    s->tls = NULL;
}
