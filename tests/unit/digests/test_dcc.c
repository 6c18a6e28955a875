/* What dccifd is told, and what is read of its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "digests/dcc.h"

static void test_head(void **state)
{
    struct buf b = {0};
    struct peer p = {0};
    (void)state;
    dcc_head(&b, DCC_CHECK, &p);
    assert_string_equal(b.p, "cksums grey-off\n\n\n\nunknown\n\n");
    buf_clear(&b);
    assert_true(ip_parse(SPAN("192.0.2.7"), &p.ip));
    p.has_ip = true;
    p.name = SPAN("mail.example");
    p.helo = SPAN("evil\nheader spam\n");
    dcc_head(&b, DCC_QUERY, &p);
    assert_string_equal(
        b.p, "cksums grey-off query\n192.0.2.7\rmail.example\nevilheaderspam\n\nunknown\n\n");
    buf_clear(&b);
    dcc_head(&b, DCC_REPORT, &p);
    assert_true(span_starts(buf_span(&b), SPAN("header spam grey-off\n")));
    buf_free(&b);
}

static void test_answers(void **state)
{
    struct dcc_fact f = {0};
    (void)state;
    assert_true(dcc_answer(SPAN("A\nA\nX-DCC-sonic.net-Metrics: host 1049; bulk Body=1 Fuz1=many\n"
                                "\tFuz2=17 rep=93%\nreported: 0\n checksum\n"),
                           &f));
    assert_string_equal(f.brand, "sonic.net");
    assert_int_equal(f.body, 1);
    assert_int_equal(f.fuz1, DCC_MANY);
    assert_int_equal(f.fuz2, 17);
    assert_int_equal(f.reputation, 93);
    assert_string_equal(f.metrics, "host 1049; bulk Body=1 Fuz1=many Fuz2=17 rep=93%");
    f = (struct dcc_fact){0};
    assert_true(
        dcc_answer(SPAN("R\r\nR\r\nX-DCC-x-Metrics: h 1; Body=ok2 xFuz1=4 Fuz2=99999999\r\n"), &f));
    assert_int_equal(f.body, 0);
    assert_int_equal(f.fuz1, -1);
    assert_int_equal(f.fuz2, DCC_MANY);
    assert_int_equal(f.reputation, -1);
}

static void test_nonsense(void **state)
{
    static const char *const bad[] = {
        "", "A\n", "A\nA\n", "A\nA\nSubject: x\n", "\n\n\tX-DCC", "A\nA\nX-DCC-a-Metrics\n"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct dcc_fact f = {0};
        assert_false(dcc_answer(span_str(bad[i]), &f));
        assert_string_not_equal(f.why, "");
    }
    struct buf b = {0};
    buf_str(&b, "A\nA\nX-DCC-");
    for (int i = 0; i < 5000; i++)
        buf_char(&b, (char)(i % 255 + 1));
    buf_str(&b, "-Metrics: Body=\x01\x02=");
    struct dcc_fact f = {0};
    dcc_answer(buf_span(&b), &f);
    assert_true(strlen(f.brand) < sizeof f.brand && strlen(f.metrics) < sizeof f.metrics);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
