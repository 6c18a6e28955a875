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
        /* a byte that begins nothing may swallow the character behind it */
        {"utf-8", "\x98\xe5\x8f\x96z", "\xef\xbf\xbdz", true},
        {"utf-8", "\x98\xd8\xa7z", "\xef\xbf\xbd\xd8\xa7z", true},
        {"utf-8", "\xa8\xd8\xa7\x8fz", "\xef\xbf\xbdz", true},
        {"utf-7", "\xd8+-x", "\xc3\x98+x", true},
        {"us-ascii", "a\xe9", "a\xef\xbf\xbd", true},
        {"euc-kr", "\xb0\xa1\xff\xb0\xa1", "\xea\xb0\x80\xef\xbf\xbd\xea\xb0\x80", true},
        {"x-unknown", "a\xe9", "a\xc3\xa9", true},
    };
    check(state, v, sizeof v / sizeof *v, true);
}

/* Escapes go, what they speak of becomes EUC; a byte that means nothing there is spelled out. */
static void escapes(void **state)
{
    static const struct conversion v[] = {
        {"iso-2022-kr", "\x1b$)C\x0e\x41\x76\x31\x5d\x0f \x1b.", "\xec\xa7\x80\xea\xb8\x88 ", true},
        {"iso-2022-kr", "\x0e\x49\x29\x0fx", "\\xC9\\xA9x", true},
        {"iso-2022-kr", "a\x0e\x41\x76", "a\x0e\x41\x76", true}, /* never shifted back */
        {"iso-2022-jp", "\x1b$B!D-j\x1b(B.", "\xe2\x80\xa6\xe3\x88\xb1.", true},
        {"iso-2022-jp", "\x1b$BF|\x1bX\x1b(B.", "\xe6\x97\xa5", true},
        {"iso-2022-jp", "\x1b(I1\x1b(B.", "\xef\xbd\xb1.", true},
        {"hz", "~{VP~}~~", "\xe4\xb8\xad~", true},
        {"hz", "abc~~", "abc~", false},
        {"hz", "a~xb", "a", false},
        {"unicode-1-1-utf-7", "\xd8+-x", "\xd8+x", false},
        {"unicode-1-1-utf-7", "\xd8+AOk-x", "\xc3\x98\xc3\xa9x", true},
    };
    check(state, v, sizeof v / sizeof *v, false);
}

/* Where Encode's tables have more than ICU's, or something else. */
static void tables_of_encode(void **state)
{
    static const struct conversion v[] = {
        {"shift_jis", "\x81\x60\x85", "\xe3\x80\x9c\xef\xbf\xbd", true},
        {"euc-jp", "\xa1\xc1\xad\xa1\xa9\xa1", "\xe3\x80\x9c\xe2\x91\xa0\xe2\x82\xac", true},
        {"euc-jp", "\x8f\xa1\xa1.", "\xf0\xa0\x82\x89.", true}, /* JIS X 0213 */
        {"euc-jp", "a\x8f\xa1", "a", true},
        {"big5", "\xc6\xa1\xc7\xe7\xfe", "\xe2\x91\xa0\xe3\x83\xab\xef\xbf\xbd", true},
        {"cp932", "\xa0", "\xef\xa3\xb0", true},
    };
    check(state, v, sizeof v / sizeof *v, true);
}

/* Charsets that have no table in ICU, or another one; the expected texts are Encode's. */
static void codes(void **state)
{
    static const struct conversion v[] = {
        {"VISCII", "Vi\xae\xd5t", "Vi\xe1\xbb\x87\xe1\xba\xa1t", true},
        {"johab", "\xd0\x65\x8b\x69 \xd9\x31", "\xed\x95\x9c\xea\xb8\x80 \xe3\x80\x80", true},
        {"iso-ir-165", "VPND", "\xe4\xb8\xad\xe6\x96\x87", true},
        {"cp037", "\xc8z", "\xc3\x88z", true}, /* a label nothing knows */
        {"ibm-37", "\x88\x85\x93\x93\x96\x40\x5a", "hello !", true},
        {"ibm1047", "\xad\xbd\x25", "[]\xc2\x85", true},
        {"x-mac-japanese", "\x93\xfa\xff", "\xe6\x97\xa5\xe2\x80\xa6\xef\xa1\xbf", true},
        {"x-mac-hebrew", "\xe0\x81", "\xd7\x90\xd7\xb2\xd6\xb7",
         true},                                           /* one byte, two characters */
        {"big5-hkscs", "\x88\x62", "\xef\x8c\xa5", true}, /* the edition of 2001 */
        {"gsm0338", "\x1b\x65\x1b(", "\xe2\x82\xac{", true},
        {"gsm0338", "a\x01", "a\xa3", false}, /* Latin-1, as the constants in GSM0338.pm are */
        {"null", "\x80", "\xe2\x82\xac", true},
        {"utf32", "", "", true},
    };
    check(state, v, sizeof v / sizeof *v, false);
    static const struct conversion lax[] = {
        {"johab", "\xd0\x30\xd0",
         "\xef\xbf\xbd"
         "0",
         true}, /* half a code at the end is dropped */
        {"jis0208-raw", "\x46\x7c\xa0", "\xe6\x97\xa5\xef\xbf\xbd", true},
        {"gsm0338", "\x1b\x1b\x65", "\xef\xbf\xbd", true},
        {"utf_16be", "\xd8\x3d\xde\x01\xff", "\xf0\x9f\x98\x81", true},
        {"ucs2", "\xd8\x3d\xde\x01", "\xef\xbf\xbd\xef\xbf\xbd", true},
    };
    check(state, lax, sizeof lax / sizeof *lax, true);
}

/* Which labels Encode can make something of. */
static void labels(void **state)
{
    static const struct conversion v[] = {
        {"tis-620.2533", "\xa1", "\xe0\xb8\x81", true},
        {"csuhc", "\xb0\xa1", "\xea\xb0\x80", true},
        {"x_mac-ce", "\x81", "\xc4\x80", true},
        {"latin-2", "\xb1", "\xc4\x85", true},
        {"iso_8859_2", "\xb1", "\xc4\x85", true},
        {"iso 88591", "\x80", "\xc2\x80", true},
        {"jp_euc", "\xc6\xfc", "\xe6\x97\xa5", true},
        {"gb2312-raw-x", "\xd6\xd0", "\xc3\x96\xc3\x90", true},
        {"ANSI_X3.4_1968", "ab", "ab", true},
        {"C", "ab", "ab", true},
    };
    check(state, v, sizeof v / sizeof *v, false);
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
    /* a noncharacter is an error, and all of it Windows-1252 */
    struct span illegal = span_of("h\0i\0 \0\xff\xff", 8);
    assert_true(span_eq(mime_normalise(*state, illegal, SPAN("utf-16"), false, &chars),
                        span_of("h\0i\0 \0\xc3\xbf\xc3\xbf", 10)));
    /* in a header field it gives back what it was given */
    assert_true(span_eq(mime_normalise(*state, little, SPAN("utf-16"), true, &chars), little));
}

static void without_normalising(void **state)
{
    (void)state;
    static const char utf8[] = "\xc3\xa9";
    assert_true(mime_is_plainly_utf8(span_str(utf8), SPAN("UTF-8")));
    assert_true(mime_is_plainly_utf8(span_str(utf8), SPAN("us-ascii")));
    assert_true(mime_is_plainly_utf8(span_str(utf8), SPAN_NONE));
    assert_false(mime_is_plainly_utf8(span_str(utf8), SPAN("utf8")));
    assert_false(mime_is_plainly_utf8(span_str(utf8), SPAN("iso-8859-1")));
    assert_false(mime_is_plainly_utf8(SPAN("abc"), SPAN("utf-8")));
    assert_false(mime_is_plainly_utf8(span_str("\xe9"), SPAN("utf-8")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(in_order_of_attempts),
        TEST(insisting),
        TEST(escapes),
        TEST(tables_of_encode),
        TEST(codes),
        TEST(labels),
        TEST(utf16),
        TEST(without_normalising),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
