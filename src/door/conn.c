/* One SMTP session: its stream, its machine, its limits. */
#include "door/door_private.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "door/wall.h"
#include "smtp/proxy.h"

/* ---- deadlines ---- */

static void set_deadline(struct conn *c)
{
    const struct limits *l = &c->door->set->limits;
    if (c->greeting) {
        stream_deadline(c->stream, 0); /* it comes in its own time */
        return;
    }
    if (smtp_waiting(&c->smtp) && c->smtp.wait != WAIT_TLS) {
        stream_deadline(c->stream, 0); /* we are the slow ones, and have deadlines of our own */
        return;
    }
    usec in = smtp_in_content(&c->smtp) ? l->data_timeout : l->command_timeout;
    usec left = c->opened + l->session_time - clock_mono();
    if (left < 1)
        left = 1;
    stream_deadline(c->stream, in < left ? in : left);
}

static void on_timeout(void *ctx)
{
    struct conn *c = ctx;
    if (stream_full(c->stream)) { /* who does not read need not be told */
        c->ending = "timeout";
        stream_close(c->stream);
    } else if (clock_mono() >= c->opened + c->door->set->limits.session_time) {
        c->ending = "session-time";
        smtp_refuse(&c->smtp, R_TOO_LONG_SESSION);
    } else {
        c->ending = "timeout";
        smtp_timeout(&c->smtp);
    }
}

/* ---- what the machine asks ---- */

static void host_send(void *ctx, struct span bytes)
{
    stream_write(((struct conn *)ctx)->stream, bytes);
}

static enum reply_id host_begin(void *ctx)
{
    return txn_begin_content(((struct conn *)ctx)->txn);
}

static void host_content(void *ctx, struct span bytes)
{
    txn_content(((struct conn *)ctx)->txn, bytes);
}

static void host_end(void *ctx)
{
    struct conn *c = ctx;
    struct txn *t = c->txn;
    if (t->req.env.nrcpts == 0) { /* all of them were discarded */
        t->req.env.rcpts = t->dropped;
        t->req.env.nrcpts = t->req.env.cap = t->ndropped;
        t->discard = "access map: recipient";
    }
    wall_content(c);
}

static void host_reset(void *ctx)
{
    txn_end(((struct conn *)ctx)->txn);
}

void string_set(char **to, struct span s)
{
    free(*to);
    *to = NULL;
    if (s.n == 0)
        return;
    *to = xmalloc(s.n + 1);
    memcpy(*to, s.p, s.n);
    (*to)[s.n] = '\0';
}

static void host_auth(void *ctx, const char *user, const char *password, size_t n)
{
    auth_check(ctx, user, password, n);
}

static void host_starttls(void *ctx)
{
    struct conn *c = ctx;
    stream_starttls(c->stream, c->gate->tls.ctx, true, NULL);
}

static void host_close(void *ctx)
{
    struct conn *c = ctx;
    if (!c->ending)
        c->ending = "done";
    stream_finish(c->stream);
}

static bool set_client(struct conn *c);
static bool meet(struct conn *c, bool greet);

static void host_xclient(void *ctx, const struct xclient *x)
{
    struct conn *c = ctx;
    if (x->has_ip) {
        if (c->counted)
            address_leave(c->door, &c->ip);
        c->counted = false;
        c->ip = x->ip;
        c->has_ip = true;
        c->met = false;
    }
    if (x->has_port)
        c->port = x->port;
    if (x->name.p)
        string_set(&c->name, x->name);
    if (x->helo.p)
        string_set(&c->helo, x->helo);
    string_set(&c->user, x->login);
    hearing_client(&c->hearing); /* the script is asked at the next HELO */
    log_event(LOG_NOTE, c->id, "xclient", F_SPAN("login", x->login), F_SPAN("name", x->name));
    if (!meet(c, false) || !set_client(c))
        return;
    if (c->name)
        wall_named(c, DNS_OK);
    if (c->guest && c->helo)
        guest_helo(c->guest, span_str(c->helo));
}

static const struct smtp_host host = {
    .send = host_send,
    .mail = conn_mail,
    .rcpt = conn_rcpt,
    .begin = host_begin,
    .content = host_content,
    .end = host_end,
    .reset = host_reset,
    .helo = conn_helo,
    .auth = host_auth,
    .starttls = host_starttls,
    .xclient = host_xclient,
    .close = host_close,
};

/* ---- the beginning of a session ---- */

/* The address is known: sessions of one address are counted, the wall looks at it. Once for each
 * address. false: the session was refused. */
static bool meet(struct conn *c, bool greet)
{
    if (c->met)
        return true;
    c->met = true;
    bool ours = !c->has_ip || cidrs_have(&c->door->set->relay.networks, &c->ip);
    if (!ours && !c->counted) {
        if (!address_enter(c->door, &c->ip)) {
            c->ending = "too-many-from-address";
            smtp_refuse(&c->smtp, R_BUSY_ADDRESS);
            return false;
        }
        c->counted = true;
    }
    return wall_meet(c, greet);
}

/* What follows from the client's address and name. false: the session was refused. */
static bool set_client(struct conn *c)
{
    struct door *d = c->door;
    const struct relay_settings *relay = &d->set->relay;
    c->relay_client = c->has_ip && cidrs_have(&relay->networks, &c->ip);
    c->discard = NULL;
    if (!c->has_ip)
        return true;
    struct access_rule rule = access_client(d->access, &c->ip, span_str(c->name));
    if (access_refuses(&rule) && d->set->access_delay != ACCESS_DELAY_NO)
        return true; /* told to the recipients, see conn_rcpt */
    switch (rule.verb) {
    case ACCESS_REJECT:
        c->ending = "access-map";
        smtp_refuse(&c->smtp, R_CLIENT_DENIED);
        return false;
    case ACCESS_ERROR:
        c->ending = "access-map";
        smtp_refuse_text(&c->smtp, rule.reply);
        return false;
    case ACCESS_DISCARD:
        c->discard = "access map: client";
        return true;
    case ACCESS_RELAY:
        c->relay_client = true;
        return true;
    case ACCESS_QUARANTINE: /* of each message: see open_transaction */
    case ACCESS_OK:
    case ACCESS_NONE:
        return true;
    }
    return true;
}

static void set_policy(struct conn *c)
{
    const struct settings *set = c->door->set;
    const struct listener *l = c->gate->set;
    bool submission = l->profile == PROFILE_SUBMISSION;
    c->policy = (struct smtp_policy){
        .hostname = set->hostname,
        .banner = set->banner,
        .tls_offered = l->tls == TLS_MODE_STARTTLS && c->gate->tls.ctx,
        .tls_required = l->require_tls,
        .auth_offered = submission && c->door->auth,
        .auth_required = l->require_auth,
        .auth_plaintext = set->auth.plaintext,
        .xclient = c->has_ip && cidrs_have(&l->xclient_from, &c->ip),
        .normalise = set->line_endings == LINES_NORMALISE,
    };
}

static void on_name(void *ctx, enum dns_status st, struct span name)
{
    struct conn *c = ctx;
    c->question = NULL;
    if (st == DNS_OK)
        string_set(&c->name, name);
    wall_named(c, st);
    conn_greet_on(c);
}

/* Who may be refused at once for his address, or is going to be, need not be asked for his name,
 * unless the access map knows it. */
static bool name_can_wait(const struct conn *c)
{
    const struct settings *set = c->door->set;
    return c->guest && (c->guest->clients || guest_refusal(c->guest)) && !c->teased &&
           set->wall.refuse == WALL_AT_CONNECT && !set->access_file &&
           set->wall.exempt_names.n == 0;
}

/* The client's name is found before the greeting: the access map, the rules and the trace field
 * need it. */
static void ask_name(struct conn *c)
{
    struct door *d = c->door;
    if (c->named || !d->set->dns.client_names || !c->has_ip || ip_is_loopback(&c->ip) ||
        name_can_wait(c))
        return;
    c->named = true;
    c->question = dns_reverse(d->dns, &c->ip, on_name, c);
}

/* Until the greeting nothing is read; but while a guest waits for the sake of waiting, his first
 * bytes are looked at. */
static void hold_input(struct conn *c)
{
    bool listen = c->guest && c->guest->waiting && !c->guest->found[FOUND_PREGREET].value;
    if (listen == !c->held)
        return;
    c->held = !listen;
    if (c->held)
        stream_pause(c->stream);
    else
        stream_resume(c->stream);
}

/* A policy that means this client, whatever it may send. */
static bool policy_refuses(struct conn *c)
{
    struct stage_answer answer;
    struct arena *a = arena_new(0);
    struct peer peer = conn_peer(c);
    bool decided = stage_decides(c->door, STAGE_CONNECT, &peer, SPAN_NONE, SPAN_NONE, a, &answer);
    if (decided && answer.discard) {
        c->discard = "policy at connect";
        decided = false;
    } else if (decided) {
        c->ending = "policy";
        smtp_refuse_text(&c->smtp, answer.reply);
    }
    arena_free(a);
    return decided;
}

static void greet(struct conn *c)
{
    if (c->hearing.ask || c->smtp.closed)
        return;
    c->greeting = false;
    if (c->door->draining) {
        smtp_refuse(&c->smtp, R_SHUTDOWN);
        return;
    }
    if (!meet(c, c->gate->set->tls != TLS_MODE_IMPLICIT))
        return;
    c->greeting = true;
    ask_name(c);
    if (c->question || wall_holds_greeting(c)) {
        hold_input(c);
        return;
    }
    c->greeting = false;
    if (!set_client(c) || policy_refuses(c) || !wall_greets(c))
        return;
    struct peer peer = conn_peer(c);
    c->greeting = hearing_ask(&c->hearing, CALL_RELAY, c->id, &peer, SPAN_NONE, SPAN_NONE, NULL);
    if (c->greeting)
        hold_input(c);
    else
        smtp_greet(&c->smtp);
}

void conn_greet_on(struct conn *c)
{
    greet(c);
    if (!c->greeting) {
        c->held = false;
        stream_resume(c->stream); /* offers what was said meanwhile */
    }
    set_deadline(c);
}

/* The real peer is known (after PROXY, if there is one): TLS first where it is implicit. */
static void begin_session(struct conn *c)
{
    if (c->gate->set->tls != TLS_MODE_IMPLICIT)
        greet(c);
    else if (c->gate->tls.ctx)
        stream_tls_behind(c->stream, c->gate->tls.ctx);
    else
        stream_close(c->stream);
}

static size_t take_proxy(struct conn *c, struct span bytes)
{
    struct proxy_header h;
    size_t used;
    switch (proxy_parse(bytes, &used, &h)) {
    case PROXY_MORE:
        return 0;
    case PROXY_BAD:
        log_event(LOG_WARN, c->id, "bad-proxy-header", F_INT("size", bytes.n));
        c->ending = "bad-proxy-header";
        stream_close(c->stream);
        return bytes.n;
    case PROXY_DONE:
        break;
    }
    c->proxy_wanted = false;
    if (h.has_ip) {
        c->ip = h.ip;
        c->port = h.port;
        c->policy.xclient = cidrs_have(&c->gate->set->xclient_from, &c->ip);
    }
    begin_session(c);
    return used;
}

/* ---- stream ---- */

static size_t on_data(void *ctx, struct span bytes)
{
    struct conn *c = ctx;
    size_t used = 0;
    if (c->proxy_wanted) {
        used = take_proxy(c, bytes);
        /* With implicit TLS what follows is not for us. */
        if (c->proxy_wanted || c->gate->set->tls == TLS_MODE_IMPLICIT || c->smtp.closed)
            return used;
    }
    if (c->greeting) {
        if (c->guest && used < bytes.n)
            guest_spoke(c->guest, span_from(bytes, used));
        if (c->greeting)
            hold_input(c);
        set_deadline(c);
        return c->smtp.closed ? bytes.n : used;
    }
    used += smtp_input(&c->smtp, span_from(bytes, used));
    if (c->smtp.closed)
        return bytes.n;
    /* Nothing is taken before the open question is answered, nor from somebody who does not read
     * our replies. */
    if ((smtp_waiting(&c->smtp) && c->smtp.wait != WAIT_TLS) || stream_full(c->stream)) {
        c->paused = true;
        stream_pause(c->stream);
    }
    if (used > 0)
        set_deadline(c);
    return used;
}

static void on_drain(void *ctx)
{
    struct conn *c = ctx;
    if (!smtp_waiting(&c->smtp))
        conn_go_on(c);
}

void conn_go_on(struct conn *c)
{
    if (c->smtp.closed)
        return;
    set_deadline(c);
    if (c->paused) {
        c->paused = false;
        stream_resume(c->stream);
    }
}

static void on_secure(void *ctx)
{
    struct conn *c = ctx;
    if (stream_dropped(c->stream) > 0)
        log_event(LOG_WARN, c->id, "plaintext-before-tls",
                  F_INT("dropped", stream_dropped(c->stream)));
    if (c->gate->set->tls == TLS_MODE_IMPLICIT) {
        smtp_mark_secure(&c->smtp);
        greet(c);
    } else {
        string_set(&c->user, SPAN_NONE);
        smtp_secured(&c->smtp);
    }
    set_deadline(c);
}

static void log_session(const struct conn *c, const char *why)
{
    char ip[IP_TEXT_SIZE] = "";
    if (c->has_ip)
        ip_text(&c->ip, ip);
    SSL *ssl = stream_ssl(c->stream);
    log_event(LOG_NOTE, c->id, "session", F_STR("client", ip), F_INT("port", c->port),
              F_STR("listener", c->gate->set->name), F_STR("helo", c->helo), F_STR("user", c->user),
              F_STR("tls", ssl ? SSL_get_version(ssl) : ""), F_INT("messages", c->messages),
              F_INT("refused", c->refused), F_INT("commands", c->smtp.commands),
              F_INT("errors", c->smtp.errors), F_STR("faults", smtp_faults_text(c->smtp.faults)),
              F_STR("end", c->ending ? c->ending : why),
              F_INT("ms", (clock_mono() - c->opened) / 1000));
}

static void on_close(void *ctx, const char *why)
{
    struct conn *c = ctx;
    struct door *d = c->door;
    smtp_end(&c->smtp);
    hearing_end(&c->hearing);
    txn_end(c->txn); /* MAIL whose answer was held back */
    auth_forget(c);
    if (c->question)
        dns_cancel(c->question);
    wall_leave(c);
    log_session(c, why);
    if (c->counted)
        address_leave(d, &c->ip);
    *(c->prev ? &c->prev->next : &d->conns) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    d->nconns--;
    free(c->name);
    free(c->helo);
    free(c->user);
    free(c);
    door_conn_gone(d);
}

static const struct stream_events events = {.on_data = on_data,
                                            .on_drain = on_drain,
                                            .on_secure = on_secure,
                                            .on_timeout = on_timeout,
                                            .on_close = on_close};

/* Without a session: one line, then good-bye. */
static void turn_away(const struct door *d, int fd)
{
    struct buf b = {0};
    reply_add(&b, R_BUSY, d->set->hostname);
    ssize_t n = send(fd, b.p, b.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)n;
    buf_free(&b);
    close(fd);
}

void conn_open(struct gate *g, int fd)
{
    struct door *d = g->door;
    if (d->nconns >= d->set->limits.sessions) {
        log_event(LOG_WARN, NULL, "too-many-sessions", F_INT("sessions", d->nconns));
        turn_away(d, fd);
        return;
    }
    struct conn *c = xcalloc(1, sizeof *c);
    c->gate = g;
    c->door = d;
    c->opened = clock_mono();
    id_new(c->id);
    c->hearing = (struct hearing){.door = d, .heard = conn_heard, .ctx = c};
    c->next = d->conns;
    if (c->next)
        c->next->prev = c;
    d->conns = c;
    d->nconns++;
    c->stream = stream_from_fd(&d->loop, fd, &events, c);
    c->has_ip = stream_peer(c->stream, &c->ip, &c->port);
    set_policy(c);
    smtp_begin(&c->smtp, &d->limits, &c->policy, &host, c);
    c->proxy_wanted = c->has_ip && cidrs_have(&g->set->proxy_from, &c->ip);
    if (!c->proxy_wanted)
        begin_session(c);
    set_deadline(c);
}

void conn_leave(struct conn *c)
{
    if (c->proxy_wanted || (c->gate->set->tls == TLS_MODE_IMPLICIT && !c->smtp.secure))
        stream_close(c->stream);
    else
        smtp_leave(&c->smtp);
}
