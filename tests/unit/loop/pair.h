/* Two streams at the ends of one socket pair, and what they saw; for tests of streams. */
#ifndef TESTS_UNIT_LOOP_PAIR_H
#define TESTS_UNIT_LOOP_PAIR_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "loop/stream.h"

struct end {
    struct stream *s;
    struct buf got;
    size_t consume_at_most; /* 0: everything */
    bool pause_on_data, connected, secure, late, closed;
    unsigned drains, offers;
    char why[128];
    /* Called from on_data before anything else. */
    size_t (*hook)(struct end *e, struct span bytes);
    void *user;
};

static size_t end_data(void *ctx, struct span bytes)
{
    struct end *e = ctx;
    e->offers++;
    if (e->hook)
        return e->hook(e, bytes);
    if (e->pause_on_data)
        stream_pause(e->s);
    size_t n = e->consume_at_most && bytes.n > e->consume_at_most ? e->consume_at_most : bytes.n;
    buf_add(&e->got, span_sub(bytes, 0, n));
    return n;
}

static void end_drain(void *ctx)
{
    ((struct end *)ctx)->drains++;
}

static void end_connect(void *ctx)
{
    ((struct end *)ctx)->connected = true;
}

static void end_secure(void *ctx)
{
    ((struct end *)ctx)->secure = true;
}

static void end_timeout(void *ctx)
{
    ((struct end *)ctx)->late = true;
}

static void end_close(void *ctx, const char *why)
{
    struct end *e = ctx;
    e->closed = true;
    e->s = NULL;
    snprintf(e->why, sizeof e->why, "%s", why);
}

static const struct stream_events end_events = {end_data,   end_drain,   end_connect,
                                                end_secure, end_timeout, end_close};

static inline void pair_open(uv_loop_t *loop, struct end *a, struct end *b)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    a->s = stream_from_fd(loop, fds[0], &end_events, a);
    b->s = stream_from_fd(loop, fds[1], &end_events, b);
}

/* Runs the loop until *flag or for at most two seconds; fails the test when it was not reached. */
#define run_until(loop, condition)                                                                 \
    do {                                                                                           \
        usec give_up = clock_mono() + 5 * USEC_PER_SEC;                                            \
        while (!(condition)) {                                                                     \
            uv_run((loop), UV_RUN_NOWAIT);                                                         \
            assert_true(clock_mono() < give_up);                                                   \
        }                                                                                          \
    } while (0)

static inline void pair_close(uv_loop_t *loop, struct end *a, struct end *b)
{
    if (a->s)
        stream_close(a->s);
    if (b->s)
        stream_close(b->s);
    run_until(loop, a->closed && b->closed);
    uv_run(loop, UV_RUN_NOWAIT);
    buf_free(&a->got);
    buf_free(&b->got);
    assert_int_equal(uv_loop_close(loop), 0);
}

#endif
