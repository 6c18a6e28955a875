#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include <stdlib.h>

#include "smtp/reply.h"

static const struct {
    const char *in;
    enum reply_status status;
    size_t used;
    unsigned code;
    const char *flat;
} cases[] = {
    {"250 ok\r\n", REPLY_DONE, 8, 250, "250 ok"},
    {"250 ok\r\n220 next\r\n", REPLY_DONE, 8, 250, "250 ok"},
    {"250-a\r\n250-b\r\n250 c\r\n", REPLY_DONE, 21, 250, "250 a b c"},
    {"250\r\n", REPLY_DONE, 5, 250, "250"},
    {"250 \r\n", REPLY_DONE, 6, 250, "250"},
    {"550 5.1.1 no\n", REPLY_DONE, 13, 550, "550 5.1.1 no"},
    {"550-5.1.1 no\r\n550 5.1.1 such user\r\n", REPLY_DONE, 35, 550, "550 5.1.1 no such user"},
    {"451 4.7.1 \x01\x7fx\r\n", REPLY_DONE, 15, 451, "451 4.7.1 ??x"},
    {"25", REPLY_MORE, 0, 0, NULL},
    {"250-a\r\n", REPLY_MORE, 0, 0, NULL},
    {"250-a\r\n251 b\r\n", REPLY_BAD, 0, 0, NULL},
    {"250+a\r\n", REPLY_BAD, 0, 0, NULL},
    {"199 a\r\n", REPLY_BAD, 0, 0, NULL},
    {"650 a\r\n", REPLY_BAD, 0, 0, NULL},
    {"2x0 a\r\n", REPLY_BAD, 0, 0, NULL},
    {"hello\r\n", REPLY_BAD, 0, 0, NULL},
    {"\r\n", REPLY_BAD, 0, 0, NULL},
};

static void replies_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct smtp_reply r;
        size_t used = 0;
        enum reply_status got = reply_parse(span_str(cases[i].in), &used, &r);
        if (got != cases[i].status)
            fail_msg("%s: status %d", cases[i].in, got);
        if (got != REPLY_DONE)
            continue;
        assert_int_equal(used, cases[i].used);
        assert_int_equal(r.code, cases[i].code);
        struct buf flat = {0};
        reply_flatten(&r, 1000, &flat);
        assert_string_equal(flat.p, cases[i].flat);
        buf_free(&flat);
    }
}

static void enhanced_codes(void **state)
{
    (void)state;
    struct smtp_reply r;
    size_t used;
    assert_int_equal(reply_parse(SPAN("550 5.7.350 x\r\n"), &used, &r), REPLY_DONE);
    assert_int_equal(r.dsn[0], 5);
    assert_int_equal(r.dsn[1], 7);
    assert_int_equal(r.detail, 350);
    assert_int_equal(reply_parse(SPAN("550 5.7 x\r\n"), &used, &r), REPLY_DONE);
    assert_int_equal(r.dsn[0], 0);
    assert_int_equal(reply_parse(SPAN("550 3.1.1 x\r\n"), &used, &r), REPLY_DONE);
    assert_int_equal(r.dsn[0], 0);
}

static void limits_of_replies(void **state)
{
    (void)state;
    struct buf b = {0};
    struct smtp_reply r;
    size_t used;
    buf_str(&b, "250 ");
    while (b.n < REPLY_LINE_MAX)
        buf_char(&b, 'x');
    assert_int_equal(reply_parse(buf_span(&b), &used, &r), REPLY_MORE);
    buf_str(&b, "y\r\n");
    assert_int_equal(reply_parse(buf_span(&b), &used, &r), REPLY_BAD);
    buf_clear(&b);
    while (b.n < REPLY_BYTES_MAX)
        buf_str(&b, "250-more\r\n");
    buf_str(&b, "250 end\r\n");
    assert_int_equal(reply_parse(buf_span(&b), &used, &r), REPLY_BAD);
    struct buf flat = {0};
    assert_int_equal(reply_parse(SPAN("250 abcdefghij\r\n"), &used, &r), REPLY_DONE);
    reply_flatten(&r, 8, &flat);
    assert_true(span_eq(buf_span(&flat), SPAN("250 abcd")));
    buf_free(&flat);
    buf_free(&b);
}

static void our_replies(void **state)
{
    (void)state;
    struct buf b = {0};
    for (int id = 0; id < R_COUNT; id++) {
        const struct reply_row *row = reply_row((enum reply_id)id);
        buf_clear(&b);
        reply_add(&b, (enum reply_id)id, "de\r\ntail");
        struct smtp_reply r;
        size_t used;
        assert_int_equal(reply_parse(buf_span(&b), &used, &r), REPLY_DONE);
        assert_int_equal(used, b.n); /* one line, whatever the detail holds */
        assert_int_equal(r.code, row->code);
        if (row->dsn)
            assert_int_equal(r.dsn[0], row->code / 100); /* RFC 3463: the classes agree */
        assert_true(b.n < 512);
    }
    buf_clear(&b);
    reply_line(&b, 250, false, SPAN("one"));
    reply_line(&b, 250, true, SPAN("two\n"));
    assert_string_equal(b.p, "250-one\r\n250 two?\r\n");
    buf_free(&b);
}

static void replies_from_elsewhere(void **state)
{
    (void)state;
    unsigned code;
    assert_true(reply_valid(SPAN("550 5.7.1 go away"), &code));
    assert_int_equal(code, 550);
    assert_true(reply_valid(SPAN("250 fine"), &code));
    assert_false(reply_valid(SPAN("550"), &code));
    assert_false(reply_valid(SPAN("354 go"), &code));
    assert_false(reply_valid(SPAN("550 a\r\n250 b"), &code));
    assert_false(reply_valid(SPAN("550-a"), &code));
    assert_false(reply_valid(SPAN("go away"), &code));
    assert_false(reply_valid(SPAN_NONE, &code));
    assert_true(reply_valid(SPAN("451 4.7.1 later\nplease"), &code));
    assert_false(reply_valid(SPAN("550 tab\there"), &code));
    char lines[100] = "550 a";
    for (size_t i = 1; i < REPLY_TEXT_LINES; i++)
        snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "\nb");
    assert_true(reply_valid(span_str(lines), &code));
    snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "\nb");
    assert_false(reply_valid(span_str(lines), &code));
}

static void texts_of_several_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"550 5.7.1 go away", "550 5.7.1 go away\r\n"},
        {"550 go away", "550 go away\r\n"},
        {"550 5.7.1 one\ntwo\n\nthree",
         "550-5.7.1 one\r\n550-5.7.1 two\r\n550-5.7.1 \r\n550 5.7.1 three\r\n"},
        {"550 no\n250 yes", "550-no\r\n550 250 yes\r\n"},
        {"550 5.7 is no code\nx", "550-5.7 is no code\r\n550 x\r\n"},
        {"550 10.0.0.1 no\nx", "550-10.0.0.1 no\r\n550 x\r\n"},
        {"550 ", "550 \r\n"},
        {"550 end\n", "550 end\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = {0};
        reply_text_add(&b, span_str(rows[i].text));
        buf_char(&b, '\0');
        assert_string_equal(b.p, rows[i].said);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_read),       cmocka_unit_test(enhanced_codes),
        cmocka_unit_test(limits_of_replies),      cmocka_unit_test(our_replies),
        cmocka_unit_test(replies_from_elsewhere), cmocka_unit_test(texts_of_several_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
