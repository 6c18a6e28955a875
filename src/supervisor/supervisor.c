#include "supervisor/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "ipc/link.h"
#include "rules/ruleset.h"
#include "supervisor/child.h"
#include "virus/engine.h"

enum { CHILDREN_MAX = 256, POLL_INTERVAL_MS = 1000 };

/* Grace after FRAME_DRAIN before SIGKILL. A door may keep its sessions longer at a reload than at
 * the end, where people wait. */
static const usec stop_grace = 20 * USEC_PER_SEC;
/* A process that dies at once is started again after a pause that doubles up to this. */
static const usec longest_pause = 30 * USEC_PER_SEC;

struct supervisor {
    struct generation now;
    const char *config;
    void (*on_ready)(const struct settings *set);
    unsigned generation;
    struct child children[CHILDREN_MAX];
    size_t n;
    pid_t compiler;
    bool compiled, ready_told, stopping;
    bool load_next; /* the rules, as soon as doors and spools have been started */
    int signals;
    usec pause[8], not_before[8]; /* restarts, by role_index */
};

static size_t role_index(enum role r)
{
    return (size_t)__builtin_ctz((unsigned)r);
}

static size_t scanners_wanted(const struct settings *set)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return set->processes.scanners ? set->processes.scanners : cores > 0 ? (size_t)cores : 1;
}

/* --- starting and connecting --- */

static bool talk(enum role a, enum role b)
{
    unsigned both = a | b;
    return both == (ROLE_DOOR | ROLE_SCAN) || both == (ROLE_DOOR | ROLE_SPOOL) ||
           both == (ROLE_SPOOL | ROLE_SCAN);
}

static void connect_all(struct supervisor *s, const struct child *fresh)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct child *other = &s->children[i];
        bool leaving = other->state == CHILD_DRAINING && other->role != ROLE_DOOR;
        if (other != fresh && talk(other->role, fresh->role) && !leaving)
            child_connect(other, fresh);
    }
}

static void start(struct supervisor *s, enum role role)
{
    if (s->n == CHILDREN_MAX)
        return;
    struct child *c = &s->children[s->n];
    if (child_start(c, role, &s->now) != 0) {
        log_event(LOG_FAULT, NULL, "start-failed", F_STR("role", role_name(role)),
                  F_STR("why", strerror(errno)));
        return;
    }
    c->generation = s->generation;
    s->n++;
    connect_all(s, c);
}

/* How many of a role serve (of this generation, not draining). */
static size_t serving(const struct supervisor *s, enum role role)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->children[i].role == role && s->children[i].state < CHILD_RETIRED &&
             s->children[i].generation == s->generation;
    return n;
}

static bool any(const struct supervisor *s, enum role role)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->children[i].role == role)
            return true;
    return false;
}

static size_t wanted(const struct supervisor *s, enum role role)
{
    switch (role) {
    case ROLE_DOOR:
        return 1;
    case ROLE_SPOOL: /* one owner of the queue: the next starts when the last has ended */
        return serving(s, ROLE_SPOOL) || !any(s, ROLE_SPOOL);
    case ROLE_SCAN:
        return s->compiled ? scanners_wanted(s->now.set) : 0;
    case ROLE_VIRUS:
        return s->now.virus_address && (serving(s, ROLE_VIRUS) || !any(s, ROLE_VIRUS));
    case ROLE_SUPERVISOR:
        break;
    }
    return 0;
}

static void start_missing(struct supervisor *s)
{
    static const enum role order[] = {ROLE_SPOOL, ROLE_DOOR, ROLE_SCAN, ROLE_VIRUS};
    if (s->stopping)
        return;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        usec *not_before = &s->not_before[role_index(order[i])];
        if (clock_mono() < *not_before)
            continue;
        for (size_t n = serving(s, order[i]); n < wanted(s, order[i]); n++)
            start(s, order[i]);
    }
}

static bool all_ready(const struct supervisor *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->children[i].state == CHILD_STARTING && s->children[i].role != ROLE_VIRUS)
            return false;
    return serving(s, ROLE_DOOR) && serving(s, ROLE_SPOOL) && serving(s, ROLE_SCAN);
}

static void tell_ready(struct supervisor *s)
{
    if (s->ready_told || !all_ready(s))
        return;
    s->ready_told = true;
    sd_notify(0, "READY=1\nSTATUS=accepting mail");
    log_event(LOG_NOTE, NULL, "ready", F_INT("processes", s->n),
              F_INT("generation", s->generation));
    if (s->on_ready) {
        s->on_ready(s->now.set);
        s->on_ready = NULL;
    }
}

/* --- the rules --- */

/* In a process of its own, since rules come from outside; in this one, which is faster by half,
 * when just these files went well before. */
static void start_compiler(struct supervisor *s)
{
    struct ruleset_options o = child_rules_options(&s->now);
    s->compiler = -1;
    s->load_next = s->now.set->rules.enabled && ruleset_noted(&o);
    s->compiled = !s->now.set->rules.enabled;
    if (s->compiled || s->load_next)
        return;
    s->compiler = child_compile_rules(&s->now);
    if (s->compiler < 0)
        s->compiled = true; /* scanners say in every receipt that the rules did not run */
}

static void load_rules(struct supervisor *s)
{
    struct err e;
    struct ruleset_options o = child_rules_options(&s->now);
    s->load_next = false;
    s->compiled = true;
    s->now.rules = ruleset_load(&o, &e);
    if (!s->now.rules) {
        log_event(LOG_FAULT, NULL, "rules-unusable", F_STR("why", e.text));
        return;
    }
    ruleset_warm(s->now.rules, false);
    ruleset_note(s->now.rules, &o);
    log_event(LOG_NOTE, NULL, "rules", F_INT("rules", ruleset_count(s->now.rules)),
              F_STR("hash", ruleset_hash(s->now.rules)));
}

static void compiler_ended(struct supervisor *s, int status)
{
    s->compiler = -1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OK)
        load_rules(s);
    s->compiled = true;
}

/* --- generations --- */

static int bind_listeners(struct generation *g, const struct generation *old, struct err *e)
{
    g->listeners = xcalloc(g->set->listeners.n + 1, sizeof *g->listeners);
    for (size_t i = 0; i < g->set->listeners.n; i++) {
        g->listeners[i] = -1;
        for (size_t j = 0; old && j < old->set->listeners.n; j++)
            if (strcmp(g->set->listeners.v[i].address, old->set->listeners.v[j].address) == 0)
                g->listeners[i] = dup(old->listeners[j]);
        if (g->listeners[i] < 0)
            g->listeners[i] = bind_listener(&g->set->listeners.v[i], &g->account, e);
        if (g->listeners[i] < 0)
            return -1;
    }
    return 0;
}

/* Asked in a process of its own: the answer loads libclamav, which the supervisor must not keep. */
static bool engine_possible(const struct virus_settings *v)
{
    int status = 0;
    struct err why;
    if (!v->enabled || !v->embedded)
        return false;
    pid_t pid = fork();
    if (pid == 0)
        _exit(virus_engine_possible(v, &why) ? EXIT_OK : EXIT_BAD);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == EXIT_OK;
}

static int bind_sockets(struct generation *g, const struct generation *old, struct err *e)
{
    const struct account *a = &g->account;
    char *control = xasprintf("%s/control.sock", g->set->paths.run);
    g->control_socket =
        old ? dup(old->control_socket) : bind_unix(control, 0660, a->uid, a->gid, e);
    free(control);
    if (g->control_socket < 0)
        return -1;
    if (!engine_possible(&g->set->virus))
        return 0;
    char *path = xasprintf("%s/virus.sock", g->set->paths.run);
    g->virus_socket = old && old->virus_socket >= 0 ? dup(old->virus_socket)
                                                    : bind_unix(path, 0600, a->uid, a->gid, e);
    g->virus_address = xasprintf("unix:%s", path);
    free(path);
    return g->virus_socket < 0 ? -1 : 0;
}

static void generation_end(struct generation *g)
{
    for (size_t i = 0; g->listeners && i < g->set->listeners.n; i++)
        if (g->listeners[i] >= 0)
            close(g->listeners[i]);
    free(g->listeners);
    if (g->control_socket >= 0)
        close(g->control_socket);
    if (g->virus_socket >= 0)
        close(g->virus_socket);
    free(g->virus_address);
    if (g->rules)
        ruleset_free(g->rules);
    settings_free(g->set);
}

/* Everything a generation needs, or nothing. `set` belongs to it from now on. */
static int generation_begin(struct generation *g, struct settings *set,
                            const struct generation *old, struct err *e)
{
    *g = (struct generation){.set = set, .control_socket = -1, .virus_socket = -1};
    if (account_find(&set->processes, &g->account, e) == 0 &&
        make_directories(&set->paths, &g->account, e) == 0 && bind_listeners(g, old, e) == 0 &&
        bind_sockets(g, old, e) == 0)
        return 0;
    generation_end(g);
    return -1;
}

static void drain_old(struct supervisor *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct child *c = &s->children[i];
        if (c->generation == s->generation)
            continue;
        /* Scanners go when their successors serve, so that somebody always scans. */
        bool successors = c->role != ROLE_SCAN || serving(s, ROLE_SCAN) > 0;
        if (c->role == ROLE_DOOR)
            child_retire(c, s->now.set->limits.session_time + stop_grace);
        else if (successors)
            child_drain(c, stop_grace);
    }
}

/* New settings, and every file that they name is there: otherwise the old ones stay in force. All
 * mistakes are logged, the first one is told. */
static struct settings *load_checked(const char *file, struct err *e)
{
    struct settings_problems problems = {0};
    struct settings *set = settings_load_all(file, &problems);
    if (set)
        settings_check_files(set, &problems);
    for (size_t i = 1; i < problems.n; i++)
        log_event(LOG_FAULT, NULL, "settings", F_STR("problem", problems.v[i].text));
    if (problems.n) {
        err_set(e, "%s", problems.v[0].text);
        if (set)
            settings_free(set);
        set = NULL;
    }
    settings_problems_free(&problems);
    return set;
}

static void reload(struct supervisor *s)
{
    struct err e;
    struct generation next;
    struct settings *set = load_checked(s->config, &e);
    if (!set || generation_begin(&next, set, &s->now, &e) != 0) {
        log_event(LOG_FAULT, NULL, "reload-refused", F_STR("why", e.text));
        return;
    }
    sd_notify(0, "RELOADING=1");
    generation_end(&s->now);
    s->now = next;
    s->generation++;
    s->ready_told = false;
    log_event(LOG_NOTE, NULL, "reload", F_INT("generation", s->generation));
    if (s->compiler > 0)
        kill(s->compiler, SIGKILL);
    start_compiler(s);
    start_missing(s);
    drain_old(s);
}

/* --- events --- */

/* Order of the end: no new mail, then what is in work, then the queue. */
static void stop_next(struct supervisor *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->children[i].role == ROLE_DOOR)
            child_drain(&s->children[i], stop_grace);
    if (any(s, ROLE_DOOR))
        return;
    for (size_t i = 0; i < s->n; i++)
        child_drain(&s->children[i], stop_grace);
}

static void stop(struct supervisor *s)
{
    if (s->stopping)
        return;
    s->stopping = true;
    sd_notify(0, "STOPPING=1");
    log_event(LOG_NOTE, NULL, "stopping", F_INT("processes", s->n));
    stop_next(s);
}

/* A short life lengthens the pause before the next start, a long one forgives. */
static void plan_restart(struct supervisor *s, const struct child *c)
{
    size_t i = role_index(c->role);
    if (clock_mono() - c->started > 10 * USEC_PER_SEC)
        s->pause[i] = 0;
    s->not_before[i] = clock_mono() + s->pause[i];
    s->pause[i] = s->pause[i] ? s->pause[i] * 2 : USEC_PER_SEC / 20;
    if (s->pause[i] > longest_pause)
        s->pause[i] = longest_pause;
}

static void child_ended(struct supervisor *s, size_t i, int status)
{
    struct child c = s->children[i];
    close(c.control);
    s->children[i] = s->children[--s->n];
    bool wanted_end = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OK;
    log_event(wanted_end ? LOG_NOTE : LOG_WARN, NULL, "ended", F_STR("role", role_name(c.role)),
              F_INT("pid", c.pid), F_INT("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0),
              F_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    if (c.state < CHILD_RETIRED)
        plan_restart(s, &c);
    if (s->stopping)
        stop_next(s);
}

static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == s->compiler)
            compiler_ended(s, status);
        for (size_t i = 0; i < s->n; i++)
            if (s->children[i].pid == pid) {
                child_ended(s, i, status);
                break;
            }
    }
}

static void on_signal(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signals, &info, sizeof info) == sizeof info) {
        switch (info.ssi_signo) {
        case SIGCHLD:
            reap(s);
            break;
        case SIGHUP:
            if (!s->stopping)
                reload(s);
            break;
        case SIGUSR1:
            log_reopen();
            for (size_t i = 0; i < s->n; i++)
                link_post(s->children[i].control, ROLE_SUPERVISOR, s->children[i].role,
                          FRAME_REOPEN_LOG, SPAN(""), -1);
            break;
        case SIGTERM:
        case SIGINT:
            stop(s);
            break;
        }
    }
}

static void on_child(struct supervisor *s, size_t i)
{
    struct child *c = &s->children[i];
    int type = link_fetch(c->control, ROLE_SUPERVISOR, c->role);
    if (type == FRAME_READY && c->state == CHILD_STARTING) {
        c->state = CHILD_READY;
        drain_old(s);
    } else if (type < 0 && c->state < CHILD_RETIRED) {
        kill(c->pid,
             SIGKILL); /* it closed its end or broke the rules: the end is told by SIGCHLD */
    }
}

static void kill_the_late(struct supervisor *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->children[i].state >= CHILD_RETIRED && clock_mono() > s->children[i].drain_until)
            kill(s->children[i].pid, SIGKILL);
}

static void wait_for_events(struct supervisor *s)
{
    struct pollfd fds[CHILDREN_MAX + 1] = {{.fd = s->signals, .events = POLLIN}};
    size_t n = s->n;
    bool hurry = false;
    for (size_t i = 0; i < n; i++) {
        bool draining = s->children[i].state == CHILD_DRAINING;
        fds[i + 1] =
            (struct pollfd){.fd = draining ? -1 : s->children[i].control, .events = POLLIN};
    }
    for (size_t i = 0; i < sizeof s->not_before / sizeof *s->not_before; i++)
        hurry |= s->not_before[i] > clock_mono();
    if (poll(fds, n + 1, hurry ? 20 : POLL_INTERVAL_MS) <= 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (fds[i + 1].revents)
            on_child(s, i);
    if (fds[0].revents)
        on_signal(s);
}

static int block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int supervisor_run(struct settings *set, const char *config,
                   void (*on_ready)(const struct settings *set))
{
    struct supervisor *s = xcalloc(1, sizeof *s);
    struct err e;
    *s = (struct supervisor){
        .config = config, .on_ready = on_ready, .generation = 1, .compiler = -1};
    log_role("supervisor");
    if (open_log(&set->log) != 0)
        fprintf(stderr, "gatehouse: can't open the log %s: %s\n", set->log.target, strerror(errno));
    if (generation_begin(&s->now, set, NULL, &e) != 0) {
        fprintf(stderr, "gatehouse: %s\n", e.text);
        free(s);
        return EXIT_CONFIG;
    }
    s->signals = block_signals();
    start_compiler(s);
    start_missing(s);
    while (!s->stopping || s->n) {
        wait_for_events(s);
        kill_the_late(s);
        start_missing(s);
        if (s->load_next && !s->stopping) {
            load_rules(s);
            start_missing(s);
        }
        tell_ready(s);
    }
    if (s->compiler > 0)
        kill(s->compiler, SIGKILL);
    log_event(LOG_NOTE, NULL, "stopped", F_INT("generation", s->generation));
    generation_end(&s->now);
    close(s->signals);
    free(s);
    return EXIT_OK;
}
