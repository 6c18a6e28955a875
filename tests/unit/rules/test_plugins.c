/* The plugins beyond SpamAssassin's defaults, on messages that hit and messages that do not. What
 * is expected there is what SpamAssassin 4.0.1 says. */
#include "eval_cases.h"

#include "rules/plugin.h"
#include "rules/zip.h"

/* @DIR@ is the directory of the files that the settings name. */
static struct span with_directory(struct arena *a, struct span s)
{
    struct buf b = {0};
    for (size_t at; (at = span_search(s, SPAN("@DIR@"))) != SIZE_MAX; s = span_from(s, at + 5)) {
        buf_add(&b, span_sub(s, 0, at));
        buf_printf(&b, "%s/tests/unit/rules/evals", getenv("GATEHOUSE_SOURCE"));
    }
    buf_add(&b, s);
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

static void plugin(const char *name)
{
    struct fixture f;
    struct arena *a = arena_new(0);
    fixture_conf(&f, with_directory(a, read_file(a, "plugins.cf")).p);
    run_cases(&f, name, with_directory(a, read_file(a, name)));
    fixture_end(&f);
    arena_free(a);
}

#define PLUGIN(name)                                                                               \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        plugin(#name ".txt");                                                                      \
    }
PLUGIN(access)
PLUGIN(antivirus)
PLUGIN(fromname)
PLUGIN(language)
PLUGIN(office)
PLUGIN(pdf)
PLUGIN(phishing)
PLUGIN(shorturl)

/* SpamAssassin 3's rules about stamps; what they read was found out before them. */
static void hashcash(void **state)
{
    (void)state;
    static const struct {
        const char *call;
        bool bare, good, spent; /* what it says of no stamp, one of 22 bits, one that was spent */
    } rows[] = {
        {"check_hashcash_value('20', '21')", false, false, false},
        {"check_hashcash_value('22', '23')", false, true, false},
        {"check_hashcash_value('22', '9999')", false, true, false},
        {"check_hashcash_value('21', '22')", false, false, false},
        {"check_hashcash_value('0', '1')", true, false, true},
        {"check_hashcash_double_spend()", false, false, true},
    };
    struct fixture f;
    fixture_conf(&f, "loadplugin Mail::SpamAssassin::Plugin::Hashcash\n");
    assert_true(conf_plugin(f.conf, "Hashcash"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span call = span_str(rows[i].call), mail = SPAN("Subject: x\n\nx\n");
        fixture_message(&f, mail);
        assert_int_equal(fixture_eval(&f, call, EVAL_HEADER) != 0, rows[i].bare);
        fixture_message(&f, mail);
        facts_add(&f.m.facts, f.arena, "hashcash.bits", SPAN("22"));
        assert_int_equal(fixture_eval(&f, call, EVAL_HEADER) != 0, rows[i].good);
        fixture_message(&f, mail);
        facts_add(&f.m.facts, f.arena, "hashcash.spent", SPAN("yes"));
        assert_int_equal(fixture_eval(&f, call, EVAL_HEADER) != 0, rows[i].spent);
    }
    fixture_end(&f);
}

static bool holds(const char *condition, const char *plugins)
{
    struct fixture f;
    struct arena *a = arena_new(0);
    fixture_conf(&f,
                 arena_printf(a, "%s\nif %s\nreport_contact yes\nendif\n", plugins, condition).p);
    bool yes = span_eq(f.conf->report.contact, SPAN("yes"));
    fixture_end(&f);
    arena_free(a);
    return yes;
}

static void functions_are_features_of_a_loaded_plugin(void **state)
{
    (void)state;
    static const char loaded[] = "loadplugin Mail::SpamAssassin::Plugin::DecodeShortURLs";
    assert_true(holds("can(Mail::SpamAssassin::Plugin::DecodeShortURLs::short_url)", loaded));
    assert_false(holds("can(Mail::SpamAssassin::Plugin::DecodeShortURLs::short_url)", ""));
    assert_false(holds("can(Mail::SpamAssassin::Plugin::DecodeShortURLs::pdf_count)", loaded));
    assert_true(holds("plugin(Mail::SpamAssassin::Plugin::DecodeShortURLs)", loaded));
    assert_false(holds("plugin(Mail::SpamAssassin::Plugin::DecodeShortURLs)", ""));
}

static void links_in_pdf_files_are_links_of_the_message(void **state)
{
    (void)state;
    static const struct {
        const char *line, *uri; /* NULL: none is found */
    } cases[] = {
        {"/URI (http://a.test/x)", "http://a.test/x"},
        {"<</A<</S/URI/URI(http://a.test/x)>>", "http://a.test/x"},
        {"<</S /URI /URI (http://a.test/x\\)y)", "http://a.test/x)y"},
        {"/URI <687474703a2f2f612e746573742f78>", NULL},
        {"\x01(http://a.test/longer)>>", "http://a.test/longer"},
        {"\x01(http://a.test/longer)", NULL},
        {"/A /URI (http://a.test/x)", NULL},
        {"/URI (nodot)", NULL},
        {"/URI <6e006f2e00>", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct arena *a = arena_new(0);
        fixture_conf(&f, "");
        fixture_message(
            &f, arena_printf(a, "Content-Type: application/pdf\n\n%%PDF-1.4\n%s\n", cases[i].line));
        pdf_extract(&f.c);
        assert_int_equal(f.c.text->uris.n, cases[i].uri != NULL);
        if (cases[i].uri)
            assert_true(span_eq(f.c.text->uris.v[0].key, span_str(cases[i].uri)));
        fixture_end(&f);
        arena_free(a);
    }
}

static void unpacking_stays_within_its_budget(void **state)
{
    (void)state;
    /* A stored member "a" of eight bytes, written by hand. */
    static const char archive[] =
        "PK\3\4\12\0\0\0\0\0\0\0\0\0\x9d\xed\x83\x94\10\0\0\0\10\0\0\0\1\0\0\0a01234567"
        "PK\1\2\12\0\12\0\0\0\0\0\0\0\0\0\x9d\xed\x83\x94\10\0\0\0\10\0\0\0\1\0\0\0\0\0\0\0\0\0"
        "\0\0\0\0\0\0\0\0a"
        "PK\5\6\0\0\0\0\1\0\1\0\57\0\0\0\47\0\0\0\0";
    struct arena *a = arena_new(0);
    struct zip_member m;
    size_t budget = 5;
    struct zip *z = zip_open(a, span_of(archive, sizeof archive), &budget);
    assert_non_null(z);
    assert_true(zip_next(z, &m));
    assert_true(span_eq(m.name, SPAN("a")) && !m.encrypted);
    assert_true(span_eq(zip_contents(z), SPAN("01234")));
    assert_int_equal(budget, 0);
    assert_null(zip_contents(z).p);
    assert_false(zip_next(z, &m));
    zip_close(z);
    z = zip_open(a, SPAN("PK no archive"), &budget);
    assert_true(!z || !zip_next(z, &m));
    if (z)
        zip_close(z);
    arena_free(a);
}

static void a_feed_that_is_missing_is_told(void **state)
{
    (void)state;
    struct fixture f;
    struct eval_call call;
    fixture_conf(&f, "loadplugin Mail::SpamAssassin::Plugin::Phishing\n"
                     "phishing_openphish_feed /nonexistent/feed\n");
    assert_int_equal(fixture_call(&f, SPAN("check_phishing()"), EVAL_BODY, &call), -1);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashcash),
        cmocka_unit_test(access),
        cmocka_unit_test(antivirus),
        cmocka_unit_test(fromname),
        cmocka_unit_test(language),
        cmocka_unit_test(office),
        cmocka_unit_test(pdf),
        cmocka_unit_test(phishing),
        cmocka_unit_test(shorturl),
        cmocka_unit_test(functions_are_features_of_a_loaded_plugin),
        cmocka_unit_test(links_in_pdf_files_are_links_of_the_message),
        cmocka_unit_test(unpacking_stays_within_its_budget),
        cmocka_unit_test(a_feed_that_is_missing_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
