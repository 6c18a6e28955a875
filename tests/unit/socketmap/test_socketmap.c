#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "socketmap/session.h"

struct stand {
    struct socketmap_session s;
    struct buf log;
    bool later;
};

static void stand_send(void *ctx, struct span bytes)
{
    buf_add(&((struct stand *)ctx)->log, bytes);
    buf_char(&((struct stand *)ctx)->log, ' ');
}

static void stand_ask(void *ctx, struct span map, struct span key)
{
    struct stand *t = ctx;
    buf_printf(&t->log, "ask(%.*s|%.*s) ", SPAN_ARG(map), SPAN_ARG(key));
    if (t->later)
        return;
    if (span_eq(map, SPAN("none")))
        socketmap_answer(&t->s, SOCKETMAP_NOTFOUND, SPAN("ignored"));
    else if (span_eq(map, SPAN("down")))
        socketmap_answer(&t->s, SOCKETMAP_TEMP, SPAN("try\r\nlater"));
    else
        socketmap_answer(&t->s, SOCKETMAP_OK, key);
}

static void stand_close(void *ctx, const char *why)
{
    buf_printf(&((struct stand *)ctx)->log, "close(%s) ", why);
}

static const struct socketmap_host host = {stand_send, stand_ask, stand_close};

static const struct {
    const char *in, *log;
} rows[] = {
    {"5:m key,", "ask(m|key) 6:OK key, "},
    {"2:m ,", "ask(m|) 3:OK ,"
              " "},
    {"7:m a b c,", "ask(m|a b c) 8:OK a b c, "},
    {"6:none k,", "ask(none|k) 9:NOTFOUND , "},
    {"6:down k,", "ask(down|k) 15:TEMP try  later, "},
    {"3:m a,3:m b,", "ask(m|a) 4:OK a, ask(m|b) 4:OK b, "},
    {"5:m a\n,,", "ask(m|a\n,) 52:PERM the value is too long or has control characters, "},
    {"3:m a;", "close(not a netstring) "},
    {"03:m a,", "close(not a netstring) "},
    {"x", "close(not a netstring) "},
    {":", "close(not a netstring) "},
    {"-1:", "close(not a netstring) "},
    {"10001:", "close(not a netstring) "},
    {"9999999999", "close(not a netstring) "},
    {"99999999999999999999:", "close(not a netstring) "},
    {"0:,", "close(not a map and a key) "},
    {"3:map,", "close(not a map and a key) "},
    {"2: k,", "close(not a map and a key) "},
    {"10000:m", ""},
    {"12", ""},
    {"", ""},
};

/* Cut anywhere, the same things happen. */
static void conversations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t step = 1; step < 20; step += 6) {
            struct stand t = {.s = {.host = &host, .ctx = &t}};
            struct span in = span_str(rows[i].in);
            struct buf pending = {0};
            for (size_t at = 0; at < in.n; at += step) {
                buf_add(&pending, span_sub(in, at, at + step));
                buf_drop(&pending, socketmap_input(&t.s, buf_span(&pending)));
            }
            assert_string_equal(t.log.p ? t.log.p : "", rows[i].log);
            buf_free(&pending);
            buf_free(&t.log);
        }
    }
}

static void one_question_at_a_time(void **state)
{
    (void)state;
    struct stand t = {.s = {.host = &host, .ctx = &t}, .later = true};
    struct span in = SPAN("3:m a,3:m b,");
    assert_int_equal(socketmap_input(&t.s, in), 6);
    assert_int_equal(socketmap_input(&t.s, span_from(in, 6)), 0);
    socketmap_answer(&t.s, SOCKETMAP_TIMEOUT, SPAN("late"));
    socketmap_answer(&t.s, SOCKETMAP_OK, SPAN("twice")); /* nothing was asked */
    assert_int_equal(socketmap_input(&t.s, span_from(in, 6)), 6);
    socketmap_answer(&t.s, SOCKETMAP_PERM, SPAN("never"));
    assert_string_equal(t.log.p, "ask(m|a) 12:TIMEOUT late, ask(m|b) 10:PERM never, ");
    buf_free(&t.log);
}

static void limits(void **state)
{
    (void)state;
    struct stand t = {.s = {.host = &host, .ctx = &t}, .later = true};
    struct buf in = {0}, text = {0};
    buf_str(&text, "m ");
    while (text.n < SOCKETMAP_REQUEST_MAX)
        buf_char(&text, 'k');
    netstring_write(&in, buf_span(&text));
    assert_int_equal(socketmap_input(&t.s, buf_span(&in)), in.n);
    buf_clear(&text);
    buf_clear(&t.log);
    while (text.n <= SOCKETMAP_VALUE_MAX)
        buf_char(&text, 'v');
    socketmap_answer(&t.s, SOCKETMAP_OK, buf_span(&text));
    assert_true(span_starts(buf_span(&t.log), SPAN("52:PERM the value")));
    buf_free(&in);
    buf_free(&text);
    buf_free(&t.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversations),
        cmocka_unit_test(one_question_at_a_time),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
