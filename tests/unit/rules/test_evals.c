/* Every eval function on messages that hit and messages that do not: tests/unit/rules/evals/X.txt,
 * one file a plugin. What is expected there is what SpamAssassin 4.0.1 says. */
#include "eval_fixture.h"

#include "base/buf.h"
#include "rules/html_bytes.h"

#include <stdlib.h>
#include <string.h>

static const char freemail_conf[] = "loadplugin Mail::SpamAssassin::Plugin::FreeMail\n"
                                    "freemail_domains free.com\n";

static struct span read_file(struct arena *a, const char *name)
{
    const char *root = getenv("GATEHOUSE_SOURCE");
    assert_non_null(root);
    struct span path = arena_printf(a, "%s/tests/unit/rules/evals/%s", root, name);
    FILE *f = fopen(path.p, "r");
    if (!f)
        fail_msg("%s can't be read", path.p);
    char piece[4096];
    struct buf b = {0};
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        buf_add(&b, span_of(piece, n));
    fclose(f);
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

/* \xHH and \\. */
static struct span unescape(struct arena *a, struct span s)
{
    char *p = arena_raw(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 3 < s.n && s.p[i + 1] == 'x') {
            p[n++] = (char)(ascii_hex(s.p[i + 2]) << 4 | ascii_hex(s.p[i + 3]));
            i += 3;
        } else {
            i += s.p[i] == '\\';
            p[n++] = s.p[i];
        }
    }
    return span_of(p, n);
}

/* One record "% call kind hits" with its message; false at the end. */
static bool next_case(struct span *rest, struct span *head, struct span *message)
{
    size_t at = span_search(*rest, SPAN("\n% "));
    if (at == SIZE_MAX)
        return false;
    *rest = span_from(*rest, at + 3);
    assert_true(span_line(rest, head));
    size_t end = span_search(*rest, SPAN("\n% "));
    *message = span_sub(*rest, 0, end); /* the blank line in between is its end */
    if (end == SIZE_MAX)
        *message = *rest;
    *rest = span_from(*rest, message->n);
    return true;
}

static void run_file(struct fixture *f, const char *name)
{
    struct span rest = read_file(f->conf_arena, name), head, message;
    size_t cases = 0;
    while (next_case(&rest, &head, &message)) {
        size_t space = span_rfind(head, ' ');
        bool want = span_eq(span_from(head, space + 1), SPAN("1"));
        struct span call = span_sub(head, 0, space);
        space = span_rfind(call, ' ');
        bool header = span_eq(span_from(call, space + 1), SPAN("header"));
        call = span_sub(call, 0, space);
        fixture_message(f, unescape(f->conf_arena, message));
        bool got = fixture_eval(f, call, header ? EVAL_HEADER : EVAL_BODY) != 0;
        if (got != want)
            fail_msg("%s: %s gives %d for\n%s", name, arena_cstr(f->arena, call), got,
                     arena_cstr(f->arena, message));
        cases++;
    }
    assert_true(cases > 0);
}

static void plugin(const char *name)
{
    struct fixture f;
    struct arena *a = arena_new(0);
    fixture_conf(&f, read_file(a, "rules.cf").p);
    run_file(&f, name);
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
