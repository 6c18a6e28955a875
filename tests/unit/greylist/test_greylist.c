#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

#include "greylist/greylist.h"

static char dir[64];
static struct kv *kv;

static int setup(void **state)
{
    char path[80];
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/gatehouse-wall-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/wall.mdb", dir);
    log_open("/dev/null", LOG_TEXT, LOG_FAULT);
    kv = kv_open(path, 4 << 20);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    kv_close(kv);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const usec minute = 60 * USEC_PER_SEC, start = 1700000000 * USEC_PER_SEC;
static struct greylist_settings set;

static void defaults(void)
{
    set = (struct greylist_settings){.delay = 5 * minute,
                                     .retry_window = 600 * minute,
                                     .pass_time = 10000 * minute,
                                     .auto_pass = 3,
                                     .spf = true,
                                     .ipv4_bits = 24,
                                     .ipv6_bits = 64};
}

static struct grey_result ask_spf(const char *ip, const char *from, const char *to, const char *spf,
                                  usec at)
{
    struct grey_query q = {.sender = span_str(from),
                           .rcpt = span_str(to),
                           .helo = SPAN("h"),
                           .spf_domain = span_str(spf)};
    assert_true(ip_parse(span_str(ip), &q.ip));
    return greylist_ask(kv, &set, &q, start + at);
}

static const char *ask(const char *ip, const char *from, const char *to, usec at)
{
    return grey_answer_name(ask_spf(ip, from, to, NULL, at).answer);
}

static void who_comes_again_passes(void **state)
{
    (void)state;
    defaults();
    assert_string_equal(ask("192.0.2.1", "a@x.example", "b@y.example", 0), "first");
    struct grey_result r = ask_spf("192.0.2.1", "a@x.example", "b@y.example", NULL, minute);
    assert_true(r.answer == GREY_EARLY && r.wait == 4 * minute);
    r = ask_spf("192.0.2.99", "A@X.example", "B@y.example", NULL, 5 * minute);
    assert_true(r.answer == GREY_AGAIN && r.waited == 5 * minute);
    assert_string_equal(ask("192.0.2.1", "a@x.example", "b@y.example", 6 * minute), "known");
    assert_string_equal(ask("192.0.2.1", "a@x.example", "c@y.example", 6 * minute), "first");
    assert_string_equal(ask("192.0.3.1", "a@x.example", "b@y.example", 6 * minute), "first");
    assert_string_equal(ask("192.0.2.1", "", "b@y.example", 6 * minute), "first");
    /* Each mail moves the end; without mail it comes. */
    assert_string_equal(ask("192.0.2.1", "a@x.example", "b@y.example", 9000 * minute), "known");
    assert_string_equal(ask("192.0.2.1", "a@x.example", "b@y.example", 18000 * minute), "known");
    assert_string_equal(ask("192.0.2.1", "a@x.example", "b@y.example", 40000 * minute), "first");
}

static void too_late_begins_anew(void **state)
{
    (void)state;
    defaults();
    ask("192.0.2.1", "a@x.example", "b@y.example", 0);
    assert_string_equal(ask("192.0.2.1", "a@x.example", "b@y.example", 601 * minute), "first");
}

static void numbers_and_extensions_do_not_count(void **state)
{
    (void)state;
    defaults();
    ask("192.0.2.1", "list-bounces-4711@x.example", "b@y.example", 0);
    assert_string_equal(ask("192.0.2.1", "list-bounces-815@x.example", "b@y.example", 6 * minute),
                        "again");
    ask("192.0.2.1", "news+b=y@x.example", "b@y.example", 0);
    assert_string_equal(ask("192.0.2.1", "news+c=z@x.example", "b@y.example", 6 * minute), "again");
    ask("192.0.2.1", "+x@x1.example", "b@y.example", 0);
    assert_string_equal(ask("192.0.2.1", "+x@x2.example", "b@y.example", 6 * minute), "first");
}

/* BATV and SRS of other systems: a new tag every day. */
static void tags_do_not_count(void **state)
{
    static const char *const pairs[][2] = {
        {"prvs=0356a1b2c3=u@t1.example", "prvs=1357d4e5f6=u@t1.example"},
        {"prvs=0356a1b2c3=u@t2.example", "u@t2.example"},
        {"btv1==027f3a==u@t3.example", "btv1==03abcd==u@t3.example"},
        {"SRS0=AbCd=JL=one.test=u@t4.example", "SRS0=xYzW=JM=one.test=u@t4.example"},
        {"SRS1=AbCd=two.test==x=JL=one.test=u@t5.example",
         "SRS1=EfGh=two.test==x=JL=one.test=u@t5.example"},
    };
    (void)state;
    defaults();
    set.auto_pass = 0;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_string_equal(ask("198.51.100.1", pairs[i][0], "b@y.example", 0), "first");
        assert_string_equal(ask("198.51.100.1", pairs[i][1], "b@y.example", 6 * minute), "again");
    }
    /* Not tags: nothing but '@' may end them. */
    assert_string_equal(ask("198.51.100.1", "prvs=@t6.example", "b@y.example", 0), "first");
    assert_string_equal(ask("198.51.100.1", "prvs=x=@t6.example", "b@y.example", 6 * minute),
                        "first");
    assert_string_equal(ask("198.51.100.1", "SRS0=a=v@t7.example", "b@y.example", 0), "first");
    assert_string_equal(ask("198.51.100.1", "SRS0=b=v@t7.example", "b@y.example", 6 * minute),
                        "first");
}

static void proof_passes_for_all(void **state)
{
    (void)state;
    defaults();
    const char *const to[] = {"a@y.example", "b@y.example", "c@y.example"};
    for (int i = 0; i < 3; i++)
        ask("2001:db8::1", "s@x.example", to[i], 0);
    for (int i = 0; i < 3; i++)
        assert_string_equal(ask("2001:db8::2", "s@x.example", to[i], 6 * minute), "again");
    assert_string_equal(ask("2001:db8::3", "other@x.example", "d@y.example", 7 * minute), "proven");
    assert_string_equal(ask("2001:db8:0:1::3", "other@x.example", "d@y.example", 7 * minute),
                        "first");
    set.auto_pass = 0;
    assert_string_equal(ask("2001:db8::3", "other@x.example", "d@y.example", 7 * minute), "first");
}

static void spf_stands_for_the_network(void **state)
{
    (void)state;
    defaults();
    ask_spf("192.0.2.1", "a@pool.example", "b@y.example", "pool.example", 0);
    struct grey_result r =
        ask_spf("203.0.113.7", "a@pool.example", "b@y.example", "pool.example", 6 * minute);
    assert_int_equal(r.answer, GREY_AGAIN);
    set.spf = false;
    r = ask_spf("203.0.113.8", "a@pool.example", "b@y.example", "pool.example", 6 * minute);
    assert_int_equal(r.answer, GREY_FIRST);
}

static void helo_may_belong_to_it(void **state)
{
    (void)state;
    defaults();
    set.helo = true;
    struct grey_query q = {.sender = SPAN("a@x"), .rcpt = SPAN("b@y"), .helo = SPAN("one")};
    assert_true(ip_parse(SPAN("192.0.2.1"), &q.ip));
    greylist_ask(kv, &set, &q, start);
    q.helo = SPAN("two");
    assert_int_equal(greylist_ask(kv, &set, &q, start + 6 * minute).answer, GREY_FIRST);
}

static void parts_can_not_be_moved(void **state)
{
    (void)state;
    defaults();
    ask("192.0.2.1", "ab@x", "c@y", 0);
    assert_string_equal(ask("192.0.2.1", "a", "b@xc@y", 6 * minute), "first");
}

static void without_memory_everybody_passes(void **state)
{
    (void)state;
    defaults();
    kv_close(kv);
    kv = kv_open("/nonexistent/wall.mdb", 4 << 20);
    assert_string_equal(ask("192.0.2.1", "a@x", "c@y", 0), "blind");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_comes_again_passes),
        TEST(too_late_begins_anew),
        TEST(numbers_and_extensions_do_not_count),
        TEST(tags_do_not_count),
        TEST(proof_passes_for_all),
        TEST(spf_stands_for_the_network),
        TEST(helo_may_belong_to_it),
        TEST(parts_can_not_be_moved),
        TEST(without_memory_everybody_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
