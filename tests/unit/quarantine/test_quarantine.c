#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "quarantine/quarantine_private.h"

#define ID1 "3K7F0Q2M8TZC0001"
#define ID2 "3K7F0Q2M8TZC0002"
#define RAW "From: a@b\r\n\r\n\xff\x00 bytes\r\n"
static const usec arrival = (usec)1795332600 * USEC_PER_SEC; /* 2026-11-22T07:30:00Z */
static const usec month = (usec)30 * 86400 * USEC_PER_SEC;

static char dir[64];
static struct arena *arena;
static struct quarantine *q;
static struct err err;

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/gatehouse-quarantine-XXXXXX");
    assert_non_null(mkdtemp(dir));
    log_open("/dev/null", LOG_TEXT, LOG_FAULT);
    arena = arena_new(0);
    q = quarantine_open(dir, month, &err);
    return q ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    quarantine_close(q);
    arena_free(arena);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static bool there(const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/quarantine/2026-11-22/%s", dir, name);
    return access(path, F_OK) == 0;
}

static int message_fd(const char *bytes, size_t n)
{
    int fd = memfd_create("m", 0);
    assert_int_equal(write(fd, bytes, n), n);
    return fd;
}

#define CONST(lit)                                                                                 \
    {                                                                                              \
        "" lit, sizeof(lit) - 1                                                                    \
    }
static const struct rcpt three[] = {{.addr = CONST("bob@example.org")},
                                    {.addr = CONST("eve@example.org"),
                                     .orcpt = CONST("rfc822;eve@example.com"),
                                     .notify = NOTIFY_FAILURE | NOTIFY_DELAY},
                                    {.addr = CONST("\xff@example.net")}};
static const struct envelope env = {.from = CONST("ann@sender.example"),
                                    .rcpts = (struct rcpt *)(uintptr_t)three,
                                    .nrcpts = 3,
                                    .envid = CONST("env\x01\"1"),
                                    .ret = RET_HDRS,
                                    .body_8bit = true};

static const struct peer nobody;

static int hold(const char *id, const uint32_t *rcpts, size_t n, const char *reason)
{
    struct peer peer = {.has_ip = true, .helo = SPAN("h\xe4lo"), .tls_version = SPAN("TLSv1.3")};
    ip_parse(SPAN("2001:db8::1"), &peer.ip);
    struct quarantine_hold h = {.id = id,
                                .received = arrival,
                                .peer = &peer,
                                .env = &env,
                                .rcpts = rcpts,
                                .nrcpts = n,
                                .policy = SPAN("default"),
                                .reason = span_str(reason),
                                .detail = SPAN("score 9.0 >= 5.0"),
                                .score = 9.039,
                                .subject = SPAN("Gr\xc3\xbc\xc3\x9f"
                                                "e"),
                                .header_from = SPAN("Ann <ann@sender.example>"),
                                .sign = span_of("a\0b", 3)};
    int fd = message_fd(RAW, sizeof RAW - 1);
    int result = quarantine_hold(q, &h, fd, &err);
    close(fd);
    return result;
}

static struct quarantine_item item(const char *id, int *fd)
{
    struct quarantine_item x;
    struct quarantine_reader *r = quarantine_read_open(dir, &err);
    assert_non_null(r);
    if (quarantine_read_item(r, span_str(id), arena, &x, fd, &err))
        fail_msg("%s", err.text);
    quarantine_read_close(r);
    return x;
}

static void expect_raw(int fd)
{
    char bytes[100];
    assert_int_equal(read(fd, bytes, sizeof bytes), sizeof RAW - 1);
    assert_memory_equal(bytes, RAW, sizeof RAW - 1);
    close(fd);
}

static void held_as_it_came(void **state)
{
    (void)state;
    assert_int_equal(hold(ID1, NULL, 0, "spam"), 0);
    assert_true(there(ID1 ".eml") && there(ID1 ".json") && !there(ID1 ".json.tmp"));
    int fd;
    struct quarantine_item x = item(ID1, &fd);
    expect_raw(fd);
    assert_int_equal(x.received, arrival);
    assert_int_equal(x.size, sizeof RAW - 1);
    assert_true(x.score == 9.039);
    assert_true(x.expires - x.held == month);
    assert_true(span_eq(x.peer.helo, SPAN("h\xe4lo")) && !ip_is4(&x.peer.ip));
    assert_null(x.peer.name.p);
    assert_true(span_eq(x.env.envid, env.envid) && x.env.ret == RET_HDRS && x.env.body_8bit);
    assert_int_equal(x.nrcpts, 3);
    assert_true(span_eq(x.env.rcpts[1].orcpt, three[1].orcpt));
    assert_int_equal(x.env.rcpts[1].notify, three[1].notify);
    assert_true(span_eq(x.rcpts[2].rcpt.addr, SPAN("\xff@example.net")));
    assert_true(span_eq(x.rcpts[0].reason, SPAN("spam")) && x.rcpts[0].state == QUARANTINE_HELD);
    assert_int_equal(hold("../../etc/passwd", NULL, 0, "spam"), -1);
}

static int release(const char *id, const char *to, struct quarantine_release *rel)
{
    struct span one = span_str(to);
    return quarantine_release_begin(q, span_str(id), &one, to ? 1 : 0, SPAN("root"), arena, rel,
                                    &err);
}

static void released_once_for_each(void **state)
{
    (void)state;
    struct quarantine_release rel;
    hold(ID1, NULL, 0, "spam");
    assert_int_equal(release(ID1, "nobody@example.org", &rel), -1);
    assert_string_equal(err.text, ID1 ": nobody@example.org is not among its recipients");
    assert_int_equal(release(ID1, "EVE@example.org", &rel), 0);
    assert_int_equal(rel.env.nrcpts, 1);
    assert_true(span_eq(rel.env.rcpts[0].addr, SPAN("eve@example.org")));
    assert_true(span_eq(rel.env.from, SPAN("ann@sender.example")));
    assert_true(span_eq(rel.sign, span_of("a\0b", 3)));
    int copy = dup(rel.fd);
    expect_raw(copy);
    assert_int_equal(quarantine_release_commit(q, &rel, &err), 0);
    assert_int_equal(release(ID1, "eve@example.org", &rel), -1);
    assert_non_null(strstr(err.text, "already released to eve@example.org on 20"));
    assert_non_null(strstr(err.text, "by root"));
    /* All that still wait: the other two. Not released when the queue did not take it. */
    assert_int_equal(release(ID1, NULL, &rel), 0);
    assert_int_equal(rel.env.nrcpts, 2);
    quarantine_release_abort(q, &rel);
    assert_int_equal(release(ID1, NULL, &rel), 0);
    assert_int_equal(quarantine_release_commit(q, &rel, &err), 0);
    assert_int_equal(release(ID1, NULL, &rel), -1);
    struct quarantine_item x = item(ID1, NULL);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(x.rcpts[i].state, QUARANTINE_RELEASED);
    assert_int_equal(release(ID2, NULL, &rel), -1);
    assert_string_equal(err.text, ID2 " is not in the quarantine");
    assert_int_equal(release("x", NULL, &rel), -1);
}

static void held_again_joins(void **state)
{
    (void)state;
    struct quarantine_release rel;
    const uint32_t first[] = {0}, second[] = {0, 2};
    hold(ID1, first, 1, "spam");
    assert_int_equal(release(ID1, NULL, &rel), 0);
    assert_int_equal(quarantine_release_commit(q, &rel, &err), 0);
    assert_int_equal(hold(ID1, second, 2, "undeliverable"), 0);
    struct quarantine_item x = item(ID1, NULL);
    assert_int_equal(x.nrcpts, 2);
    assert_int_equal(item_count(&x, QUARANTINE_HELD), 2);
    assert_true(span_eq(x.rcpts[0].reason, SPAN("undeliverable")));
    assert_true(span_eq(x.rcpts[1].rcpt.addr, three[2].addr));
}

static bool count_row(void *ctx, const struct quarantine_item *x)
{
    char *ids = ctx;
    size_t n = strlen(ids);
    memcpy(ids + n, x->id + 15, 2);
    return true;
}

static void expect_list(struct quarantine_filter f, const char *want)
{
    char ids[100] = "";
    struct quarantine_reader *r = quarantine_read_open(dir, &err);
    assert_non_null(r);
    if (quarantine_read_list(r, &f, count_row, ids, &err))
        fail_msg("%s", err.text);
    quarantine_read_close(r);
    assert_string_equal(ids, want);
}

static void lists(void **state)
{
    (void)state;
    const uint32_t bob[] = {0}, eve[] = {1};
    hold(ID1, bob, 1, "spam");
    hold(ID2, eve, 1, "virus");
    expect_list((struct quarantine_filter){.limit = 0}, "12");
    expect_list((struct quarantine_filter){.limit = 1}, "2");
    expect_list((struct quarantine_filter){.id = SPAN(ID1)}, "1");
    expect_list((struct quarantine_filter){.recipient = SPAN("bob@example.org")}, "1");
    expect_list((struct quarantine_filter){.recipient = SPAN("@example.org")}, "12");
    expect_list((struct quarantine_filter){.recipient = SPAN("x*")}, "");
    expect_list((struct quarantine_filter){.sender = SPAN("@sender.example")}, "12");
    expect_list((struct quarantine_filter){.reason = SPAN("virus")}, "2");
    expect_list((struct quarantine_filter){.policy = SPAN("other")}, "");
    expect_list((struct quarantine_filter){.text = SPAN("ANN@sender")}, "12");
    expect_list((struct quarantine_filter){.text = SPAN("bob")}, "");
    expect_list((struct quarantine_filter){.from = arrival + 1}, "");
    expect_list((struct quarantine_filter){.from = arrival, .to = arrival + 1}, "12");
    assert_int_equal(quarantine_delete(q, SPAN(ID1), SPAN("root"), &err), 0);
    expect_list((struct quarantine_filter){.limit = 0}, "2");
    expect_list((struct quarantine_filter){.all = true}, "12");
}

static void deleted_says_by_whom(void **state)
{
    (void)state;
    struct quarantine_release rel;
    hold(ID1, NULL, 0, "spam");
    assert_int_equal(quarantine_delete(q, SPAN(ID1), SPAN("anna"), &err), 0);
    assert_false(there(ID1 ".eml"));
    int fd;
    struct quarantine_item x = item(ID1, &fd);
    assert_int_equal(fd, -1);
    assert_true(span_eq(x.rcpts[1].by, SPAN("anna")));
    assert_int_equal(release(ID1, NULL, &rel), -1);
    assert_non_null(strstr(err.text, "already deleted for "));
    assert_int_equal(quarantine_delete(q, SPAN(ID1), SPAN("anna"), &err), -1);
}

static void count_gone(void *ctx, const char *id)
{
    (void)id;
    ++*(int *)ctx;
}

static void expires(void **state)
{
    (void)state;
    int gone = 0;
    hold(ID1, NULL, 0, "spam");
    assert_int_equal(quarantine_expire(q, clock_wall(), count_gone, &gone), 0);
    assert_int_equal(quarantine_expire(q, clock_wall() + month + 1, count_gone, &gone), 1);
    assert_int_equal(gone, 1);
    assert_false(there(ID1 ".eml") || there(ID1 ".json"));
    expect_list((struct quarantine_filter){.all = true}, "");
}

static void one_writer(void **state)
{
    (void)state;
    struct err e;
    assert_null(quarantine_open(dir, month, &e));
    assert_int_equal(e.sys, EWOULDBLOCK);
}

static void reopen(void)
{
    quarantine_close(q);
    q = quarantine_open(dir, month, &err);
    assert_non_null(q);
}

static void the_index_is_made_anew(void **state)
{
    (void)state;
    char path[200];
    struct quarantine_release rel;
    hold(ID1, NULL, 0, "spam");
    hold(ID2, NULL, 0, "spam");
    assert_int_equal(release(ID1, NULL, &rel), 0);
    assert_int_equal(quarantine_release_commit(q, &rel, &err), 0);
    quarantine_close(q);
    snprintf(path, sizeof path, "%s/quarantine.db", dir);
    assert_int_equal(unlink(path), 0);
    q = quarantine_open(dir, month, &err);
    expect_list((struct quarantine_filter){.limit = 0}, "2");
    expect_list((struct quarantine_filter){.all = true}, "12");
    assert_int_equal(release(ID1, NULL, &rel), -1);
    /* Damaged instead of lost. */
    quarantine_close(q);
    int fd = open(path, O_WRONLY);
    assert_int_equal(write(fd, "no database, no database", 24), 24);
    close(fd);
    q = quarantine_open(dir, month, &err);
    expect_list((struct quarantine_filter){.all = true}, "12");
    /* Files gone behind its back. */
    snprintf(path, sizeof path, "%s/quarantine/2026-11-22/" ID2 ".json", dir);
    unlink(path);
    reopen();
    expect_list((struct quarantine_filter){.all = true}, "1");
    assert_false(there(ID2 ".eml"));
}

static void what_a_crash_leaves_is_swept(void **state)
{
    (void)state;
    char path[200];
    hold(ID1, NULL, 0, "spam");
    static const char *const left[] = {ID1 ".json.tmp", ID2 ".eml.tmp", ID2 ".eml"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/quarantine/2026-11-22/%s", dir, left[i]);
        close(open(path, O_WRONLY | O_CREAT, 0600));
    }
    reopen();
    for (size_t i = 0; i < 3; i++)
        assert_false(there(left[i]));
    assert_true(there(ID1 ".eml") && there(ID1 ".json"));
    struct quarantine_release rel;
    assert_int_equal(release(ID1, NULL, &rel), 0);
    quarantine_release_abort(q, &rel);
}

static void damaged_sidecars_are_told(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "{}",
                                      "[]",
                                      "{\"form\":1,\"id\":\"x\"}",
                                      "{\"form\":2,\"id\":\"" ID1 "\"}",
                                      "{\"form\":1,\"id\":\"" ID1 "\",\"recipients\":[{}]}",
                                      "{\"form\":1,\"id\":\"" ID1
                                      "\",\"recipients\":[{\"addr\":\"a\",\"state\":\"odd\"}]}",
                                      "{\"form\":1,\"id\":\"" ID1 "\",\"form\":1}"};
    struct quarantine_item x;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (sidecar_decode(span_str(bad[i]), arena, &x, &err) == 0)
            fail_msg("%s was taken", bad[i]);
    assert_int_equal(
        sidecar_decode(SPAN("{\"form\":1,\"id\":\"" ID1 "\",\"envelope\":{\"from\":{\"hex\":\"ff"
                            "40\"}},\"recipients\":[{\"addr\":\"a\",\"state\":\"held\"}]}"),
                       arena, &x, &err),
        0);
    assert_true(span_eq(x.env.from, SPAN("\xff@")));
}

static void no_room_holds_nothing(void **state)
{
    (void)state;
    struct quarantine_hold h = {.id = ID1, .received = arrival, .env = &env, .peer = &nobody};
    assert_int_equal(quarantine_hold(q, &h, -1, &err), -1); /* the message can't be read */
    assert_false(there(ID1 ".eml") || there(ID1 ".eml.tmp") || there(ID1 ".json"));
    expect_list((struct quarantine_filter){.all = true}, "");
}

struct loop_test {
    int done, failed;
};

static void on_held(void *ctx, int result, const struct err *e)
{
    struct loop_test *t = ctx;
    (void)e;
    t->done++;
    t->failed += result != 0;
}

static void many_beside_the_loop(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct loop_test t = {0};
    int fd = message_fd(RAW, sizeof RAW - 1);
    char id[ID_SIZE];
    /* Every id twice: the second joins the first, whichever thread comes first. */
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "3K7F0Q2M8TZC%04d", i / 2);
        uint32_t which = (uint32_t)i % 2;
        struct quarantine_hold h = {.id = id,
                                    .received = arrival,
                                    .env = &env,
                                    .rcpts = &which,
                                    .nrcpts = 1,
                                    .peer = &nobody};
        quarantine_hold_async(q, &loop, &h, fd, on_held, &t);
    }
    close(fd);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    assert_int_equal(t.done, 40);
    assert_int_equal(t.failed, 0);
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "3K7F0Q2M8TZC%04d", i);
        assert_int_equal(item(id, NULL).nrcpts, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(held_as_it_came, setup, teardown),
        cmocka_unit_test_setup_teardown(released_once_for_each, setup, teardown),
        cmocka_unit_test_setup_teardown(held_again_joins, setup, teardown),
        cmocka_unit_test_setup_teardown(lists, setup, teardown),
        cmocka_unit_test_setup_teardown(deleted_says_by_whom, setup, teardown),
        cmocka_unit_test_setup_teardown(expires, setup, teardown),
        cmocka_unit_test_setup_teardown(one_writer, setup, teardown),
        cmocka_unit_test_setup_teardown(the_index_is_made_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_crash_leaves_is_swept, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_sidecars_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(no_room_holds_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(many_beside_the_loop, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
