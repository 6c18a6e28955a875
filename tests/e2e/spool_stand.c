/* A test stand for the spool alone: the real spool_main between a supervisor, a door and a scanner
 * that do as they are told. Commands are lines of JSON on stdin, answers lines of JSON on stdout.
 *
 *     spool_stand CONFIG
 *
 *     {"op":"store","file":F,"from":A,"rcpts":[{"addr":A,"notify":N,"orcpt":S}...],
 *      "groups":[{"outcome":"accept","rcpts":[0,1],"insert":"X-Spam-Flag: NO\r\n"}...],
 *      "ret":"full","envid":S,"smtputf8":B,"age":SECONDS}     groups absent: unscanned
 *     {"op":"callout","addr":A}
 *     {"op":"load","count":N,"window":W,"size":BYTES,"from":A,"to":A}
 *     {"op":"drain"}   waits until the spool has ended     {"op":"kill"}   kills it
 *     {"op":"start"}   starts another one
 *
 * The scanner decides for each recipient by how its local part begins: accept (default), tag,
 * reject, defer, hold, discard; die: the link breaks. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "flow/frames.h"
#include "ipc/link.h"
#include "spool/spool.h"

struct stand {
    uv_loop_t loop;
    struct settings *set;
    struct link *supervisor, *door, *scanner;
    pid_t pid;
    bool ready;
    /* the answer that is waited for */
    bool answered;
    json_t *answer;
    uint64_t tag;
    /* load */
    uint64_t wanted, sent, got, ok;
    json_t *load;
    int load_fd;
};

static void link_scanner(struct stand *s);

static enum outcome outcome_of(const char *name, size_t n)
{
    static const char *const names[] = {"accept", "tag",   "clean",  "hold",
                                        "reject", "defer", "discard"};
    for (size_t i = 0; i < 7; i++)
        if (n >= strlen(names[i]) && strncmp(name, names[i], strlen(names[i])) == 0)
            return (enum outcome)i;
    return OUT_ACCEPT;
}

/* --- scanner --- */

static void on_scan(struct stand *s, uint64_t tag, struct span payload, int fd)
{
    struct arena *a = arena_new(0);
    struct scan_request req;
    struct scan_result res = {0};
    close(fd);
    if (!scan_request_decode(payload, a, &req))
        abort();
    memcpy(res.id, req.id, sizeof res.id);
    res.subject = SPAN("scanned later");
    res.ngroups = req.env.nrcpts;
    res.groups = arena_array(a, res.ngroups, sizeof *res.groups);
    for (uint32_t i = 0; i < res.ngroups; i++) {
        struct span addr = req.env.rcpts[i].addr;
        struct group *g = &res.groups[i];
        if (span_starts(addr, SPAN("die"))) {
            link_close(s->scanner);
            link_scanner(s);
            arena_free(a);
            return;
        }
        g->outcome = outcome_of(addr.p, addr.n);
        g->policy = g->reason = g->detail = SPAN("stand");
        g->reply = SPAN("250 2.0.0 ok");
        g->rcpts = arena_array(a, 1, sizeof *g->rcpts);
        g->rcpts[0] = i;
        g->nrcpts = 1;
        splices_add(&g->edits, a, 0, 0, SPAN("X-Scanned: later\r\n"));
    }
    struct buf b = {0};
    scan_result_encode(&b, &res);
    link_send(s->scanner, FRAME_SCAN_RESULT, tag, buf_span(&b), -1);
    buf_free(&b);
    arena_free(a);
}

/* --- door --- */

static void load_more(struct stand *s);

static void on_stored(struct stand *s, uint64_t tag, struct span payload)
{
    struct arena *a = arena_new(0);
    struct store_result r;
    if (!store_result_decode(payload, a, &r))
        abort();
    if (s->load) {
        s->got++;
        s->ok += r.code == STORE_OK;
        load_more(s);
    } else if (tag == s->tag) {
        json_object_set_new(s->answer, "code", json_integer(r.code));
        json_object_set_new(s->answer, "text", json_stringn(r.text.p ? r.text.p : "", r.text.n));
        s->answered = true;
    }
    arena_free(a);
}

static void on_callout(struct stand *s, struct span payload)
{
    struct arena *a = arena_new(0);
    struct rcpt_result r;
    if (!rcpt_result_decode(payload, a, &r))
        abort();
    json_object_set_new(s->answer, "code", json_integer(r.code));
    json_object_set_new(s->answer, "text", json_stringn(r.text.p ? r.text.p : "", r.text.n));
    s->answered = true;
    arena_free(a);
}

static void on_frame(void *ctx, struct link *l, enum frame_type type, uint64_t tag,
                     struct span payload, int fd)
{
    struct stand *s = ctx;
    (void)l;
    if (type == FRAME_READY)
        s->ready = true;
    else if (type == FRAME_STORE_RESULT)
        on_stored(s, tag, payload);
    else if (type == FRAME_RCPT_RESULT)
        on_callout(s, payload);
    else if (type == FRAME_SCAN_REQUEST)
        on_scan(s, tag, payload, fd);
}

static void on_closed(void *ctx, struct link *l)
{
    struct stand *s = ctx;
    if (l == s->supervisor)
        s->supervisor = NULL;
    if (l == s->door)
        s->door = NULL;
    if (l == s->scanner)
        s->scanner = NULL;
    if (!s->supervisor && !s->answered) {
        json_object_set_new(s->answer, "code", json_string("gone"));
        s->answered = true;
    }
}

static const struct link_events events = {on_frame, on_closed, NULL};

static struct link *new_link(struct stand *s, enum role as)
{
    int fds[2];
    unsigned char role = (unsigned char)as;
    if (link_pair(fds) < 0)
        abort();
    link_send(s->supervisor, FRAME_LINK, 0, span_of((char *)&role, 1), fds[1]);
    close(fds[1]);
    return link_open(&s->loop, fds[0], as, ROLE_SPOOL, &events, s);
}

static void link_scanner(struct stand *s)
{
    s->scanner = new_link(s, ROLE_SCAN);
}

/* --- the spool process --- */

static int listen_control(const struct settings *set)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/control.sock", set->paths.run);
    unlink(a.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 16) < 0)
        abort();
    return fd;
}

static void start(struct stand *s)
{
    int fds[2], control = listen_control(s->set);
    if (link_pair(fds) < 0)
        abort();
    s->pid = fork();
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        log_role("spool");
        exit(spool_main(s->set, fds[1], control, NULL));
    }
    close(fds[1]);
    close(control);
    s->ready = false;
    s->supervisor = link_open(&s->loop, fds[0], ROLE_SUPERVISOR, ROLE_SPOOL, &events, s);
    while (!s->ready && s->supervisor)
        uv_run(&s->loop, UV_RUN_ONCE);
    if (!s->supervisor)
        return;
    s->door = new_link(s, ROLE_DOOR);
    link_scanner(s);
}

static void reap(struct stand *s)
{
    int status = 0;
    while (s->supervisor)
        uv_run(&s->loop, UV_RUN_ONCE);
    waitpid(s->pid, &status, 0);
    json_object_set_new(s->answer, "exit",
                        json_integer(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status)));
    if (s->door)
        link_close(s->door);
    if (s->scanner)
        link_close(s->scanner);
    s->door = s->scanner = NULL;
    uv_run(&s->loop, UV_RUN_NOWAIT);
    s->answered = true;
}

/* --- commands --- */

static struct span text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return span_str(s);
}

static void read_envelope(const json_t *in, struct arena *a, struct envelope *env)
{
    json_t *list = json_object_get(in, "rcpts");
    env->from = text_of(in, "from").p ? text_of(in, "from") : SPAN("");
    env->nrcpts = json_array_size(list);
    env->rcpts = arena_array(a, env->nrcpts + 1, sizeof *env->rcpts);
    for (size_t i = 0; i < env->nrcpts; i++) {
        json_t *r = json_array_get(list, i);
        env->rcpts[i].addr = text_of(r, "addr");
        env->rcpts[i].orcpt = text_of(r, "orcpt");
        env->rcpts[i].notify = (uint8_t)json_integer_value(json_object_get(r, "notify"));
    }
    struct span ret = text_of(in, "ret");
    env->ret = !ret.p ? RET_DEFAULT : span_eq(ret, SPAN("full")) ? RET_FULL : RET_HDRS;
    env->envid = text_of(in, "envid");
    env->smtputf8 = json_is_true(json_object_get(in, "smtputf8"));
}

static void read_groups(const json_t *list, struct arena *a, struct scan_result *r)
{
    r->ngroups = json_array_size(list);
    r->groups = arena_array(a, r->ngroups + 1, sizeof *r->groups);
    r->subject = SPAN("of the stand");
    for (size_t i = 0; i < r->ngroups; i++) {
        json_t *in = json_array_get(list, i), *rcpts = json_object_get(in, "rcpts");
        struct group *g = &r->groups[i];
        struct span outcome = text_of(in, "outcome"), insert = text_of(in, "insert");
        g->outcome = outcome_of(outcome.p, outcome.n);
        g->policy = g->reason = g->detail = SPAN("stand");
        g->reply = SPAN("250 2.0.0 ok");
        g->nrcpts = json_array_size(rcpts);
        g->rcpts = arena_array(a, g->nrcpts + 1, sizeof *g->rcpts);
        for (size_t k = 0; k < g->nrcpts; k++)
            g->rcpts[k] = (uint32_t)json_integer_value(json_array_get(rcpts, k));
        if (insert.n)
            splices_add(&g->edits, a, 0, 0, insert);
    }
}

static void store(struct stand *s, const json_t *in)
{
    struct arena *a = arena_new(0);
    struct store_request r = {0};
    int fd = open(json_string_value(json_object_get(in, "file")), O_RDONLY | O_CLOEXEC);
    id_new(r.req.id);
    r.req.received = clock_wall() - json_integer_value(json_object_get(in, "age")) * USEC_PER_SEC;
    read_envelope(in, a, &r.req.env);
    json_t *groups = json_object_get(in, "groups");
    r.scanned = groups != NULL;
    memcpy(r.result.id, r.req.id, sizeof r.req.id);
    if (r.scanned)
        read_groups(groups, a, &r.result);
    json_object_set_new(s->answer, "id", json_string(r.req.id));
    struct buf b = {0};
    store_request_encode(&b, &r);
    link_send(s->door, FRAME_STORE_REQUEST, ++s->tag, buf_span(&b), fd);
    buf_free(&b);
    close(fd);
    arena_free(a);
}

static void load_one(struct stand *s)
{
    struct rcpt rcpt = {.addr = text_of(s->load, "to")};
    uint32_t zero = 0;
    struct splice edit = {0, 0, SPAN("X-Spam-Score: 0.1 ()\r\nX-Gatehouse-Id: x\r\n")};
    struct group g = {.outcome = OUT_ACCEPT,
                      .policy = SPAN("default"),
                      .reason = SPAN("clean"),
                      .detail = SPAN(""),
                      .rcpts = &zero,
                      .nrcpts = 1,
                      .reply = SPAN("250 2.0.0 Ok"),
                      .edits = {&edit, 1, 1}};
    struct store_request r = {.scanned = true, .result = {.groups = &g, .ngroups = 1}};
    id_new(r.req.id);
    memcpy(r.result.id, r.req.id, sizeof r.req.id);
    r.req.received = clock_wall();
    r.req.env.from = text_of(s->load, "from");
    r.req.env.rcpts = &rcpt;
    r.req.env.nrcpts = 1;
    struct buf b = {0};
    store_request_encode(&b, &r);
    link_send(s->door, FRAME_STORE_REQUEST, ++s->tag, buf_span(&b), s->load_fd);
    buf_free(&b);
    s->sent++;
}

static void load_more(struct stand *s)
{
    uint64_t window = (uint64_t)json_integer_value(json_object_get(s->load, "window"));
    while (s->sent < s->wanted && s->sent - s->got < window)
        load_one(s);
    if (s->got == s->wanted)
        s->answered = true;
}

static void load(struct stand *s, json_t *in)
{
    size_t size = (size_t)json_integer_value(json_object_get(in, "size"));
    struct buf b = {0};
    buf_str(&b, "Subject: load\r\n\r\n");
    while (b.n + 72 < size)
        buf_str(&b, "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789.\r\n");
    s->load_fd = memfd_create("load", MFD_CLOEXEC);
    if (write(s->load_fd, b.p, b.n) != (ssize_t)b.n)
        abort();
    buf_free(&b);
    s->load = in;
    s->wanted = (uint64_t)json_integer_value(json_object_get(in, "count"));
    s->sent = s->got = s->ok = 0;
    usec begin = clock_mono();
    load_more(s);
    while (!s->answered)
        uv_run(&s->loop, UV_RUN_ONCE);
    json_object_set_new(s->answer, "ok", json_integer((json_int_t)s->ok));
    json_object_set_new(s->answer, "seconds", json_real((double)(clock_mono() - begin) / 1e6));
    s->load = NULL;
    close(s->load_fd);
}

static void callout(struct stand *s, const json_t *in)
{
    struct rcpt_request r = {.addr = text_of(in, "addr")};
    struct buf b = {0};
    rcpt_request_encode(&b, &r);
    link_send(s->door, FRAME_RCPT_REQUEST, ++s->tag, buf_span(&b), -1);
    buf_free(&b);
}

static void command(struct stand *s, const char *line)
{
    json_error_t je;
    json_t *in = json_loads(line, 0, &je);
    struct span op = text_of(in, "op");
    s->answered = false;
    s->answer = json_object();
    if (!s->door && !span_eq(op, SPAN("start")) && !span_eq(op, SPAN("kill"))) {
        json_object_set_new(s->answer, "code", json_string("gone"));
        s->answered = true;
    } else if (span_eq(op, SPAN("store"))) {
        store(s, in);
    } else if (span_eq(op, SPAN("load"))) {
        load(s, in);
    } else if (span_eq(op, SPAN("callout"))) {
        callout(s, in);
    } else if (span_eq(op, SPAN("drain"))) {
        link_send(s->supervisor, FRAME_DRAIN, 0, SPAN(""), -1);
        reap(s);
    } else if (span_eq(op, SPAN("kill"))) {
        kill(s->pid, SIGKILL);
        reap(s);
    } else if (span_eq(op, SPAN("start"))) {
        start(s);
        s->answered = true;
    }
    while (!s->answered)
        uv_run(&s->loop, UV_RUN_ONCE);
    char *text = json_dumps(s->answer, 0);
    puts(text);
    fflush(stdout);
    free(text);
    json_decref(s->answer);
    json_decref(in);
}

/* stdin is read in between, so that the scanner answers while nobody asks anything. */
struct input {
    uv_poll_t poll;
    struct stand *s;
    struct buf b;
    bool eof;
};

static void on_input(uv_poll_t *p, int status, int events_)
{
    struct input *in = p->data;
    (void)status, (void)events_;
    ssize_t n = read(0, buf_room(&in->b, 65536), 65536);
    if (n <= 0)
        in->eof = true;
    else
        in->b.n += (size_t)n;
}

int main(int argc, char **argv)
{
    struct err e;
    struct stand s = {0};
    struct input in = {.s = &s};
    if (argc != 2 || !(s.set = settings_load(argv[1], &e))) {
        fprintf(stderr, "usage: spool_stand CONFIG: %s\n", argc == 2 ? e.text : "");
        return 64;
    }
    log_open(s.set->log.target, LOG_TEXT, LOG_NOTE);
    uv_loop_init(&s.loop);
    s.answer = json_object();
    start(&s);
    json_decref(s.answer);
    puts("ready");
    fflush(stdout);
    uv_poll_init(&s.loop, &in.poll, 0);
    in.poll.data = &in;
    uv_poll_start(&in.poll, UV_READABLE, on_input);
    for (;;) {
        size_t end = span_find(buf_span(&in.b), '\n');
        if (end == SIZE_MAX && in.eof)
            break;
        if (end == SIZE_MAX) {
            uv_run(&s.loop, UV_RUN_ONCE);
            continue;
        }
        in.b.p[end] = 0;
        char *line = xstrdup(in.b.p);
        buf_drop(&in.b, end + 1);
        command(&s, line);
        free(line);
    }
    if (s.supervisor)
        kill(s.pid, SIGKILL);
    fflush(stdout);
    _exit(0);
}
