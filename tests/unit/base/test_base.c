#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "base/id.h"
#include "base/ip.h"
#include "base/json.h"
#include "base/map.h"
#include "base/pairs.h"
#include "base/utf8.h"

static void spans(void **state)
{
    (void)state;
    struct span rest = SPAN(" one  two"), line;
    assert_true(span_eq(span_word(&rest, " "), SPAN("one")));
    assert_true(span_eq(span_word(&rest, " "), SPAN("two")));
    assert_null(span_word(&rest, " ").p);
    rest = SPAN("a\r\nb\nc");
    assert_true(span_line(&rest, &line) && span_eq(line, SPAN("a")));
    assert_true(span_line(&rest, &line) && span_eq(line, SPAN("b")));
    assert_true(span_line(&rest, &line) && span_eq(line, SPAN("c")));
    assert_false(span_line(&rest, &line));
    assert_int_equal(span_isearch(SPAN("Hello World"), SPAN("WORLD")), 6);
    assert_int_equal(span_isearch(SPAN("aab"), SPAN("AB")), 1);
    assert_int_equal(span_isearch(SPAN("x"), SPAN("X")), 0);
    assert_true(span_isearch(SPAN("ab"), SPAN("abc")) == SIZE_MAX);
    assert_true(span_isearch(SPAN_NONE, SPAN("a")) == SIZE_MAX);
    assert_int_equal(span_isearch(SPAN_NONE, SPAN("")), 0);
    assert_true(span_search(SPAN("abc"), SPAN("abcd")) == SIZE_MAX);
    uint64_t v;
    assert_true(span_u64(SPAN("18446744073709551615"), &v) && v == UINT64_MAX);
    assert_false(span_u64(SPAN("18446744073709551616"), &v));
    assert_false(span_u64(SPAN(""), &v));
}

static void arena_grows_in_place_and_copies(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct {
        int *v;
        size_t n, cap;
    } list = {0};
    for (int i = 0; i < 100000; i++)
        *ARENA_PUSH(a, list.v, list.n, list.cap) = i;
    for (int i = 0; i < 100000; i++)
        assert_int_equal(list.v[i], i);
    const struct span parts[] = {SPAN("one "), SPAN_NONE, SPAN(""), SPAN("two")};
    struct span all = arena_concat(a, parts, 4);
    assert_true(span_eq(all, SPAN("one two")) && all.p[all.n] == '\0');
    assert_int_equal(arena_concat(a, NULL, 0).n, 0);
    arena_free(a);
}

static void jump_out(void *ctx)
{
    longjmp(*(jmp_buf *)ctx, 1);
}

/* Blocks of every kind: what was put there stays, and nothing is there twice. */
static void arena_grows_large(void **state)
{
    (void)state;
    enum { PIECES = 4000, PIECE = 5000 };
    struct arena *a = arena_new(0);
    static unsigned char *v[PIECES];
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < PIECES; i++)
            v[i] = memset(arena_raw(a, PIECE), (int)(i % 251), PIECE);
        unsigned char *whole = arena_alloc(a, 3000000); /* larger than any block */
        for (size_t i = 0; i < 3000000; i += 999)
            assert_int_equal(whole[i], 0);
        for (size_t i = 0; i < PIECES; i++) {
            assert_int_equal((uintptr_t)v[i] % 16, 0);
            assert_int_equal(v[i][0], i % 251);
            assert_int_equal(v[i][PIECE - 1], i % 251);
        }
        assert_true(arena_used(a) >= (size_t)PIECES * PIECE);
        arena_reset(a);
    }
    arena_free(a);
}

static void arena_limit_is_kept(void **state)
{
    (void)state;
    jmp_buf out;
    struct arena *a = arena_new(1 << 20);
    arena_on_exhausted(a, jump_out, &out);
    volatile int taken = 0;
    if (setjmp(out) == 0)
        for (;;) {
            arena_alloc(a, 10000);
            taken++;
        }
    assert_in_range(taken, 50, 105);
    arena_free(a);
}

static size_t plainly(struct span s, struct span needle, bool icase)
{
    for (size_t i = 0; i + needle.n <= s.n; i++) {
        struct span at = span_sub(s, i, i + needle.n);
        if (icase ? span_ieq(at, needle) : span_eq(at, needle))
            return i;
    }
    return SIZE_MAX;
}

/* Texts of all lengths around those that are looked at together, each in memory of its own so that
 * a byte read beyond its end is seen. */
static void searches_agree_with_plain_ones(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (size_t n = 0; n < 70; n++) {
        char *p = test_malloc(n + 1), *in = test_malloc(n ? n : 1);
        for (unsigned round = 0; round < 60; round++) {
            for (size_t i = 0; i < n; i++) {
                seed = seed * 1664525 + 1013904223;
                in[i] = "aAbB.:\xe2 "[seed >> 24 & 7];
            }
            struct span s = span_of(in, n);
            for (size_t k = 1; k <= 40 && k <= n + 1; k += k < 4 ? 1 : 9) {
                size_t from = (seed >> 8) % (n + 1);
                memcpy(p, s.p + from, n - from < k ? n - from : k);
                struct span needle = span_of(p, n - from < k ? n - from : k);
                if (round % 3 == 0 && needle.n)
                    p[needle.n / 2] = 'B';
                assert_true(span_search(s, needle) == plainly(s, needle, false));
                assert_true(span_isearch(s, needle) == plainly(s, needle, true));
            }
            size_t from = (seed >> 16) % (n + 1), any = from, ascii = from;
            while (any < n && !memchr(".:A", in[any], 3))
                any++;
            while (ascii < n && !((unsigned char)in[ascii] & 0x80))
                ascii++;
            assert_int_equal(span_find_any(s, from, ".:A."), any);
            assert_int_equal(span_ascii_end(s, from), ascii);
        }
        test_free(p);
        test_free(in);
    }
}

/* All bytes in all places, against one another. */
static void letters_are_compared_without_case(void **state)
{
    (void)state;
    char x[20], y[20];
    for (size_t n = 1; n < sizeof x; n++)
        for (size_t at = 0; at < n; at++)
            for (unsigned pair = 0; pair < 65536; pair += n < 10 ? 1 : 7) {
                memset(x, 'q', n);
                memset(y, 'Q', n);
                x[at] = (char)(pair >> 8);
                y[at] = (char)pair;
                bool same = ascii_lower(x[at]) == ascii_lower(y[at]);
                if (span_ieq(span_of(x, n), span_of(y, n)) != same)
                    fail_msg("%zu bytes, %04x at %zu", n, pair, at);
            }
}

static void pairs_of_a_text(void **state)
{
    (void)state;
    static char text[600];
    struct pairs pairs;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 3);
    text[299] = 'X';
    pairs_of(&pairs, span_of(text, sizeof text));
    assert_true(pairs_have(&pairs, pair_of('A', 'b')));
    assert_true(pairs_have(&pairs, pair_of(text[298], 'x')));
    assert_true(pairs_have(&pairs, pair_of('x', text[300])));
    assert_true(pairs_have(&pairs, PAIR_NONE));
    assert_false(pairs_have(&pairs, pair_of('b', 'a')));
    pairs_of(&pairs, SPAN("q"));
    assert_false(pairs_have(&pairs, pair_of('a', 'b')));
    pairs_of(&pairs, SPAN_NONE);
    assert_true(pairs_have(&pairs, PAIR_NONE));
}

static void map_finds_what_was_put(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct map m = map_in(a);
    for (int i = 0; i < 5000; i++)
        *map_at(&m, arena_printf(a, "key%d", i)) = (void *)(intptr_t)(i + 1);
    assert_int_equal(m.n, 5000);
    for (int i = 0; i < 5000; i++)
        assert_int_equal((intptr_t)map_get(&m, arena_printf(a, "key%d", i)), i + 1);
    assert_null(map_get(&m, SPAN("key5000")));
    arena_free(a);
}

static void utf8_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } t[] = {
        {"plain\t\x7f", "plain\t\x7f"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf",
         "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf"},
        {"a\xe4z", "a" UTF8_REPLACEMENT "z"},
        {"\xc0\xaf", UTF8_REPLACEMENT UTF8_REPLACEMENT},
        {"\xe0\x9f\xbf", UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT},
        {"\xed\xa0\x80", UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT},
        {"\xf0\x8f\xbf\xbf!",
         UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT "!"},
        {"\xf4\x90\x80\x80", UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT},
        {"\xe2\x82", UTF8_REPLACEMENT UTF8_REPLACEMENT},
        {"\xff\xc3", UTF8_REPLACEMENT UTF8_REPLACEMENT},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf b = {0};
        utf8_add(&b, span_str(t[i].in));
        assert_string_equal(b.p, t[i].out);
        buf_free(&b);
    }
    struct buf b = {0};
    utf8_add(&b, span_of("a\0b", 3));
    assert_string_equal(b.p, "a" UTF8_REPLACEMENT "b");
    buf_free(&b);
}

static void json_is_written(void **state)
{
    (void)state;
    struct buf b = {0};
    json_open(&b, NULL, '{');
    json_text(&b, "a\"", SPAN("x\\\"\n\x01\x7f\xe4\xc3\xa4"));
    json_text(&b, "absent", SPAN_NONE);
    json_open(&b, "list", '[');
    json_count(&b, NULL, 18446744073709551615u);
    json_number(&b, NULL, 0.0 / 0.0);
    json_number(&b, NULL, -1.25);
    json_close(&b, '[');
    json_flag(&b, "f", true);
    json_open(&b, "empty", '{');
    json_close(&b, '{');
    json_close(&b, '{');
    assert_string_equal(b.p, "{\"a\\\"\":\"x\\\\\\\"\\u000a\\u0001\\u007f" UTF8_REPLACEMENT
                             "\xc3\xa4\",\"list\":[18446744073709551615,null,-1.25],\"f\":true,"
                             "\"empty\":{}}");
    buf_free(&b);
}

static void cursor_is_bounded(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_u32(&b, 7);
    buf_lstr(&b, SPAN("hello"));
    buf_lstr(&b, SPAN_NONE);
    buf_lstr(&b, SPAN(""));
    buf_f64(&b, -1.5);
    struct cursor c = cursor_over(buf_span(&b));
    assert_int_equal(cursor_u32(&c), 7);
    assert_true(span_eq(cursor_lstr(&c), SPAN("hello")));
    assert_null(cursor_lstr(&c).p);
    assert_non_null(cursor_lstr(&c).p);
    assert_true(cursor_f64(&c) == -1.5);
    assert_true(cursor_ok(&c));
    assert_int_equal(cursor_u64(&c), 0);
    assert_false(cursor_ok(&c));
    c = cursor_over(SPAN("\xff\xff\xff\x7f"
                         "abc"));
    assert_null(cursor_lstr(&c).p);
    assert_true(c.failed);
    buf_free(&b);
}

static void addresses_and_networks(void **state)
{
    (void)state;
    struct ip a;
    struct cidr c;
    char text[IP_TEXT_SIZE];
    assert_true(ip_parse(SPAN("192.0.2.7"), &a) && ip_is4(&a));
    assert_string_equal(ip_text(&a, text), "192.0.2.7");
    assert_true(cidr_parse(SPAN("192.0.2.0/25"), &c) && cidr_has(&c, &a));
    assert_true(cidr_parse(SPAN("192.0.2.128/25"), &c) && !cidr_has(&c, &a));
    assert_true(cidr_parse(SPAN("192.0"), &c) && cidr_has(&c, &a));
    assert_true(cidr_parse(SPAN("0.0.0.0/0"), &c) && cidr_has(&c, &a));
    assert_false(cidr_parse(SPAN("192.0.2.0/33"), &c));
    assert_true(ip_parse(SPAN("[IPv6:2001:db8::1]"), &a));
    assert_string_equal(ip_text(&a, text), "2001:db8::1");
    assert_true(cidr_parse(SPAN("2001:db8::/32"), &c) && cidr_has(&c, &a));
    assert_false(ip_parse(SPAN("1.2.3"), &a));
    assert_true(ip_parse(SPAN("10.1.2.3"), &a) && ip_is_private(&a) && !ip_is_loopback(&a));
}

static void ids_are_sortable_and_checked(void **state)
{
    (void)state;
    char one[ID_SIZE], two[ID_SIZE];
    id_new(one);
    id_new(two);
    assert_true(id_valid(span_str(one)));
    assert_true(strcmp(one, two) < 0);
    assert_false(id_valid(SPAN("../../etc/passwd")));
    assert_false(id_valid(SPAN("short")));
}

static void times(void **state)
{
    (void)state;
    usec t;
    char iso[CLOCK_ISO_SIZE];
    assert_true(clock_parse(SPAN("2026-11-22T07:30:00Z"), 0, &t));
    assert_string_equal(clock_iso(t, iso), "2026-11-22T07:30:00.000Z");
    assert_true(clock_parse(SPAN("2h"), 7200 * USEC_PER_SEC, &t) && t == 0);
    assert_false(clock_parse(SPAN("yesterday"), 0, &t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans),
        cmocka_unit_test(arena_grows_in_place_and_copies),
        cmocka_unit_test(arena_grows_large),
        cmocka_unit_test(arena_limit_is_kept),
        cmocka_unit_test(searches_agree_with_plain_ones),
        cmocka_unit_test(letters_are_compared_without_case),
        cmocka_unit_test(pairs_of_a_text),
        cmocka_unit_test(map_finds_what_was_put),
        cmocka_unit_test(utf8_is_checked),
        cmocka_unit_test(json_is_written),
        cmocka_unit_test(cursor_is_bounded),
        cmocka_unit_test(addresses_and_networks),
        cmocka_unit_test(ids_are_sortable_and_checked),
        cmocka_unit_test(times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
