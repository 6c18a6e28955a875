/* Whose name a reader is shown: plain mail is plain, and what programs read differently is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/author.h"
#include "base/buf.h"

struct row {
    const char *header;
    const char *domains; /* in order, separated by spaces */
    bool bad;
};

static void check(const struct row *rows, size_t n)
{
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < n; i++) {
        struct authors got;
        struct span want = span_str(rows[i].domains);
        authors_find(a, span_str(rows[i].header), &got);
        bool same = got.bad == rows[i].bad && got.bad == (got.why != NULL);
        size_t k = 0;
        for (; k < got.n; k++)
            same = same && span_eq(span_word(&want, " "), got.domains[k]);
        if (!same || span_trim(want).n)
            fail_msg("%s: %zu domains, first %.*s, bad %d (%s)", rows[i].header, got.n,
                     SPAN_ARG(got.domains[0]), got.bad, got.why);
    }
    arena_free(a);
}

static void plain(void **state)
{
    static const struct row rows[] = {
        {"From: a@one.example\n\n", "one.example", false},
        {"From: A B <a@One.Example>\r\nTo: x@two.example\r\n\r\n", "one.example", false},
        {"From: \"B, A\" <a@one.example>\n\n", "one.example", false},
        {"From: a@one.example (A B)\n\n", "one.example", false},
        {"From: A. B. Name <a@one.example>\n\n", "one.example", false},
        {"From: \"x@two.example\" <a@one.example>\n\n", "one.example", false},
        {"From: a@one.example <a@one.example>\n\n", "one.example", false},
        {"From: =?utf-8?B?w4RyZ2Vy?= <a@one.example>\n\n", "one.example", false},
        {"From:\n\tA\n\t<a@one.example>\n\n", "one.example", false},
        {"From: a@one.example, b@one.example\n\n", "one.example", false},
        {"From: a@one.example, B <b@two.example>\n\n", "one.example two.example", false},
        {"From: a@M\xc3\xbcnchen.example\n\n", "xn--mnchen-3ya.example", false},
        {"From : a@one.example\n\n", "one.example", false},
        {"From: root@localhost\n\n", "", false},
        {"From: u@[192.0.2.1]\n\n", "", false},
        {"From: \"open quote <a@one.example>\n\n", "one.example", false},
    };
    (void)state;
    check(rows, sizeof rows / sizeof *rows);
}

static void ambiguous(void **state)
{
    static const struct row rows[] = {
        {"Subject: x\n\n", "", true},
        {"From: a@one.example\nFrom: b@two.example\n\n", "one.example two.example", true},
        {"From: b@two.example\nFrom : a@one.example\n\n", "two.example one.example", true},
        {"From: a@one.example\nfrom: a@one.example\n\n", "one.example", true},
        {"Sender: a@one.example\n\n", "one.example", true},
        {"From\n : a@one.example\nFrom: b@two.example\n\n", "one.example two.example", true},
        {"From:\n\n", "", true},
        {"From: nobody\n\n", "", true},
        {"From: a@one.example <b@two.example>\n\n", "one.example two.example", true},
        {"From: <b@two.example> a@one.example\n\n", "two.example one.example", true},
        {"From: <b@two.example><a@one.example>\n\n", "two.example one.example", true},
        {"From: <@one.example,@three.example:b@two.example>\n\n",
         "one.example three.example two.example", true},
        {"From: a(@one.example)@two.example\n\n", "one.example two.example", true},
        {"From: <a@one.example(@two.example)>\n\n", "one.example two.example", true},
        {"From: \"a@one.example\"@two.example\n\n", "one.example two.example", true},
        {"From: a@one.example@two.example\n\n", "one.example two.example", true},
        {"From: a@one.example,,b@two.example\n\n", "one.example two.example", true},
        {"From: a@one.example\\, b@two.example\n\n", "one.example two.example", true},
        {"From: a@one.example;b@two.example\n\n", "one.example two.example", true},
        {"From: =?utf-8?B?YUBvbmUuZXhhbXBsZQ==?=@two.example\n\n", "two.example one.example", true},
        {"From: =?utf-8?Q?<a@one.example>,?= <b@two.example>\n\n", "one.example two.example", true},
        {"From: a@one.example'b@two.example\n\n", "one.example two.example", true},
    };
    (void)state;
    check(rows, sizeof rows / sizeof *rows);
}

static void controls(void **state)
{
    static const char nul[] = "From: a@one.example\0 <b@two.example>\n\n";
    struct arena *a = arena_new(0);
    struct authors got;
    (void)state;
    authors_find(a, span_of(nul, sizeof nul - 1), &got);
    assert_true(got.bad);
    assert_int_equal(got.n, 2);
    authors_find(a, SPAN("From: a@one.example\x01\n\n"), &got);
    assert_true(got.bad);
    assert_int_equal(got.n, 1);
    arena_free(a);
}

/* However many there are, a bounded number is looked at, and the rest is not taken for fine. */
static void many(void **state)
{
    struct buf b = {0};
    struct arena *a = arena_new(0);
    struct authors got;
    (void)state;
    buf_str(&b, "From: ");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%su@d%d.example", i ? ", " : "", i);
    buf_str(&b, "\n\n");
    authors_find(a, buf_span(&b), &got);
    assert_true(got.bad);
    assert_int_equal(got.n, AUTHOR_DOMAINS_MAX);
    buf_clear(&b);
    for (int i = 0; i < 5000; i++)
        buf_printf(&b, "From: u@d%d.example\n", i);
    authors_find(a, buf_span(&b), &got);
    assert_true(got.bad);
    assert_int_equal(got.n, AUTHOR_DOMAINS_MAX);
    buf_clear(&b);
    buf_str(&b, "From: ");
    for (int i = 0; i < 30000; i++)
        buf_char(&b, '(');
    buf_str(&b, " u@one.example\n\n");
    authors_find(a, buf_span(&b), &got);
    assert_int_equal(got.n, 1);
    buf_free(&b);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(ambiguous),
        cmocka_unit_test(controls),
        cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
