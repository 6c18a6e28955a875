#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/log.h"
#include "lists/lists.h"

/* The DNS of these tests: records that libunbound answers itself. A name with nothing but a TXT
 * record is not listed; for all others the one server is asked, which nobody runs. */
static const char *records[] = {
    "1.2.0.192.bad.example A 127.0.0.4",     "1.2.0.192.good.example A 127.0.5.3",
    "1.2.0.192.worse.example A 127.0.0.2",   "2.0.0.127.bad.example A 127.0.0.2",
    "2.0.0.127.good.example A 127.0.0.2",    "2.0.0.127.worse.example A 127.0.0.2",
    "2.0.0.127.all.example A 127.0.0.2",     "1.0.0.127.all.example A 127.0.0.2",
    "1.2.0.192.all.example A 127.0.0.2",     "1.2.0.192.refuses.example A 127.255.255.254",
    "1.2.0.192.parked.example A 192.0.2.80", "spam.example.dbl.example A 127.0.1.2",
    "test.dbl.example A 127.0.1.2",          "1.0.0.127.bad.example TXT none",
    "1.0.0.127.good.example TXT none",       "1.0.0.127.worse.example TXT none",
    "2.2.0.192.bad.example TXT none",        "2.2.0.192.good.example TXT none",
    "99.2.0.192.bad.example TXT none",       "99.2.0.192.all.example TXT none",
    "99.2.0.192.dead.example TXT none",      "2.0.0.127.dead.example TXT none",
    "1.0.0.127.dead.example TXT none",       "1.2.0.192.dead.example TXT none",
    "invalid.dbl.example TXT none",
};
static const char *servers[] = {"127.0.0.1@9"};
static struct dns_settings dns_set = {.timeout = 300000};
static struct wall_settings set;
static uv_loop_t loop;
static struct dns *dns;
static struct lists *lists;
static struct list_result got;
static int answers;

static void open_lists(const char **v, size_t n, const char **domains, size_t ndomains)
{
    log_open("/dev/null", LOG_TEXT, LOG_FAULT);
    uv_loop_init(&loop);
    dns_set.servers = (struct strings){servers, 1};
    dns_set.local_data = (struct strings){records, sizeof records / sizeof *records};
    set = (struct wall_settings){.reject_score = 3,
                                 .allow_score = -2,
                                 .list_timeout = 5 * USEC_PER_SEC,
                                 .list_test = 3600 * USEC_PER_SEC};
    set.dns_lists = (struct strings){v, n};
    set.sender_lists = (struct strings){domains, ndomains};
    dns = dns_new(&loop, &dns_set);
    lists = lists_new(&loop, dns, &set);
    answers = 0;
}

static void close_lists(void)
{
    lists_free(lists);
    dns_free(dns);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void keep(void *ctx, const struct list_result *r)
{
    (void)ctx;
    got = *r;
    answers++;
}

static void stop(uv_timer_t *t)
{
    (void)t;
    fail_msg("no answer");
}

static void give_back(uv_handle_t *h)
{
    free(h);
}

static void wait_for_answers(int n)
{
    uv_timer_t *late = malloc(sizeof *late);
    uv_timer_init(&loop, late);
    uv_timer_start(late, stop, 60000, 0);
    while (answers < n)
        uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)late, give_back);
}

static void ask(const char *ip)
{
    struct ip a;
    assert_true(ip_parse(span_str(ip), &a));
    int wanted = answers + 1;
    lists_ask_client(lists, &a, keep, NULL);
    wait_for_answers(wanted);
}

static bool usable(size_t i)
{
    struct list_state s;
    assert_true(lists_state(lists, i, &s));
    return s.usable;
}

static void run_test_of_lists(void)
{
    lists_tick(lists, clock_mono());
    struct ip a;
    ip_parse(SPAN("192.0.2.99"), &a);
    for (int i = 0; i < 3; i++) /* questions behind the test's own: they have come back by then */
        ask("192.0.2.99");
}

static void weights_add_up(void **state)
{
    (void)state;
    const char *v[] = {"bad.example=127.0.0.[2..11]*2", "bad.example=127.0.0.4*0.5",
                       "good.example=127.0.[0..255].[1..3]*-1", "bad.example=127.0.0.9*7"};
    open_lists(v, 4, NULL, 0);
    ask("192.0.2.1");
    assert_true(got.score == 1.5);
    assert_int_equal(got.nhits, 3);
    assert_int_equal(got.asked, 2); /* one question a zone */
    ask("192.0.2.2");
    assert_true(got.score == 0 && got.nhits == 0 && got.silent == 0);
    close_lists();
}

static void who_is_refused_anyway_does_not_wait(void **state)
{
    (void)state;
    const char *v[] = {"worse.example*10", "silent.example*1"};
    open_lists(v, 2, NULL, 0);
    ask("192.0.2.1");
    assert_true(got.score == 10 && got.silent == 0);
    close_lists();
    v[1] = "silent.example*-8"; /* this one could still save it */
    open_lists(v, 2, NULL, 0);
    ask("192.0.2.1");
    assert_true(got.score == 10 && got.silent == 1);
    close_lists();
}

static void errors_are_no_hits(void **state)
{
    (void)state;
    const char *v[] = {"refuses.example*10", "parked.example*10"};
    open_lists(v, 2, NULL, 0);
    ask("192.0.2.1");
    assert_true(got.score == 0 && got.nhits == 0);
    assert_false(usable(0));
    assert_false(usable(1));
    ask("192.0.2.1");
    assert_int_equal(got.asked, 0);
    close_lists();
}

static void broken_lists_are_found(void **state)
{
    (void)state;
    const char *v[] = {"bad.example", "all.example*10", "dead.example*10"};
    open_lists(v, 3, NULL, 0);
    run_test_of_lists();
    assert_true(usable(0));
    assert_false(usable(1));
    assert_false(usable(2));
    ask("192.0.2.1");
    assert_true(got.score == 1);
    close_lists();
}

static void silent_lists_are_left_alone(void **state)
{
    (void)state;
    const char *v[] = {"silent.example"};
    open_lists(v, 1, NULL, 0);
    for (int i = 0; i < LIST_SILENT_AFTER; i++) {
        assert_true(usable(0));
        ask("192.0.2.1");
        assert_int_equal(got.silent, 1);
    }
    assert_false(usable(0));
    close_lists();
}

static void domains_are_asked(void **state)
{
    (void)state;
    const char *v[] = {"dbl.example=127.0.1.[2..99]*4 test=test"};
    open_lists(NULL, 0, v, 1);
    assert_true(lists_any(lists, LIST_SENDERS) && !lists_any(lists, LIST_CLIENTS));
    lists_ask_domain(lists, LIST_SENDERS, SPAN("spam.example."), keep, NULL);
    wait_for_answers(1);
    assert_true(got.score == 4);
    lists_tick(lists, clock_mono());
    lists_ask_domain(lists, LIST_SENDERS, SPAN("a..b"), keep, NULL);
    wait_for_answers(2);
    assert_true(got.score == 0);
    assert_true(usable(0));
    close_lists();
}

static void cancelled_checks_are_silent(void **state)
{
    (void)state;
    const char *v[] = {"bad.example", "silent.example"};
    open_lists(v, 2, NULL, 0);
    struct ip a;
    assert_true(ip_parse(SPAN("192.0.2.1"), &a));
    lists_cancel(lists_ask_client(lists, &a, keep, NULL));
    lists_ask_client(lists, &a, keep, NULL); /* ended by lists_free */
    lists_tick(lists, clock_mono());
    close_lists();
    assert_int_equal(answers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_add_up),
        cmocka_unit_test(who_is_refused_anyway_does_not_wait),
        cmocka_unit_test(errors_are_no_hits),
        cmocka_unit_test(broken_lists_are_found),
        cmocka_unit_test(silent_lists_are_left_alone),
        cmocka_unit_test(domains_are_asked),
        cmocka_unit_test(cancelled_checks_are_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
