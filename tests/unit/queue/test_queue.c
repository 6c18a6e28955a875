/* Storing, group commit, progress, getting room back, disks that are full. */
#include "help.h"

#include <signal.h>
#include <sys/resource.h>

#define ID "0000000000000001"

static struct rcpt two[] = {{.addr = {"a@example.org", 13}}, {.addr = {"b@example.net", 13}}};

static char *number_id(char out[QUEUE_ID_SIZE], unsigned n)
{
    snprintf(out, QUEUE_ID_SIZE, "%016u", n);
    return out;
}

static void finish_all(struct bench *b, struct queue_msg *m)
{
    uint32_t all[] = {0, 1};
    struct queue_change c = {.state = Q_DELIVERED, .last = 5, .tries = 1};
    queue_change(b->q, m, all, m->nrcpts, &c);
}

static void a_message_comes_back_as_it_went_in(void **state)
{
    (void)state;
    struct bench b;
    struct buf out = {0};
    bench_begin(&b);
    bench_open(&b);
    put(&b, message(ID, two, 2, SPAN("Subject: x\r\n\r\nbody\r\n")));
    assert_int_equal(b.last, QUEUE_OK);
    assert_int_equal(b.seen, 1);
    for (int round = 0; round < 2; round++) {
        struct queue_msg *m = queue_find(b.q, SPAN(ID));
        assert_non_null(m);
        assert_true(span_eq(text_of(&b, m, &out), SPAN("Subject: x\r\n\r\nbody\r\n")));
        struct arena *a = arena_new(0);
        struct queue_meta meta;
        struct span head;
        assert_int_equal(queue_fetch(b.q, m, a, 7, &meta, &head, NULL), 0);
        assert_true(span_eq(head, SPAN("Subject")));
        assert_true(span_eq(meta.env.rcpts[1].addr, SPAN("b@example.net")));
        assert_true(span_eq(meta.peer.helo, SPAN("client.example.org")));
        assert_int_equal(meta.data_crc, queue_crc(0, buf_span(&out)));
        arena_free(a);
        bench_close(&b);
        bench_open(&b);
    }
    buf_free(&out);
    bench_end(&b);
}

static void edits_are_applied_to_the_file(void **state)
{
    (void)state;
    struct bench b;
    struct buf out = {0};
    bench_begin(&b);
    bench_open(&b);
    int fd = memfd_create("m", MFD_CLOEXEC);
    assert_int_equal(write(fd, "Subject: x\n\nbody", 16), 16);
    struct splice edits[] = {{0, 0, SPAN("Received: y\n")}, {9, 1, SPAN("[SPAM] x")}};
    struct queue_new v = message(ID, two, 1, SPAN_NONE);
    v.fd = fd;
    v.fd_size = 16;
    v.edits = (struct splices){edits, 2, 2};
    put(&b, v);
    struct queue_msg *m = queue_find(b.q, SPAN(ID));
    assert_true(span_eq(text_of(&b, m, &out), SPAN("Received: y\nSubject: [SPAM] x\n\nbody")));
    /* A file that is shorter than it was said to be, and edits outside, are refused. */
    v.fd_size = 17;
    put(&b, v);
    assert_int_equal(b.last, QUEUE_FAILED);
    v.fd_size = 16;
    edits[1].at = 16;
    put(&b, v);
    assert_int_equal(b.last, QUEUE_FAILED);
    close(fd);
    buf_free(&out);
    bench_end(&b);
}

static void large_messages_get_segments_of_their_own(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    b.o.segment_size = 256 * 1024;
    bench_open(&b);
    const size_t size = 20 * 1000 * 1000 + 3;
    char *bytes = xmalloc(size), *back = xmalloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 7 + i / 1000);
    int fd = memfd_create("m", MFD_CLOEXEC);
    assert_int_equal(write(fd, bytes, size), size);
    struct queue_new v = message(ID, two, 1, SPAN_NONE);
    struct splice edit = {1000000, 0, SPAN("inserted")};
    v.fd = fd;
    v.fd_size = size;
    v.edits = (struct splices){&edit, 1, 1};
    put(&b, v);
    assert_int_equal(b.last, QUEUE_OK);
    bench_close(&b);
    bench_open(&b);
    struct queue_msg *m = queue_find(b.q, SPAN(ID));
    assert_int_equal(m->size, size + 8);
    assert_int_equal(queue_read(b.q, m, 1000008, back, size), size - 1000000);
    assert_memory_equal(back, bytes + 1000000, size - 1000000);
    close(fd);
    free(bytes);
    free(back);
    bench_end(&b);
}

static void one_commit_for_many(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    b.o.commit_delay = 20000;
    bench_open(&b);
    char id[QUEUE_ID_SIZE];
    for (unsigned i = 0; i < 200; i++) {
        struct queue_new v = message(number_id(id, i), two, 1, SPAN("x\r\n"));
        queue_put(b.q, &v, 1, NULL, on_put, &b);
    }
    while (b.answers < 200)
        uv_run(&b.loop, UV_RUN_ONCE);
    assert_int_equal(b.ok, 200);
    assert_int_equal(queue_numbers(b.q).stored, 200);
    assert_in_range(queue_numbers(b.q).commits, 1, 3);
    bench_end(&b);
}

static void progress_survives(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    bench_open(&b);
    put(&b, message(ID, two, 2, SPAN("x\r\n")));
    struct queue_msg *m = queue_find(b.q, SPAN(ID));
    uint32_t first = 0, second = 1;
    struct queue_change done = {.state = Q_DELIVERED, .last = 9, .tries = 1};
    struct queue_change later = {
        .state = Q_WAITING, .next = 900, .last = 9, .tries = 3, .reason = SPAN("450 busy")};
    queue_change(b.q, m, &first, 1, &done);
    queue_change(b.q, m, &second, 1, &later);
    bench_close(&b);
    bench_open(&b);
    m = queue_find(b.q, SPAN(ID));
    assert_int_equal(m->open, 1);
    assert_int_equal(m->rcpts[0].state, Q_DELIVERED);
    assert_int_equal(m->rcpts[1].next, 900);
    assert_int_equal(m->rcpts[1].tries, 3);
    assert_string_equal(m->rcpts[1].reason, "450 busy");
    queue_change(b.q, m, &second, 1, &done);
    assert_int_equal(b.gone, 1);
    bench_close(&b);
    bench_open(&b);
    assert_int_equal(b.found.messages, 0);
    bench_end(&b);
}

static void work_in_hand_keeps_a_message(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    bench_open(&b);
    put(&b, message(ID, two, 2, SPAN("x\r\n")));
    struct queue_msg *m = queue_find(b.q, SPAN(ID));
    m->in_work = 1;
    finish_all(&b, m);
    assert_int_equal(b.gone, 0);
    assert_ptr_equal(queue_find(b.q, SPAN(ID)), m);
    m->in_work = 0;
    queue_settle(b.q, m);
    assert_int_equal(b.gone, 1);
    bench_end(&b);
}

/* Much mail goes through while one message stays: its bytes move, the journal stays small. */
static void the_journal_does_not_grow(void **state)
{
    (void)state;
    struct bench b;
    struct buf body = {0}, out = {0};
    bench_begin(&b);
    b.o.segment_size = 128 * 1024;
    bench_open(&b);
    for (int i = 0; i < 800; i++)
        buf_str(&body, "0123456789\r\n");
    char id[QUEUE_ID_SIZE];
    put(&b, message(ID, two, 2, SPAN("stays\r\n")));
    uint32_t first = 0;
    struct queue_change done = {.state = Q_DELIVERED, .last = 9, .tries = 1};
    queue_change(b.q, queue_find(b.q, SPAN(ID)), &first, 1, &done);
    uint64_t most = 0;
    for (unsigned i = 2; i < 600; i++) {
        put(&b, message(number_id(id, i), two, 2, buf_span(&body)));
        finish_all(&b, queue_find(b.q, span_str(id)));
        uint64_t bytes = queue_numbers(b.q).journal_bytes;
        most = bytes > most ? bytes : most;
    }
    assert_in_range(most, 1, 8 * b.o.segment_size);
    for (int round = 0; round < 2; round++) {
        struct queue_msg *m = queue_find(b.q, SPAN(ID));
        assert_non_null(m);
        assert_int_equal(m->rcpts[0].state, Q_DELIVERED);
        assert_int_equal(m->rcpts[1].state, Q_WAITING);
        assert_true(span_eq(text_of(&b, m, &out), SPAN("stays\r\n")));
        bench_close(&b);
        bench_open(&b);
        assert_int_equal(b.found.messages, 1);
        assert_int_equal(b.found.damaged, 0);
    }
    buf_free(&body);
    buf_free(&out);
    bench_end(&b);
}

static void no_promise_without_room(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    b.o.minimum_free = (uint64_t)1 << 60;
    bench_open(&b);
    put(&b, message(ID, two, 2, SPAN("x\r\n")));
    assert_int_equal(b.last, QUEUE_FULL);
    assert_null(queue_find(b.q, SPAN(ID)));
    bench_close(&b);
    b.o.minimum_free = 0;
    bench_open(&b);
    assert_int_equal(b.found.messages, 0);
    put(&b, message(ID, two, 2, SPAN("x\r\n")));
    assert_int_equal(b.last, QUEUE_OK);
    bench_end(&b);
}

/* Writing fails for a while: stores are refused, progress waits in memory and is written when there
 * is room again, and nothing that was refused comes back. */
static void a_failed_write_leaves_nothing(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    b.o.segment_size = 64 * 1024;
    bench_open(&b);
    put(&b, message(ID, two, 2, SPAN("x\r\n")));
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, small = {100 * 1024, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    char *big = xcalloc(1, 500 * 1024);
    put(&b, message("0000000000000002", two, 2, span_of(big, 500 * 1024)));
    assert_int_not_equal(b.last, QUEUE_OK);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){10, old.rlim_max});
    uint32_t first = 0;
    struct queue_change done = {.state = Q_DELIVERED, .last = 9, .tries = 1};
    queue_change(b.q, queue_find(b.q, SPAN(ID)), &first, 1, &done);
    put(&b, message("0000000000000003", two, 2, SPAN("y\r\n")));
    assert_int_not_equal(b.last, QUEUE_OK);
    assert_true(queue_writable(b.q)); /* what is there goes out ... */
    char *long_reason = xcalloc(1, 64 * 1024);
    memset(long_reason, 'x', 64 * 1024 - 1);
    for (int i = 0; i < 140; i++) {
        done.reason = span_str(long_reason);
        queue_change(b.q, queue_find(b.q, SPAN(ID)), &first, 1, &done);
    }
    while (queue_writable(b.q)) /* ... until too much is only known in memory */
        uv_run(&b.loop, UV_RUN_ONCE);
    free(long_reason);
    setrlimit(RLIMIT_FSIZE, &old);
    put(&b, message("0000000000000004", two, 2, SPAN("z\r\n")));
    assert_int_equal(b.last, QUEUE_OK);
    flush(&b);
    assert_true(queue_writable(b.q));
    bench_close(&b);
    bench_open(&b);
    assert_int_equal(b.found.messages, 2);
    assert_int_equal(b.found.damaged, 0);
    assert_int_equal(queue_find(b.q, SPAN(ID))->rcpts[0].state, Q_DELIVERED);
    assert_non_null(queue_find(b.q, SPAN("0000000000000004")));
    free(big);
    bench_end(&b);
}

/* A message that is sent again because the spool died before it answered: never refused, and
 * neither copy takes the other's place. */
static void the_same_id_again(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    bench_open(&b);
    put(&b, message(ID, two, 2, SPAN("x\r\n")));
    put(&b, message(ID, two, 2, SPAN("x\r\n")));
    put(&b, message(ID, two, 1, SPAN("x\r\n")));
    assert_int_equal(b.ok, 3);
    uint32_t all[] = {0, 1};
    struct queue_change done = {.state = Q_DELIVERED};
    queue_change(b.q, queue_find(b.q, SPAN(ID)), all, 2, &done);
    bench_close(&b);
    bench_open(&b);
    assert_int_equal(b.found.messages, 2);
    assert_null(queue_find(b.q, SPAN(ID)));
    assert_int_equal(queue_find(b.q, SPAN(ID ".1"))->open, 2);
    assert_int_equal(queue_find(b.q, SPAN(ID ".2"))->open, 1);
    bench_end(&b);
}

static void one_owner_many_readers(void **state)
{
    (void)state;
    struct bench b, other;
    bench_begin(&b);
    bench_open(&b);
    put(&b, message(ID, two, 2, SPAN("x\r\n")));
    struct err e;
    struct queue_events ev = {on_message, NULL};
    assert_null(queue_open(&b.loop, b.dir, &b.o, &ev, &b, NULL, &e));
    assert_int_equal(e.sys, EWOULDBLOCK);
    memset(&other, 0, sizeof other);
    struct queue_options look = {.read_only = true};
    other.q = queue_open(NULL, b.dir, &look, &ev, &other, &other.found, &e);
    assert_non_null(other.q);
    assert_int_equal(other.found.messages, 1);
    assert_int_equal(other.found.damaged, 0);
    queue_close(other.q);
    put(&b, message("0000000000000002", two, 2, SPAN("x\r\n")));
    assert_int_equal(b.last, QUEUE_OK);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_back_as_it_went_in),
        cmocka_unit_test(edits_are_applied_to_the_file),
        cmocka_unit_test(large_messages_get_segments_of_their_own),
        cmocka_unit_test(one_commit_for_many),
        cmocka_unit_test(progress_survives),
        cmocka_unit_test(work_in_hand_keeps_a_message),
        cmocka_unit_test(the_journal_does_not_grow),
        cmocka_unit_test(no_promise_without_room),
        cmocka_unit_test(a_failed_write_leaves_nothing),
        cmocka_unit_test(the_same_id_again),
        cmocka_unit_test(one_owner_many_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
