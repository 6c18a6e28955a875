/* Reports to senders (RFC 3464, 3461, 6533). */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "deliver/report.h"

static struct rcpt rcpts[] = {{.addr = {"no@example.org", 14}},
                              {.addr = {"j\xc3\xb6rg@example.org", 17}}};

static struct queue_meta meta(void)
{
    struct queue_meta m = {.id = "0000000000000001", .created = 1000000};
    m.env.from = SPAN("alice@example.net");
    m.env.rcpts = rcpts;
    m.env.nrcpts = 2;
    return m;
}

/* The boundary is random; from here on it is "=_REPORT". */
static void name_boundary(struct buf *b)
{
    static const char parameter[] = "boundary=\"";
    size_t at = span_search(buf_span(b), SPAN("boundary=\"")) + sizeof parameter - 1;
    struct span rest = buf_span(b);
    struct span old = span_sub(rest, at, at + span_find(span_from(rest, at), '"'));
    assert_true(span_starts(old, SPAN("=_")) && old.n >= 30);
    struct buf out = {0};
    for (size_t n; (n = span_search(rest, old)) != SIZE_MAX; rest = span_from(rest, n + old.n)) {
        buf_add(&out, span_sub(rest, 0, n));
        buf_str(&out, "=_REPORT");
    }
    buf_add(&out, rest);
    buf_free(b);
    *b = out;
}

static struct buf composed(enum report_kind kind, const struct queue_meta *m, struct failed *v,
                           size_t n, struct span original, bool whole)
{
    struct report r = {.kind = kind,
                       .hostname = "gate.test",
                       .from = "postmaster@gate.test",
                       .id = "REPORT",
                       .now = 5000000,
                       .expires = 9000000,
                       .meta = m,
                       .v = v,
                       .n = n,
                       .where = SPAN("[192.0.2.1]:25"),
                       .original = original,
                       .whole = whole};
    struct buf b = {0};
    report_compose(&r, &b);
    name_boundary(&b);
    buf_char(&b, 0);
    return b;
}

/* Every line ends in CRLF, nothing is bare, and no line is longer than RFC 5322 allows. */
static void well_formed(const struct buf *b)
{
    struct span rest = span_of(b->p, b->n - 1), line;
    assert_true(span_ends(rest, SPAN("--=_REPORT--\r\n")));
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] == '\n')
            assert_true(i > 0 && rest.p[i - 1] == '\r');
        if (rest.p[i] == '\r')
            assert_true(rest.p[i + 1] == '\n');
    }
    while (span_line(&rest, &line))
        assert_in_range(line.n, 0, 998);
}

static void a_failure(void **state)
{
    (void)state;
    struct queue_meta m = meta();
    struct failed v[] = {{0, SPAN("550 5.1.1 nobody\r\nSubject: forged\n")}};
    struct buf b =
        composed(REPORT_FAILED, &m, v, 1, SPAN("Subject: s\r\nX: y\r\n\r\nthe body\r\n"), false);
    well_formed(&b);
    assert_non_null(strstr(b.p, "\r\nTo: <alice@example.net>\r\n"));
    assert_non_null(strstr(b.p, "\r\nAuto-Submitted: auto-replied\r\n"));
    assert_non_null(strstr(b.p, "report-type=delivery-status"));
    assert_non_null(strstr(b.p, "\r\nFinal-Recipient: rfc822; no@example.org\r\n"
                                "Action: failed\r\nStatus: 5.1.1\r\n"
                                "Remote-MTA: dns; [192.0.2.1]\r\n"));
    /* What the next hop says can't begin a line of ours. */
    assert_null(strstr(b.p, "\nSubject: forged"));
    assert_non_null(
        strstr(b.p, "text/rfc822-headers\r\n\r\nSubject: s\r\nX: y\r\n\r\n--=_REPORT--"));
    assert_null(strstr(b.p, "the body"));
    buf_free(&b);
}

/* Fields are folded at white space and never longer than a line may be. */
static void long_replies_are_folded(void **state)
{
    (void)state;
    struct queue_meta m = meta();
    struct buf reply = {0}, solid = {0};
    buf_str(&reply, "550 5.7.1");
    while (reply.n < 900)
        buf_str(&reply, " refused for a reason");
    buf_str(&solid, "550 5.7.1 ");
    while (solid.n < 3000)
        buf_char(&solid, 'x');
    struct failed v[] = {{0, buf_span(&reply)}, {0, buf_span(&solid)}};
    struct buf b = composed(REPORT_FAILED, &m, v, 2, SPAN("Subject: s\r\n\r\n"), false);
    well_formed(&b);
    const char *code = strstr(b.p, "Diagnostic-Code: smtp; 550 5.7.1 refused");
    assert_non_null(code);
    assert_in_range(strstr(code, "\r\n ") - code, 40, 78);
    buf_free(&b);
    buf_free(&reply);
    buf_free(&solid);
}

static void a_delay_and_a_relay(void **state)
{
    (void)state;
    struct queue_meta m = meta();
    struct failed v[] = {{0, SPAN("450 hm")}};
    struct buf b = composed(REPORT_DELAYED, &m, v, 1, SPAN("Subject: s\r\n\r\n"), false);
    well_formed(&b);
    assert_non_null(strstr(b.p, "Action: delayed\r\nStatus: 4.0.0\r\n"));
    assert_non_null(strstr(b.p, "\r\nWill-Retry-Until: "));
    buf_free(&b);
    v[0].reply = SPAN("250 2.1.5 taken");
    b = composed(REPORT_RELAYED, &m, v, 1, SPAN("Subject: s\r\n\r\n"), false);
    well_formed(&b);
    assert_non_null(strstr(b.p, "Action: relayed\r\nStatus: 2.1.5\r\n"));
    buf_free(&b);
}

static void internationalized_addresses(void **state)
{
    (void)state;
    struct queue_meta m = meta();
    struct failed v[] = {{1, SPAN("550 5.6.7 no SMTPUTF8")}};
    struct buf b = composed(REPORT_FAILED, &m, v, 1, SPAN("Subject: s\r\n\r\n"), false);
    well_formed(&b);
    assert_non_null(strstr(b.p, "report-type=global-delivery-status"));
    assert_non_null(strstr(b.p, "Content-Type: message/global-delivery-status\r\n"));
    assert_non_null(strstr(b.p, "Final-Recipient: utf-8; j\xc3\xb6rg@example.org\r\n"));
    buf_free(&b);
}

static void the_whole_message_when_asked(void **state)
{
    (void)state;
    struct queue_meta m = meta();
    struct failed v[] = {{0, SPAN("550 no")}};
    struct buf b =
        composed(REPORT_FAILED, &m, v, 1, SPAN("Subject: s\r\n\r\ngr\xc3\xbc\xc3\x9f"), true);
    well_formed(&b);
    assert_non_null(strstr(b.p, "Content-Type: message/rfc822\r\n"
                                "Content-Transfer-Encoding: 8bit\r\n\r\n"
                                "Subject: s\r\n\r\ngr\xc3\xbc\xc3\x9f\r\n"));
    buf_free(&b);
}

static void a_huge_header_is_cut_at_a_line(void **state)
{
    (void)state;
    struct queue_meta m = meta();
    struct failed v[] = {{0, SPAN("550 no")}};
    struct buf header = {0};
    while (header.n < 200000)
        buf_str(&header, "X-Filler: 0123456789 0123456789\r\n");
    struct buf b = composed(REPORT_FAILED, &m, v, 1, buf_span(&header), false);
    well_formed(&b);
    assert_in_range(b.n, 60000, 70000);
    assert_non_null(strstr(b.p, "0123456789\r\n\r\n--=_REPORT--"));
    buf_free(&b);
    buf_free(&header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure),
        cmocka_unit_test(long_replies_are_folded),
        cmocka_unit_test(a_delay_and_a_relay),
        cmocka_unit_test(internationalized_addresses),
        cmocka_unit_test(the_whole_message_when_asked),
        cmocka_unit_test(a_huge_header_is_cut_at_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
