#include "pair.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/xalloc.h"

static void bytes_arrive_in_order(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end a = {0}, b = {0};
    pair_open(&loop, &a, &b);
    stream_write(a.s, SPAN("hello "));
    stream_write(a.s, SPAN("world"));
    run_until(&loop, b.got.n == 11);
    assert_true(span_eq(buf_span(&b.got), SPAN("hello world")));
    stream_finish(a.s);
    run_until(&loop, a.closed && b.closed);
    assert_string_equal(b.why, "eof");
    assert_string_equal(a.why, "closed");
    pair_close(&loop, &a, &b);
}

static void unconsumed_bytes_are_offered_again(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end a = {0}, b = {.consume_at_most = 3};
    pair_open(&loop, &a, &b);
    stream_write(a.s, SPAN("abcdefgh"));
    run_until(&loop, b.got.n == 3);
    stream_more(b.s);
    run_until(&loop, b.got.n == 6);
    stream_write(a.s, SPAN("ij"));
    run_until(&loop, b.got.n == 9);
    assert_true(span_eq(buf_span(&b.got), SPAN("abcdefghi")));
    pair_close(&loop, &a, &b);
}

static void pause_keeps_data_and_end_of_file(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end a = {0}, b = {.consume_at_most = 2, .pause_on_data = true};
    pair_open(&loop, &a, &b);
    stream_write(a.s, SPAN("abcd"));
    stream_finish(a.s);
    run_until(&loop, b.got.n == 2);
    for (int i = 0; i < 50; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(b.offers, 1);
    assert_false(b.closed);
    b.pause_on_data = false;
    stream_resume(b.s);
    run_until(&loop, b.closed);
    assert_true(span_eq(buf_span(&b.got), SPAN("abcd")));
    assert_string_equal(b.why, "eof");
    pair_close(&loop, &a, &b);
}

static void a_reader_that_does_not_consume_stops_the_writer(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end a = {0}, b = {.consume_at_most = 1};
    pair_open(&loop, &a, &b);
    char *big = xcalloc(1, 4 * 1024 * 1024);
    memset(big, 'x', 4 * 1024 * 1024);
    stream_write(a.s, span_of(big, 4 * 1024 * 1024));
    for (int i = 0; i < 300; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_true(stream_full(a.s));
    assert_true(b.got.n < 1000);
    assert_int_equal(a.drains, 0);
    b.consume_at_most = 0;
    stream_more(b.s);
    run_until(&loop, b.got.n == 4 * 1024 * 1024);
    run_until(&loop, a.drains == 1);
    assert_false(stream_full(a.s));
    free(big);
    pair_close(&loop, &a, &b);
}

/* TCP on loopback: its buffers grow, so that much can go out in one go. */
static void tcp_pair_open(uv_loop_t *loop, struct end *a, struct end *b)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof sa;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&sa, n), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &n), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&sa, n), 0);
    b->s = stream_from_fd(loop, accept(listener, NULL, NULL), &end_events, b);
    a->s = stream_from_fd(loop, client, &end_events, a);
    close(listener);
}

/* However the queue empties (in one go, piece by piece): who was told to stop is told to go on. */
static void every_full_is_followed_by_a_drain(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end a = {0}, b = {0};
    tcp_pair_open(&loop, &a, &b);
    char *piece = xcalloc(1, 512 * 1024);
    size_t sent = 0;
    for (size_t round = 1; round <= 60; round++) {
        int drains = (int)a.drains;
        size_t n = 16 * 1024 + round * 7919;
        for (int i = 0; i < 10000 && !stream_full(a.s); i++, sent += n)
            stream_write(a.s, span_of(piece, n));
        assert_true(stream_full(a.s));
        run_until(&loop, b.got.n == sent);
        run_until(&loop, (int)a.drains > drains);
        assert_false(stream_full(a.s));
    }
    free(piece);
    pair_close(&loop, &a, &b);
}

static void finish_sends_what_is_queued(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end a = {0}, b = {0};
    pair_open(&loop, &a, &b);
    char *big = xcalloc(1, 1024 * 1024);
    stream_write(a.s, span_of(big, 1024 * 1024));
    stream_finish(a.s);
    stream_write(a.s, SPAN("too late"));
    run_until(&loop, a.closed && b.closed);
    assert_int_equal(b.got.n, 1024 * 1024);
    free(big);
    pair_close(&loop, &a, &b);
}

static void a_deadline_fires_once_and_can_be_cleared(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end a = {0}, b = {0};
    pair_open(&loop, &a, &b);
    stream_deadline(a.s, 5000);
    stream_deadline(b.s, 5000);
    stream_deadline(b.s, 0);
    run_until(&loop, a.late);
    usleep(10000);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_false(b.late);
    pair_close(&loop, &a, &b);
}

struct tcp_pair {
    int listener, client;
    uint16_t port;
};

static int tcp_listen(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(fd, 5), 0);
    getsockname(fd, (struct sockaddr *)&in, &len);
    *port = ntohs(in.sin_port);
    return fd;
}

static void a_reset_is_an_error_not_a_signal(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    uint16_t port, from;
    int listener = tcp_listen(&port);
    struct ip home, peer;
    assert_true(ip_parse(SPAN("127.0.0.1"), &home));
    struct end a = {0}, b = {.closed = true};
    a.s = stream_connect_tcp(&loop, &home, port, &end_events, &a);
    stream_write(a.s, SPAN("before it is connected"));
    run_until(&loop, a.connected);
    assert_true(stream_peer(a.s, &peer, &from));
    assert_int_equal(from, port);
    assert_memory_equal(&peer, &home, sizeof home);
    int fd = accept(listener, NULL, NULL);
    char text[64];
    assert_int_equal(read(fd, text, sizeof text), 22);
    struct linger abort = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    close(fd);
    for (int i = 0; i < 20 && a.s; i++) {
        stream_write(a.s, SPAN("anybody there?"));
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    run_until(&loop, a.closed);
    assert_string_equal(a.why, "reset");
    close(listener);
    pair_close(&loop, &a, &b);
}

static void a_refused_connection_is_told(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    uint16_t port;
    close(tcp_listen(&port));
    struct ip home;
    ip_parse(SPAN("127.0.0.1"), &home);
    struct end a = {0}, b = {0};
    a.s = stream_connect_tcp(&loop, &home, port, &end_events, &a);
    b.s = stream_connect_unix(&loop, "/nonexistent/socket", &end_events, &b);
    run_until(&loop, a.closed && b.closed);
    assert_false(a.connected);
    assert_string_equal(a.why, "connection refused");
    assert_string_equal(b.why, "no such file or directory");
    pair_close(&loop, &a, &b);
}

/* A server that says its last word while the client is still talking: the word must arrive. */
static void the_last_reply_survives_unread_input(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    uint16_t port;
    int listener = tcp_listen(&port);
    struct ip home;
    ip_parse(SPAN("127.0.0.1"), &home);
    struct end client = {0}, server = {.consume_at_most = 1};
    client.s = stream_connect_tcp(&loop, &home, port, &end_events, &client);
    run_until(&loop, client.connected);
    server.s = stream_from_fd(&loop, accept(listener, NULL, NULL), &end_events, &server);
    char junk[5000] = {0};
    stream_write(client.s, span_of(junk, sizeof junk));
    run_until(&loop, server.offers > 0);
    stream_write(server.s, SPAN("421 enough\r\n"));
    stream_finish(server.s);
    stream_write(client.s, span_of(junk, sizeof junk));
    run_until(&loop, client.closed && server.closed);
    assert_true(span_eq(buf_span(&client.got), SPAN("421 enough\r\n")));
    assert_string_equal(client.why, "eof");
    close(listener);
    pair_close(&loop, &client, &server);
}

static size_t close_at_once(struct end *e, struct span bytes)
{
    stream_close(e->s);
    return bytes.n;
}

static void closing_inside_a_callback_is_safe(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end a = {0}, b = {.hook = close_at_once};
    pair_open(&loop, &a, &b);
    stream_write(a.s, SPAN("x"));
    run_until(&loop, a.closed && b.closed);
    assert_int_equal(b.offers, 1);
    pair_close(&loop, &a, &b);
}

static size_t take_all(void *ctx, struct span bytes)
{
    buf_add(&((struct end *)ctx)->got, bytes);
    return bytes.n;
}

static void answer_and_finish(void *ctx)
{
    struct end *e = ctx;
    e->drains++;
    stream_write(e->s, SPAN("the answer"));
    stream_finish(e->s);
}

/* A request that ends with the end of file gets its answer. */
static void after_the_end_of_file_an_answer_is_possible(void **state)
{
    (void)state;
    static const struct stream_events answering = {
        .on_data = take_all, .on_close = end_close, .on_eof = answer_and_finish};
    uv_loop_t loop;
    int fds[2];
    char got[32];
    struct end b = {0};
    uv_loop_init(&loop);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    b.s = stream_from_fd(&loop, fds[1], &answering, &b);
    assert_int_equal(write(fds[0], "question", 8), 8);
    shutdown(fds[0], SHUT_WR);
    run_until(&loop, b.closed);
    assert_int_equal(b.drains, 1);
    assert_true(span_eq(buf_span(&b.got), SPAN("question")));
    assert_int_equal(read(fds[0], got, sizeof got), 10);
    assert_memory_equal(got, "the answer", 10);
    close(fds[0]);
    buf_free(&b.got);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_in_order),
        cmocka_unit_test(unconsumed_bytes_are_offered_again),
        cmocka_unit_test(pause_keeps_data_and_end_of_file),
        cmocka_unit_test(a_reader_that_does_not_consume_stops_the_writer),
        cmocka_unit_test(every_full_is_followed_by_a_drain),
        cmocka_unit_test(finish_sends_what_is_queued),
        cmocka_unit_test(a_deadline_fires_once_and_can_be_cleared),
        cmocka_unit_test(a_reset_is_an_error_not_a_signal),
        cmocka_unit_test(a_refused_connection_is_told),
        cmocka_unit_test(the_last_reply_survives_unread_input),
        cmocka_unit_test(closing_inside_a_callback_is_safe),
        cmocka_unit_test(after_the_end_of_file_an_answer_is_possible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
