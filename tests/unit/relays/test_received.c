#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "relays/ip_pattern.h"
#include "relays/relays_private.h"

#define IGNORED     "ignored"
#define FETCHED     "fetched"
#define UNPARSEABLE "unparseable"

/* What each program writes, and what is read out of it: ip rdns helo by ident envfrom id auth,
 * then a mark when the program would have told a reverse name. */
static const struct {
    const char *line, *want;
} table[] = {
    {"from mail.example.org (unknown [203.0.113.9]) by mx.local.net (Postfix) with ESMTPS id "
     "ABC123 "
     "for <u@local.net>; Tue, 2 Jun 2020 10:00:00 +0000",
     "203.0.113.9||mail.example.org|mx.local.net|||ABC123||nodns"},
    {"from a.example (b.example[203.0.113.9]) by mx.local.net (Postfix) with ESMTP id A1B",
     "203.0.113.9|b.example|a.example|mx.local.net|||A1B|"},
    {"from [192.168.1.5] (helo=foo.bar) by smtp.example.org with esmtpsa (Exim 4.94) "
     "(envelope-from <joe@example.org>) id 1abcDE-0001ab-2c; Tue, 2 Jun 2020 10:00:00 +0000",
     "192.168.1.5||foo.bar|smtp.example.org||joe@example.org|1abcDE-0001ab-2c|esmtpsa"},
    {"from web (HELO [10.0.0.1]) (bob@198.51.100.7) by relay.example.org with SMTP; 2 Jun 2020 "
     "10:00:00 -0000",
     "198.51.100.7|web|!10.0.0.1!|relay.example.org|bob|||"},
    {"from host.example ([198.51.100.7] helo=h.example ident=joe) by mx.example with esmtp (Exim "
     "4.1) id 1a",
     "198.51.100.7|host.example|h.example|mx.example|joe|||"},
    {"from odd.example (h.example) [198.51.100.7.99] (mail) by mx.example with esmtp (Exim 3) id "
     "123",
     "198.51.100.7|odd.example|h.example|mx.example|||123|"},
    /* dates at the end: without weekday, without seconds, behind one semicolon or many, and what is
     * none */
    {"from a.example [203.0.113.9] by mx.example with SMTP id ABC1;2 Jun 2020 10:00 GMT",
     "203.0.113.9||a.example|mx.example|||ABC1|"},
    {"from a.example [203.0.113.9] by mx.example with SMTP for;; Tue, 2 Jun 2020 10:00:00 +0000",
     "203.0.113.9||a.example|mx.example||||"},
    {"from a.example [203.0.113.9] by mx.example;Tue, 2 Jun 2020 10:00:00 +0000",
     "203.0.113.9||a.example|mx.example||||"},
    {"from a.example [203.0.113.9] by mx.example;Tue, 2 Juni 2020 10:00:00 +0000",
     "203.0.113.9||a.example|mx.example;Tue,||||"},
    {"from root by host.example with local (Exim 4.1) id 1abc", IGNORED},
    {"from mx ([198.51.100.7]) by ms.example with Microsoft SMTPSVC(5.0); Tue, 2 Jun 2020 10:00:00 "
     "+0000",
     "198.51.100.7||mx|ms.example||||"},
    {"from mail pickup service by ms.example with Microsoft SMTPSVC; Tue, 2 Jun 2020 10:00:00 "
     "+0000",
     IGNORED},
    {"from A.example ([fe80::19bd:c588:dd17:5226%6]) by B.example ([fe80::1%6]) with mapi id "
     "15.20.1943.023; Wed, 5 Jun 2019 10:17:08 +0000",
     "fe80::19bd:c588:dd17:5226||A.example|B.example||||"},
    {"from l.example (198.51.100.7:23198) by mx.example with [XMail 1.20 ESMTP Server] id <S72E> "
     "for <j@e.example> from <b@l.example>; Sat, 18 Sep 2004 23:17:54 -0500",
     "198.51.100.7||l.example|mx.example||b@l.example|S72E|"},
    {"from ([198.51.100.7:49601] helo=d.example) by m.example (ecelerity 2.1) with ESMTP id 52/92",
     "198.51.100.7||d.example|m.example|||52/92|"},
    {"from h (IDENT:joe@r.example [198.51.100.7] (may be forged)) by mx.example (8.11.6/8.11.6) "
     "with "
     "ESMTP id h2F",
     "198.51.100.7|r.example|h|mx.example|joe||h2F|"},
    {"from h (r.example [198.51.100.7]) (authenticated bits=0) by mx.example (8.12.6) with ESMTP "
     "id "
     "g9M",
     "198.51.100.7|r.example|h|mx.example|||g9M|Sendmail"},
    {"from h (softdnserr [::ffff:198.51.100.7]) by mx.example with esmtp",
     "198.51.100.7||h|mx.example||||"},
    {"from r.example (LHLO h.example) (10.2.2.20) by s.example with LMTP",
     "10.2.2.20|r.example|h.example|s.example||||"},
    {"from unknown (HELO h.example) (jd@[198.51.100.7]) (envelope-sender <jd@f.example>) by "
     "m.example "
     "(qmail-ldap-1.03) with SMTP for <u@l.example>",
     "198.51.100.7||h.example|m.example|jd|jd@f.example||"},
    {"from r.example (198.51.100.7) by m.example with SMTP",
     "198.51.100.7|r.example|r.example|m.example||||"},
    {"from acme [198.51.100.7] by m.example [203.0.113.1] with SMTP (MDaemon)",
     "198.51.100.7||acme|m.example|||||nodns"},
    {"from h.example [127.0.0.1] by localhost with IMAP (fetchmail-5.9.0) for u@localhost",
     FETCHED},
    {"from p.example (198.51.100.7) by m.example with POP3", FETCHED},
    {"from r.example(198.51.100.7) by m.example via smap (V1.3) id xma093673",
     "198.51.100.7|r.example||m.example|||xma093673|"},
    {"from UNKNOWN(198.51.100.7), claiming to be \"h.example\" via SMTP by m.example, id smtpd1",
     "198.51.100.7||h.example|m.example|||smtpd1|"},
    {"from me (joe@198.51.100.7 with login) by smtp1.mail.yahoo.com with SMTP",
     "198.51.100.7||me|smtp1.mail.yahoo.com||||"},
    {"from X-Originating-IP: 198.51.100.7", "198.51.100.7|||||||"},
    {"from [198.51.100.7] (account joe HELO [10.0.0.2]) by m.example (CommuniGate Pro SMTP 3.5.7) "
     "with ESMTP id 2088434",
     "198.51.100.7||!10.0.0.2!|m.example|||2088434|Communigate"},
    {"from web (198.51.100.7) by 2001:db8::1 with HTTPS; Tue, 2 Jun 2020 10:00:00 +0000",
     "198.51.100.7|web|web|2001:db8::1||||HTTPS"},
    {"from h ([198.51.100.7]) by smtp.gmail.com with ESMTPSA id 12sm345abc.1.2020.06.02.10.00.00",
     "198.51.100.7||h|smtp.gmail.com|||12sm345abc.1.2020.06.02.10.00.00|ESMTPSA|nodns"},
    {"from h ([198.51.100.7]) by mx.google.com with ESMTPS id 12sm345abc.1.2020.06.02.10.00.00 "
     "(version=TLS1_2 cipher=AES128)",
     "198.51.100.7||h|mx.google.com|||12sm345abc.1.2020.06.02.10.00.00|GMail - transport=TLS1_2 "
     "cipher=AES128|nodns"},
    {"from h (r.example [198.51.100.7]) (Authenticated sender: joe) by m.example (Mail) with ESMTP "
     "id "
     "AB1",
     "198.51.100.7|r.example|h|m.example|||AB1|Postfix (Mail)"},
    {"FROM h (r.example [198.51.100.7]) BY m.example ID 434B508E.174A6.13932 ; 11 Oct 2005 "
     "01:41:34 "
     "-0400",
     "198.51.100.7|r.example|h|m.example|||434B508E.174A6.13932|"},
    {"(from localhost [198.51.100.7]) by m.example (NAVGW 2.5.2.12) with SMTP id M2006",
     "198.51.100.7||localhost|m.example|||M2006|"},
    {"(from joe@localhost) by m.example (8.12.11/8.12.11/Submit) id iBAD", IGNORED},
    {"(qmail 27981 invoked by uid 225); 14 Mar 2003 07:24:34 -0000", IGNORED},
    {"by m.example (Postfix, from userid 1002) id DABB", IGNORED},
    {"from a.example by b.example ; Thu, 20 Feb 2003 23:32:58 +0100", IGNORED},
    {"from [198.51.100.7] by b.example ; Thu, 20 Feb 2003 23:32:58 +0100",
     "198.51.100.7||!198.51.100.7!|b.example||||"},
    {"from localhost (localhost [127.0.0.1]) by m.example with local; Tue, 7 Jan 2003 11:40:47 "
     "-0600",
     "127.0.0.1|localhost|localhost|m.example||||"},
    {"from 1234 named unknown by gmailapi.google.com with HTTPREST; Wed, 6 Mar 2019 03:39:24 -0500",
     IGNORED},
    {"from x.example by y.example with SMTP id abcd", IGNORED},
    {"from nothing to see here", UNPARSEABLE},
    {"from here [198.51.100.7] but nobody tells who", UNPARSEABLE},
    {"from x [198.51.100.7] over to by=z by m.example! end", "198.51.100.7||x|m.example!||||"},
    {"FrOm a [198.51.100.7] by m.example x", "198.51.100.7|||m.example||||"},
};

static struct span show(struct arena *a, enum received_result result, const struct relay *r)
{
    switch (result) {
    case RECEIVED_IGNORED:
        return SPAN(IGNORED);
    case RECEIVED_FETCHED:
        return SPAN(FETCHED);
    case RECEIVED_UNPARSEABLE:
        return SPAN(UNPARSEABLE);
    case RECEIVED_RELAY:
        break;
    }
    return arena_printf(a, "%.*s|%.*s|%.*s|%.*s|%.*s|%.*s|%.*s|%.*s%s", SPAN_ARG(r->ip),
                        SPAN_ARG(r->rdns), SPAN_ARG(r->helo), SPAN_ARG(r->by), SPAN_ARG(r->ident),
                        SPAN_ARG(r->envfrom), SPAN_ARG(r->id), SPAN_ARG(r->auth),
                        r->no_reverse_dns ? "|nodns" : "");
}

static void lines_of_known_programs(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct template_match m = {.arena = a};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct relay r;
        struct received_carry carry = {0};
        struct span got = show(a, received_parse(&m, span_str(table[i].line), &r, &carry), &r);
        struct span want = span_str(table[i].want);
        if (!span_eq(got, want))
            fail_msg("%s\n  got  %s\n  want %s", table[i].line, arena_cstr(a, got), table[i].want);
    }
    arena_free(a);
}

static void scanner_line_hands_its_sender_on(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct template_match m = {.arena = a};
    struct relay r;
    struct received_carry carry = {0};
    assert_int_equal(
        received_parse(&m,
                       SPAN("from 198.51.100.7 by m.example (envelope-from <joe@e.example>, "
                            "uid 502) with qmail-scanner-1.24 (clean)"),
                       &r, &carry),
        RECEIVED_IGNORED);
    assert_true(span_eq(carry.envfrom, SPAN("joe@e.example")));
    arena_free(a);
}

static void hostile_lines_take_linear_time(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct template_match m = {.arena = a};
    static const char *const bits[] = {"@1.1.1.1) ", "([1.1.1.1]) by ", "authenticated) (",
                                       " (HELO x) (a@[1.1.1.1]) (",
                                       ") by x (1.1.111) (authenticated as "};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        char line[8192];
        size_t n = 0, size = strlen(bits[i]);
        memcpy(line, "from x (", 8);
        for (n = 8; n + size < sizeof line; n += size)
            memcpy(line + n, bits[i], size);
        struct relay r;
        struct received_carry carry = {0};
        clock_t start = clock();
        for (int k = 0; k < 20; k++)
            received_parse(&m, span_of(line, n), &r, &carry);
        /* a square of 8192 steps for each template would take minutes */
        assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 4);
    }
    arena_free(a);
}

static void addresses_in_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } t[] = {
        {"x 192.0.2.1 y", "192.0.2.1"},
        {"192.0.2.256", NULL},
        {"192.0.2.07", NULL},
        {"a192.0.2.1", NULL},
        {"1.192.0.2.7", "1.192.0.2"},
        {"::1", "::1"},
        {"[IPv6:2001:db8::1]", "IPv6:2001:db8::1"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"},
        {"2001:db8:1:2:3:4:5:6:7", NULL},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
        {"1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:192.0.2.1"},
        {"1::2::3", NULL},
        {"12345::1", NULL},
        {"no address", NULL},
        {":192.0.2.1", NULL},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct span got;
        bool found = ip_pattern_find(span_str(t[i].text), 0, &got);
        if (found != (t[i].want != NULL) || (found && !span_eq(got, span_str(t[i].want))))
            fail_msg("%s: found %d", t[i].text, found);
    }
    assert_true(ip_pattern_private(SPAN("10.1.2.3")) && ip_pattern_private(SPAN("100.64.0.1")) &&
                ip_pattern_private(SPAN("::ffff:192.168.0.1")) && ip_pattern_private(SPAN("::1")) &&
                ip_pattern_private(SPAN("fe9f::1")) && ip_pattern_private(SPAN("172.31.0.1")));
    assert_false(ip_pattern_private(SPAN("11.0.0.1")) || ip_pattern_private(SPAN("100.128.0.1")) ||
                 ip_pattern_private(SPAN("fd00::1")) || ip_pattern_private(SPAN("172.32.0.1")));
}

static void networks(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct netset s = {0};
    assert_true(netset_add(&s, a, SPAN("!10.1.0.0/16")));
    assert_true(netset_add(&s, a, SPAN("10")));
    assert_true(netset_add(&s, a, SPAN("10.1.2.3"))); /* lies in the first one: not added */
    assert_true(netset_add(&s, a, SPAN("192.168.1.0/255.255.255.0")));
    assert_true(netset_add(&s, a, SPAN("[2001:db8::%eth0]/32")));
    assert_int_equal(s.n, 4);
    assert_false(netset_add(&s, a, SPAN("10.0.0.0/33")) || netset_add(&s, a, SPAN("300")) ||
                 netset_add(&s, a, SPAN("host.example")) || netset_add(&s, a, SPAN("1.2.3.4.5")) ||
                 netset_add(&s, a, SPAN("10.0.0.0/255.0.255.0")) || netset_add(&s, a, SPAN("")));
    assert_true(netset_has(&s, SPAN("10.2.0.1")) && netset_has(&s, SPAN("::ffff:10.2.0.1")) &&
                netset_has(&s, SPAN("2001:db8:ffff::1")) && netset_has(&s, SPAN("192.168.1.255")));
    assert_false(netset_has(&s, SPAN("10.1.2.3")) || netset_has(&s, SPAN("192.168.2.1")) ||
                 netset_has(&s, SPAN("2001:db9::1")) || netset_has(&s, SPAN("")));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_known_programs),
        cmocka_unit_test(scanner_line_hands_its_sender_on),
        cmocka_unit_test(hostile_lines_take_linear_time),
        cmocka_unit_test(addresses_in_text),
        cmocka_unit_test(networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
