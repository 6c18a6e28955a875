#include "mime_test.h"

struct conversion {
    const char *charset, *in, *out;
    bool chars;
};

static void check(void **state, const struct conversion *v, size_t n, bool insist)
{
    for (size_t i = 0; i < n; i++) {
        bool chars;
        struct span got =
            mime_normalise(*state, span_str(v[i].in), span_str(v[i].charset), insist, &chars);
        if (!span_eq(got, span_str(v[i].out)) || chars != v[i].chars)
            fail_msg("%s %s: got [%.*s] %d", v[i].charset, v[i].in, SPAN_ARG(got), chars);
    }
}

static void in_order_of_attempts(void **state)
{
    static const struct conversion v[] = {
        {NULL, "abc", "abc", false},
        {"us-ascii", "abc", "abc", false},
        {"ANSI_X3.4-1968", "abc", "abc", false},
        {"windows-1251", "abc", "abc", false},
        {"KOI8-R", "abc", "abc", false},
        {"GB18030", "abc", "abc", false},
        {"macintosh", "abc", "abc", true}, /* decoded, as it is not on the list */
        {"x-unknown", "abc", "abc", false},
        /* valid UTF-8 wins, whatever was declared */
        {"iso-8859-2", "\xc3\xa9", "\xc3\xa9", true},
        {"us-ascii", "\xc3\xa9", "\xc3\xa9", true},
        {"iso-8859-2", "\xb1", "\xc4\x85", true},
        {"iso-8859-1", "\x93q\x94", "\xe2\x80\x9cq\xe2\x80\x9d", true},
        {"utf-8", "caf\xe9", "caf\xc3\xa9", true},
        {"us-ascii", "\xa0\xe9", "\xc2\xa0\xc3\xa9", true},
        {"x-unknown", "\x81", "\xef\xbf\xbd", true},
        {"gb2312", "\xd6\xd0\xce\xc4", "\xe4\xb8\xad\xe6\x96\x87", true},
        {"GB2312_CHARSET", "\xd6\xd0", "\xe4\xb8\xad", true},
        {"gb18030", "\xd6\xd0", "\xe4\xb8\xad", true},
        {"big5", "\xa4\xa4", "\xe4\xb8\xad", true},
        {"shift_jis", "\x93\xfa", "\xe6\x97\xa5", true},
        {"euc-jp", "\xc6\xfc", "\xe6\x97\xa5", true},
        {"iso-2022-jp", "\x1b$BF|\x1b(B", "\xe6\x97\xa5", true},
        {"ks_c_5601-1987", "\xb0\xa1", "\xea\xb0\x80", true},
        {"koi8-r", "\xf0", "\xd0\x9f", true},
        {"win-1251", "\xcf", "\xc3\x8f", true}, /* no name that Encode knows */
        {"cp1251", "\xcf", "\xd0\x9f", true},
        /* strict: an undefined byte makes it fail, then it is Windows-1252 */
        {"windows-1250", "\xe1\x81", "\xc3\xa1\xef\xbf\xbd", true},
    };
    check(state, v, sizeof v / sizeof *v, false);
}

static void insisting(void **state)
{
    static const struct conversion v[] = {
        {"iso-8859-2", "\xc3\xa9", "\xc4\x82\xc5\xa0", true},
        {"utf-8", "a\xe9z", "a\xef\xbf\xbdz", true},
        {"utf-8", "\xe2\x82z", "\xef\xbf\xbdz", true},
        {"utf-8", "\xed\xa0\x80z", "\xef\xbf\xbdz", true},
        {"utf-8", "\xef\xbf\xbez", "\xef\xbf\xbdz", true},
        {"utf-8", "\xf8\x88\x80\x80\x80z", "\xef\xbf\xbdz", true},
        {"us-ascii", "a\xe9", "a\xef\xbf\xbd", true},
        {"euc-kr", "\xb0\xa1\xff\xb0\xa1", "\xea\xb0\x80\xef\xbf\xbd\xea\xb0\x80", true},
        {"x-unknown", "a\xe9", "a\xc3\xa9", true},
    };
    check(state, v, sizeof v / sizeof *v, true);
}

static void utf16(void **state)
{
    bool chars;
    struct span little = span_of("h\0i\0 \0\xe9\0", 8), big = span_of("\0h\0i\0 \0\xe9", 8);
    assert_span(mime_normalise(*state, little, SPAN("utf-16"), false, &chars), "hi \xc3\xa9");
    assert_span(mime_normalise(*state, big, SPAN("UTF-16LE"), false, &chars), "hi \xc3\xa9");
    /* with a byte order mark SpamAssassin decodes nothing */
    struct span marked = span_of("\xff\xfeh\0", 4);
    struct span got = mime_normalise(*state, marked, SPAN("utf-16"), false, &chars);
    assert_true(span_eq(got, span_of("\xc3\xbf\xc3\xbeh\0", 6)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(in_order_of_attempts),
        TEST(insisting),
        TEST(utf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
