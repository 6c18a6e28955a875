#include "loop/stream_private.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/xalloc.h"

static void flush(struct stream *s);

/* ---- the end ---- */

static void handle_closed(uv_handle_t *h)
{
    struct stream *s = h->data;
    if (--s->handles > 0)
        return;
    if (s->ev.on_close)
        s->ev.on_close(s->ctx, s->why[0] ? s->why : "closed");
    stream_tls_free(s);
    buf_free(&s->in);
    buf_free(&s->out);
    buf_free(&s->flight);
    if (s->starting.ctx)
        SSL_CTX_free(s->starting.ctx);
    free(s->starting.host);
    free(s);
}

void stream_close(struct stream *s)
{
    if (s->phase == ST_CLOSING)
        return;
    s->phase = ST_CLOSING;
    uv_close(&s->h.handle, handle_closed);
    uv_close((uv_handle_t *)&s->timer, handle_closed);
    uv_close((uv_handle_t *)&s->again, handle_closed);
}

void stream_fail(struct stream *s, const char *why)
{
    if (!s->why[0])
        snprintf(s->why, sizeof s->why, "%s", why);
    /* The TLS alert that tells the peer why is worth one try. */
    if (s->phase == ST_OPEN && s->tls)
        flush(s);
    stream_close(s);
}

void stream_fail_uv(struct stream *s, int code)
{
    stream_fail(s, code == UV_ECONNRESET || code == UV_EPIPE ? "reset" : uv_strerror(code));
}

static void linger_over(uv_timer_t *t)
{
    stream_close(t->data);
}

static void shut(uv_shutdown_t *req, int status)
{
    struct stream *s = req->data;
    free(req);
    if (s->phase != ST_FINISHING)
        return;
    if (status < 0 || s->eof) {
        stream_close(s);
        return;
    }
    s->phase = ST_LINGERING;
    buf_free(&s->in);
    uv_timer_start(&s->timer, linger_over, STREAM_LINGER_MS, 0);
    stream_read_more(s);
}

static void end_output(struct stream *s)
{
    uv_shutdown_t *req = xmalloc(sizeof *req);
    req->data = s;
    if (uv_shutdown(req, &s->h.stream, shut) < 0) {
        free(req);
        stream_close(s);
    }
}

void stream_finish(struct stream *s)
{
    if (s->phase == ST_CONNECTING || s->deaf) {
        stream_close(s);
        return;
    }
    if (s->phase != ST_OPEN)
        return;
    if (s->tls)
        stream_tls_goodbye(s);
    s->phase = ST_FINISHING;
    uv_idle_stop(&s->again);
    if (s->reading)
        uv_read_stop(&s->h.stream);
    s->reading = false;
    uv_timer_start(&s->timer, linger_over, STREAM_FINISH_MS, 0);
    if (!s->in_callback)
        flush(s);
}

/* ---- output ---- */

struct writing {
    uv_write_t req;
    struct stream *s;
};

/* The peer takes nothing more. What it said before it left (an SMTP reply) may still be read, and
 * reading meets the error soon enough. */
static void unwritable(struct stream *s)
{
    s->deaf = true;
    buf_free(&s->out);
    if (s->phase == ST_FINISHING) {
        snprintf(s->why, sizeof s->why, "reset");
        stream_close(s);
    }
}

static void drained(struct stream *s)
{
    if (s->was_full && stream_queued(s) <= STREAM_HIGH_WATER / 2) {
        s->was_full = false;
        if (s->phase == ST_OPEN && s->ev.on_drain) {
            s->in_callback = true;
            s->ev.on_drain(s->ctx);
            s->in_callback = false;
        }
    }
}

static void written(uv_write_t *req, int status)
{
    struct stream *s = ((struct writing *)req)->s;
    free(req);
    buf_free(&s->flight);
    if (s->phase == ST_CLOSING)
        return;
    if (status < 0)
        unwritable(s);
    /* What waited may go out at once, without another callback: on_drain is due after that. */
    flush(s);
    drained(s);
    flush(s);
}

static void flush(struct stream *s)
{
    if ((s->phase != ST_OPEN && s->phase != ST_FINISHING) || s->flight.n > 0)
        return;
    while (s->out.n > 0) {
        uv_buf_t b = uv_buf_init(s->out.p, (unsigned)s->out.n);
        int n = uv_try_write(&s->h.stream, &b, 1);
        if (n < 0 && n != UV_EAGAIN) {
            unwritable(s);
            return;
        }
        if (n > 0) {
            buf_drop(&s->out, (size_t)n);
            continue;
        }
        s->flight = s->out;
        s->out = (struct buf){0};
        struct writing *w = xmalloc(sizeof *w);
        w->s = s;
        b = uv_buf_init(s->flight.p, (unsigned)s->flight.n);
        n = uv_write(&w->req, &s->h.stream, &b, 1, written);
        if (n < 0) {
            free(w);
            stream_fail_uv(s, n);
        }
        return;
    }
    buf_free(&s->out);
    if (s->phase == ST_FINISHING && s->h.stream.shutdown_req == NULL)
        end_output(s);
}

void stream_write(struct stream *s, struct span bytes)
{
    if ((s->phase != ST_OPEN && s->phase != ST_CONNECTING) || bytes.n == 0 || s->deaf)
        return;
    if (s->tls)
        stream_tls_write(s, bytes);
    else
        buf_add(&s->out, bytes);
    if (stream_full(s))
        s->was_full = true;
    /* Inside a callback replies to pipelined commands gather into one packet; a large body does not
     * wait for that. */
    if (!s->in_callback || s->out.n > STREAM_HIGH_WATER / 4)
        flush(s);
}

size_t stream_queued(const struct stream *s)
{
    return s->out.n + s->flight.n + (s->tls ? s->tls->early.n : 0);
}

bool stream_full(const struct stream *s)
{
    return stream_queued(s) > STREAM_HIGH_WATER;
}

/* ---- input ---- */

bool stream_ready(const struct stream *s)
{
    return s->phase == ST_OPEN && !s->paused && s->in.n < STREAM_IN_MAX && !s->starting.ctx;
}

static void begin_tls(struct stream *s, struct span rest)
{
    SSL_CTX *ctx = s->starting.ctx;
    char *host = s->starting.host;
    bool keep = s->starting.keep;
    s->starting.ctx = NULL;
    s->starting.host = NULL;
    struct buf early = {0};
    if (keep)
        buf_add(&early, rest);
    else
        s->dropped += rest.n;
    buf_free(&s->in);
    stream_tls_start(s, ctx, s->starting.server, host);
    if (early.n > 0 && s->phase == ST_OPEN)
        stream_tls_feed(s, buf_span(&early));
    buf_free(&early);
    SSL_CTX_free(ctx);
    free(host);
}

void stream_offer(struct stream *s, struct span bytes)
{
    bool joined = s->in.n > 0;
    if (joined)
        buf_add(&s->in, bytes);
    struct span all = joined ? buf_span(&s->in) : bytes;
    if (all.n == 0 || s->phase != ST_OPEN)
        return;
    s->offering = true;
    size_t used = s->ev.on_data ? s->ev.on_data(s->ctx, all) : all.n;
    s->offering = false;
    if (s->phase != ST_OPEN)
        return;
    if (s->starting.ctx) {
        begin_tls(s, span_from(all, used));
    } else if (joined) {
        buf_drop(&s->in, used);
        if (s->in.n == 0)
            buf_free(&s->in);
    } else if (used < all.n) {
        buf_add(&s->in, span_from(all, used));
    }
}

void stream_settle(struct stream *s)
{
    s->in_callback = false;
    if (s->phase == ST_OPEN && s->eof && !s->paused && s->ev.on_eof && !s->deaf) {
        bool told = s->eof_told;
        s->eof_told = true;
        if (!told)
            s->ev.on_eof(s->ctx);
    } else if (s->phase == ST_OPEN && s->eof && !s->paused) {
        if (!s->why[0])
            snprintf(s->why, sizeof s->why, s->deaf ? "reset" : "eof");
        stream_finish(s);
    }
    flush(s);
    if (s->phase == ST_OPEN)
        drained(s);
    stream_read_more(s);
}

static void allocate(uv_handle_t *h, size_t hint, uv_buf_t *b)
{
    (void)h, (void)hint;
    *b = uv_buf_init(xmalloc(STREAM_READ_SIZE), STREAM_READ_SIZE);
}

static void took_in(struct stream *s, struct span bytes)
{
    s->in_callback = true;
    if (s->tls)
        stream_tls_feed(s, bytes);
    else
        stream_offer(s, bytes);
    stream_settle(s);
}

static void have_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
    struct stream *s = h->data;
    if (s->phase == ST_LINGERING && n < 0) {
        stream_close(s);
    } else if (s->phase == ST_OPEN && n > 0) {
        took_in(s, span_of(b->base, (size_t)n));
    } else if (s->phase == ST_OPEN && n == UV_EOF) {
        s->eof = true;
        if (s->tls && !s->tls->secure)
            stream_fail(s, "tls: the peer left in the handshake");
        else
            took_in(s, SPAN_NONE);
    } else if (s->phase == ST_OPEN && n < 0) {
        stream_fail_uv(s, (int)n);
    }
    free(b->base);
}

void stream_read_more(struct stream *s)
{
    bool want = (stream_ready(s) && !s->eof) || s->phase == ST_LINGERING;
    if (want == s->reading || s->phase == ST_CLOSING)
        return;
    s->reading = want;
    if (!want) {
        uv_read_stop(&s->h.stream);
        return;
    }
    int rc = uv_read_start(&s->h.stream, allocate, have_read);
    if (rc < 0)
        stream_fail_uv(s, rc);
}

static void offer_again(uv_idle_t *idle)
{
    struct stream *s = idle->data;
    uv_idle_stop(idle);
    if (s->phase != ST_OPEN || s->paused)
        return;
    s->in_callback = true;
    stream_offer(s, SPAN_NONE);
    if (s->tls && s->phase == ST_OPEN)
        stream_tls_feed(s, SPAN_NONE);
    stream_settle(s);
}

void stream_more(struct stream *s)
{
    if (s->phase == ST_OPEN)
        uv_idle_start(&s->again, offer_again);
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    if (s->phase == ST_OPEN && !s->in_callback)
        stream_read_more(s);
}

void stream_resume(struct stream *s)
{
    s->paused = false;
    stream_more(s);
}

/* ---- TLS ---- */

static void ask_tls(struct stream *s, SSL_CTX *ctx, bool server, const char *host, bool keep)
{
    if (s->phase != ST_OPEN || s->tls || s->starting.ctx)
        return;
    SSL_CTX_up_ref(ctx);
    s->starting.ctx = ctx;
    s->starting.host = host ? xstrdup(host) : NULL;
    s->starting.server = server;
    s->starting.keep = keep;
    if (s->offering)
        return;
    struct buf held = s->in;
    s->in = (struct buf){0};
    begin_tls(s, buf_span(&held));
    buf_free(&held);
    if (!s->in_callback)
        stream_settle(s);
}

void stream_starttls(struct stream *s, struct ssl_ctx_st *ctx, bool server, const char *host)
{
    ask_tls(s, ctx, server, host, false);
}

void stream_tls_behind(struct stream *s, struct ssl_ctx_st *ctx)
{
    ask_tls(s, ctx, true, NULL, true);
}

size_t stream_dropped(const struct stream *s)
{
    return s->dropped;
}

struct ssl_st *stream_ssl(const struct stream *s)
{
    return s->tls && s->tls->secure ? s->tls->ssl : NULL;
}

/* ---- deadline ---- */

static void too_late(uv_timer_t *t)
{
    struct stream *s = t->data;
    if ((s->phase != ST_OPEN && s->phase != ST_CONNECTING) || !s->ev.on_timeout)
        return;
    s->in_callback = true;
    s->ev.on_timeout(s->ctx);
    stream_settle(s);
}

void stream_deadline(struct stream *s, usec in)
{
    if (s->phase != ST_OPEN && s->phase != ST_CONNECTING)
        return;
    if (in <= 0)
        uv_timer_stop(&s->timer);
    else
        uv_timer_start(&s->timer, too_late, (uint64_t)((in + 999) / 1000), 0);
}
