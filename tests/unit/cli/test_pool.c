#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/pool.h"
#include "cli/progress.h"

struct seen {
    size_t n, failed, temporary;
    size_t crash_every;
    bool in_order, texts_right;
};

static void start(void *ctx)
{
    (void)ctx;
    signal(SIGABRT, SIG_DFL);
}

static void work(void *ctx, size_t index, struct pool_result *r, struct buf *out)
{
    const struct seen *s = ctx;
    if (s->crash_every && index % s->crash_every == 3)
        kill(getpid(), SIGKILL);
    if (index % 10 == 9) {
        r->failed = true;
        buf_str(out, "no such file");
        return;
    }
    r->micros = index;
    r->bad = index % 2;
    buf_printf(out, "item %zu ", index);
    if (index % 50 == 0) /* larger than a socket holds */
        for (size_t i = 0; i < 20000; i++)
            buf_str(out, "0123456789abcdef");
}

static void take(void *ctx, size_t index, const struct pool_result *r)
{
    struct seen *s = ctx;
    char text[64];
    s->in_order &= index == s->n++;
    s->failed += r->failed;
    s->temporary += r->temporary;
    if (r->failed)
        return;
    snprintf(text, sizeof text, "item %zu ", index);
    s->texts_right &= span_starts(r->text, span_str(text));
    s->texts_right &= (index % 50 != 0) || r->text.n > 320000;
    s->texts_right &= r->micros == index && r->bad == (index % 2 == 1);
}

static struct seen run(size_t n, unsigned jobs, size_t crash_every)
{
    struct seen s = {.crash_every = crash_every, .in_order = true, .texts_right = true};
    const struct pool_calls calls = {start, work, take, NULL, &s};
    assert_int_equal(pool_run(n, jobs, &calls), 0);
    assert_int_equal(s.n, n);
    assert_true(s.in_order);
    assert_true(s.texts_right);
    return s;
}

static void results_come_in_order(void **state)
{
    (void)state;
    assert_int_equal(run(500, 1, 0).failed, 50);
    assert_int_equal(run(2500, 3, 0).failed, 250);
    run(0, 2, 0);
    run(1, 8, 0);
}

static void a_crash_costs_its_own_message_alone(void **state)
{
    (void)state;
    struct seen s = run(100, 2, 20);
    assert_int_equal(s.temporary, 5);
    assert_int_equal(s.failed, 15);
    s = run(4, 1, 4);
    assert_int_equal(s.temporary, 1);
}

static void the_progress_line_tells_share_rate_and_time_left(void **state)
{
    (void)state;
    char line[160];
    const struct progress p = {.done = 250, .total = 1000, .started = 0};
    progress_line(&p, 2 * USEC_PER_SEC, line, sizeof line);
    assert_string_equal(line, "[#######-----------------------] 250/1000  25%  125/s  0:06 left");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_come_in_order),
        cmocka_unit_test(a_crash_costs_its_own_message_alone),
        cmocka_unit_test(the_progress_line_tells_share_rate_and_time_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
