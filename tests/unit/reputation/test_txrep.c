/* Expected numbers: worked out by SpamAssassin 4.0.1's own formulas (Plugin::TxRep, Plugin::AWL).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "reputation/txrep.h"

static char dir[64];
static struct kv *kv;
static const usec start = 1700000000 * USEC_PER_SEC;

static int setup(void **state)
{
    char path[80];
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/gatehouse-txrep-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/scan.mdb", dir);
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

static void expect(double got, double want)
{
    if (fabs(got - want) > 1e-9)
        fail_msg("%.9f instead of %.9f", got, want);
}

static struct ip ip_of(const char *text)
{
    struct ip ip;
    assert_true(ip_parse(span_str(text), &ip));
    return ip;
}

static void awl_halves_the_distance(void **state)
{
    (void)state;
    struct ip ip = ip_of("192.0.2.1"), near = ip_of("192.0.99.9"), far = ip_of("198.51.100.1");
    assert_false(awl_adjust(kv, 0.5, SPAN("A@x.example"), &ip, 10, start).known);
    struct awl_result r = awl_adjust(kv, 0.5, SPAN("a@X.example"), &near, 0, start);
    assert_true(r.known && r.count == 1 && r.mean == 10);
    expect(r.delta, 5);
    r = awl_adjust(kv, 0.5, SPAN("a@x.example"), &ip, 2,
                   start); /* the message itself, not its sum */
    expect(r.mean, 5);
    expect(r.delta, 1.5);
    assert_false(awl_adjust(kv, 0.5, SPAN("a@x.example"), &far, 0, start).known);
    assert_false(
        awl_adjust(kv, 0.5, SPAN("a@x.example"), &ip, 0, start + 366 * 86400 * USEC_PER_SEC).known);
}

static void awl_adopts_entries_without_network(void **state)
{
    (void)state;
    struct ip ip = ip_of("2001:db8:1::1"), other = ip_of("2001:db8:2::1");
    awl_adjust(kv, 0.5, SPAN("a@x"), NULL, -100, start);
    struct awl_result r = awl_adjust(kv, 0.5, SPAN("a@x"), &ip, 0, start);
    expect(r.delta, -50);
    assert_int_equal(r.count, 1);
    r = awl_adjust(kv, 0.5, SPAN("a@x"), &ip, 0, start);
    expect(r.mean, -50); /* (-100 + 0) / 2 */
    assert_false(awl_adjust(kv, 0.5, SPAN("a@x"), &other, 0, start).known);
    assert_false(awl_adjust(kv, 0.5, SPAN("a@x"), NULL, 0, start).known);
}

static struct txrep_query query(const char *from, const char *ip)
{
    struct txrep_query q = {
        .from = span_str(from), .domain = SPAN("x.example"), .helo = SPAN("h.example")};
    if (ip) {
        q.has_origin = true;
        q.origin = ip_of(ip);
    }
    return q;
}

static void txrep_weighs_all_identities(void **state)
{
    (void)state;
    struct txrep_query q = query("a@x.example", "192.0.2.1");
    expect(txrep_adjust(kv, &txrep_defaults, &q, 10, start), 0); /* nothing known: no pull */
    /* Each of the five has 10/1: (10 + 0) / 2 - 0 = 5, all alike; half of it. */
    expect(txrep_adjust(kv, &txrep_defaults, &q, 0, start), 2.5);
    /* Another author from there: his own two are new (0); domain, HELO and IP have 10/2:
     * (10 + 1) / 3 - 1 = 8/3. Weights: 2, 0.5 and 4 of 19.5. */
    q = query("b@x.example", "192.0.2.1");
    expect(txrep_adjust(kv, &txrep_defaults, &q, 1, start), 0.5 * (6.5 * (11.0 / 3 - 1)) / 19.5);
}

/* Total and score are positive, yet the average would lower it: the mean without the message. */
static void txrep_does_not_pull_the_wrong_way(void **state)
{
    (void)state;
    struct txrep_query q = {.from = SPAN("a@y")};
    expect(txrep_adjust(kv, &txrep_defaults, &q, 2, start), 0);
    expect(txrep_adjust(kv, &txrep_defaults, &q, 6, start), 0.5 * (2.0 / 2));
    q.from = SPAN("c@y");
    expect(txrep_adjust(kv, &txrep_defaults, &q, -2, start), 0);
    expect(txrep_adjust(kv, &txrep_defaults, &q, -6, start), 0.5 * (-2.0 / 2));
}

static void txrep_of_the_signed_does_not_depend_on_the_host(void **state)
{
    (void)state;
    struct txrep_query q = query("a@x.example", "192.0.2.1");
    q.signed_by = true;
    q.helo = SPAN("");
    txrep_adjust(kv, &txrep_defaults, &q, 10, start);
    q.origin = ip_of("198.51.100.1");
    /* Author 10 and domain 2 are known, the address 4 is not. */
    expect(txrep_adjust(kv, &txrep_defaults, &q, 0, start), 0.5 * (12 * 5.0) / 16);
}

static void txrep_knows_a_message_again(void **state)
{
    (void)state;
    struct txrep_query q = query("a@x.example", "192.0.2.1");
    q.msgid = SPAN("message-1");
    expect(txrep_adjust(kv, &txrep_defaults, &q, 6, start), 0);
    expect(txrep_adjust(kv, &txrep_defaults, &q, 3, start), (3 + 0.5 * 6) / 1.5 - 3);
    /* and it was not counted a second time */
    q.msgid = SPAN("message-2");
    expect(txrep_adjust(kv, &txrep_defaults, &q, 0, start), 0.5 * 3);
}

/* txrep_welcomelist_out: who was written to is welcome with 10 points, whatever was known. */
static void recipients_of_outgoing_mail_are_welcome(void **state)
{
    (void)state;
    const struct span to[] = {SPAN("Pen@pal.example"), SPAN("other@pal.example")};
    struct txrep_query out = {
        .from = SPAN("me@home.example"), .recipients = to, .nrecipients = 2, .welcome = 10};
    struct txrep_query in = {.from = SPAN("pen@pal.example"), .has_origin = true};
    in.origin = ip_of("203.0.113.77");
    txrep_adjust(kv, &txrep_defaults, &in, 8, start);
    txrep_adjust(kv, &txrep_defaults, &out, 0, start);
    /* address with network: (8 + 2)/2 - 2; address: (-10 + 2)/2 - 2; host: (8 + 2)/2 - 2 */
    double want = 0.5 * (10 * 3.0 + 3 * -6.0 + 4 * 3.0) / (10 + 3 + 4);
    expect(txrep_adjust(kv, &txrep_defaults, &in, 2, start), want);
    struct txrep_query stranger = {.from = SPAN("third@pal.example")};
    expect(txrep_adjust(kv, &txrep_defaults, &stranger, 2, start), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(awl_halves_the_distance),
        TEST(awl_adopts_entries_without_network),
        TEST(txrep_weighs_all_identities),
        TEST(txrep_does_not_pull_the_wrong_way),
        TEST(txrep_of_the_signed_does_not_depend_on_the_host),
        TEST(txrep_knows_a_message_again),
        TEST(recipients_of_outgoing_mail_are_welcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
