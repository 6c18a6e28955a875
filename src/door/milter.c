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
#include "door/guest.h"

enum {
    PROGRESS_S = 5,   /* Sendmail gives up after 5 minutes, Postfix after 300 s without a word */
    IDLE_S = 2 * 3600 /* an SMTP client may idle as long as the MTA lets it; libmilter: 7210 s */
};

enum {
    WANTED_ACTIONS = MILTER_CAN_ADD_HEADERS | MILTER_CAN_CHANGE_HEADERS | MILTER_CAN_CHANGE_BODY |
                     MILTER_CAN_ADD_RCPT | MILTER_CAN_DELETE_RCPT | MILTER_CAN_QUARANTINE |
                     MILTER_CAN_CHANGE_SENDER | MILTER_CAN_ADD_RCPT_ARGS | MILTER_CAN_SET_MACROS
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
        milter_answer_row(c, id, detail);
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
    .connect = milter_connect,
    .helo = milter_helo,
    .mail = milter_mail,
    .rcpt = milter_rcpt,
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
    hearing_end(&c->hearing);
    milter_end(&c->session);
    txn_end(c->txn); /* MAIL whose answer was due */
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
    free(c->unheard);
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
    c->session.answers_helo = policy_set_early(d->policies) || script_has(d, CALL_HELO);
    c->hearing = (struct hearing){.door = d, .heard = milter_heard, .ctx = c};
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
