/* Steps of work that are given up when memory or time runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "flow/guarded.h"

enum { MILLISECOND = 1000, LONG = 600 * 1000 * MILLISECOND };

static void busy(void *ctx)
{
    for (usec until = clock_mono() + *(usec *)ctx; clock_mono() < until;)
        ;
}

/* Steps one after the other in a process of their own: how long each works and how long it may. */
struct steps {
    usec works, may;
};

static int status_of(const struct steps *v, size_t n)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct message *m = message_new(0);
        for (size_t i = 0; i < n; i++) {
            usec works = v[i].works;
            if (!guarded(m, v[i].may, busy, &works))
                _exit(1);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void a_step_that_hangs_ends_the_process(void **state)
{
    (void)state;
    static const struct steps hangs[] = {{LONG, 20 * MILLISECOND}};
    /* whatever alarm is set already: a later one, an earlier one, one that came between steps */
    static const struct steps later[] = {{0, LONG}, {LONG, 20 * MILLISECOND}};
    static const struct steps earlier[] = {{0, 20 * MILLISECOND}, {LONG, 60 * MILLISECOND}};
    static const struct steps between[] = {
        {0, 20 * MILLISECOND}, {60 * MILLISECOND, 0}, {LONG, 20 * MILLISECOND}};
    const struct {
        const struct steps *v;
        size_t n;
    } all[] = {{hangs, 1}, {later, 2}, {earlier, 2}, {between, 3}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int status = status_of(all[i].v, all[i].n);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGALRM);
    }
}

/* The time of a step is its own: many short ones, and one that may be long behind a short one. */
static void steps_in_time_are_left_alone(void **state)
{
    (void)state;
    struct steps v[60];
    for (size_t i = 0; i < 60; i++)
        v[i] = (struct steps){i % 4 ? 0 : 3 * MILLISECOND, i == 30 ? LONG : 60000 * MILLISECOND};
    int status = status_of(v, 60);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    static const struct steps behind[] = {{0, 50 * MILLISECOND}, {150 * MILLISECOND, LONG}};
    assert_true(WIFEXITED(status_of(behind, 2)));
}

/* Whatever alarm its parent has set. */
static void a_child_has_an_alarm_of_its_own(void **state)
{
    (void)state;
    static const struct steps hangs[] = {{LONG, 20 * MILLISECOND}};
    struct message *m = message_new(0);
    usec works = 0;
    assert_true(guarded(m, 10 * MILLISECOND, busy, &works)); /* earlier than the child's */
    int status = status_of(hangs, 1);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
    message_free(m);
}

static void devour(void *ctx)
{
    struct message *m = ctx;
    for (;;)
        arena_alloc(m->arena, 4096);
}

static void a_step_without_memory_is_left(void **state)
{
    (void)state;
    struct message *m = message_new(1024 * 1024);
    usec works = 0;
    assert_false(guarded(m, LONG, devour, m));
    message_reset(m);
    assert_true(guarded(m, LONG, busy, &works));
    message_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_that_hangs_ends_the_process),
        cmocka_unit_test(steps_in_time_are_left_alone),
        cmocka_unit_test(a_child_has_an_alarm_of_its_own),
        cmocka_unit_test(a_step_without_memory_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
