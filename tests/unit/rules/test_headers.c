#include "eval_fixture.h"

static const char mail[] =
    "Return-Path: <env@sender.example>\n"
    "Received: from a.example (unknown [203.0.113.9]) by mx.example.net (Postfix) with ESMTP id "
    "A1B2;\n"
    "\tMon, 2 Jun 2020 10:00:00 +0000\n"
    "Received: from b.example (b.example [198.51.100.7]) by a.example (Postfix) with ESMTP\n"
    " id C3D4 for <bob@b.example>; Mon, 2 Jun 2020 09:59:00 +0000\n"
    "X-Spam-Status: No, forged\n"
    "From: \"O'Brien, Bob\" <Bob@Mail.Example.co.uk>, foo@y.com (Foo Bar)\n"
    "To: 'Joe'  Smith <joe@x.com>\n"
    "Cc: sue@x.com\n"
    "Subject: =?utf-8?Q?H=C3=A9llo?=\n"
    " =?utf-8?B?IHdvcmxk?=\n"
    "Message-Id: <123@host.example.com>\n"
    "X-Original-Message-ID: <old@host.example.com>\n"
    "Empty:\n"
    "SUBJECT: two\n"
    "\n"
    "body\n";

static void requests_see_what_spamassassin_sees(void **state)
{
    (void)state;
    static const struct {
        const char *request, *want; /* NULL: absent */
    } t[] = {
        {"Subject", "H\xc3\xa9llo world\ntwo\n"},
        {"subject:last", "two\n"},
        {"Subject:raw", " =?utf-8?Q?H=C3=A9llo?=\n =?utf-8?B?IHdvcmxk?=\n two\n"},
        {"From:addr", "Bob@Mail.Example.co.uk\nfoo@y.com"},
        {"From:name", "O'Brien, Bob\nFoo Bar"},
        {"From:addr:host", "Mail.Example.co.uk\ny.com"},
        {"From:addr:domain", "example.co.uk\ny.com"},
        {"To:name", "'Joe' Smith"},
        {"ToCc", "'Joe'  Smith <joe@x.com>\nsue@x.com\n"},
        {"ToCc:addr", "joe@x.com\nsue@x.com"},
        {"MESSAGEID", "<old@host.example.com>\n<123@host.example.com>\n"},
        {"messageid", NULL},
        {"Message-Id:host", "host.example.com"},
        {"Received:first:ip", "203.0.113.9"},
        {"Received:revip", "9.113.0.203\n7.100.51.198"},
        {"EnvelopeFrom", "env@sender.example"},
        {"X-SenderDomain", "sender.example"},
        {"Empty", "\n"},
        {"Nowhere", NULL},
        {"X-Spam-Status", NULL},
        {"X-Spam-Relays-Trusted", ""},
        {"X-Spam-Relays-External",
         "[ ip=203.0.113.9 rdns= helo=a.example by=mx.example.net ident= envfrom= intl=0 id=A1B2 "
         "auth= msa=0 ] [ ip=198.51.100.7 rdns=b.example helo=b.example by=a.example ident= "
         "envfrom= "
         "intl=0 id=C3D4 auth= msa=0 ]"},
        {"ALL-TRUSTED", "Return-Path: <env@sender.example>\n"
                        "Received: from a.example (unknown [203.0.113.9]) by mx.example.net "
                        "(Postfix) with ESMTP id "
                        "A1B2; Mon, 2 Jun 2020 10:00:00 +0000\n"},
    };
    struct fixture f;
    fixture_conf(&f, "");
    fixture_headers(&f, span_str(mail));
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct header_req r;
        struct span got;
        assert_true(header_req_parse(f.arena, span_str(t[i].request), &r));
        bool there = header_get(&f.c, &r, &got);
        if (there != (t[i].want != NULL) || (there && !span_eq(got, span_str(t[i].want))))
            fail_msg("%s: got \"%s\"", t[i].request, there ? arena_cstr(f.arena, got) : "nothing");
    }
    fixture_end(&f);
}

static void all_holds_no_spam_headers_and_all_raw_does(void **state)
{
    (void)state;
    struct fixture f;
    fixture_conf(&f, "");
    fixture_headers(&f, span_str(mail));
    assert_true(span_search(header_scalar(&f.c, "ALL"), SPAN("X-Spam")) == SIZE_MAX);
    assert_true(span_search(header_scalar(&f.c, "ALL:raw"), SPAN("\nX-Spam-Status: No")) !=
                SIZE_MAX);
    assert_true(
        span_starts(header_scalar(&f.c, "ALL-UNTRUSTED"), SPAN("Received: from a.example")));
    assert_true(f.c.fetched_all);
    fixture_end(&f);
}

static void scalars_are_first_addresses(void **state)
{
    (void)state;
    struct fixture f;
    fixture_conf(&f, "");
    fixture_headers(&f, span_str(mail));
    assert_true(span_eq(header_scalar(&f.c, "From:addr"), SPAN("Bob@Mail.Example.co.uk")));
    assert_true(span_eq(header_scalar(&f.c, "Subject:last"), SPAN("two\n")));
    assert_null(header_scalar_or_none(&f.c, "Nowhere").p);
    struct header_req r;
    assert_false(header_req_parse(f.arena, SPAN("From:nonsense"), &r));
    fixture_end(&f);
}

static void senders_and_recipients(void **state)
{
    (void)state;
    struct fixture f;
    size_t n;
    fixture_conf(&f, "");
    fixture_headers(&f, span_str(mail));
    struct span *v = header_all_from(&f.c, &n);
    assert_int_equal(n, 3);
    assert_true(span_eq(v[2], SPAN("env@sender.example")));
    v = header_all_to(&f.c, &n);
    assert_int_equal(n, 3);
    assert_true(span_eq(v[0], SPAN("bob@b.example"))); /* from the Received line */
    fixture_headers(
        &f, SPAN("Resent-From: r@x.com\nFrom: a@x.com\nResent-To: t@x.com\nTo: u@x.com\n\n"));
    v = header_all_from(&f.c, &n);
    assert_true(n == 1 && span_eq(v[0], SPAN("r@x.com")));
    v = header_all_to(&f.c, &n);
    assert_true(n == 1 && span_eq(v[0], SPAN("t@x.com")));
    fixture_end(&f);
}

static void envelope_sender(void **state)
{
    (void)state;
    static const struct {
        const char *headers, *want; /* NULL: none */
    } t[] = {
        {"Return-Path: <a@x.com>\nFrom: b@x.com\n\n", "a@x.com"},
        {"Received: x\nReturn-Path: <a@x.com>\n\n", NULL},
        {"Return-Path: <>\n\n", NULL},
        {"X-Envelope-From: <c@x.com>\nReturn-Path: <a@x.com>\n\n", "c@x.com"},
        {"Received: x\nX-Envelope-From: <c@x.com>\n\nReturn-Path: <a@x.com>\n\n", NULL},
        {"Envelope-Sender: <d@x.com>\nReturn-Path: <a@x.com>\n\n", "d@x.com"},
        {"Received: from h (r.example [198.51.100.7]) by m.example (8.1/8.1) with ESMTP id h2F "
         "(envelope-from e@x.com)\nReturn-Path: <a@x.com>\n\n",
         "e@x.com"},
        {"X-Sender: s@x.com\nReturn-Path: <a@x.com>\nReceived: from localhost by x "
         "(fetchmail-5)\n\n",
         NULL},
    };
    struct fixture f;
    fixture_conf(&f, "");
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        fixture_headers(&f, span_str(t[i].headers));
        struct span got = header_envelope_from(&f.c);
        if ((got.p != NULL) != (t[i].want != NULL) ||
            (t[i].want && !span_eq(got, span_str(t[i].want))))
            fail_msg("%s", t[i].headers);
    }
    fixture_headers(&f, span_str(t[0].headers));
    f.m.has_envelope = true;
    f.m.env.from = SPAN("real@x.com");
    assert_true(span_eq(header_envelope_from(&f.c), SPAN("real@x.com")));
    fixture_headers(&f, span_str(t[0].headers));
    f.m.has_envelope = true;
    f.m.env.from = SPAN("");
    assert_true(header_envelope_from(&f.c).p && header_envelope_from(&f.c).n == 0);
    fixture_end(&f);
}

static void a_configured_envelope_header_is_the_only_source(void **state)
{
    (void)state;
    struct fixture f;
    fixture_conf(&f, "envelope_sender_header X-From-Line\n");
    fixture_headers(&f, SPAN("X-From-Line: <l@x.com>\nReturn-Path: <a@x.com>\n\n"));
    assert_true(span_eq(header_envelope_from(&f.c), SPAN("l@x.com")));
    fixture_headers(&f, SPAN("Return-Path: <a@x.com>\n\n"));
    assert_null(header_envelope_from(&f.c).p);
    fixture_end(&f);
}

static void all_is_cut_at_its_limit(void **state)
{
    (void)state;
    static char big[80000];
    size_t n = 0;
    for (int i = 0; n + 8100 < sizeof big; i++) {
        n += (size_t)snprintf(big + n, sizeof big - n, "Long: ");
        memset(big + n, 'a' + i % 26, 8000);
        n += 8000;
        n += (size_t)snprintf(big + n, sizeof big - n, "\nShort: %d\n", i);
    }
    struct fixture f;
    fixture_conf(&f, "");
    fixture_headers(&f, span_of(big, n));
    assert_true(header_all(&f.c).n <= 65536);
    assert_true(eval_state(&f.c)->all_truncated);
    fixture_end(&f);
}

static void domains_by_the_tables(void **state)
{
    (void)state;
    static const struct {
        const char *host, *want;
    } t[] = {
        {"www.example.com", "example.com"},
        {"a.b.example.co.uk", "example.co.uk"},
        {"co.uk", "co.uk"},
        {"x.y.demon.co.uk", "y.demon.co.uk"},
        {"Fire-Dept.CI.Los-Angeles.CA.US", "fire-dept.ci.los-angeles.ca.us"},
        {"www.dept.ca.us", "www.dept.ca.us"},
        {"www..example.com.", "example.com"},
        {"single", "single"},
    };
    struct fixture f;
    fixture_conf(&f, "");
    fixture_headers(&f, SPAN("\n"));
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct span got = ctx_registered_domain(&f.c, span_str(t[i].host));
        if (!span_eq(got, span_str(t[i].want)))
            fail_msg("%s: %s", t[i].host, arena_cstr(f.arena, got));
    }
    fixture_end(&f);
}

static struct rules_ctx asking(struct fixture *f, struct header_requests *h, const char *text)
{
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    struct rules_ctx c = {.conf = f->conf, .m = &f->m, .a = f->arena, .headers = h};
    c.mime = mime_parse(f->arena, span_str(text), &limits);
    c.relays = relays_parse(c.mime, &f->conf->relays, NULL);
    return c;
}

static void check_scalar(struct rules_ctx *c, const char *request, const char *want)
{
    struct span got = header_scalar(c, request);
    if (!span_eq(got, span_str(want)))
        fail_msg("%s: \"%.*s\"", request, SPAN_ARG(got));
}

/* Two messages that take turns share what is known of requests, never answers. */
static void answers_belong_to_one_message(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    struct fixture f;
    fixture_conf(&f, "");
    fixture_headers(&f, SPAN("\n"));
    struct header_requests *h = header_requests_new();
    struct rules_ctx one = asking(&f, h, "From: A <a@one.example>\nSubject: first\n\n");
    struct rules_ctx two = asking(&f, h, "From: B <b@two.example>\n\n");
    for (int i = 0; i < 3; i++) {
        check_scalar(&one, "From:addr", "a@one.example");
        check_scalar(&two, "From:addr", "b@two.example");
        check_scalar(&one, "From:name", "A");
        check_scalar(&one, "Subject", "first\n");
        check_scalar(&two, "Subject", "");
        check_scalar(&two, "From:addr:host", "two.example");
    }
    for (unsigned i = 0; i < MANY; i++) { /* alike at both ends */
        struct span name = arena_printf(f.arena, "X-Header-%u-of-many", i);
        assert_int_equal(header_scalar_of(&one, header_key(name)).n, 0);
    }
    check_scalar(&one, "Subject", "first\n");
    struct rules_ctx three = asking(&f, h, "X-Header-7-of-many: seven\nSubject: third\n\n");
    check_scalar(&three, "X-Header-7-of-many", "seven\n");
    check_scalar(&three, "X-Header-8-of-many", "");
    check_scalar(&three, "Subject", "third\n");
    check_scalar(&two, "From:addr", "b@two.example");
    header_requests_free(h);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_see_what_spamassassin_sees),
        cmocka_unit_test(all_holds_no_spam_headers_and_all_raw_does),
        cmocka_unit_test(scalars_are_first_addresses),
        cmocka_unit_test(senders_and_recipients),
        cmocka_unit_test(envelope_sender),
        cmocka_unit_test(a_configured_envelope_header_is_the_only_source),
        cmocka_unit_test(all_is_cut_at_its_limit),
        cmocka_unit_test(domains_by_the_tables),
        cmocka_unit_test(answers_belong_to_one_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
