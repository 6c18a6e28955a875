/* Razor: signatures that razor-agents 2.85 made of the same bytes, and its dialogue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "digests/razor.h"

static const struct {
    const char *text, *signatures;
} known[] = {
#include "known_signatures.h"
};

static void test_signatures(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct razor_signatures s;
        struct razor_server server = RAZOR_SERVER_DEFAULT;
        struct arena *a = arena_new(0);
        struct buf b = {0};
        razor_sign(a, span_str(known[i].text), &server, &s);
        for (size_t k = 0; k < s.n; k++)
            buf_printf(&b, "%s%u.e%u=%.*s", k ? " " : "", s.v[k].part, s.v[k].engine,
                       SPAN_ARG(s.v[k].text));
        assert_string_equal(b.p, known[i].signatures);
        buf_free(&b);
        arena_free(a);
    }
}

/* Parts, hosts and nesting have their limits. */
static void test_limits(void **state)
{
    struct razor_signatures s;
    struct razor_server server = RAZOR_SERVER_DEFAULT;
    struct arena *a = arena_new(0);
    struct buf b = {0};
    (void)state;
    buf_str(&b, "Content-Type: multipart/mixed; boundary=x\n\n");
    for (int i = 0; i < 3000; i++)
        buf_printf(&b, "--x\nContent-Type: text/plain\n\nthis is part %d http://h%d.example/\n", i,
                   i);
    razor_sign(a, buf_span(&b), &server, &s);
    assert_int_equal(s.parts, RAZOR_PARTS);
    assert_true(s.n <= RAZOR_SIGNATURES);
    buf_clear(&b);
    for (int i = 0; i < 3000; i++)
        buf_printf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
    razor_sign(a, buf_span(&b), &server, &s);
    buf_clear(&b);
    buf_str(&b, "Subject: x\n\n");
    for (int i = 0; i < 7000; i++)
        buf_str(&b, "http://a.example ");
    razor_sign(a, buf_span(&b), &server, &s);
    assert_int_equal(s.n, 2);
    buf_free(&b);
    arena_free(a);
}

static void test_questions(void **state)
{
    struct razor_signature v[] = {{0, 4, SPAN("abc")}, {0, 8, SPAN("def")}};
    const struct razor_signatures sigs = {v, 2, 2, 1};
    const struct razor_server server = RAZOR_SERVER_DEFAULT;
    struct buf b = {0};
    (void)state;
    razor_question(&b, &sigs, 0, 1, &server);
    assert_string_equal(b.p, "a=c&e=4&ep4=7542-10&s=abc\r\n");
    buf_clear(&b);
    razor_question(&b, &sigs, 0, 2, &server);
    assert_string_equal(b.p, "-a=c&e=4&ep4=7542-10&s=abc\r\na=c&e=8&s=def\r\n.\r\n");
    buf_free(&b);
}

static void test_answers(void **state)
{
    struct razor_signature v[] = {{0, 4, SPAN("a")}, {0, 8, SPAN("b")}, {1, 4, SPAN("c")}};
    const struct razor_signatures sigs = {v, 3, 3, 2};
    struct razor_verdict part[RAZOR_PARTS] = {0};
    struct razor_fact f = {0};
    struct arena *a = arena_new(0);
    size_t n;
    (void)state;
    assert_true(razor_answers(a, SPAN("-p=1&cf=50&ct=0\r\np=0\r\np=1&cf=99&ct=1\r\n.\r\n"), &sigs,
                              0, 3, 20, part, &f));
    assert_true(part[0].spam && !part[0].contested);
    assert_true(part[1].spam && part[1].contested);
    assert_int_equal(f.confidence[4], 50); /* the contested one does not count */
    assert_int_equal(f.confidence[8], 0);
    struct razor_verdict other[RAZOR_PARTS] = {0};
    assert_true(razor_answers(a, SPAN("-p=?&cf=?\r\n1,10\r\n1,70\r\n0,0\r\n.\r\n"), &sigs, 0, 3, 20,
                              other, &f));
    assert_true(other[0].spam);
    assert_int_equal(f.confidence[8], 70);
    static const char *const bad[] = {"", "-p=1\r\n.\r\n", "-p=1\r\np=0\r\np=7\r\n.\r\n",
                                      "nonsense\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(razor_answers(a, span_str(bad[i]), &sigs, 0, 3, 20, other, &f));
    assert_true(razor_complete(SPAN("p=1\r\nmore"), &n) && n == 5);
    assert_false(razor_complete(SPAN("-p=1\r\np=0\r\n"), &n));
    assert_true(razor_complete(SPAN("-p=1\r\np=0\r\n.\r\n"), &n) && n == 14);
    assert_false(razor_complete(SPAN(""), &n));
    arena_free(a);
}

static void test_servers(void **state)
{
    struct razor_server s = RAZOR_SERVER_DEFAULT;
    struct arena *a = arena_new(0);
    size_t n;
    (void)state;
    assert_true(razor_greeting(SPAN("sn=C&srl=94&ep4=11-32&a=cg\r\n"), &s));
    assert_true(s.wants_greeting && s.seed == 11 && s.separator == ' ');
    assert_true(razor_state(a, SPAN("-ac=17&bql=0&se=08\r\n.\r\n"), &s));
    assert_true(s.known && s.average == 17 && s.engines == 8 && s.batch == 50);
    assert_true(razor_greeting(SPAN("sn=C&srl=94\r\n"), &s) && s.known);
    assert_true(razor_greeting(SPAN("sn=C&srl=95\r\n"), &s) && !s.known); /* it has changed */
    assert_false(razor_greeting(SPAN("220 mail.example ESMTP\r\n"), &s));
    assert_false(razor_state(a, SPAN("err=1\r\n"), &s));
    struct span *v = razor_list(a, SPAN("-csl=?\r\nc1.example\r\nc2.example:9\r\n.\r\n"), &n);
    assert_int_equal(n, 2);
    assert_true(span_eq(v[1], SPAN("c2.example:9")));
    assert_int_equal(razor_least("ac", 20), 20);
    assert_int_equal(razor_least("ac+90", 20), 100);
    assert_int_equal(razor_least("ac-30", 20), 0);
    assert_int_equal(razor_least("55", 20), 55);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_questions),  cmocka_unit_test(test_answers),
        cmocka_unit_test(test_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
