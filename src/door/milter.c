/* A session with an MTA that asks us by milter: its stream, its machine, its messages.
 *
 * The message is put together as the MTA has it and goes the same way as one by SMTP (passage.c);
 * nothing of it is queued here but what is held. While it is judged the MTA hears of progress. An
 * idle session holds no buffers. */
#include "door/milter_private.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "door/wall.h"
#include "smtp/params.h"

enum {
    PROGRESS_S = 5,   /* Sendmail gives up after 5 minutes, Postfix after 300 s without a word */
    IDLE_S = 2 * 3600 /* an SMTP client may idle as long as the MTA lets it; libmilter: 7210 s */
};

enum {
    WANTED_ACTIONS = MILTER_CAN_ADD_HEADERS | MILTER_CAN_CHANGE_HEADERS | MILTER_CAN_CHANGE_BODY |
                     MILTER_CAN_DELETE_RCPT | MILTER_CAN_QUARANTINE | MILTER_CAN_SET_MACROS
};

const char *milter_session_id(const struct milter_conn *c)
{
    return c->id;
}

static void set_deadline(struct milter_conn *c)
{
    bool working = c->session.wait == MILTER_W_END;
    stream_deadline(c->stream, (working ? PROGRESS_S : IDLE_S) * USEC_PER_SEC);
}

/* ---- answers ---- */

static void set_string(char **to, struct span s)
{
    free(*to);
    *to = NULL;
    if (s.n == 0)
        return;
    *to = xmalloc(s.n + 1);
    memcpy(*to, s.p, s.n);
    (*to)[s.n] = '\0';
}

static void answer_row(struct milter_conn *c, enum reply_id id, const char *detail)
{
    struct buf b = {0};
    reply_add(&b, id, detail);
    milter_answer_text(&c->session, span_trim(buf_span(&b)));
    buf_free(&b);
}

static void refuse(struct milter_conn *c, const char *event, struct span addr, enum reply_id id,
                   struct span text)
{
    c->refused++;
    log_event(LOG_NOTE, c->id, event, F_SPAN("address", addr),
              F_SPAN("why", text.p ? text : span_str(reply_row(id)->text)));
    if (text.p)
        milter_answer_text(&c->session, text);
    else
        answer_row(c, id, NULL);
}

/* ---- connect, HELO ---- */

static void rcpt_go_on(struct milter_conn *c);

static void on_guest(void *ctx)
{
    struct milter_conn *c = ctx;
    if (!c->guest_waits || guest_pending(c->guest))
        return;
    c->guest_waits = false;
    rcpt_go_on(c);
    stream_more(c->stream);
}

/* The MTA has its own ways before the greeting; what is asked about its client is the same. */
static void meet_guest(struct milter_conn *c)
{
    struct door *d = c->door;
    bool named = c->name && c->name[0] != '[' && strcmp(c->name, "unknown") != 0;
    guest_free(c->guest);
    c->guest = NULL;
    c->guest_waits = false;
    if (!c->has_ip || wall_exempt(d, &c->ip, named ? c->name : NULL))
        return;
    c->guest = guest_new(d, c->id, &c->ip, on_guest, c);
    guest_call(c->guest, 0);
    guest_named(c->guest, named ? DNS_OK : DNS_NONE);
}

struct guest *milter_guest(const struct milter_conn *c)
{
    return milter_macro(&c->session, "auth_authen").n ? NULL : c->guest;
}

static void host_connect(void *ctx, struct span name, const struct ip *ip, uint16_t port)
{
    struct milter_conn *c = ctx;
    c->has_ip = ip;
    if (ip)
        c->ip = *ip;
    else
        c->has_ip = ip_parse(milter_macro(&c->session, "client_addr"), &c->ip);
    c->port = port;
    c->discard = false;
    set_string(&c->name, name);
    set_string(&c->helo, SPAN_NONE);
    struct access_rule rule = {.verb = ACCESS_NONE};
    if (c->has_ip)
        rule = access_client(c->door->access, &c->ip, span_str(c->name));
    if (rule.verb == ACCESS_REJECT || rule.verb == ACCESS_ERROR) {
        refuse(c, "client-refused", span_str(c->name), R_CLIENT_DENIED, rule.reply);
        return;
    }
    c->discard = rule.verb == ACCESS_DISCARD;
    meet_guest(c);
    milter_answer(&c->session, MILTER_CONTINUE);
}

static void host_helo(void *ctx, struct span name)
{
    struct milter_conn *c = ctx;
    set_string(&c->helo, name);
    if (c->guest)
        guest_helo(c->guest, name);
}

/* ---- MAIL ---- */

static struct span dup_present(struct txn *t, struct span s)
{
    return s.n ? arena_dup(t->arena, s) : SPAN_NONE;
}

static void fill_peer(struct txn *t)
{
    struct milter_conn *c = t->milter;
    const struct milter_session *m = &c->session;
    struct peer *p = &t->req.peer;
    p->ip = c->ip;
    p->has_ip = c->has_ip;
    p->behind_mta = true;
    p->port = c->port;
    p->name = dup_present(t, span_str(c->name));
    p->helo = dup_present(t, span_str(c->helo));
    p->listener = arena_dup(t->arena, span_str(c->gate->set->name));
    p->tls_version = dup_present(t, milter_macro(m, "tls_version"));
    p->tls_cipher = dup_present(t, milter_macro(m, "cipher"));
    p->auth_user = dup_present(t, milter_macro(m, "auth_authen"));
    p->protocol =
        arena_printf(t->arena, "ESMTP%s%s", p->tls_version.n ? "S" : "", p->auth_user.n ? "A" : "");
}

/* The MTA has checked them; what can't be understood is left out. */
static void take_mail_args(struct txn *t, struct span args)
{
    struct envelope *env = &t->req.env;
    struct span arg;
    while (milter_string(&args, &arg)) {
        struct mail_params p;
        char name[PARAM_NAME_SIZE];
        if (arg.n == 0 || mail_params_parse(arg, true, &p, name) != PARAM_OK)
            continue;
        env->smtputf8 |= p.smtputf8;
        env->body_8bit |= p.body_8bit;
        if (p.ret != MAIL_RET_NONE)
            env->ret = p.ret == MAIL_RET_FULL ? RET_FULL : RET_HDRS;
        if (p.envid.p)
            env->envid = arena_dup(t->arena, p.envid);
    }
}

static void take_rcpt_args(struct txn *t, struct span args, struct rcpt *r)
{
    struct span arg;
    while (milter_string(&args, &arg)) {
        struct rcpt_params p;
        char name[PARAM_NAME_SIZE];
        if (arg.n == 0 || rcpt_params_parse(arg, true, &p, name) != PARAM_OK)
            continue;
        r->notify |= (uint8_t)p.notify;
        if (p.orcpt.p)
            r->orcpt = arena_dup(t->arena, p.orcpt);
    }
}

static void open_message(struct milter_conn *c, struct span addr, struct span args,
                         const char *discard)
{
    struct txn *t = txn_new(c->door);
    t->milter = c;
    c->txn = t;
    t->shape = ARENA_NEW(t->arena, struct milter_message);
    t->milter_holds = c->gate->set->milter_hold == MILTER_HOLD_MTA &&
                      milter_may(&c->session, MILTER_CAN_QUARANTINE);
    t->discard = discard;
    t->req.env.from = arena_dup(t->arena, addr);
    take_mail_args(t, args);
    fill_peer(t);
}

static bool lookup_of(struct span addr, struct smtp_path *path, struct lookup *l)
{
    return mailbox_parse(addr, true, path) == PATH_OK && lookup_make(path, l);
}

/* As conn_mail's. true: the MTA is answered; the message stays open until it says what it does. */
static bool policy_at_mail(struct milter_conn *c)
{
    struct txn *t = c->txn;
    struct stage_answer answer;
    if (!stage_decides(c->door, STAGE_MAIL, &t->req.peer, t->req.env.from, SPAN_NONE, t->arena,
                       &answer))
        return false;
    if (answer.discard) {
        t->discard = arena_printf(t->arena, "policy %s", answer.policy).p;
        return false;
    }
    struct span reply = answer.reply;
    refuse(c, "sender-refused", t->req.env.from, R_SENDER_DENIED, reply);
    c->txn = NULL;
    txn_end(t);
    return true;
}

static void host_mail(void *ctx, struct span addr, struct span args)
{
    struct milter_conn *c = ctx;
    struct door *d = c->door;
    struct access_rule rule = {.verb = ACCESS_NONE};
    struct smtp_path path;
    struct lookup l = {0};
    if (d->full) {
        answer_row(c, R_SPOOL_FULL, NULL);
        return;
    }
    if (!access_ok(d->access)) {
        answer_row(c, R_MAP_TROUBLE, NULL);
        return;
    }
    if (addr.n == 0 || lookup_of(addr, &path, &l))
        rule = access_sender(d->access, &l);
    if (rule.verb == ACCESS_REJECT || rule.verb == ACCESS_ERROR) {
        refuse(c, "sender-refused", addr, R_SENDER_DENIED, rule.reply);
        return;
    }
    open_message(c, addr, args,
                 c->discard                    ? "access map: client"
                 : rule.verb == ACCESS_DISCARD ? "access map: sender"
                                               : NULL);
    if (rule.verb != ACCESS_QUARANTINE && c->has_ip)
        rule = access_client(d->access, &c->ip, span_str(c->name));
    if (rule.verb == ACCESS_QUARANTINE)
        c->txn->hold = arena_dup(c->txn->arena, rule.reply);
    if (milter_guest(c))
        guest_sender(c->guest, lookup_domain(&l));
    if (!policy_at_mail(c))
        milter_answer(&c->session, MILTER_CONTINUE);
}

/* ---- RCPT ---- */

static void take_rcpt(struct milter_conn *c)
{
    struct txn *t = c->txn;
    struct envelope *env = &t->req.env;
    *map_at(&t->seen, t->pending.addr) = t;
    *ARENA_PUSH(t->arena, env->rcpts, env->nrcpts, env->cap) = t->pending;
    milter_answer(&c->session, MILTER_CONTINUE);
}

static void refuse_rcpt(struct milter_conn *c, enum reply_id id, struct span text)
{
    refuse(c, "recipient-refused", c->txn->pending.addr, id, text);
}

static void check_existence(struct milter_conn *c, const struct lookup *l)
{
    struct door *d = c->door;
    struct span reply = SPAN_NONE;
    switch (recipients_check(d->recipients, l, clock_mono(), &reply)) {
    case RECIPIENT_OK:
        take_rcpt(c);
        return;
    case RECIPIENT_UNKNOWN:
        refuse_rcpt(c, R_RCPT_UNKNOWN, SPAN_NONE);
        return;
    case RECIPIENT_REFUSED:
        refuse_rcpt(c, R_RCPT_DENIED, reply);
        return;
    case RECIPIENT_TROUBLE:
        refuse_rcpt(c, R_MAP_TROUBLE, SPAN_NONE);
        return;
    case RECIPIENT_ASK:
        break;
    }
    if (callout_send(d, c->txn, lookup_addr(l), c->txn->pending.addr) != 0)
        refuse_rcpt(c, R_RCPT_UNVERIFIED, SPAN_NONE);
}

void milter_rcpt_known(struct txn *t, enum rcpt_code code)
{
    struct milter_conn *c = t->milter;
    if (code == RCPT_OK)
        take_rcpt(c);
    else
        refuse_rcpt(c, code == RCPT_UNKNOWN ? R_RCPT_UNKNOWN : R_RCPT_UNVERIFIED, SPAN_NONE);
    stream_more(c->stream);
}

/* Whether anybody may send there is the MTA's business; whether our own recipients exist and what
 * the access map says about them is ours. */
static void host_rcpt(void *ctx, struct span addr, struct span args)
{
    struct milter_conn *c = ctx;
    struct door *d = c->door;
    struct txn *t = c->txn;
    struct smtp_path path;
    struct lookup l;
    t->pending = (struct rcpt){.addr = arena_dup(t->arena, addr)};
    take_rcpt_args(t, args, &t->pending);
    if (map_get(&t->seen, addr)) {
        milter_answer(&c->session, MILTER_CONTINUE);
        return;
    }
    if (t->req.env.nrcpts + t->ndropped >= d->limits.recipients) {
        refuse_rcpt(c, R_TOO_MANY_RCPTS, SPAN_NONE);
        return;
    }
    if (!lookup_of(addr, &path, &l)) { /* the MTA knows what it means */
        take_rcpt(c);
        return;
    }
    struct access_rule rule = access_recipient(d->access, &l);
    if (rule.verb == ACCESS_QUARANTINE && !t->hold.p)
        t->hold = arena_dup(t->arena, rule.reply);
    struct stage_answer answer = {0};
    bool decided = stage_decides(d, STAGE_RCPT, &t->req.peer, t->req.env.from, t->pending.addr,
                                 t->arena, &answer);
    if (rule.verb == ACCESS_REJECT || rule.verb == ACCESS_ERROR) {
        refuse_rcpt(c, R_RCPT_DENIED, rule.reply);
    } else if (decided && !answer.discard) {
        refuse_rcpt(c, R_RCPT_DENIED, answer.reply);
    } else if (decided || rule.verb == ACCESS_DISCARD) {
        log_event(LOG_NOTE, t->req.id, "recipient-discarded", F_SPAN("to", addr));
        *ARENA_PUSH(t->arena, t->dropped, t->ndropped, t->dropped_cap) = t->pending;
        milter_answer(&c->session, MILTER_CONTINUE);
    } else {
        bool ours = domains_has(d->domains, lookup_domain(&l));
        t->fate = ours ? FATE_LOOK : FATE_TAKE;
        t->pending_key = arena_dup(t->arena, lookup_addr(&l));
        rcpt_go_on(c);
    }
}

/* What the wall says, then whether the recipient exists. */
static void rcpt_go_on(struct milter_conn *c)
{
    struct txn *t = c->txn;
    struct guest *g = milter_guest(c);
    struct lookup l;
    if (!t)
        return;
    if (g && guest_pending(g)) {
        c->guest_waits = true;
        return;
    }
    const struct finding *f = g ? guest_refusal(g) : NULL;
    if (f && !wall_wanted_by(c->door, t->pending.addr)) {
        refuse_rcpt(c, R_RCPT_DENIED, span_str(f->reply));
        return;
    }
    if (g)
        guest_passed(g);
    lookup_from_key(t->pending_key, &l);
    if (t->fate == FATE_LOOK)
        check_existence(c, &l);
    else
        take_rcpt(c);
}

/* ---- content ---- */

static void too_large(struct txn *t, enum reply_id why)
{
    t->shape->too_large = true;
    t->shape->too_large_why = why;
    milter_enough(&t->milter->session);
}

/* The MTA tells folds as LF; as bytes of the message they are CRLF. */
static void add_value(struct buf *b, struct span value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\n' && (i == 0 || value.p[i - 1] != '\r'))
            buf_char(b, '\r');
        buf_char(b, value.p[i]);
    }
}

static void host_header(void *ctx, struct span name, struct span value)
{
    struct milter_conn *c = ctx;
    struct txn *t = c->txn;
    struct milter_message *m = t->shape;
    if (m->too_large)
        return;
    if (m->head.n + name.n + value.n > c->door->limits.header_bytes) {
        too_large(t, R_HEADER_BIG);
        return;
    }
    uint64_t at = m->head.n;
    buf_add(&m->head, name);
    buf_str(&m->head, milter_leading_space(&c->session) ? ":" : ": ");
    add_value(&m->head, value);
    buf_str(&m->head, "\r\n");
    *ARENA_PUSH(t->arena, m->fields, m->n, m->cap) =
        (struct milter_field){arena_dup(t->arena, span_trim(name)), at, m->head.n - at};
}

static void host_eoh(void *ctx)
{
    struct txn *t = ((struct milter_conn *)ctx)->txn;
    struct milter_message *m = t->shape;
    m->blank = m->head.n;
    if (txn_begin_content(t) != R_DATA_GO) {
        too_large(t, R_LOCAL_ERROR);
        return;
    }
    buf_str(&m->head, "\r\n");
    txn_content(t, buf_span(&m->head));
    buf_free(&m->head);
}

static void host_body(void *ctx, struct span bytes)
{
    struct milter_conn *c = ctx;
    struct txn *t = c->txn;
    if (t->shape->too_large)
        return;
    if (bytes.n >
        c->door->limits.message_size -
            (t->size < c->door->limits.message_size ? t->size : c->door->limits.message_size))
        too_large(t, R_TOO_BIG);
    else
        txn_content(t, bytes);
}

static void host_end(void *ctx)
{
    struct milter_conn *c = ctx;
    struct txn *t = c->txn;
    struct envelope *env = &t->req.env;
    set_deadline(c);
    if (env->nrcpts == 0) { /* all of them are to be discarded */
        env->rcpts = t->dropped;
        env->nrcpts = env->cap = t->ndropped;
        t->discard = "access map: recipient";
        t->ndropped = 0;
    }
    if (t->shape->too_large)
        milter_finish(t, t->shape->too_large_why, NULL);
    else if (env->nrcpts == 0)
        milter_finish(t, R_LOCAL_ERROR, NULL); /* no MTA of this world */
    else
        passage_begin(t);
}

void milter_finish(struct txn *t, enum reply_id id, const char *detail)
{
    struct milter_conn *c = t->milter;
    struct milter_message *m = t->shape;
    bool decided = (id == R_STORED || id == R_DISCARDED) && t->scanned;
    passage_log(t, decided ? m->code : reply_row(id)->code);
    c->messages++;
    if (decided && m->edits.n)
        stream_write(c->stream, buf_span(&m->edits));
    /* These end t. */
    if (!decided)
        answer_row(c, id, detail);
    else if (m->text.p)
        milter_answer_text(&c->session, arena_dup(t->arena, m->text));
    else
        milter_answer(&c->session, m->verdict);
    if (c->leaving) {
        stream_finish(c->stream);
        return;
    }
    stream_more(c->stream);
    set_deadline(c);
}

void milter_message_free(struct milter_message *m)
{
    buf_free(&m->head);
    buf_free(&m->edits);
}

static void host_reset(void *ctx)
{
    struct milter_conn *c = ctx;
    struct txn *t = c->txn;
    c->txn = NULL;
    if (!t)
        return;
    milter_message_free(t->shape);
    txn_end(t);
}

/* ---- stream ---- */

static void host_send(void *ctx, struct span bytes)
{
    stream_write(((struct milter_conn *)ctx)->stream, bytes);
}

static void host_close(void *ctx, const char *why)
{
    struct milter_conn *c = ctx;
    c->ending = why;
    if (span_eq(span_str(why), SPAN("quit")))
        stream_finish(c->stream);
    else
        stream_close(c->stream);
}

static const struct milter_host host = {
    .send = host_send,
    .connect = host_connect,
    .helo = host_helo,
    .mail = host_mail,
    .rcpt = host_rcpt,
    .header = host_header,
    .eoh = host_eoh,
    .body = host_body,
    .end = host_end,
    .reset = host_reset,
    .close = host_close,
};

/* MTAs send small packets that are not answered. Nagle's algorithm at their end holds the next one
 * back until we acknowledge, which the kernel puts off by 40 ms: three times a message from
 * Sendmail. The option lasts for a moment only. */
static void acknowledge(const struct milter_conn *c)
{
    int on = 1;
    if (c->tcp >= 0)
        setsockopt(c->tcp, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

/* While an answer is due nothing is taken, but reading goes on: an MTA that goes away ends the
 * message at once, so that what it will send again is not held twice. */
static size_t on_data(void *ctx, struct span bytes)
{
    struct milter_conn *c = ctx;
    size_t used = milter_input(&c->session, bytes);
    if (!c->session.closed)
        acknowledge(c);
    if (!c->session.closed && !milter_waiting(&c->session))
        set_deadline(c);
    return used;
}

static void on_timeout(void *ctx)
{
    struct milter_conn *c = ctx;
    if (c->session.wait != MILTER_W_END) {
        c->ending = "timeout";
        stream_close(c->stream);
        return;
    }
    struct buf b = {0};
    milter_progress(&b);
    stream_write(c->stream, buf_span(&b));
    buf_free(&b);
    set_deadline(c);
}

static void on_close(void *ctx, const char *why)
{
    struct milter_conn *c = ctx;
    struct door *d = c->door;
    bool broken = milter_in_message(&c->session);
    milter_end(&c->session);
    log_event(broken ? LOG_WARN : LOG_NOTE, c->id, "milter-session",
              F_STR("listener", c->gate->set->name), F_INT("messages", c->messages),
              F_INT("refused", c->refused), F_STR("end", c->ending ? c->ending : why),
              F_STR("message", broken ? "broken-off" : ""),
              F_INT("ms", (clock_mono() - c->opened) / 1000));
    *(c->prev ? &c->prev->next : &d->milters) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    d->nconns--;
    guest_free(c->guest);
    free(c->name);
    free(c->helo);
    free(c);
    door_conn_gone(d);
}

static const struct stream_events events = {
    .on_data = on_data, .on_timeout = on_timeout, .on_close = on_close};

void milter_open(struct gate *g, int fd)
{
    struct door *d = g->door;
    if (d->nconns >= d->set->limits.sessions) {
        log_event(LOG_WARN, NULL, "too-many-sessions", F_INT("sessions", d->nconns));
        close(fd); /* the MTA does what it does without a filter */
        return;
    }
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    struct milter_conn *c = xcalloc(1, sizeof *c);
    c->gate = g;
    c->door = d;
    c->opened = clock_mono();
    id_new(c->id);
    c->next = d->milters;
    if (c->next)
        c->next->prev = c;
    d->milters = c;
    d->nconns++;
    milter_begin(&c->session, WANTED_ACTIONS, &host, c);
    c->stream = stream_from_fd(&d->loop, fd, &events, c);
    struct ip from;
    uint16_t port;
    c->tcp = stream_peer(c->stream, &from, &port) ? fd : -1;
    set_deadline(c);
}

static void leave(struct milter_conn *c)
{
    c->leaving = true;
    if (!milter_in_message(&c->session))
        stream_finish(c->stream);
}

void milters_leave(struct door *d)
{
    for (struct milter_conn *c = d->milters, *next; c; c = next) {
        next = c->next;
        leave(c);
    }
}
