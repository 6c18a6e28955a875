#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "flow/frames.h"

static struct store_request sample(struct arena *a)
{
    struct store_request r = {.scanned = true};
    id_new(r.req.id);
    memcpy(r.result.id, r.req.id, sizeof r.result.id);
    r.req.received = 1234567;
    r.req.crashes = 2;
    r.req.env.from = SPAN("alice@example.net");
    r.req.env.nrcpts = 3;
    r.req.env.rcpts = arena_array(a, 3, sizeof *r.req.env.rcpts);
    r.req.env.rcpts[0].addr = SPAN("bob@example.org");
    r.req.env.rcpts[1] = (struct rcpt){SPAN("carol@example.org"), SPAN("rfc822;c@x"), NOTIFY_DELAY};
    r.req.env.rcpts[2].addr = SPAN("dan@example.org");
    r.req.env.smtputf8 = true;
    r.req.peer.helo = SPAN("client.test");
    r.req.peer.has_ip = ip_parse(SPAN("192.0.2.1"), &r.req.peer.ip);
    r.result.score = 4.25;
    r.result.subject = SPAN("hello");
    r.result.receipt = SPAN("{\"a\":1}");
    r.result.ngroups = 2;
    r.result.groups = arena_array(a, 2, sizeof *r.result.groups);
    static uint32_t first[] = {0, 2}, second[] = {1};
    r.result.groups[0] = (struct group){.outcome = OUT_TAG,
                                        .policy = SPAN("default"),
                                        .reason = SPAN("spam"),
                                        .rcpts = first,
                                        .nrcpts = 2,
                                        .reply = SPAN("250 2.0.0 Ok")};
    static struct fact found[2];
    found[0] = (struct fact){"wall.lists", SPAN("zen.example=127.0.0.4*3 score=3")};
    found[1] = (struct fact){"wall.manners", SPAN("")};
    r.req.facts = found;
    r.req.nfacts = 2;
    r.result.spf_domain = SPAN("example.net");
    r.result.sign = span_of("a\0b", 3);
    splices_add(&r.result.groups[0].edits, a, 0, 0, SPAN("X-Spam-Flag: YES\r\n"));
    splices_add(&r.result.groups[0].edits, a, 100, 20, SPAN(""));
    r.result.groups[1] =
        (struct group){.outcome = OUT_HOLD, .policy = SPAN("strict"), .rcpts = second, .nrcpts = 1};
    r.req.want = WANT_HITS | SCAN_A_FILE;
    r.req.user = SPAN("bob");
    struct scan_hit *hits = arena_array(a, 2, sizeof *hits);
    hits[0] = (struct scan_hit){SPAN("RULE_A"), SPAN("what it means"), SPAN("bytes"), 1.5, 2};
    hits[1] = (struct scan_hit){SPAN("RULE_B"), SPAN(""), SPAN_NONE, -0.1, 1};
    r.result.answer = (struct scan_answer){.judged = true,
                                           .spam = true,
                                           .shown = SPAN("4.2"),
                                           .names = SPAN("RULE_A,RULE_B"),
                                           .group = 1,
                                           .hits = hits,
                                           .nhits = 2,
                                           .report = SPAN("a report\n"),
                                           .rewritten = true};
    splices_add(&r.result.answer.rewrite, a, 0, 3, SPAN("new"));
    return r;
}

static void a_request_comes_back_as_it_was(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct store_request in = sample(a), out;
    struct buf b = {0}, again = {0};
    store_request_encode(&b, &in);
    assert_true(store_request_decode(buf_span(&b), a, &out));
    assert_string_equal(out.req.id, in.req.id);
    assert_int_equal(out.req.env.nrcpts, 3);
    assert_true(span_eq(out.req.env.rcpts[1].orcpt, SPAN("rfc822;c@x")));
    assert_null(out.req.env.rcpts[0].orcpt.p);
    assert_int_equal(out.req.env.rcpts[1].notify, NOTIFY_DELAY);
    assert_true(out.req.env.smtputf8 && out.req.peer.has_ip);
    assert_null(out.result.virus.p);
    assert_int_equal(out.result.groups[0].edits.n, 2);
    assert_int_equal(out.result.groups[0].rcpts[1], 2);
    assert_int_equal(out.result.groups[1].outcome, OUT_HOLD);
    assert_true(out.result.score == 4.25);
    assert_int_equal(out.req.nfacts, 2);
    assert_string_equal(out.req.facts[0].name, "wall.lists");
    assert_true(span_eq(out.req.facts[0].value, in.req.facts[0].value));
    assert_true(span_eq(out.result.spf_domain, SPAN("example.net")));
    assert_true(span_eq(out.result.sign, span_of("a\0b", 3)));
    assert_true(span_eq(out.req.user, SPAN("bob")) && out.req.want == in.req.want);
    assert_int_equal(out.result.answer.nhits, 2);
    assert_true(span_eq(out.result.answer.hits[0].evidence, SPAN("bytes")));
    assert_true(out.result.answer.hits[1].score == -0.1 && !out.result.answer.hits[1].evidence.p);
    assert_int_equal(out.result.answer.rewrite.n, 1);
    store_request_encode(&again, &out);
    assert_true(span_eq(buf_span(&b), buf_span(&again)));
    buf_free(&b);
    buf_free(&again);
    arena_free(a);
}

static void a_cut_or_lengthened_request_is_refused(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct store_request in = sample(a), out;
    struct buf b = {0};
    store_request_encode(&b, &in);
    for (size_t n = 0; n < b.n; n++)
        assert_false(store_request_decode(span_of(b.p, n), a, &out));
    buf_char(&b, 'x');
    assert_false(store_request_decode(buf_span(&b), a, &out));
    buf_free(&b);
    arena_free(a);
}

static void what_is_known_waits_in_the_queue(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct store_request in = sample(a);
    struct scan_request out = {.env = in.req.env};
    struct policy_action hold = {.kind = ACTION_HOLD, .text = "for you"};
    in.req.said.asked = CALL_RELAY | CALL_RECIPIENT;
    said_recipient(&in.req.said, a, 2, &(struct saying){.actions = {&hold, 1}});
    struct buf b = {0};
    scan_known_encode(&b, &in.req);
    assert_true(scan_known_decode(buf_span(&b), a, &out));
    assert_int_equal(out.nfacts, 2);
    assert_string_equal(out.facts[0].name, "wall.lists");
    assert_int_equal(out.said.asked, in.req.said.asked);
    assert_int_equal(out.said.neach, 3);
    assert_string_equal(out.said.each[2].actions.v[0].text, "for you");
    /* Not that of another message, nor what an older or newer program has written. */
    struct scan_request other = {.env = {.nrcpts = 2}};
    assert_false(scan_known_decode(buf_span(&b), a, &other));
    for (size_t n = 0; n < b.n; n++)
        assert_false(scan_known_decode(span_of(b.p, n), a, &out));
    for (size_t i = 0; i < 2; i++) {
        b.p[i]++;
        assert_false(scan_known_decode(buf_span(&b), a, &out));
        b.p[i]--;
    }
    assert_int_equal(other.nfacts, 0);
    assert_int_equal(out.nfacts, 2); /* left as it was */
    buf_free(&b);
    arena_free(a);
}

static void groups_must_name_each_recipient_once(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct store_request in = sample(a), out;
    uint32_t beyond[] = {3};
    struct buf b = {0};
    in.result.groups[1].rcpts = beyond;
    store_request_encode(&b, &in);
    assert_false(store_request_decode(buf_span(&b), a, &out));
    buf_clear(&b);
    uint32_t twice[] = {0};
    in.result.groups[1].rcpts = twice;
    store_request_encode(&b, &in);
    assert_false(store_request_decode(buf_span(&b), a, &out));
    buf_clear(&b);
    in.result.ngroups = 1; /* carol would be forgotten */
    store_request_encode(&b, &in);
    assert_false(store_request_decode(buf_span(&b), a, &out));
    buf_free(&b);
    arena_free(a);
}

static void an_id_that_is_none_is_refused(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct store_request in = sample(a), out;
    struct buf b = {0};
    store_request_encode(&b, &in);
    memcpy(b.p, "../../etc/passwd", ID_LEN);
    assert_false(store_request_decode(buf_span(&b), a, &out));
    buf_free(&b);
    arena_free(a);
}

static struct saying wants_much(void)
{
    static const char *to[] = {"a@b.example", "c@d.example"};
    static struct policy_action v[] = {
        {.kind = ACTION_REJECT, .text = "550 5.7.1 no"},
        {.kind = ACTION_CHANGE_HEADER, .name = "X-A", .text = "b", .nth = 3},
        {.kind = ACTION_ADD_DISCLAIMER, .text = "t", .html = "<h>"},
        {.kind = ACTION_NOTIFY, .to = {to, 2}, .subject = "s", .text = "t"},
        {.kind = ACTION_DROP_PART, .part = 7},
    };
    return (struct saying){{v, 5}, true};
}

static void questions_to_the_script(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct buf b = {0};
    struct script_request in = {.call = CALL_RECIPIENT, .from = SPAN(""), .to = SPAN("a@b")}, out;
    in.peer.name = SPAN("client.example");
    id_new(in.id);
    script_request_encode(&b, &in);
    assert_true(script_request_decode(buf_span(&b), a, &out));
    assert_true(span_eq(out.to, in.to) && span_eq(out.peer.name, in.peer.name) && out.from.p);
    assert_null(out.map.p);
    for (size_t n = 0; n < b.n; n++)
        assert_false(script_request_decode(span_of(b.p, n), a, &out));
    b.p[ID_LEN] = CALL_RELAY | CALL_HELO; /* one at a time */
    assert_false(script_request_decode(buf_span(&b), a, &out));
    b.p[ID_LEN] = CALL_MAP; /* which? */
    assert_false(script_request_decode(buf_span(&b), a, &out));
    buf_free(&b);
    arena_free(a);
}

static void what_a_script_wants_comes_back(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct buf b = {0};
    struct script_result in = {.code = SCRIPT_ANSWERED, .says = wants_much()}, out;
    script_result_encode(&b, &in);
    assert_true(script_result_decode(buf_span(&b), a, &out));
    assert_int_equal(out.says.actions.n, 5);
    assert_true(out.says.touch_signed);
    assert_int_equal(out.says.actions.v[1].nth, 3);
    assert_string_equal(out.says.actions.v[2].html, "<h>");
    assert_string_equal(out.says.actions.v[3].to.v[1], "c@d.example");
    assert_int_equal(out.says.actions.v[4].part, 7);
    assert_null(out.says.actions.v[4].text);
    for (size_t n = 0; n < b.n; n++)
        assert_false(script_result_decode(span_of(b.p, n), a, &out));
    /* An action without what it needs, and one that there is not. */
    struct policy_action bad = {.kind = ACTION_ADD_HEADER, .text = "no name"};
    in.says = (struct saying){{&bad, 1}, false};
    buf_clear(&b);
    script_result_encode(&b, &in);
    assert_false(script_result_decode(buf_span(&b), a, &out));
    bad = (struct policy_action){.kind = ACTION_KINDS};
    buf_clear(&b);
    script_result_encode(&b, &in);
    assert_false(script_result_decode(buf_span(&b), a, &out));
    buf_free(&b);
    arena_free(a);
}

static void small_frames(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct buf b = {0};
    struct store_result sr;
    struct rcpt_result rr;
    struct rcpt_request rq;
    store_result_encode(&b, &(struct store_result){STORE_FULL, SPAN("no room")});
    assert_true(store_result_decode(buf_span(&b), a, &sr) && sr.code == STORE_FULL);
    b.p[0] = 9;
    assert_false(store_result_decode(buf_span(&b), a, &sr));
    buf_clear(&b);
    rcpt_result_encode(&b, &(struct rcpt_result){RCPT_UNKNOWN, SPAN("550 no such user")});
    assert_true(rcpt_result_decode(buf_span(&b), a, &rr) && rr.code == RCPT_UNKNOWN);
    buf_clear(&b);
    rcpt_request_encode(&b, &(struct rcpt_request){SPAN("bob@example.org")});
    assert_true(rcpt_request_decode(buf_span(&b), a, &rq));
    assert_true(span_eq(rq.addr, SPAN("bob@example.org")));
    assert_false(rcpt_request_decode(SPAN(""), a, &rq));
    buf_free(&b);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_back_as_it_was),
        cmocka_unit_test(a_cut_or_lengthened_request_is_refused),
        cmocka_unit_test(what_is_known_waits_in_the_queue),
        cmocka_unit_test(groups_must_name_each_recipient_once),
        cmocka_unit_test(an_id_that_is_none_is_refused),
        cmocka_unit_test(small_frames),
        cmocka_unit_test(questions_to_the_script),
        cmocka_unit_test(what_a_script_wants_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
