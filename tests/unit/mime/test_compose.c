#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mime/compose.h"
#include "mime/mime.h"

static void assert_text(const struct buf *got, const char *want)
{
    if (!span_eq(buf_span(got), span_str(want)))
        fail_msg("got  [%.*s]\nwant [%s]", SPAN_ARG(buf_span(got)), want);
}

static void fields_are_folded(void **state)
{
    (void)state;
    struct buf b = {0};
    compose_field(&b, "Subject", SPAN("short"));
    compose_field(&b, "Subject", SPAN(""));
    compose_structured(&b, "X",
                       SPAN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb "
                            "cccccccccccccccccccccccccc ddd"));
    assert_text(&b, "Subject: short\r\nSubject:\r\n"
                    "X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n"
                    " cccccccccccccccccccccccccc ddd\r\n");
    buf_free(&b);
}

static void nobody_adds_a_field(void **state)
{
    (void)state;
    struct buf b = {0};
    compose_field(&b, "Subject", SPAN("a\r\nBcc: victim@example.org\n\n\0body"));
    compose_structured(&b, "X", SPAN("a\rb\nc"));
    assert_text(&b, "Subject: a  Bcc: victim@example.org   body\r\nX: a b c\r\n");
    buf_free(&b);
}

static void no_line_is_too_long(void **state)
{
    (void)state;
    struct buf b = {0}, value = {0};
    for (int i = 0; i < 5000; i++)
        buf_char(&value, 'x');
    compose_structured(&b, "X", buf_span(&value));
    struct span rest = buf_span(&b), line;
    size_t sum = 0;
    while (span_line(&rest, &line)) {
        assert_true(line.n <= COMPOSE_LINE_MAX);
        sum += line.n;
    }
    assert_true(sum >= 5000);
    buf_free(&b);
    buf_free(&value);
}

/* What is written in a header must be read back as it was. */
static void words_come_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "plain",
        "h\xc3\xa9llo w\xc3\xb6rld",
        "one \xc3\xa9 two \xc3\xa8 \xc3\xa0 three",
        "looks like =?utf-8?q?this?= word",
        "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, \xd0\xbc\xd0\xb8\xd1\x80! "
        "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, \xd0\xbc\xd0\xb8\xd1\x80! "
        "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, \xd0\xbc\xd0\xb8\xd1\x80!",
        "\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7"
        "\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7"
        "\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct arena *a = arena_new(0);
        struct buf b = {0};
        compose_field(&b, "Subject", span_str(texts[i]));
        buf_str(&b, "\r\n");
        struct span rest = buf_span(&b), line;
        while (span_line(&rest, &line))
            assert_true(line.n <= COMPOSE_LINE);
        struct mime *m = mime_parse(a, buf_span(&b), NULL);
        assert_int_equal(m->root->fields.n, 1);
        struct span back = mime_decoded(m, &m->root->fields.v[0]);
        if (!span_eq(back, span_str(texts[i])))
            fail_msg("%s came back as %.*s", texts[i], SPAN_ARG(back));
        buf_free(&b);
        arena_free(a);
    }
}

static void phrases(void **state)
{
    (void)state;
    struct buf b = {0};
    compose_phrase(&b, SPAN("Mail Delivery System"));
    buf_char(&b, '|');
    compose_phrase(&b, SPAN("O'Brien, \"Bob\""));
    buf_char(&b, '|');
    compose_phrase(&b, SPAN("Ren\xc3\xa9"));
    buf_char(&b, '|');
    compose_phrase(&b, SPAN("bad \xff byte"));
    assert_text(&b, "Mail Delivery System|\"O'Brien, \\\"Bob\\\"\"|=?utf-8?q?Ren=C3=A9?=|"
                    "=?unknown-8bit?q?bad_=FF_byte?=");
    buf_free(&b);
}

/* Bodies of all lengths, decoded by our own decoders. */
static void bodies_come_back(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    srand(7);
    for (size_t n = 0; n < 400; n++) {
        char bytes[400];
        for (size_t i = 0; i < n; i++) {
            do
                bytes[i] = (char)rand();
            while (bytes[i] == '\r' || (bytes[i] == '\n' && rand() % 2));
        }
        if (n)
            bytes[n - 1] = '\n';
        struct buf b64 = {0}, qp = {0};
        compose_base64(&b64, span_of(bytes, n));
        compose_qp(&qp, span_of(bytes, n));
        bool junk = false;
        struct span back = mime_base64_decode(a, buf_span(&b64), &junk);
        assert_false(junk);
        assert_true(span_eq(back, span_of(bytes, n)));
        struct span rest = buf_span(&qp), line;
        while (span_line(&rest, &line))
            assert_true(line.n <= 76);
        struct buf text = {0};
        back = mime_qp_decode(a, buf_span(&qp));
        while (span_line(&back, &line)) {
            buf_add(&text, line);
            buf_char(&text, '\n');
        }
        assert_true(span_eq(buf_span(&text), span_of(bytes, n)));
        buf_free(&b64);
        buf_free(&qp);
        buf_free(&text);
    }
    arena_free(a);
}

static void dots_and_from_are_safe(void **state)
{
    (void)state;
    struct buf b = {0};
    compose_qp(&b, SPAN(".\nFrom me\na \n=\n"));
    assert_text(&b, "=2E\r\n=46rom me\r\na=20\r\n=3D\r\n");
    buf_clear(&b);
    compose_lines(&b, SPAN("a\nb\r\nc"));
    assert_text(&b, "a\r\nb\r\nc\r\n");
    buf_free(&b);
}

static void boundaries_differ(void **state)
{
    (void)state;
    char one[COMPOSE_BOUNDARY_SIZE], two[COMPOSE_BOUNDARY_SIZE];
    assert_string_not_equal(compose_boundary(one), compose_boundary(two));
    assert_true(strlen(one) < COMPOSE_BOUNDARY_SIZE && strstr(one, "=_"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_folded),
        cmocka_unit_test(nobody_adds_a_field),
        cmocka_unit_test(no_line_is_too_long),
        cmocka_unit_test(words_come_back),
        cmocka_unit_test(phrases),
        cmocka_unit_test(bodies_come_back),
        cmocka_unit_test(dots_and_from_are_safe),
        cmocka_unit_test(boundaries_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
