#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

#include <math.h>

#include "reputation/reputation.h"

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

static const usec day = 86400 * USEC_PER_SEC, start = 1700000000 * USEC_PER_SEC;
static const struct reputation_settings set = {.enabled = true, .half_life = 14 * day};

static void mail_makes_a_name(void **state)
{
    (void)state;
    struct reputation r;
    struct span key = SPAN("Spam.example");
    assert_false(reputation_get(kv, &set, REP_DKIM, key, start, &r));
    for (int i = 0; i < 30; i++)
        reputation_learn(kv, &set, REP_DKIM, key, true, start);
    assert_true(reputation_get(kv, &set, REP_DKIM, SPAN("spam.EXAMPLE"), start, &r));
    assert_true(r.score > 0.9 && fabs(r.messages - 30) < 1e-9);
    assert_false(reputation_get(kv, &set, REP_DOMAIN, key, start, &r)); /* not confirmed: another */
    for (int i = 0; i < 30; i++)
        reputation_learn(kv, &set, REP_DKIM, key, false, start);
    assert_true(reputation_get(kv, &set, REP_DKIM, key, start, &r));
    assert_true(fabs(r.score) < 1e-9);
}

static void it_fades(void **state)
{
    (void)state;
    struct reputation r;
    struct ip ip, net;
    assert_true(ip_parse(SPAN("192.0.2.7"), &ip));
    net = reputation_address(REP_NETWORK, &ip);
    struct span key = span_of((const char *)net.b, sizeof net.b);
    for (int i = 0; i < 8; i++)
        reputation_learn(kv, &set, REP_NETWORK, key, false, start);
    assert_true(reputation_get(kv, &set, REP_NETWORK, key, start + 28 * day, &r));
    assert_true(fabs(r.messages - 2) < 1e-9 && fabs(r.score + 0.5) < 1e-9);
    reputation_learn(kv, &set, REP_NETWORK, key, true, start + 28 * day);
    assert_true(reputation_get(kv, &set, REP_NETWORK, key, start + 28 * day, &r));
    assert_true(fabs(r.messages - 3) < 1e-9 && fabs(r.score + 0.2) < 1e-9);
    assert_false(reputation_get(kv, &set, REP_NETWORK, key, start + 400 * day, &r));
}

static void addresses_have_networks(void **state)
{
    (void)state;
    struct ip ip;
    char text[IP_TEXT_SIZE];
    assert_true(ip_parse(SPAN("2001:db8:1:2:3:4:5:6"), &ip));
    struct ip a = reputation_address(REP_ADDRESS, &ip);
    assert_string_equal(ip_text(&a, text), "2001:db8:1:2::");
    assert_true(ip_parse(SPAN("192.0.2.7"), &ip));
    a = reputation_address(REP_ADDRESS, &ip);
    assert_string_equal(ip_text(&a, text), "192.0.2.7");
    a = reputation_address(REP_NETWORK, &ip);
    assert_string_equal(ip_text(&a, text), "192.0.2.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mail_makes_a_name),
        TEST(it_fades),
        TEST(addresses_have_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
