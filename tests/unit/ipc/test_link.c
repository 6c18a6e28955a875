#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "ipc/link.h"

struct end {
    struct link *link;
    size_t frames, bytes, with_fd;
    uint64_t last_tag;
    struct span expect;
    int closed, drained;
};

struct bed {
    uv_loop_t loop;
    struct end door, scan;
};

static void on_frame(void *ctx, struct link *l, enum frame_type type, uint64_t tag,
                     struct span payload, int fd)
{
    struct end *e = ctx;
    (void)l, (void)type;
    e->frames++;
    e->bytes += payload.n;
    e->last_tag = tag;
    if (e->expect.p)
        assert_true(span_eq(payload, e->expect));
    if (fd >= 0) {
        struct stat st;
        assert_int_equal(fstat(fd, &st), 0);
        e->with_fd++;
        close(fd);
    }
}

static void on_closed(void *ctx, struct link *l)
{
    struct end *e = ctx;
    (void)l;
    e->closed++;
    e->link = NULL;
}

static void on_drained(void *ctx, struct link *l)
{
    struct end *e = ctx;
    (void)l;
    e->drained++;
}

static const struct link_events events = {on_frame, on_closed, on_drained};

static int bed_open(void **state)
{
    struct bed *b = calloc(1, sizeof *b);
    int fds[2];
    uv_loop_init(&b->loop);
    assert_int_equal(link_pair(fds), 0);
    b->door.link = link_open(&b->loop, fds[0], ROLE_DOOR, ROLE_SCAN, &events, &b->door);
    b->scan.link = link_open(&b->loop, fds[1], ROLE_SCAN, ROLE_DOOR, &events, &b->scan);
    *state = b;
    return 0;
}

static int bed_close(void **state)
{
    struct bed *b = *state;
    if (b->door.link)
        link_close(b->door.link);
    if (b->scan.link)
        link_close(b->scan.link);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    free(b);
    return 0;
}

static void run_until(struct bed *b, const size_t *counter, size_t want)
{
    for (int i = 0; i < 100000 && *counter < want; i++)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(*counter, want);
}

static void small_and_large_frames_arrive_whole(void **state)
{
    struct bed *b = *state;
    int null = open("/dev/null", O_RDONLY);
    struct buf large = {0};
    for (int i = 0; i < 300000; i++)
        buf_u32(&large, (uint32_t)i);
    b->scan.expect = buf_span(&large);
    assert_int_equal(link_send(b->door.link, FRAME_SCAN_REQUEST, 77, buf_span(&large), null), 0);
    run_until(b, &b->scan.frames, 1);
    assert_int_equal(b->scan.last_tag, 77);
    assert_int_equal(b->scan.with_fd, 1);
    b->scan.expect = SPAN("small");
    assert_int_equal(link_send(b->door.link, FRAME_SCAN_REQUEST, 78, SPAN("small"), null), 0);
    run_until(b, &b->scan.frames, 2);
    b->door.expect = SPAN("");
    assert_int_equal(link_send(b->scan.link, FRAME_SCAN_RESULT, 78, SPAN(""), -1), 0);
    run_until(b, &b->door.frames, 1);
    buf_free(&large);
    close(null);
}

static void a_full_socket_queues_and_keeps_order(void **state)
{
    struct bed *b = *state;
    char payload[20000] = {0};
    for (uint64_t tag = 1; tag <= 500; tag++)
        assert_int_equal(
            link_send(b->scan.link, FRAME_SCAN_RESULT, tag, span_of(payload, sizeof payload), -1),
            0);
    run_until(b, &b->door.frames, 500);
    assert_int_equal(b->door.last_tag, 500);
    assert_int_equal(b->door.bytes, 500 * sizeof payload);
}

static void frames_against_the_table_are_not_sent(void **state)
{
    struct bed *b = *state;
    log_open("/dev/null", LOG_TEXT, LOG_NOTE);
    assert_int_equal(link_send(b->door.link, FRAME_STORE_REQUEST, 1, SPAN("x"), 1), -1);
    assert_int_equal(link_send(b->door.link, FRAME_SCAN_REQUEST, 1, SPAN("x"), -1), -1);
    assert_int_equal(link_send(b->scan.link, FRAME_DRAIN, 1, SPAN(""), -1), -1);
}

static void a_forbidden_frame_closes_the_link(void **state)
{
    struct bed *b = *state;
    int fds[2];
    struct end victim = {0};
    log_open("/dev/null", LOG_TEXT, LOG_NOTE);
    assert_int_equal(link_pair(fds), 0);
    victim.link = link_open(&b->loop, fds[0], ROLE_SPOOL, ROLE_SCAN, &events, &victim);
    /* a scanner that was taken over claims to be the supervisor: type, no memory, tag, size */
    struct {
        uint32_t type, memory;
        uint64_t tag, size;
    } forged = {FRAME_DRAIN, 0, 0, 0};
    assert_int_equal(write(fds[1], &forged, sizeof forged), sizeof forged);
    for (int i = 0; i < 100 && !victim.closed; i++)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(victim.closed, 1);
    assert_int_equal(victim.frames, 0);
    close(fds[1]);
}

static void death_of_the_peer_is_told_once(void **state)
{
    struct bed *b = *state;
    link_close(b->scan.link);
    b->scan.link = NULL;
    for (int i = 0; i < 100 && !b->door.closed; i++)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(b->door.closed, 1);
}

static void draining_loses_no_request(void **state)
{
    struct bed *b = *state;
    int null = open("/dev/null", O_RDONLY);
    for (uint64_t tag = 1; tag <= 5; tag++)
        assert_int_equal(link_send(b->door.link, FRAME_SCAN_REQUEST, tag, SPAN("x"), null), 0);
    link_drain(b->scan.link);
    assert_int_equal(link_send(b->door.link, FRAME_SCAN_REQUEST, 6, SPAN("x"), null), -1);
    for (int i = 0; i < 100 && !b->scan.drained; i++)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(b->scan.drained, 1);
    assert_int_equal(b->scan.frames, 5);
    assert_int_equal(b->door.closed, 0);
    assert_int_equal(link_send(b->scan.link, FRAME_SCAN_RESULT, 5, SPAN("late answer"), -1), 0);
    run_until(b, &b->door.frames, 1);
    close(null);
}

/* Answers may take long: until then the link stands, and its end is still told. */
static void a_drained_link_stands_until_the_peer_goes(void **state)
{
    struct bed *b = *state;
    link_drain(b->scan.link);
    for (int i = 0; i < 100 && !b->scan.drained; i++)
        uv_run(&b->loop, UV_RUN_ONCE);
    for (int i = 0; i < 100; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_int_equal(b->scan.closed, 0);
    assert_int_equal(b->door.closed, 0);
    assert_int_equal(link_send(b->scan.link, FRAME_SCAN_RESULT, 1, SPAN("at last"), -1), 0);
    run_until(b, &b->door.frames, 1);
    link_close(b->door.link);
    b->door.link = NULL;
    for (int i = 0; i < 100 && !b->scan.closed; i++)
        uv_run(&b->loop, UV_RUN_ONCE);
    assert_int_equal(b->scan.closed, 1);
}

/* Counts frames until the other end closes. */
static int count_frames(int fd)
{
    static char packet[LINK_INLINE_MAX + 64];
    int n = 0;
    while (recv(fd, packet, sizeof packet, 0) > 0)
        n++;
    return n;
}

static void what_waits_for_room_leaves_before_the_end(void **state)
{
    struct bed *b = *state;
    enum { FRAMES = 20 };
    char *bytes = calloc(1, LINK_INLINE_MAX);
    int fds[2], status = -1;
    struct end scan = {0};
    assert_int_equal(link_pair(fds), 0);
    scan.link = link_open(&b->loop, fds[0], ROLE_SCAN, ROLE_DOOR, &events, &scan);
    for (uint64_t i = 0; i < FRAMES; i++)
        assert_int_equal(
            link_send(scan.link, FRAME_SCAN_RESULT, i, span_of(bytes, LINK_INLINE_MAX), -1), 0);
    pid_t reader = fork();
    if (reader == 0) {
        close(fds[0]);
        _exit(count_frames(fds[1]));
    }
    link_close(scan.link);
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(WEXITSTATUS(status), FRAMES);
    close(fds[1]);
    free(bytes);
}

static void a_process_without_loop_can_post_and_fetch(void **state)
{
    struct bed *b = *state;
    int fds[2], null = open("/dev/null", O_RDONLY);
    struct end child = {0};
    assert_int_equal(link_pair(fds), 0);
    child.link = link_open(&b->loop, fds[1], ROLE_DOOR, ROLE_SUPERVISOR, &events, &child);
    assert_int_equal(link_post(fds[0], ROLE_SUPERVISOR, ROLE_DOOR, FRAME_LINK, SPAN("\x04"), null),
                     0);
    run_until(b, &child.frames, 1);
    assert_int_equal(child.with_fd, 1);
    assert_int_equal(link_fetch(fds[0], ROLE_SUPERVISOR, ROLE_DOOR), 0);
    assert_int_equal(link_send(child.link, FRAME_READY, 0, SPAN(""), -1), 0);
    assert_int_equal(link_fetch(fds[0], ROLE_SUPERVISOR, ROLE_DOOR), FRAME_READY);
    link_close(child.link);
    assert_int_equal(link_fetch(fds[0], ROLE_SUPERVISOR, ROLE_DOOR), -1);
    close(fds[0]);
    close(null);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, bed_open, bed_close)
    const struct CMUnitTest tests[] = {
        CASE(small_and_large_frames_arrive_whole),
        CASE(a_full_socket_queues_and_keeps_order),
        CASE(frames_against_the_table_are_not_sent),
        CASE(a_forbidden_frame_closes_the_link),
        CASE(death_of_the_peer_is_told_once),
        CASE(draining_loses_no_request),
        CASE(a_drained_link_stands_until_the_peer_goes),
        CASE(what_waits_for_room_leaves_before_the_end),
        CASE(a_process_without_loop_can_post_and_fetch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
