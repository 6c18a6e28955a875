/* SPF on our own zones: order, limits, hostile answers, macros, who is meant (PRA). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "auth/spf.h"
#include "base/buf.h"
#include "zone.h"

static void count(void *ctx)
{
    ++*(int *)ctx;
}

static struct spf_fact check(struct zone *z, const char *ip, const char *from)
{
    struct spf_fact out;
    struct spf_query q = {.helo = SPAN("mail.client.example"),
                          .sender = span_str(from),
                          .receiver = "gw.example",
                          .explain = true};
    int done = 0;
    assert_true(ip_parse(span_str(ip), &q.ip));
    q.domain = span_from(q.sender, span_rfind(q.sender, '@') + 1);
    spf_check(&q, &z->resolver, z->a, &out, count, &done);
    zone_run(z);
    assert_int_equal(done, 1);
    return out;
}

static enum spf_result result(struct zone *z, const char *ip, const char *from)
{
    return check(z, ip, from).result;
}

static void basics(void **state)
{
    struct zone z;
    (void)state;
    for (int later = 0; later < 2; later++) {
        zone_new(&z);
        z.later = later;
        zone_txt(&z, "a.example",
                 "v=spf1 ip4:192.0.2.0/24 a:host.a.example/30 mx include:b.example ~all");
        zone_a(&z, "host.a.example", "198.51.100.4");
        zone_mx(&z, SPAN("a.example"), 10, SPAN("mx.a.example"));
        zone_a(&z, "mx.a.example", "198.51.100.77");
        zone_a(&z, "mx.a.example", "2001:db8::25");
        zone_txt(&z, "b.example", "v=spf1 ip6:2001:db8:1::/48 -all");
        zone_txt(&z, "c.example", "v=spf1 redirect=_spf.%{d}");
        zone_txt(&z, "_spf.c.example", "v=spf1 -all exp=why.c.example");
        zone_txt(&z, "why.c.example", "%{i} is not one of %{d}'s: ask %{r}");
        assert_int_equal(result(&z, "192.0.2.9", "u@a.example"), SPF_PASS);
        assert_int_equal(result(&z, "198.51.100.7", "u@a.example"), SPF_PASS);
        assert_int_equal(result(&z, "198.51.100.77", "u@a.example"), SPF_PASS);
        assert_int_equal(result(&z, "2001:db8::25", "u@A.Example."), SPF_PASS);
        assert_int_equal(result(&z, "2001:db8:1::1", "u@a.example"), SPF_PASS);
        assert_int_equal(result(&z, "203.0.113.1", "u@a.example"), SPF_SOFTFAIL);
        assert_int_equal(result(&z, "203.0.113.1", "u@nothing.example"), SPF_NONE);
        struct spf_fact f = check(&z, "203.0.113.1", "u@c.example");
        assert_int_equal(f.result, SPF_FAIL);
        assert_true(span_eq(f.mechanism, SPAN("-all")));
        assert_true(span_eq(f.explanation,
                            SPAN("203.0.113.1 is not one of _spf.c.example's: ask gw.example")));
        f = check(&z, "2001:db8:1::1", "u@a.example");
        assert_true(span_eq(f.mechanism, SPAN("include:b.example")));
        zone_free(&z);
    }
}

/* RFC 7208 section 4.6.4. */
static void limits(void **state)
{
    struct zone z;
    char name[64], text[128];
    (void)state;
    zone_new(&z);
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "n%d.example", i);
        snprintf(text, sizeof text, "v=spf1 include:n%d.example ?all", i + 1);
        zone_txt(&z, name, text);
    }
    zone_txt(&z, "n12.example", "v=spf1 +all");
    assert_int_equal(result(&z, "192.0.2.1", "u@n2.example"), SPF_PASS); /* ten includes */
    assert_int_equal(result(&z, "192.0.2.1", "u@n1.example"), SPF_PERMERROR);
    zone_txt(&z, "loop.example", "v=spf1 redirect=loop.example");
    z.asked = 0;
    assert_int_equal(result(&z, "192.0.2.1", "u@loop.example"), SPF_PERMERROR);
    assert_true(z.asked <= SPF_LOOKUPS_MAX + 1);

    zone_txt(&z, "void2.example", "v=spf1 a:x1.example exists:x2.example +all");
    zone_txt(&z, "void3.example", "v=spf1 a:x1.example exists:x2.example mx:x3.example +all");
    assert_int_equal(result(&z, "192.0.2.1", "u@void2.example"), SPF_PASS);
    assert_int_equal(result(&z, "192.0.2.1", "u@void3.example"), SPF_PERMERROR);

    zone_txt(&z, "mx.example", "v=spf1 mx -all");
    for (int i = 0; i < SPF_MX_MAX + 1; i++) {
        snprintf(name, sizeof name, "m%d.example", i);
        zone_mx(&z, SPAN("mx.example"), 10, span_str(name));
        zone_a(&z, name, "198.51.100.1");
    }
    assert_int_equal(result(&z, "192.0.2.1", "u@mx.example"), SPF_PERMERROR);

    /* Of many names only the first are looked at; ours is the last. */
    zone_txt(&z, "ptr.example", "v=spf1 ptr -all");
    for (int i = 0; i <= SPF_PTR_MAX; i++) {
        snprintf(name, sizeof name, "h%d.ptr.example", i);
        zone_host(&z, SPAN("1.2.0.192.in-addr.arpa"), DNS_PTR, span_str(name));
    }
    zone_a(&z, name, "192.0.2.1");
    z.asked = 0;
    assert_int_equal(result(&z, "192.0.2.1", "u@ptr.example"), SPF_FAIL);
    assert_int_equal(z.asked, 2 + SPF_PTR_MAX);
    zone_a(&z, "h3.ptr.example", "192.0.2.1");
    assert_int_equal(result(&z, "192.0.2.1", "u@ptr.example"), SPF_PASS);
    zone_free(&z);
}

static void long_records(void **state)
{
    struct zone z;
    struct buf text = {0};
    (void)state;
    zone_new(&z);
    buf_str(&text, "v=spf1");
    while (text.n < SPF_RECORD_MAX)
        buf_str(&text, " ip4:10.0.0.1/32");
    zone_txt_span(&z, SPAN("long.example"), buf_span(&text));
    assert_int_equal(result(&z, "192.0.2.1", "u@long.example"), SPF_PERMERROR);
    buf_clear(&text);
    buf_str(&text, "v=spf1");
    for (int i = 0; i < SPF_TERMS_MAX + 1; i++)
        buf_str(&text, " ?all");
    zone_txt_span(&z, SPAN("terms.example"), buf_span(&text));
    assert_int_equal(result(&z, "192.0.2.1", "u@terms.example"), SPF_PERMERROR);
    buf_clear(&text);
    buf_str(&text, "v=spf1 exists:");
    for (int i = 0; i < 300; i++)
        buf_str(&text, "%{s}.");
    buf_str(&text, "%{d} -all");
    zone_txt_span(&z, SPAN("macro.example"), buf_span(&text));
    assert_int_equal(result(&z, "192.0.2.1", "averylongsender@macro.example"), SPF_PERMERROR);
    buf_free(&text);
    zone_free(&z);
}

static void broken_records(void **state)
{
    static const char *const bad[] = {
        "v=spf1 ip4:1.2.3.4/33 -all",
        "v=spf1 ip4:1.2.3.04 -all",
        "v=spf1 ip6:::1/129 -all",
        "v=spf1 ip4: -all",
        "v=spf1 a:%{d -all",
        "v=spf1 a:%{d0}.example -all",
        "v=spf1 a:%(d).example -all",
        "v=spf1 all:example",
        "v=spf1 include -all",
        "v=spf1 exists:%{t}.example -all",
        "v=spf1 +all redirect=a.example redirect=b.example",
        "v=spf1 foo -all",
        "v=spf1 a:example.123 -all",
        "v=spf1 a:192.0.2.1 -all",
        "v=spf1 mx/24/64 -all",
        "v=spf1 a//129 -all",
        "v=spf1 x=%{z} -all",
        "v=spf1 a:b\xc3\xa4.example -all",
        "v=spf1 +all -",
    };
    struct zone z;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        zone_new(&z);
        zone_txt(&z, "bad.example", bad[i]);
        struct spf_fact f = check(&z, "192.0.2.1", "u@bad.example");
        if (f.result != SPF_PERMERROR || f.why.n == 0)
            fail_msg("%s: %s", bad[i], spf_result_name(f.result));
        zone_free(&z);
    }
}

/* Answers that no honest server gives. */
static void hostile_answers(void **state)
{
    struct zone z;
    (void)state;
    zone_new(&z);
    zone_txt(&z, "h.example", "v=spf1 mx a ptr exists:e.example -all");
    zone_add(&z, SPAN("h.example"), DNS_MX_RR, SPAN(""));
    zone_add(&z, SPAN("h.example"), DNS_MX_RR, SPAN("\0"));
    zone_add(&z, SPAN("h.example"), DNS_MX_RR, SPAN("\0\1\77abc"));
    zone_add(&z, SPAN("h.example"), DNS_MX_RR, SPAN("\0\1\300\14"));
    zone_add(&z, SPAN("h.example"), DNS_A, SPAN("\300"));
    zone_add(&z, SPAN("h.example"), DNS_A, SPAN("\300\0\2\1\1"));
    zone_add(&z, SPAN("1.2.0.192.in-addr.arpa"), DNS_PTR, SPAN("\3a\0b\0"));
    zone_add(&z, SPAN("1.2.0.192.in-addr.arpa"), DNS_PTR, SPAN(""));
    zone_add(&z, SPAN("h.example"), DNS_TXT, SPAN("\377short"));
    zone_add(&z, SPAN("h.example"), DNS_TXT, SPAN(""));
    assert_int_equal(result(&z, "192.0.2.1", "u@h.example"), SPF_FAIL);
    zone_txt(&z, "t.example", "v=spf1 a:gone.example +all");
    zone_add(&z, SPAN("gone.example"), ZONE_TIMEOUT, SPAN(""));
    assert_int_equal(result(&z, "192.0.2.1", "u@t.example"), SPF_TEMPERROR);
    /* An explanation that would break a reply or a header. */
    zone_txt(&z, "x.example", "v=spf1 -all exp=x1.example");
    zone_txt(&z, "x1.example", "go away\r\n250 fine");
    assert_null(check(&z, "192.0.2.1", "u@x.example").explanation.p);
    zone_txt(&z, "y.example", "v=spf1 -all exp=%{p}.x2.example");
    zone_txt(&z, "unknown.x2.example", "%{p} %{c}");
    assert_true(
        span_eq(check(&z, "192.0.2.1", "u@y.example").explanation, SPAN("unknown 192.0.2.1")));
    zone_free(&z);
}

static void senders(void **state)
{
    struct zone z;
    (void)state;
    zone_new(&z);
    zone_txt(&z, "xn--mnchen-3ya.example", "v=spf1 ip4:192.0.2.1 -all");
    assert_int_equal(result(&z, "192.0.2.1", "u@M\xc3\xbcnchen.example"), SPF_PASS);
    assert_int_equal(result(&z, "192.0.2.1", "u@single"), SPF_NONE);
    assert_int_equal(result(&z, "192.0.2.1", "u@[192.0.2.1]"), SPF_NONE);
    assert_int_equal(result(&z, "192.0.2.1", "u@bad..example"), SPF_NONE);
    assert_int_equal(result(&z, "192.0.2.1", "u@a b.example"), SPF_NONE);
    zone_txt(&z, "e.example", "v=spf1 exists:%{l}.%{o}.%{ir}.%{v}.%{dr-}.ok.example -all");
    zone_a(&z, "postmaster.e.example.1.2.0.192.in-addr.e.example.ok.example", "127.0.0.2");
    assert_int_equal(result(&z, "192.0.2.1", "@e.example"), SPF_PASS);
    assert_int_equal(result(&z, "192.0.2.1", "who@e.example"), SPF_FAIL);
    zone_free(&z);
}

static void pra(void **state)
{
    static const struct {
        const char *header, *pra;
    } rows[] = {
        {"From: A <a@a.example>\n\n", "a@a.example"},
        {"From: a@a.example\nSender: s@s.example\n\n", "s@s.example"},
        {"Resent-From: r@r.example\nFrom: a@a.example\nSender: s@s.example\n\n", "r@r.example"},
        {"Resent-Sender: t@t.example\nResent-From: r@r.example\nFrom: a@a.example\n\n",
         "t@t.example"},
        {"Resent-From: r@r.example\nReceived: by x\nResent-Sender: t@t.example\nFrom: "
         "a@a.example\n\n",
         "r@r.example"},
        {"From: a@a.example, b@b.example\n\n", NULL},
        {"From: a@a.example\nFrom: b@b.example\n\n", NULL},
        {"Sender: \nFrom: a@a.example\n\n", "a@a.example"},
        {"Subject: x\n\n", NULL},
    };
    struct arena *a = arena_new(0);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span got = spf_pra(a, span_str(rows[i].header));
        if ((rows[i].pra == NULL) != (got.p == NULL) || !span_eq(got, span_str(rows[i].pra)))
            fail_msg("%s: %.*s", rows[i].header, SPAN_ARG(got));
    }
    assert_true(spf_is_record(SPAN("spf2.0/mfrom,pra -all"), SPF_PRA));
    assert_false(spf_is_record(SPAN("spf2.0/mfrom -all"), SPF_PRA));
    assert_false(spf_is_record(SPAN("v=spf10 -all"), SPF_MFROM));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(basics),
        cmocka_unit_test(limits),
        cmocka_unit_test(long_records),
        cmocka_unit_test(broken_records),
        cmocka_unit_test(hostile_answers),
        cmocka_unit_test(senders),
        cmocka_unit_test(pra),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
