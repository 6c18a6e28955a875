/* A question to a Pyzor server. The socket is connected, so that the kernel takes datagrams from
 * nobody else; of those that come, the first with our thread number is the answer. */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "digests/ask.h"

enum { THREAD_FIRST = 1024, RETRIES = 2 };

struct pyzor_ask {
    struct pyzor_question q;
    uv_udp_t udp;
    uv_timer_t timer;
    struct where_question *finding;
    struct buf request;
    pyzor_done *done;
    void *ctx;
    uint16_t thread;
    usec deadline;
    unsigned sent;
    int handles;
    bool ended;
    char in[PYZOR_DATAGRAM_MAX];
    char failure[128];
};

static void on_closed(uv_handle_t *h)
{
    struct pyzor_ask *a = h->data;
    if (--a->handles == 0) {
        buf_free(&a->request);
        free(a);
    }
}

void pyzor_drop(struct pyzor_ask *a)
{
    if (a->ended)
        return;
    a->ended = true;
    where_drop(a->finding);
    a->finding = NULL;
    uv_close((uv_handle_t *)&a->udp, on_closed);
    uv_close((uv_handle_t *)&a->timer, on_closed);
}

static void finish(struct pyzor_ask *a, const struct pyzor_reply *r, const char *why)
{
    if (a->ended)
        return;
    pyzor_drop(a);
    a->done(a->ctx, r, why);
}

static void send_again(struct pyzor_ask *a);

static void on_timer(uv_timer_t *t)
{
    struct pyzor_ask *a = t->data;
    if (a->failure[0])
        finish(a, NULL, a->failure);
    else if (clock_mono() >= a->deadline)
        finish(a, NULL, "no answer in time");
    else
        send_again(a);
}

/* Told from the loop: the caller need not expect an answer from within the call. */
static void fail(struct pyzor_ask *a, const char *doing, const char *what)
{
    snprintf(a->failure, sizeof a->failure, "%s%s", doing, what);
    uv_timer_start(&a->timer, on_timer, 0, 0);
}

static void on_room(uv_handle_t *h, size_t want, uv_buf_t *out)
{
    struct pyzor_ask *a = h->data;
    (void)want;
    *out = uv_buf_init(a->in, sizeof a->in);
}

static void on_datagram(uv_udp_t *u, ssize_t n, const uv_buf_t *in, const struct sockaddr *from,
                        unsigned flags)
{
    struct pyzor_ask *a = u->data;
    struct pyzor_reply r;
    if (n < 0)
        fail(a, "receiving: ", uv_strerror((int)n)); /* ICMP says that nobody listens */
    else if (n == 0 || !from || (flags & UV_UDP_PARTIAL))
        return;
    else if (pyzor_reply_read(span_of(in->base, (size_t)n), a->q.op, &r) &&
             (r.thread == a->thread || (r.thread < THREAD_FIRST && r.code != 200)))
        finish(a, &r, NULL);
}

/* A datagram may be lost: sent up to three times within the deadline. A report is counted by the
 * server each time it arrives, and is sent once. */
static void send_again(struct pyzor_ask *a)
{
    uv_buf_t b = uv_buf_init(a->request.p, (unsigned)a->request.n);
    int rc = uv_udp_try_send(&a->udp, &b, 1, NULL);
    if (rc < 0 && rc != UV_EAGAIN) {
        fail(a, "sending: ", uv_strerror(rc));
        return;
    }
    bool again = ++a->sent <= RETRIES && (a->q.op == PYZOR_CHECK || a->q.op == PYZOR_PING);
    usec left = a->deadline - clock_mono();
    usec wait = again ? left / (RETRIES + 2 - a->sent) : left;
    uv_timer_start(&a->timer, on_timer, wait > 0 ? (uint64_t)wait / 1000 + 1 : 0, 0);
}

static void on_found(void *ctx, const struct ip *ip, const char *why)
{
    struct pyzor_ask *a = ctx;
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
        rc = uv_udp_connect(&a->udp, (const struct sockaddr *)&to);
    if (rc == 0)
        rc = uv_udp_recv_start(&a->udp, on_room, on_datagram);
    if (rc == 0)
        send_again(a);
    else
        fail(a, "connecting: ", uv_strerror(rc));
}

struct pyzor_ask *pyzor_ask(uv_loop_t *loop, struct dns *dns, const struct pyzor_question *q,
                            pyzor_done *done, void *ctx)
{
    struct pyzor_ask *a = xcalloc(1, sizeof *a);
    *a = (struct pyzor_ask){.q = *q, .done = done, .ctx = ctx, .handles = 2};
    unsigned char two[2] = {0};
    RAND_bytes(two, sizeof two);
    a->thread =
        (uint16_t)(THREAD_FIRST + ((unsigned)two[0] << 8 | two[1]) % (65536 - THREAD_FIRST));
    a->deadline = clock_mono() + q->timeout;
    pyzor_request(&a->request, q->op, q->digest, a->thread, &q->who, clock_wall() / USEC_PER_SEC);
    uv_udp_init(loop, &a->udp);
    uv_timer_init(loop, &a->timer);
    a->udp.data = a->timer.data = a;
    uv_timer_start(&a->timer, on_timer, (uint64_t)q->timeout / 1000 + 1, 0);
    a->finding = where_find(dns, &q->to, on_found, a);
    return a;
}
