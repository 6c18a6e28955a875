#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "deliver/sts_policy.h"

static void records(void **state)
{
    (void)state;
    static const struct {
        const char *text, *id;
    } cases[] = {
        {"v=STSv1; id=20160831085700Z;", "20160831085700Z"},
        {"v=STSv1;id=a", "a"},
        {"v=STSv1 ; x=y; id=b1 ;", "b1"},
        {"v=STSv1; id=first; id=second", "first"},
        {"v=STSv1", NULL},
        {"v=STSv1;", NULL},
        {"v=STSv2; id=a;", NULL},
        {"id=a; v=STSv1;", NULL},
        {"v=STSv1; id=;", NULL},
        {"v=STSv1; id=a-b;", NULL},
        {"v=STSv1; id=012345678901234567890123456789012;", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span id;
        bool ok = sts_record_parse(span_str(cases[i].text), &id);
        if (ok != !!cases[i].id || (ok && !span_eq(id, span_str(cases[i].id))))
            fail_msg("%s", cases[i].text);
    }
}

static void policies(void **state)
{
    (void)state;
    static const char good[] = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\n"
                               "mx: *.Example.NET\r\nmx: backup.example.com\r\nmax_age: 604800\r\n"
                               "later: unknown\r\n";
    struct arena *a = arena_new(0);
    struct sts_policy p;
    struct err e;
    assert_int_equal(sts_policy_parse(span_str(good), a, &p, &e), 0);
    assert_int_equal(p.mode, STS_ENFORCE);
    assert_int_equal(p.max_age, 604800);
    assert_int_equal(p.n, 3);
    static const struct {
        const char *host;
        bool ours;
    } hosts[] = {{"mail.example.com", true},    {"MAIL.example.com", true},
                 {"a.example.net", true},       {"a.b.example.net", false},
                 {"example.net", false},        {".example.net", false},
                 {"other.example.com", false},  {"xmail.example.com", false},
                 {"mail.example.com.x", false}, {"", false}};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (sts_policy_matches(&p, span_str(hosts[i].host)) != hosts[i].ours)
            fail_msg("%s", hosts[i].host);
    assert_int_equal(
        sts_policy_parse(SPAN("version:STSv1\nmode:none\nmax_age:99999999999\n"), a, &p, &e), -1);
    assert_int_equal(
        sts_policy_parse(SPAN("version:STSv1\nmode:none\nmax_age:4294967295\n"), a, &p, &e), 0);
    assert_int_equal(p.max_age, STS_AGE_MAX);
    arena_free(a);
}

static void what_is_no_policy(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "version: STSv1\nmode: enforce\nmax_age: 1\n",
        "version: STSv2\nmode: none\nmax_age: 1\n",
        "mode: none\nmax_age: 1\n",
        "version: STSv1\nmax_age: 1\n",
        "version: STSv1\nmode: none\n",
        "version: STSv1\nmode: strict\nmax_age: 1\n",
        "version: STSv1\nmode: none\nmax_age: -1\n",
        "version: STSv1\nmode: none\nmax_age: soon\n",
        "version: STSv1\nmode: enforce\nmx: *\nmax_age: 1\n",
        "version: STSv1\nmode: enforce\nmx: a.*.b\nmax_age: 1\n",
        "version: STSv1\nmode: enforce\nmx: .b\nmax_age: 1\n",
        "<html>\nversion: STSv1\nmode: none\nmax_age: 1\n",
    };
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sts_policy p;
        struct err e;
        if (sts_policy_parse(span_str(bad[i]), a, &p, &e) != -1 || !e.text[0])
            fail_msg("case %zu", i);
    }
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records),
        cmocka_unit_test(policies),
        cmocka_unit_test(what_is_no_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
