#include "supervisor/child.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "auth/returnpath.h"
#include "auth/signer.h"
#include "base/log.h"
#include "door/door.h"
#include "flow/scanner.h"
#include "ipc/link.h"
#include "rules/ruleset.h"
#include "spool/spool.h"
#include "supervisor/confine.h"
#include "virus/engine.h"

static void default_signals(void)
{
    sigset_t none;
    for (int s = 1; s < NSIG; s++)
        if (s != SIGKILL && s != SIGSTOP)
            signal(s, SIG_DFL);
    /* The terminal's ^C and a reload reach the supervisor, which tells us what to do. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of write(), not the end */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Closes every descriptor from 3 on that is not in keep (-1 entries are passed over). */
static void close_others(const int *keep, size_t n)
{
    long most = sysconf(_SC_OPEN_MAX);
    int highest = 2;
    for (size_t i = 0; i < n; i++)
        highest = keep[i] > highest ? keep[i] : highest;
    for (int fd = 3; fd <= highest; fd++) {
        bool kept = false;
        for (size_t i = 0; i < n; i++)
            kept |= keep[i] == fd;
        if (!kept)
            close(fd);
    }
    if (close_range((unsigned)highest + 1, ~0u, 0) != 0)
        for (int fd = highest + 1; fd < most; fd++)
            close(fd);
}

int open_log(const struct log_settings *l)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    enum log_level level = LOG_NOTE;
    for (int i = 0; i < 4; i++)
        if (l->level && strcmp(l->level, levels[i]) == 0)
            level = (enum log_level)i;
    return log_open(l->target, l->json ? LOG_JSON : LOG_TEXT, level);
}

/* What a fork inherited and does not need is gone; the log is opened anew while we still may. */
static void start_clean(const int *keep, size_t n, const struct generation *g, const char *role)
{
    default_signals();
    log_close();
    close_others(keep, n);
    open_log(&g->set->log);
    log_role(role);
}

static void drop_privileges(const struct account *a)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* without a supervisor nobody would restart or stop us */
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!a->drop)
        return;
    if (setgroups(0, NULL) != 0 || setresgid(a->gid, a->gid, a->gid) != 0 ||
        setresuid(a->uid, a->uid, a->uid) != 0 || setuid(0) == 0) {
        log_event(LOG_FAULT, NULL, "privileges-not-dropped", F_INT("uid", a->uid));
        _exit(EXIT_CONFIG);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* cleared by the change of user */
    prctl(PR_SET_DUMPABLE, 0);
}

/* After this the process can't win back what it gave up. A part that fails is worse than a kernel
 * without it: the administrator is to know, and to decide. */
static void enter_cage(enum role role, const struct generation *g)
{
    const struct settings *set = g->set;
    struct confinement has;
    struct err e;
    if (!set->processes.confine)
        return;
    if (confine(role, set, g->rules, &has, &e) != 0) {
        log_event(LOG_FAULT, NULL, "not-confined", F_STR("why", e.text),
                  F_STR("remedy", "processes.confine: false does without"));
        _exit(EXIT_CONFIG);
    }
    log_event(has.landlock && has.seccomp ? LOG_NOTE : LOG_WARN, NULL, "confined",
              F_INT("landlock", has.landlock), F_STR("seccomp", has.seccomp ? "yes" : "no"));
}

static void raise_descriptor_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

/* Visible in ps and top. */
static void name_process(enum role role)
{
    char name[16];
    snprintf(name, sizeof name, "gh:%s", role_name(role));
    prctl(PR_SET_NAME, name);
}

/* Read before privileges are dropped, each by the one process that needs it. */
struct secrets {
    struct door_keys *door;
    struct spool_keys spool;
};

static int run_role(enum role role, int control, const struct generation *g,
                    const struct secrets *keys)
{
    const struct settings *set = g->set;
    switch (role) {
    case ROLE_DOOR:
        return door_main(set, control, g->listeners, keys->door);
    case ROLE_SCAN:
        return scan_main(set, control, g->rules, g->virus_address);
    case ROLE_SPOOL:
        return spool_main(set, control, g->control_socket, &keys->spool);
    case ROLE_VIRUS:
        return virus_engine_main(set, g->virus_socket, control);
    case ROLE_SUPERVISOR:
        break;
    }
    return EXIT_CONFIG;
}

static void become(enum role role, int control, const struct generation *g)
{
    size_t n = 0;
    int *keep = calloc(g->set->listeners.n + 3, sizeof *keep);
    if (!keep)
        _exit(EXIT_TEMPFAIL);
    keep[n++] = control;
    if (role == ROLE_DOOR)
        for (size_t i = 0; i < g->set->listeners.n; i++)
            keep[n++] = g->listeners[i];
    if (role == ROLE_SPOOL)
        keep[n++] = g->control_socket;
    if (role == ROLE_VIRUS)
        keep[n++] = g->virus_socket;
    start_clean(keep, n, g, role_name(role));
    free(keep);
    name_process(role);
    raise_descriptor_limit();
    struct secrets keys = {0};
    if (role == ROLE_DOOR)
        keys.door = door_keys_read(g->set);
    if (role == ROLE_SPOOL)
        keys.spool = (struct spool_keys){signer_open(g->set, NULL, NULL),
                                         returnpath_open(g->set, NULL, NULL)};
    drop_privileges(&g->account);
    enter_cage(role, g);
    exit(run_role(role, control, g, &keys));
}

int child_start(struct child *c, enum role role, const struct generation *g)
{
    int fds[2];
    if (link_pair(fds) != 0)
        return -1;
    pid_t pid = fork();
    if (pid < 0) {
        close(fds[0]);
        close(fds[1]);
        return -1;
    }
    if (pid == 0)
        become(role, fds[1], g);
    close(fds[1]);
    *c = (struct child){.role = role,
                        .state = CHILD_STARTING,
                        .pid = pid,
                        .control = fds[0],
                        .started = clock_mono()};
    log_event(LOG_NOTE, NULL, "started", F_STR("role", role_name(role)), F_INT("pid", pid));
    return 0;
}

struct ruleset_options child_rules_options(const struct generation *g)
{
    return (struct ruleset_options){.settings = &g->set->rules,
                                    .cache_dir = g->set->paths.cache,
                                    .local_only = !g->set->rules.network};
}

pid_t child_compile_rules(const struct generation *g)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    start_clean(NULL, 0, g, "compile");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct err e;
    struct ruleset_options o = child_rules_options(g);
    struct ruleset *rs = ruleset_load(&o, &e);
    if (!rs)
        log_event(LOG_FAULT, NULL, "rules-unusable", F_STR("why", e.text));
    else
        ruleset_note(rs, &o);
    _exit(rs ? EXIT_OK : EXIT_CONFIG);
}

static void tell_link(const struct child *to, enum role peer, int fd)
{
    char role = (char)peer;
    if (link_post(to->control, ROLE_SUPERVISOR, to->role, FRAME_LINK, span_of(&role, 1), fd) != 0)
        log_event(LOG_WARN, NULL, "link-not-handed-over", F_STR("to", role_name(to->role)),
                  F_STR("peer", role_name(peer)));
}

void child_connect(const struct child *a, const struct child *b)
{
    int fds[2];
    if (link_pair(fds) != 0) {
        log_event(LOG_FAULT, NULL, "no-link", F_STR("why", strerror(errno)));
        return;
    }
    tell_link(a, b->role, fds[0]);
    tell_link(b, a->role, fds[1]);
    close(fds[0]);
    close(fds[1]);
}

static void ask_to_end(struct child *c, enum child_state state, enum frame_type how, usec grace)
{
    if (c->state >= state)
        return;
    c->state = state;
    c->drain_until = clock_mono() + grace;
    link_post(c->control, ROLE_SUPERVISOR, c->role, how, SPAN(""), -1);
}

void child_drain(struct child *c, usec grace)
{
    ask_to_end(c, CHILD_DRAINING, FRAME_DRAIN, grace);
}

void child_retire(struct child *c, usec grace)
{
    ask_to_end(c, CHILD_RETIRED, FRAME_RETIRE, grace);
}
