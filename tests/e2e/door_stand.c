/* A test stand for the door alone: the real door_main between a supervisor, scanners and a spool
 * that do as they are told by the recipients' local parts. What can't be had from the real ones on
 * demand (a scanner that dies, hangs or lies, a spool that is full or gone) is one word here.
 *
 *     door_stand CONFIG DIR      prints "ready" when the door serves; SIGTERM drains it
 *
 * The scanner decides for each recipient by how its local part begins: accept (default), tag,
 * reject, defer, hold, discard; or for the whole message by any recipient: die (the scanner exits),
 * dieonce, hang, garbage, short (a result that leaves recipients out), late. The spool: full, fail,
 * gone (it exits), mute. It writes DIR/ID.eml and DIR/ID.json for what it was given. Callouts:
 * unknown, temp, silent; everybody in catchall.example exists. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "door/door.h"
#include "flow/frames.h"
#include "ipc/link.h"

enum { SCANNERS = 2 };

struct peer_process {
    uv_loop_t loop;
    struct link *link;
    const char *dir;
};

static bool local_is(struct span addr, const char *word)
{
    return span_starts(addr, span_str(word));
}

static bool any_rcpt(const struct envelope *env, const char *word)
{
    for (size_t i = 0; i < env->nrcpts; i++)
        if (local_is(env->rcpts[i].addr, word))
            return true;
    return false;
}

/* ---- the scanner ---- */

static const struct {
    const char *word;
    enum outcome outcome;
    const char *reply;
} outcomes[] = {
    {"tag", OUT_TAG, ""},
    {"reject", OUT_REJECT, "550 5.7.1 the stand refuses this"},
    {"badreply", OUT_REJECT, "550 two\r\n250 lines"},
    {"defer", OUT_DEFER, "451 4.7.1 the stand wants it later"},
    {"hold", OUT_HOLD, ""},
    {"discard", OUT_DISCARD, ""},
    {"", OUT_ACCEPT, ""},
};

static void judge(const struct scan_request *q, struct arena *a, struct scan_result *r)
{
    size_t n = q->env.nrcpts;
    memcpy(r->id, q->id, sizeof r->id);
    r->groups = arena_array(a, n, sizeof *r->groups);
    r->ngroups = n;
    r->receipt = SPAN("{}");
    r->subject = r->header_from = r->message_id = SPAN("");
    for (size_t i = 0; i < n; i++) {
        struct group *g = &r->groups[i];
        size_t k = 0;
        while (!local_is(q->env.rcpts[i].addr, outcomes[k].word))
            k++;
        g->outcome = outcomes[k].outcome;
        g->reply = span_str(outcomes[k].reply);
        g->policy = SPAN("stand");
        g->reason = SPAN("told so");
        g->detail = SPAN("");
        g->rcpts = arena_array(a, 1, sizeof *g->rcpts);
        g->rcpts[0] = (uint32_t)i;
        g->nrcpts = 1;
    }
}

static void scan(void *ctx, struct link *l, enum frame_type type, uint64_t tag, struct span payload,
                 int fd)
{
    (void)ctx;
    struct arena *a = arena_new(0);
    struct scan_request q = {0};
    struct scan_result r = {0};
    close(fd);
    if (type != FRAME_SCAN_REQUEST || !scan_request_decode(payload, a, &q))
        _exit(3);
    if (any_rcpt(&q.env, "dieonce") ? q.crashes == 0 : any_rcpt(&q.env, "die"))
        _exit(9);
    if (any_rcpt(&q.env, "hang")) {
        arena_free(a);
        return;
    }
    if (any_rcpt(&q.env, "late"))
        usleep(300000);
    judge(&q, a, &r);
    if (any_rcpt(&q.env, "short"))
        r.ngroups--;
    struct buf b = {0};
    scan_result_encode(&b, &r);
    if (any_rcpt(&q.env, "garbage"))
        memset(b.p, 0xfe, b.n);
    link_send(l, FRAME_SCAN_RESULT, tag, buf_span(&b), -1);
    buf_free(&b);
    arena_free(a);
}

/* ---- the spool ---- */

static const char *const outcome_names[] = {"accept", "tag",   "clean",  "hold",
                                            "reject", "defer", "discard"};

static json_t *text(struct span s)
{
    return s.p ? json_stringn_nocheck(s.p, s.n) : json_null();
}

static json_t *describe(const struct store_request *s)
{
    const struct envelope *env = &s->req.env;
    const struct peer *p = &s->req.peer;
    json_t *rcpts = json_array(), *groups = json_array();
    for (size_t i = 0; i < env->nrcpts; i++)
        json_array_append_new(rcpts, json_pack("{s:o,s:o,s:i}", "addr", text(env->rcpts[i].addr),
                                               "orcpt", text(env->rcpts[i].orcpt), "notify",
                                               (int)env->rcpts[i].notify));
    for (size_t i = 0; i < s->result.ngroups; i++)
        json_array_append_new(groups, json_pack("{s:s,s:o,s:o,s:b}", "outcome",
                                                outcome_names[s->result.groups[i].outcome],
                                                "reason", text(s->result.groups[i].reason),
                                                "detail", text(s->result.groups[i].detail),
                                                "unscanned", (int)s->result.groups[i].unscanned));
    char ip[IP_TEXT_SIZE] = "";
    return json_pack("{s:s,s:o,s:o,s:o,s:i,s:b,s:b,s:b,s:o,s:s,s:o,s:o,s:o,s:o,s:i}", "id",
                     s->req.id, "from", text(env->from), "rcpts", rcpts, "envid", text(env->envid),
                     "ret", (int)env->ret, "smtputf8", (int)env->smtputf8, "body_8bit",
                     (int)env->body_8bit, "scanned", (int)s->scanned, "groups", groups, "ip",
                     p->has_ip ? ip_text(&p->ip, ip) : "", "helo", text(p->helo), "protocol",
                     text(p->protocol), "user", text(p->auth_user), "tls", text(p->tls_version),
                     "crashes", (int)s->req.crashes);
}

static void keep(const struct peer_process *me, const struct store_request *s, int fd)
{
    char *path = xasprintf("%s/%s.eml", me->dir, s->req.id);
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char bytes[65536];
    ssize_t n;
    off_t at = 0;
    while ((n = pread(fd, bytes, sizeof bytes, at)) > 0) {
        if (write(out, bytes, (size_t)n) != n)
            _exit(4);
        at += n;
    }
    close(out);
    free(path);
    json_t *j = describe(s);
    path = xasprintf("%s/.%s", me->dir, s->req.id);
    char *final = xasprintf("%s/%s.json", me->dir, s->req.id);
    json_dump_file(j, path, 0);
    rename(path, final);
    json_decref(j);
    free(path);
    free(final);
}

static void answer_store(struct peer_process *me, struct link *l, uint64_t tag, struct span payload,
                         int fd)
{
    struct arena *a = arena_new(0);
    struct store_request s = {0};
    if (!store_request_decode(payload, a, &s))
        _exit(5);
    if (any_rcpt(&s.req.env, "gone"))
        _exit(6);
    struct store_result r = {STORE_OK, SPAN("")};
    if (any_rcpt(&s.req.env, "full"))
        r = (struct store_result){STORE_FULL, SPAN("no room")};
    else if (any_rcpt(&s.req.env, "fail"))
        r = (struct store_result){STORE_FAILED, SPAN("told so")};
    else
        keep(me, &s, fd);
    if (!any_rcpt(&s.req.env, "mute") && tag) {
        struct buf b = {0};
        store_result_encode(&b, &r);
        link_send(l, FRAME_STORE_RESULT, tag, buf_span(&b), -1);
        buf_free(&b);
    }
    arena_free(a);
}

static void answer_rcpt(struct peer_process *me, struct link *l, uint64_t tag, struct span payload)
{
    struct arena *a = arena_new(0);
    struct rcpt_request q = {0};
    if (!rcpt_request_decode(payload, a, &q))
        _exit(7);
    char *path = xasprintf("%s/callouts", me->dir);
    FILE *f = fopen(path, "a");
    fprintf(f, "%.*s\n", SPAN_ARG(q.addr));
    fclose(f);
    free(path);
    struct rcpt_result r = {RCPT_OK, SPAN("")};
    if (span_ends(q.addr, SPAN("@catchall.example")))
        r.code = RCPT_OK;
    else if (local_is(q.addr, "unknown") || local_is(q.addr, "gatehouse-probe"))
        r.code = RCPT_UNKNOWN;
    else if (local_is(q.addr, "temp"))
        r.code = RCPT_TEMPFAIL;
    struct buf b = {0};
    rcpt_result_encode(&b, &r);
    if (!local_is(q.addr, "silent"))
        link_send(l, FRAME_RCPT_RESULT, tag, buf_span(&b), -1);
    buf_free(&b);
    arena_free(a);
}

static void serve_spool(void *ctx, struct link *l, enum frame_type type, uint64_t tag,
                        struct span payload, int fd)
{
    if (type == FRAME_STORE_REQUEST)
        answer_store(ctx, l, tag, payload, fd);
    else if (type == FRAME_RCPT_REQUEST)
        answer_rcpt(ctx, l, tag, payload);
    if (fd >= 0)
        close(fd);
}

/* ---- processes ---- */

static void on_closed(void *ctx, struct link *l)
{
    (void)ctx, (void)l;
    _exit(0);
}

static pid_t start_peer(enum role role, const char *dir, int *door_end)
{
    int fds[2];
    if (link_pair(fds) != 0)
        exit(1);
    pid_t pid = fork();
    if (pid > 0) {
        close(fds[1]);
        *door_end = fds[0];
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_IGN);
    close(fds[0]);
    struct peer_process *me = xcalloc(1, sizeof *me);
    struct link_events ev = {role == ROLE_SPOOL ? serve_spool : scan, on_closed, NULL};
    me->dir = dir;
    uv_loop_init(&me->loop);
    me->link = link_open(&me->loop, fds[1], role, ROLE_DOOR, &ev, me);
    uv_run(&me->loop, UV_RUN_DEFAULT);
    _exit(0);
}

static int listen_on(const char *address)
{
    const char *colon = strrchr(address, ':');
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(colon + 1)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&in, sizeof in) != 0 || listen(fd, 4096) != 0) {
        perror(address);
        exit(1);
    }
    return fd;
}

static pid_t start_door(const struct settings *set, const int *listeners, int *control)
{
    int fds[2];
    if (link_pair(fds) != 0)
        exit(1);
    pid_t pid = fork();
    if (pid > 0) {
        close(fds[1]);
        *control = fds[0];
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "stand:door");
    signal(SIGTERM, SIG_IGN);
    close(fds[0]);
    log_role("door");
    exit(door_main(set, fds[1], listeners, NULL));
}

static void hand_over(int control, enum role role, int fd)
{
    char byte = (char)role;
    link_post(control, ROLE_SUPERVISOR, ROLE_DOOR, FRAME_LINK, span_of(&byte, 1), fd);
    close(fd);
}

static volatile sig_atomic_t stopping;

static void on_term(int sig)
{
    (void)sig;
    stopping = 1;
}

int main(int argc, char **argv)
{
    struct err e;
    struct settings *set = argc == 3 ? settings_load(argv[1], &e) : NULL;
    if (!set) {
        fprintf(stderr, "door_stand: %s\n", argc == 3 ? e.text : "usage: door_stand CONFIG DIR");
        return 1;
    }
    log_open(set->log.target, LOG_TEXT, LOG_TRACE);
    int *listeners = xcalloc(set->listeners.n + 1, sizeof *listeners), control, end;
    for (size_t i = 0; i < set->listeners.n; i++)
        listeners[i] = listen_on(set->listeners.v[i].address);
    pid_t door = start_door(set, listeners, &control), peers[SCANNERS + 1];
    for (int i = 0; i <= SCANNERS; i++) {
        enum role role = i == SCANNERS ? ROLE_SPOOL : ROLE_SCAN;
        if (i < SCANNERS && getenv("STAND_NO_SCANNERS"))
            continue;
        peers[i] = start_peer(role, argv[2], &end);
        hand_over(control, role, end);
    }
    struct sigaction term = {.sa_handler = on_term};
    sigaction(SIGTERM, &term, NULL);
    while (link_fetch(control, ROLE_SUPERVISOR, ROLE_DOOR) == 0)
        usleep(1000);
    puts("ready");
    fflush(stdout);
    for (bool told = false;;) {
        int status;
        if (stopping && !told) {
            told = true;
            link_post(control, ROLE_SUPERVISOR, ROLE_DOOR, FRAME_DRAIN, SPAN(""), -1);
        }
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == door) {
            free(listeners);
            settings_free(set);
            return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
        }
        for (int i = 0; pid > 0 && i <= SCANNERS; i++) {
            if (peers[i] != pid)
                continue;
            enum role role = i == SCANNERS ? ROLE_SPOOL : ROLE_SCAN;
            peers[i] = start_peer(role, argv[2], &end);
            hand_over(control, role, end);
        }
        usleep(2000);
    }
}
