#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "kv/kv.h"

enum { SIZE = 8 << 20 };
static const usec now = 1000 * USEC_PER_SEC;
static const usec later = 2000 * USEC_PER_SEC;
static char dir[64], path[80];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/gatehouse-kv-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/state.mdb", dir);
    return log_open("/dev/null", LOG_TEXT, LOG_FAULT);
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static bool has(struct kv *k, struct span key, usec at, const char *want)
{
    struct buf v = {0};
    enum kv_status st = kv_get(k, KV_SCRIPT, key, at, &v);
    bool ok = st == KV_OK && span_eq(buf_span(&v), span_str(want));
    buf_free(&v);
    return ok;
}

static enum kv_status get(struct kv *k, struct span key, usec at)
{
    struct buf v = {0};
    enum kv_status st = kv_get(k, KV_SCRIPT, key, at, &v);
    buf_free(&v);
    return st;
}

static void entries_come_back_until_they_end(void **state)
{
    (void)state;
    struct kv *k = kv_open(path, SIZE);
    assert_int_equal(get(k, SPAN("a"), now), KV_NONE);
    assert_int_equal(kv_put(k, KV_SCRIPT, SPAN("a"), SPAN("one"), later), KV_OK);
    assert_int_equal(kv_put(k, KV_SCRIPT, SPAN(""), SPAN(""), 0), KV_OK);
    assert_true(has(k, SPAN("a"), now, "one"));
    assert_true(has(k, SPAN("a"), later - 1, "one"));
    assert_int_equal(get(k, SPAN("a"), later), KV_NONE);
    assert_true(has(k, SPAN(""), later * 1000, ""));
    struct buf v = {0};
    assert_int_equal(kv_get(k, KV_GREYLIST, SPAN("a"), now, &v), KV_NONE); /* another space */
    buf_free(&v);
    kv_close(k);
    k = kv_open(path, SIZE);
    assert_true(has(k, SPAN("a"), now, "one"));
    assert_int_equal(kv_delete(k, KV_SCRIPT, SPAN("a")), KV_OK);
    assert_int_equal(kv_delete(k, KV_SCRIPT, SPAN("a")), KV_OK);
    assert_int_equal(get(k, SPAN("a"), now), KV_NONE);
    kv_close(k);
}

static void sizes_have_limits(void **state)
{
    (void)state;
    struct kv *k = kv_open(path, SIZE);
    static char big[KV_VALUE_MAX + 1];
    memset(big, 'x', sizeof big);
    struct span longer = span_of(big, 5000), longest = span_of(big, KV_KEY_MAX + 1);
    assert_int_equal(kv_put(k, KV_SCRIPT, longer, SPAN("L"), 0), KV_OK);
    assert_int_equal(kv_put(k, KV_SCRIPT, longest, SPAN("M"), 0), KV_OK);
    assert_int_equal(kv_put(k, KV_SCRIPT, span_of(big, KV_KEY_MAX), SPAN("S"), 0), KV_OK);
    assert_true(has(k, longer, now, "L"));
    assert_true(has(k, longest, now, "M"));
    assert_true(has(k, span_of(big, KV_KEY_MAX), now, "S"));
    assert_int_equal(kv_put(k, KV_SCRIPT, SPAN("v"), span_of(big, KV_VALUE_MAX), 0), KV_OK);
    assert_int_equal(kv_put(k, KV_SCRIPT, SPAN("v"), span_of(big, KV_VALUE_MAX + 1), 0),
                     KV_TROUBLE);
    assert_int_equal(get(k, SPAN("v"), now), KV_OK); /* and the file is not suspected */
    kv_close(k);
}

static void counters_and_claims(void **state)
{
    (void)state;
    struct kv *k = kv_open(path, SIZE);
    int64_t sum;
    assert_int_equal(kv_add(k, KV_SCRIPT, SPAN("n"), 3, now, later, &sum), KV_OK);
    assert_int_equal(sum, 3);
    assert_int_equal(kv_add(k, KV_SCRIPT, SPAN("n"), -5, now, later * 9, &sum), KV_OK);
    assert_int_equal(sum, -2);
    assert_int_equal(kv_add(k, KV_SCRIPT, SPAN("n"), 1, later, later * 2, &sum), KV_OK);
    assert_int_equal(sum, 1); /* the first end counted */
    kv_add(k, KV_SCRIPT, SPAN("n"), INT64_MAX, later, later * 2, &sum);
    assert_true(sum == INT64_MAX);
    assert_int_equal(kv_claim(k, KV_HASHCASH, SPAN("stamp"), now, later), KV_OK);
    assert_int_equal(kv_claim(k, KV_HASHCASH, SPAN("stamp"), now, later), KV_TAKEN);
    assert_int_equal(kv_claim(k, KV_HASHCASH, SPAN("stamp"), later, later * 2), KV_OK);
    kv_close(k);
}

static bool collect(void *ctx, struct span key, struct span value, usec until)
{
    struct buf *b = ctx;
    (void)until;
    buf_add(b, key);
    buf_char(b, '=');
    buf_add(b, value);
    buf_char(b, ' ');
    return b->n < 20;
}

static void a_space_can_be_listed(void **state)
{
    (void)state;
    struct kv *k = kv_open(path, SIZE);
    kv_put(k, KV_SCRIPT, SPAN("x/2"), SPAN("b"), 0);
    kv_put(k, KV_SCRIPT, SPAN("x/1"), SPAN("a"), later);
    kv_put(k, KV_SCRIPT, SPAN("x/3"), SPAN("old"), now);
    kv_put(k, KV_SCRIPT, SPAN("y"), SPAN("c"), 0);
    kv_put(k, KV_TXREP, SPAN("x/4"), SPAN("d"), 0);
    struct buf b = {0};
    assert_int_equal(kv_each(k, KV_SCRIPT, SPAN("x/"), now, collect, &b), KV_OK);
    assert_true(span_eq(buf_span(&b), SPAN("x/1=a x/2=b ")));
    buf_clear(&b);
    assert_int_equal(kv_each(k, KV_SCRIPT, SPAN("z"), now, collect, &b), KV_NONE);
    buf_free(&b);
    kv_close(k);
}

static void ended_entries_are_taken_away(void **state)
{
    (void)state;
    struct kv *k = kv_open(path, SIZE);
    struct kv_numbers n;
    for (int i = 0; i < 2 * KV_PURGE_ENTRIES; i++) {
        char key[32];
        int len = snprintf(key, sizeof key, "%d", i * 7919);
        kv_put(k, KV_SCRIPT, span_of(key, (size_t)len), SPAN("v"), i % 4 ? later : 0);
    }
    kv_tick(k, now);
    kv_numbers(k, &n);
    assert_int_equal(n.entries, 2 * KV_PURGE_ENTRIES);
    for (int i = 0; i < 8; i++)
        kv_tick(k, later);
    kv_numbers(k, &n);
    assert_int_equal(n.entries, KV_PURGE_ENTRIES / 2);
    assert_true(n.usable && n.full == 0 && n.lost == 0);
    kv_close(k);
}

/* A flood fills the file: new entries are refused, old ones are still read, changed and deleted;
 * the tick drops what ends soonest, and keeps what was meant to stay. */
static void a_full_file_makes_room(void **state)
{
    (void)state;
    struct kv *k = kv_open(path, KV_SIZE_MIN);
    enum kv_status st = kv_put(k, KV_SCRIPT, SPAN("precious"), SPAN("p"), 0);
    char key[64];
    int i;
    for (i = 0; st == KV_OK && i < 100000; i++) {
        int len = snprintf(key, sizeof key, "flood-%08d-some-longer-key", i);
        st = kv_put(k, KV_SCRIPT, span_of(key, (size_t)len), SPAN("some value"), later);
    }
    assert_int_equal(st, KV_FULL);
    assert_true(i > 5000);
    assert_true(has(k, SPAN("flood-00000000-some-longer-key"), now, "some value"));
    assert_int_equal(kv_put(k, KV_SCRIPT, SPAN("precious"), SPAN("q"), 0), KV_OK);
    struct kv_numbers n;
    for (i = 0; i < 100; i++) /* the horizon doubles until it reaches the flood */
        kv_tick(k, now);
    kv_numbers(k, &n);
    assert_true(n.used * 100 <= n.size * KV_SPREAD_PERCENT);
    assert_true(n.full > 0);
    assert_int_equal(kv_put(k, KV_SCRIPT, SPAN("new"), SPAN("v"), later), KV_OK);
    assert_true(has(k, SPAN("precious"), now, "q"));
    kv_close(k);
}

static size_t files_aside(void)
{
    char pattern[120];
    glob_t g;
    snprintf(pattern, sizeof pattern, "%s.damaged-*", path);
    size_t n = glob(pattern, 0, NULL, &g) == 0 ? g.gl_pathc : 0;
    globfree(&g);
    return n;
}

static void fill(struct kv *k, int n)
{
    char key[32];
    for (int i = 0; i < n; i++) {
        int len = snprintf(key, sizeof key, "key-%d", i);
        assert_int_equal(kv_put(k, KV_SCRIPT, span_of(key, (size_t)len), SPAN("value"), 0), KV_OK);
    }
}

static void damage(long from, long to, int with)
{
    int fd = open(path, O_RDWR);
    char junk[4096];
    memset(junk, with, sizeof junk);
    for (long at = from; at < to; at += (long)sizeof junk)
        assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
    close(fd);
}

static void damaged_once(long from, long to, int with)
{
    struct kv *k = kv_open(path, SIZE);
    fill(k, 3000);
    kv_close(k);
    if (to < 0)
        assert_int_equal(truncate(path, from), 0);
    else
        damage(from, to, with);
    k = kv_open(path, SIZE);
    assert_int_equal(get(k, SPAN("key-5"), now), KV_NONE);
    assert_int_equal(kv_put(k, KV_SCRIPT, SPAN("again"), SPAN("v"), 0), KV_OK);
    assert_int_equal(files_aside(), 1);
    kv_close(k);
    char command[200];
    snprintf(command, sizeof command, "rm -f '%s'*", path);
    assert_int_equal(system(command), 0);
}

static void damage_is_moved_aside(void **state)
{
    (void)state;
    damaged_once(0, 8192, 0x5a);      /* both meta pages */
    damaged_once(8192, 400000, 0xff); /* the tree */
    damaged_once(8192, 400000, 0);    /* a hole */
    damaged_once(30000, -1, 0);       /* cut short: reading would be SIGBUS */
    damaged_once(100, -1, 0);
}

static void what_is_no_file_stops_nothing(void **state)
{
    (void)state;
    char nowhere[120];
    snprintf(nowhere, sizeof nowhere, "%s/missing/state.mdb", dir);
    struct kv *k = kv_open(nowhere, SIZE);
    struct kv_numbers n;
    assert_int_equal(kv_put(k, KV_SCRIPT, SPAN("a"), SPAN("b"), 0), KV_TROUBLE);
    assert_int_equal(get(k, SPAN("a"), now), KV_TROUBLE);
    kv_numbers(k, &n);
    assert_false(n.usable);
    assert_true(n.lost >= 2);
    snprintf(nowhere, sizeof nowhere, "%s/missing", dir);
    assert_int_equal(mkdir(nowhere, 0700), 0);
    kv_tick(k, now); /* somebody made the directory */
    assert_int_equal(kv_put(k, KV_SCRIPT, SPAN("a"), SPAN("b"), 0), KV_OK);
    kv_close(k);
}

static void removed_behind_our_back(void **state)
{
    (void)state;
    struct kv *k = kv_open(path, SIZE);
    fill(k, 10);
    unlink(path);
    kv_tick(k, now);
    assert_int_equal(get(k, SPAN("key-5"), now), KV_NONE);
    fill(k, 10);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    kv_close(k);
}

/* Writes until it is killed; says after each write how far it is. */
static void writer(int report)
{
    struct kv *k = kv_open(path, SIZE);
    for (uint32_t i = 1;; i++) {
        char key[32];
        int len = snprintf(key, sizeof key, "w-%u", i % 1000);
        if (kv_put(k, KV_SCRIPT, span_of(key, (size_t)len), span_of((char *)&i, sizeof i), 0) !=
                KV_OK ||
            write(report, &i, sizeof i) != sizeof i)
            _exit(1);
    }
}

static uint32_t kill_a_writer(void)
{
    int fds[2], status;
    uint32_t i, last = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0)
        writer(fds[1]);
    close(fds[1]);
    while (last < 500 && read(fds[0], &i, sizeof i) == sizeof i)
        last = i;
    kill(pid, SIGKILL);
    while (read(fds[0], &i, sizeof i) == sizeof i)
        last = i;
    close(fds[0]);
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status));
    return last;
}

static void what_was_written_survives_sigkill(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        uint32_t last = kill_a_writer(), got = 0;
        struct kv *k = kv_open(path, SIZE);
        struct buf v = {0};
        char key[32];
        int len = snprintf(key, sizeof key, "w-%u", last % 1000);
        assert_int_equal(kv_get(k, KV_SCRIPT, span_of(key, (size_t)len), now, &v), KV_OK);
        memcpy(&got, v.p, sizeof got);
        assert_int_equal(got, last);
        assert_int_equal(kv_put(k, KV_SCRIPT, SPAN("after"), SPAN("x"), 0), KV_OK);
        assert_int_equal(files_aside(), 0);
        buf_free(&v);
        kv_close(k);
    }
}

/* Of several processes one gets a key, and no addition is lost. */
static void processes_share_one_file(void **state)
{
    (void)state;
    enum { PROCESSES = 4, ROUNDS = 300 };
    pid_t pid[PROCESSES];
    for (int p = 0; p < PROCESSES; p++) {
        pid[p] = fork();
        if (pid[p] != 0)
            continue;
        struct kv *k = kv_open(path, SIZE);
        int64_t won = 0;
        for (int i = 0; i < ROUNDS; i++) {
            char key[32];
            int len = snprintf(key, sizeof key, "stamp-%d", i);
            won += kv_claim(k, KV_HASHCASH, span_of(key, (size_t)len), now, later) == KV_OK;
            kv_add(k, KV_SCRIPT, SPAN("sum"), 1, now, later, NULL);
        }
        kv_add(k, KV_SCRIPT, SPAN("won"), won, now, later, NULL);
        kv_close(k);
        _exit(0);
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status;
        waitpid(pid[p], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    struct kv *k = kv_open(path, SIZE);
    int64_t sum;
    kv_add(k, KV_SCRIPT, SPAN("sum"), 0, now, later, &sum);
    assert_int_equal(sum, PROCESSES * ROUNDS);
    kv_add(k, KV_SCRIPT, SPAN("won"), 0, now, later, &sum);
    assert_int_equal(sum, ROUNDS);
    kv_close(k);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(entries_come_back_until_they_end),
        TEST(sizes_have_limits),
        TEST(counters_and_claims),
        TEST(a_space_can_be_listed),
        TEST(ended_entries_are_taken_away),
        TEST(a_full_file_makes_room),
        TEST(damage_is_moved_aside),
        TEST(what_is_no_file_stops_nothing),
        TEST(removed_behind_our_back),
        TEST(what_was_written_survives_sigkill),
        TEST(processes_share_one_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
