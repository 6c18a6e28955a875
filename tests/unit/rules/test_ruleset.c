/* Rules loaded from files and run on messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "rules/ruleset.h"

struct stand {
    char dir[64], cache[96];
    struct strings dirs;
    const char *dir_list[1];
    struct rules_settings settings;
    struct ruleset *rs;
    struct rules_scratch *scratch;
    struct message *m;
};

static void put(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void load(struct stand *t, bool cache)
{
    struct ruleset_options o = {.settings = &t->settings,
                                .cache_dir = cache ? t->cache : NULL,
                                .local_only = true,
                                .threads = 2};
    struct err e;
    t->rs = ruleset_load(&o, &e);
    if (!t->rs)
        fail_msg("%s", e.text);
    t->scratch = rules_scratch_new(t->rs);
    t->m = message_new(0);
}

static void unload(struct stand *t)
{
    rules_scratch_free(t->scratch);
    ruleset_free(t->rs);
    message_free(t->m);
}

static void make(struct stand *t, const char *rules)
{
    memset(t, 0, sizeof *t);
    snprintf(t->dir, sizeof t->dir, "/tmp/gatehouse-rules-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    snprintf(t->cache, sizeof t->cache, "%s/cache", t->dir);
    assert_int_equal(mkdir(t->cache, 0700), 0);
    put(t->dir, "10.cf", rules);
    t->dir_list[0] = t->dir;
    t->settings = (struct rules_settings){.dirs = {t->dir_list, 1}, .enabled = true};
}

static void drop(struct stand *t)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", t->dir);
    assert_int_equal(system(command), 0);
}

static const struct rules_facts *judge(struct stand *t, const char *message)
{
    message_reset(t->m);
    t->m->raw = span_str(message);
    rules_run(t->rs, t->scratch, t->m);
    return &t->m->facts.rules;
}

/* "A B(2) __C": hits in order of name, sub-rules last. */
static void expect(struct stand *t, const char *message, const char *want)
{
    const struct rules_facts *f = judge(t, message);
    const char *names[64];
    struct buf got = {0};
    size_t n = f->nhits;
    for (size_t i = 0; i < n; i++)
        names[i] = f->hits[i].name;
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++)
            if (strcmp(names[i], names[k]) > 0) {
                const char *x = names[i];
                names[i] = names[k];
                names[k] = x;
            }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++)
            if (f->hits[k].name == names[i]) {
                buf_printf(&got, "%s%s", got.n ? " " : "", names[i]);
                if (f->hits[k].count > 1)
                    buf_printf(&got, "(%u)", f->hits[k].count);
            }
    for (size_t i = 0; i < f->nsubrules; i++)
        buf_printf(&got, "%s%s", got.n ? " " : "", f->subrules[i]);
    buf_char(&got, '\0');
    assert_string_equal(got.p, want);
    buf_free(&got);
}

static const char message[] = "From: Joe <joe@example.org>\n"
                              "To: Bob <bob@example.com>\n"
                              "Subject: Win money now\n"
                              "X-Two: one\n"
                              "X-Two: two\n"
                              "X-Spam-Flag: YES\n"
                              "\n"
                              "money money MONEY\n"
                              "\n"
                              "see http://evil.example/bob@example.com for caf\xe9\n";

static void kinds(void **state)
{
    (void)state;
    struct stand t;
    make(&t,
         "util_rb_tld example\nheader H1 Subject =~ /money/\nheader H2 Subject =~ /^money/\n"
         "header H3 X-Nothing =~ /^UNSET$/ [if-unset: UNSET]\nheader H4 X-Nothing !~ /x/\n"
         "header H5 exists:X-Two\nheader H6 X-Two =~ /^one\\ntwo$/\n"
         "header H7 exists:X-Spam-Flag\nheader H8 ALL:raw =~ /X-Spam-Flag/\n"
         "header H9 From:addr =~ /^joe\\@example\\.org$/\nheader H10 X-Nothing =~ /^$/\n"
         "body B1 /money money/\nbody B2 /^Win money/\nbody B3 /CAF\\xc3\\xa9/i\nbody B4 /absent/\n"
         "rawbody R1 /MONEY$/m\nuri U1 /evil\\.example/\nfull F1 /^X-Spam-Flag: YES$/m\n"
         "meta M1 B1 && !B4\nmeta __M2 H1 + H2 > 1\nscore H1 0.5\nscore B1 2.25\n");
    load(&t, false);
    expect(&t, message, "B1 B2 B3 F1 H1 H10 H3 H4 H5 H6 H8 H9 M1 R1 U1");
    const struct rules_facts *f = &t.m->facts.rules;
    assert_true(f->ran && f->score > 15.74 && f->score < 15.76);
    for (size_t i = 0; i < f->nhits; i++)
        if (strcmp(f->hits[i].name, "B1") == 0) {
            assert_true(span_eq(f->hits[i].evidence, SPAN("money money")));
            assert_string_equal(f->hits[i].area, "BODY: ");
            assert_string_equal(f->hits[i].describe, "No description available.");
        }
    expect(&t, "", "H10 H3 H4");
    unload(&t);
    drop(&t);
}

static void multiple_and_nosubject(void **state)
{
    (void)state;
    struct stand t;
    make(&t, "body MULTI /money/i\ntflags MULTI multiple maxhits=3\nscore MULTI 1.5\n"
             "body ALL_OF /money/i\ntflags ALL_OF multiple\n"
             "body NOSUBJ /Win/\ntflags NOSUBJ nosubject\n"
             "body __EMPTY /x*/\ntflags __EMPTY multiple maxhits=5\n"
             "meta SUM (ALL_OF == 4) && (MULTI == 3)\nmeta EMPTY __EMPTY == 5\n");
    load(&t, false);
    expect(&t, message, "ALL_OF(4) EMPTY MULTI(3) SUM __EMPTY");
    const struct rules_facts *f = &t.m->facts.rules;
    for (size_t i = 0; i < f->nhits; i++)
        if (f->hits[i].count == 3)
            assert_true(f->hits[i].score > 4.49 && f->hits[i].score < 4.51);
    unload(&t);
    drop(&t);
}

static void captures_and_templates(void **state)
{
    (void)state;
    struct stand t;
    make(&t, "util_rb_tld example com\nheader __TO To:addr =~ /(?<WHO>.+)/\nuri THEIRS "
             "/\\/%{WHO}$/\nuri NOBODY /%{NONE}/\n");
    load(&t, false);
    expect(&t, message, "THEIRS __TO");
    expect(&t, "To: a.b@c.example\n\nhttp://x.example/aXb@c.example\n", "__TO");
    expect(&t, "Subject: x\n\nhttp://x.example/bob@example.com\n", "");
    unload(&t);
    drop(&t);
}

static void metas_of_metas(void **state)
{
    (void)state;
    struct stand t;
    make(&t,
         "body A /money/\nbody OFF /money/\nscore OFF 0\nmeta ZERO A\nscore ZERO 0\n"
         "meta ON_ZERO A || ZERO\nmeta ON_OFF A && !OFF\nmeta ON_GONE A && !GONE\n"
         "meta RING1 RING2 || A\nmeta RING2 RING1\n"
         "meta DEEP ON_OFF + ON_GONE\nmeta NEG 0 - 5\nmeta USES_NEG NEG == 1\nmeta HALF A * 0.5\n"
         "meta USES_HALF HALF == 0.5\nmeta DEEP2 DEEP == 2\n");
    load(&t, false);
    expect(&t, message, "A DEEP DEEP2 HALF NEG ON_GONE ON_OFF USES_HALF USES_NEG");
    expect(&t, "Subject: x\n\nnothing\n", "NEG USES_NEG");
    unload(&t);
    drop(&t);
}

static void mime_headers_and_details(void **state)
{
    (void)state;
    struct stand t;
    make(&t, "loadplugin Mail::SpamAssassin::Plugin::MIMEHeader\n"
             "loadplugin Mail::SpamAssassin::Plugin::URIDetail\n"
             "mimeheader PDF Content-Type =~ /pdf/\nmimeheader NONE Content-Id =~ /x/\n"
             "mimeheader NEG Content-Type !~ /zip/\nmimeheader UNSET Content-Id =~ /foo/ "
             "[if-unset: foo]\n"
             "mimeheader EMPTY Content-Id =~ /^$/\n"
             "mimeheader RANGE Content-Type =~ /pdf/\ntflags RANGE range=1-2\n"
             "uri_detail DETAIL domain =~ /^evil\\.example$/ cleaned =~ m,/x$,\n");
    load(&t, false);
    expect(&t,
           "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n"
           "http://evil.example/x\n--b\nContent-Type: application/pdf\n\nx\n--b--\n",
           "EMPTY NEG PDF UNSET");
    unload(&t);
    put(t.dir, "20.cf", "util_rb_tld example\n");
    load(&t, false);
    expect(&t, "Subject: a\n\nhttp://evil.example/x\n", "DETAIL EMPTY NEG UNSET");
    unload(&t);
    drop(&t);
}

static void endless_patterns_are_cut_off_by_name(void **state)
{
    (void)state;
    struct stand t;
    /* What stands behind can't be seen before the pattern is tried. */
    make(&t, "body EVIL /(?:a|aa)+(?=!)(?<=b)/\nbody FINE /aaa/\n");
    t.settings.match_limit = 50000;
    load(&t, false);
    char text[4000] = "Subject: x\n\n";
    memset(text + 12, 'a', 1800);
    memcpy(text + 1812, "!\n", 3);
    usec start = clock_mono();
    expect(&t, text, "FINE");
    assert_true(clock_mono() - start < 2 * USEC_PER_SEC);
    assert_int_equal(t.m->facts.nskipped, 1);
    assert_string_equal(t.m->facts.skipped[0].check, "rules/EVIL");
    unload(&t);
    drop(&t);
}

static const char *cache_file(struct stand *t, char path[512])
{
    DIR *d = opendir(t->cache);
    const char *found = NULL;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') {
            snprintf(path, 512, "%s/%s", t->cache, e->d_name);
            found = path;
        }
    closedir(d);
    return found;
}

static void a_damaged_cache_is_made_anew(void **state)
{
    (void)state;
    struct stand t;
    make(&t,
         "body B1 /money money/\nbody B2 /[\\x80-\\xff]{2}|f.r caf/\nheader H1 Subject =~ /Win/\n"
         "util_rb_tld example\nuri U1 /evil/\nrawbody R1 /MONEY/\n");
    char path[512];
    load(&t, true);
    expect(&t, message, "B1 B2 H1 R1 U1");
    unload(&t);
    assert_non_null(cache_file(&t, path));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    for (int round = 0; round < 8; round++) {
        FILE *f = fopen(path, "r+");
        assert_non_null(f);
        if (round == 0) {
            assert_int_equal(ftruncate(fileno(f), st.st_size / 2), 0);
        } else if (round == 1) {
            assert_int_equal(ftruncate(fileno(f), 0), 0);
        } else {
            fseek(f, st.st_size * (round - 2) / 6, SEEK_SET);
            fputs("damage", f);
        }
        fclose(f);
        load(&t, true);
        expect(&t, message, "B1 B2 H1 R1 U1");
        unload(&t);
        struct stat again;
        assert_int_equal(stat(path, &again), 0);
        assert_int_equal(again.st_size, st.st_size);
    }
    load(&t, true); /* whole again: from the cache */
    expect(&t, message, "B1 B2 H1 R1 U1");
    unload(&t);
    drop(&t);
}

static struct ruleset_options noted_options(const struct stand *t)
{
    return (struct ruleset_options){
        .settings = &t->settings, .cache_dir = t->cache, .local_only = true, .threads = 2};
}

/* Loaded and noted; then something happens: whether the note still counts. */
static bool noted_after(const char *command, bool local_only)
{
    struct stand t;
    char line[512];
    make(&t, "include more\nbody BODY /money/\n");
    put(t.dir, "more", "body MORE /more/\n");
    put(t.dir, "20.pre", "");
    struct ruleset_options o = noted_options(&t);
    assert_false(ruleset_noted(&o));
    load(&t, true);
    ruleset_note(t.rs, &o);
    unload(&t);
    snprintf(line, sizeof line, "cd %s && %s", t.dir, command);
    assert_int_equal(system(line), 0);
    o.local_only = local_only;
    bool noted = ruleset_noted(&o);
    assert_false(ruleset_noted(&o)); /* it is taken by whoever asks */
    drop(&t);
    return noted;
}

static void rules_that_went_well_are_known_until_they_change(void **state)
{
    (void)state;
    assert_true(noted_after("true", true));
    assert_false(noted_after("true", false)); /* asked for with the network */
    assert_false(noted_after("touch -d '1 hour ago' 10.cf", true));
    assert_false(noted_after("echo 'body A /a/' >> more", true)); /* a file that is included */
    assert_false(noted_after("touch 30.cf", true));
    assert_false(noted_after("rm 20.pre", true));
    assert_false(noted_after("cp 10.cf new && touch -r 10.cf new && mv new 10.cf", true));
    assert_false(noted_after("rm $(ls -d cache/rules-* | grep -v noted)", true));
    assert_false(noted_after("truncate -s 100 cache/rules-noted", true));
    assert_false(noted_after("echo x >> cache/rules-noted", true));
    assert_false(noted_after("rm cache/rules-noted", true));
}

static void other_rules_have_another_name(void **state)
{
    (void)state;
    struct stand t;
    make(&t, "body A /money/\n");
    load(&t, false);
    char hash[80];
    snprintf(hash, sizeof hash, "%s", ruleset_hash(t.rs));
    unload(&t);
    load(&t, false);
    assert_string_equal(hash, ruleset_hash(t.rs));
    assert_int_equal(ruleset_count(t.rs), 1);
    unload(&t);
    put(t.dir, "10.cf", "body A /moneys/\n");
    load(&t, false);
    assert_string_not_equal(hash, ruleset_hash(t.rs));
    unload(&t);
    drop(&t);
}

static char *written(struct stand *t, int what, bool json, size_t *n)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, n);
    if (what == 0)
        ruleset_list(t->rs, f, json);
    else if (what == 1)
        assert_int_equal(ruleset_explain(t->rs, "M", &(struct rule_history){.days = 7}, f, json),
                         0);
    else
        ruleset_coverage(t->rs, f, json);
    fclose(f);
    return text;
}

static void told_to_the_operator(void **state)
{
    (void)state;
    struct stand t;
    make(&t,
         "body A /\xe9/\nmeta M A && B\ndescribe M both\nscore M 1.5\nbody BAD /(/\n"
         "header E eval:no_such_thing()\nheader N eval:check_rbl('a','b')\nbody Z /z/\nscore Z 0\n"
         "what 1\n");
    load(&t, false);
    size_t n, problems;
    char *s = written(&t, 0, false, &n);
    assert_non_null(strstr(s, "M "));
    free(s);
    s = written(&t, 1, false, &n);
    assert_non_null(strstr(s, "both"));
    assert_non_null(strstr(s, "10.cf:2"));
    assert_non_null(strstr(s, "A B"));
    free(s);
    s = written(&t, 2, false, &n);
    assert_non_null(strstr(s, "needs the network"));
    assert_non_null(strstr(s, "function missing"));
    assert_non_null(strstr(s, "score is 0"));
    assert_non_null(strstr(s, "10.cf:10"));
    free(s);
    for (int what = 0; what < 3; what++) {
        s = written(&t, what, true, &n);
        assert_true(s[0] == '{' || s[0] == '[');
        free(s);
    }
    assert_int_equal(ruleset_explain(t.rs, "NOBODY", &(struct rule_history){0}, stdout, false), -1);
    ruleset_problems(t.rs, &problems);
    assert_true(problems >= 2);
    unload(&t);
    drop(&t);
}

static void large_messages_are_judged_by_their_start(void **state)
{
    (void)state;
    struct stand t;
    make(&t, "body EARLY /early/\nbody LATE /late/\n");
    t.settings.message_size = 40;
    load(&t, false);
    expect(&t, "Subject: x\n\nearly and then some bytes more and late\n", "EARLY");
    assert_int_equal(t.m->facts.nskipped, 1);
    unload(&t);
    drop(&t);
}

static void a_settled_case_ends_the_judgement(void **state)
{
    (void)state;
    static const struct {
        const char *settings, *want;
        double score;
    } cases[] = {
        {"", "BODY HEAD META RAW", 4},
        {"shortcircuit BODY spam\n", "BODY SHORTCIRCUIT", 101},
        {"shortcircuit BODY spam\nshortcircuit BODY off\npriority BODY 0\n", "BODY HEAD META RAW",
         4},
        {"shortcircuit BODY on\n", "BODY HEAD SHORTCIRCUIT", 2.0001},
        {"shortcircuit HEAD ham\nshortcircuit_ham_score -7\n", "HEAD SHORTCIRCUIT", -8},
        {"shortcircuit META spam\n", "BODY HEAD META SHORTCIRCUIT", 103},
        {"shortcircuit RAW on\npriority RAW 10\n", "BODY HEAD META RAW SHORTCIRCUIT", 4.0001},
        {"shortcircuit_max_spam_score 0.5\n", "BODY HEAD SHORTCIRCUIT", 2.001},
        {"shortcircuit_min_ham_score -3\n", "BODY HEAD META RAW", 4},
        {"shortcircuit NEVER spam\nbody NEVER /absent/\n", "BODY HEAD META RAW", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stand t;
        char rules[1024];
        snprintf(rules, sizeof rules,
                 "loadplugin Mail::SpamAssassin::Plugin::Shortcircuit\n"
                 "body BODY /money/\nheader HEAD From =~ /joe/\nrawbody RAW /MONEY/\n"
                 "meta META HEAD && BODY\nscore SHORTCIRCUIT 0\n%s",
                 cases[i].settings);
        make(&t, rules);
        load(&t, false);
        expect(&t, message, cases[i].want);
        double score = t.m->facts.rules.score;
        if (score < cases[i].score - 0.0011 || score > cases[i].score + 0.0011)
            fail_msg("case %zu: %g instead of %g", i, score, cases[i].score);
        unload(&t);
        drop(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),
        cmocka_unit_test(multiple_and_nosubject),
        cmocka_unit_test(captures_and_templates),
        cmocka_unit_test(metas_of_metas),
        cmocka_unit_test(mime_headers_and_details),
        cmocka_unit_test(endless_patterns_are_cut_off_by_name),
        cmocka_unit_test(a_damaged_cache_is_made_anew),
        cmocka_unit_test(rules_that_went_well_are_known_until_they_change),
        cmocka_unit_test(other_rules_have_another_name),
        cmocka_unit_test(told_to_the_operator),
        cmocka_unit_test(large_messages_are_judged_by_their_start),
        cmocka_unit_test(a_settled_case_ends_the_judgement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
