#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"
#include "smtp/data.h"

/* A span in a static table; may hold NULs. */
#define BYTES(lit)                                                                                 \
    {                                                                                              \
        lit, sizeof(lit) - 1                                                                       \
    }

static void keep(void *ctx, struct span bytes)
{
    buf_add(ctx, bytes);
}

struct outcome {
    struct buf got;
    bool end, bare;
    size_t used;
};

/* Feeds in pieces of `step` bytes. */
static struct outcome run(struct span in, size_t step, bool dots, bool normalise)
{
    struct outcome o = {0};
    struct smtp_data d;
    data_begin(&d, dots, normalise);
    d.sink = keep;
    d.ctx = &o.got;
    while (o.used < in.n && !o.end) {
        /* A copy of its own for each piece, so that ASan sees a read outside. */
        size_t n = in.n - o.used < step ? in.n - o.used : step;
        char *piece = malloc(n);
        memcpy(piece, in.p + o.used, n);
        o.used += data_feed(&d, span_of(piece, n), &o.end);
        free(piece);
    }
    if (!dots)
        data_end(&d);
    o.bare = d.bare;
    return o;
}

static const struct {
    struct span in;
    struct span out;
    bool end, bare;
    size_t left; /* behind the end */
} cases[] = {
    {BYTES(".\r\n"), BYTES(""), true, false, 0},
    {BYTES("a\r\n.\r\n"), BYTES("a\r\n"), true, false, 0},
    {BYTES("a\r\n.\r\nQUIT\r\n"), BYTES("a\r\n"), true, false, 6},
    {BYTES("..a\r\n.\r\n"), BYTES(".a\r\n"), true, false, 0},
    {BYTES(".a\r\n...\r\n.\r\n"), BYTES("a\r\n..\r\n"), true, false, 0},
    {BYTES("a.\r\n.b.\r\n.\r\n"), BYTES("a.\r\nb.\r\n"), true, false, 0},
    {BYTES("\r\n\r\n.\r\n"), BYTES("\r\n\r\n"), true, false, 0},
    {BYTES("a\0b\r\n.\r\n"), BYTES("a\0b\r\n"), true, false, 0},
    {BYTES("no end"), BYTES("no end"), false, false, 0},
    /* Everything that ends the data somewhere else does not end it here. */
    {BYTES("a\n.\nMAIL\r\n"), BYTES("a\n.\nMAIL\r\n"), false, true, 0},
    {BYTES("a\n.\r\nMAIL\r\n"), BYTES("a\n.\r\nMAIL\r\n"), false, true, 0},
    {BYTES("a\r\n.\nMAIL\r\n"), BYTES("a\r\n\nMAIL\r\n"), false, true, 0},
    {BYTES("a\r.\r\nMAIL\r\n"), BYTES("a\r.\r\nMAIL\r\n"), false, true, 0},
    {BYTES("a\r\n.\rMAIL\r\n"), BYTES("a\r\n\rMAIL\r\n"), false, true, 0},
    {BYTES("a\r.\rMAIL\r\n"), BYTES("a\r.\rMAIL\r\n"), false, true, 0},
    {BYTES("a\r\n\0.\r\nMAIL\r\n"), BYTES("a\r\n\0.\r\nMAIL\r\n"), false, false, 0},
    {BYTES("a\r\n.\0\r\nMAIL\r\n"), BYTES("a\r\n\0\r\nMAIL\r\n"), false, false, 0},
    {BYTES("a\r\n.\r\0\nMAIL\r\n"), BYTES("a\r\n\r\0\nMAIL\r\n"), false, true, 0},
    {BYTES("a\r\r\n.\r\n"), BYTES("a\r\r\n"), true, true, 0},
    {BYTES("a\r\n.\r\r\nb\r\n.\r\n"), BYTES("a\r\n\r\r\nb\r\n"), true, true, 0},
    {BYTES("a\n\r\n.\r\n"), BYTES("a\n\r\n"), true, true, 0},
    {BYTES("\n.\r\n"), BYTES("\n.\r\n"), false, true, 0},
    {BYTES("\r\n.\r\n"), BYTES("\r\n"), true, false, 0},
};

static void only_crlf_dot_crlf_ends_the_data(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t step = 1; step <= cases[i].in.n; step++) {
            struct outcome o = run(cases[i].in, step, true, false);
            if (o.end != cases[i].end || o.bare != cases[i].bare ||
                !span_eq(buf_span(&o.got), cases[i].out))
                fail_msg("case %zu, step %zu: end %d bare %d, got '%.*s'", i, step, o.end, o.bare,
                         (int)o.got.n, o.got.p ? o.got.p : "");
            if (o.end)
                assert_int_equal(cases[i].in.n - o.used, cases[i].left);
            buf_free(&o.got);
        }
    }
}

static const struct {
    const char *in, *out;
} normalised[] = {
    {"a\nb\r\n.\r\n", "a\r\nb\r\n"},           {"a\rb\r\n.\r\n", "a b\r\n"},
    {"a\n.\nb\r\n.\r\n", "a\r\n.\r\nb\r\n"}, /* our own client will stuff that dot */
    {"a\n.\r\nb\r\n.\r\n", "a\r\n.\r\nb\r\n"}, {"a\r\r\n.\r\n", "a \r\n"},
};

static void bare_line_ends_are_normalised(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof normalised / sizeof *normalised; i++) {
        for (size_t step = 1; step < 20; step++) {
            struct outcome o = run(span_str(normalised[i].in), step, true, true);
            assert_true(o.end);
            if (!span_eq(buf_span(&o.got), span_str(normalised[i].out)))
                fail_msg("case %zu: '%s'", i, o.got.p);
            buf_free(&o.got);
        }
    }
}

static void chunks_keep_their_dots(void **state)
{
    (void)state;
    for (size_t step = 1; step < 20; step++) {
        struct outcome o = run(SPAN(".a\r\n.\r\n..b"), step, false, false);
        assert_true(span_eq(buf_span(&o.got), SPAN(".a\r\n.\r\n..b\r\n")));
        assert_false(o.end || o.bare);
        buf_free(&o.got);
        o = run(SPAN("a\nb\r"), step, false, false);
        assert_true(o.bare);
        buf_free(&o.got);
    }
}

static void long_data_passes_whole(void **state)
{
    (void)state;
    struct buf in = {0}, want = {0};
    unsigned seed = 7;
    for (int line = 0; line < 3000; line++) {
        seed = seed * 1103515245u + 12345u;
        size_t n = seed / 65536 % 200;
        bool dot = seed % 5 == 0;
        if (dot)
            buf_str(&in, "..");
        if (dot)
            buf_char(&want, '.');
        for (size_t k = 0; k < n; k++) {
            char c = (char)(' ' + (seed + k) % 90);
            if (k == 0 && !dot && c == '.')
                c = ',';
            buf_char(&in, c);
            buf_char(&want, c);
        }
        buf_str(&in, "\r\n");
        buf_str(&want, "\r\n");
    }
    buf_str(&in, ".\r\n");
    static const size_t steps[] = {1, 7, 64, 1000, 65536, 1 << 20};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct outcome o = run(buf_span(&in), steps[i], true, false);
        assert_true(o.end && !o.bare);
        assert_int_equal(o.got.n, want.n);
        assert_memory_equal(o.got.p, want.p, want.n);
        buf_free(&o.got);
    }
    buf_free(&in);
    buf_free(&want);
}

static void the_header_is_watched(void **state)
{
    (void)state;
    struct span in = SPAN("Received: from a\r\n\tby b\r\nX: Received: no\r\nreceived: c\r\n"
                          "Received : no\r\nReceive: no\r\nRECEIVED:\r\n\r\nReceived: body\r\n");
    for (size_t step = 1; step < 40; step++) {
        struct head_watch h;
        head_begin(&h);
        for (size_t at = 0; at < in.n; at += step)
            head_feed(&h, span_sub(in, at, at + step));
        assert_int_equal(h.hops, 3);
        assert_true(h.done);
        assert_int_equal(h.header_bytes, in.n - strlen("Received: body\r\n"));
    }
    struct head_watch h;
    head_begin(&h);
    head_feed(&h, SPAN("\r\nReceived: body\r\n"));
    assert_true(h.done && h.hops == 0 && h.header_bytes == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_crlf_dot_crlf_ends_the_data),
        cmocka_unit_test(bare_line_ends_are_normalised),
        cmocka_unit_test(chunks_keep_their_dots),
        cmocka_unit_test(long_data_passes_whole),
        cmocka_unit_test(the_header_is_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
