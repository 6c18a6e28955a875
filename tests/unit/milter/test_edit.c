/* What a filter says, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "milter/edit.h"

#define PACKET_IS(b, lit)                                                                          \
    do {                                                                                           \
        assert_true(span_eq(buf_span(&(b)), SPAN(lit)));                                           \
        buf_clear(&(b));                                                                           \
    } while (0)

static void packets(void **state)
{
    struct buf b = {0};
    (void)state;
    milter_verdict(&b, MILTER_CONTINUE);
    PACKET_IS(b, "\0\0\0\1c");
    milter_progress(&b);
    PACKET_IS(b, "\0\0\0\1p");
    milter_add_header(&b, SPAN("A"), SPAN(" b\r\n\tc\0d"));
    PACKET_IS(b, "\0\0\0\x0ahA\0 b\n\tcd\0");
    milter_insert_header(&b, 1, SPAN("A"), SPAN("b"));
    PACKET_IS(b, "\0\0\0\x09i\0\0\0\1A\0b\0");
    milter_change_header(&b, 258, SPAN("A"), SPAN("b"));
    PACKET_IS(b, "\0\0\0\x09m\0\0\1\2A\0b\0");
    milter_delete_header(&b, 3, SPAN("A"));
    PACKET_IS(b, "\0\0\0\x08m\0\0\0\3A\0\0");
    milter_change_sender(&b, SPAN(""), SPAN_NONE);
    PACKET_IS(b, "\0\0\0\4e<>\0");
    milter_change_sender(&b, SPAN("a@b"), SPAN("RET=HDRS"));
    PACKET_IS(b, "\0\0\0\x10"
                 "e<a@b>\0RET=HDRS\0");
    milter_add_rcpt(&b, SPAN("a@b"), SPAN_NONE);
    PACKET_IS(b, "\0\0\0\7+<a@b>\0");
    milter_add_rcpt(&b, SPAN("a@b"), SPAN("NOTIFY=NEVER"));
    PACKET_IS(b, "\0\0\0\x14"
                 "2<a@b>\0NOTIFY=NEVER\0");
    milter_delete_rcpt(&b, SPAN("a@b"));
    PACKET_IS(b, "\0\0\0\7-<a@b>\0");
    milter_quarantine(&b, SPAN("why"));
    PACKET_IS(b, "\0\0\0\5qwhy\0");
    milter_replace_body(&b, SPAN(""));
    PACKET_IS(b, "\0\0\0\1b");
    buf_free(&b);
}

static void texts(void **state)
{
    const struct {
        const char *in;
        struct span out; /* data of the packet; absent: refused */
    } cases[] = {
        {"550 5.7.1 no", SPAN("550 5.7.1 no\0")},
        {"421 4.3.2 100% busy", SPAN("421 4.3.2 100%% busy\0")},
        {"550 no code of that kind", SPAN("550 no code of that kind\0")},
        {"550", SPAN("550 \0")},
        {"550 5.7.1", SPAN("550 5.7.1 \0")},
        {"550 5.7 is not one", SPAN("550 5.7 is not one\0")},
        {"550 5.7.1 one\r\ntwo\nthree",
         SPAN("550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three\0")},
        {"450 one\ntwo\n", SPAN("450-one\r\n450 two\0")},
        {"550 5.7.1 bell\x07 \x7f", SPAN("550 5.7.1 bell? ?\0")},
        {"550 4.7.1 another class", {0}},
        {"250 2.0.0 fine", {0}},
        {"55 no", {0}},
        {"550-no", {0}},
        {"5500 no", {0}},
        {"", {0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = {0};
        bool said = milter_reply_text(&b, span_str(cases[i].in));
        assert_int_equal(said, cases[i].out.p != NULL);
        if (said) {
            assert_int_equal(b.p[4], 'y');
            assert_string_equal(b.p + 5, cases[i].out.p);
            assert_int_equal(b.n, cases[i].out.n + 5);
        } else {
            assert_int_equal(b.n, 0);
        }
        buf_free(&b);
    }
}

static void texts_have_limits(void **state)
{
    struct buf in = {0}, b = {0};
    (void)state;
    buf_str(&in, "550 5.7.1 ");
    for (int line = 0; line < 40; line++) {
        for (int i = 0; i < 700; i++)
            buf_char(&in, '%');
        buf_char(&in, '\n');
    }
    assert_true(milter_reply_text(&b, buf_span(&in)));
    unsigned lines = 1;
    size_t length = 0;
    for (size_t i = 5; i < b.n; i++, length++) {
        if (b.p[i] != '\n')
            continue;
        lines++;
        assert_true(length <= MILTER_REPLY_LINE + 12);
        length = 0;
    }
    assert_int_equal(lines, MILTER_REPLY_LINES);
    buf_free(&in);
    buf_free(&b);
}

static void bodies_in_chunks(void **state)
{
    static const size_t sizes[] = {1, MILTER_CHUNK, MILTER_CHUNK + 1, 3 * MILTER_CHUNK};
    char *bytes = calloc(3, MILTER_CHUNK);
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct buf b = {0};
        milter_replace_body(&b, span_of(bytes, sizes[i]));
        size_t total = 0, at = 0;
        while (at < b.n) {
            uint32_t n = milter_u32(b.p + at);
            assert_true(n <= MILTER_CHUNK + 1u && b.p[at + 4] == 'b');
            total += n - 1;
            at += 4 + n;
        }
        assert_int_equal(total, sizes[i]);
        buf_free(&b);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets),
        cmocka_unit_test(texts),
        cmocka_unit_test(texts_have_limits),
        cmocka_unit_test(bodies_in_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
