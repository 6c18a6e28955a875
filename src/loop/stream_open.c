/* Where streams come from. */
#include "loop/stream_private.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/xalloc.h"

static struct stream *create(uv_loop_t *loop, bool tcp, const struct stream_events *ev, void *ctx)
{
    signal(SIGPIPE, SIG_IGN);
    struct stream *s = xcalloc(1, sizeof *s);
    s->ev = *ev;
    s->ctx = ctx;
    s->is_tcp = tcp;
    if (tcp)
        uv_tcp_init(loop, &s->h.tcp);
    else
        uv_pipe_init(loop, &s->h.pipe, 0);
    uv_timer_init(loop, &s->timer);
    uv_idle_init(loop, &s->again);
    s->h.handle.data = s->timer.data = s->again.data = s;
    s->handles = 3;
    return s;
}

struct stream *stream_from_fd(uv_loop_t *loop, int fd, const struct stream_events *ev, void *ctx)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    int got = getsockname(fd, (struct sockaddr *)&addr, &len);
    bool tcp = got == 0 && (addr.ss_family == AF_INET || addr.ss_family == AF_INET6);
    struct stream *s = create(loop, tcp, ev, ctx);
    int rc = tcp ? uv_tcp_open(&s->h.tcp, fd) : uv_pipe_open(&s->h.pipe, fd);
    if (rc < 0) {
        close(fd);
        stream_fail_uv(s, rc);
        return s;
    }
    if (tcp)
        uv_tcp_nodelay(&s->h.tcp, 1);
    s->phase = ST_OPEN;
    stream_read_more(s);
    return s;
}

static void connected(uv_connect_t *req, int status)
{
    struct stream *s = req->data;
    free(req);
    if (s->phase != ST_CONNECTING)
        return;
    if (status < 0) {
        stream_fail(s, uv_strerror(status));
        return;
    }
    s->phase = ST_OPEN;
    s->in_callback = true;
    if (s->ev.on_connect)
        s->ev.on_connect(s->ctx);
    stream_settle(s);
}

struct stream *stream_connect_tcp(uv_loop_t *loop, const struct ip *ip, uint16_t port,
                                  const struct stream_events *ev, void *ctx)
{
    struct stream *s = create(loop, true, ev, ctx);
    s->phase = ST_CONNECTING;
    char text[IP_TEXT_SIZE];
    ip_text(ip, text);
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to;
    int rc = ip_is4(ip) ? uv_ip4_addr(text, port, &to.v4) : uv_ip6_addr(text, port, &to.v6);
    uv_connect_t *req = xmalloc(sizeof *req);
    req->data = s;
    if (rc == 0)
        rc = uv_tcp_connect(req, &s->h.tcp, &to.any, connected);
    if (rc < 0) {
        free(req);
        stream_fail_uv(s, rc);
    } else {
        uv_tcp_nodelay(&s->h.tcp, 1);
    }
    return s;
}

struct stream *stream_connect_unix(uv_loop_t *loop, const char *path,
                                   const struct stream_events *ev, void *ctx)
{
    struct stream *s = create(loop, false, ev, ctx);
    s->phase = ST_CONNECTING;
    uv_connect_t *req = xmalloc(sizeof *req);
    req->data = s;
    uv_pipe_connect(req, &s->h.pipe, path, connected);
    return s;
}

static void take_address(const struct sockaddr_storage *addr, struct ip *ip, uint16_t *port)
{
    memset(ip, 0, sizeof *ip);
    if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)addr;
        memcpy(ip->b, &in6->sin6_addr, sizeof ip->b);
        *port = ntohs(in6->sin6_port);
        return;
    }
    const struct sockaddr_in *in4 = (const void *)addr;
    ip->b[10] = ip->b[11] = 0xff;
    memcpy(ip->b + 12, &in4->sin_addr, 4);
    *port = ntohs(in4->sin_port);
}

bool stream_peer(const struct stream *s, struct ip *ip, uint16_t *port)
{
    struct sockaddr_storage addr;
    int len = sizeof addr;
    if (!s->is_tcp || uv_tcp_getpeername(&s->h.tcp, (struct sockaddr *)&addr, &len) < 0)
        return false;
    take_address(&addr, ip, port);
    return true;
}

bool stream_local(const struct stream *s, struct ip *ip, uint16_t *port)
{
    struct sockaddr_storage addr;
    int len = sizeof addr;
    if (!s->is_tcp || uv_tcp_getsockname(&s->h.tcp, (struct sockaddr *)&addr, &len) < 0)
        return false;
    take_address(&addr, ip, port);
    return true;
}
