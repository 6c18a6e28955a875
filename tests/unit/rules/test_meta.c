/* Meta expressions: Perl's precedence and values, SpamAssassin's lexer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "rules/meta.h"

static const struct meta *current;

/* A is 1, B is 0, C is 3, H is 0.5; others are 0. */
static double value(void *ctx, uint32_t index)
{
    (void)ctx;
    switch (current->names[index].p[0]) {
    case 'A':
        return 1;
    case 'C':
        return 3;
    case 'H':
        return 0.5;
    default:
        return 0;
    }
}

static double eval(const char *text)
{
    struct arena *a = arena_new(0);
    struct meta m;
    struct err e;
    bool division = false;
    if (meta_compile(a, span_str(text), true, &m, &e) != 0)
        fail_msg("%s: %s", text, e.text);
    current = &m;
    double v = meta_eval(&m, value, NULL, &division);
    arena_free(a);
    return v;
}

static void values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double v;
    } want[] = {
        {"A", 1},
        {"A && C", 3},
        {"B && C", 0},
        {"B || C", 3},
        {"C || A", 3},
        {"!A", 0},
        {"! B", 1},
        {"!A || A", 1},
        {"A + C * C", 10},
        {"(A + C) * C", 12},
        {"C - A - A", 1},
        {"12 / 4 / 2", 1.5},
        {"A + B > 0", 1},
        {"A > B == A", 1},
        {"A + A == 2 && C", 3},
        {"B ? A : C", 3},
        {"A ? B ? 1 : 2 : 3", 2},
        {"A ^ C", 2},
        {"C ^ 3", 0},
        {"- C + 1", -2},
        {"A +- C", -2},
        {"A >= 1 && C <= 3 && B != 1", 1},
        {"A || C && B", 1},
        {"H * 3", 1.5},
        {"local_tests_only", 1},
        {"!(A && B) + 1", 2},
        {"UNKNOWN", 0},
        {"()", 0},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        double v = eval(want[i].text);
        if (v < want[i].v - 1e-9 || v > want[i].v + 1e-9)
            fail_msg("%s is %g, not %g", want[i].text, v, want[i].v);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"A+1", "A -1",  "-1",     "A & C", "A C",       "(A",
                                      "A)",  "A ||",  "1.",     ".5",    "A::B",      "A ? B",
                                      "A:B", "$x",    "{A}",    "1 / B", "A < B < C", "A -- B",
                                      "",    "A ; B", "A ** 2", "1.2.3", "A->B"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct arena *a = arena_new(0);
        struct meta m;
        struct err e;
        if (meta_compile(a, span_str(bad[i]), true, &m, &e) == 0)
            fail_msg("'%s' was taken", bad[i]);
        assert_true(e.text[0]);
        arena_free(a);
    }
}

static void names_once_and_placeholder(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct meta m;
    struct err e;
    assert_int_equal(meta_compile(a, SPAN("A + B + A + (A && B)"), true, &m, &e), 0);
    assert_int_equal(m.nnames, 2);
    assert_false(m.placeholder);
    assert_int_equal(meta_compile(a, SPAN(" ( ) "), true, &m, &e), 0);
    assert_true(m.placeholder && m.nnames == 0);
    arena_free(a);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct meta m;
    struct err e;
    char text[4001];
    memset(text, '(', 2000);
    memset(text + 2000, ')', 2000);
    text[4000] = '\0';
    assert_int_equal(meta_compile(a, span_str(text), true, &m, &e), -1);
    memset(text, '!', 3999);
    text[3999] = 'A';
    assert_int_equal(meta_compile(a, span_str(text), true, &m, &e), -1);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(refused),
        cmocka_unit_test(names_once_and_placeholder),
        cmocka_unit_test(nesting_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
