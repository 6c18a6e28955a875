#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "virus/clamd_private.h"

static void answers(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        bool stream;
        enum clamd_verdict verdict;
        const char *text;
    } rows[] = {
        {"stream: OK", true, CLAMD_OK, "OK"},
        {"fd[12]: OK", false, CLAMD_OK, "OK"},
        {"stream: OK", false, CLAMD_ERROR, "stream: OK"},
        {"fd[12]: OK", true, CLAMD_ERROR, "fd[12]: OK"},
        {"stream: Eicar-Signature FOUND", true, CLAMD_FOUND, "Eicar-Signature"},
        {"fd[3]: Win.Test.EICAR_HDB-1 FOUND", false, CLAMD_FOUND, "Win.Test.EICAR_HDB-1"},
        {"stream: OK FOUND", true, CLAMD_FOUND, "OK"},
        {"stream: Heuristics.Encrypted.Zip FOUND", true, CLAMD_ENCRYPTED,
         "Heuristics.Encrypted.Zip"},
        {"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND", true, CLAMD_LIMIT,
         "Heuristics.Limits.Exceeded.MaxFileSize"},
        {"INSTREAM size limit exceeded. ERROR", true, CLAMD_LIMIT, "INSTREAM size limit exceeded."},
        {"No file descriptor received. ERROR", false, CLAMD_NO_FD, "No file descriptor received."},
        {"fd[9]: Can't allocate memory ERROR", false, CLAMD_ERROR, "fd[9]: Can't allocate memory"},
        {"stream:  FOUND", true, CLAMD_ERROR, "stream:  FOUND"},
        {"stream: FOUND", true, CLAMD_ERROR, "stream: FOUND"},
        {"", true, CLAMD_ERROR, ""},
        {"OK", true, CLAMD_ERROR, "OK"},
        {"stream: OK\n", true, CLAMD_ERROR, "an answer with unprintable bytes"},
        {"stream: A\x01 FOUND", true, CLAMD_ERROR, "an answer with unprintable bytes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct clamd_answer a = clamd_answer_parse(span_str(rows[i].answer), rows[i].stream);
        if (a.verdict != rows[i].verdict || !span_eq(a.text, span_str(rows[i].text)))
            fail_msg("%s: %d %.*s", rows[i].answer, a.verdict, SPAN_ARG(a.text));
    }
}

static void versions(void **state)
{
    (void)state;
    assert_true(span_eq(clamd_version_parse(SPAN("ClamAV 1.4.6/27000/Sun Nov 22 07:30:00 2026")),
                        SPAN("1.4.6/27000")));
    assert_true(span_eq(clamd_version_parse(SPAN("ClamAV 1.4.6/27000")), SPAN("1.4.6/27000")));
    assert_true(span_eq(clamd_version_parse(SPAN("ClamAV 1.4.6")), SPAN("1.4.6")));
    assert_null(clamd_version_parse(SPAN("ClamAV ")).p);
    assert_null(clamd_version_parse(SPAN("PONG")).p);
    assert_null(clamd_version_parse(SPAN("ClamAV 1\r\n")).p);
}

static void addresses(void **state)
{
    (void)state;
    struct clamd_address a;
    struct err e;
    assert_int_equal(clamd_address_parse("unix:/run/clamav/clamd.ctl", &a, &e), 0);
    assert_true(a.is_unix);
    assert_int_equal(clamd_address_parse("127.0.0.1:3310", &a, &e), 0);
    assert_int_equal(a.addr.ss_family, AF_INET);
    assert_int_equal(clamd_address_parse("[::1]:3310", &a, &e), 0);
    assert_int_equal(a.addr.ss_family, AF_INET6);
    static const char *const bad[] = {
        "",           ":",     "unix:",          "127.0.0.1",
        "127.0.0.1:", ":3310", "127.0.0.1:http", "127.0.0.1:999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (clamd_address_parse(bad[i], &a, &e) == 0)
            fail_msg("'%s' was taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(versions),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
