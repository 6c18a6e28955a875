/* Servers that are not there, or say nothing; a real one is asked by
 * tests/e2e/test_preferences_pg.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "store/pg.h"

enum { WAIT = 300 * 1000, PATIENCE = 60 * 1000 * 1000 };

static void no_row(void *ctx, const struct span *columns, size_t n)
{
    (void)ctx;
    (void)columns;
    (void)n;
    fail_msg("a row from nowhere");
}

/* Asks twice: the first error, and that the second comes at once. */
static struct err asked(const char *dsn)
{
    struct err first, second;
    struct pg *p = pg_new(span_str(dsn), SPAN("nobody"), SPAN("secret"), WAIT, 600 * USEC_PER_SEC);
    usec start = clock_mono();
    assert_int_equal(pg_ask(p, "SELECT 1", no_row, NULL, &first), -1);
    assert_true(clock_mono() - start < PATIENCE);
    assert_int_equal(pg_ask(p, "SELECT 1", no_row, NULL, &second), -1);
    assert_non_null(strstr(second.text, "(a moment ago)"));
    assert_null(strstr(first.text, "(a moment ago)"));
    assert_null(strstr(first.text, "secret"));
    pg_free(p);
    return first;
}

/* A socket that takes connections and says nothing. */
static int silent(char *dsn, size_t n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    snprintf(dsn, n, "host=127.0.0.1 port=%d dbname=x", ntohs(a.sin_port));
    return fd;
}

static void silent_server(void **state)
{
    (void)state;
    char dsn[100];
    int fd = silent(dsn, sizeof dsn);
    struct err e = asked(dsn);
    assert_string_equal(e.text, "PostgreSQL: connecting: no answer in time");
    close(fd);
}

static void nobody_listens(void **state)
{
    (void)state;
    char dsn[100];
    close(silent(dsn, sizeof dsn));
    struct err e = asked(dsn);
    assert_non_null(strstr(e.text, "Connection refused"));
}

static void no_such_host(void **state)
{
    (void)state;
    struct err e = asked("host=nosuch.invalid dbname=x");
    assert_non_null(strstr(e.text, "nosuch.invalid"));
}

static void wrong_words(void **state)
{
    (void)state;
    struct err e = asked("dbname=x color=blue");
    assert_non_null(strstr(e.text, "color"));
    e = asked("host=/nonexistent dbname=x");
    assert_non_null(strstr(e.text, "/nonexistent"));
}

static void assert_quoted(struct span s, const char *want)
{
    char *text = pg_quote(s);
    assert_string_equal(text, want);
    free(text);
}

static void quoting(void **state)
{
    (void)state;
    assert_quoted(SPAN("bob"), "'bob'");
    assert_quoted(SPAN(""), "''");
    assert_quoted(SPAN_NONE, "NULL");
    assert_quoted(SPAN("o'hara' OR 1=1 --"), "'o''hara'' OR 1=1 --'");
    assert_quoted(SPAN("a\\'b"), "E'a\\\\''b'");
    assert_quoted(SPAN("a\0b"), "'a?b'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_server), cmocka_unit_test(nobody_listens),
        cmocka_unit_test(no_such_host),  cmocka_unit_test(wrong_words),
        cmocka_unit_test(quoting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
