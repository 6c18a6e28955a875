#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "store/db.h"

static const char *const first[] = {"CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c REAL)", NULL};
static const char *const second[] = {"CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c REAL)",
                                     "ALTER TABLE t ADD d BLOB", NULL};
static char dir[64], path[80];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/gatehouse-db-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/x.db", dir);
    return log_open("/dev/null", LOG_TEXT, LOG_FAULT);
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static void put(struct db *d, struct span b, double c)
{
    struct err e;
    db_sql(d, "INSERT INTO t (b, c) VALUES (?, ?)");
    db_put_text(d, b);
    db_put_real(d, c);
    assert_int_equal(db_done(d, &e), 0);
}

static int64_t count(struct db *d)
{
    struct err e;
    db_sql(d, "SELECT count(*) FROM t");
    assert_int_equal(db_row(d, &e), 1);
    int64_t n = db_int(d, 0);
    db_end(d);
    return n;
}

static void values_come_back(void **state)
{
    (void)state;
    struct err e;
    struct db *d = db_open(path, first, &e);
    assert_non_null(d);
    put(d, SPAN("text"), 1.5);
    put(d, SPAN(""), 0);
    put(d, SPAN_NONE, -2);
    assert_int_equal(db_last_serial(d), 3);
    struct db *r = db_open_read(path, 1, &e);
    assert_non_null(r);
    db_sql(r, "SELECT a, b, c FROM t ORDER BY a");
    assert_int_equal(db_row(r, &e), 1);
    assert_true(span_eq(db_text(r, 1), SPAN("text")) && db_real(r, 2) == 1.5);
    assert_int_equal(db_row(r, &e), 1);
    assert_true(db_text(r, 1).p && db_text(r, 1).n == 0);
    assert_int_equal(db_row(r, &e), 1);
    assert_null(db_text(r, 1).p);
    assert_int_equal(db_row(r, &e), 0);
    db_sql(r, "DELETE FROM t");
    assert_int_equal(db_done(r, &e), -1);
    db_sql(r, "SELECT nonsense");
    db_put_int(r, 1);
    assert_int_equal(db_done(r, &e), -1);
    assert_true(strstr(e.text, "nonsense") != NULL);
    db_close(r);
    db_close(d);
}

static void schema_moves_forward_only(void **state)
{
    (void)state;
    struct err e;
    struct db *d = db_open(path, first, &e);
    put(d, SPAN("kept"), 1);
    db_close(d);
    assert_null(db_open_read(path, 2, &e));
    d = db_open(path, second, &e);
    assert_non_null(d);
    assert_int_equal(count(d), 1);
    db_sql(d, "SELECT d FROM t");
    assert_int_equal(db_row(d, &e), 1);
    assert_null(db_text(d, 0).p);
    db_close(d);
    assert_null(db_open(path, first, &e));
    assert_true(strstr(e.text, "newer") != NULL);
}

static void damage(long at)
{
    int fd = open(path, O_RDWR);
    char junk[3000];
    memset(junk, 0x5a, sizeof junk);
    assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
    close(fd);
}

static size_t files_aside(void)
{
    char pattern[100];
    glob_t g;
    snprintf(pattern, sizeof pattern, "%s.damaged-*", path);
    size_t n = glob(pattern, 0, NULL, &g) == 0 ? g.gl_pathc : 0;
    globfree(&g);
    return n;
}

static void damaged_at_start_is_moved_aside(void **state)
{
    (void)state;
    struct err e;
    struct db *d = db_open(path, first, &e);
    put(d, SPAN("lost"), 1);
    db_close(d);
    damage(0);
    d = db_open(path, first, &e);
    assert_non_null(d);
    assert_int_equal(count(d), 0);
    assert_int_equal(files_aside(), 1);
    db_close(d);
}

static void damage_met_later_can_be_renewed(void **state)
{
    (void)state;
    struct err e;
    struct db *d = db_open(path, first, &e);
    assert_int_equal(db_exec(d, "BEGIN", &e), 0);
    for (int i = 0; i < 5000; i++)
        put(d, SPAN("some text to fill pages with"), i);
    assert_int_equal(db_exec(d, "COMMIT", &e), 0);
    db_close(d);
    for (long page = 3; page < 20; page++)
        damage(page * 4096);
    d = db_open(path, first, &e);
    assert_non_null(d);
    int got;
    db_sql(d, "SELECT sum(length(b)) FROM t");
    got = db_row(d, &e);
    assert_int_equal(got, -1);
    assert_true(db_damaged(d));
    assert_int_equal(db_renew(d, &e), 0);
    assert_false(db_damaged(d));
    put(d, SPAN("new"), 1);
    assert_int_equal(count(d), 1);
    assert_int_equal(files_aside(), 1);
    db_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(schema_moves_forward_only, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_at_start_is_moved_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_met_later_can_be_renewed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
