#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "learn/store.h"

static char dir[64], path[96];
static struct arena *a;
static struct err e;

enum { SIZE = 8 << 20 };

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/gatehouse-learn-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/bayes.mdb", dir);
    a = arena_new(0);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    arena_free(a);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* Ids 00 00 00 00 FROM ... TO, ascending. */
static struct span ids(unsigned from, unsigned to)
{
    struct buf b = {0};
    for (unsigned i = from; i < to; i++) {
        char id[LEARN_TOKEN_SIZE] = {0, 0, (char)(i >> 16), (char)(i >> 8), (char)i};
        buf_add(&b, span_of(id, sizeof id));
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

static struct learn_lesson lesson(enum learn_class what, const char *id, struct span tokens)
{
    return (struct learn_lesson){.what = what,
                                 .made_id = span_str(id),
                                 .msgid = arena_printf(a, "msg-%s", id),
                                 .tokens = tokens,
                                 .when = 1700000000};
}

static enum learn_result apply(struct learn_store *s, struct learn_lesson l)
{
    assert_int_equal(learn_begin(s, &e), 0);
    enum learn_result r = learn_apply(s, &l, &e);
    assert_int_equal(learn_commit(s, &e), 0);
    return r;
}

static struct learn_counts counts(struct learn_store *s, const char *user)
{
    struct learn_counts c;
    assert_true(learn_counts(s, span_str(user), &c));
    return c;
}

static struct learn_seen_token token(struct learn_store *s, unsigned i)
{
    struct learn_seen_token t;
    assert_true(learn_look_up(s, SPAN(""), ids(i, i + 1), &t));
    return t;
}

static void no_store_is_told(void **state)
{
    (void)state;
    e.sys = 0;
    assert_null(learn_open(path, SIZE, LEARN_READ, &e));
    assert_int_equal(e.sys, ENOENT);
}

static void learns_once(void **state)
{
    (void)state;
    struct learn_store *s = learn_open(path, SIZE, LEARN_WRITE, &e);
    assert_int_equal(apply(s, lesson(LEARN_SPAM, "one", ids(0, 10))), LEARN_DONE);
    assert_int_equal(apply(s, lesson(LEARN_SPAM, "one", ids(0, 10))), LEARN_KNOWN);
    assert_int_equal(counts(s, "").spam, 1);
    assert_int_equal(counts(s, "").tokens, 10);
    assert_int_equal(counts(s, "").newest, 1700000000);
    assert_int_equal(token(s, 3).spam, 1);
    assert_int_equal(token(s, 10).spam, 0);
    assert_int_equal(learn_known(s, SPAN(""), SPAN("one"), SPAN_NONE), LEARN_SPAM);
    /* SpamAssassin knows messages by their Message-ID, too, when it was learned as such. */
    assert_int_equal(learn_known(s, SPAN(""), SPAN("other"), SPAN("one")), LEARN_SPAM);
    learn_close(s);
}

static void changes_its_mind(void **state)
{
    (void)state;
    struct learn_store *s = learn_open(path, SIZE, LEARN_WRITE, &e);
    struct learn_lesson automatic = lesson(LEARN_HAM, "one", ids(0, 10));
    automatic.no_relearn = true;
    apply(s, lesson(LEARN_SPAM, "one", ids(0, 10)));
    apply(s, lesson(LEARN_SPAM, "two", ids(5, 15)));
    assert_int_equal(apply(s, automatic), LEARN_KNOWN);
    assert_int_equal(apply(s, lesson(LEARN_HAM, "one", ids(0, 10))), LEARN_DONE);
    assert_int_equal(counts(s, "").spam, 1);
    assert_int_equal(counts(s, "").ham, 1);
    assert_int_equal(token(s, 7).spam, 1);
    assert_int_equal(token(s, 7).ham, 1);
    assert_int_equal(token(s, 1).spam, 0);
    assert_int_equal(token(s, 1).ham, 1);
    learn_close(s);
}

static void forgets_without_a_trace(void **state)
{
    (void)state;
    struct learn_store *s = learn_open(path, SIZE, LEARN_WRITE, &e);
    assert_int_equal(apply(s, lesson(LEARN_FORGET, "one", ids(0, 10))), LEARN_KNOWN);
    apply(s, lesson(LEARN_HAM, "one", ids(0, 10)));
    assert_int_equal(apply(s, lesson(LEARN_FORGET, "one", ids(0, 10))), LEARN_DONE);
    struct learn_counts c = counts(s, "");
    assert_int_equal(c.ham + c.spam + c.tokens + c.seen, 0);
    assert_int_equal(learn_known(s, SPAN(""), SPAN("one"), SPAN_NONE), 0);
    assert_int_equal(apply(s, lesson(LEARN_HAM, "one", ids(0, 10))), LEARN_DONE);
    learn_close(s);
}

/* What was looked up is kept until something is learned, by whomever. */
static void answers_do_not_grow_old(void **state)
{
    (void)state;
    struct learn_store *s = learn_open(path, SIZE, LEARN_WRITE, &e);
    struct learn_seen_token many[3000];
    apply(s, lesson(LEARN_SPAM, "one", ids(0, 3000)));
    assert_true(learn_look_up(s, SPAN(""), ids(0, 3000), many));
    assert_int_equal(token(s, 3500).spam, 0);
    apply(s, lesson(LEARN_HAM, "two", ids(1000, 4000)));
    for (unsigned round = 0; round < 2; round++) {
        assert_true(learn_look_up(s, SPAN(""), ids(0, 3000), many));
        for (unsigned i = 0; i < 3000; i++) {
            assert_int_equal(many[i].spam, 1);
            assert_int_equal(many[i].ham, i >= 1000);
        }
        assert_int_equal(token(s, 3500).ham, 1);
    }
    learn_close(s);
}

static void users_are_apart(void **state)
{
    (void)state;
    struct learn_store *s = learn_open(path, SIZE, LEARN_WRITE, &e);
    struct learn_lesson l = lesson(LEARN_HAM, "one", ids(0, 10));
    apply(s, l);
    l.user = SPAN("joe@example.com");
    l.what = LEARN_SPAM;
    assert_int_equal(apply(s, l), LEARN_DONE);
    assert_int_equal(counts(s, "").ham, 1);
    assert_int_equal(counts(s, "").spam, 0);
    assert_int_equal(counts(s, "joe@example.com").spam, 1);
    assert_int_equal(token(s, 0).ham, 1);
    assert_int_equal(learn_clear(s, SPAN(""), &e), 0);
    assert_int_equal(counts(s, "").tokens, 0);
    assert_int_equal(token(s, 0).ham, 0);
    assert_int_equal(counts(s, "joe@example.com").tokens, 10);
    learn_close(s);
}

static void readers_see_commits(void **state)
{
    (void)state;
    struct learn_store *s = learn_open(path, SIZE, LEARN_WRITE, &e);
    apply(s, lesson(LEARN_SPAM, "one", ids(0, 10)));
    pid_t pid = fork();
    if (pid == 0) {
        struct learn_counts c;
        struct learn_store *r = learn_open(path, SIZE, LEARN_READ, &e);
        bool good = r && learn_counts(r, SPAN(""), &c) && c.spam == 1 && !learn_stale(r);
        learn_close(r);
        _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    learn_close(s);
}

/* The least used go; those that were of use stay. */
static void old_tokens_go(void **state)
{
    (void)state;
    struct learn_store *s = learn_open(path, SIZE, LEARN_WRITE, &e);
    for (unsigned i = 0; i < 10; i++) {
        struct learn_lesson l =
            lesson(LEARN_SPAM, arena_printf(a, "id-%u", i).p, ids(1000 * i, 1000 * i + 1000));
        l.when = 1700000000 + i;
        apply(s, l);
    }
    struct learn_lesson touch = {.what = LEARN_TOUCH, .tokens = ids(10, 20), .when = 1800000000};
    assert_int_equal(apply(s, touch), LEARN_DONE);
    assert_int_equal(learn_expire(s, SPAN(""), 10000, 5000, 1, &e), 0);
    assert_int_equal(learn_expire(s, SPAN(""), 9999, 5000, 1900000000, &e), 5000);
    struct learn_counts c = counts(s, "");
    assert_int_equal(c.tokens, 5000);
    assert_int_equal(c.spam, 10);
    assert_int_equal(c.last_expiry, 1900000000);
    assert_int_equal(token(s, 15).atime, 1800000000);
    assert_int_equal(token(s, 25).spam, 0);
    assert_int_equal(token(s, 9500).spam, 1);
    assert_int_equal(learn_oldest(s, SPAN("")), 1700000005);
    learn_close(s);
}

static void a_full_file_changes_nothing(void **state)
{
    (void)state;
    struct learn_store *s = learn_open(path, LEARN_SIZE_MIN, LEARN_WRITE, &e);
    assert_int_equal(apply(s, lesson(LEARN_SPAM, "small", ids(0, 100))), LEARN_DONE);
    assert_int_equal(apply(s, lesson(LEARN_SPAM, "large", ids(0, 100000))), LEARN_FULL);
    assert_int_equal(counts(s, "").spam, 1);
    assert_int_equal(counts(s, "").tokens, 100);
    assert_int_equal(apply(s, lesson(LEARN_HAM, "more", ids(50, 150))), LEARN_DONE);
    learn_close(s);
}

static void backups_go_both_ways(void **state)
{
    (void)state;
    struct learn_store *s = learn_open(path, SIZE, LEARN_WRITE, &e);
    char *text = NULL;
    size_t n = 0;
    apply(s, lesson(LEARN_SPAM, "one", ids(0, 3)));
    apply(s, lesson(LEARN_HAM, "two", ids(2, 4)));
    FILE *out = open_memstream(&text, &n);
    assert_int_equal(learn_backup(s, SPAN(""), out, &e), 0);
    fclose(out);
    assert_string_equal(text, "v\t3\tdb_version # this must be the first line!!!\n"
                              "v\t1\tnum_spam\nv\t1\tnum_nonspam\n"
                              "t\t1\t0\t1700000000\t0000000000\n"
                              "t\t1\t0\t1700000000\t0000000001\n"
                              "t\t1\t1\t1700000000\t0000000002\n"
                              "t\t0\t1\t1700000000\t0000000003\n"
                              "s\ts\tone\ns\th\ttwo\n");
    FILE *in = fmemopen(text, n, "r");
    assert_int_equal(learn_restore(s, SPAN("joe"), in, &e), 0);
    fclose(in);
    struct learn_counts c = counts(s, "joe");
    assert_int_equal(c.tokens, 4);
    assert_int_equal(c.seen, 2);
    assert_int_equal(learn_known(s, SPAN("joe"), SPAN("two"), SPAN_NONE), LEARN_HAM);
    free(text);
    learn_close(s);
}

static void bad_backups_change_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "t\t1\t0\t1\t0000000000\n",
        "v\t3\tdb_version\nv\t1\tnum_spam\n",
        "v\t9\tdb_version\nv\t1\tnum_spam\nv\t1\tnum_nonspam\n",
        "v\t3\tdb_version\nv\t1\tnum_spam\nv\t1\tnum_nonspam\nt\t1\t0\t1\t00000000zz\n",
        "v\t3\tdb_version\nv\t1\tnum_spam\nv\t1\tnum_nonspam\nt\t-1\t0\t1\t0000000000\n",
        "v\t3\tdb_version\nv\t1\tnum_spam\nv\t1\tnum_nonspam\ns\tx\tid\n",
        "v\t3\tdb_version\nv\t1\tnum_spam\nv\t1\tnum_nonspam\nwhat\n",
    };
    struct learn_store *s = learn_open(path, SIZE, LEARN_WRITE, &e);
    apply(s, lesson(LEARN_SPAM, "one", ids(0, 3)));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[256];
        snprintf(line, sizeof line, "%s\n", bad[i]);
        FILE *in = fmemopen(line, strlen(line), "r");
        assert_int_equal(learn_restore(s, SPAN(""), in, &e), -1);
        fclose(in);
        assert_int_equal(counts(s, "").tokens, 3);
    }
    learn_close(s);
}

/* Killed at any moment, a learner leaves whole lessons: counts and tokens agree. */
static void kills_leave_whole_lessons(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 12; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct learn_store *s = learn_open(path, SIZE, LEARN_WRITE, &e);
            for (unsigned i = 0; s; i++) {
                struct learn_lesson l = lesson(i % 3 ? LEARN_SPAM : LEARN_HAM,
                                               arena_printf(a, "%u-%u", round, i).p, ids(0, 200));
                if (learn_begin(s, &e) != 0 || learn_apply(s, &l, &e) != LEARN_DONE ||
                    learn_commit(s, &e) != 0)
                    break;
            }
            _exit(0);
        }
        usleep(2000 + 3000 * round);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        struct learn_store *s = learn_open(path, SIZE, LEARN_WRITE, &e);
        assert_non_null(s);
        struct learn_counts c = counts(s, "");
        assert_int_equal(c.seen, c.spam + c.ham);
        assert_int_equal(c.tokens, c.seen ? 200 : 0);
        assert_int_equal(token(s, 100).spam, c.spam);
        assert_int_equal(token(s, 199).ham, c.ham);
        learn_close(s);
    }
}

/* A damaged file is told, by those who read and those who write, and stays as it is. */
static void damage_is_told(void **state)
{
    (void)state;
    struct learn_store *s = learn_open(path, SIZE, LEARN_WRITE, &e);
    for (unsigned i = 0; i < 20; i++)
        apply(s, lesson(LEARN_SPAM, arena_printf(a, "id-%u", i).p, ids(500 * i, 500 * i + 500)));
    learn_close(s);
    FILE *f = fopen(path, "r+");
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    for (long at = 3 * 4096; at + 4096 <= size; at += 4096) {
        char junk[4096];
        memset(junk, 0x5a, sizeof junk);
        fseek(f, at, SEEK_SET);
        fwrite(junk, 1, sizeof junk, f);
    }
    fclose(f);
    assert_null(learn_open(path, SIZE, LEARN_READ, &e));
    if (!strstr(e.text, "is damaged"))
        fail_msg("%s", e.text);
    assert_null(learn_open(path, SIZE, LEARN_WRITE, &e));
    assert_int_equal(truncate(path, 6000), 0);
    assert_null(learn_open(path, SIZE, LEARN_READ, &e));
    assert_int_equal(access(path, F_OK), 0);
}

static void lessons_travel(void **state)
{
    (void)state;
    struct buf b = {0};
    struct learn_lesson l = lesson(LEARN_SPAM, "one", ids(0, 3)), got;
    l.user = SPAN("joe");
    learn_lesson_encode(&b, &l);
    assert_true(learn_lesson_decode(buf_span(&b), &got));
    assert_true(span_eq(got.user, l.user) && span_eq(got.tokens, l.tokens) && got.when == l.when);
    for (size_t n = 0; n < b.n; n++)
        assert_false(learn_lesson_decode(span_of(b.p, n), &got));
    buf_clear(&b);
    l.tokens = SPAN("bbbbbaaaaa"); /* not ascending */
    learn_lesson_encode(&b, &l);
    assert_false(learn_lesson_decode(buf_span(&b), &got));
    buf_free(&b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_store_is_told),
        TEST(learns_once),
        TEST(changes_its_mind),
        TEST(forgets_without_a_trace),
        TEST(answers_do_not_grow_old),
        TEST(users_are_apart),
        TEST(readers_see_commits),
        TEST(old_tokens_go),
        TEST(a_full_file_changes_nothing),
        TEST(backups_go_both_ways),
        TEST(bad_backups_change_nothing),
        TEST(kills_leave_whole_lessons),
        TEST(damage_is_told),
        TEST(lessons_travel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
