#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/mbox.h"

#define SEP "From alice@example.org Sat Nov 21 10:00:00 2026"

static void separators_have_a_time_and_a_year(void **state)
{
    (void)state;
    assert_true(mbox_separator(SPAN(SEP)));
    assert_true(mbox_separator(SPAN("From - Sat Nov 21 10:00:00 2026")));
    assert_true(mbox_separator(SPAN("From a Sat Nov 21 10:00 1998 +0100")));
    assert_false(mbox_separator(SPAN("From here it goes on")));
    assert_false(mbox_separator(SPAN("From what I saw at 10:30 it was late")));
    assert_false(mbox_separator(SPAN("From: alice@example.org")));
    assert_false(mbox_separator(SPAN(">" SEP)));
    assert_false(mbox_separator(SPAN("From ")));
    assert_false(mbox_separator(SPAN("From a 10:00:00 20265")));
}

static void expect(struct span box, const char *const *messages, size_t n)
{
    struct span sep, m;
    for (size_t i = 0; i < n; i++) {
        assert_true(mbox_next(&box, &sep, &m));
        assert_int_equal(m.n, strlen(messages[i]));
        assert_memory_equal(m.p, messages[i], m.n);
        assert_true(span_eq(sep, SPAN(SEP)));
    }
    assert_false(mbox_next(&box, &sep, &m));
}

static void messages_are_cut_at_separators_behind_an_empty_line(void **state)
{
    (void)state;
    const char *const two[] = {"Subject: a\n\none\n", "Subject: b\n\ntwo\n"};
    expect(SPAN(SEP "\nSubject: a\n\none\n\n" SEP "\nSubject: b\n\ntwo\n"), two, 2);
    const char *const not_cut[] = {"Subject: a\n\none\n" SEP "\ntwo\n"};
    expect(SPAN(SEP "\nSubject: a\n\none\n" SEP "\ntwo\n"), not_cut, 1);
    const char *const crlf[] = {"a: 1\r\n\r\none\r\n", "b: 2\r\n\r\n"};
    expect(SPAN(SEP "\r\na: 1\r\n\r\none\r\n\r\n" SEP "\r\nb: 2\r\n\r\n"), crlf, 2);
}

static void empty_messages_and_ends_are_met(void **state)
{
    (void)state;
    struct span sep, m, rest = SPAN("");
    assert_false(mbox_next(&rest, &sep, &m));
    const char *const empty[] = {"", ""};
    expect(SPAN(SEP "\n\n" SEP "\n"), empty, 2);
    rest = SPAN("no separator\n");
    assert_true(mbox_next(&rest, &sep, &m));
    assert_null(sep.p);
    assert_true(span_eq(m, SPAN("no separator\n")));
    rest = SPAN(SEP);
    assert_true(mbox_next(&rest, &sep, &m));
    assert_int_equal(m.n, 0);
    assert_int_equal(rest.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(separators_have_a_time_and_a_year),
        cmocka_unit_test(messages_are_cut_at_separators_behind_an_empty_line),
        cmocka_unit_test(empty_messages_and_ends_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
