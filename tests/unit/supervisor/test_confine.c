/* Each role tries, in a process of its own, what it may and what it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "supervisor/confine.h"

enum { NET_VERSION = 4, SCOPE_VERSION = 6 };

struct bed {
    char dir[64];
    struct settings *set;
    int listening, other;
    uint16_t port, other_port; /* the first one is named by the settings */
};

static int listen_somewhere(uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 10), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    free(path);
}

static int set_up(void **state)
{
    struct bed *b = xcalloc(1, sizeof *b);
    static const char *const dirs[] = {"state", "spool", "cache", "run", "rules", "keys", "mail"};
    snprintf(b->dir, sizeof b->dir, "/tmp/gatehouse-confine-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        char *path = xasprintf("%s/%s", b->dir, dirs[i]);
        assert_int_equal(mkdir(path, 0700), 0);
        free(path);
    }
    b->listening = listen_somewhere(&b->port);
    b->other = listen_somewhere(&b->other_port);
    write_file(b->dir, "rules/own.cf", "# rules\n");
    write_file(b->dir, "keys/tls.key", "secret\n");
    write_file(b->dir, "keys/tls.pem", "public\n");
    write_file(b->dir, "outside", "somebody else's\n");
    char *text =
        xasprintf("paths: {state: %s/state, spool: %s/spool, cache: %s/cache, run: %s/run}\n"
                  "rules: {dirs: [%s/rules]}\n"
                  "tls: {certificate: %s/keys/tls.pem, key: %s/keys/tls.key}\n"
                  "routes: {fallback: 'maildir:%s/mail'}\n"
                  "log: {target: stderr}\n"
                  "dns: {servers: ['127.0.0.1@%u']}\n",
                  b->dir, b->dir, b->dir, b->dir, b->dir, b->dir, b->dir, b->dir, b->port);
    write_file(b->dir, "gatehouse.yaml", text);
    free(text);
    char *file = xasprintf("%s/gatehouse.yaml", b->dir);
    struct err e;
    b->set = settings_load(file, &e);
    free(file);
    if (!b->set)
        fail_msg("%s", e.text);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bed *b = *state;
    char *command = xasprintf("rm -rf %s", b->dir);
    close(b->listening);
    close(b->other);
    settings_free(b->set);
    int rc = system(command);
    free(command);
    free(b);
    return rc;
}

/* --- what is tried; 0, or errno --- */

static int try_open(const struct bed *b, const char *path, int flags)
{
    char full[256];
    snprintf(full, sizeof full, path[0] == '/' ? "%.0s%s" : "%s/%s", b->dir, path);
    int fd = open(full, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int try_connect(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int rc = connect(fd, (struct sockaddr *)&a, sizeof a) == 0 ? 0 : errno;
    close(fd);
    return rc;
}

static int try_bind_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = bind(fd, (struct sockaddr *)&a, sizeof a) == 0 ? 0 : errno;
    close(fd);
    return rc;
}

static int try_listen(const struct bed *b)
{
    return listen(b->listening, 10) == 0 ? 0 : errno;
}

static int try_packet_socket(void)
{
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0 ? 0 : errno;
}

static void *thread(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}

static int try_thread(void)
{
    pthread_t t;
    int ran = 0, rc = pthread_create(&t, NULL, thread, &ran);
    if (rc)
        return rc;
    pthread_join(t, NULL);
    return ran ? 0 : ECHILD;
}

/* --- the roles --- */

static int wrong;

static void expect(const char *what, int got, int want)
{
    if (got == want)
        return;
    fprintf(stderr, "%s: %s, expected %s\n", what, got ? strerror(got) : "allowed",
            want ? strerror(want) : "allowed");
    wrong++;
}

static void nobody_may(const struct bed *b)
{
    expect("/etc/passwd", try_open(b, "/etc/passwd", O_RDONLY), EACCES);
    expect("a file of somebody else", try_open(b, "outside", O_RDONLY), EACCES);
    expect("writing /usr", try_open(b, "/usr/gatehouse-test", O_WRONLY | O_CREAT), EACCES);
    expect("a packet socket", try_packet_socket(), EPERM);
    expect("a thread", try_thread(), 0);
    expect("/dev/urandom", try_open(b, "/dev/urandom", O_RDONLY), 0);
}

static void as_scan(const struct bed *b)
{
    nobody_may(b);
    expect("the rules", try_open(b, "rules/own.cf", O_RDONLY), 0);
    expect("writing rules", try_open(b, "rules/own.cf", O_WRONLY), EACCES);
    expect("the cache", try_open(b, "cache", O_RDONLY | O_DIRECTORY), 0);
    expect("writing the cache", try_open(b, "cache/x", O_WRONLY | O_CREAT), EACCES);
    expect("the key", try_open(b, "keys/tls.key", O_RDONLY), EACCES);
    expect("the spool", try_open(b, "spool", O_RDONLY | O_DIRECTORY), EACCES);
    expect("the state", try_open(b, "state/x", O_WRONLY | O_CREAT), 0);
    expect("listen", try_listen(b), EPERM);
}

static void as_door(const struct bed *b)
{
    nobody_may(b);
    expect("the key", try_open(b, "keys/tls.key", O_RDONLY), 0);
    expect("writing the key", try_open(b, "keys/tls.key", O_WRONLY), EACCES);
    expect("the spool", try_open(b, "spool/x", O_WRONLY | O_CREAT), 0);
    expect("mail", try_open(b, "mail", O_RDONLY | O_DIRECTORY), EACCES);
    expect("listen", try_listen(b), 0);
}

static void as_spool(const struct bed *b)
{
    nobody_may(b);
    expect("the spool", try_open(b, "spool/x", O_WRONLY | O_CREAT), 0);
    expect("the state", try_open(b, "state/x", O_WRONLY | O_CREAT), 0);
    expect("mail", try_open(b, "mail/x", O_WRONLY | O_CREAT), 0);
    expect("the rules' directory", try_open(b, "rules/x", O_WRONLY | O_CREAT), EACCES);
}

static void as_virus(const struct bed *b)
{
    expect("/etc/passwd", try_open(b, "/etc/passwd", O_RDONLY), EACCES);
    expect("the rules", try_open(b, "/var/lib/gatehouse", O_RDONLY),
           access("/var/lib/gatehouse", F_OK) == 0 ? EACCES : ENOENT);
    expect("a thread", try_thread(), 0);
}

static void networks(const struct bed *b, enum role role)
{
    bool client = role == ROLE_DOOR || role == ROLE_SCAN;
    expect("binding a TCP port", try_bind_tcp(), EACCES);
    expect("the port that settings name", try_connect(b->port), role == ROLE_VIRUS ? EACCES : 0);
    expect("another port", try_connect(b->other_port), client || role == ROLE_VIRUS ? EACCES : 0);
}

static void in_the_cage(const struct bed *b, enum role role, void (*attempts)(const struct bed *))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct confinement has;
        struct err e;
        if (confine(role, b->set, NULL, &has, &e) != 0) {
            fprintf(stderr, "%s\n", e.text);
            _exit(99);
        }
        if (!has.landlock || !has.seccomp)
            _exit(77);
        attempts(b);
        if (has.landlock >= NET_VERSION)
            networks(b, role);
        if (has.landlock >= SCOPE_VERSION)
            expect("a signal to the parent", kill(getppid(), 0) == 0 ? 0 : errno, EPERM);
        _exit(wrong);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void scan_is_confined(void **state)
{
    in_the_cage(*state, ROLE_SCAN, as_scan);
}

static void door_is_confined(void **state)
{
    in_the_cage(*state, ROLE_DOOR, as_door);
}

static void spool_is_confined(void **state)
{
    in_the_cage(*state, ROLE_SPOOL, as_spool);
}

static void virus_is_confined(void **state)
{
    in_the_cage(*state, ROLE_VIRUS, as_virus);
}

static void starting_a_program_is_the_end(void **state)
{
    struct bed *b = *state;
    static const enum role roles[] = {ROLE_DOOR, ROLE_SCAN, ROLE_SPOOL, ROLE_VIRUS};
    for (size_t i = 0; i < 4; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct confinement has;
            struct err e;
            if (confine(roles[i], b->set, NULL, &has, &e) != 0 || !has.seccomp)
                _exit(77);
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
            skip();
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_is_confined),
        cmocka_unit_test(door_is_confined),
        cmocka_unit_test(spool_is_confined),
        cmocka_unit_test(virus_is_confined),
        cmocka_unit_test(starting_a_program_is_the_end),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
