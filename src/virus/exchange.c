/* One conversation: connect, send the command and what goes with it, read one answer. On a socket
 * of our own under uv_poll, because libuv's streams can't pass a plain descriptor.
 *
 *     CONNECTING -> COMMAND -> DESCRIPTOR | CHUNKS -> WAITING -> (done)
 *
 * The answer is read all the time: an engine that has seen enough (StreamMaxLength) answers and
 * closes while we still send. So a failed write is not the end; only the end of reading is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "virus/clamd_private.h"

enum { CHUNK = 256 * 1024 };

enum state { CONNECTING, COMMAND, DESCRIPTOR, CHUNKS, WAITING, FINISHED };

struct exchange {
    struct exchange_request r;
    uv_loop_t *loop;
    exchange_done *done;
    void *ctx;
    enum state state;
    int sock;
    usec deadline;
    uv_poll_t poll;
    uv_timer_t timer;
    int handles;             /* open libuv handles; the last one's close frees this */
    size_t sent;             /* of the command, or of the stream's bytes */
    unsigned char head[4];   /* length of the chunk under way (network order) */
    size_t head_sent, chunk; /* of head; bytes of the chunk that are left */
    bool zero_sent;
    struct buf answer;
    char failure[160]; /* kept until it is told from the loop */
};

static void closed(uv_handle_t *h)
{
    struct exchange *x = h->data;
    if (--x->handles > 0)
        return;
    if (x->sock >= 0)
        close(x->sock);
    buf_free(&x->answer);
    free(x);
}

static void shut(struct exchange *x)
{
    x->state = FINISHED;
    uv_close((uv_handle_t *)&x->timer, closed);
    if (x->handles == 2)
        uv_close((uv_handle_t *)&x->poll, closed);
}

void exchange_cancel(struct exchange *x)
{
    if (x->state != FINISHED)
        shut(x);
}

static void finish(struct exchange *x, const char *failure, struct span answer)
{
    if (x->state == FINISHED)
        return;
    shut(x);
    x->done(x->ctx, failure, answer);
}

static void fail_errno(struct exchange *x, const char *doing, int code)
{
    snprintf(x->failure, sizeof x->failure, "%s: %s", doing, strerror(code));
    finish(x, x->failure, SPAN_NONE);
}

/* --- sending --- */

/* 1: done with this step, 0: the socket takes no more now, -1: it takes no more at all. */
static int send_result(ssize_t n)
{
    if (n >= 0)
        return 1;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static int send_command(struct exchange *x)
{
    struct span rest = span_from(x->r.command, x->sent);
    ssize_t n = send(x->sock, rest.p, rest.n, MSG_NOSIGNAL);
    if (n > 0)
        x->sent += (size_t)n;
    if (x->sent < x->r.command.n)
        return n < 0 ? send_result(n) : 0;
    x->sent = 0;
    x->state = x->r.fd >= 0 ? DESCRIPTOR : x->r.stream.p ? CHUNKS : WAITING;
    return 1;
}

/* One byte carries the descriptor (SCM_RIGHTS). */
static int send_descriptor(struct exchange *x)
{
    char byte = 0;
    struct iovec iov = {&byte, 1};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof control.space};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &x->r.fd, sizeof(int));
    int result = send_result(sendmsg(x->sock, &msg, MSG_NOSIGNAL));
    if (result == 1)
        x->state = WAITING;
    return result;
}

static void next_chunk(struct exchange *x)
{
    size_t left = x->r.stream.n - x->sent;
    x->chunk = left < CHUNK ? left : CHUNK;
    x->zero_sent = x->chunk == 0; /* a chunk of length zero ends the stream */
    for (int i = 0; i < 4; i++)
        x->head[i] = (unsigned char)(x->chunk >> (24 - 8 * i));
    x->head_sent = 0;
}

static int send_chunks(struct exchange *x)
{
    if (x->head_sent == 4 && x->chunk == 0) {
        if (x->zero_sent) {
            x->state = WAITING;
            return 1;
        }
        next_chunk(x);
    }
    struct iovec iov[2] = {
        {x->head + x->head_sent, 4 - x->head_sent},
        {(char *)(uintptr_t)x->r.stream.p + x->sent, x->chunk},
    };
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t n = sendmsg(x->sock, &msg, MSG_NOSIGNAL);
    if (n <= 0)
        return send_result(n < 0 ? n : -1);
    size_t head = 4 - x->head_sent < (size_t)n ? 4 - x->head_sent : (size_t)n;
    x->head_sent += head;
    x->sent += (size_t)n - head;
    x->chunk -= (size_t)n - head;
    return 1;
}

static void watch(struct exchange *x);

static void send_more(struct exchange *x)
{
    int result = 1;
    while (result == 1 && x->state != WAITING)
        result = x->state == COMMAND      ? send_command(x)
                 : x->state == DESCRIPTOR ? send_descriptor(x)
                                          : send_chunks(x);
    if (result < 0)
        x->state = WAITING; /* perhaps it has answered before it closed */
    watch(x);
}

/* --- receiving --- */

static void receive(struct exchange *x)
{
    ssize_t n = recv(x->sock, buf_room(&x->answer, ANSWER_MAX), ANSWER_MAX, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        fail_errno(x, "reading the answer", errno);
        return;
    }
    if (n == 0) {
        finish(x, "it closed the connection without an answer", SPAN_NONE);
        return;
    }
    x->answer.n += (size_t)n;
    size_t end = span_find(buf_span(&x->answer), '\0');
    if (end == SIZE_MAX && x->answer.n < ANSWER_MAX)
        return;
    if (end != x->answer.n - 1)
        finish(x, "an answer that is too long or has more behind it", SPAN_NONE);
    else
        finish(x, NULL, span_sub(buf_span(&x->answer), 0, end));
}

static void connected(struct exchange *x)
{
    int code = 0;
    socklen_t n = sizeof code;
    getsockopt(x->sock, SOL_SOCKET, SO_ERROR, &code, &n);
    if (code) {
        fail_errno(x, "connecting", code);
        return;
    }
    usec left = x->deadline - clock_mono();
    uv_timer_stop(&x->timer);
    uv_timer_start(&x->timer, x->timer.timer_cb, left > 0 ? (uint64_t)left / 1000 + 1 : 1, 0);
    x->state = COMMAND;
    send_more(x);
}

static void ready(uv_poll_t *poll, int status, int events)
{
    struct exchange *x = poll->data;
    if (status < 0) {
        if (x->state == CONNECTING)
            connected(x);
        else
            receive(x);
        return;
    }
    if (x->state == CONNECTING) {
        connected(x);
        return;
    }
    if (events & (UV_READABLE | UV_DISCONNECT))
        receive(x);
    if (x->state != FINISHED && (events & UV_WRITABLE) && x->state != WAITING)
        send_more(x);
}

static void watch(struct exchange *x)
{
    int events = x->state == CONNECTING ? UV_WRITABLE
                 : x->state == WAITING  ? UV_READABLE
                                        : UV_READABLE | UV_WRITABLE;
    uv_poll_start(&x->poll, events, ready);
}

static void late(uv_timer_t *timer)
{
    struct exchange *x = timer->data;
    if (x->failure[0])
        finish(x, x->failure, SPAN_NONE);
    else
        finish(x, x->state == CONNECTING ? "no connection in time" : "no answer in time",
               SPAN_NONE);
}

/* Told from the loop, so that callers need not expect an answer from within the call. */
static void fail_later(struct exchange *x, const char *doing)
{
    snprintf(x->failure, sizeof x->failure, "%s: %s", doing, strerror(errno));
    uv_timer_start(&x->timer, late, 0, 0);
}

struct exchange *exchange_start(uv_loop_t *loop, const struct exchange_request *r,
                                exchange_done *done, void *ctx)
{
    struct exchange *x = xcalloc(1, sizeof *x);
    *x = (struct exchange){.r = *r, .loop = loop, .done = done, .ctx = ctx, .head_sent = 4};
    x->deadline = clock_mono() + r->timeout;
    uv_timer_init(loop, &x->timer);
    x->timer.data = x;
    x->handles = 1;
    x->sock = socket(r->to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (x->sock < 0) {
        fail_later(x, "socket");
        return x;
    }
    /* A Unix socket whose queue is full says EAGAIN: the engine does not accept. */
    if (connect(x->sock, (const struct sockaddr *)&r->to->addr, r->to->len) &&
        errno != EINPROGRESS) {
        fail_later(x, "connecting");
        return x;
    }
    uv_poll_init(loop, &x->poll, x->sock);
    x->poll.data = x;
    x->handles = 2;
    usec wait = r->connect_timeout < r->timeout ? r->connect_timeout : r->timeout;
    uv_timer_start(&x->timer, late, (uint64_t)wait / 1000 + 1, 0);
    watch(x);
    return x;
}
