/* Where preferences are looked for, how a database is named and asked, what is kept of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "prefs/prefs_private.h"

/* --- paths --- */

static bool yes(const char *path)
{
    (void)path;
    return true;
}

static bool only_domains(const char *path)
{
    return !strchr(path, '@');
}

static void assert_path(const char *pattern, const char *user, bool (*there)(const char *),
                        const char *want)
{
    struct arena *a = arena_new(0);
    struct span got = prefs_path(a, pattern, span_str(user), there);
    if (want)
        assert_string_equal(got.p, want);
    else
        assert_null(got.p);
    arena_free(a);
}

static void paths(void **state)
{
    (void)state;
    assert_path("/u/%u", "bob@example.org", yes, "/u/bob@example.org");
    assert_path("/u/%d/%l", "bob@example.org", yes, "/u/example.org/bob");
    assert_path("/u/%x", "bob@example.org", yes, "/u/bob@example.org");
    assert_path("/u/%x", "bob@example.org", only_domains, "/u/example.org");
    assert_path("/u/100%%/%u", "bob", yes, "/u/100%/bob");
    assert_path("/u/%d", "bob", yes, NULL);
    assert_path("/u/%l", "@example.org", yes, NULL);
    assert_path("/u/%q%", "bob", yes, "/u/%q%");
    /* Names stay names: no way up, no hidden files, no other directory. */
    assert_path("/u/%d/%l", "..@..", yes, "/u/_./_.");
    assert_path("/u/%u", "../../etc/passwd", yes, "/u/_._.._etc_passwd");
    assert_path("/u/%l", "a@b@example.org", yes, "/u/a@b");
    assert_path("/u/%u", "\xc3\xa4;`x`\n", yes, "/u/____x__");
}

/* --- names of databases --- */

static void assert_dsn(const char *text, int kind, const char *rest)
{
    struct arena *a = arena_new(0);
    struct err e = {0};
    struct dsn d;
    int rc = dsn_parse(a, span_str(text), &d, &e);
    assert_int_equal(rc, rest ? 0 : -1);
    if (rest) {
        assert_int_equal(d.kind, kind);
        assert_true(span_eq(d.rest, span_str(rest)));
    } else {
        assert_non_null(strstr(e.text, "user_scores_dsn"));
    }
    assert_int_equal(prefs_dsn_check(span_str(text), &e), rc);
    arena_free(a);
}

static void dsns(void **state)
{
    (void)state;
    assert_dsn("DBI:SQLite:dbname=/var/p.db", SQL_SQLITE, "/var/p.db");
    assert_dsn("dbi:sqlite:/var/p.db", SQL_SQLITE, "/var/p.db");
    assert_dsn("DBI:SQLite:mode=ro;database=/var/p.db;x=y", SQL_SQLITE, "/var/p.db");
    assert_dsn("DBI:Pg:dbname=mail", SQL_POSTGRES, "dbname=mail");
    assert_dsn("DBI:Pg:db=mail;host=/run/postgresql;port=5433", SQL_POSTGRES,
               "dbname=mail host=/run/postgresql port=5433");
    assert_dsn("dbi:Pg:database=mail host=db.example.org", SQL_POSTGRES,
               "dbname=mail host=db.example.org");
    assert_dsn("DBI:mysql:spamassassin:localhost", 0, NULL);
    assert_dsn("DBI:SQLite:", 0, NULL);
    assert_dsn("DBI:SQLite:mode=ro", 0, NULL);
    assert_dsn("DBI:Pg", 0, NULL);
    assert_dsn("ldap://localhost", 0, NULL);
    assert_dsn("", 0, NULL);
}

static char *in_brackets(struct span s)
{
    return s.p ? xasprintf("<%.*s>", SPAN_ARG(s)) : xstrdup("NULL");
}

static void assert_filled(const char *query, const char *user, const char *want)
{
    struct buf b = {0};
    sql_fill(&b, span_str(query), span_str(user), in_brackets);
    assert_true(span_eq(buf_span(&b), span_str(want)));
    buf_free(&b);
}

static void questions(void **state)
{
    (void)state;
    assert_filled("select a from _TABLE_ where u=_USERNAME_", "bob@example.org",
                  "select a from userpref where u=<bob@example.org>");
    assert_filled("_MAILBOX_,_DOMAIN_", "bob@example.org", "<bob>,<example.org>");
    assert_filled("_MAILBOX_,_DOMAIN_", "bob", "<bob>,NULL");
    assert_filled("_DOMAIN_", "a@b@c", "<b>");
    /* What a user is called is not filled in again. */
    assert_filled("_USERNAME_", "_DOMAIN_@_TABLE_", "<_DOMAIN_@_TABLE_>");
    assert_filled("_OTHER_ _USERNAME", "bob", "_OTHER_ _USERNAME");
}

/* --- reading and keeping --- */

struct stand {
    char dir[64];
    struct settings set;
    struct ruleset *rs;
    struct prefs *prefs;
    struct arena *a;
    const char *patterns[2];
    const char *rule_dirs[1];
};

static void put(const struct stand *t, const char *name, const char *text)
{
    char path[200], temporary[200];
    snprintf(path, sizeof path, "%s/%s", t->dir, name);
    snprintf(temporary, sizeof temporary, "%s/new", t->dir);
    FILE *f = fopen(temporary, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(rename(temporary, path), 0);
}

static void open_stand(struct stand *t, const char *rules)
{
    struct err e = {0};
    memset(t, 0, sizeof *t);
    snprintf(t->dir, sizeof t->dir, "/tmp/gatehouse-prefs-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    char users[100];
    snprintf(users, sizeof users, "%s/users", t->dir);
    mkdir(users, 0700);
    put(t, "own.cf", rules);
    t->rule_dirs[0] = t->dir;
    t->set.rules.dirs = (struct strings){t->rule_dirs, 1};
    t->patterns[0] = xasprintf("%s/%%d", users);
    t->patterns[1] = xasprintf("%s/%%u", users);
    t->set.preferences.files = (struct strings){t->patterns, 2};
    t->set.preferences.sql = true;
    t->set.preferences.sql_timeout = USEC_PER_SEC;
    t->set.preferences.memory = 64 << 10;
    struct ruleset_options o = {.settings = &t->set.rules, .local_only = true, .threads = 1};
    t->rs = ruleset_load(&o, &e);
    assert_non_null(t->rs);
    t->prefs = prefs_new(&t->set, t->rs);
    t->a = arena_new(0);
}

static void close_stand(struct stand *t)
{
    char command[100];
    arena_free(t->a);
    prefs_free(t->prefs);
    ruleset_free(t->rs);
    free((char *)(uintptr_t)t->patterns[0]);
    free((char *)(uintptr_t)t->patterns[1]);
    snprintf(command, sizeof command, "rm -rf %s", t->dir);
    assert_int_equal(system(command), 0); // NOLINT: a directory of our own
}

static enum prefs_answer ask(struct stand *t, const char *user, const struct rules_prefs **out,
                             struct span *why)
{
    *out = NULL;
    *why = SPAN_NONE;
    return prefs_for(t->prefs, span_str(user), t->a, out, why);
}

static const char rules[] = "header A Subject =~ /x/\nscore A 1\n";

static void files(void **state)
{
    (void)state;
    struct stand t;
    const struct rules_prefs *bob, *carol, *again;
    struct span why;
    open_stand(&t, rules);
    assert_int_equal(ask(&t, "bob@example.org", &bob, &why), PREFS_NONE);
    put(&t, "users/example.org", "score A 2\n");
    assert_int_equal(ask(&t, "bob@example.org", &bob, &why), PREFS_FOUND);
    /* The same text is one thing. */
    assert_int_equal(ask(&t, "carol@example.org", &carol, &why), PREFS_FOUND);
    assert_ptr_equal(bob, carol);
    put(&t, "users/carol@example.org", "score A 3\n");
    assert_int_equal(ask(&t, "carol@example.org", &carol, &why), PREFS_FOUND);
    assert_ptr_not_equal(bob, carol);
    assert_int_equal(ask(&t, "bob@example.org", &again, &why), PREFS_FOUND);
    assert_ptr_equal(bob, again);
    /* A message holds what it was given, whatever becomes of the file. */
    put(&t, "users/example.org", "score A 4\nnonsense\n");
    assert_int_equal(ask(&t, "bob@example.org", &again, &why), PREFS_FOUND);
    assert_ptr_not_equal(bob, again);
    size_t n;
    rules_prefs_problems(bob, &n);
    assert_int_equal(n, 0);
    rules_prefs_problems(again, &n);
    assert_int_equal(n, 1);
    close_stand(&t);
}

static void bounds(void **state)
{
    (void)state;
    struct stand t;
    const struct rules_prefs *p;
    struct span why;
    open_stand(&t, rules);
    char *large = xcalloc(1, PREFS_TEXT_MAX + 2);
    memset(large, '\n', PREFS_TEXT_MAX + 1);
    put(&t, "users/large@example.org", large);
    assert_int_equal(ask(&t, "large@example.org", &p, &why), PREFS_FAILED);
    assert_true(span_search(why, SPAN("more than 262144 bytes")) != SIZE_MAX);
    large[PREFS_TEXT_MAX] = '\0';
    put(&t, "users/large@example.org", large);
    assert_int_equal(ask(&t, "large@example.org", &p, &why), PREFS_FOUND);
    free(large);
    /* A pipe would keep everybody waiting. */
    char fifo[200];
    snprintf(fifo, sizeof fifo, "%s/users/pipe@example.org", t.dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(ask(&t, "pipe@example.org", &p, &why), PREFS_FAILED);
    assert_true(span_search(why, SPAN("is not a file")) != SIZE_MAX);
    /* Names that nobody has. */
    char endless[4000];
    memset(endless, 'a', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(ask(&t, endless, &p, &why), PREFS_NONE);
    close_stand(&t);
}

/* More users than the memory holds: everybody still gets what is theirs. */
static void generations(void **state)
{
    (void)state;
    enum { USERS = 300 };
    struct stand t;
    open_stand(&t, rules);
    for (int i = 0; i < USERS; i++) {
        char name[60], text[60];
        snprintf(name, sizeof name, "users/u%d@example.org", i);
        snprintf(text, sizeof text, "score A %d\nnonsense%d\n", i + 2, i);
        put(&t, name, text);
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < USERS; i++) {
            char user[40], want[60];
            const struct rules_prefs *p;
            struct span why;
            size_t n;
            snprintf(user, sizeof user, "u%d@example.org", round == 1 ? i / 10 : i);
            snprintf(want, sizeof want, "'nonsense%d'", round == 1 ? i / 10 : i);
            assert_int_equal(ask(&t, user, &p, &why), PREFS_FOUND);
            const struct rule_problem *said = rules_prefs_problems(p, &n);
            assert_int_equal(n, 1);
            assert_non_null(strstr(said[0].text, want));
            arena_reset(t.a);
        }
    close_stand(&t);
}

static void databases_that_cant_be_asked(void **state)
{
    (void)state;
    struct stand t;
    const struct rules_prefs *p;
    struct span why;
    open_stand(&t, "user_scores_dsn DBI:mysql:x:localhost\n");
    assert_int_equal(ask(&t, "bob@example.org", &p, &why), PREFS_FAILED);
    assert_true(span_search(why, SPAN("'mysql' can't be asked")) != SIZE_MAX);
    close_stand(&t);
    open_stand(&t, "user_scores_dsn DBI:SQLite:dbname=/nonexistent/x.db\n"
                   "user_scores_fallback_to_global 0\n");
    assert_int_equal(ask(&t, "bob@example.org", &p, &why), PREFS_REFUSED);
    close_stand(&t);
}

static int quiet(void **state)
{
    (void)state;
    return log_open("/dev/null", LOG_TEXT, LOG_FAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(dsns),
        cmocka_unit_test(questions),
        cmocka_unit_test(files),
        cmocka_unit_test(bounds),
        cmocka_unit_test(generations),
        cmocka_unit_test(databases_that_cant_be_asked),
    };
    return cmocka_run_group_tests(tests, quiet, NULL);
}
