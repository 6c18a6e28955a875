/* TLS reports: written and read, what others write, records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "reports/tlsrpt.h"

static struct arena *a;

static int setup(void **state)
{
    (void)state;
    a = arena_new(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(a);
    return 0;
}

static struct tls_report sample(void)
{
    static const struct span strings[] = {{"version: STSv1", 14}, {"mode: enforce", 13}};
    static const struct span mx[] = {{"*.mail.example", 14}};
    struct tls_failure *f = arena_array(a, 2, sizeof *f);
    f[0] = (struct tls_failure){.type = SPAN("certificate-expired"),
                                .sending_ip = SPAN("2001:db8::1"),
                                .mx = SPAN("mx1.mail.example"),
                                .helo = SPAN("mx1"),
                                .receiving_ip = SPAN("192.0.2.7"),
                                .info = SPAN("https://a.example/"),
                                .code = SPAN("certificate has \"expired\""),
                                .count = 100};
    f[1] = (struct tls_failure){.type = SPAN("starttls-not-supported"), .count = 200};
    struct tls_policy *p = arena_array(a, 2, sizeof *p);
    p[0] = (struct tls_policy){.type = SPAN("sts"),
                               .domain = SPAN("example.org"),
                               .strings = (struct span *)(uintptr_t)strings,
                               .nstrings = 2,
                               .mx = (struct span *)(uintptr_t)mx,
                               .nmx = 1,
                               .successes = 5326,
                               .failures = 300,
                               .v = f,
                               .n = 2};
    p[1] = (struct tls_policy){
        .type = SPAN("no-policy-found"), .domain = SPAN("example.org"), .successes = 1};
    return (struct tls_report){.org = SPAN("Org"),
                               .contact = SPAN("a@org.example"),
                               .id = SPAN("1@org.example"),
                               .begin = 1763683200,
                               .end = 1763769599,
                               .policies = p,
                               .n = 2};
}

static void same(struct span x, struct span y)
{
    if (!span_eq(x, y))
        fail_msg("'%.*s' is not '%.*s'", SPAN_ARG(x), SPAN_ARG(y));
}

static void same_reports(const struct tls_report *x, const struct tls_report *y)
{
    same(x->org, y->org);
    same(x->contact, y->contact);
    same(x->id, y->id);
    assert_int_equal(x->begin, y->begin);
    assert_int_equal(x->end, y->end);
    assert_int_equal(x->n, y->n);
    for (size_t i = 0; i < x->n; i++) {
        const struct tls_policy *p = &x->policies[i], *q = &y->policies[i];
        same(p->type, q->type);
        same(p->domain, q->domain);
        assert_int_equal(p->successes, q->successes);
        assert_int_equal(p->failures, q->failures);
        assert_int_equal(p->nstrings, q->nstrings);
        assert_int_equal(p->nmx, q->nmx);
        for (size_t k = 0; k < p->nstrings; k++)
            same(p->strings[k], q->strings[k]);
        assert_int_equal(p->n, q->n);
        for (size_t k = 0; k < p->n; k++) {
            same(p->v[k].type, q->v[k].type);
            same(p->v[k].sending_ip, q->v[k].sending_ip);
            same(p->v[k].mx, q->v[k].mx);
            same(p->v[k].helo, q->v[k].helo);
            same(p->v[k].receiving_ip, q->v[k].receiving_ip);
            same(p->v[k].info, q->v[k].info);
            same(p->v[k].code, q->v[k].code);
            assert_int_equal(p->v[k].count, q->v[k].count);
        }
    }
}

static void written_and_read(void **state)
{
    struct tls_report r = sample(), out;
    struct buf b = {0};
    struct err e;
    (void)state;
    tls_write(&b, &r);
    assert_non_null(strstr(b.p, "\"start-datetime\":\"2025-11-21T00:00:00Z\""));
    if (tls_read(buf_span(&b), a, &out, &e) != 0)
        fail_msg("%s: %s", e.text, b.p);
    same_reports(&out, &r);
    buf_clear(&b);
    tls_encode(&b, &r);
    struct cursor c = cursor_over(buf_span(&b));
    assert_true(tls_decode(&c, a, &out) && cursor_ok(&c));
    same_reports(&out, &r);
    for (size_t n = 0; n < b.n; n++) {
        c = cursor_over(span_sub(buf_span(&b), 0, n));
        assert_false(tls_decode(&c, a, &out) && cursor_ok(&c));
    }
    buf_free(&b);
}

#define HEAD                                                                                       \
    "{\"organization-name\":\"o\",\"report-id\":\"1\",\"date-range\":{\"start-datetime\":"         \
    "\"2026-11-21T00:00:00Z\",\"end-datetime\":\"2026-11-21T23:59:59Z\"},"

static void of_others(void **state)
{
    struct tls_report r;
    struct err e;
    (void)state;
    /* Texts instead of lists, numbers in quotes, what nobody knows. */
    assert_int_equal(
        tls_read(SPAN(HEAD "\"x\":[1],\"policies\":[{\"policy\":{\"policy-type\":\"tlsa\","
                           "\"policy-domain\":\"Example.ORG\",\"policy-string\":\"3 1 1 ab\","
                           "\"mx-host\":[\"mx.example.org\",7]},\"summary\":{"
                           "\"total-successful-session-count\":\"12\","
                           "\"total-failure-session-count\":-5},\"failure-details\":[1,{}]},"
                           "{\"policy\":{}},7]}"),
                 a, &r, &e),
        0);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.left_out, 2);
    same(r.policies[0].domain, SPAN("example.org"));
    assert_int_equal(r.policies[0].nstrings, 1);
    assert_int_equal(r.policies[0].nmx, 1);
    assert_int_equal(r.policies[0].successes, 12);
    assert_int_equal(r.policies[0].failures, 0);
    assert_int_equal(r.policies[0].n, 1);
}

static void refused(void **state)
{
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "{}",
                                      "7",
                                      HEAD "\"policies\":[]}",
                                      HEAD "\"policies\":{}}",
                                      "{\"organization-name\":\"o\",\"report-id\":\"1\"}",
                                      "{\"organization-name\":7,\"report-id\":\"1\"}"};
    struct tls_report r;
    struct err e;
    struct buf b = {0};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (tls_read(span_str(bad[i]), a, &r, &e) == 0)
            fail_msg("taken: %s", bad[i]);
    /* A tree that would take far more memory than its text. */
    buf_str(&b, "{\"a\":[");
    for (int i = 0; i < TLS_JSON_NESTED; i++)
        buf_str(&b, "{},");
    buf_str(&b, "1]}");
    assert_int_equal(tls_read(buf_span(&b), a, &r, &e), -1);
    assert_string_equal(e.text, "the report is too large");
    buf_free(&b);
}

static void records(void **state)
{
    static const struct {
        const char *txt;
        size_t n;
        const char *first;
    } rows[] = {
        {"v=TLSRPTv1; rua=mailto:a@b.example", 1, "a@b.example"},
        {"v=TLSRPTv1;rua=https://x.example/y,mailto:a%2Bb@b.example,mailto:c@b.example;", 2,
         "a+b@b.example"},
        {"v=TLSRPTv1; rua=mailto:a@b.example?subject=x%0d%0aBcc:y", 1, "a@b.example"},
        {"v=TLSRPTv1; rua=mailto:a%0d%0ab@b.example", 0, NULL},
        {"v=TLSRPTv1; rua=https://x.example/y", 0, NULL},
        {"v=TLSRPTv1", 0, NULL},
        {"v=TLSRPTv2; rua=mailto:a@b.example", 0, NULL},
        {"rua=mailto:a@b.example; v=TLSRPTv1", 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span to[4];
        size_t n = tls_record_parse(a, span_str(rows[i].txt), to, 4);
        if (n != rows[i].n)
            fail_msg("%s: %zu", rows[i].txt, n);
        if (n)
            same(to[0], span_str(rows[i].first));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_and_read, setup, teardown),
        cmocka_unit_test_setup_teardown(of_others, setup, teardown),
        cmocka_unit_test_setup_teardown(refused, setup, teardown),
        cmocka_unit_test_setup_teardown(records, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
