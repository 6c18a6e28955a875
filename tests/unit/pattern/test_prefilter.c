/* The filter may let too much through, but never too little: every match that PCRE2 finds must have
 * been a candidate. Checked on patterns of every shape against strings made of their own pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "pattern/automaton.h"
#include "pattern/frequency.h"
#include "pattern/need.h"
#include "pattern/pattern.h"
#include "pattern/prefilter.h"
#include "pattern/prefilter_private.h"
#include "pattern/regex.h"
#include "pattern/words.h"

static const char *const patterns[] = {
    "account",
    "(?i)account\\s+suspended",
    "\\bfree\\b.{1,20}\\bmoney\\b",
    "(?i)v[i1!]agra",
    "^Subject",
    "end$",
    "(?:foo|bar|bazaar)s?\\b",
    "(?:foo|bar|)x",
    "(?:a|e|i)(?:b|c)d",
    "(?i)caf\xe9",
    "(?i)[\\xc0-\\xd6]ber",
    "x{3}y{2,}z*w",
    "(?:name|address|phone)[\\s:]{1,3}",
    "(?:(?:name|address|age)[\\s,:]{1,3}){3}",
    "(?:your\\s)?(?:name|address)\\b",
    "(?!viagra)v[il1]agra",
    "(?=m[o0]ney)m.ney",
    "(\\w)\\1{3}",
    "[^a-z]{4}",
    "\\d{3}-\\d{4}",
    "(?s)one.two",
    "(?:ab){2,3}",
    "(?:ab)?cde",
    "(?:ab)*cde",
    "a(?:bc)+d",
    "(?x) f o o  # comment",
    "\\x66\\x6f\\157",
    "[[:alpha:]]{5}\\d",
    "[\\w.-]+@[\\w-]+",
    "(?i:AbC)d",
    "(?i)ab(?-i)CD",
    "(?>aa|a)b",
    "a++b",
    "(?:m[a@4]|\\/\\\\\\/)oney",
    "(?:[vV\\xb5]|\\\\\\/|\\xce[\\xbd])[\\W_]?[i1l|][\\W_]?[a@4]",
    "\\.(?:exe|scr|p[il]f)\\b",
    "",
    "e",
    "(?:)",
    "[$\\xa3]\\d+",
    "(?m)^line",
    "(?:^|\\s)word(?:\\s|$)",
    "colou?r",
    "(?:one|two|three|four|five|six|seven|eight|nine|ten) (?:dog|cat)s",
    "(?<!un)subscribe",
    "(?<name>zz)top",
    "a\\\\b",
    "[]x]y",
    "[^]x]y",
    "a{,2}b",
    "a{2}b{1}c",
    "\\Aabc",
    "abc\\z",
    "(?:\\d{1,3}\\.){3}\\d",
    "&\\#x?\\d",
    "foo.{0,9}bar",
    "(?s)foo.*bar",
    "(?:foo|bar) .{3,7}(?:cats|dogs)",
    "(?:foo|bar){2}x?cde",
    "name(?:\\s+\\w+){1,3}\\s+address",
    "(?=account).{2,9}free",
    "(?:xy|zy)?aabc.{1,4}123",
    "(?:ab|cde){2,3}foo",
    "(?i)(?:v[i1]agra|m[o0]ney){1,2} (?:foo|bar)",
    "(?:foo)+bar",
    "(?i)(?:your|one) (?:name|account|money)\\s?(?:suspended|is free)?",
    "(?:name|(?:your )?address).{1,12}(?:phone|age|(?:free )?money)",
    "(?:one|two|)\\s?(?:foo|bar)",
    "(?:(?:name|age)\\W+){2}.{0,5}(?:phone|foo)",
    "foo(?!bar).{0,4}bar",
    "a(?:lpha|b+)\\d?.{0,3}(?:foo|c+)",
    "(?:a|e|i)(?:b|c|d){3}",
    "(?:a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z|[0-9]{2}|\\xc3[\\xa0-\\xa9])qu",
};
enum { PATTERNS = sizeof patterns / sizeof *patterns, STRINGS = 3000 };

static const char *const pieces[] = {
    "account",
    "Account",
    " ",
    "  ",
    "suspended",
    "free",
    "money",
    "m0ney",
    "viagra",
    "v1agra",
    "Subject",
    "end",
    "\n",
    "foo",
    "bar",
    "bazaar",
    "s",
    "x",
    "abd",
    "ecd",
    "caf\xe9",
    "CAF\xc9",
    "\xd6"
    "ber",
    "\xf6"
    "BER",
    "xxxyyw",
    "name",
    ": ",
    "address",
    "phone",
    "age,",
    "your ",
    "aaaa",
    "-",
    "123",
    "456-7890",
    "one",
    "two",
    "ab",
    "cde",
    "abcbcd",
    "foo",
    "alpha5",
    "me@x-y",
    "ABCd",
    "abCD",
    "aab",
    "m@oney",
    "/\\/oney",
    "v_i_a",
    "\\/1@",
    "\xce\xbdi4",
    ".exe",
    ".pif",
    "e",
    "$5",
    "\xa3"
    "9",
    "line",
    "word",
    "color",
    "colour",
    "ten cats",
    "nine dogs",
    "subscribe",
    "unsubscribe",
    "zztop",
    "a\\b",
    "]y",
    "xy",
    "zy",
    "aabc",
    "abc",
    "1.2.3.4",
    "&#x9",
    "&#1",
    "qu",
    "\xc3\xa4qu",
    "99qu",
    "_",
    "|",
    "\t",
    "q",
};

static unsigned seed = 12345;
static unsigned next(unsigned below)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % below;
}

static struct span random_string(struct arena *a)
{
    char *p = arena_alloc(a, 600);
    size_t n = 0;
    for (unsigned k = next(9); k > 0; k--) {
        struct span s = span_str(pieces[next(sizeof pieces / sizeof *pieces)]);
        memcpy(p + n, s.p, s.n);
        n += s.n;
        if (next(12) == 0 && n)
            p[next((unsigned)n)] ^= 0x20;
    }
    return span_of(p, n);
}

static bool is_candidate(const struct candidate *c, size_t n, uint32_t id, uint32_t element)
{
    for (size_t i = 0; i < n; i++)
        if (c[i].id == id && c[i].element == element)
            return true;
    return false;
}

static bool always(const struct prefilter *f, uint32_t id)
{
    size_t n;
    const uint32_t *v = prefilter_always(f, &n);
    for (size_t i = 0; i < n; i++)
        if (v[i] == id)
            return true;
    return false;
}

struct stand {
    struct arena *a;
    struct prefilter *f;
    struct prefilter_scratch *s;
    struct regex *re[PATTERNS];
    bool always[PATTERNS];
};

static int set_up(void **state)
{
    struct stand *t = calloc(1, sizeof *t);
    struct prefilter_pattern p[PATTERNS];
    struct err e;
    t->a = arena_new(0);
    for (uint32_t i = 0; i < PATTERNS; i++) {
        t->re[i] = regex_new(t->a, span_str(patterns[i]), SPAN(""), &e);
        if (regex_check(t->re[i], &e) != 0)
            fail_msg("%s: %s", patterns[i], e.text);
        p[i] = (struct prefilter_pattern){i, pattern_pcre(t->a, span_str(patterns[i]), SPAN("")),
                                          i % 3 == 0};
    }
    t->f = prefilter_build(t->a, p, PATTERNS);
    t->s = prefilter_scratch_new();
    prefilter_scratch_fit(t->s, t->f);
    for (uint32_t i = 0; i < PATTERNS; i++)
        t->always[i] = always(t->f, i);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct stand *t = *state;
    prefilter_scratch_free(t->s);
    arena_free(t->a);
    free(t);
    return 0;
}

static void compare(struct stand *t, struct prefilter *f, const struct span *v, size_t n)
{
    size_t found;
    const struct candidate *c = prefilter_scan(f, t->s, v, n, &found);
    for (uint32_t i = 0; i < PATTERNS; i++)
        for (uint32_t k = 0; !t->always[i] && k < n; k++)
            if (regex_hit(t->re[i], v[k]) && !is_candidate(c, found, i, k))
                fail_msg("/%s/ matches '%.*s' and was no candidate", patterns[i], SPAN_ARG(v[k]));
}

static void no_match_is_missed(void **state)
{
    struct stand *t = *state;
    struct arena *a = arena_new(0);
    for (int round = 0; round < STRINGS / 10; round++) {
        struct span v[10];
        size_t n = 1 + next(10);
        for (size_t i = 0; i < n; i++)
            v[i] = random_string(a);
        compare(t, t->f, v, n);
        arena_reset(a);
    }
    arena_free(a);
}

/* Of the patterns that have something to look for, most strings are no candidates. */
static void most_is_filtered(void **state)
{
    struct stand *t = *state;
    struct span text = SPAN("an ordinary sentence about nothing in particular, really");
    size_t found, unfiltered = 0;
    prefilter_scan(t->f, t->s, &text, 1, &found);
    for (size_t i = 0; i < PATTERNS; i++)
        unfiltered += t->always[i];
    assert_true(found < 6);
    assert_true(unfiltered < 14);
}

static void saved_and_loaded(void **state)
{
    struct stand *t = *state;
    struct buf b = {0};
    struct arena *a = arena_new(0);
    prefilter_save(t->f, &b);
    struct cursor in = cursor_over(buf_span(&b));
    struct prefilter *f = prefilter_load(a, PATTERNS, &in);
    assert_non_null(f);
    assert_true(cursor_ok(&in));
    for (int i = 0; i < 100; i++) {
        struct span v = random_string(a);
        compare(t, f, &v, 1);
    }
    /* ids out of range, cut short */
    in = cursor_over(buf_span(&b));
    assert_null(prefilter_load(a, 3, &in));
    for (size_t n = 0; n < b.n; n += 1 + b.n / 60) {
        in = cursor_over(span_of(b.p, n));
        assert_null(prefilter_load(a, PATTERNS, &in));
    }
    buf_free(&b);
    arena_free(a);
}

static void counted_groups(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct prefilter_pattern p = {0, SPAN("(?:(?:firstname|surname)[\\s,]+){3}"), false};
    struct prefilter *f = prefilter_build(a, &p, 1);
    struct prefilter_scratch *s = prefilter_scratch_new();
    prefilter_scratch_fit(s, f);
    struct span two = SPAN("firstname surname "), three = SPAN("surname, firstname surname ");
    size_t n;
    prefilter_scan(f, s, &two, 1, &n);
    assert_int_equal(n, 0);
    prefilter_scan(f, s, &three, 1, &n);
    assert_int_equal(n, 1);
    prefilter_scratch_free(s);
    arena_free(a);
}

/* Among so many frequent runs that an automaton takes some of them, which can't count: what it sees
 * stands for as many places as are wanted. */
static void counted_in_a_crowd(void **state)
{
    (void)state;
    enum { CROWD = 300 };
    struct arena *a = arena_new(0);
    static struct prefilter_pattern p[CROWD + 1];
    for (uint32_t i = 0; i < CROWD; i++)
        p[i] = (struct prefilter_pattern){i,
                                          arena_printf(a, "[%c-z]\\W*[e%c]\\W*[%c-t]",
                                                       (int)('a' + i % 20), (int)('a' + i / 20),
                                                       (int)('b' + i % 17)),
                                          false};
    p[CROWD] = (struct prefilter_pattern){
        CROWD, SPAN("(?:(?:firstname|[rst]\\W*[ao]\\W*[mnl]\\W*e)[\\s,]+){3}"), false};
    struct prefilter *f = prefilter_build(a, p, CROWD + 1);
    struct prefilter_scratch *s = prefilter_scratch_new();
    prefilter_scratch_fit(s, f);
    static const char *const texts[] = {"firstname firstname firstname ",
                                        "firstname firstname r-a-m-e ", "tale firstname s.o.n.e, ",
                                        "some, rane tole "};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct span text = span_str(texts[i]);
        size_t n;
        const struct candidate *c = prefilter_scan(f, s, &text, 1, &n);
        if (!is_candidate(c, n, CROWD, 0))
            fail_msg("'%s' is no candidate", texts[i]);
    }
    prefilter_scratch_free(s);
    arena_free(a);
}

static size_t tried(const char *pattern, const char *text)
{
    struct arena *a = arena_new(0);
    struct prefilter_pattern p = {0, span_str(pattern), false};
    struct prefilter *f = prefilter_build(a, &p, 1);
    struct prefilter_scratch *s = prefilter_scratch_new();
    size_t n;
    assert_false(always(f, 0));
    prefilter_scratch_fit(s, f);
    prefilter_scan(f, s, &(struct span){text, strlen(text)}, 1, &n);
    prefilter_scratch_free(s);
    arena_free(a);
    return n;
}

/* Groups must stand in the order and as near as a match wants them. */
static void groups_belong_together(void **state)
{
    (void)state;
    static const char pattern[] = "lantern.{0,9}harbour(?:.{1,20}meadow)";
    assert_int_equal(tried(pattern, "a lantern at harbour near meadow"), 1);
    assert_int_equal(tried(pattern, "a harbour, a lantern near a meadow"), 0);
    assert_int_equal(tried(pattern, "a lantern, and a long way off the harbour, a meadow"), 0);
    assert_int_equal(tried("(?s)lantern.*harbour", "lantern and, much later on, a harbour"), 1);
    assert_int_equal(tried("(?s)lantern.*harbour", "harbour before lantern"), 0);
}

/* Of each alternative as much is looked for as it holds; it is one candidate all the same. */
static void alternatives_by_themselves(void **state)
{
    (void)state;
    static const char pattern[] = "(?:red lantern|old harbour) (?:meadow|orchard)";
    assert_int_equal(tried(pattern, "red lantern meadow, old harbour orchard"), 1);
    assert_int_equal(tried(pattern, "an old harbour orchard"), 1);
    assert_int_equal(tried(pattern, "an old harbour"), 0);
    assert_int_equal(tried(pattern, "red lantern and orchard"), 0);
}

static double rate(const char *text)
{
    struct arena *a = arena_new(0);
    struct byteset_table sets;
    struct run r = {.n = (uint16_t)strlen(text)};
    byteset_table_init(&sets, a);
    for (size_t i = 0; i < r.n; i++)
        r.set[i] = byteset_number(&sets, byteset_range((uint8_t)text[i], (uint8_t)text[i]));
    const struct frequency *f = frequency_of(&sets, &r);
    assert_ptr_equal(f, frequency_of(&sets, &r));
    double whole = frequency_at(f, 0, r.n);
    assert_true(whole <= frequency_at(f, 1, r.n) * 1.0001);
    arena_free(a);
    return whole;
}

/* Frequencies are those of mail, not of its letters. */
static void words_are_frequent(void **state)
{
    (void)state;
    assert_true(rate("please") > 1000 * rate("sepael"));
    assert_true(rate("please") < 5 && rate("please") > 0.05);
    assert_true(rate("lease") >= rate("please"));
    assert_true(rate("your account") < rate("account"));
}

/* Whether an automaton leads to a match that begins at `start`. */
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

/* An automaton must lead to every match, also from the middle of a string, and a regex that asks
 * one finds the same as one that does not: it is made anew all the time, lest it asks one itself.
 */
static void automata_miss_nothing(void **state)
{
    (void)state;
    size_t no = 0;
    for (size_t i = 0; i < PATTERNS; i++) {
        struct arena *a = arena_new(0);
        struct automaton *m = automaton_new(pattern_pcre(a, span_str(patterns[i]), SPAN("")));
        struct err e;
        struct regex *re = NULL;
        for (int k = 0; m && k < 200; k++) {
            if (k % 10 == 0)
                re = regex_new(a, span_str(patterns[i]), SPAN(""), &e);
            struct span s = random_string(a);
            size_t from = s.n ? next((unsigned)s.n) : 0;
            struct regex_match found;
            struct window w;
            if (regex_exec(re, s, from, &found) == 1 && !leads_to(m, s, from, found.start))
                fail_msg("/%s/ on '%.*s' from %zu", patterns[i], SPAN_ARG(s), from);
            no += !automaton_next(m, s, from, &w);
        }
        automaton_free(m);
        arena_free(a);
    }
    assert_true(no > 1000);
}

/* Slow in vain, so that it soon asks an automaton; found where it is, the first and the next. */
static void automata_find_the_same(void **state)
{
    (void)state;
    struct arena *a = arena_new(0), *strings = arena_new(0);
    struct err e;
    struct regex *re =
        regex_new(a, SPAN("(?:a?b?c?\\s?){4}(?:(?:ab|bc|ca)+\\s){2,}x"), SPAN(""), &e);
    for (int k = 0; k < 500; k++) {
        char *p = arena_alloc(strings, 3000);
        for (size_t i = 0; i < 3000; i++)
            p[i] = "abc "[next(4)];
        size_t at[2] = {500 + next(500), 1500 + next(500)};
        bool there = k % 50 == 49;
        for (int i = 0; there && i < 2; i++)
            memcpy(p + at[i], "  . ab bc x", 11);
        struct regex_match m = {0};
        for (int i = 0; i < 2; i++) {
            int rc = regex_exec(re, span_of(p, 3000), m.end, &m);
            assert_int_equal(rc, there);
            if (there)
                assert_int_equal(m.end, at[i] + 11);
        }
        arena_reset(strings);
        if (k % 100 == 99)
            re = regex_new(a, SPAN("(?:a?b?c?\\s?){4}(?:(?:ab|bc|ca)+\\s){2,}x"), SPAN(""), &e);
    }
    arena_free(strings);
    arena_free(a);
}

/* With room for few states it drops them, and in the end says yes to everything. */
static void automata_have_bounds(void **state)
{
    (void)state;
    struct automaton *m = automaton_new(SPAN("(?:a|b)(?:a|b|c){11}x(?:a|b){11}y(?:a|c){11}z"));
    assert_non_null(m);
    struct arena *a = arena_new(0);
    struct window w;
    bool yes = false;
    for (int k = 0; k < 400 && !yes; k++) {
        char *p = arena_alloc(a, 20000);
        for (size_t i = 0; i < 20000; i++)
            p[i] = "abcx"[next(4)];
        for (int again = 0; again < 2; again++)
            yes = automaton_next(m, span_of(p, 20000), 0, &w) && w.first == 0 && w.last == 20000;
        arena_reset(a);
    }
    arena_free(a);
    automaton_free(m);
    assert_null(automaton_new(SPAN("(?:a|b)*")));
    assert_null(automaton_new(SPAN("(?R)?a")));
}

/* A pattern that is a few words is found without PCRE2; in a group that stores it is not. */
static void words_are_found_alike(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "e",   "(?:e|\\xc3[\\xa8\\xa9])", "a|ab|abc|[ab]c", "a|bc| [b-d]", "[a-c ]",

        "abca"};
    static const char *const others[] = {"\\be", "a\\b", "abcde",  "(?>a|ab)c",
                                         "(a)",  "a?",   "\\x00|#"};
    size_t hits = 0;
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct words *w = words_new(pattern_pcre(a, span_str(forms[i]), SPAN("")));
        if (!w)
            fail_msg("/%s/ is not taken for words", forms[i]);
        struct err e;
        struct regex *re = regex_new(a, arena_printf(a, "(%s)", forms[i]), SPAN(""), &e);
        for (int k = 0; k < 500; k++) {
            struct span s = random_string(a);
            struct regex_match m;
            size_t from = s.n ? next((unsigned)s.n) : 0, start, end;
            bool found = words_find(w, s, from, &start, &end);
            assert_int_equal(regex_exec(re, s, from, &m) == 1, found);
            if (found && (m.start != start || m.end != end))
                fail_msg("/%s/ on '%.*s'", forms[i], SPAN_ARG(s));
            hits += found;
        }
        words_free(w);
    }
    assert_true(hits > 1000);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_null(words_new(pattern_pcre(a, span_str(others[i]), SPAN(""))));
    arena_free(a);
}

/* Factored or not, a pattern matches the same. */
static void factoring_changes_nothing(void **state)
{
    (void)state;
    static const char *const text[] = {
        "(?i)(?:(?:alpha|beta|gamma|delta|epsilon|zeta|eta|theta)\\s(?:alpha|beta|gamma|delta|"
        "epsilon|zeta|eta|theta)x){2}y",
        "(?:^|\\s)(?:(?:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa|b)c|(?:"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa|b)d)",
    };
    struct arena *a = arena_new(0);
    struct err e;
    for (size_t i = 0; i < 2; i++) {
        struct span small = pattern_factor(a, span_str(text[i]));
        assert_non_null(small.p);
        struct regex *x = regex_new(a, span_str(text[i]), SPAN(""), &e);
        struct regex *y = regex_new(a, small, SPAN(""), &e);
        assert_int_equal(regex_check(y, &e), 0);
        static const char *const words[] = {"alpha", "beta", "gamma", "x", "y",
                                            " ",     "b",    "c",     "d", "B"};
        for (int k = 0; k < 2000; k++) {
            struct buf s = {0};
            buf_room(&s, 1);
            for (unsigned w = next(10); w > 0; w--)
                buf_str(&s, words[next(10)]);
            assert_int_equal(regex_hit(x, buf_span(&s)), regex_hit(y, buf_span(&s)));
            buf_free(&s);
        }
        assert_true(regex_hit(y, i ? SPAN("bd") : SPAN("beta alphaxgamma BETAxy")));
    }
    assert_null(pattern_factor(a, SPAN("(a)\\1")).p);
    assert_null(pattern_factor(a, SPAN("abc")).p);
    arena_free(a);
}

/* --- plain texts --- */

enum { DISGUISED = 170, LETTERS = 5, PLAIN_ROUNDS = 400 };

/* Words of which any letter may be disguised, and what only disguises are made of. */
static struct span disguised_pattern(struct arena *a, const char *word, unsigned i)
{
    struct buf b = {0};
    if (i % 17 == 0)
        buf_printf(&b, "(?i)%.3s(?:\\xe9|&\\#233;)%s", word, word + 3);
    for (const char *p = word; *p && i % 17; p++)
        buf_printf(&b, i % 3 ? "[%c%c\\x80-\\xbf]" : "(?:[%c%c\\xc0-\\xff]|&\\#\\d+;)", *p,
                   *p ^ 0x20);
    struct span s = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return s;
}

/* Some of the words, their letters disguised as the kind says: not at all, by bytes, by numbers. */
static struct span disguised_text(struct arena *a, char (*words)[LETTERS + 1], unsigned kind)
{
    struct buf b = {0};
    for (unsigned n = 1 + next(6); n > 0; n--) {
        unsigned i = next(DISGUISED);
        for (const char *p = words[i]; *p; p++) {
            if (kind == 0 || next(3))
                buf_u8(&b, (uint8_t)(*p ^ (next(4) ? 0 : 0x20)));
            else if (kind == 1)
                buf_u8(&b, (uint8_t)(0x80 + next(128)));
            else
                buf_str(&b, "&#233;");
        }
        buf_str(&b, n % 2 ? " and " : "");
    }
    struct span s = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return s;
}

/* Two filters for one set of patterns: neither misses what trying all of them finds. */
static void plain_texts_have_their_own_filter(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct prefilter_pattern p[DISGUISED];
    struct regex *re[DISGUISED];
    char words[DISGUISED][LETTERS + 1] = {{0}};
    struct err e;
    for (uint32_t i = 0; i < DISGUISED; i++) {
        for (size_t k = 0; k < LETTERS; k++)
            words[i][k] = (char)('a' + next(26));
        struct span pattern = disguised_pattern(a, words[i], i);
        assert_non_null(re[i] = regex_new(a, pattern, SPAN(""), &e));
        p[i] = (struct prefilter_pattern){i, pattern_pcre(a, pattern, SPAN("")), false};
    }
    struct prefilter *f = prefilter_build(a, p, DISGUISED);
    assert_non_null(f->plain);
    struct prefilter_scratch *s = prefilter_scratch_new();
    prefilter_scratch_fit(s, f);
    size_t matches[3] = {0};
    for (unsigned round = 0; round < PLAIN_ROUNDS; round++) {
        size_t found;
        struct span text[3];
        for (unsigned kind = 0; kind < 3; kind++)
            text[kind] = disguised_text(a, words, kind);
        const struct candidate *c = prefilter_scan(f, s, text, 3, &found);
        for (uint32_t i = 0; i < DISGUISED; i++)
            for (uint32_t k = 0; k < 3; k++) {
                if (!regex_hit(re[i], text[k]))
                    continue;
                matches[k]++;
                if (!always(f, i) && !is_candidate(c, found, i, k))
                    fail_msg("/%.*s/ matches '%.*s' and was no candidate", SPAN_ARG(p[i].pattern),
                             SPAN_ARG(text[k]));
            }
    }
    for (unsigned kind = 0; kind < 3; kind++)
        assert_true(matches[kind] > PLAIN_ROUNDS / 4);
    prefilter_scratch_free(s);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_match_is_missed),
        cmocka_unit_test(most_is_filtered),
        cmocka_unit_test(saved_and_loaded),
        cmocka_unit_test(counted_groups),
        cmocka_unit_test(counted_in_a_crowd),
        cmocka_unit_test(groups_belong_together),
        cmocka_unit_test(alternatives_by_themselves),
        cmocka_unit_test(words_are_frequent),
        cmocka_unit_test(automata_miss_nothing),
        cmocka_unit_test(automata_find_the_same),
        cmocka_unit_test(automata_have_bounds),
        cmocka_unit_test(words_are_found_alike),
        cmocka_unit_test(factoring_changes_nothing),
        cmocka_unit_test(plain_texts_have_their_own_filter),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
