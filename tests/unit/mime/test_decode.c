#include "mime_test.h"

static void base64(void **state)
{
    static const struct {
        const char *in, *out;
        bool junk;
    } cases[] = {
        {"", "", false},
        {"QUJD", "ABC", false},
        {"QUJDRA==", "ABCD", false},
        {"QUJDREU=", "ABCDE", false},
        {" Q U\r\nJ\tD\n", "ABC", false},
        {"AB", "\0", false}, /* a partial group: the truncated number of bytes */
        {"QUJDR", "ABC", false},
        {"QUJ-D", "ABC", true},
        {"QUJD*RA==", "ABCD", true},
        {"QUJD====", "ABC", false},
        /* a '=' inside is 0 when all else is in order, else 63 */
        {"QQ==QUJD", "A\0\0ABC", true},
        {"QQ==QUJDQ",
         "A\x0f\xff"
         "ABC",
         true},
        {"=QUJ", "\x01\x05\x09", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool junk;
        struct span got = mime_base64_decode(*state, span_str(cases[i].in), &junk);
        struct span want = i == 5    ? span_of("\0", 1)
                           : i == 10 ? span_of("A\0\0ABC", 6)
                                     : span_str(cases[i].out);
        if (!span_eq(got, want) || junk != cases[i].junk)
            fail_msg("%s: %.*s, junk %d", cases[i].in, SPAN_ARG(got), junk);
    }
}

static void quoted_printable(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"a=41b", "aAb"},
        {"=e9=E9", "\xe9\xe9"},
        {"a \t\nb  \r\nc  ", "a\nb\r\nc  "},
        {"one=\ntwo=\r\nthree=  \nfour", "onetwothreefour"},
        {"=4=\n1=\n=42", "AB"},
        {"a=\r \t\nb= \r \nc", "ab= \r\nc"},
        {"=", "="},
        {"=\n", ""},
        {"==\n\n", "=\n"},
        {"=zz=4", "=zz=4"},
        {"a=20\n b", "a \n b"},
        {"=\r", "=\r"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_span(mime_qp_decode(*state, span_str(cases[i][0])), cases[i][1]);
}

static void bodies(void **state)
{
    static const char *const cases[][2] = {
        {"Content-Transfer-Encoding: quoted-printable\n\na=0D=0Ab=0D\nc\n", "a\nb\nc\n"},
        {"Content-Transfer-Encoding: BASE64\n\nYQ0KYg==\n", "a\nb"},
        {"Content-Type: a/b\nContent-Transfer-Encoding: base64\n\nYQ0KYg==\n", "a\r\nb"},
        {"Content-Transfer-Encoding: base64 (x)\n\nYQ0KYg==\n", "YQ0KYg==\n"},
        {"Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 8bit\n\nYQ0K\n", "YQ0K\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mime *m = parse(*state, cases[i][0]);
        assert_span(mime_body(m, m->root), cases[i][1]);
        assert_ptr_equal(mime_body(m, m->root).p, mime_body(m, m->root).p);
    }
}

static void body_anomalies(void **state)
{
    static const char *const cases[][2] = {
        {"base64\n\nQUJD*\n", "base64.junk"},
        {"base64\n\nQQ==QUJD\n", "base64.padding"},
        {"base64\n\nQUJDR\n", "base64.truncated"},
        {"quoted-printable\n\na=zz\n", "quoted-printable.broken"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mime *m = mime_parse(
            *state, arena_printf(*state, "Content-Transfer-Encoding: %s", cases[i][0]), NULL);
        assert_int_equal(m->nanomalies, 0); /* bodies are decoded when asked for */
        mime_body(m, m->root);
        assert_int_equal(m->nanomalies, 1);
        assert_string_equal(m->anomalies[0].name, cases[i][1]);
    }
}

static void uuencode(void **state)
{
    size_t n;
    struct mime_uu *v = mime_uudecode_all(*state,
                                          SPAN("text\nbegin 644 a b.txt\r\n#0V%T\r\n`\r\nend\r\n"
                                               "not at begin 644 x\nbegin 99 no\n"
                                               "begin 755 cut\n#0V%T\nbegin 600 last\n#0V%T"),
                                          &n);
    assert_int_equal(n, 3);
    assert_span(v[0].name, "a b.txt");
    assert_span(v[0].body, "Cat");
    assert_span(v[1].name, "cut");
    assert_span(v[1].body, "Cat");
    assert_span(v[2].name, "last");
    assert_span(v[2].body, "Cat");
    mime_uudecode_all(*state, SPAN("no file here, begin with nothing"), &n);
    assert_int_equal(n, 0);
}

static void content_types(void **state)
{
    static const struct {
        const char *value, *type, *boundary, *charset, *name;
    } cases[] = {
        {"text/html; charset=\"utf-8\"; name=x.txt", "text/html", NULL, "utf-8", "x.txt"},
        {"TEXT/HTML;charset = 'KOI8-R' ", "text/html", NULL, "KOI8-R' ", NULL},
        {"text", "text/plain", NULL, NULL, NULL},
        {"text/csv", "text/plain", NULL, NULL, NULL},
        {"text/x-vcard", "text/x-vcard", NULL, NULL, NULL},
        {"textual/x", "textual/x", NULL, NULL, NULL},
        {"image/gif image", "image/gif", NULL, NULL, NULL},
        {"application/(x)\"y\"@z", "application/xyz", NULL, NULL, NULL},
        {"multipart/mixed; boundary=\"a b\"", "multipart/mixed", "a b", NULL, NULL},
        {"multipart/mixed; boundary=\"open", "multipart/mixed", "open", NULL, NULL},
        {"multipart/mixed; boundary = x;y", "multipart/mixed", "x", NULL, NULL},
        {"multipart/mixed; boundary=x\"y", "multipart/mixed", NULL, NULL, NULL},
        {"multipart/mixed; boundary=\"\"; Boundary=z", "multipart/mixed", "z", NULL, NULL},
        {"multipart/mixed; xboundary=x", "multipart/mixed", NULL, NULL, NULL},
        {"; charset=x", "text/plain", NULL, "x", NULL},
        {"a/b; filename=\"x;y\"", "a/b", NULL, NULL, "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mime_ctype ct = mime_ctype_parse(*state, span_str(cases[i].value));
        assert_span(ct.type, cases[i].type);
        const struct {
            struct span got;
            const char *want;
        } parts[] = {{ct.boundary, cases[i].boundary},
                     {ct.charset, cases[i].charset},
                     {ct.name, cases[i].name}};
        for (size_t k = 0; k < 3; k++) {
            if (parts[k].want)
                assert_span(parts[k].got, parts[k].want);
            else if (parts[k].got.p)
                fail_msg("%s: [%.*s]", cases[i].value, SPAN_ARG(parts[k].got));
        }
        assert_int_equal(ct.missing, cases[i].value[0] == ';');
    }
    assert_true(mime_ctype_parse(*state, SPAN_NONE).missing);
    assert_span(mime_ctype_parse(*state, SPAN("")).charset, "us-ascii");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(base64),         TEST(quoted_printable), TEST(bodies),
        TEST(body_anomalies), TEST(uuencode),         TEST(content_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
