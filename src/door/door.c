#include "door/door.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "config/script.h"
#include "door/door_private.h"
#include "door/httpcrypt.h"
#include "door/judge.h"
#include "door/wall.h"

enum {
    REST_MS = 200, /* no descriptors left: accepting rests */
    TICK_MS = 1000,
    CERTIFICATE_TICKS = 5 /* how often changed certificates are looked for */
};

/* ---- listening ---- */

static void on_incoming(uv_poll_t *poll, int status, int events);

static void gate_start(struct gate *g)
{
    if (!g->polling && !g->door->retired && !g->door->draining)
        g->polling = uv_poll_start(&g->poll, UV_READABLE, on_incoming) == 0;
}

static void gate_stop(struct gate *g)
{
    if (g->polling)
        uv_poll_stop(&g->poll);
    g->polling = false;
}

static void session_open(struct gate *g, int fd)
{
    switch (g->set->protocol) {
    case LISTEN_SMTP:
        conn_open(g, fd);
        break;
    case LISTEN_MILTER:
        milter_open(g, fd);
        break;
    case LISTEN_SPAMD:
        spamd_open(g, fd);
        break;
    case LISTEN_RSPAMD:
        rspamd_open(g, fd);
        break;
    case LISTEN_SOCKETMAP:
        socketmap_open(g, fd);
        break;
    }
}

/* Without descriptors accept() would fail again and again at once (Stalwart 0.16.12): the tick
 * starts the gates again. */
static void on_incoming(uv_poll_t *poll, int status, int events)
{
    struct gate *g = poll->data;
    (void)status, (void)events;
    for (int i = 0; i < ACCEPT_BURST; i++) {
        int fd = accept4(g->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            session_open(g, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_event(LOG_FAULT, NULL, "cannot-accept", F_STR("why", strerror(errno)),
                      F_INT("sessions", g->door->nconns));
            gate_stop(g);
        }
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

struct door_keys {
    struct returnpath *returns;
    struct gate_keys {
        struct tls_server tls;
        struct sealed_key *sealed;
        size_t nsealed;
    } of[]; /* by listener */
};

struct door_keys *door_keys_read(const struct settings *set)
{
    struct door_keys *k = xcalloc(1, sizeof *k + set->listeners.n * sizeof k->of[0]);
    k->returns = returnpath_open(set, NULL, NULL);
    for (size_t i = 0; i < set->listeners.n; i++) {
        const struct listener *l = &set->listeners.v[i];
        struct err e;
        bool knows = l->protocol != LISTEN_MILTER && l->protocol != LISTEN_SOCKETMAP;
        if (knows && l->tls != TLS_MODE_NONE &&
            tls_server_open(&k->of[i].tls, &set->tls, l->certificate, l->key, &e) != 0)
            log_event(LOG_FAULT, NULL, "no-tls", F_STR("listener", l->name), F_STR("why", e.text));
        if (l->httpcrypt_file)
            k->of[i].nsealed = httpcrypt_keys(l->httpcrypt_file, &k->of[i].sealed, NULL, NULL);
    }
    return k;
}

static void open_gates(struct door *d, const int *listeners, struct door_keys *keys)
{
    d->ngates = d->set->listeners.n;
    d->gates = xcalloc(d->ngates ? d->ngates : 1, sizeof *d->gates);
    for (size_t i = 0; i < d->ngates; i++) {
        struct gate *g = &d->gates[i];
        g->door = d;
        g->set = &d->set->listeners.v[i];
        g->fd = listeners[i];
        fcntl(g->fd, F_SETFL, fcntl(g->fd, F_GETFL) | O_NONBLOCK);
        g->tls = keys->of[i].tls;
        g->sealed = keys->of[i].sealed;
        g->nsealed = keys->of[i].nsealed;
        uv_poll_init(&d->loop, &g->poll, g->fd);
        g->poll.data = g;
        if (g->set->protocol == LISTEN_RSPAMD)
            rspamd_start(g);
        gate_start(g);
    }
    free(keys);
}

static void poll_closed(uv_handle_t *h)
{
    (void)h;
}

static void close_gates(struct door *d)
{
    for (size_t i = 0; i < d->ngates; i++) {
        struct gate *g = &d->gates[i];
        gate_stop(g);
        uv_close((uv_handle_t *)&g->poll, poll_closed);
        tls_server_close(&g->tls);
        free(g->sealed);
        close(g->fd);
    }
}

/* ---- once a second ---- */

static void renew_certificates(struct door *d)
{
    for (size_t i = 0; i < d->ngates; i++) {
        struct err e;
        int rc = d->gates[i].tls.ctx ? tls_server_reload(&d->gates[i].tls, &e) : 0;
        if (rc > 0)
            log_event(LOG_NOTE, NULL, "certificate-renewed",
                      F_STR("listener", d->gates[i].set->name));
        else if (rc < 0)
            log_event(LOG_FAULT, NULL, "certificate-not-renewed",
                      F_STR("listener", d->gates[i].set->name), F_STR("why", e.text));
    }
}

static void look_at_disk(struct door *d)
{
    struct statvfs v;
    if (statvfs(d->set->paths.spool, &v) != 0)
        return;
    bool full = (uint64_t)v.f_bavail * v.f_frsize < d->set->queue.minimum_free;
    if (full != d->full)
        log_event(full ? LOG_FAULT : LOG_NOTE, NULL, full ? "spool-full" : "spool-has-room",
                  F_STR("path", d->set->paths.spool));
    d->full = full;
}

static void on_tick(uv_timer_t *t)
{
    struct door *d = t->data;
    d->ticks++;
    access_refresh(d->access);
    domains_refresh(d->domains);
    policy_set_refresh(d->policies);
    recipients_refresh(d->recipients);
    links_tick(d, clock_mono());
    wall_tick(d);
    look_at_disk(d);
    if (d->ticks % CERTIFICATE_TICKS == 0)
        renew_certificates(d);
    for (size_t i = 0; i < d->ngates; i++)
        gate_start(&d->gates[i]);
}

/* ---- the end ---- */

static void stop(struct door *d)
{
    if (d->stopping)
        return;
    d->stopping = true;
    close_gates(d);
    uv_close((uv_handle_t *)&d->tick, NULL);
    auth_close(d->auth);
    d->auth = NULL;
    wall_stop(d);
    dns_free(d->dns);
    d->dns = NULL;
    wall_close(d);
    links_close(d);
}

/* Connections of HTTP clients idle for as long as they like. */
static void http_leave(struct door *d)
{
    for (size_t i = 0; i < d->ngates; i++)
        if (d->gates[i].http)
            rspamd_leave(&d->gates[i]);
}

static bool http_open(const struct door *d)
{
    for (size_t i = 0; i < d->ngates; i++)
        if (d->gates[i].http)
            return true;
    return false;
}

static void stop_when_empty(struct door *d)
{
    if ((d->draining || d->retired) && d->nconns == 0 && !http_open(d))
        stop(d);
}

void door_conn_gone(struct door *d)
{
    stop_when_empty(d);
}

/* A reload: no session is lost, they end in their own time. */
static void retire(struct door *d)
{
    log_event(LOG_NOTE, NULL, "retired", F_INT("sessions", d->nconns));
    d->retired = true;
    for (size_t i = 0; i < d->ngates; i++)
        gate_stop(&d->gates[i]);
    http_leave(d);
    socketmaps_leave(d); /* their clients come back, to the successor */
    stop_when_empty(d);
}

static void drain(struct door *d)
{
    if (d->draining)
        return;
    log_event(LOG_NOTE, NULL, "draining", F_INT("sessions", d->nconns));
    d->draining = true;
    for (size_t i = 0; i < d->ngates; i++)
        gate_stop(&d->gates[i]);
    for (struct conn *c = d->conns, *next; c; c = next) {
        next = c->next;
        conn_leave(c);
    }
    milters_leave(d);
    spamds_leave(d);
    socketmaps_leave(d);
    http_leave(d);
    stop_when_empty(d);
}

/* ---- supervisor ---- */

static void on_control_frame(void *ctx, struct link *l, enum frame_type type, uint64_t tag,
                             struct span payload, int fd)
{
    struct door *d = ctx;
    (void)l, (void)tag;
    if (type == FRAME_LINK && payload.n == 1) {
        links_add(d, (enum role)(unsigned char)payload.p[0], fd);
        return;
    }
    if (fd >= 0)
        close(fd);
    if (type == FRAME_DRAIN)
        drain(d);
    else if (type == FRAME_RETIRE)
        retire(d);
    else if (type == FRAME_REOPEN_LOG)
        log_reopen();
}

/* Nobody would start or stop us any more. */
static void on_control_closed(void *ctx, struct link *l)
{
    struct door *d = ctx;
    (void)l;
    d->control = NULL;
    uv_stop(&d->loop);
}

static const struct link_events control_events = {on_control_frame, on_control_closed, NULL};

static void set_limits(struct door *d)
{
    const struct limits *l = &d->set->limits;
    d->limits = (struct smtp_limits){
        .message_size = l->message_size,
        .header_bytes = l->header_bytes,
        .hops = l->received_hops,
        .recipients = l->recipients,
        .errors = l->errors,
        .commands = l->commands,
        .transactions = l->transactions,
        .line_length = l->line_length,
        .bdat_chunks = l->bdat_chunks,
    };
}

static int open_incoming(const struct settings *set)
{
    char *path = xasprintf("%s/incoming", set->paths.spool);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        log_event(LOG_WARN, NULL, "no-incoming", F_STR("path", path),
                  F_STR("why", strerror(errno)));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(path);
    return fd;
}

static void free_all(struct door *d)
{
    access_free(d->access);
    domains_free(d->domains);
    policy_set_free(d->policies);
    recipients_free(d->recipients);
    returnpath_free(d->returns);
    asks_free(&d->asks);
    if (d->incoming >= 0)
        close(d->incoming);
    free(d->gates);
    free(d);
}

int door_main(const struct settings *set, int control_fd, const int *listeners,
              struct door_keys *keys)
{
    struct door *d = xcalloc(1, sizeof *d);
    signal(SIGPIPE, SIG_IGN);
    d->set = set;
    d->judged.since = clock_mono();
    uv_loop_init(&d->loop);
    d->incoming = open_incoming(set);
    d->access = access_open(set->access_file);
    d->domains = domains_open(&set->relay);
    d->policies = policy_set_new(set);
    d->script = settings_script(set);
    d->script_calls = -1;
    d->recipients = recipients_open(&set->recipients);
    d->auth = auth_open(d);
    d->dns = dns_new(&d->loop, &set->dns);
    wall_open(d);
    set_limits(d);
    look_at_disk(d);
    uv_timer_init(&d->loop, &d->tick);
    d->tick.data = d;
    uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS);
    d->control = link_open(&d->loop, control_fd, ROLE_DOOR, ROLE_SUPERVISOR, &control_events, d);
    keys = keys ? keys : door_keys_read(set);
    d->returns = keys->returns;
    open_gates(d, listeners, keys);
    link_send(d->control, FRAME_READY, 0, SPAN(""), -1);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&d->loop) != 0)
        return EXIT_OK; /* the supervisor died: sessions are broken off, their senders try again */
    free_all(d);
    return EXIT_OK;
}
