#include "door/tunnel.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "door/door_private.h"

enum { HANDSHAKE_S = 30, PIECE = 16 * 1024 };

struct tunnel {
    struct gate *gate;
    struct stream *stream; /* NULL: the client is gone */
    void (*ready)(struct gate *g, int plain);
    uv_poll_t poll;
    int fd;       /* our end of the pair; -1: not yet */
    bool blocked; /* the library does not read */
    bool ended;   /* it has hung up */
};

static void poll_closed(uv_handle_t *h)
{
    struct tunnel *t = h->data;
    close(t->fd);
    free(t);
}

static void on_plain(uv_poll_t *p, int status, int events);

static void watch(struct tunnel *t)
{
    int events = (t->blocked ? UV_WRITABLE : 0) | (stream_full(t->stream) ? 0 : UV_READABLE);
    if (events && !t->ended)
        uv_poll_start(&t->poll, events, on_plain);
    else
        uv_poll_stop(&t->poll);
}

/* What the library has written goes to the client. */
static void to_client(struct tunnel *t)
{
    char piece[PIECE];
    ssize_t n = read(t->fd, piece, sizeof piece);
    if (n > 0) {
        stream_write(t->stream, span_of(piece, (size_t)n));
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        t->ended = true;
        uv_poll_stop(&t->poll);
        stream_finish(t->stream);
        return;
    }
    watch(t);
}

static void on_plain(uv_poll_t *p, int status, int events)
{
    struct tunnel *t = p->data;
    if (t->blocked && (status < 0 || events & UV_WRITABLE)) {
        t->blocked = false;
        stream_more(t->stream);
    }
    if (status < 0 || events & UV_READABLE)
        to_client(t);
    else
        watch(t);
}

static size_t on_data(void *ctx, struct span bytes)
{
    struct tunnel *t = ctx;
    if (t->fd < 0)
        return 0;
    ssize_t n = send(t->fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return bytes.n; /* it has hung up; to_client finds out */
    size_t used = n > 0 ? (size_t)n : 0;
    t->blocked = used < bytes.n;
    watch(t);
    return used;
}

static void on_drain(void *ctx)
{
    struct tunnel *t = ctx;
    if (t->fd >= 0)
        watch(t);
}

static void on_secure(void *ctx)
{
    struct tunnel *t = ctx;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        stream_close(t->stream);
        return;
    }
    stream_deadline(t->stream, 0); /* the library has its own */
    t->fd = pair[0];
    uv_poll_init(&t->gate->door->loop, &t->poll, t->fd);
    t->poll.data = t;
    watch(t);
    t->ready(t->gate, pair[1]);
}

static void on_timeout(void *ctx)
{
    stream_close(((struct tunnel *)ctx)->stream);
}

static void on_close(void *ctx, const char *why)
{
    struct tunnel *t = ctx;
    struct door *d = t->gate->door;
    (void)why;
    t->stream = NULL;
    if (t->fd >= 0) {
        uv_poll_stop(&t->poll);
        uv_close((uv_handle_t *)&t->poll, poll_closed);
    } else {
        free(t);
    }
    d->nconns--;
    door_conn_gone(d);
}

static const struct stream_events events = {.on_data = on_data,
                                            .on_drain = on_drain,
                                            .on_secure = on_secure,
                                            .on_timeout = on_timeout,
                                            .on_close = on_close};

void tunnel_open(struct gate *g, int fd, void (*ready)(struct gate *g, int plain))
{
    struct tunnel *t = xcalloc(1, sizeof *t);
    t->gate = g;
    t->ready = ready;
    t->fd = -1;
    g->door->nconns++;
    t->stream = stream_from_fd(&g->door->loop, fd, &events, t);
    if (g->tls.ctx)
        stream_tls_behind(t->stream, g->tls.ctx);
    else
        stream_close(t->stream);
    stream_deadline(t->stream, HANDSHAKE_S * USEC_PER_SEC);
}
