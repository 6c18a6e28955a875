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
        cmocka_unit_test(arena_limit_is_kept),
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
