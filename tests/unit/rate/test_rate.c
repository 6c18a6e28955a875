#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

#include "rate/rate.h"

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

static const usec second = USEC_PER_SEC, start = 1700000000 * USEC_PER_SEC;
static const char *texts[8];
static struct rate_settings set;
static struct ip one, neighbour, other;

static struct rates *open_rates(size_t n)
{
    set.limits = (struct strings){texts, n};
    assert_true(ip_parse(SPAN("192.0.2.1"), &one) && ip_parse(SPAN("192.0.2.9"), &neighbour) &&
                ip_parse(SPAN("198.51.100.1"), &other));
    return rates_new(&set, kv);
}

static void buckets_leak(void **state)
{
    (void)state;
    texts[0] = "messages address 6/1m burst 3";
    struct rates *r = open_rates(1);
    struct rate_keys k = {.ip = &one};
    struct rate_over over;
    for (int i = 0; i < 3; i++)
        assert_true(rates_count(r, RATE_MESSAGES, &k, 1, start, &over));
    assert_false(rates_count(r, RATE_MESSAGES, &k, 1, start, &over));
    assert_string_equal(over.spec->name, "messages-address");
    assert_string_equal(over.whom, "192.0.2.1");
    assert_in_range(over.wait, 10 * second - 1000, 10 * second + 1000);
    assert_false(rates_room(r, RATE_MESSAGES, &k, 1, start, &over));
    assert_true(rates_room(r, RATE_MESSAGES, &k, 1, start + 10 * second, &over));
    assert_true(rates_count(r, RATE_MESSAGES, &k, 1, start + 10 * second, &over));
    assert_false(rates_count(r, RATE_MESSAGES, &k, 1, start + 10 * second, &over));
    k.ip = &other; /* somebody else */
    assert_true(rates_count(r, RATE_MESSAGES, &k, 3, start, &over));
    assert_true(rates_count(r, RATE_RECIPIENTS, &k, 1000, start, &over)); /* something else */
    rates_free(r);
}

static void restarts_forgive_nobody(void **state)
{
    (void)state;
    texts[0] = "recipients user 10/1h";
    struct rates *r = open_rates(1);
    struct rate_keys k = {.user = SPAN("Anna@example.org")};
    struct rate_over over;
    assert_true(rates_count(r, RATE_RECIPIENTS, &k, 10, start, &over));
    rates_free(r);
    r = open_rates(1);
    k.user = SPAN("anna@example.org");
    assert_false(rates_count(r, RATE_RECIPIENTS, &k, 1, start + 60 * second, &over));
    assert_true(rates_count(r, RATE_RECIPIENTS, &k, 1, start + 3600 * second, &over));
    rates_free(r);
}

static void each_limit_by_its_key(void **state)
{
    (void)state;
    texts[0] = "recipients network 2/1h";
    texts[1] = "recipients sender-domain 5/1h as domain";
    texts[2] = "recipients asn 3/1h";
    texts[3] = "recipients recipient 4/1h";
    struct rates *r = open_rates(4);
    struct rate_over over;
    struct rate_keys k = {.ip = &one};
    assert_true(rates_count(r, RATE_RECIPIENTS, &k, 2, start, &over));
    k.ip = &neighbour;
    assert_false(rates_count(r, RATE_RECIPIENTS, &k, 1, start, &over));
    assert_string_equal(over.whom, "192.0.2.0/24");
    k = (struct rate_keys){.sender = SPAN("a@X.example")};
    assert_true(rates_count(r, RATE_RECIPIENTS, &k, 5, start, &over));
    k.sender = SPAN("b@x.example");
    assert_false(rates_count(r, RATE_RECIPIENTS, &k, 1, start, &over));
    assert_string_equal(over.spec->name, "domain");
    k = (struct rate_keys){.asn = 64500};
    assert_true(rates_count(r, RATE_RECIPIENTS, &k, 3, start, &over));
    assert_false(rates_count(r, RATE_RECIPIENTS, &k, 1, start, &over));
    k = (struct rate_keys){.sender = SPAN("")}; /* the null sender has no domain */
    assert_true(rates_count(r, RATE_RECIPIENTS, &k, 1000, start, &over));
    rates_free(r);
}

static void delays_queue_up(void **state)
{
    (void)state;
    texts[0] = "messages address 60/1m burst 1 delay";
    struct rates *r = open_rates(1);
    struct rate_keys k = {.ip = &one};
    struct rate_over over;
    assert_true(rates_count(r, RATE_MESSAGES, &k, 1, start, &over));
    assert_false(rates_count(r, RATE_MESSAGES, &k, 1, start, &over));
    assert_in_range(over.wait, second - 1000, second + 1000);
    assert_false(rates_count(r, RATE_MESSAGES, &k, 1, start, &over));
    assert_in_range(over.wait, 2 * second - 1000, 2 * second + 1000);
    rates_free(r);
}

static void sessions_have_limits(void **state)
{
    (void)state;
    texts[0] = "sessions address 2";
    texts[1] = "sessions network 3";
    struct rates *r = open_rates(2);
    struct rate_keys k = {.ip = &one}, n = {.ip = &neighbour};
    struct rate_stay s[4] = {{{0}, 0}};
    struct rate_over over;
    assert_true(rates_enter(r, &k, -1, &s[0], &over) && rates_enter(r, &k, -1, &s[1], &over));
    assert_false(rates_enter(r, &k, -1, &s[2], &over));
    assert_string_equal(over.whom, "192.0.2.1");
    assert_int_equal(s[2].n, 0);
    assert_true(rates_enter(r, &n, -1, &s[2], &over));
    assert_false(rates_enter(r, &n, -1, &s[3], &over));
    assert_string_equal(over.whom, "192.0.2.0/24");
    rates_leave(r, &s[0]);
    assert_true(rates_enter(r, &n, 1, &s[3], &over)); /* the access map counts for itself */
    assert_false(rates_enter(r, &n, 1, &s[0], &over));
    assert_string_equal(over.spec->name, "ClientConn");
    for (int i = 1; i < 4; i++)
        rates_leave(r, &s[i]);
    assert_true(rates_enter(r, &k, 0, &s[0], &over) == false);
    rates_free(r);
}

static bool count(void *ctx, struct span user, usec since, usec until)
{
    (void)until;
    assert_true(span_eq(user, SPAN("anna")) && since == start);
    ++*(int *)ctx;
    return true;
}

static void users_are_stopped_until_released(void **state)
{
    (void)state;
    struct rates *r = open_rates(0);
    int n = 0;
    assert_false(rates_stopped(r, SPAN("anna"), start));
    rates_stop(r, SPAN("Anna"), start);
    assert_true(rates_stopped(r, SPAN("ANNA"), start + 365 * 86400 * second));
    assert_int_equal(rates_each_stopped(kv, start, count, &n), KV_OK);
    assert_int_equal(n, 1);
    assert_int_equal(rates_release(kv, SPAN("anna"), start), KV_OK);
    assert_int_equal(rates_release(kv, SPAN("anna"), start), KV_NONE);
    assert_false(rates_stopped(r, SPAN("anna"), start));
    set.stop_time = 60 * second;
    rates_stop(r, SPAN("anna"), start);
    assert_true(rates_stopped(r, SPAN("anna"), start + 59 * second));
    assert_false(rates_stopped(r, SPAN("anna"), start + 60 * second));
    rates_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(buckets_leak),          TEST(restarts_forgive_nobody),
        TEST(each_limit_by_its_key), TEST(delays_queue_up),
        TEST(sessions_have_limits),  TEST(users_are_stopped_until_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
