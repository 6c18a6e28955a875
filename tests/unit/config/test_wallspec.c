#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/settings.h"

static const struct list_spec *read_list(const char *text)
{
    static struct list_spec s;
    struct err e;
    return list_spec_parse(span_str(text), &s, &e) == 0 ? &s : NULL;
}

static bool counts(const char *list, const char *answer)
{
    struct ip ip;
    assert_true(ip_parse(span_str(answer), &ip));
    const struct list_spec *s = read_list(list);
    assert_non_null(s);
    return list_spec_counts(s, &ip);
}

static void lists_are_read(void **state)
{
    (void)state;
    const struct list_spec *s = read_list("zen.example=127.0.0.[2..11]*3");
    assert_true(span_eq(s->zone, SPAN("zen.example")) && s->weight == 3 && s->filtered);
    assert_true(span_eq(s->name, SPAN("zen.example")) && !s->url.p && !s->test.p);
    s = read_list("key.dq.example*-2.5  as dq.example test=t.example https://x.example/?q=_IP_");
    assert_true(s->weight == -2.5 && !s->filtered);
    assert_true(span_eq(s->name, SPAN("dq.example")) && span_eq(s->test, SPAN("t.example")));
    assert_true(span_eq(s->url, SPAN("https://x.example/?q=_IP_")));
}

static void answers_are_filtered(void **state)
{
    (void)state;
    assert_true(counts("l.example", "127.0.0.2"));
    assert_true(counts("l.example", "127.9.8.7"));
    assert_false(counts("l.example", "127.255.255.254"));
    assert_false(counts("l.example", "192.0.2.1"));
    assert_false(counts("l.example", "::1"));
    assert_true(counts("l.example=127.0.0.[2;4..7]", "127.0.0.2"));
    assert_false(counts("l.example=127.0.0.[2;4..7]", "127.0.0.3"));
    assert_true(counts("l.example=127.0.0.[2;4..7]", "127.0.0.7"));
    assert_false(counts("l.example=127.0.0.[2;4..7]", "127.0.1.7"));
    assert_true(counts("l.example=127.0.[0..255].[1..3]*-4", "127.0.15.2"));
}

static void bad_lists_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "zone",
                                      "a..b",
                                      "l.example*",
                                      "l.example*x",
                                      "l.example*1e9",
                                      "l.example*nan",
                                      "l.example=127.0.0",
                                      "l.example=127.0.0.256",
                                      "l.example=127.0.0.[5..2]",
                                      "l.example=127.0.0.[1",
                                      "l.example=127.0.0.2.3",
                                      "l.example=127.0.0.[1;2;3;4;5;6;7;8;9]",
                                      "l.example as",
                                      "l.example nonsense",
                                      "-l.example_ä"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (read_list(bad[i]))
            fail_msg("'%s' was taken", bad[i]);
}

static void rates_are_read(void **state)
{
    (void)state;
    struct rate_spec r;
    struct err e;
    assert_int_equal(rate_spec_parse(SPAN("messages address 60/1m"), &r, &e), 0);
    assert_true(r.what == RATE_MESSAGES && r.who == RATE_ADDRESS && r.n == 60 && r.burst == 60);
    assert_true(r.per == 60 * USEC_PER_SEC && r.answer == RATE_DEFER);
    assert_string_equal(r.name, "messages-address");
    assert_int_equal(rate_spec_parse(SPAN("recipients user 500/1h burst 50 stop as out"), &r, &e),
                     0);
    assert_true(r.burst == 50 && r.answer == RATE_STOP && r.who == RATE_USER);
    assert_string_equal(r.name, "out");
    assert_int_equal(rate_spec_parse(SPAN("sessions network 20"), &r, &e), 0);
    assert_true(r.what == RATE_SESSIONS && r.n == 20 && r.per == 0);
    static const char *const bad[] = {"",
                                      "messages",
                                      "messages address",
                                      "messages planet 1/1m",
                                      "messages address 60",
                                      "messages address 60/1ms",
                                      "messages address -1/1m",
                                      "sessions address 5/1m",
                                      "sessions user 5",
                                      "connections sender 5/1m",
                                      "messages recipient 5/1m",
                                      "messages address 5/1m stop",
                                      "messages address 5/1m burst",
                                      "messages address 5/1m sometimes",
                                      "messages address 5/1m as"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (rate_spec_parse(span_str(bad[i]), &r, &e) == 0)
            fail_msg("'%s' was taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(answers_are_filtered),
        cmocka_unit_test(bad_lists_are_refused),
        cmocka_unit_test(rates_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
