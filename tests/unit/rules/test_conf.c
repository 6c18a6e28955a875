/* The reader of rule files: directives, conditionals, order, problems with their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "rules/conf.h"

static struct conf *read_text(struct arena *a, const char *text)
{
    struct conf_options o = {.language = "de_DE.UTF-8", .local_only = true};
    struct conf *c = conf_new(a, &o);
    conf_text(c, "test.cf", span_str(text));
    conf_finish(c);
    return c;
}

static const struct rule_def *rule(const struct conf *c, const char *name)
{
    return conf_rule(c, span_str(name));
}

static bool eq(struct span s, const char *text)
{
    return span_eq(s, span_str(text));
}

/* The n-th problem is at that line and its text holds these words. */
static void problem(const struct conf *c, size_t n, unsigned line, const char *words)
{
    assert_true(n < c->nproblems);
    assert_string_equal(c->problems[n].at.file, "test.cf");
    assert_int_equal(c->problems[n].at.line, line);
    if (!strstr(c->problems[n].text, words))
        fail_msg("'%s' lacks '%s'", c->problems[n].text, words);
}

static void rules_of_every_kind(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct conf *c = read_text(a, "loadplugin Mail::SpamAssassin::Plugin::MIMEHeader\n"
                                  "loadplugin Mail::SpamAssassin::Plugin::URIDetail\n"
                                  "header H1 Subject:raw =~ /a\\/b/i [if-unset: NONE]\n"
                                  "header H2 exists:X-Foo:\n"
                                  "HEADER h3 From:addr !~ m{x}s\n"
                                  "header E1 eval:check_it('a, b', \"c\", 10.5, foo-bar)\n"
                                  "header D1 eval:check_rbl('zone', 'x.example.')\n"
                                  "body B1 /foo \\# bar/ # a comment\n"
                                  "rawbody R1 eval:look()\n"
                                  "full F1 /x/\nuri U1 m!y!\n"
                                  "meta M1 (B1 && !U1) > 0\n"
                                  "mimeheader MH1 Content-Type:raw =~ /z/\n"
                                  "uri_detail UD1 domain =~ /a b/i text !~ m,c,\n");
    assert_int_equal(c->nproblems, 0);
    const struct rule_def *r = rule(c, "H1");
    assert_int_equal(r->kind, RULE_HEADER);
    assert_true(eq(r->header, "Subject:raw") && eq(r->pattern, "a\\/b") && eq(r->mods, "i"));
    assert_true(eq(r->if_unset, "NONE"));
    assert_int_equal(r->at.line, 3);
    assert_true(rule(c, "H2")->exists && eq(rule(c, "H2")->header, "X-Foo"));
    assert_true(rule(c, "h3")->negate && eq(rule(c, "h3")->mods, "s"));
    r = rule(c, "E1");
    assert_int_equal(r->kind, RULE_HEADER_EVAL);
    assert_int_equal(r->nargs, 4);
    assert_true(eq(r->fn, "check_it") && eq(r->args[0], "a, b") && eq(r->args[2], "10.5"));
    assert_int_equal(rule(c, "D1")->kind, RULE_DNS_EVAL);
    assert_true(eq(rule(c, "B1")->pattern, "foo # bar"));
    assert_int_equal(rule(c, "R1")->kind, RULE_RAWBODY_EVAL);
    assert_int_equal(rule(c, "F1")->kind, RULE_FULL);
    assert_true(eq(rule(c, "U1")->pattern, "y"));
    assert_int_equal(rule(c, "M1")->kind, RULE_META);
    assert_true(eq(rule(c, "MH1")->header, "Content-Type:raw"));
    r = rule(c, "UD1");
    assert_int_equal(r->ndetails, 2);
    assert_true(eq(r->details[0].pattern, "a b") && r->details[1].negate);
    arena_free(a);
}

static void scores_flags_and_descriptions(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct conf *c = read_text(a, "body A /a/\nscore A 1 2 3 4\nscore A (0.5)\n"
                                  "body T_B /b/\nbody C /c/\ntflags C nice\n"
                                  "tflags C nice multiple maxhits=7\ntflags A learn\n"
                                  "describe A eins\nlang de describe A zwei\nlang fr describe A x\n"
                                  "priority A -5\nsubjprefix A [x]\nscore ONLY 2\n");
    const struct rule_def *r = rule(c, "A");
    assert_true(r->score[0] == 1.5 && r->score[3] == 4.5);
    assert_string_equal(r->describe, "zwei");
    assert_int_equal(r->priority, -5);
    assert_int_equal(r->tflags, TFLAG_LEARN);
    assert_true(rule(c, "T_B")->score[2] == 0.01);
    assert_true(rule(c, "C")->score[0] == -1);
    assert_int_equal(rule(c, "C")->maxhits, 7);
    assert_int_equal(rule(c, "ONLY")->kind, RULE_NONE);
    assert_int_equal(c->nproblems, 0);
    arena_free(a);
}

static void the_last_definition_wins_unless_it_is_broken(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct conf *c = read_text(a, "body A /one/\nscore A 3\nheader A Subject =~ /two/\n"
                                  "body A /thr(ee/\n"
                                  "body B /b/\nreuse B\nreuse NEW\n");
    assert_int_equal(rule(c, "A")->kind, RULE_HEADER);
    assert_true(eq(rule(c, "A")->pattern, "two") && rule(c, "A")->score[0] == 3);
    assert_int_equal(rule(c, "B")->kind, RULE_BODY);
    assert_int_equal(rule(c, "NEW")->kind, RULE_EMPTY);
    assert_int_equal(c->nproblems, 1);
    problem(c, 0, 4, "rule A");
    arena_free(a);
}

static void what_makes_no_sense_is_told(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct conf *c = read_text(a, "nonsense 1\n"                   /* 1 */
                                  "body 1X /a/\n"                  /* 2 */
                                  "body A /a/g\n"                  /* 3 */
                                  "header A Subject:what =~ /a/\n" /* 4 */
                                  "body A eval:f(a b)\n"           /* 5 */
                                  "meta A B+1\n"                   /* 6 */
                                  "meta A 1 / C\n"                 /* 7 */
                                  "score A 1 2\n"                  /* 8 */
                                  "score A (1)\n"                  /* 9 */
                                  "report_safe maybe\n"            /* 10 */
                                  "fold_headers 2\n"               /* 11 */
                                  "endif\n"                        /* 12 */
                                  "if (\n"                         /* 13 */
                                  "trusted_networks 10.0.0.300\n"  /* 14 */
                                  "replace_tag X y\n");            /* 15: plugin not loaded */
    static const struct {
        unsigned line;
        const char *words;
    } want[] = {{1, "nonsense"},   {2, "legal name"},      {3, "modifier"},    {4, "modifier"},
                {5, "arguments"},  {6, "rule A"},          {7, "division"},    {8, "scores"},
                {9, "relative"},   {10, "one of 0, 1, 2"}, {11, "neither"},    {12, "without"},
                {13, "condition"}, {14, "network"},        {15, "replace_tag"}};
    assert_int_equal(c->nproblems, sizeof want / sizeof *want);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        problem(c, i, want[i].line, want[i].words);
    arena_free(a);
}

static void conditionals(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct conf *c =
        read_text(a, "if (version >= 4.000000)\nbody A1 /a/\nelse\nbody A2 /a/\nendif\n"
                     "ifplugin Mail::SpamAssassin::Plugin::X\nbody B1 /a/\n"
                     "if (1)\nbody B2 /a/\nelse\nbody B3 /a/\nendif\nelse\nbody B4 /a/\nendif\n"
                     "loadplugin Mail::SpamAssassin::Plugin::X\n"
                     "ifplugin Mail::SpamAssassin::Plugin::X\nbody B5 /a/\nendif\n"
                     "if plugin(Mail::SpamAssassin::Plugin::X)\nbody B6 /a/\nendif\n"
                     "if can(Mail::SpamAssassin::Conf::feature_capture_rules) && !has(A::b)\n"
                     "body C1 /a/\nendif\n"
                     "if can(Mail::SpamAssassin::Conf::compat_foo)\nbody D1 /a/\nendif\n"
                     "enable_compat foo\n"
                     "if (can(Mail::SpamAssassin::Conf::compat_foo))\nbody D2 /a/\nendif\n"
                     "if (perl_version >= 5.018000) && local_tests_only\nbody E1 /a/\nendif\n");
    static const struct {
        const char *name;
        bool there;
    } want[] = {{"A1", true},  {"A2", false}, {"B1", false}, {"B2", false},
                {"B3", false}, {"B4", true},  {"B5", false}, {"B6", true},
                {"C1", true},  {"D1", false}, {"D2", true},  {"E1", true}};
    assert_int_equal(c->nproblems, 0);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if ((rule(c, want[i].name) != NULL) != want[i].there)
            fail_msg("%s", want[i].name);
    arena_free(a);
}

static void lists_and_tables(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct conf *c = read_text(
        a, "loadplugin Mail::SpamAssassin::Plugin::FreeMail\n"
           "whitelist_from *@Good.example joe@x.example\nunwelcomelist_from joe@x.example\n"
           "welcomelist_from_rcvd a@b.example c.example\n"
           "enlist_addrlist (BANKS) *@*.bank.example\n"
           "enlist_uri_host (L) Bad.example !fine.bad.example\nblocklist_uri_host evil.example\n"
           "freemail_domains yahoo.* gmail.com\nfreemail_whitelist me@gmail.com\n"
           "util_rb_tld com net\nutil_rb_2tld co.uk\n"
           "originating_ip_headers X-A x-a X-B\n"
           "redirector_pattern /to=(.*)/i\n"
           "trusted_networks 10/8 !10.1/16\n"
           "bayes_ignore_header X-Junk\nok_locales en de\n");
    const struct conf_lists *l = &c->lists;
    assert_true(globs_match(&l->welcome_from, SPAN("x@good.example")));
    assert_false(globs_match(&l->welcome_from, SPAN("joe@x.example")));
    assert_true(eq(l->welcome_from_rcvd[LIST_OWN].v[0].arg, "c.example"));
    assert_true(globs_match(map_get(&l->addrlists, SPAN("BANKS")), SPAN("x@my.bank.example")));
    const struct uri_host_list *hosts = map_get(&l->uri_hosts, SPAN("L"));
    assert_ptr_equal(map_get(&hosts->hosts, SPAN("bad.example")), URI_HOST_YES);
    assert_ptr_equal(map_get(&hosts->hosts, SPAN("fine.bad.example")), URI_HOST_NO);
    assert_non_null(map_get(&l->uri_hosts, SPAN("BLOCK")));
    assert_non_null(map_get(&c->freemail.domains, SPAN("gmail.com")));
    assert_int_equal(c->freemail.nwildcards, 1);
    assert_non_null(map_get(&c->uri.two_level, SPAN("co.uk")));
    assert_int_equal(c->relays.noriginating, 2);
    struct span group;
    assert_int_equal(c->uri.redirector(c->uri.redirector_ctx, 0, SPAN("http://a/?TO=b"), &group),
                     0);
    assert_true(eq(group, "b"));
    assert_true(netset_has(&c->relays.trusted, SPAN("10.2.3.4")));
    assert_true(eq(c->ok_locales, "en de"));
    assert_int_equal(c->nproblems, 0);
    arena_free(a);
}

static void headers_and_report(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct conf *c = read_text(a, "report first\nreport \" second \"\nclear_report_template\n"
                                  "report third\n"
                                  "add_header all Checker-Version X\nadd_header all A one\n"
                                  "clear_headers\nadd_header spam B \"a\\tb\\\\c\"\n"
                                  "add_header all B again\nremove_header ham B\n"
                                  "rewrite_header subject *SPAM*\nrewrite_header From (x)\n"
                                  "report_safe 0\n");
    const struct conf_report *r = &c->report;
    assert_true(eq(r->report, "third\n"));
    assert_int_equal(r->nheaders, 3);
    assert_true(eq(r->headers[0].name, "Checker-Version"));
    assert_true(eq(r->headers[1].text, "again") && r->headers[1].when == HEADERS_SPAM);
    assert_true(eq(r->rewrite_subject, "*SPAM*") && eq(r->rewrite_from, "[x]"));
    assert_int_equal(r->report_safe, 0);
    assert_true(eq(r->headers[2].name, "Report") && r->headers[2].when == HEADERS_SPAM);
    assert_int_equal(c->nproblems, 0);
    arena_free(a);
}

static void globs_of_metas(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct conf *c = read_text(a, "body __FOO_B /b/\nbody __FOO_A /a/\nscore __FOO_C 1\n"
                                  "meta __FOO_M rules_matching(__FOO_?) > 1\n"
                                  "meta NONE rules_matching(XX*) + 1\n");
    assert_true(eq(rule(c, "__FOO_M")->expr, " (__FOO_A + __FOO_B + __FOO_C)  > 1"));
    assert_true(eq(rule(c, "NONE")->expr, " (0)  + 1"));
    arena_free(a);
}

static void captures_run_first(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct conf *c = read_text(a, "header A To:addr =~ /(?<WHO>.*)/\nuri B /x%{WHO}/\n"
                                  "body C /(?<lower>x)/\n");
    assert_true(rule(c, "A")->captures && rule(c, "A")->priority == -10000);
    assert_true(rule(c, "B")->is_template && eq(rule(c, "B")->pattern, "x%\\{WHO\\}"));
    assert_false(rule(c, "C")->captures);
    arena_free(a);
}

static void replace_tags(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct conf *c = read_text(a, "loadplugin Mail::SpamAssassin::Plugin::ReplaceTags\n"
                                  "replace_tag A [a4]\nreplace_tag B b<C>\nreplace_tag C (?:c|k)\n"
                                  "replace_inter W \\W?\nreplace_post P +\nreplace_pre Q q\n"
                                  "replace_rules R1 R2 R3 R4 R5 MISSING\n"
                                  "body R1 /<A>x<A>/i\nbody R2 /\\b<inter W><A><A>z<A>/\n"
                                  "body R3 /<post P><A><A>/\nbody R4 /<B><NO>(?<!y)<A>/\n"
                                  "body R5 /<pre Q>m<A>/\n");
    assert_true(eq(rule(c, "R1")->pattern, "(?i)[a4]x[a4]"));
    assert_true(eq(rule(c, "R2")->pattern, "\\b[a4]\\W?[a4]z[a4]"));
    assert_true(eq(rule(c, "R3")->pattern, "[a4]+[a4]+"));
    assert_true(eq(rule(c, "R4")->pattern, "b(?:c|k)<NO>(?<!y)[a4]"));
    assert_true(eq(rule(c, "R5")->pattern, "mq[a4]"));
    arena_free(a);
}

/* --- files --- */

static void put(const char *dir, const char *name, const char *text)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void files_in_order(void **state)
{
    (void)state;
    char dir[] = "/tmp/gatehouse-conf-XXXXXX", site[600];
    assert_non_null(mkdtemp(dir));
    snprintf(site, sizeof site, "%s/site", dir);
    assert_int_equal(mkdir(site, 0700), 0);
    put(site, "init.pre", "enable_compat early\n");
    put(dir, "20_b.cf",
        "score A 2\nif can(Mail::SpamAssassin::Conf::compat_early)\nbody B /b/\nendif\n");
    put(dir, "10_a.cf", "body A /a/\nscore A 1\ninclude more/x.inc\nif (0)\n");
    put(dir, "30_c.cf", "require_version 3.0\nbody OLD /x/\n");
    put(dir, "x.txt", "score A 9\n");
    put(site, "local.cf", "score A 5\n");
    snprintf(site, sizeof site, "%s/more", dir);
    assert_int_equal(mkdir(site, 0700), 0);
    put(site, "x.inc", "body INC /i/\n");
    snprintf(site, sizeof site, "%s/site", dir);
    const char *dirs[] = {dir};
    struct conf_options o = {.dirs = dirs, .ndirs = 1, .site_dir = site};
    struct arena *a = arena_new(0);
    struct err e;
    struct conf *c = conf_read(a, &o, &e);
    assert_non_null(c);
    assert_true(rule(c, "A")->score[0] == 5 && rule(c, "B") && rule(c, "INC"));
    assert_null(rule(c, "OLD"));
    assert_int_equal(c->nproblems, 2); /* the open if, the version */
    arena_free(a);
    const char *none[] = {"/nonexistent/rules"};
    o.dirs = none;
    a = arena_new(0);
    assert_null(conf_read(a, &o, &e));
    assert_non_null(strstr(e.text, "/nonexistent/rules"));
    arena_free(a);
    char command[700];
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

/* Debian's files: everything is understood. */
static void stock_files(void **state)
{
    (void)state;
    const char *dirs[] = {"/usr/share/spamassassin"};
    if (access(dirs[0], R_OK) != 0)
        skip();
    struct conf_options o = {.dirs = dirs, .ndirs = 1, .site_dir = "/etc/spamassassin"};
    struct arena *a = arena_new(0);
    struct err e;
    struct conf *c = conf_read(a, &o, &e);
    assert_non_null(c);
    size_t defined = 0;
    for (size_t i = 0; i < c->nrules; i++)
        defined += c->rules[i]->kind != RULE_NONE;
    assert_true(defined > 2900);
    assert_int_equal(c->nproblems, 0);
    assert_true(conf_plugin(c, "FreeMail") && !conf_plugin(c, "TextCat"));
    assert_true(c->uri.tld.n > 1400 && c->freemail.domains.n > 1000);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_of_every_kind),
        cmocka_unit_test(scores_flags_and_descriptions),
        cmocka_unit_test(the_last_definition_wins_unless_it_is_broken),
        cmocka_unit_test(what_makes_no_sense_is_told),
        cmocka_unit_test(conditionals),
        cmocka_unit_test(lists_and_tables),
        cmocka_unit_test(headers_and_report),
        cmocka_unit_test(globs_of_metas),
        cmocka_unit_test(captures_run_first),
        cmocka_unit_test(replace_tags),
        cmocka_unit_test(files_in_order),
        cmocka_unit_test(stock_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
