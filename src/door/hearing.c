/* The policy script at the commands of an SMTP session: HELO, MAIL, RCPT (conn.c: the client). What
 * policies in the settings say at HELO is here too, in front of it. */
#include "base/log.h"
#include "door/door_private.h"
#include "door/wall.h"

struct peer conn_peer(const struct conn *c)
{
    struct peer p = {.ip = c->ip,
                     .has_ip = c->has_ip,
                     .port = c->port,
                     .name = span_str(c->name),
                     .helo = span_str(c->helo),
                     .listener = span_str(c->gate->set->name),
                     .protocol = span_str(smtp_protocol(&c->smtp)),
                     .auth_user = span_str(c->user)};
    SSL *ssl = stream_ssl(c->stream);
    if (ssl) {
        p.tls_version = span_str(SSL_get_version(ssl));
        p.tls_cipher = span_str(SSL_get_cipher_name(ssl));
    }
    return p;
}

/* ---- what a message takes along ---- */

/* The first reason counts. */
static void hold_as_failed(struct txn *t, const struct hearing *h)
{
    if (h->hold && !t->hold.p)
        t->hold = SPAN("the script failed");
}

void txn_heard_sender(struct txn *t, const struct hearing *h, enum heard what,
                      const struct saying *says)
{
    t->req.said.asked |= CALL_SENDER;
    saying_add(&t->req.said.all, t->arena, says);
    if (what == HEARD_DISCARD && !t->discard)
        t->discard = "script";
    hold_as_failed(t, h);
}

void txn_heard_recipient(struct txn *t, const struct hearing *h, const struct saying *says)
{
    t->req.said.asked |= CALL_RECIPIENT;
    t->pending_says = *says;
    hold_as_failed(t, h);
}

/* ---- HELO ---- */

static void refuse_helo(struct conn *c, struct span reply)
{
    log_event(LOG_NOTE, c->id, "helo-refused", F_STR("helo", c->helo), F_SPAN("why", reply));
    smtp_answer_text(&c->smtp, reply);
}

/* true: the session is answered. */
static bool policy_at_helo(struct conn *c)
{
    struct stage_answer answer;
    if (c->discard || c->hearing.decided)
        return false;
    struct arena *a = arena_new(0);
    struct peer peer = conn_peer(c);
    bool decided = stage_decides(c->door, STAGE_HELO, &peer, SPAN_NONE, SPAN_NONE, a, &answer);
    if (decided && answer.discard)
        c->discard = "policy at HELO";
    else if (decided)
        refuse_helo(c, answer.reply);
    arena_free(a);
    return decided && !answer.discard;
}

/* relay() is due here when the client became another one by XCLIENT. */
static bool hear_helo(struct conn *c)
{
    struct peer peer = conn_peer(c);
    struct hearing *h = &c->hearing;
    return hearing_ask(h, CALL_RELAY, c->id, &peer, SPAN_NONE, SPAN_NONE, NULL) ||
           hearing_ask(h, CALL_HELO, c->id, &peer, SPAN_NONE, SPAN_NONE, NULL);
}

void conn_helo(void *ctx, struct span name, bool esmtp)
{
    struct conn *c = ctx;
    (void)esmtp;
    string_set(&c->helo, name);
    hearing_helo(&c->hearing);
    if (c->guest)
        guest_helo(c->guest, name);
    if (!policy_at_helo(c) && !hear_helo(c))
        smtp_answer(&c->smtp, R_EHLO, NULL);
}

static void helo_heard(struct conn *c, enum heard what, struct span reply)
{
    if (what == HEARD_REFUSAL)
        refuse_helo(c, reply);
    else if (!hear_helo(c))
        smtp_answer(&c->smtp, R_EHLO, NULL);
    conn_go_on(c);
}

/* ---- connection ---- */

static void client_heard(struct conn *c, enum heard what, struct span reply)
{
    if (what == HEARD_REFUSAL) {
        c->greeting = false;
        c->ending = "script";
        log_event(LOG_NOTE, c->id, "client-refused", F_SPAN("why", reply));
        unsigned code;
        smtp_refuse_text(&c->smtp, reply_valid(reply, &code) ? reply : SPAN("550 5.7.1 Refused"));
    }
    conn_greet_on(c);
}

/* ---- MAIL ---- */

bool hear_sender(struct conn *c, const struct smtp_path *from)
{
    struct txn *t = c->txn;
    if (!hearing_ask(&c->hearing, CALL_SENDER, t->req.id, &t->req.peer, t->req.env.from, SPAN_NONE,
                     t->arena))
        return false;
    struct smtp_path *copy = ARENA_NEW(t->arena, struct smtp_path);
    *copy = *from;
    t->path = copy;
    return true;
}

static void sender_heard(struct conn *c, enum heard what, struct span reply,
                         const struct saying *says)
{
    struct txn *t = c->txn;
    if (what == HEARD_REFUSAL) {
        smtp_answer_text(&c->smtp, reply);
        txn_end(t);
    } else {
        txn_heard_sender(t, &c->hearing, what, says);
        wall_mail(c, t->path);
    }
    conn_go_on(c);
}

/* ---- RCPT ---- */

/* The wall will refuse it whatever the script says: no question for that. */
static bool refused_anyway(const struct conn *c)
{
    return c->guest && !c->smtp.authenticated && !guest_pending(c->guest) &&
           guest_refusal(c->guest) && !wall_wanted_by(c->door, c->txn->pending.addr);
}

bool hear_recipient(struct conn *c)
{
    struct txn *t = c->txn;
    t->pending_says = (struct saying){0};
    t->pending_heard = false;
    if (refused_anyway(c))
        return false;
    t->pending_heard = hearing_ask(&c->hearing, CALL_RECIPIENT, t->req.id, &t->req.peer,
                                   t->req.env.from, t->pending.addr, t->arena);
    return t->pending_heard;
}

static void recipient_heard(struct conn *c, enum heard what, struct span reply,
                            const struct saying *says)
{
    struct txn *t = c->txn;
    txn_heard_recipient(t, &c->hearing, says);
    if (what == HEARD_DISCARD)
        t->fate = FATE_DROP;
    if (what == HEARD_REFUSAL)
        rcpt_refuse(c, t->pending.addr, R_RCPT_DENIED, reply);
    else
        wall_rcpt(c);
    conn_go_on(c);
}

void conn_heard(void *ctx, enum script_call call, enum heard what, struct span reply,
                const struct saying *says)
{
    struct conn *c = ctx;
    if (call == CALL_SENDER)
        sender_heard(c, what, reply, says);
    else if (call == CALL_RECIPIENT)
        recipient_heard(c, what, reply, says);
    else if (c->greeting)
        client_heard(c, what, reply);
    else
        helo_heard(c, what, reply);
}
