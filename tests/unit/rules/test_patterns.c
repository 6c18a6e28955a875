/* Dates and mail addresses in text: what the rule files' authors saw. */
#include "eval_fixture.h"

#include "rules/date.h"
#include "rules/email_pattern.h"

#include <time.h>

static void dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want; /* -1: no date */
    } t[] = {
        {"Mon, 1 Jun 2020 10:00:00 +0000", 1591005600},
        {"1 Jun 2020 10:00 +0200 (CEST)", 1590998400},
        {"Mon, 1 Jun 2020 10:00:00 -0530", 1591025400},
        {"Mon Jun  1 10:00:00 2020", 1590969600}, /* the time goes with the date */
        {"1 jun 20 10:00:00 EDT", 1591020000},
        {"1 Jun 99 10:00:00 GMT", 928231200},
        {"1 Jun 120 10:00:00 GMT", 1591005600},
        {"1 Jun 2020", 1590969600},
        {"1 Jun 2020 10:00:00 XYZ", 1591005600},
        {"1 Jun 2020 25:61:61 GMT", 1591055999},
        {"31 Jun 2020 10:00:00 GMT", 1593597600}, /* the first of July */
        {"31 Dec 1969 10:00:00 GMT", 31485600},   /* years begin in 1970 */
        {"1 Jan 1970 01:00:00 +0200", 0},
        {"29 Feb 2040 10:00:00 GMT", -1}, /* no such day in 2037 */
        {"0 Jun 2020 10:00:00 GMT", -1},
        {"yesterday", -1},
        {"", -1},
        {"1 Jun 12345 10:00:00 GMT", -1},
        {" Mon,1 Jun 2020\n 10:00:00  +0000 (UTC)", 1591005600},
        {"Mon, 1 Jun 2020 10:00:00 +0000, or later", 1591005600},
        {"Mon, 1 Jun 2020 10:00:00 +00001", 1591005600}, /* no zone */
        {"M0n, 1 Jun 2020 10:00:00 +0200", 1590998400},
        {"1 Jun 2020 10:00:00 -0130 3 Jul 2021", 1591011000},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int64_t got;
        if (!date_parse(span_str(t[i].text), &got))
            got = -1;
        if (got != t[i].want)
            fail_msg("%s: %lld", t[i].text, (long long)got);
    }
}

/* Patterns are found by what stands behind their wildcards. */
static void globs(void **state)
{
    (void)state;
    static const char *const patterns[] = {"*@*.xyz", "joe@*",    "*@a.b",       "ann@x.org",
                                           "*q",      "*@?.long", "*@sub.*.net", "m?x*@z.com"};
    static const struct {
        const char *text;
        bool want;
    } t[] = {
        {"a@b.xyz", true},
        {"a@xyz", false},
        {"joe@anything", true},
        {"jo@anything", false},
        {"c@a.b", true},
        {"c@aa.b", false},
        {"ann@x.org", true},
        {"ann@x.orga", false},
        {"q", true},
        {"p", false},
        {"u@1.long", true},
        {"u@11.long", false},
        {"u@sub.k.net", true},
        {"u@sub.k.nett", false},
        {"mix-1@z.com", true},
        {"mx@z.com", false},
        {"", false},
        {"xyz", false},
    };
    struct arena *a = arena_new(0);
    struct globs g;
    globs_init(&g, a);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        globs_add(&g, span_str(patterns[i]), SPAN_NONE);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        if (globs_match(&g, span_str(t[i].text)) != t[i].want)
            fail_msg("%s", t[i].text);
    globs_remove(&g, SPAN("*@*.xyz"), SPAN_NONE);
    assert_false(globs_match(&g, SPAN("a@b.xyz")));
    assert_true(globs_match(&g, SPAN("u@1.long")));
    arena_free(a);
}

static void addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* all that are found, joined by spaces */
    } t[] = {
        {"write to joe@x.com, now", "joe@x.com"},
        {"a.b+c@x.co.uk.", "a.b+c@x.co.uk"},
        {".joe@x.com", "joe@x.com"},
        {"a..b@x.com", "b@x.com"},
        {"joe@x.nosuchtld", ""},
        {"joe@x.com.nosuchtld", ""},
        {"joe@x.com-", ""},
        {"joe@-x.com", ""},
        {"joe@a.b.c.d.com joe@a.b.c.d.e.com", "joe@a.b.c.d.com"},
        {"x@y@z.com", "y@z.com"},
        {"no at sign", ""},
        {"@x.com a@ @", ""},
    };
    struct fixture f;
    fixture_conf(&f, "");
    f.arena = arena_new(0);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct span s = span_str(t[i].text), got = SPAN("");
        struct email_place at;
        for (size_t from = 0; email_find(&f.conf->uri, s, from, &at); from = at.end)
            got = arena_printf(f.arena, "%.*s%s%.*s", (int)got.n, got.p, got.n ? " " : "",
                               (int)(at.end - at.start), s.p + at.start);
        if (!span_eq(got, span_str(t[i].want)))
            fail_msg("%s: %s", t[i].text, got.p);
    }
    fixture_end(&f);
}

static void stripping(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } t[] = {
        {"Joe <a@b.com> wrote", "Joe   wrote"},
        {"a@b.com wrote: hi", "  hi"},
        {"a@b.com says hi", "a@b.com says hi"},
        {"a@b.com phone: 1", "a@b.com phone: 1"},
        {"mailto:a.b@c.com> x", "mailto:a.  x"}, /* from the dot on, as SpamAssassin does */
        {"see http://x.com/?u=a@b.com&v=1 there", "see   there"},
        {"see <https://x.com/a%40b> there", "see   there"},
        {"see http://x.com/ a@b.com", "see http://x.com/ a@b.com"},
    };
    struct fixture f;
    fixture_conf(&f, "");
    f.arena = arena_new(0);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct span got = email_strip_uris(f.arena, span_str(t[i].text));
        got = email_strip_quoted(&f.conf->uri, f.arena, got);
        if (!span_eq(got, span_str(t[i].want)))
            fail_msg("%s: %s", t[i].text, arena_cstr(f.arena, got));
    }
    fixture_end(&f);
}

static void hostile_lines_take_linear_time(void **state)
{
    (void)state;
    static const char *const bits[] = {"a.",   "a@",       "http://", "<http://x@",
                                       "a@b.", "a@b.com ", "%40"};
    struct fixture f;
    fixture_conf(&f, "");
    f.arena = arena_new(0);
    char *line = arena_raw(f.arena, 200000);
    clock_t start = clock();
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        size_t n = 0, size = strlen(bits[i]);
        for (; n + size < 200000; n += size)
            memcpy(line + n, bits[i], size);
        struct span s = email_strip_uris(f.arena, span_of(line, n));
        s = email_strip_quoted(&f.conf->uri, f.arena, s);
        struct email_place at;
        for (size_t from = 0; email_find(&f.conf->uri, s, from, &at);)
            from = at.end;
    }
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 4);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates),
        cmocka_unit_test(globs),
        cmocka_unit_test(addresses),
        cmocka_unit_test(stripping),
        cmocka_unit_test(hostile_lines_take_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
