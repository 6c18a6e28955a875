/* The refuter against PCRE2: it may never say "no" where there is a match. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "pattern/byteclass.h"
#include "rules/conf.h"
#include "pattern/firstbytes.h"
#include "pattern/pattern.h"
#include "pattern/refute.h"
#include "pattern/regex.h"
#include "pattern/tree.h"

/* --- a pattern and what is known of it --- */

struct subject {
    struct arena *a;
    struct span pattern;
    struct regex *regex;
    struct refuter *refuter;
    struct byteset_table sets;
    const struct tree *tree;
    struct { /* of the text that is made */
        size_t from, to;
    } * captures;
};

static struct refuter *refuter_of(struct arena *a, struct span pattern)
{
    struct refuter_maker *m = refuter_maker_new(1);
    refuter_add(m, 0, pattern);
    return refuter_finish(m, a);
}

static bool subject_open(struct subject *s, struct span pattern, struct span mods)
{
    struct err e;
    *s = (struct subject){.a = arena_new(0)};
    s->pattern = pattern_pcre(s->a, pattern, mods);
    s->regex = regex_new(s->a, pattern, mods, &e);
    if (!s->regex || regex_check(s->regex, &e) != 0) {
        arena_free(s->a);
        return false;
    }
    regex_set_limits(s->regex, 20000, 500);
    s->refuter = refuter_of(s->a, s->pattern);
    byteset_table_init(&s->sets, s->a);
    s->tree = tree_parse(&s->sets, s->a, s->pattern);
    s->captures = arena_array(s->a, TREE_CAPTURES + 1, sizeof *s->captures);
    return true;
}

static bool maybe(const struct subject *s, struct span text, size_t first, size_t last, size_t *at)
{
    struct places p = {first, last};
    enum refuted told = refuter_ask(s->refuter, 0, text, &p);
    *at = p.first;
    if (told == REFUTE_CERTAIN && regex_exec(s->regex, text, 0, NULL) == 0)
        fail_msg("/%.*s/ does not match \"%.*s\"", SPAN_ARG(s->pattern), SPAN_ARG(text));
    return told != REFUTED;
}

/* Copies the text so that ASan sees what lies outside. */
static bool check(const struct subject *s, struct span shared)
{
    char *own = malloc(shared.n + 1);
    assert_non_null(own);
    memcpy(own, shared.p, shared.n);
    char *exact = realloc(own, shared.n ? shared.n : 1);
    assert_non_null(exact);
    struct span text = span_of(exact, shared.n);
    struct regex_match m;
    size_t at, none;
    int rc = regex_exec(s->regex, text, 0, &m);
    bool all = maybe(s, text, 0, SIZE_MAX, &at);
    bool from_there = rc == 1 && maybe(s, text, m.start, m.start, &none);
    bool kept = span_search(s->pattern, SPAN("\\K")) != SIZE_MAX; /* moves the reported start */
    if (rc == 1 && !kept && (!all || at > m.start || !from_there))
        fail_msg("/%.*s/ matches at %zu of \"%.*s\": %d, at %zu; %d", SPAN_ARG(s->pattern), m.start,
                 SPAN_ARG(text), all, at, from_there);
    if (rc == 1 && !all)
        fail_msg("/%.*s/ matches \"%.*s\"", SPAN_ARG(s->pattern), SPAN_ARG(text));
    free(exact);
    return rc != 0 || !all;
}

/* --- what is told --- */

static void tells(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *mods, *text;
        bool maybe;
    } cases[] = {
        {"\\bviagra\\b", "i", "buy ViaGra now", true},
        {"\\bviagra\\b", "i", "buy viagral", false},
        {"\\bviagra\\b", "i", "aviagra", false},
        {"\\Bx", "", "x", false},
        {"\\Bx", "", "ax", true},
        {"^a.{1,3}b$", "", "axxb\n", true},
        {"^a.{1,3}b$", "", "axxxxb", false},
        {"^a.{1,3}b$", "", "axxb\nc", false},
        {"^a.{1,3}b$", "m", "axxb\nc", true},
        {"^b", "", "a\nb", false},
        {"^b", "m", "a\nb", true},
        {"^$", "m", "a\n", false},
        {"a\\z", "", "a\n", false},
        {"a\\Z", "", "a\n", true},
        {"\\Aa", "m", "b\na", false},
        {"foo(?!bar)", "", "foobar", false},
        {"foo(?!bar)", "", "foobaz", true},
        {"foo(?=bar|q)", "", "foobaz", false},
        {"foo(?=bar|q)", "", "fooqa", true},
        {"(?<!not )good", "", "not good", false},
        {"(?<!not )good", "", "very good", true},
        {"(?<=a|bcd)x", "", "cdx bx", false},
        {"(?<=a|bcd)x", "", "bcdx", true},
        {"(?<![a-z])x", "", "ax", false},
        {"(?<![a-z])x", "", "x", true},
        {"(?:foo|foobar|fig)z", "", "foobar fiz", false},
        {"(?:foo|foobar|fig)z", "", "foobarz", true},
        {"(?:ab|cd){2,3}e", "", "abe", false},
        {"(?:ab|cd){2,3}e", "", "abcde", true},
        {"\\w+@\\w+\\.com", "", "me@example.org", false},
        {"\\w+@\\w+\\.com", "", "me@example.com", true},
        {"a[^>]*>b", "", "a<x>c>b", false},
        {"a.*b.*c", "", "a c b", false},
        {"a.*b.*c", "", "ab c", true},
        {"caf\xe9", "i", "CAF\xc9", true},
        {"(a)\\1b", "", "ac", false},
        {"(a)\\1b", "", "aab", true},
        {"(a)c\\1b", "", "aba", false},
        {"<(\\w+)>.*</\\1>", "", "<b>x</i> <i>y</b", false},
        {"<(\\w+)>.*</\\1>", "", "<b>x</i> <i>y</i>", true},
        {"<(\\w+)>.*</\\1>", "", "<b>x</B>", false},
        {"<(\\w+)>.*</\\1>", "i", "<b>x</B>", true},
        {"(\xe9+)-(?i)\\1$", "", "\xe9-\xc9", true},
        {"(.)-(?i)\\1x", "", "\xd7-\xf7x", false},
        {"(?<who>\\w+)@\\k<who>\\.", "", "me@you.", false},
        {"(?<who>\\w+)@\\k<who>\\.", "", "me@me.", true},
        {"(\\w+)@\\g{1}\\.", "", "me@you.", false},
        {"(\\w)(\\w+)@\\g{-1}\\.", "", "me@me.", false},
        {"(\\w)(\\w+)@\\g{-1}\\.", "", "me@e.", true},
        {"(?:(a)|b)c\\1", "", "bca", false}, /* one that took no part */
        {"(?:(a)x|ab)c\\1", "", "abca", false},
        {"(\\w+) (?!\\1)\\w", "", "ab ab", true},
        {"^(\\w+) (?!\\1)\\w", "", "ab abc", false},
        {"^(\\w+) (?!\\1)\\w", "", "ab ac", true},
        {"(\\d)(?:\\1){3}", "", "1112111", false},
        {"(\\d)(?:\\1){3}", "", "11121111", true},
        {"^[^\\r\\n]{5}", "m", "abcd\nabc\n\nabcd", false},
        {"^[^\\r\\n]{5}", "m", "abcd\nabc\n\nabcde", true},
        {"^[^\\r\\n]{5}!", "m", "abcde\nabcd\nabcde!\n", true},
        {"^[^\\r\\n]{5}\\n", "m", "abcdef\n\nabcd\n", false},
        {"^[^:]*[a-z][A-Z]", "m", "aa BBa bA", true},
        {"^[^:]*[a-z][A-Z]", "m", "aa BBa b:A", false},
        {"a.*b[cd]", "", "a b cb", false},
        {"a.*b[cd]", "", "a b cbd", true},
        {"^To: (?:[^\\n]{1,4}\\n+)*b+c", "m", "To: x\n\nabcd\nbbc", true},
        {"^To: (?:[^\\n]{1,4}\\n+)*b+c", "m", "To: x\nabcde\nbbc", false},
        {"^To: (?:[^\\n]{1,4}\\n+)*b+c", "m", "To: \nbbc", false},
        {"^To: (?:[^\\n]{1,4}\\n+)*b+c", "m", "To: bc", true},
        {"^To: (?:[^\\n]+\\n+)*b+c", "m", "To: b\nbb\nbbb\nbc", true},
        {"^To: (?:[^\\n]+\\n+)*(\\w)=\\1", "m", "To: b\nb=c\n\nc=b\nd=d", true},
        {"^To: (?:[^\\n]+\\n+)*(\\w)=\\1", "m", "To: b\nb=c\n\nc=b\nd=", false},
        {"(?:(a)|b)*\\1", "", "b", true}, /* of some it is not known */
        {"(?|(a)|(b))\\1", "", "ac", true},
        {"(?=(a))\\1", "", "ac", true},
        {"a{3}b", "", "aab", false},
        {"(?:a?b?){3}c", "", "ab", false},
        {".{0,20}\\d{4}x", "", "text 123x", false},
        {".{0,20}\\d{4}x", "", "text 1234x", true},
        {"[^\\s\\S]|b", "", "aaa", false},
        {"x(?:(?!--).)*y", "", "x--y", false},
        {"a +b", "x", "aab", true},
        {"a # more\n {2} + b", "x", "aab", true},
        {"[[:^upper:]]b", "i", "ab", false},
        {"[[:^upper:]]b", "i", "1b", true},
        {"^[[:lower:]]b", "i", "Ab", true},
        {"x(?:(?!--).)*y", "", "x-a-y", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct subject s;
        size_t at;
        assert_true(subject_open(&s, span_str(cases[i].pattern), span_str(cases[i].mods)));
        struct span text = span_str(cases[i].text);
        check(&s, text);
        if (maybe(&s, text, 0, SIZE_MAX, &at) != cases[i].maybe)
            fail_msg("/%s/ \"%s\"", cases[i].pattern, cases[i].text);
        arena_free(s.a);
    }
}

static void heeds_places(void **state)
{
    (void)state;
    struct subject s;
    size_t at;
    struct span text = SPAN("-- ab -- ab --");
    assert_true(subject_open(&s, SPAN("\\bab"), SPAN("")));
    assert_true(maybe(&s, text, 0, SIZE_MAX, &at));
    assert_int_equal(at, 3);
    assert_true(maybe(&s, text, 4, 20, &at));
    assert_int_equal(at, 9);
    assert_false(maybe(&s, text, 4, 8, &at));
    assert_false(maybe(&s, text, 10, SIZE_MAX, &at));
    assert_false(maybe(&s, text, 100, 50, &at));
    arena_free(s.a);
    /* a loop in front: the match begins in the places, what is behind the loop perhaps not */
    assert_true(subject_open(&s, SPAN("[a-z]{1,5}@"), SPAN("")));
    assert_true(maybe(&s, SPAN("abc@"), 0, 0, &at));
    assert_false(maybe(&s, SPAN("abc def ghi jkl@"), 0, 2, &at));
    assert_false(maybe(&s, SPAN("abcdefgh"), 0, SIZE_MAX, &at));
    arena_free(s.a);
}

/* A damaged cache is refused, or what it holds can be run. */
static void cache_is_checked(void **state)
{
    (void)state;
    static const char pattern[] =
        "(?i)(?:ab[cd]+|x{2,5}y|\\bq(?!u))[^>]*>(?<!foo|ba)(?:z|zz){1,9}$";
    struct arena *a = arena_new(0);
    struct refuter *r = refuter_of(a, span_str(pattern)), *again;
    struct buf b = {0};
    refuter_save(r, &b);
    struct span saved = buf_span(&b), text = SPAN("abc qa> xxxy >z abd>zzz\n");
    struct cursor in = cursor_over(saved);
    assert_non_null(again = refuter_load(a, 1, &in));
    struct places x = {0, SIZE_MAX}, y = x;
    assert_int_equal(refuter_ask(r, 0, text, &x), refuter_ask(again, 0, text, &y));
    assert_int_equal(x.first, y.first);
    in = cursor_over(saved);
    assert_null(refuter_load(a, 2, &in)); /* of other rules */
    size_t refused = 0;
    for (size_t i = 0; i < saved.n; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            char *p = (char *)(uintptr_t)saved.p;
            p[i] = (char)(p[i] ^ (1 << bit));
            in = cursor_over(saved);
            struct refuter *odd = refuter_load(a, 1, &in);
            x = (struct places){0, SIZE_MAX};
            if (odd)
                (void)refuter_ask(odd, 0, text, &x);
            refused += !odd;
            p[i] = (char)(p[i] ^ (1 << bit));
        }
    for (size_t n = 0; n < saved.n; n++) {
        in = cursor_over(span_sub(saved, 0, n));
        assert_null(refuter_load(a, 1, &in));
    }
    assert_true(refused > saved.n);
    buf_free(&b);
    arena_free(a);
}

/* However the text is made, a try ends soon; then anything may be. */
static void steps_are_bounded(void **state)
{
    (void)state;
    static const char *const patterns[] = {"(?:a|aa|aaa)+b", "(?:a+)+b", "a.*a.*a.*a.*a.*b",
                                           "(?:a[ab]?){1,40}c", "(?=(?:a+)+b)a"};
    struct buf text = {0};
    for (size_t i = 0; i < 200000; i++)
        buf_char(&text, 'a');
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct subject s;
        size_t at;
        assert_true(subject_open(&s, span_str(patterns[i]), SPAN("")));
        for (int k = 0; k < 100; k++) /* with 10 s each were there no bound */
            (void)maybe(&s, buf_span(&text), 0, SIZE_MAX, &at);
        arena_free(s.a);
    }
    buf_free(&text);
}

/* What does not fit counts as matched; in a negation, as nothing. */
static void long_ones_are_cut(void **state)
{
    (void)state;
    struct subject s;
    struct buf p = {0};
    size_t at;
    buf_char(&p, 'Z');
    for (size_t i = 0; i < REFUTE_PROGRAM; i++)
        buf_char(&p, (char)('a' + i % 26));
    struct span letters = buf_span(&p);
    assert_true(subject_open(&s, letters, SPAN("")));
    assert_true(refuter_size(s.refuter) <= REFUTE_PROGRAM + 16);
    assert_true(maybe(&s, letters, 0, SIZE_MAX, &at));
    assert_false(maybe(&s, span_from(letters, 1), 0, SIZE_MAX, &at));
    arena_free(s.a);
    struct arena *a = arena_new(0);
    struct span negated = arena_printf(a, "x(?!%.*s)", SPAN_ARG(letters));
    assert_true(subject_open(&s, negated, SPAN("")));
    assert_true(maybe(&s, arena_printf(a, "x%.*s!", (int)letters.n - 1, letters.p), 0, 9, &at));
    arena_free(s.a);
    arena_free(a);
    buf_free(&p);
}

/* --- random texts --- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 11;
}

static unsigned below(uint64_t *seed, unsigned n)
{
    return n ? (unsigned)(next_random(seed) % n) : 0;
}

static void add_of_set(struct buf *b, const struct byteset *set, uint64_t *seed)
{
    int n = byteset_size(set);
    unsigned which = below(seed, (unsigned)n), c = 0;
    if (n > 128 && below(seed, 2)) /* ordinary ones more often */
        for (unsigned k = 0; k < 8; k++)
            if (byteset_has(set, (c = 'a' + below(seed, 26)) & 0xff)) {
                buf_char(b, (char)c);
                return;
            }
    for (c = 0; n && c < 256; c++)
        if (byteset_has(set, (unsigned char)c) && which-- == 0)
            buf_char(b, (char)c);
}

static void sample(const struct subject *s, const struct tree *t, struct buf *b, uint64_t *seed);

/* What the group of a reference held, at times in the other case. */
static void sample_again(const struct subject *s, const struct tree *t, struct buf *b,
                         uint64_t *seed)
{
    const size_t from = s->captures[t->of->capture].from, to = s->captures[t->of->capture].to;
    const bool other_case = below(seed, t->folded ? 2 : 8) == 0;
    for (size_t i = from; i < to; i++) {
        const unsigned char c = (unsigned char)buf_span(b).p[i];
        const bool letter = ascii_isalpha((char)c) || c >= 0xc0;
        buf_char(b, (char)(letter && other_case && below(seed, 2) ? c ^ 0x20 : c));
    }
}

static void sample_inside(const struct subject *s, const struct tree *t, struct buf *b,
                          uint64_t *seed)
{
    static const char *const edges[] = {"", " ", "\n", "x", "", ""};
    unsigned n = 0;
    if (buf_span(b).n > 2000)
        return;
    switch (t->kind) {
    case TREE_SET:
        add_of_set(b, &s->sets.v[t->set], seed);
        break;
    case TREE_ALT:
        for (const struct tree *k = t->child; k; k = k->next)
            n++;
        n = below(seed, n);
        for (const struct tree *k = t->child; k; k = k->next)
            if (n-- == 0)
                sample(s, k, b, seed);
        break;
    case TREE_REPEAT:
        n = t->min + below(seed, (t->max - t->min < 4 ? t->max - t->min : 4) + 1);
        for (unsigned i = 0; i < n && i < 70; i++)
            sample(s, t->child, b, seed);
        break;
    case TREE_SEQ:
        for (const struct tree *k = t->child; k; k = k->next)
            sample(s, k, b, seed);
        break;
    case TREE_ANY:
        if (tree_is_reference(t))
            sample_again(s, t, b, seed);
        else
            buf_str(b, edges[below(seed, 6)]);
        break;
    default:
        if (t->look && below(seed, 3) == 0)
            sample(s, t->look, b, seed);
        else if (t->kind == TREE_AHEAD && below(seed, 2))
            sample(s, t->child, b, seed);
        else
            buf_str(b, edges[below(seed, 8) < 2 ? 1 + below(seed, 3) : 0]);
    }
}

/* Something the tree matches, but for what it says of places. */
static void sample(const struct subject *s, const struct tree *t, struct buf *b, uint64_t *seed)
{
    const size_t from = buf_span(b).n;
    sample_inside(s, t, b, seed);
    if (t->capture) {
        s->captures[t->capture].from = from;
        s->captures[t->capture].to = buf_span(b).n;
    }
}

static void mutate(struct buf *b, uint64_t *seed)
{
    static const char bytes[] = "aeiou abc\n.@<>/:-_0129\xe9\xc9\x80";
    struct span s = buf_span(b);
    if (!s.n)
        return;
    size_t at = below(seed, (unsigned)s.n);
    char *p = (char *)(uintptr_t)s.p;
    if (below(seed, 2))
        p[at] = bytes[below(seed, sizeof bytes - 1)];
    else
        p[at] = p[below(seed, (unsigned)s.n)];
}

static size_t against_pcre(const struct subject *s, unsigned texts, uint64_t *seed, size_t *vain)
{
    static const char *const around[] = {"", " ", "\n", "a", "word ", "x\n", "- "};
    size_t told = 0;
    for (unsigned i = 0; i < texts; i++) {
        struct buf b = {0};
        buf_str(&b, around[below(seed, 7)]);
        unsigned copies = 1 + below(seed, 2);
        for (unsigned k = 0; k < copies && s->tree; k++)
            sample(s, s->tree, &b, seed);
        buf_str(&b, around[below(seed, 7)]);
        for (unsigned k = below(seed, 4); k-- > 1;)
            mutate(&b, seed);
        told += check(s, buf_span(&b));
        ++*vain;
        buf_free(&b);
    }
    return told;
}

/* --- random patterns --- */

static void random_reference(struct buf *b, uint64_t *seed)
{
    static const char *const forms[] = {"\\1",
                                        "\\1",
                                        "\\2",
                                        "\\3",
                                        "\\g{1}",
                                        "\\g{-1}",
                                        "(?i:\\1)",
                                        "(?!\\1)",
                                        "(?=\\2)",
                                        "(\\1)",
                                        "(?:[^\\n]{1,3}\\n+)*",
                                        "(?:[^a]+a+)*b",
                                        "^[^\\n]{2,3}",
                                        "^\\w{4}"};
    buf_str(b, forms[below(seed, 14)]);
}

static void random_pattern(struct buf *b, unsigned depth, uint64_t *seed)
{
    static const char *const atoms[] = {
        "a",   "b",   "c",    "foo", "[ab]", "[^a]", ".",          "\\w",      "\\s",
        "\\d", "\\S", "\\b",  "^",   "$",    "\\B",  "\\n",        "[a-z0-9]", "\\A",
        "\\z", "\\Z", "\xe9", "-",   " ",    "(?i)", "[[:upper:]]"};
    static const char *const quantifiers[] = {"*",    "+",  "?",  "{2}",    "{1,3}", "{0,2}",
                                              "{2,}", "*?", "++", "{0,20}", "??",    "*+"};
    static const char *const opens[] = {"(", "(?:", "(?:", "(?=", "(?!", "(?>", "(?i:", "(?-i:"};
    static const char *const behind[] = {"(?<=a)", "(?<!a)",     "(?<=ab|c)",  "(?<!b[ac])",
                                         "(?<!^)", "(?<=\\s|^)", "(?<!foo|a)", "(?!a|bc)",
                                         "(?!$)",  "(?=.*b)"};
    unsigned n = 1 + below(seed, 4);
    for (unsigned i = 0; i < n; i++) {
        unsigned what = below(seed, depth ? 14 : 10);
        if (below(seed, 20) == 0)
            random_reference(b, seed);
        else if (what == 9)
            buf_str(b, behind[below(seed, 10)]);
        else if (what < 10)
            buf_str(b, atoms[below(seed, 25)]);
        else {
            buf_str(b, opens[below(seed, 8)]);
            random_pattern(b, depth - 1, seed);
            for (unsigned k = below(seed, 4); k-- > 1;) {
                buf_char(b, '|');
                random_pattern(b, depth - 1, seed);
            }
            buf_char(b, ')');
        }
        if (below(seed, 4) == 0)
            buf_str(b, quantifiers[below(seed, 12)]);
    }
}

static void random_ones(void **state)
{
    (void)state;
    static const char *const mods[] = {"", "i", "m", "s", "im", "is"};
    const char *more = getenv("GATEHOUSE_REFUTE_PATTERNS");
    uint64_t seed = 88172645463325252u;
    uint64_t patterns = 6000;
    size_t texts = 0, told = 0;
    if (more)
        (void)span_u64(span_str(more), &patterns);
    for (size_t i = 0; i < patterns; i++) {
        struct buf b = {0};
        struct subject s;
        random_pattern(&b, 2, &seed);
        if (below(&seed, 4) == 0) {
            buf_char(&b, '|');
            random_pattern(&b, 2, &seed);
        }
        if (subject_open(&s, buf_span(&b), span_str(mods[below(&seed, 6)]))) {
            told += against_pcre(&s, 8, &seed, &texts);
            arena_free(s.a);
        }
        buf_free(&b);
    }
    /* of the texts, nearly all are told as PCRE2 tells them; not what repeated groups held */
    print_message("%zu of %zu\n", told, texts);
    assert_true(texts > patterns);
    assert_true(told * 100 > texts * 92);
}

/* Patterns of the stock rules, where they are installed. */
static void stock_ones(void **state)
{
    (void)state;
    const char *dirs[] = {"/usr/share/spamassassin"};
    if (access(dirs[0], R_OK) != 0)
        skip();
    struct conf_options o = {.dirs = dirs, .ndirs = 1, .site_dir = "/etc/spamassassin"};
    struct arena *a = arena_new(0);
    struct err e;
    struct conf *c = conf_read(a, &o, &e);
    uint64_t seed = 362436069;
    size_t texts = 0, told = 0;
    for (size_t i = 0; c && i < c->nrules; i++) {
        struct subject s;
        const struct rule_def *d = c->rules[i];
        if (!d->pattern.n || d->is_template || d->pattern.n > 3000)
            continue;
        if (subject_open(&s, d->pattern, d->mods)) {
            told += against_pcre(&s, 6, &seed, &texts);
            arena_free(s.a);
        }
    }
    arena_free(a);
    print_message("%zu of %zu\n", told, texts);
    assert_true(told * 100 >= texts * 90);
}

/* What looks at many bytes at once sees what looking at each of them does, at every length. */
static void blocks_are_searched_whole(void **state)
{
    (void)state;
    uint64_t seed = 123456789;
    uint8_t text[200];
    for (size_t round = 0; round < 3000; round++) {
        struct byteset set = {{0}};
        struct firstbytes f = {.n = (uint8_t)(1 + round % 3), .offset = {0, 3, 7}};
        for (unsigned i = 0; i < 1 + round % 40; i++)
            byteset_add(&set, (unsigned char)below(&seed, 256));
        for (unsigned i = 0; i < 6; i++) {
            struct byteset one = {{0}};
            byteset_add(&one, (unsigned char)below(&seed, 256));
            firstbytes_allow(&f, i % f.n, i / 3, &one);
        }
        const struct byteclass k = byteclass_of(&set);
        size_t n = below(&seed, 190), near = 0, span = 0, found = 0;
        bool rare = round % 2;
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = rare && below(&seed, 60) ? 'x' : (uint8_t)below(&seed, 256);
        while (near < n && !byteset_has(&set, text[near]))
            near++;
        while (span < n && byteset_has(&set, text[span]))
            span++;
        while (found < n && !firstbytes_hold(&f, text + found))
            found++;
        assert_int_equal(byteclass_near(&k, text, n), near);
        assert_int_equal(byteclass_span(&k, text, n), span);
        assert_int_equal(firstbytes_find(&f, text, n), found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells),
        cmocka_unit_test(heeds_places),
        cmocka_unit_test(cache_is_checked),
        cmocka_unit_test(blocks_are_searched_whole),
        cmocka_unit_test(steps_are_bounded),
        cmocka_unit_test(long_ones_are_cut),
        cmocka_unit_test(random_ones),
        cmocka_unit_test(stock_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
