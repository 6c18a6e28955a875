/* Authentication-Results: what others write is read with bounds, what we write can't be bent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/authres.h"
#include "auth/spf.h"

static void reading(void **state)
{
    struct arena *a = arena_new(0);
    struct authres r;
    (void)state;
    assert_true(authres_parse(
        a,
        SPAN(" (c) mx.example (x) 1 ;\r\n spf=pass (why; not) smtp.mailfrom=a@b.example;\r\n"
             "\tdkim/1 = fail reason=\"bad; sig\" header.d=d.example header . b = \"Ab+/=\" ; "
             "dmarc=pass header.from=d.example"),
        &r));
    assert_true(span_eq(r.authserv_id, SPAN("mx.example")));
    assert_int_equal(r.n, 3);
    assert_true(span_eq(r.v[1].method, SPAN("dkim")) && span_eq(r.v[1].result, SPAN("fail")));
    assert_true(span_eq(r.v[1].reason, SPAN("bad; sig")));
    assert_true(span_eq(authres_property(&r.v[1], "header", "b"), SPAN("Ab+/=")));
    assert_true(span_eq(authres_property(&r.v[2], "header", "from"), SPAN("d.example")));
    assert_null(authres_property(&r.v[2], "header", "d").p);
    assert_true(authres_parse(a, SPAN("mx.example; none"), &r));
    assert_int_equal(r.n, 0);
    assert_true(authres_parse(a, SPAN("i=2; mx.example; arc=pass; spf=none smtp.helo=h"), &r));
    assert_int_equal(r.n, 2);
    static const char *const bad[] = {"",
                                      "mx.example; spf",
                                      "mx.example; =pass",
                                      "mx; a=b c",
                                      "mx; a=b c.d",
                                      "mx; a=\"b",
                                      "mx (",
                                      "mx; a=b \"c\"=\"d\" (x",
                                      "mx; spf=pass smtp.=x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (authres_parse(a, span_str(bad[i]), &r))
            fail_msg("'%s' was taken", bad[i]);
    struct buf b = {0};
    buf_str(&b, "mx");
    for (int i = 0; i <= AUTHRES_RESULTS_MAX; i++)
        buf_str(&b, "; a=b");
    assert_false(authres_parse(a, buf_span(&b), &r));
    buf_free(&b);
    arena_free(a);
}

/* What a stranger chose stands in quotes, and comes back as it was. */
static void writing(void **state)
{
    struct message *m = message_new(0);
    struct auth_facts *f = &m->facts.auth;
    struct buf b = {0};
    struct authres r;
    (void)state;
    f->ran = true;
    f->mailfrom =
        (struct spf_fact){.result = SPF_PASS, .sender = SPAN("x;\r\n dmarc=pass\" (@evil.example")};
    f->dkim = arena_array(m->arena, 1, sizeof *f->dkim);
    f->ndkim = 1;
    f->dkim[0] = (struct dkim_fact){.result = DKIM_FAIL,
                                    .domain = SPAN("legit.example(.evil.example"),
                                    .selector = SPAN("s"),
                                    .why = SPAN("no key")};
    f->dmarc = (struct dmarc_fact){.result = DMARC_FAIL,
                                   .domain = SPAN("legit.example"),
                                   .record_domain = SPAN("legit.example"),
                                   .policy = DMARC_POLICY_REJECT,
                                   .disposition = DMARC_POLICY_NONE,
                                   .override = "trusted_forwarder"};
    authres_write(&b, "gate.test", m);
    struct span whole = buf_span(&b), value = span_from(whole, span_find(whole, ':') + 1);
    assert_true(span_starts(whole, SPAN("Authentication-Results: gate.test;\n\tspf=pass ")));
    assert_true(authres_parse(m->arena, value, &r));
    assert_int_equal(r.n, 3);
    assert_true(span_eq(authres_property(&r.v[0], "smtp", "mailfrom"),
                        SPAN("x;?? dmarc=pass\" (@evil.example")));
    assert_true(
        span_eq(authres_property(&r.v[1], "header", "d"), SPAN("legit.example(.evil.example")));
    assert_true(span_eq(r.v[2].result, SPAN("fail")));
    /* Every line but the first is a continuation. */
    struct span line, rest = whole;
    for (bool first = true; span_line(&rest, &line); first = false)
        assert_true(first || line.p[0] == '\t');
    buf_clear(&b);
    f->ran = false;
    authres_write(&b, "gate.test", m);
    assert_int_equal(b.n, 0);
    buf_free(&b);
    message_free(m);
}

static void received_spf(void **state)
{
    struct arena *a = arena_new(0);
    struct ip ip;
    struct spf_fact f = {.result = SPF_PERMERROR,
                         .sender = SPAN("a@b.example"),
                         .why = SPAN("b.example: unknown mechanism in 'x'")};
    (void)state;
    assert_true(ip_parse(SPAN("192.0.2.1"), &ip));
    struct span v = spf_received(a, &f, "mailfrom", &ip, SPAN("he\nlo"), "gate.test");
    assert_true(span_starts(v, SPAN("permerror (gate.test: ")));
    assert_true(span_search(v, SPAN("client-ip=192.0.2.1;")) != SIZE_MAX);
    assert_true(span_search(v, SPAN("helo=\"he?lo\";")) != SIZE_MAX);
    assert_true(span_ends(v, SPAN("identity=mailfrom")));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading),
        cmocka_unit_test(writing),
        cmocka_unit_test(received_spf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
