/* A conversation with dccifd (its ASCII protocol, dccifd(8)): everything is written and the sending
 * side closed, then everything is read. */
#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "digests/ask.h"

struct dcc_ask {
    struct dcc_question q;
    union {
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } u;
    uv_timer_t timer;
    uv_connect_t connecting;
    uv_write_t writing;
    uv_shutdown_t shutting;
    struct where_question *finding;
    struct buf answer;
    dcc_done *done;
    void *ctx;
    int handles;
    bool ended;
    char failure[128];
};

static void on_closed(uv_handle_t *h)
{
    struct dcc_ask *a = h->data;
    if (--a->handles > 0)
        return;
    buf_free(&a->q.head);
    buf_free(&a->answer);
    free(a);
}

void dcc_drop(struct dcc_ask *a)
{
    if (a->ended)
        return;
    a->ended = true;
    where_drop(a->finding);
    a->finding = NULL;
    uv_close((uv_handle_t *)&a->u.stream, on_closed);
    uv_close((uv_handle_t *)&a->timer, on_closed);
}

static void finish(struct dcc_ask *a, const char *why)
{
    if (a->ended)
        return;
    dcc_drop(a);
    a->done(a->ctx, why ? SPAN_NONE : buf_span(&a->answer), why);
}

static void on_timer(uv_timer_t *t)
{
    struct dcc_ask *a = t->data;
    finish(a, a->failure[0] ? a->failure : "no answer in time");
}

static void fail(struct dcc_ask *a, const char *doing, const char *what)
{
    if (a->ended)
        return;
    snprintf(a->failure, sizeof a->failure, "%s%s", doing, what);
    uv_timer_start(&a->timer, on_timer, 0, 0);
}

static void on_room(uv_handle_t *h, size_t want, uv_buf_t *out)
{
    struct dcc_ask *a = h->data;
    (void)want;
    *out = uv_buf_init(buf_room(&a->answer, 4096), 4096);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct dcc_ask *a = s->data;
    (void)b;
    if (n > 0)
        a->answer.n += (size_t)n;
    if (n == UV_EOF)
        finish(a, a->answer.n ? NULL : "it closed the connection without an answer");
    else if (n < 0)
        fail(a, "reading the answer: ", uv_strerror((int)n));
    else if (a->answer.n > DCC_ANSWER_MAX)
        fail(a, "an answer that is too long", "");
}

/* Who reads no more may have answered: only the end of reading counts. */
static void on_written(uv_write_t *w, int status)
{
    struct dcc_ask *a = w->data;
    if (!a->ended && status == 0)
        uv_shutdown(&a->shutting, &a->u.stream, NULL);
}

static void on_connect(uv_connect_t *c, int status)
{
    struct dcc_ask *a = c->data;
    if (a->ended)
        return;
    if (status != 0) {
        fail(a, "connecting: ", uv_strerror(status));
        return;
    }
    uv_buf_t parts[] = {
        uv_buf_init(a->q.head.p, (unsigned)a->q.head.n),
        uv_buf_init((char *)(uintptr_t)a->q.body.p, (unsigned)a->q.body.n),
    };
    a->writing.data = a;
    int rc = uv_read_start(&a->u.stream, on_room, on_read);
    if (rc == 0)
        rc = uv_write(&a->writing, &a->u.stream, parts, a->q.body.n ? 2 : 1, on_written);
    if (rc != 0)
        fail(a, "sending: ", uv_strerror(rc));
}

static void on_found(void *ctx, const struct ip *ip, const char *why)
{
    struct dcc_ask *a = ctx;
    char text[IP_TEXT_SIZE];
    struct sockaddr_storage to;
    a->finding = NULL;
    if (!ip) {
        fail(a, why, "");
        return;
    }
    int rc = ip_is4(ip) ? uv_ip4_addr(ip_text(ip, text), a->q.to.port, (struct sockaddr_in *)&to)
                        : uv_ip6_addr(ip_text(ip, text), a->q.to.port, (struct sockaddr_in6 *)&to);
    if (rc == 0)
        rc = uv_tcp_connect(&a->connecting, &a->u.tcp, (const struct sockaddr *)&to, on_connect);
    if (rc != 0)
        fail(a, "connecting: ", uv_strerror(rc));
}

struct dcc_ask *dcc_ask(uv_loop_t *loop, struct dns *dns, const struct dcc_question *q,
                        dcc_done *done, void *ctx)
{
    struct dcc_ask *a = xcalloc(1, sizeof *a);
    *a = (struct dcc_ask){.q = *q, .done = done, .ctx = ctx, .handles = 2};
    if (q->to.path[0])
        uv_pipe_init(loop, &a->u.pipe, 0);
    else
        uv_tcp_init(loop, &a->u.tcp);
    uv_timer_init(loop, &a->timer);
    a->u.stream.data = a->timer.data = a->connecting.data = a;
    uv_timer_start(&a->timer, on_timer, (uint64_t)q->timeout / 1000 + 1, 0);
    if (q->to.path[0])
        uv_pipe_connect(&a->connecting, &a->u.pipe, q->to.path, on_connect);
    else
        a->finding = where_find(dns, &q->to, on_found, a);
    return a;
}
