#include "flow/guarded.h"

#include <setjmp.h>
#include <sys/time.h>

static void give_up(void *ctx)
{
    longjmp(*(jmp_buf *)ctx, 1);
}

static void set_alarm(usec in)
{
    struct itimerval t = {.it_value = {in / USEC_PER_SEC, in % USEC_PER_SEC}};
    setitimer(ITIMER_REAL, &t, NULL);
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
        set_alarm(time);
    bool finished = within_memory(m, fn, ctx);
    if (time)
        set_alarm(0);
    arena_on_exhausted(m->arena, NULL, NULL);
    return finished;
}
