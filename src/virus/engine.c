/* The process of the embedded engine.
 *
 * The main thread runs a loop: accepts, listens to the supervisor, looks whether the signatures
 * have changed. Each connection is served by a thread of its own (libclamav blocks); how many scan
 * at a time is bounded, the others wait for their turn. Loading takes a thread too, so that PING is
 * answered.
 *
 * New signatures are loaded beside the old ones when the machine has room for a second copy (the
 * process's size plus a quarter, of what is available); scans in work keep the set they began with.
 * Without room, the old set is given back first, and scans wait until the new one is there: late is
 * better than swapping, and a scan that waits too long gets the outcome declared for it. */
#include "virus/engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "ipc/link.h"
#include "virus/engine_private.h"

enum { CHECK_EVERY_MS = 30 * 1000, CONNECTIONS_MAX = 200, THREAD_STACK = 8 * 1024 * 1024 };

struct process {
    struct engine g;
    uv_loop_t loop;
    uv_poll_t accept, wake;
    uv_timer_t check;
    struct link *control;
    int listen_fd;
    struct cl_stat seen; /* of the database directory when it was loaded */
    bool have_seen, loading, loaded, failed, stopped;
    pthread_t loader;
};

/* --- the set in force --- */

struct signatures *engine_take(struct engine *g)
{
    struct signatures *s = NULL;
    pthread_mutex_lock(&g->lock);
    while (!g->stopping && (!g->now || g->scanning >= g->scans_max))
        pthread_cond_wait(&g->changed, &g->lock);
    if (!g->stopping) {
        s = g->now;
        s->users++;
        g->scanning++;
    }
    pthread_mutex_unlock(&g->lock);
    return s;
}

static void release(struct engine *g, struct signatures *s)
{
    bool last = --s->users == 0;
    pthread_cond_broadcast(&g->changed);
    if (!last)
        return;
    pthread_mutex_unlock(&g->lock); /* freeing a million signatures takes its time */
    signatures_free(&g->clam, s);
    pthread_mutex_lock(&g->lock);
}

void engine_give(struct engine *g, struct signatures *s)
{
    pthread_mutex_lock(&g->lock);
    g->scanning--;
    release(g, s);
    pthread_mutex_unlock(&g->lock);
}

/* --- loading --- */

static uint64_t kilobytes_of(const char *file, const char *key)
{
    char line[256];
    uint64_t kb = 0;
    FILE *f = fopen(file, "re");
    while (f && fgets(line, sizeof line, f)) {
        struct span rest = span_str(line);
        if (span_starts(rest, span_str(key))) {
            rest = span_from(rest, strlen(key));
            span_u64(span_word(&rest, " \t\n"), &kb);
        }
    }
    if (f)
        fclose(f);
    return kb;
}

static bool room_for_two(void)
{
    uint64_t own = kilobytes_of("/proc/self/status", "VmRSS:");
    return kilobytes_of("/proc/meminfo", "MemAvailable:") > own + own / 4;
}

static void give_up_old(struct engine *g)
{
    pthread_mutex_lock(&g->lock);
    struct signatures *old = g->now;
    g->now = NULL;
    if (old)
        release(g, old);
    while (g->scanning > 0 && !g->stopping)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void *load(void *arg)
{
    struct process *p = arg;
    struct engine *g = &p->g;
    struct err e;
    usec start = clock_mono();
    if (g->now && !room_for_two()) {
        log_event(LOG_WARN, NULL, "virus-reload",
                  F_STR("why", "no memory for two sets of signatures, scans wait meanwhile"));
        give_up_old(g);
    }
    struct signatures *fresh = signatures_load(&g->clam, g->set, &e);
    if (fresh)
        log_event(LOG_NOTE, NULL, "virus-signatures", F_INT("signatures", fresh->count),
                  F_INT("daily", fresh->version), F_INT("ms", (clock_mono() - start) / 1000));
    else
        log_event(LOG_FAULT, NULL, "virus-signatures", F_STR("why", e.text));
    pthread_mutex_lock(&g->lock);
    p->failed = !fresh && !g->now;
    if (fresh) {
        struct signatures *old = g->now;
        fresh->users = 1;
        g->now = fresh;
        if (old)
            release(g, old);
    }
    p->loaded = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
    uint64_t one = 1;
    if (write(g->wake, &one, sizeof one) < 0)
        log_event(LOG_FAULT, NULL, "virus-wake", F_STR("why", strerror(errno)));
    return NULL;
}

static int thread(pthread_t *t, void *(*run)(void *), void *arg, bool detached)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    if (detached)
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int code = pthread_create(t, &attr, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return code;
}

static void start_loading(struct process *p)
{
    if (p->loading || p->g.stopping)
        return;
    if (p->have_seen)
        p->g.clam.statfree(&p->seen);
    memset(&p->seen, 0, sizeof p->seen);
    p->have_seen = p->g.clam.statinidir(p->g.set->database, &p->seen) == CL_SUCCESS;
    p->loading = thread(&p->loader, load, p, false) == 0;
}

/* --- connections --- */

struct visitor {
    struct engine *g;
    int sock;
};

static void *serve(void *arg)
{
    struct visitor v = *(struct visitor *)arg;
    free(arg);
    engine_session(v.g, v.sock);
    pthread_mutex_lock(&v.g->lock);
    v.g->connections--;
    pthread_cond_broadcast(&v.g->changed);
    pthread_mutex_unlock(&v.g->lock);
    return NULL;
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
    struct process *p = poll->data;
    struct engine *g = &p->g;
    (void)events;
    int sock = status < 0 ? -1 : accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (sock < 0)
        return;
    pthread_mutex_lock(&g->lock);
    bool room = g->connections < CONNECTIONS_MAX;
    g->connections += room;
    pthread_mutex_unlock(&g->lock);
    struct visitor *v = xmalloc(sizeof *v);
    *v = (struct visitor){g, sock};
    pthread_t t;
    if (room && thread(&t, serve, v, true) == 0)
        return;
    pthread_mutex_lock(&g->lock);
    g->connections -= room;
    pthread_mutex_unlock(&g->lock);
    free(v);
    close(sock);
}

/* --- the loop --- */

static void stop(struct process *p)
{
    if (p->stopped)
        return;
    p->stopped = true;
    uv_poll_stop(&p->accept);
    if (p->control)
        link_close(p->control);
    p->control = NULL;
    uv_stop(&p->loop);
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    struct process *p = poll->data;
    uint64_t count;
    (void)status, (void)events;
    if (read(p->g.wake, &count, sizeof count) < 0)
        return;
    pthread_mutex_lock(&p->g.lock);
    bool reload = p->g.reload, loaded = p->loaded, failed = p->failed;
    p->g.reload = false;
    p->loaded = false;
    pthread_mutex_unlock(&p->g.lock);
    if (loaded) {
        pthread_join(p->loader, NULL);
        p->loading = false;
        if (failed) {
            stop(p); /* nothing to serve with: the supervisor tries again later */
            return;
        }
        if (p->control)
            link_send(p->control, FRAME_READY, 0, SPAN(""), -1);
    }
    if (reload)
        start_loading(p);
}

static void on_check(uv_timer_t *timer)
{
    struct process *p = timer->data;
    if (!p->loading && (!p->have_seen || p->g.clam.statchkdir(&p->seen) == 1))
        start_loading(p);
}

static void on_frame(void *ctx, struct link *l, enum frame_type type, uint64_t tag,
                     struct span payload, int fd)
{
    struct process *p = ctx;
    (void)l, (void)tag, (void)payload;
    if (fd >= 0)
        close(fd);
    if (type == FRAME_REOPEN_LOG)
        log_reopen();
    else if (type == FRAME_DRAIN)
        stop(p);
}

static void on_closed(void *ctx, struct link *l)
{
    struct process *p = ctx;
    (void)l;
    p->control = NULL;
    stop(p);
}

static const struct link_events control_events = {on_frame, on_closed, NULL};

static int start(struct process *p, int listen_fd, int control_fd, struct err *e)
{
    struct engine *g = &p->g;
    if (clam_open(&g->clam, e))
        return -1;
    cl_error_t code = g->clam.init(CL_INIT_DEFAULT);
    if (code != CL_SUCCESS)
        return err_set(e, "libclamav: %s", g->clam.error_text(code));
    g->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (g->wake < 0)
        return err_sys(e, "eventfd");
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    g->scans_max = cores < 1 ? 1 : cores > 8 ? 8 : (int)cores;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    uv_loop_init(&p->loop);
    fcntl(listen_fd, F_SETFL, fcntl(listen_fd, F_GETFL) | O_NONBLOCK);
    uv_poll_init(&p->loop, &p->accept, listen_fd);
    uv_poll_init(&p->loop, &p->wake, g->wake);
    uv_timer_init(&p->loop, &p->check);
    p->accept.data = p->wake.data = p->check.data = p;
    uv_poll_start(&p->accept, UV_READABLE, on_accept);
    uv_poll_start(&p->wake, UV_READABLE, on_wake);
    uv_timer_start(&p->check, on_check, CHECK_EVERY_MS, CHECK_EVERY_MS);
    p->control = link_open(&p->loop, control_fd, ROLE_VIRUS, ROLE_SUPERVISOR, &control_events, p);
    return 0;
}

/* Scans in work may finish; what waits for its turn is sent away, and asks another engine. */
static void wind_down(struct process *p)
{
    struct engine *g = &p->g;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += (time_t)(g->set->scan_timeout / USEC_PER_SEC) + 1;
    pthread_mutex_lock(&g->lock);
    g->stopping = true;
    pthread_cond_broadcast(&g->changed);
    while (g->scanning > 0 && pthread_cond_timedwait(&g->changed, &g->lock, &t) == 0)
        continue;
    pthread_mutex_unlock(&g->lock);
}

int virus_engine_main(const struct settings *set, int listen_fd, int control_fd)
{
    struct process *p = xcalloc(1, sizeof *p);
    struct err e;
    p->g.set = &set->virus;
    p->listen_fd = listen_fd;
    if (start(p, listen_fd, control_fd, &e)) {
        log_event(LOG_FAULT, NULL, "virus-engine", F_STR("why", e.text));
        return EXIT_TEMPFAIL;
    }
    start_loading(p);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    wind_down(p);
    bool failed = p->failed;
    /* Threads may still sit in libclamav; the end of the process takes them along. */
    _exit(failed ? EXIT_TEMPFAIL : EXIT_OK);
}

static bool has_signatures(const char *directory)
{
    static const char *const suffixes[] = {".cvd", ".cld", ".cud", ".ndb", ".hdb", ".hsb", ".ldb",
                                           ".mdb", ".msb", ".cdb", ".fp",  ".yar", ".yara"};
    DIR *d = opendir(directory);
    bool found = false;
    for (struct dirent *f; d && !found && (f = readdir(d)) != NULL;)
        for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
            found |= f->d_name[0] != '.' && span_ends(span_str(f->d_name), span_str(suffixes[i]));
    if (d)
        closedir(d);
    return found;
}

bool virus_engine_possible(const struct virus_settings *s, struct err *why)
{
    struct clam c;
    if (!s->database || !has_signatures(s->database)) {
        err_set(why, "%s holds no signatures", s->database ? s->database : "virus.database");
        return false;
    }
    if (clam_open(&c, why))
        return false;
    clam_close(&c);
    return true;
}
