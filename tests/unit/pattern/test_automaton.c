/* What spares tries of slow patterns: automata that say where a match may begin, stretches of one
 * set, words that are counted. None may miss a match that PCRE2 finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "pattern/automaton.h"
#include "pattern/pattern.h"
#include "pattern/regex.h"
#include "pattern/stretch.h"
#include "pattern/words.h"

static uint32_t seed = 1;

static unsigned next(unsigned n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

#define FIELD  "(?:name|address|city|state|zip|phone|mobile|fax|age|sex|e-?mail)"
#define LETTER "(?:a|4|@|\\xc3[\\xa0-\\xa5]|\\xce\\xb1|\\xd0\\xb0|[\\xe0\\xe1]|o|q)"

/* Repeated fields, alternatives that are listed as one, also where a line must begin there or the
 * match may end there, rare bytes in the middle, loops. */
static const char *const patterns[] = {
    "(?i)(?:(?:your\\s)?" FIELD "(?:\\s?[/&,]\\s?)?[:=_ ]{1,5}){3}",
    "(?i)(?:(?:" FIELD "\\s?){1,3}[:=_ ]{1,5}){2}",
    "(?im)^\\s?(?:your\\s)?" FIELD "[: ]+$",
    "(?:^|\\s)p" LETTER "y",
    "(?:^|\\s)(?:" LETTER "{2}|p)y",
    "(?:^|\\s)" LETTER "+(?:name|x)",
    "[a-z0-9]{3}\\s{4}[a-z0-9]{2}",
    "(?m)^[a-z]{2,}\\s{4}",
    "(?:^a|b|c|d|e|f|g|h|^i|^\\s)x",
    "(?:a|b|c|d|e|f|g|hh)*z",
    "x(?:a|b|c|d|e|f|g|h|)(?:y|)",
    "x(?:(?:a|b|c|d|e|f|g|h)?\\s|)+",
    ".{0,4}name.{2,9}age",
    "(?:(?:name|age|city|fax|zip|sex|x|y)\\W){3}",
    "(?m)^.*x$",
    "\\S+\\s\\S*p" LETTER,
    "[^b-w\\3]{1,3}x{2,}", /* of octals in a class nothing is known */
    "(?:[an\\3]y?)+x",
    "(?i)(?=na)" FIELD "(?!:)\\W(?<=\\s)" FIELD,
};
enum { PATTERNS = sizeof patterns / sizeof *patterns };

static const char *const pieces[] = {
    "name",  "Name", "address", "city", "email",  "e-mail", "age",        "fax",
    "your ", " ",    "\n",      ": ",   "____",   "/",      "&",          ",",
    "x",     "y",    "p",       "pay",  "a",      "4",      "\xce\xb1",   "\xc3\xa1",
    "\xe1",  "z",    "b",       "    ", "\n   ",  "hh",     "ab1",        "i",
    "x\n",   "the ", "sex",     "zip",  "name: ", "city: ", "your sex: ", "p4y ",
};

static struct span random_string(struct arena *a)
{
    char *p = arena_alloc(a, 1000);
    size_t n = 0;
    for (unsigned k = next(80); k > 0; k--) {
        struct span piece = span_str(pieces[next(sizeof pieces / sizeof *pieces)]);
        memcpy(p + n, piece.p, piece.n);
        n += piece.n;
    }
    return span_of(p, n);
}

/* Where PCRE2 finds the first match at or behind `from`; SIZE_MAX: there is none. What looks ahead
 * is neither led by an automaton nor refused for a stretch. */
static size_t found(const struct regex *ahead, struct span s, size_t from)
{
    struct regex_match m;
    return regex_exec(ahead, s, from, &m) == 1 ? m.start : SIZE_MAX;
}

static bool leads_to(struct automaton *m, struct span s, size_t from, size_t start)
{
    struct window w;
    while (from <= start && automaton_next(m, s, from, &w) && w.first <= start) {
        assert_true(w.first >= from && w.last >= w.first);
        if (start <= w.last)
            return true;
        from = w.last + 1;
    }
    return false;
}

static void automata_lead_to_every_match(void **state)
{
    (void)state;
    enum { ROUNDS = 600 };
    for (size_t i = 0; i < PATTERNS; i++) {
        struct arena *a = arena_new(0);
        struct err e;
        struct automaton *m = automaton_new(pattern_pcre(a, span_str(patterns[i]), SPAN("")));
        struct regex *ahead =
            regex_new(a, arena_printf(a, "(?=(?:%s))", patterns[i]), SPAN(""), &e);
        size_t yes = 0, no = 0;
        assert_non_null(m);
        for (int k = 0; k < ROUNDS; k++) {
            struct span s = random_string(a);
            size_t from = s.n && k % 2 ? next((unsigned)s.n) : 0, start = found(ahead, s, from);
            struct window w;
            if (start != SIZE_MAX && !leads_to(m, s, from, start))
                fail_msg("/%s/ on '%.*s' from %zu", patterns[i], SPAN_ARG(s), from);
            yes += start != SIZE_MAX;
            no += !automaton_next(m, s, from, &w);
        }
        if (yes < 3 || no < 3)
            fail_msg("/%s/: %zu times yes, %zu times no", patterns[i], yes, no);
        automaton_free(m);
        arena_free(a);
    }
}

/* A regex that is tried often finds the same with all that spares tries as without. */
static void led_ones_find_the_same(void **state)
{
    (void)state;
    enum { ROUNDS = 400 };
    for (size_t i = 0; i < PATTERNS; i++) {
        struct arena *a = arena_new(0);
        struct err e;
        struct regex *ahead =
            regex_new(a, arena_printf(a, "(?=(?:%s))", patterns[i]), SPAN(""), &e);
        struct regex *own = regex_new(a, span_str(patterns[i]), SPAN(""), &e);
        for (int k = 0; k < ROUNDS; k++) {
            struct span s = random_string(a);
            struct regex_match m = {.start = SIZE_MAX};
            regex_exec(own, s, 0, &m);
            if (m.start != found(ahead, s, 0))
                fail_msg("/%s/ on '%.*s'", patterns[i], SPAN_ARG(s));
        }
        arena_free(a);
    }
}

/* A pattern above 4 kB asks its automaton from the first try on, and finds the same. */
static void giants_are_led_at_once(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct buf b = {0};
    struct err e;
    for (int i = 0; i < 26; i++)
        buf_printf(&b, "%s(?:p" LETTER "%c" LETTER "\\s)", i ? "|" : "", 'a' + i);
    struct regex *own = regex_new(a, buf_span(&b), SPAN(""), &e);
    struct regex *ahead =
        regex_new(a, arena_printf(a, "(?=%.*s)", SPAN_ARG(buf_span(&b))), SPAN(""), &e);
    assert_true(buf_span(&b).n < 4096);
    for (int i = 0; buf_span(&b).n <= 4096; i++)
        buf_printf(&b, "|never%dto%dbe%dseen", i, i, i);
    struct regex *giant = regex_new(a, buf_span(&b), SPAN(""), &e);
    (void)regex_hit(own, SPAN("x"));
    assert_false(regex_is_led(own));
    (void)regex_hit(giant, SPAN("x"));
    assert_true(regex_is_led(giant));
    size_t hits = 0;
    for (int k = 0; k < 3000; k++) {
        struct span s = random_string(a);
        struct regex_match m = {.start = SIZE_MAX};
        regex_exec(giant, s, 0, &m);
        assert_int_equal(m.start, found(ahead, s, 0));
        hits += m.start != SIZE_MAX;
    }
    assert_true(hits > 20);
    buf_free(&b);
    arena_free(a);
}

/* Where matches may begin everywhere and each could go on to the end, one pass answers instead of
 * as many walks as there are bytes. */
static void walks_are_bounded(void **state)
{
    (void)state;
    enum { BYTES = 400 * 1000, CALLS = 20 };
    struct automaton *m = automaton_new(SPAN("a[ab]*c(?:x|y)"));
    char *p = malloc(BYTES);
    memset(p, 'a', BYTES);
    struct window w;
    usec start = clock_mono();
    for (int i = 0; i < CALLS; i++)
        assert_false(automaton_next(m, span_of(p, BYTES), 0, &w));
    memcpy(p + BYTES - 2, "cy", 2);
    assert_true(leads_to(m, span_of(p, BYTES), 0, 0));
    assert_true(leads_to(m, span_of(p, BYTES), 10, BYTES / 2));
    assert_true(clock_mono() - start < 20 * USEC_PER_SEC);
    free(p);
    automaton_free(m);
}

/* Where an automaton sees many chances and PCRE2 none, what is left is tried as a whole. */
static void false_chances_are_bounded(void **state)
{
    (void)state;
    enum { STARTS = 2000, USES = 500 };
    struct arena *a = arena_new(0);
    struct err e;
    struct regex *re = regex_new(a, SPAN("x[^y]*y(?<!zy)"), SPAN(""), &e);
    struct buf b = {0};
    for (int i = 0; i < STARTS; i++)
        buf_str(&b, "x ");
    buf_str(&b, "zy");
    struct regex_match m;
    for (int i = 0; i < USES && !regex_is_led(re); i++)
        assert_int_equal(regex_exec(re, buf_span(&b), 0, &m), 0);
    assert_true(regex_is_led(re));
    buf_str(&b, "zxay");
    assert_int_equal(regex_exec(re, buf_span(&b), 0, &m), 1);
    assert_int_equal(m.start, buf_span(&b).n - 3);
    buf_free(&b);
    arena_free(a);
}

/* Many starts that go on for long: one pass over everything takes less, leaps over what can't begin
 * a match, and leads to the same places. */
static void passes_lead_there_too(void **state)
{
    (void)state;
    enum { ROUNDS = 1500, PIECES = 60 };
    static const char *const parts[] = {
        "<a ", "<a href=x123", "<a\nhref=", ">", "href", "y<<<", "qqqqqqqqqqqqqqqqqqqqqqqq", "\n"};
    static const char form[] = "<a\\s[^>]*href=(?:x|y)[^<]{3}";
    struct arena *a = arena_new(0), *texts = arena_new(0);
    struct err e;
    struct automaton *m = automaton_new(span_str(form));
    struct regex *ahead = regex_new(a, arena_printf(a, "(?=%s)", form), SPAN(""), &e);
    size_t yes = 0, no = 0;
    for (int k = 0; k < ROUNDS; k++) {
        struct buf b = {0};
        for (int i = 0; i < PIECES; i++)
            buf_str(&b, parts[k % 3 ? next(8) : 0]);
        struct span s = arena_dup(texts, buf_span(&b));
        size_t from = next((unsigned)s.n), start = found(ahead, s, from);
        struct window w;
        if (start != SIZE_MAX)
            assert_true(leads_to(m, s, from, start));
        no += !automaton_next(m, s, from, &w);
        yes += start != SIZE_MAX;
        buf_free(&b);
        arena_reset(texts);
    }
    assert_true(yes > ROUNDS / 20 && no > ROUNDS / 20);
    automaton_free(m);
    arena_free(texts);
    arena_free(a);
}

static void stretches_of_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        size_t n;
        char of; /* one of its bytes */
    } cases[] = {
        {"^[^\\r\\n]{998}", 998, ' '},
        {"[a-z0-9]{6}\\s{8}[a-z0-9]{5}", 8, ' '},
        {"\\d{3}\\d{4}-?\\d{2}", 7, '1'},
        {"a\\s{3,5}\\s{4,}\\bb", 7, ' '},
        {"(?:x|\\d{9})\\d{10}", 10, '2'},
        {"(?:[\\x80-\\xff]{7})+", 7, '\xe4'},
        {"x(?:\\d{20})?", 0, 0},
        {"x|\\d{20}", 0, 0},
        {"(?=\\d{20})x", 0, 0},
        {"(?!\\d{20})x", 0, 0},
        {"[a-z ]{8}", 0, 0},
        {"\\d{0,20}x", 0, 0},
        {"(?R)?\\d{20}", 0, 0},
    };
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stretch x = {0};
        bool is = stretch_of(pattern_pcre(a, span_str(cases[i].pattern), SPAN("")), &x);
        if (is != (cases[i].n > 0) || x.n != cases[i].n)
            fail_msg("/%s/: %zu", cases[i].pattern, x.n);
        assert_true(!is || byteset_has(&x.set, (unsigned char)cases[i].of));
    }
    arena_free(a);
}

static bool stands_plainly(const struct stretch *x, struct span s, size_t from)
{
    size_t n = 0;
    for (size_t i = from; i < s.n && n < x->n; i++)
        n = byteset_has(&x->set, (unsigned char)s.p[i]) ? n + 1 : 0;
    return n == x->n;
}

static void stretches_are_found(void **state)
{
    (void)state;
    size_t yes = 0;
    for (int k = 0; k < 20000; k++) {
        char p[64];
        size_t n = next(sizeof p + 1);
        for (size_t i = 0; i < n; i++)
            p[i] = next(4) ? '1' : 'x';
        struct stretch x = {byteset_range('0', '9'), 1 + next(12)};
        size_t from = n ? next((unsigned)n + 1) : 0;
        bool stands = stretch_stands(&x, span_of(p, n), from);
        assert_int_equal(stands, stands_plainly(&x, span_of(p, n), from));
        yes += stands;
    }
    assert_true(yes > 2000 && yes < 18000);
}

static void words_are_counted(void **state)
{
    (void)state;
    static const char *const forms[] = {"a", "(?:a|\\xc3[\\xa0-\\xa5]|\\xce\\xb1)", "ag|a|4|e-|e",
                                        "a|ag|nam", "[ae]| [a-y]"};
    struct arena *a = arena_new(0);
    size_t all = 0;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct words *w = words_new(pattern_pcre(a, span_str(forms[i]), SPAN("")));
        assert_non_null(w);
        for (int k = 0; k < 1000; k++) {
            struct span s = random_string(a);
            size_t from = s.n ? next((unsigned)s.n) : 0, most = next(2) ? SIZE_MAX : next(20);
            size_t n = 0, start, end;
            for (size_t at = from; n < most && words_find(w, s, at, &start, &end); at = end)
                n++;
            assert_int_equal(words_count(w, s, from, most), n);
            all += n;
        }
        words_free(w);
    }
    assert_true(all > 10000);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(automata_lead_to_every_match),
        cmocka_unit_test(led_ones_find_the_same),
        cmocka_unit_test(giants_are_led_at_once),
        cmocka_unit_test(walks_are_bounded),
        cmocka_unit_test(false_chances_are_bounded),
        cmocka_unit_test(passes_lead_there_too),
        cmocka_unit_test(stretches_of_patterns),
        cmocka_unit_test(stretches_are_found),
        cmocka_unit_test(words_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
