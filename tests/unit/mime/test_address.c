#include "mime_test.h"

/* "addr|name" joined by "; ", "-" for what is absent. */
static void assert_list(struct arena *a, const char *raw, const char *want)
{
    struct mime_addresses l = mime_addresses_parse(a, span_str(raw));
    struct buf b = {0};
    for (size_t i = 0; i < l.n; i++) {
        if (i)
            buf_str(&b, "; ");
        buf_add(&b, l.v[i].addr.p ? l.v[i].addr : SPAN("-"));
        buf_char(&b, '|');
        buf_add(&b, l.v[i].name.p ? l.v[i].name : SPAN("-"));
    }
    bool same = span_eq(buf_span(&b), span_str(want));
    if (!same)
        print_error("%s\ngot  %.*s\nwant %s\n", raw, SPAN_ARG(buf_span(&b)), want);
    buf_free(&b);
    assert_true(same);
}

/* What SpamAssassin 4.0.1 says of each. */
static void as_spamassassin(void **state)
{
    static const char *const cases[][2] = {
        {"\"O'Brien, Bob\" <bob@x.com>, foo@y.com (Foo Bar), plain",
         "bob@x.com|O'Brien, Bob ; foo@y.com|Foo Bar; -|plain"},
        {"a@b.com", "a@b.com|-"},
        {"<a@b.com>\n", "a@b.com|-"},
        {" Name <a@b.com>", "a@b.com|Name "},
        {"a@b.com <a@b.com>", "a@b.com|a@b.com "},
        {"<>", "-|-"},
        {"", ""},
        {"undisclosed-recipients:;", ""},
        {"Group: a@b.com, c@d.com;", "a@b.com|-; c@d.com|-"},
        {"mailto:a@b.com", "a@b.com|-"},
        {"\"joe@x.com\"", "joe@x.com|-"},
        {"\"joe@x\"", "-|joe@x"},
        {"\"a \\\"b\\\" c\" <a@b.com>", "a@b.com|a \"b\" c "},
        {"a (comment) b <a@b.com>", "a@b.com|a  b "},
        {"<a @b.com>", "-|-"},
        {"<a@b.com> <c@d.com>", "a@b.com|-"},
        {"<a@b.com><c@d.com>", "-|-"},
        {"\"\"@b.com", "-|-"},
        {"a\"b@c.com", "-|-"},
        {"<a@[192.0.2.1]>", "a@[192.0.2.1]|-"},
        {"=?utf-8?q?\"x\"_<a@b.com>?=", "a@b.com|-"},
        {"a@b@c.com", "a@b|-"},
        {"x <a@b.com> y <c@d.com>", "a@b.com|-; c@d.com|-"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_list(*state, cases[i][0], cases[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(as_spamassassin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
