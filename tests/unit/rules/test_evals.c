/* Every eval function on messages that hit and messages that do not: tests/unit/rules/evals/X.txt,
 * one file a plugin. What is expected there is what SpamAssassin 4.0.1 says. */
#include "eval_cases.h"

#include "rules/html_bytes.h"

static const char freemail_conf[] = "loadplugin Mail::SpamAssassin::Plugin::FreeMail\n"
                                    "freemail_domains free.com\n";

static void plugin(const char *name)
{
    struct fixture f;
    struct arena *a = arena_new(0);
    fixture_conf(&f, read_file(a, "rules.cf").p);
    run_cases(&f, name, read_file(a, name));
    fixture_end(&f);
    arena_free(a);
}

#define PLUGIN(name)                                                                               \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        plugin(#name ".txt");                                                                      \
    }
PLUGIN(html)
PLUGIN(mime)
PLUGIN(body)
PLUGIN(image)
PLUGIN(uri)
PLUGIN(relay)
PLUGIN(header)
PLUGIN(date)
PLUGIN(forged)
PLUGIN(list)
PLUGIN(freemail)
PLUGIN(bounce)
PLUGIN(net)

static void functions_are_found_by_new_and_old_names(void **state)
{
    (void)state;
    assert_ptr_equal(eval_find(SPAN("check_from_in_blacklist")),
                     eval_find(SPAN("check_from_in_blocklist")));
    assert_true(eval_find(SPAN("check_rbl_sub"))->net);
    assert_true(eval_find(SPAN("check_bayes"))->learn);
    assert_false(eval_find(SPAN("check_dkim_dependable"))->net);
    assert_null(eval_find(SPAN("check_no_such_thing")));
}

static void bad_arguments_are_told_at_load(void **state)
{
    (void)state;
    struct fixture f;
    struct eval_call call;
    fixture_conf(&f, freemail_conf);
    assert_int_equal(
        fixture_call(&f, SPAN("check_freemail_replyto('nonsense')"), EVAL_HEADER, &call), -1);
    assert_int_equal(fixture_call(&f, SPAN("check_freemail_header()"), EVAL_HEADER, &call), -1);
    assert_int_equal(fixture_call(&f, SPAN("check_freemail_from()"), EVAL_HEADER, &call), 0);
    fixture_end(&f);
}

static void without_lists_nothing_of_them_hits(void **state)
{
    (void)state;
    struct fixture f;
    fixture_conf(&f, "");
    fixture_message(
        &f, SPAN("From: a@free.com\nReply-To: b@free.com\n\nReceived: by out.ours.com x\n"));
    assert_true(fixture_eval(&f, SPAN("have_any_bounce_relays()"), EVAL_HEADER) == 0);
    assert_true(fixture_eval(&f, SPAN("check_welcomelist_bounce_relays()"), EVAL_HEADER) == 0);
    assert_true(fixture_eval(&f, SPAN("check_freemail_replyto('replyto')"), EVAL_HEADER) == 0);
    assert_true(fixture_eval(&f, SPAN("check_from_in_list('NONE')"), EVAL_HEADER) == 0);
    fixture_end(&f);
}

static void freemail_takes_addresses_out_of_the_body(void **state)
{
    (void)state;
    struct fixture f;
    fixture_conf(&f, freemail_conf);
    fixture_message(
        &f, SPAN("From: a@free.com\nSubject: s\n\nJoe <c@x.com> wrote\n\nsee "
                 "http://x.com/?m=d@x.com and e@x.com says: no\n\nmailto:f@x.com> stays\n"));
    size_t uris = f.c.text->uris.n;
    fixture_eval(&f, SPAN("check_freemail_replyto('reply')"), EVAL_HEADER);
    assert_true(span_starts(f.c.text->body.v[1], SPAN("Joe   wrote")));
    assert_true(span_search(f.c.text->body.v[2], SPAN("@")) == SIZE_MAX);
    assert_true(span_search(f.c.text->body.v[3], SPAN("mailto:f@x.com> stays")) != SIZE_MAX);
    assert_int_equal(f.c.text->uris.n, uris);
    fixture_end(&f);
}

static void wide_characters_are_one_byte(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct html_text t = {SPAN("a\xc3\xa9\xe2\x82\xacz"), true};
    assert_true(span_eq(html_bytes(a, &t), SPAN("a\xe9\x1az")));
    t.chars = false;
    assert_true(span_eq(html_bytes(a, &t), t.s));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(html),
        cmocka_unit_test(mime),
        cmocka_unit_test(body),
        cmocka_unit_test(image),
        cmocka_unit_test(uri),
        cmocka_unit_test(relay),
        cmocka_unit_test(header),
        cmocka_unit_test(date),
        cmocka_unit_test(forged),
        cmocka_unit_test(list),
        cmocka_unit_test(freemail),
        cmocka_unit_test(bounce),
        cmocka_unit_test(net),
        cmocka_unit_test(functions_are_found_by_new_and_old_names),
        cmocka_unit_test(bad_arguments_are_told_at_load),
        cmocka_unit_test(without_lists_nothing_of_them_hits),
        cmocka_unit_test(freemail_takes_addresses_out_of_the_body),
        cmocka_unit_test(wide_characters_are_one_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
