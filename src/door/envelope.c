/* MAIL and RCPT: who may send to whom. An open relay is what this file must never make of us: a
 * recipient is taken when its domain is ours, or when the client may relay (relay.networks,
 * access map Connect: RELAY, authenticated); nothing that a sender says about himself counts. */
#include "door/door_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "door/wall.h"

struct callout {
    struct txn *t; /* NULL: a probe, or the transaction is gone */
    char key[];
};

/* ---- MAIL ---- */

static void fill_peer(struct txn *t)
{
    struct peer *p = &t->req.peer;
    *p = conn_peer(t->conn);
    p->may_relay = t->conn->relay_client || t->conn->smtp.authenticated;
    struct span *strings[] = {&p->name,      &p->helo,        &p->listener,  &p->protocol,
                              &p->auth_user, &p->tls_version, &p->tls_cipher};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (strings[i]->p)
            *strings[i] = arena_dup(t->arena, *strings[i]);
}

static void open_transaction(struct conn *c, const struct smtp_path *from,
                             const struct mail_params *params, const char *discard)
{
    struct txn *t = txn_new(c->door);
    t->conn = c;
    c->txn = t;
    struct envelope *env = &t->req.env;
    env->from = arena_dup(t->arena, path_addr(from));
    if (params->envid.p)
        env->envid = arena_dup(t->arena, params->envid);
    env->ret = params->ret == MAIL_RET_FULL   ? RET_FULL
               : params->ret == MAIL_RET_HDRS ? RET_HDRS
                                              : RET_DEFAULT;
    env->smtputf8 = params->smtputf8;
    env->body_8bit = params->body_8bit;
    t->discard = discard;
    fill_peer(t);
    hearing_message(&c->hearing, &t->req.said, t->arena);
    if (c->hearing.hold)
        t->hold = SPAN("the script failed");
}

static void refuse_sender(struct conn *c, const struct smtp_path *from, enum reply_id id,
                          struct span text)
{
    log_event(LOG_NOTE, c->id, "sender-refused", F_SPAN("from", path_addr(from)),
              F_SPAN("why", text.p ? text : span_str(reply_row(id)->text)));
    if (text.p)
        smtp_answer_text(&c->smtp, text);
    else
        smtp_answer(&c->smtp, id, NULL);
}

/* The first reason counts. */
static void hold_by_access(struct txn *t, const struct access_rule *rule)
{
    if (rule->verb == ACCESS_QUARANTINE && !t->hold.p)
        t->hold = arena_dup(t->arena, rule->reply);
}

/* Policies that mean this sender. true: the session is answered. */
static bool policy_at_mail(struct conn *c)
{
    struct txn *t = c->txn;
    struct span reply;
    if (!stage_refuses_sender(t, &reply))
        return false;
    smtp_answer_text(&c->smtp, reply);
    c->txn = NULL;
    txn_end(t);
    return true;
}

void conn_mail(void *ctx, const struct smtp_path *from, const struct mail_params *params)
{
    struct conn *c = ctx;
    struct door *d = c->door;
    struct lookup l = {0};
    if (!from->null && from->at == from->n) {
        refuse_sender(c, from, R_SENDER_UNQUALIFIED, SPAN_NONE);
        return;
    }
    if (!from->null && !lookup_make(from, &l)) {
        refuse_sender(c, from, R_BAD_SENDER_SYNTAX, SPAN_NONE);
        return;
    }
    if (d->full) {
        smtp_answer(&c->smtp, R_SPOOL_FULL, NULL);
        return;
    }
    if (!access_ok(d->access)) {
        smtp_answer(&c->smtp, R_MAP_TROUBLE, NULL);
        return;
    }
    const char *discard = c->discard ? c->discard : c->hearing.discard ? "script" : NULL;
    struct access_rule rule = access_sender(d->access, &l);
    if (access_refuses(&rule) && d->set->access_delay == ACCESS_DELAY_NO) {
        refuse_sender(c, from, R_SENDER_DENIED, rule.reply);
        return;
    }
    if (rule.verb == ACCESS_DISCARD)
        discard = "access map: sender";
    open_transaction(c, from, params, discard);
    c->txn->from = ARENA_NEW(c->txn->arena, struct lookup);
    *c->txn->from = l;
    hold_by_access(c->txn, &rule);
    if (c->has_ip) {
        rule = access_client(d->access, &c->ip, span_str(c->name));
        hold_by_access(c->txn, &rule);
    }
    if (!policy_at_mail(c) && !hear_sender(c, from))
        wall_mail(c, from);
}

/* ---- RCPT ---- */

void rcpt_refuse(struct conn *c, struct span addr, enum reply_id id, struct span text)
{
    c->refused++;
    if (id == R_RCPT_UNKNOWN)
        wall_bad_rcpt(c);
    log_event(LOG_NOTE, c->id, "recipient-refused", F_SPAN("from", c->txn->req.env.from),
              F_SPAN("to", addr), F_SPAN("why", text.p ? text : span_str(reply_row(id)->text)));
    if (text.p)
        smtp_answer_text(&c->smtp, text);
    else
        smtp_answer(&c->smtp, id, NULL);
}

static void take_rcpt(struct conn *c, const struct rcpt *r)
{
    struct txn *t = c->txn;
    struct envelope *env = &t->req.env;
    t->nproven += t->proven;
    *map_at(&t->seen, t->pending_key) = t; /* an unknown one is refused each time */
    said_recipient(&t->req.said, t->arena, env->nrcpts, &t->pending_says);
    t->heard += t->pending_heard;
    *ARENA_PUSH(t->arena, env->rcpts, env->nrcpts, env->cap) = *r;
    smtp_answer(&c->smtp, R_RCPT_OK, NULL);
}

int callout_send(struct door *d, struct txn *t, struct span key, struct span addr)
{
    struct callout *o = xcalloc(1, sizeof *o + key.n + 1);
    memcpy(o->key, key.p, key.n);
    o->t = t;
    struct rcpt_request r = {.addr = addr};
    struct buf b = {0};
    rcpt_request_encode(&b, &r);
    struct ask *a = ask_new(&d->asks, ASK_RCPT, o, d->spool);
    int rc = d->spool ? link_send(d->spool, FRAME_RCPT_REQUEST, a->tag, buf_span(&b), -1) : -1;
    buf_free(&b);
    if (rc != 0) {
        ask_end(&d->asks, a);
        free(o);
    } else if (t) {
        t->callout = o;
    }
    return rc;
}

void callout_cancel(struct txn *t)
{
    if (t->callout)
        t->callout->t = NULL;
    t->callout = NULL;
}

static void probe_domain(struct door *d, struct span key)
{
    char probe[PROBE_SIZE];
    size_t at = span_rfind(key, '@');
    if (at != SIZE_MAX &&
        recipients_probe(d->recipients, span_from(key, at + 1), clock_mono(), probe))
        callout_send(d, NULL, span_str(probe), span_str(probe));
}

void callout_answered(struct door *d, struct ask *a, enum rcpt_code code)
{
    struct callout *o = a->owner;
    struct txn *t = o->t;
    ask_end(&d->asks, a);
    struct span key = span_str(o->key);
    recipients_learn(d->recipients, key,
                     code == RCPT_OK        ? ANSWER_YES
                     : code == RCPT_UNKNOWN ? ANSWER_NO
                                            : ANSWER_LATER,
                     clock_mono());
    if (t && t->milter) {
        t->callout = NULL;
        milter_rcpt_known(t, code);
    } else if (t) {
        struct conn *c = t->conn;
        t->callout = NULL;
        if (code == RCPT_OK)
            take_rcpt(c, &t->pending);
        else
            rcpt_refuse(c, t->pending.addr,
                        code == RCPT_UNKNOWN ? R_RCPT_UNKNOWN : R_RCPT_UNVERIFIED, SPAN_NONE);
        conn_go_on(c);
    }
    if (t && code == RCPT_OK)
        probe_domain(d, key);
    free(o);
}

/* Our own recipient: does it exist? */
static void check_existence(struct conn *c, const struct lookup *l, const struct rcpt *r)
{
    struct door *d = c->door;
    struct span reply = SPAN_NONE;
    switch (recipients_check(d->recipients, l, clock_mono(), &reply)) {
    case RECIPIENT_OK:
        take_rcpt(c, r);
        return;
    case RECIPIENT_UNKNOWN:
        rcpt_refuse(c, r->addr, R_RCPT_UNKNOWN, SPAN_NONE);
        return;
    case RECIPIENT_REFUSED:
        rcpt_refuse(c, r->addr, R_RCPT_DENIED, reply);
        return;
    case RECIPIENT_TROUBLE:
        rcpt_refuse(c, r->addr, R_MAP_TROUBLE, SPAN_NONE);
        return;
    case RECIPIENT_ASK:
        break;
    }
    c->txn->pending = *r;
    if (callout_send(d, c->txn, lookup_addr(l), r->addr) != 0)
        rcpt_refuse(c, r->addr, R_RCPT_UNVERIFIED, SPAN_NONE);
}

static void drop_rcpt(struct conn *c, const struct rcpt *r)
{
    struct txn *t = c->txn;
    log_event(LOG_NOTE, t->req.id, "recipient-discarded", F_SPAN("to", r->addr));
    *ARENA_PUSH(t->arena, t->dropped, t->ndropped, t->dropped_cap) = *r;
    smtp_answer(&c->smtp, R_RCPT_OK, NULL);
}

/* RFC 5321 section 4.5.1: <Postmaster> is the postmaster of this gateway. */
static bool qualify(struct conn *c, const struct smtp_path *to, struct smtp_path *out)
{
    *out = *to;
    if (to->at < to->n)
        return true;
    if (!span_ieq(path_addr(to), SPAN("postmaster")))
        return false;
    char text[SMTP_ADDR_MAX];
    int n = snprintf(text, sizeof text, "postmaster@%s", c->door->set->hostname);
    return n > 0 && (size_t)n < sizeof text &&
           mailbox_parse(span_of(text, (size_t)n), false, out) == PATH_OK;
}

static struct rcpt make_rcpt(struct txn *t, const struct smtp_path *to,
                             const struct rcpt_params *params)
{
    struct rcpt r = {.addr = arena_dup(t->arena, path_addr(to)), .notify = (uint8_t)params->notify};
    if (params->orcpt.p)
        r.orcpt = arena_dup(t->arena, params->orcpt);
    return r;
}

void conn_rcpt(void *ctx, const struct smtp_path *given, const struct rcpt_params *params)
{
    struct conn *c = ctx;
    struct door *d = c->door;
    struct smtp_path to;
    struct lookup l;
    bool postmaster = given->at == given->n;
    if (!qualify(c, given, &to)) {
        rcpt_refuse(c, path_addr(given), R_UNQUALIFIED, SPAN_NONE);
        return;
    }
    if (!lookup_make(&to, &l)) {
        rcpt_refuse(c, path_addr(&to), R_BAD_ADDRESS_SYNTAX, SPAN_NONE);
        return;
    }
    struct span refusal;
    if (!returns_rcpt(c->txn, &to, &l, &refusal)) {
        rcpt_refuse(c, path_addr(&to), refusal.p ? R_RCPT_DENIED : R_BAD_ADDRESS_SYNTAX, refusal);
        return;
    }
    bool returned = c->txn->returns == RETURN_SRS; /* whoever knows it was given it by us */
    bool may_relay = c->relay_client || c->smtp.authenticated || returned;
    if (!may_relay && local_is_route(path_local(&to))) {
        rcpt_refuse(c, path_addr(&to), R_ROUTED, SPAN_NONE);
        return;
    }
    struct access_rule rule = access_recipient(d->access, &l);
    bool ours =
        postmaster || rule.verb == ACCESS_RELAY || domains_has(d->domains, lookup_domain(&l));
    if (!ours && !may_relay) {
        rcpt_refuse(c, path_addr(&to), domains_ok(d->domains) ? R_RELAY_DENIED : R_MAP_TROUBLE,
                    SPAN_NONE);
        return;
    }
    if (access_refuses(&rule)) {
        rcpt_refuse(c, path_addr(&to), R_RCPT_DENIED, rule.reply);
        return;
    }
    struct access_rule late =
        access_delayed(d->access, d->set->access_delay, c->has_ip ? &c->ip : NULL,
                       span_str(c->name), c->txn->from, &l);
    if (access_refuses(&late)) {
        rcpt_refuse(c, path_addr(&to), R_SENDER_DENIED, late.reply);
        return;
    }
    hold_by_access(c->txn, &rule);
    struct rcpt r = make_rcpt(c->txn, &to, params);
    c->txn->pending_key = arena_dup(c->txn->arena, lookup_addr(&l));
    if (map_get(&c->txn->seen, c->txn->pending_key)) {
        smtp_answer(&c->smtp, R_RCPT_OK, NULL);
        return;
    }
    struct stage_answer answer = {0};
    bool decided = !saying_decides(&c->txn->req.said.all) &&
                   stage_decides(d, STAGE_RCPT, &c->txn->req.peer, c->txn->req.env.from, r.addr,
                                 c->txn->arena, &answer);
    if (decided && !answer.discard) {
        rcpt_refuse(c, r.addr, R_RCPT_DENIED, answer.reply);
        return;
    }
    c->txn->pending = r;
    c->txn->fate = decided || rule.verb == ACCESS_DISCARD ? FATE_DROP
                   : !ours || postmaster                  ? FATE_TAKE
                                                          : FATE_LOOK;
    if (!hear_recipient(c))
        wall_rcpt(c);
}

void rcpt_admit(struct conn *c)
{
    struct txn *t = c->txn;
    struct lookup l;
    struct rcpt r = t->pending;
    if (t->fate == FATE_DROP) {
        drop_rcpt(c, &r);
    } else if (t->fate == FATE_TAKE) {
        take_rcpt(c, &r);
    } else {
        lookup_from_key(t->pending_key, &l);
        check_existence(c, &l, &r);
    }
}
