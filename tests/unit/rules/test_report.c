#include "eval_fixture.h"

#include "rules/report_private.h"

static const char templates[] =
    "clear_report_template\n"
    "report has_YESNO(, NOT)_ been called spam by _HOSTNAME_\n"
    "report\n"
    "report Content preview:  _PREVIEW_\n"
    "report (_SCORE_ points, _REQD_ required)\n"
    "report _SUMMARY_\n"
    "unsafe_report may be unsafe\n"
    "add_header all Checker-Version SpamAssassin _VERSION_ (_SUBVERSION_) on _HOSTNAME_\n"
    "add_header spam Flag _YESNOCAPS_\n"
    "add_header all Level _STARS(*)_\n"
    "add_header all Status \"_YESNO_, score=_SCORE_ required=_REQD_ tests=_TESTS_ "
    "autolearn=_AUTOLEARN_ version=_VERSION_\"\n"
    "rewrite_header Subject [SPAM _SCORE_]\n";

static const char raw[] = "Return-Path: <a@x.com>\n"
                          "From: a@x.com\n"
                          "X-Spam-Flag: NO\n"
                          "X-Spam-Status: No, forged\n"
                          " folded\n"
                          "Subject: hello\n"
                          "\n"
                          "body\n";

static struct rule_hit hits[] = {
    {"SECOND_RULE", 6.1, "", "Short description", {NULL, 0}, 1},
    {"A_RULE_WITH_A_NAME_LONGER_THAN_22",
     0.001,
     "BODY: ",
     "A description that is so long that it can't stand in one line of the summary",
     {NULL, 0},
     1},
    {"TWICE", -24, "URI: ", "Hit twice", {NULL, 0}, 2},
};

static const struct span seen[] = {{"subject", 7}, {"body", 4}};

struct report_fixture {
    struct fixture f;
    struct report_on r;
};

static void begin(struct report_fixture *t, const char *message, double score)
{
    fixture_conf(&t->f, templates);
    t->f.arena = arena_new(0);
    t->f.m.raw = span_str(message);
    t->f.m.facts.rules = (struct rules_facts){.ran = true,
                                              .score = score,
                                              .required = 5,
                                              .hits = hits,
                                              .nhits = 3,
                                              .autolearn = "no",
                                              .body = seen,
                                              .nbody = 2};
    t->r = report_on(t->f.conf, &t->f.m, t->f.arena);
    t->r.hostname = "mx.example";
}

static void expect(struct span got, const char *want)
{
    if (!span_eq(got, span_str(want)))
        fail_msg("got:\n%.*s\nwant:\n%s", (int)got.n, got.p, want);
}

static void values(void **state)
{
    (void)state;
    struct report_fixture t;
    begin(&t, raw, 7.04);
    expect(report_score(&t.r), "7.0");
    expect(report_level(&t.r), "*******");
    expect(report_status(&t.r), "Yes, score=7.0 required=5.0 "
                                "tests=A_RULE_WITH_A_NAME_LONGER_THAN_22,SECOND_RULE,TWICE,TWICE "
                                "autolearn=no version=4.0.1");
    expect(report_mimedefang(&t.r),
           "7.04 (*******) SECOND_RULE,A_RULE_WITH_A_NAME_LONGER_THAN_22,TWICE,TWICE");
    t.r.score = 4.96; /* would round up to the threshold */
    t.r.spam = false;
    expect(report_score(&t.r), "4.9");
    t.r.score = 99;
    assert_int_equal(report_level(&t.r).n, 50);
    t.r.score = -3;
    assert_int_equal(report_level(&t.r).n, 0);
    fixture_end(&t.f);
}

static void tags(void **state)
{
    (void)state;
    static const struct {
        const char *template, *want;
    } cases[] = {
        {"_YESNO_ _YESNO(a,b)_ _YESNOCAPS_ _YESNOCAPS(maybe,)_", "Yes a YES MAYBE"},
        {"_SCORE(00)_|_SCORE(  )_|_SCORE(xx)_", "007.0|  7.0|7.0"},
        {"_STARS(+)_", "+++++++"},
        {"_TESTS( )_", "A_RULE_WITH_A_NAME_LONGER_THAN_22 SECOND_RULE TWICE TWICE"},
        {"_TESTSSCORES_",
         "A_RULE_WITH_A_NAME_LONGER_THAN_22=0.001,SECOND_RULE=6.1,TWICE=-12,TWICE=-12"},
        {"_SUBTESTS_", "none"},
        {"_HEADER(From)_", "a@x.com\n"},
        {"_HEADER(X-Spam-Flag)_|", "|"},
        {"_NO_SUCH_TAG_ _lower_ _ __", "_NO_SUCH_TAG_ _lower_ _ __"},
        {"a_VERSION_b_SUBVERSION_c", "a4.0.1b2024-03-25c"},
        {"_YESNO_SCORE_", "_YESNO_SCORE_"}, /* the longest name counts */
        {"_REMOTEHOSTADDR_ _LASTEXTERNALIP_ _BAYES_", "127.0.0.1  0.5"},
        {"_YESNO(open_", "_YESNO(open_"},
    };
    struct report_fixture t;
    begin(&t, raw, 7.04);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(report_expand(&t.r, span_str(cases[i].template)), cases[i].want);
    fixture_end(&t.f);
}

static void summary(void **state)
{
    (void)state;
    struct report_fixture t;
    begin(&t, raw, 7.04);
    expect(report_summary(&t.r),
           " 6.1 SECOND_RULE            Short description\n"
           " 0.0 A_RULE_WITH_A_NAME_LONGER_THAN_22 BODY: A description that is so long\n"
           "                             that it can't stand in one line of the summary\n"
           " -12 TWICE                  URI: Hit twice\n"
           " -12 TWICE                  URI: Hit twice\n");
    assert_true(
        span_starts(report_lines(&t.r), SPAN("*  6.1 SECOND_RULE Short description\n*  0.0 A_")));
    fixture_end(&t.f);
}

static void headers_are_folded(void **state)
{
    (void)state;
    struct report_fixture t;
    begin(&t, raw, 7.04);
    expect(report_header_text(&t.r),
           "X-Spam-Checker-Version: SpamAssassin 4.0.1 (2024-03-25) on mx.example\n"
           "X-Spam-Flag: YES\n"
           "X-Spam-Level: *******\n"
           "X-Spam-Status: Yes, score=7.0 required=5.0\n"
           "\ttests=A_RULE_WITH_A_NAME_LONGER_THAN_22,SECOND_RULE,TWICE,TWICE\n"
           "\tautolearn=no version=4.0.1\n");
    t.r.spam = false;
    t.r.score = 1;
    assert_true(span_search(report_header_text(&t.r), SPAN("X-Spam-Flag")) == SIZE_MAX);
    fixture_end(&t.f);
}

static void template_is_filled_in(void **state)
{
    (void)state;
    struct report_fixture t;
    begin(&t, raw, 7.04);
    struct span text = report_text(&t.r);
    assert_true(
        span_starts(text, SPAN("has been called spam by mx.example\n\nContent preview:  body \n"
                               "(7.0 points, 5.0 required)\n 6.1 SECOND_RULE")));
    assert_true(span_ends(text, SPAN("Hit twice\n\n")));
    fixture_end(&t.f);
}

static void marked_message(void **state)
{
    (void)state;
    struct report_fixture t;
    begin(&t, raw, 7.04);
    struct span got = report_marked(&t.r);
    assert_true(span_starts(got, SPAN("Return-Path: <a@x.com>\nX-Spam-Checker-Version: ")));
    assert_true(span_search(got, SPAN("forged")) == SIZE_MAX);
    assert_true(span_search(got, SPAN("folded")) == SIZE_MAX);
    assert_true(span_search(got, SPAN("\nSubject: [SPAM 7.0] hello\n")) != SIZE_MAX);
    assert_true(span_search(got, SPAN("\nX-Spam-Prev-Subject: hello\n\nbody\n")) != SIZE_MAX);
    fixture_end(&t.f);
}

static void wrapped_message_keeps_the_original(void **state)
{
    (void)state;
    static const char crlf[] = "From: a@x.com\r\nSubject: hello\r\nContent-Type: text/html\r\n\r\n"
                               "body\r\n------------=_00000001.00000002\r\n";
    struct report_fixture t;
    begin(&t, crlf, 7.04);
    struct span got = report_safe(&t.r, 1, 0x100000002);
    assert_true(
        span_starts(got, SPAN("Received: from localhost by mx.example\r\n\twith SpamAssassin")));
    assert_true(span_search(got, span_str(crlf)) != SIZE_MAX);
    assert_true(span_search(got, SPAN("message/rfc822; x-spam-type=original\r\n")) != SIZE_MAX);
    assert_true(span_search(got, SPAN("Content-Disposition: attachment\r\n")) != SIZE_MAX);
    assert_true(span_search(got, SPAN("may be unsafe")) != SIZE_MAX);
    /* the message holds that boundary already, so another one is taken */
    assert_true(span_search(got, SPAN("boundary=\"----------=_00000001.00000002/")) != SIZE_MAX);
    size_t bare = 0;
    for (size_t i = 0; i < got.n; i++)
        bare += got.p[i] == '\n' && (i == 0 || got.p[i - 1] != '\r');
    assert_int_equal(bare, 0);
    fixture_end(&t.f);
}

/* As edits it is the same message. */
static void expect_rewrite(struct report_fixture *t, struct span whole, uint64_t seed)
{
    struct splices s = {0};
    struct buf got = {0};
    assert_true(report_rewrite(&t->r, seed, 4096, &s));
    splices_apply(&s, t->r.m->raw, &got);
    assert_true(span_eq(buf_span(&got), whole));
    buf_free(&got);
}

static void rewriting_as_edits(void **state)
{
    (void)state;
    struct report_fixture t;
    struct splices s = {0};
    begin(&t, raw, 7.04);
    assert_true(t.r.spam);
    int safe = t.r.conf->report.report_safe;
    if (safe)
        expect_rewrite(&t, report_safe(&t.r, safe, 7), 7);
    else
        expect_rewrite(&t, report_marked(&t.r), 7);
    t.r.spam = false;
    expect_rewrite(&t, report_marked(&t.r), 7);
    assert_false(report_rewrite(&t.r, 7, 10, &s));
    assert_int_equal(s.n, 0);
    fixture_end(&t.f);
}

static void preview(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct span body[] = {SPAN("Subject\n"), SPAN("----------------- first\n"), SPAN("second "),
                          SPAN("x")};
    expect(report_preview(a, body, 4), "first second x ");
    expect(report_preview(a, body, 1), "");
    char text[600];
    memset(text, 'a', sizeof text);
    for (size_t i = 9; i < sizeof text; i += 10)
        text[i] = ' ';
    body[1] = span_of(text, sizeof text);
    struct span got = report_preview(a, body, 2);
    assert_true(span_search(got, SPAN("[...]")) != SIZE_MAX && got.n < 240);
    fixture_end(&(struct fixture){.conf_arena = a});
}

static void wrapping(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct wrap w = {.first = "", .prefix = "  ", .width = 10};
    expect(wrap_text(a, SPAN("one two three four"), &w), "one two\n  three\n  four");
    expect(wrap_text(a, SPAN("averyverylongword x"), &w), "averyverylongword\n   x");
    expect(wrap_text(a, SPAN(""), &w), "");
    w.commas = true;
    expect(wrap_text(a, SPAN("AAAA,BBBB,CCCC,D"), &w), "AAAA,BBBB,\n  CCCC,D");
    arena_free(a);
}

static const char *told(const struct conf *conf, const struct rules_facts *f, struct arena *a)
{
    struct autolearn l = report_autolearn(conf, 0, f, a);
    return report_autolearn_text(&l, false);
}

static void autolearn(void **state)
{
    (void)state;
    static struct rule_hit spam[] = {{"HEAD_RULE", 7, "", "", {NULL, 0}, 1},
                                     {"BODY_RULE", 7, "", "", {NULL, 0}, 1},
                                     {"USER_RULE", -100, "", "", {NULL, 0}, 1}};
    struct fixture f;
    fixture_conf(&f,
                 "header HEAD_RULE From =~ /x/\nscore HEAD_RULE 7\nbody BODY_RULE /x/\n"
                 "score BODY_RULE 7\nheader USER_RULE From =~ /y/\ntflags USER_RULE userconf\n");
    struct rules_facts facts = {.hits = spam, .nhits = 3, .score = 14, .required = 5};
    assert_string_equal(told(f.conf, &facts, f.conf_arena), "unavailable autolearn_force=no");
    facts.nhits = 1; /* head points alone do not do */
    spam[0].score = 14;
    assert_string_equal(told(f.conf, &facts, f.conf_arena), "no autolearn_force=no");
    facts = (struct rules_facts){.score = 0, .required = 5};
    assert_string_equal(told(f.conf, &facts, f.conf_arena), "unavailable autolearn_force=no");
    fixture_end(&f);
    fixture_conf(&f, "bayes_auto_learn 0\n");
    assert_string_equal(told(f.conf, &facts, f.conf_arena), "disabled");
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(tags),
        cmocka_unit_test(summary),
        cmocka_unit_test(headers_are_folded),
        cmocka_unit_test(template_is_filled_in),
        cmocka_unit_test(marked_message),
        cmocka_unit_test(wrapped_message_keeps_the_original),
        cmocka_unit_test(rewriting_as_edits),
        cmocka_unit_test(preview),
        cmocka_unit_test(wrapping),
        cmocka_unit_test(autolearn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
