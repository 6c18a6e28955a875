/* libunbound's events on the loop: it runs inside the process, without threads and pipes. Handles
 * are made when an event is added and closed when it is deleted; they keep no loop alive, open
 * questions do that by their timers. */
#include <stdlib.h>
#include <sys/time.h>

#include "base/xalloc.h"
#include "dns/dns_private.h"

struct event {
    struct ub_event ub; /* first: what libunbound sees */
    uv_loop_t *loop;
    int fd;
    short bits;
    void (*call)(int fd, short bits, void *arg);
    void *arg;
    uv_poll_t *poll;   /* NULL: not watched */
    uv_timer_t *timer; /* NULL: no time-out */
    uint64_t timeout;  /* milliseconds */
};

static void on_closed(uv_handle_t *h)
{
    free(h);
}

static void unwatch(struct event *e)
{
    if (e->poll)
        uv_close((uv_handle_t *)e->poll, on_closed);
    if (e->timer)
        uv_close((uv_handle_t *)e->timer, on_closed);
    e->poll = NULL;
    e->timer = NULL;
}

/* An event that does not persist is deleted before it is told of. The call may free it. */
static void fire(struct event *e, short bits)
{
    if (!(e->bits & UB_EV_PERSIST))
        unwatch(e);
    else if (e->timer)
        uv_timer_again(e->timer);
    e->call(e->fd, bits, e->arg);
}

static void on_ready(uv_poll_t *p, int status, int events)
{
    struct event *e = p->data;
    short bits = 0;
    if (status < 0 || (events & (UV_READABLE | UV_DISCONNECT)))
        bits |= UB_EV_READ;
    if (status < 0 || (events & UV_WRITABLE))
        bits |= UB_EV_WRITE;
    bits &= e->bits;
    if (bits)
        fire(e, bits);
}

static void on_timeout(uv_timer_t *t)
{
    fire(t->data, UB_EV_TIMEOUT);
}

static int watch(struct event *e)
{
    int events =
        (e->bits & UB_EV_READ ? UV_READABLE : 0) | (e->bits & UB_EV_WRITE ? UV_WRITABLE : 0);
    if (e->fd < 0 || !events)
        return 0;
    uv_poll_t *p = xcalloc(1, sizeof *p);
    if (uv_poll_init(e->loop, p, e->fd) != 0) {
        free(p);
        return -1;
    }
    e->poll = p;
    p->data = e;
    uv_unref((uv_handle_t *)p);
    return uv_poll_start(p, events, on_ready);
}

static void start_timer(struct event *e, const struct timeval *in)
{
    e->timeout = (uint64_t)in->tv_sec * 1000 + ((uint64_t)in->tv_usec + 999) / 1000;
    e->timer = xcalloc(1, sizeof *e->timer);
    uv_timer_init(e->loop, e->timer);
    e->timer->data = e;
    uv_unref((uv_handle_t *)e->timer);
    uv_timer_start(e->timer, on_timeout, e->timeout, e->timeout ? e->timeout : 1);
}

/* --- what libunbound calls --- */

static struct event *of(struct ub_event *ev)
{
    return (struct event *)ev;
}

static void add_bits(struct ub_event *ev, short bits)
{
    of(ev)->bits = (short)(of(ev)->bits | bits);
}

static void del_bits(struct ub_event *ev, short bits)
{
    of(ev)->bits = (short)(of(ev)->bits & ~bits);
}

static void set_fd(struct ub_event *ev, int fd)
{
    of(ev)->fd = fd;
}

static void free_event(struct ub_event *ev)
{
    unwatch(of(ev));
    free(ev);
}

static int add(struct ub_event *ev, struct timeval *in)
{
    struct event *e = of(ev);
    unwatch(e);
    if (in)
        start_timer(e, in);
    return watch(e);
}

static int del(struct ub_event *ev)
{
    unwatch(of(ev));
    return 0;
}

static int add_timer(struct ub_event *ev, struct ub_event_base *base,
                     void (*call)(int, short, void *), void *arg, struct timeval *in)
{
    struct event *e = of(ev);
    (void)base;
    unwatch(e);
    e->call = call;
    e->arg = arg;
    e->bits = UB_EV_TIMEOUT;
    start_timer(e, in);
    return 0;
}

static int no_signal(struct ub_event *ev, struct timeval *in)
{
    (void)ev, (void)in;
    return -1;
}

static int no_signal_del(struct ub_event *ev)
{
    (void)ev;
    return -1;
}

static void no_wsaevent(struct ub_event *ev)
{
    (void)ev;
}

static void no_wouldblock(struct ub_event *ev, int bits)
{
    (void)ev, (void)bits;
}

static struct ub_event *new_event(struct ub_event_base *base, int fd, short bits,
                                  void (*call)(int, short, void *), void *arg)
{
    static struct ub_event_vmt table = {
        .add_bits = add_bits,
        .del_bits = del_bits,
        .set_fd = set_fd,
        .free = free_event,
        .add = add,
        .del = del,
        .add_timer = add_timer,
        .del_timer = del,
        .add_signal = no_signal,
        .del_signal = no_signal_del,
        .winsock_unregister_wsaevent = no_wsaevent,
        .winsock_tcp_wouldblock = no_wouldblock,
    };
    struct event *e = xcalloc(1, sizeof *e);
    *e = (struct event){.ub = {.magic = UB_EVENT_MAGIC, .vmt = &table},
                        .loop = ((struct dns_events *)base)->loop,
                        .fd = fd,
                        .bits = bits,
                        .call = call,
                        .arg = arg};
    return &e->ub;
}

static void no_free(struct ub_event_base *base)
{
    (void)base;
}

static int no_dispatch(struct ub_event_base *base)
{
    (void)base;
    return -1;
}

static int no_exit(struct ub_event_base *base, struct timeval *in)
{
    (void)base, (void)in;
    return -1;
}

static struct ub_event *no_new_signal(struct ub_event_base *base, int fd,
                                      void (*call)(int, short, void *), void *arg)
{
    (void)base, (void)fd, (void)call, (void)arg;
    return NULL;
}

static struct ub_event *no_new_wsaevent(struct ub_event_base *base, void *what,
                                        void (*call)(int, short, void *), void *arg)
{
    (void)base, (void)what, (void)call, (void)arg;
    return NULL;
}

void dns_events_init(struct dns_events *e, uv_loop_t *loop)
{
    static struct ub_event_base_vmt table = {
        .free = no_free,
        .dispatch = no_dispatch,
        .loopexit = no_exit,
        .new_event = new_event,
        .new_signal = no_new_signal,
        .winsock_register_wsaevent = no_new_wsaevent,
    };
    *e = (struct dns_events){.base = {.magic = UB_EVENT_MAGIC, .vmt = &table}, .loop = loop};
}
