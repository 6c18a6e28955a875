/* Patterns that a message can make slow, of the rule files and of users, with machine code and
 * without: each is cut off by its name, and many of them don't add up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "rules/prefs.h"

enum { RULES = 60, RUN = 1500 };

struct stand {
    char dir[64];
    const char *dirs[1];
    struct rules_settings settings;
    struct ruleset *rs;
    struct rules_scratch *scratch;
    struct message *m;
};

static void open_stand(struct stand *t, struct span rules)
{
    struct err e;
    char path[100];
    memset(t, 0, sizeof *t);
    snprintf(t->dir, sizeof t->dir, "/tmp/gatehouse-endless-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    snprintf(path, sizeof path, "%s/a.cf", t->dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(rules.p, 1, rules.n, f), rules.n);
    fclose(f);
    t->dirs[0] = t->dir;
    t->settings.dirs = (struct strings){t->dirs, 1};
    struct ruleset_options o = {.settings = &t->settings, .local_only = true, .threads = 1};
    t->rs = ruleset_load(&o, &e);
    assert_non_null(t->rs);
    t->scratch = rules_scratch_new(t->rs);
    rules_scratch_keep(t->scratch, true);
    unlink(path);
    rmdir(t->dir);
}

static void close_stand(struct stand *t)
{
    rules_scratch_free(t->scratch);
    ruleset_free(t->rs);
}

/* "aaa...!": nothing ends in what the patterns want, and only at the end that can be known. */
static void judge(struct stand *t)
{
    static char text[RUN + 100];
    int n = snprintf(text, sizeof text, "Subject: x\n\n");
    memset(text + n, 'a', RUN);
    memcpy(text + n + RUN, "!\n", 3);
    t->m = message_new(0);
    t->m->raw = span_str(text);
    rules_run(t->rs, t->scratch, t->m);
}

static bool skipped(const struct message *m, const char *check)
{
    for (size_t i = 0; i < m->facts.nskipped; i++)
        if (strcmp(m->facts.skipped[i].check, check) == 0)
            return true;
    return false;
}

static bool hit(const struct rules_facts *f, const char *name)
{
    for (size_t i = 0; i < f->nhits; i++)
        if (strcmp(f->hits[i].name, name) == 0)
            return true;
    return false;
}

/* Each another pattern, so that none is spared because an earlier one was tried. */
static struct span evil_rules(struct buf *b, const char *name)
{
    for (int i = 0; i < RULES; i++)
        buf_printf(b, "body %s%d /(?:a|aa|a{%d})+(?=!)(?<=b)/\n", name, i, i + 3);
    buf_str(b, "body FINE /a{20}!/\nheader GOOD Subject =~ /^x$/\n");
    return buf_span(b);
}

static void many_do_not_add_up(void **state)
{
    (void)state;
    struct stand t;
    struct buf b = {0};
    open_stand(&t, evil_rules(&b, "EVIL"));
    for (int round = 0; round < 2; round++) { /* the second message has its budget again */
        usec start = clock_mono();
        judge(&t);
        assert_true(clock_mono() - start < 30 * USEC_PER_SEC);
        assert_true(skipped(t.m, "rules/EVIL0") && skipped(t.m, "rules/EVIL59"));
        assert_true(skipped(t.m, "rules/match_limit"));
        assert_true(hit(&t.m->facts.rules, "FINE") && hit(&t.m->facts.rules, "GOOD"));
        message_free(t.m);
    }
    buf_free(&b);
    close_stand(&t);
}

/* Patterns that were slow in vain before are led by an automaton, and named all the same. */
static void those_that_an_automaton_leads(void **state)
{
    (void)state;
    enum { MESSAGES = 300 };
    struct stand t;
    open_stand(&t, SPAN("body EVIL /(?:a|aa)+(?=!)(?<=b)/\nbody FINE /a{5}!/\n"));
    static const char text[] = "Subject: x\n\naaaaaaaaaaaaaaa!aaaaaaaaaaaaaaa!aaaaaaaaaaaaaaa!"
                               "aaaaaaaaaaaaaaa!aaaaaaaaaaaaaaa!aaaaaaaaaaaaaaa!";
    for (int i = 0; i < MESSAGES; i++) {
        t.m = message_new(0);
        t.m->raw = span_str(text);
        rules_run(t.rs, t.scratch, t.m);
        assert_int_equal(t.m->facts.nskipped, 0);
        message_free(t.m);
    }
    judge(&t);
    assert_true(skipped(t.m, "rules/EVIL"));
    assert_true(hit(&t.m->facts.rules, "FINE"));
    message_free(t.m);
    close_stand(&t);
}

static void those_of_users_neither(void **state)
{
    (void)state;
    struct stand t;
    struct buf b = {0};
    open_stand(&t, SPAN("allow_user_rules 1\nbody KNOWN /aaa/\n"));
    const struct prefs_text text = {"user", evil_rules(&b, "MINE")};
    struct rules_prefs *p = rules_prefs_new(t.rs, &text, 1, false);
    judge(&t);
    assert_int_equal(t.m->facts.nskipped, 0);
    usec start = clock_mono();
    const struct opinion *o = rules_opinion(t.scratch, t.m, p);
    assert_true(clock_mono() - start < 30 * USEC_PER_SEC);
    assert_true(skipped(t.m, "rules/MINE0") && skipped(t.m, "rules/match_limit"));
    assert_true(hit(&o->rules, "FINE") && hit(&o->rules, "GOOD") && hit(&o->rules, "KNOWN"));
    assert_false(hit(&o->rules, "MINE0"));
    message_free(t.m);
    rules_prefs_free(p);
    buf_free(&b);
    close_stand(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_do_not_add_up),
        cmocka_unit_test(those_that_an_automaton_leads),
        cmocka_unit_test(those_of_users_neither),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
