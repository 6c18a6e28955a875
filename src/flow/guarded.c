#include "flow/guarded.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

static void give_up(void *ctx)
{
    longjmp(*(jmp_buf *)ctx, 1);
}

/* The alarm is set once for many steps: a step only tells when it is due, and an alarm that comes
 * before that is set anew for the rest. A process has one such timer, and its handler no other way
 * to know. */
static _Atomic usec due;       /* of the step under way; 0: none */
static _Atomic usec set_until; /* when the alarm that is set comes; 0: none is */

static void set_alarm(usec at, usec now)
{
    usec in = at > now ? at - now : 1;
    struct itimerval t = {.it_value = {in / USEC_PER_SEC, in % USEC_PER_SEC}};
    set_until = at;
    setitimer(ITIMER_REAL, &t, NULL);
}

/* The second alarm, after the action was made the default one, ends the process. */
static void on_alarm(int sig)
{
    usec at = due, now = clock_mono();
    set_until = 0;
    if (at && at <= now)
        signal(sig, SIG_DFL);
    if (at)
        set_alarm(at, now);
}

/* A child has no timer of its parent's. */
static void in_child(void)
{
    due = set_until = 0;
}

static void start_clock(usec time)
{
    static bool handled;
    usec now = clock_mono(), until;
    if (!handled) {
        struct sigaction act = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
        sigemptyset(&act.sa_mask);
        sigaction(SIGALRM, &act, NULL);
        pthread_atfork(NULL, NULL, in_child);
        handled = true;
    }
    due = now + time;
    until = set_until;
    if (!until || until > due)
        set_alarm(due, now);
}

static bool within_memory(struct message *m, void (*fn)(void *ctx), void *ctx)
{
    jmp_buf out;
    arena_on_exhausted(m->arena, give_up, &out);
    if (setjmp(out) != 0)
        return false;
    fn(ctx);
    return true;
}

bool guarded(struct message *m, usec time, void (*fn)(void *ctx), void *ctx)
{
    if (time)
        start_clock(time);
    bool finished = within_memory(m, fn, ctx);
    if (time)
        due = 0;
    arena_on_exhausted(m->arena, NULL, NULL);
    return finished;
}
