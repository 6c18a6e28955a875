/* The regular expressions of rules: Perl's meaning over bytes (semantics sections 0 and 2.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "pattern/pattern.h"
#include "pattern/regex.h"

static bool hit(const char *pattern, const char *mods, struct span s)
{
    struct arena *a = arena_new(0);
    struct err e;
    struct regex *r = regex_new(a, span_str(pattern), span_str(mods), &e);
    assert_non_null(r);
    assert_int_equal(regex_check(r, &e), 0);
    bool yes = regex_hit(r, s);
    arena_free(a);
    return yes;
}

static void latin1_folds_ascii_classes(void **state)
{
    (void)state;
    assert_true(hit("caf\xe9", "i", SPAN("CAF\xc9")));
    assert_false(hit("caf\xe9", "", SPAN("caf\xc9")));
    assert_true(hit("[\\xc0-\\xd6]", "i", SPAN("\xe9")));
    assert_false(hit("\\xd7", "i", SPAN("\xf7")));
    assert_false(hit("\\xdf", "i", SPAN("\xff")));
    assert_false(hit("\\xb5", "i", SPAN("\xb4")));
    assert_false(hit("\\w", "", SPAN("\xe9")));
    assert_false(hit("\\s", "", SPAN("\xa0")));
    assert_true(hit("a\\sb", "", SPAN("a\vb")));
    assert_true(hit("\\be\\b", "",
                    SPAN("\xe9"
                         "e\xe9")));
    assert_false(hit("k", "i", SPAN("\xe2\x84\xaa")));
}

static void ends_and_dots(void **state)
{
    (void)state;
    assert_true(hit("end$", "", SPAN("the end\n")));
    assert_false(hit("end$", "", SPAN("the end\n\n")));
    assert_false(hit("end$", "", SPAN("the end\r\n")));
    assert_true(hit("end$", "m", SPAN("the end\nmore")));
    assert_false(hit("end\\z", "", SPAN("the end\n")));
    assert_false(hit("a.b", "", SPAN("a\nb")));
    assert_true(hit("a.b", "", SPAN("a\rb")));
    assert_true(hit("a.b", "s", SPAN("a\nb")));
    assert_true(hit("a\\0b", "", span_of("a\0b", 3)));
}

static void perl_spelling(void **state)
{
    (void)state;
    assert_true(hit("(?aa)(?i)X{,2}y", "", SPAN("xxY")));
    assert_false(hit("^x{,2}y", "", SPAN("xxxy")));
    assert_true(hit("[{,2}]a{,1}$", "", SPAN("{a")));
    assert_true(hit("(?ai:A)b", "", SPAN("ab")));
    assert_true(hit("(?a)b", "", SPAN("b")));
    /* braces that nothing stands in front of */
    assert_true(hit("{2}b", "", SPAN("{2}b")));
    assert_true(hit("^x|{,2}b", "", SPAN("{,2}b")));
    assert_true(hit("a({1,2}b)(?i){3}C", "", SPAN("a{1,2}b{3}c")));
    assert_true(hit("^a(?#note){2}$", "", SPAN("aa")));
    /* a condition on a group that is not there is false */
    assert_true(hit("^(?(1)a|b)$", "", SPAN("b")));
    assert_false(hit("^(?(1)a|b)$", "", SPAN("a")));
    assert_true(hit("^(x)?(?(1)a|b)(?(2)c)$", "", SPAN("xa")));
    assert_true(hit("(*FAIL)?ab", "", SPAN("ab")));
    assert_false(hit("a(*F)b|c", "", SPAN("ab")));
}

static void only_perl_has(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *mods, *text;
        bool hits;
    } t[] = {
        {"^a\\E{0,2}b$", "", "aEEb", true},
        {"^x{ 1, 3 }$", "", "xxx", true},
        {"^\\x{ 41 }\\o{ 102 }$", "", "AB", true},
        {"^(a)\\g{ 1 }$", "", "aa", true},
        {"^(?<n>a)\\k{ n }$", "", "aa", true},
        {"\\x{1_41}?b", "", "b", true},
        {"\\400", "", "\1", false},
        {"[\\x{20ac}\\o{101}]", "", "A", true},
        {"\\N{LATIN SMALL LETTER A}b", "", "ab", true},
        {"(?<n>a)|(?<n>b)\\k<n>", "", "bb", true},
        {"(?(R1)a|b)", "", "b", true},
        {"(?<=xa{1,3})b", "", "xaab", true},
        {"(?<=xa{1,3})b", "", "xb", false},
        {"(?<!a{2,3})b", "", "aab", false},
        {"(?<!\\s?foo)bar", "", "x bar", true},
        {"(?<=(?:ab?|\\R){1,2}c)d", "", "abacd", true},
        {"(?<=\\p{Digit}?,)x", "", ",x", true},
        {"^\\p{Punct}+$", "", "!?.", true},
        {"^\\p{PosixPunct}+$", "", "!?$", true},
        {"^\\p{Punct}+$", "", "$", false},
        {"^\\p{IsWord}\\p{XPosixAlpha}\\P{Letter}$", "", "_\xe9.", true},
        {"^\\p{InLatin1}\\p{Script: Latin}$", "", "\xe9z", true},
        {"^\\p{Lu}\\p{ lower }$", "i", "aB", true},
        {"^[\\p{Digit}\\p{^Any}]$", "", "7", true},
        {"[:x:]y", "", ":y", true},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        if (hit(t[i].pattern, t[i].mods, span_str(t[i].text)) != t[i].hits)
            fail_msg("/%s/%s on %s", t[i].pattern, t[i].mods, t[i].text);
}

static void split_case(const char *text, const char *pattern, const char *mods)
{
    struct span p, m;
    struct err e;
    int rc = pattern_split(span_str(text), &p, &m, &e);
    if (!pattern) {
        assert_int_equal(rc, -1);
        return;
    }
    assert_int_equal(rc, 0);
    assert_true(span_eq(p, span_str(pattern)));
    assert_true(span_eq(m, span_str(mods)));
}

static void delimiters(void **state)
{
    (void)state;
    split_case("/a\\/b/i", "a\\/b", "i");
    split_case("m{a{1,2}}x", "a{1,2}", "x");
    split_case("m,a/b,", "a/b", "");
    split_case("qr!x!is", "x", "is");
    split_case("/a/b/", NULL, NULL);
    split_case("/a/g", NULL, NULL);
    split_case("/a/e", NULL, NULL);
    split_case("abc", NULL, NULL);
    split_case("/(?{ system })/", NULL, NULL);
    split_case("/", NULL, NULL);
}

/* What Perl warns about, and SpamAssassin takes for a mistake. */
static void repeated_nothing_is_a_mistake(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "/^{2}b/",   "/(?=b)*b/", "/(?!a){2}b/",    "/(?<!x){0}b/", "/\\b+b/",       "/b${2}/",
        "/(?:)*b/",  "/()*b/",    "/(?:(?=b)){2}/", "/(|^)*b/",     "/(?:b{0}){2}/", "/\\K{2}b/",
        "/(?>){2}/", "/^ +b/x",   "/(?:\\A|\\z)*/", "/(?x: $ *)/"};
    static const char *const good[] = {"/^?b/",        "/(?=b){0,2}b/",   "/(){2}b/", "/(^|b)*c/",
                                       "/(?:a*)+b/",   "/(?:\\b|x){2}c/", "/^ +b/",   "/(a)\\1*/",
                                       "/(?(1)|a)*b/", "/(?R)?/",         "/[$^]+b/", "/\\$+b/"};
    struct span p, m;
    struct err e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (pattern_split(span_str(bad[i]), &p, &m, &e) == 0 || !strstr(e.text, "matches nothing"))
            fail_msg("%s is taken", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (pattern_split(span_str(good[i]), &p, &m, &e) != 0)
            fail_msg("%s: %s", good[i], e.text);
}

static void what_perl_warns_about_is_a_mistake(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "/\\xg/",          "/[\\x4]/",     "/\\x{4g}/",        "/\\08/",        "/(a)\\19/",
        "/[\\8]/",         "/\\c!/",       "/[[:alpha]/",      "/[:alpha:]/",   "/[[alpha:]]/",
        "/(?<n>a)\\g<n>/", "/(a)\\g{01}/", "/(?<n>a)(?(n)b)/", "/a{2}?/",       "/a{65535}/",
        "/a{x}/",          "/a{}/",        "/${x}/",           "/(?-p)a/",      "/(?aaa)a/",
        "/(?ad)a/",        "/a/ad",        "/(*FOO)a/",        "/(*napla:a)b/", "/(?*a)/",
        "/(?<*a)/",        "/\\E+/",       "/[\\E]/",          "/a{2} ?/x",     "/\\x{80000000}/"};
    static const char *const good[] = {
        "/\\x4/",        "/\\x{}/",        "/\\cA\\c[\\c?/", "/[[:alpha:]]/",
        "/(a)\\g{-1}/",  "/(a)(?(1)b)/",   "/a{2,3}?/",      "/{x}/",
        "/^{x}/",        "/a+{x}/",        "/(?^a)a/",       "/(?i-i)a/",
        "/a/aa",         "/(*ACCEPT)/",    "/(*pla:a)a/",    "/(*MARK:x)a/",
        "/\\x{110000}/", "/(?(DEFINE)a)/", "/(?(R)a)/",      "/[[.a]/",
        "/a|{x}/",       "/(?i){x}/",      "/\\1(a)/",       "/(?(<n>)a)(?<n>b)/"};
    struct span p, m;
    struct err e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (pattern_split(span_str(bad[i]), &p, &m, &e) == 0)
            fail_msg("%s is taken", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (pattern_split(span_str(good[i]), &p, &m, &e) != 0)
            fail_msg("%s: %s", good[i], e.text);
}

static void broken_patterns_are_told(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct err e;
    struct regex *r = regex_new(a, SPAN("a(b"), SPAN(""), &e);
    assert_int_equal(regex_check(r, &e), -1);
    assert_non_null(strstr(e.text, "parenthes"));
    assert_false(regex_hit(r, SPAN("ab")));
    arena_free(a);
}

/* An alternation of 30,000 words is too large for 8-bit link size 2. */
static void odd_lookbehinds_end(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct err e;
    static const char *const bad[] = {"(?<=x|?m)a",
                                      "(?m)^o.{1,#|b$|(?<=x|?m)^o.{1,#|b$|(?<=x|yz)\\\\,"};
    for (size_t i = 0; i < 2; i++) {
        struct regex *re = regex_new(a, span_str(bad[i]), SPAN(""), &e);
        assert_true(!re || regex_check(re, &e) == -1);
    }
    assert_true(hit("(?<=x|yz)a", "", SPAN("yza")));
    assert_true(hit("(?<=x{1,2}|yz?)a", "", SPAN("ya")));
    assert_false(hit("(?<=x{1,2}|yz?)a", "", SPAN("za")));
    arena_free(a);
}

static void giants_go_wide(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    size_t cap = 400000, n = 0;
    char *text = arena_alloc(a, cap);
    for (int i = 0; i < 30000; i++)
        n += (size_t)snprintf(text + n, cap - n, "%sw%05dx", i ? "|" : "", i);
    struct err e;
    struct regex *r = regex_new(a, span_of(text, n), SPAN("i"), &e);
    assert_int_equal(regex_check(r, &e), 0);
    struct regex_match m;
    assert_int_equal(regex_exec(r, SPAN("..\xe9W29999X"), 0, &m), 1);
    assert_int_equal(m.start, 3);
    assert_int_equal(m.end, 10);
    assert_int_equal(regex_exec(r, SPAN("w30000x"), 0, &m), 0);
    arena_free(a);
}

static void no_match_is_unbounded(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct err e;
    char *s = arena_alloc(a, 50000);
    memset(s, 'a', 49999);
    static const char *const evil[] = {"^(a+)+$", "(a|aa)+b", "(.*a){20}b", "(a*)*(a*)*(a*)*c"};
    for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
        struct regex *r = regex_new(a, span_str(evil[i]), SPAN(""), &e);
        regex_set_limits(r, 100000, 1000);
        s[49998] = '!';
        unsigned long before = regex_limit_hits();
        usec start = clock_mono();
        int rc = regex_exec(r, span_of(s, 49999), 0, NULL);
        assert_true(clock_mono() - start < 3 * USEC_PER_SEC);
        assert_true(rc <= 0);
        assert_int_equal(regex_limit_hits() - before, rc < 0);
    }
    arena_free(a);
}

/* Where an automaton leads, the budget of a message's steps counts as well: what fits into a whole
 * budget does not fit into a hundredth of it. */
static void budgets_count_where_an_automaton_leads(void **state)
{
    (void)state;
    enum { RUN = 16, USES = 300, LIMIT = 1000000 };
    struct arena *a = arena_new(0);
    struct err e;
    struct regex *r = regex_new(a, SPAN("(?:a|aa)+(?=!)(?<=b)"), SPAN(""), &e);
    char s[RUN * 8];
    memset(s, 'a', sizeof s);
    for (size_t i = RUN - 1; i < sizeof s; i += RUN)
        s[i] = '!';
    struct span text = span_of(s, sizeof s);
    regex_set_limits(r, LIMIT, 1000);
    for (int i = 0; i < USES && !regex_is_led(r); i++)
        assert_int_equal(regex_exec(r, text, 0, NULL), 0);
    assert_true(regex_is_led(r));
    assert_int_equal(regex_exec(r, text, 0, NULL), 0);
    regex_tighten(10000);
    unsigned long before = regex_limit_hits();
    assert_int_equal(regex_exec(r, text, 0, NULL), -1);
    assert_int_equal(regex_limit_hits(), before + 1);
    regex_tighten(0);
    assert_int_equal(regex_exec(r, text, 0, NULL), 0);
    arena_free(a);
}

static void groups_and_names(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct err e;
    struct regex *r = regex_new_delimited(a, SPAN("/(x)?(?<USER>[a-z]+)@(?<HOST>\\w+)/i"), &e);
    struct regex_match m;
    assert_int_equal(regex_exec(r, SPAN("<Bob@Host>"), 1, &m), 1);
    assert_true(m.group[1].start == SIZE_MAX);
    struct span name;
    assert_int_equal(regex_named_group(r, 0, &name), 3);
    assert_true(span_eq(name, SPAN("HOST")));
    assert_int_equal(m.group[2].end - m.group[2].start, 3);
    assert_int_equal(regex_named_group(r, 2, &name), 0);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latin1_folds_ascii_classes),
        cmocka_unit_test(ends_and_dots),
        cmocka_unit_test(perl_spelling),
        cmocka_unit_test(only_perl_has),
        cmocka_unit_test(delimiters),
        cmocka_unit_test(repeated_nothing_is_a_mistake),
        cmocka_unit_test(what_perl_warns_about_is_a_mistake),
        cmocka_unit_test(broken_patterns_are_told),
        cmocka_unit_test(odd_lookbehinds_end),
        cmocka_unit_test(giants_go_wide),
        cmocka_unit_test(no_match_is_unbounded),
        cmocka_unit_test(budgets_count_where_an_automaton_leads),
        cmocka_unit_test(groups_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
