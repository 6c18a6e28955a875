/* Aggregate reports: what is written is read again; what others write, and what nobody should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "reports/aggregate.h"

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

static struct agg_report sample(const char *method)
{
    struct agg_auth *auth = arena_array(a, 3, sizeof *auth);
    auth[0] = (struct agg_auth){.domain = SPAN("bank.example"),
                                .selector = SPAN("s1"),
                                .scope = SPAN(""),
                                .result = SPAN("pass"),
                                .human = SPAN("")};
    auth[1] = (struct agg_auth){.domain = SPAN("other.example"),
                                .selector = SPAN("<&>\"'"),
                                .scope = SPAN(""),
                                .result = SPAN("fail"),
                                .human = SPAN("body hash \xc3\xa4")};
    auth[2] = (struct agg_auth){.spf = true,
                                .domain = SPAN("mail.bank.example"),
                                .selector = SPAN(""),
                                .scope = SPAN("mfrom"),
                                .result = SPAN("softfail"),
                                .human = SPAN("")};
    struct agg_row *rows = arena_array(a, 2, sizeof *rows);
    rows[0] = (struct agg_row){.ip = SPAN("192.0.2.1"),
                               .count = 12345,
                               .disposition = SPAN("none"),
                               .dkim = SPAN("pass"),
                               .spf = SPAN("fail"),
                               .reason = SPAN(""),
                               .comment = SPAN(""),
                               .header_from = SPAN("bank.example"),
                               .envelope_from = SPAN("mail.bank.example"),
                               .envelope_to = SPAN("example.org"),
                               .auth = auth,
                               .nauth = 3};
    rows[1] = (struct agg_row){.ip = SPAN("2001:db8::1"),
                               .count = 1,
                               .disposition = SPAN("quarantine"),
                               .dkim = SPAN("fail"),
                               .spf = SPAN("fail"),
                               .reason = SPAN("local_policy"),
                               .comment = SPAN("a & b"),
                               .header_from = SPAN("sub.bank.example"),
                               .envelope_from = SPAN(""),
                               .envelope_to = SPAN(""),
                               .auth = auth + 2,
                               .nauth = 1};
    struct agg_report r = {.org = SPAN("Org <&> Ltd"),
                           .email = SPAN("a@org.example"),
                           .contact = SPAN("https://org.example/?a=1&b=2"),
                           .id = SPAN("20261121.0011@org.example"),
                           .error = SPAN(""),
                           .begin = 1763683200,
                           .end = 1763769599,
                           .rows = rows,
                           .n = 2};
    r.policy.domain = SPAN("bank.example");
    r.policy.method = span_str(method);
    r.policy.record = SPAN("v=DMARC1; p=reject; sp=quarantine; adkim=s; pct=20; t=y; fo=1:d");
    agg_policy_fill(a, &r.policy);
    return r;
}

static void same(struct span x, struct span y)
{
    if (!span_eq(x, y))
        fail_msg("'%.*s' is not '%.*s'", SPAN_ARG(x), SPAN_ARG(y));
}

static void same_rows(const struct agg_report *x, const struct agg_report *y)
{
    assert_int_equal(x->n, y->n);
    for (size_t i = 0; i < x->n; i++) {
        const struct agg_row *v = &x->rows[i], *w = &y->rows[i];
        same(v->ip, w->ip);
        assert_int_equal(v->count, w->count);
        same(v->disposition, w->disposition);
        same(v->dkim, w->dkim);
        same(v->spf, w->spf);
        same(v->reason, w->reason);
        same(v->comment, w->comment);
        same(v->header_from, w->header_from);
        same(v->envelope_from, w->envelope_from);
        same(v->envelope_to, w->envelope_to);
        assert_int_equal(v->nauth, w->nauth);
        for (size_t k = 0; k < v->nauth; k++) {
            assert_int_equal(v->auth[k].spf, w->auth[k].spf);
            same(v->auth[k].domain, w->auth[k].domain);
            same(v->auth[k].selector, w->auth[k].selector);
            same(v->auth[k].result, w->auth[k].result);
            same(v->auth[k].human, w->auth[k].human);
        }
    }
}

static struct agg_report reread(const struct agg_report *r)
{
    struct buf b = {0};
    struct err e;
    struct agg_report out;
    agg_write(&b, r);
    if (agg_read(buf_span(&b), a, &out, &e) != 0)
        fail_msg("%s in\n%s", e.text, b.p);
    buf_free(&b);
    return out;
}

static void written_and_read(void **state)
{
    static const char *const methods[] = {"treewalk", "psl"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct agg_report r = sample(methods[i]), out = reread(&r);
        same(out.org, r.org);
        same(out.email, r.email);
        same(out.contact, r.contact);
        same(out.id, r.id);
        assert_int_equal(out.begin, r.begin);
        assert_int_equal(out.end, r.end);
        same(out.policy.domain, r.policy.domain);
        same(out.policy.p, SPAN("reject"));
        same(out.policy.sp, SPAN("quarantine"));
        same(out.policy.adkim, SPAN("s"));
        same(out.policy.aspf, SPAN("r"));
        same(out.policy.fo, SPAN("1:d"));
        /* What only one of the forms can say. */
        same(out.policy.pct, i ? SPAN("20") : SPAN(""));
        same(out.policy.testing, i ? SPAN("") : SPAN("y"));
        same(out.policy.np, i ? SPAN("") : SPAN("quarantine"));
        same(out.policy.method, i ? SPAN("") : SPAN("treewalk"));
        same_rows(&out, &r);
        struct agg_sum sum = agg_sum(&out);
        assert_int_equal(sum.messages, 12346);
        assert_int_equal(sum.aligned, 12345);
    }
}

/* A reason of the other form is told as a comment. */
static void reasons(void **state)
{
    (void)state;
    struct agg_report r = sample("treewalk");
    r.rows[1].reason = SPAN("sampled_out");
    struct agg_report out = reread(&r);
    same(out.rows[1].reason, SPAN("other"));
    same(out.rows[1].comment, SPAN("sampled_out"));
    r = sample("psl");
    r.rows[1].reason = SPAN("policy_test_mode");
    out = reread(&r);
    same(out.rows[1].reason, SPAN("other"));
    same(out.rows[1].comment, SPAN("policy_test_mode"));
}

static void encoded(void **state)
{
    struct agg_report r = sample("treewalk"), out;
    struct buf b = {0};
    (void)state;
    agg_encode(&b, &r);
    struct cursor c = cursor_over(buf_span(&b));
    assert_true(agg_decode(&c, a, &out) && cursor_ok(&c));
    same_rows(&out, &r);
    same(out.policy.record, r.policy.record);
    /* Cut anywhere, it is none. */
    for (size_t n = 0; n < b.n; n++) {
        c = cursor_over(span_sub(buf_span(&b), 0, n));
        assert_false(agg_decode(&c, a, &out) && cursor_ok(&c));
    }
    buf_free(&b);
}

static void auth_as_text(void **state)
{
    struct agg_report r = sample("treewalk");
    struct agg_row out = {0};
    struct buf b = {0};
    (void)state;
    agg_auth_text(&b, r.rows[0].auth, 3);
    assert_true(agg_auth_parse(a, buf_span(&b), &out));
    assert_int_equal(out.nauth, 3);
    same(out.auth[1].selector, SPAN("<&>\"'"));
    assert_true(out.auth[2].spf);
    assert_false(agg_auth_parse(a, SPAN("{"), &out));
    buf_free(&b);
}

#define METADATA                                                                                   \
    "<report_metadata><org_name>o</org_name><email>e</email><report_id>1</report_id><date_range>"  \
    "<begin>1763683200</begin><end>1763769599</end></date_range></report_metadata>"
#define POLICY "<policy_published><domain>Bank.Example</domain><p>reject</p></policy_published>"
#define RECORD(ip, count)                                                                          \
    "<record><row><source_ip>" ip "</source_ip><count>" count "</count><policy_evaluated>"         \
    "<disposition>pass</disposition><dkim>PASS</dkim><spf>fail</spf></policy_evaluated></row>"     \
    "<identifiers><header_from>BANK.example</header_from></identifiers><auth_results/></record>"

static int read_text(const char *xml, struct agg_report *out, struct err *e)
{
    return agg_read(span_str(xml), a, out, e);
}

/* Forms that are seen: prefixes, other orders, white space, fractions, extensions, latin-1. */
static void of_others(void **state)
{
    struct agg_report r;
    struct err e;
    (void)state;
    assert_int_equal(
        read_text("<feedback>" METADATA POLICY RECORD(" 192.0.2.7\n", "3") "</feedback>", &r, &e),
        0);
    assert_int_equal(r.n, 1);
    same(r.rows[0].ip, SPAN("192.0.2.7"));
    same(r.rows[0].disposition, SPAN("none"));
    same(r.rows[0].dkim, SPAN("pass"));
    same(r.rows[0].header_from, SPAN("bank.example"));
    same(r.policy.domain, SPAN("bank.example"));
    assert_int_equal(
        read_text(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><d:feedback xmlns:d=\"urn:x\">"
            "<d:policy_published><d:domain>a.example</d:domain><d:x><d:domain>evil</d:domain>"
            "</d:x></d:policy_published><d:report_metadata><d:org_name> S\xf6hne </d:org_name>"
            "<d:report_id>1</d:report_id><d:date_range><d:begin>1763683200.5</d:begin>"
            "<d:end>1763769599</d:end></d:date_range></d:report_metadata></d:feedback>",
            &r, &e),
        0);
    same(r.org, SPAN("S\xc3\xb6hne"));
    same(r.policy.domain, SPAN("a.example"));
    assert_int_equal(r.begin, 1763683200);
    assert_int_equal(r.n, 0);
    /* Rows that say nothing are left out, and that is told. */
    assert_int_equal(read_text("<feedback>" METADATA POLICY RECORD("evil", "3")
                                   RECORD("192.0.2.1", "0") RECORD("192.0.2.1", "-1")
                                       RECORD("::1", "2") "</feedback>",
                               &r, &e),
                     0);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.left_out, 3);
}

static void refused(void **state)
{
    static const struct {
        const char *xml, *why;
    } rows[] = {
        {"", "no element found"},
        {"<feedback>", "no element found"},
        {"<html/>", "root is not 'feedback'"},
        {"<feedback/>", "no org_name"},
        {"<feedback>" METADATA "</feedback>", "which domain"},
        {"<!DOCTYPE feedback><feedback>" METADATA POLICY "</feedback>", "document type"},
        {"<!DOCTYPE f [<!ENTITY a \"b\"><!ENTITY c \"&a;&a;\">]><feedback>&c;</feedback>",
         "document type"},
        {"<!DOCTYPE f SYSTEM \"file:///etc/passwd\"><feedback/>", "document type"},
        {"<feedback>&unknown;</feedback>", "undefined entity"},
        {"<feedback>" METADATA POLICY "</feedback><feedback/>", "junk after"},
        {"<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>", "root is not"},
        {"<feedback><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>", "too deeply"},
    };
    struct agg_report r;
    struct err e;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (read_text(rows[i].xml, &r, &e) == 0)
            fail_msg("taken: %s", rows[i].xml);
        if (!strstr(e.text, rows[i].why))
            fail_msg("%s: %s", rows[i].xml, e.text);
    }
}

/* Named limits hold: length of texts, rows, results. */
static void limits(void **state)
{
    struct buf b = {0};
    struct agg_report r;
    struct err e;
    (void)state;
    buf_str(&b, "<feedback>" METADATA "<policy_published><domain>");
    for (int i = 0; i < 100000; i++)
        buf_char(&b, 'a');
    buf_str(&b, "</domain></policy_published><record><row><source_ip>192.0.2.1</source_ip>"
                "<count>1</count></row><auth_results>");
    for (int i = 0; i < 1000; i++)
        buf_str(&b, "<dkim><domain>a.example</domain></dkim>");
    buf_str(&b, "</auth_results></record>");
    for (int i = 0; i < AGG_ROWS_MAX + 10; i++)
        buf_str(&b, RECORD("192.0.2.1", "1"));
    buf_str(&b, "</feedback>");
    assert_int_equal(agg_read(buf_span(&b), a, &r, &e), 0);
    assert_int_equal(r.policy.domain.n, AGG_TEXT_MAX);
    assert_int_equal(r.n, AGG_ROWS_MAX);
    assert_int_equal(r.left_out, 11);
    assert_int_equal(r.rows[0].nauth, AGG_AUTHS_MAX);
    buf_free(&b);
}

static void cleaned(void **state)
{
    (void)state;
    same(agg_clean(a, SPAN(" a\x01\r\nb\x7f \xff\xc3")), SPAN("a   b  "));
    char wide[AGG_TEXT_MAX + 2];
    memset(wide, 'x', sizeof wide);
    memcpy(wide + AGG_TEXT_MAX - 1, "\xc3\xa4", 2); /* cut through it */
    assert_int_equal(agg_clean(a, span_of(wide, sizeof wide)).n, AGG_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_and_read, setup, teardown),
        cmocka_unit_test_setup_teardown(reasons, setup, teardown),
        cmocka_unit_test_setup_teardown(encoded, setup, teardown),
        cmocka_unit_test_setup_teardown(auth_as_text, setup, teardown),
        cmocka_unit_test_setup_teardown(of_others, setup, teardown),
        cmocka_unit_test_setup_teardown(refused, setup, teardown),
        cmocka_unit_test_setup_teardown(limits, setup, teardown),
        cmocka_unit_test_setup_teardown(cleaned, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
