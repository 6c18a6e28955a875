/* libunbound's events on the loop: it runs inside the process, without threads and pipes. Each
 * question has a socket of its own, which lives for one datagram each way: these are watched by an
 * epoll of ours, and the loop watches that, so that a socket costs two calls and no handle. Nothing
 * here keeps the loop alive, open questions do that by their timers. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "dns/dns_private.h"

struct event {
    struct ub_event ub; /* first: what libunbound sees */
    struct dns_events *all;
    int fd;
    short bits;
    bool watched;
    void (*call)(int fd, short bits, void *arg);
    void *arg;
    uv_timer_t *timer; /* NULL: no time-out */
    uint64_t timeout;  /* milliseconds */
};

static void on_closed(uv_handle_t *h)
{
    free(h);
}

static void unwatch(struct event *e)
{
    struct dns_events *all = e->all;
    if (e->watched)
        epoll_ctl(all->epoll, EPOLL_CTL_DEL, e->fd, NULL);
    for (int i = 0; e->watched && i < all->nready; i++) /* what is ready may wait to be told */
        if (all->ready[i].data.ptr == e)
            all->ready[i].data.ptr = NULL;
    if (e->timer)
        uv_close((uv_handle_t *)e->timer, on_closed);
    e->watched = false;
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

static void tell(struct event *e, uint32_t ready)
{
    short bits = 0;
    if (ready & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        bits |= UB_EV_READ;
    if (ready & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        bits |= UB_EV_WRITE;
    bits &= e->bits;
    if (bits)
        fire(e, bits);
}

static void tell_ready(struct dns_events *all)
{
    int n = epoll_wait(all->epoll, all->ready, DNS_EVENTS_READY, 0);
    all->nready = n > 0 ? n : 0;
    for (int i = 0; i < all->nready; i++)
        if (all->ready[i].data.ptr)
            tell(all->ready[i].data.ptr, all->ready[i].events);
    all->nready = 0;
}

static void on_ready(uv_poll_t *p, int status, int events)
{
    (void)status, (void)events;
    tell_ready(p->data);
}

/* The loop looks at timers before sockets. After a long step (a message that was judged) an answer
 * may have come in time that was not read yet: it is, before anybody is said to be late. */
static void on_timeout(uv_timer_t *t)
{
    struct event *e = t->data;
    tell_ready(e->all);
    if (!uv_is_closing((const uv_handle_t *)t))
        fire(e, UB_EV_TIMEOUT);
}

static int watch(struct event *e)
{
    struct epoll_event want = {.data.ptr = e};
    want.events = (e->bits & UB_EV_READ ? EPOLLIN : 0u) | (e->bits & UB_EV_WRITE ? EPOLLOUT : 0u);
    if (e->fd < 0 || !want.events)
        return 0;
    e->watched = epoll_ctl(e->all->epoll, EPOLL_CTL_ADD, e->fd, &want) == 0;
    return e->watched ? 0 : -1;
}

static void start_timer(struct event *e, const struct timeval *in)
{
    e->timeout = (uint64_t)in->tv_sec * 1000 + ((uint64_t)in->tv_usec + 999) / 1000;
    e->timer = xcalloc(1, sizeof *e->timer);
    uv_timer_init(e->all->loop, e->timer);
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
                        .all = (struct dns_events *)base,
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

bool dns_events_init(struct dns_events *e, uv_loop_t *loop)
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
    e->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (e->epoll < 0 || uv_poll_init(loop, &e->poll, e->epoll) != 0)
        return false;
    e->poll.data = e;
    uv_poll_start(&e->poll, UV_READABLE, on_ready);
    uv_unref((uv_handle_t *)&e->poll);
    return true;
}

void dns_events_end(struct dns_events *e)
{
    close(e->epoll);
}
