#include "cli/pool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/xalloc.h"

/* AHEAD: items a worker has in hand, so that it need not wait for the next. WINDOW: items judged or
 * in work beyond the first one that is not; bounds what is kept for the sake of order. */
enum { AHEAD = 32, WINDOW = 1024 };
/* Results are sent together: when there is nothing more to do at once, or so many, that many bytes
 * or that much time has come together. Half of what a worker may have in hand: while the parent
 * takes these and hands out others, the worker works on the rest. */
enum { BATCH_ITEMS = AHEAD / 2, BATCH_BYTES = 32 * 1024, BATCH_MICROS = 20000 };

struct header {
    uint64_t index, micros, length;
    uint8_t failed, bad;
};

struct worker {
    pid_t pid;            /* 0: none */
    _Atomic uint64_t *at; /* the item it is at, in memory that both see */
    int fd;
    size_t hand[AHEAD]; /* items it has, in order */
    unsigned nhand;
    struct buf in;
};

struct slot {
    bool ready;
    struct pool_result r;
    char *text;
};

struct pool {
    const struct pool_calls *calls;
    struct worker *workers;
    unsigned jobs;
    size_t n, next; /* items; the next one to hand out */
    size_t *again;  /* items that a dead worker had in hand behind the one it died of */
    size_t nagain;
    size_t first, done; /* the first item not yet given to take; how many are judged */
    struct slot slots[WINDOW];
};

/* --- in the worker --- */

static bool write_all(int fd, struct span s)
{
    while (s.n) {
        ssize_t w = write(fd, s.p, s.n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        s = span_from(s, (size_t)w);
    }
    return true;
}

/* What a worker was told to do and what it has done and not yet told. */
struct desk {
    int fd;
    size_t todo[AHEAD], next, n; /* items */
    struct buf results;
    unsigned nresults;
    uint64_t micros;
};

static void send_results(struct desk *d)
{
    if (!write_all(d->fd, buf_span(&d->results)))
        _exit(0);
    buf_clear(&d->results);
    d->nresults = 0;
    d->micros = 0;
}

/* The next item: at once, or else after the results were sent. */
static size_t next_item(struct desk *d)
{
    while (d->next == d->n) {
        ssize_t got = recv(d->fd, d->todo, sizeof d->todo, d->nresults ? MSG_DONTWAIT : 0);
        size_t part = got > 0 ? (size_t)got % sizeof *d->todo : 0;
        if (part && recv(d->fd, (char *)d->todo + got, sizeof *d->todo - part, MSG_WAITALL) <= 0)
            _exit(0);
        bool later = got < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK);
        if (got <= 0 && !later)
            _exit(0);
        if (later)
            send_results(d);
        d->next = 0;
        d->n = later ? 0 : ((size_t)got + sizeof *d->todo - 1) / sizeof *d->todo;
    }
    return d->todo[d->next++];
}

static void add_result(struct desk *d, size_t index, const struct pool_result *r, struct span text)
{
    const struct header h = {
        .index = index, .micros = r->micros, .failed = r->failed, .bad = r->bad, .length = text.n};
    buf_add(&d->results, span_of((const char *)&h, sizeof h));
    buf_add(&d->results, text);
    d->micros += r->micros;
    d->nresults++;
}

static _Noreturn void worker_main(const struct pool_calls *calls, int fd, _Atomic uint64_t *at)
{
    const struct rlimit none = {0, 0};
    struct buf out = {0};
    struct desk d = {.fd = fd};
    setrlimit(RLIMIT_CORE, &none);
    calls->start(calls->ctx);
    for (;;) {
        size_t index = next_item(&d);
        *at = index;
        struct pool_result r = {0};
        buf_clear(&out);
        calls->work(calls->ctx, index, &r, &out);
        add_result(&d, index, &r, buf_span(&out));
        if (d.nresults >= BATCH_ITEMS || d.results.n >= BATCH_BYTES || d.micros >= BATCH_MICROS)
            send_results(&d);
    }
}

/* --- in the parent --- */

static int start_worker(struct pool *p, struct worker *w)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        close(pair[0]);
        close(pair[1]);
        return -1;
    }
    if (pid == 0) {
        for (unsigned i = 0; i < p->jobs; i++)
            if (p->workers[i].pid)
                close(p->workers[i].fd);
        close(pair[0]);
        worker_main(p->calls, pair[1], w->at);
    }
    close(pair[1]);
    w->pid = pid;
    w->fd = pair[0];
    w->nhand = 0;
    buf_clear(&w->in);
    return 0;
}

/* Fewer towards the end, so that all have something to do until then. */
static void give(struct pool *p, struct worker *w)
{
    size_t share = (p->n - p->next) / (2 * p->jobs) + 1;
    unsigned had = w->nhand;
    while (w->nhand < AHEAD && w->nhand < share) {
        size_t index;
        if (p->nagain)
            index = p->again[--p->nagain];
        else if (p->next < p->n && p->next < p->first + WINDOW)
            index = p->next++;
        else
            break;
        w->hand[w->nhand++] = index;
    }
    if (w->nhand == had)
        return;
    /* A worker that has just died is seen when its socket is read. */
    ssize_t sent = send(w->fd, w->hand + had, (w->nhand - had) * sizeof *w->hand, MSG_NOSIGNAL);
    (void)sent;
}

/* Gives finished items on, as far as they are complete in order. */
static void flush_ready(struct pool *p)
{
    while (p->first < p->n) {
        struct slot *s = &p->slots[p->first % WINDOW];
        if (!s->ready)
            return;
        p->calls->take(p->calls->ctx, p->first, &s->r);
        free(s->text);
        *s = (struct slot){0};
        p->first++;
    }
}

static void finished(struct pool *p, struct worker *w, const struct pool_result *r)
{
    size_t index = w->hand[0];
    struct slot *s = &p->slots[index % WINDOW];
    memmove(w->hand, w->hand + 1, --w->nhand * sizeof *w->hand);
    s->text = xmalloc(r->text.n + 1);
    if (r->text.n)
        memcpy(s->text, r->text.p, r->text.n);
    s->r = *r;
    s->r.text = span_of(s->text, r->text.n);
    s->ready = true;
    p->done++;
    flush_ready(p);
}

/* Takes whole results out of what has been read. */
static void take_results(struct pool *p, struct worker *w)
{
    struct header h;
    while (w->nhand && w->in.n >= sizeof h) {
        memcpy(&h, w->in.p, sizeof h);
        if (w->in.n - sizeof h < h.length)
            return;
        const struct pool_result r = {
            .failed = h.failed,
            .bad = h.bad,
            .micros = h.micros,
            .text = span_of(w->in.p + sizeof h, h.length),
        };
        finished(p, w, &r);
        buf_drop(&w->in, sizeof h + h.length);
    }
}

/* The item it was at becomes the first it has in hand. */
static void culprit_first(struct worker *w)
{
    for (unsigned i = 1; i < w->nhand; i++)
        if (w->hand[i] == *w->at) {
            w->hand[i] = w->hand[0];
            w->hand[0] = *w->at;
        }
}

/* The item it was at is the culprit; the others are given to others. */
static void bury(struct pool *p, struct worker *w)
{
    int status = 0;
    char why[128];
    close(w->fd);
    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR)
        ;
    w->pid = 0;
    if (w->nhand == 0)
        return;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(why, sizeof why, "judging it took longer than limits.scan_time");
    else if (WIFSIGNALED(status))
        snprintf(why, sizeof why, "its scanner was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(why, sizeof why, "its scanner ended with status %d", WEXITSTATUS(status));
    culprit_first(w);
    const struct pool_result r = {.failed = true, .temporary = true, .text = span_str(why)};
    finished(p, w, &r);
    while (w->nhand)
        p->again[p->nagain++] = w->hand[--w->nhand];
}

static void on_readable(struct pool *p, struct worker *w)
{
    enum { CHUNK = 65536 };
    ssize_t n = recv(w->fd, buf_room(&w->in, CHUNK), CHUNK, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        bury(p, w);
        return;
    }
    w->in.n += (size_t)n;
    take_results(p, w);
}

/* Starts missing workers while there is work for them. -1: none runs and none can be started. */
static int keep_working(struct pool *p)
{
    unsigned running = 0;
    for (unsigned i = 0; i < p->jobs; i++) {
        struct worker *w = &p->workers[i];
        if (!w->pid && (p->nagain || p->next < p->n) && start_worker(p, w) != 0 &&
            i + 1 == p->jobs && running == 0)
            return -1;
        running += w->pid != 0;
        if (w->pid)
            give(p, w);
    }
    return 0;
}

static int wait_for_results(struct pool *p)
{
    struct pollfd fds[POOL_JOBS_MAX];
    nfds_t n = 0;
    for (unsigned i = 0; i < p->jobs; i++)
        fds[n++] =
            (struct pollfd){.fd = p->workers[i].pid ? p->workers[i].fd : -1, .events = POLLIN};
    if (poll(fds, n, 1000) < 0 && errno != EINTR)
        return -1;
    for (unsigned i = 0; i < p->jobs; i++)
        if (p->workers[i].pid && fds[i].revents)
            on_readable(p, &p->workers[i]);
    return 0;
}

int pool_run(size_t n, unsigned jobs, const struct pool_calls *calls)
{
    if (jobs > POOL_JOBS_MAX)
        jobs = POOL_JOBS_MAX;
    if (jobs > n)
        jobs = n ? (unsigned)n : 1;
    struct pool *p = xcalloc(1, sizeof *p);
    *p = (struct pool){.calls = calls, .jobs = jobs, .n = n};
    p->workers = xcalloc(jobs, sizeof *p->workers);
    p->again = xcalloc((size_t)jobs * AHEAD + 1, sizeof *p->again);
    size_t shared = jobs * sizeof *p->workers->at;
    void *at = mmap(NULL, shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int result = at == MAP_FAILED ? -1 : 0;
    for (unsigned i = 0; result == 0 && i < jobs; i++)
        p->workers[i].at = (_Atomic uint64_t *)at + i;
    while (result == 0 && p->first < n) {
        result = keep_working(p);
        if (result == 0)
            result = wait_for_results(p);
        if (calls->tick)
            calls->tick(calls->ctx, p->done);
    }
    for (unsigned i = 0; i < jobs; i++) {
        if (p->workers[i].pid)
            bury(p, &p->workers[i]);
        buf_free(&p->workers[i].in);
    }
    if (at != MAP_FAILED)
        munmap(at, shared);
    free(p->workers);
    free(p->again);
    free(p);
    return result;
}
