/* What an MTA asks before the message: connect, HELO, MAIL, RCPT. The order at each: access map,
 * policies, the policy script, the wall, whether the recipient exists. */
#include "door/milter_private.h"

#include "base/log.h"
#include "door/wall.h"
#include "smtp/params.h"

/* ---- answers ---- */

void milter_answer_row(struct milter_conn *c, enum reply_id id, const char *detail)
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
        milter_answer_row(c, id, NULL);
}

/* Who the MTA's client is; the strings are the session's. */
static struct peer peer_of(const struct milter_conn *c)
{
    static const char *const protocols[] = {"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"};
    const struct milter_session *m = &c->session;
    struct peer p = {.ip = c->ip,
                     .has_ip = c->has_ip,
                     .behind_mta = true,
                     .port = c->port,
                     .name = span_str(c->name),
                     .helo = span_str(c->helo),
                     .listener = span_str(c->gate->set->name),
                     .tls_version = milter_macro(m, "tls_version"),
                     .tls_cipher = milter_macro(m, "cipher"),
                     .auth_user = milter_macro(m, "auth_authen")};
    p.protocol = span_str(protocols[(p.tls_version.n ? 1 : 0) + (p.auth_user.n ? 2 : 0)]);
    return p;
}

/* ---- the policy script ---- */

/* At connect and HELO. true: the MTA is answered later. */
static bool hear(struct milter_conn *c, enum script_call call)
{
    struct peer peer = peer_of(c);
    return hearing_ask(&c->hearing, call, c->id, &peer, SPAN_NONE, SPAN_NONE, NULL);
}

/* At MAIL and RCPT. to: absent, or the recipient. */
static bool hear_in_message(struct txn *t, enum script_call call, struct span to)
{
    return hearing_ask(&t->milter->hearing, call, t->req.id, &t->req.peer, t->req.env.from, to,
                       t->arena);
}

/* ---- connect, HELO ---- */

/* A refusal at connect or HELO. One that the MTA does not wait for is told at MAIL. */
static void refuse_client(struct milter_conn *c, const char *event, struct span reply)
{
    bool lost = c->session.wait == MILTER_W_HELO && !milter_helo_heard(&c->session);
    if (lost)
        string_set(&c->unheard, reply);
    refuse(c, event, span_str(c->helo ? c->helo : c->name), R_CLIENT_DENIED, reply);
}

/* true: the MTA is answered. */
static bool policy_before_mail(struct milter_conn *c, enum policy_stage stage)
{
    struct stage_answer answer;
    if (c->discard || c->hearing.decided)
        return false;
    struct arena *a = arena_new(0);
    struct peer peer = peer_of(c);
    bool decided = stage_decides(c->door, stage, &peer, SPAN_NONE, SPAN_NONE, a, &answer);
    if (decided && answer.discard)
        c->discard = stage == STAGE_HELO ? "policy at HELO" : "policy at connect";
    else if (decided)
        refuse_client(c, stage == STAGE_HELO ? "helo-refused" : "client-refused", answer.reply);
    arena_free(a);
    return decided && !answer.discard;
}

static void client_heard(struct milter_conn *c, enum script_call call, enum heard what,
                         struct span reply)
{
    if (what == HEARD_REFUSAL)
        refuse_client(c, call == CALL_HELO ? "helo-refused" : "client-refused", reply);
    else
        milter_answer(&c->session, MILTER_CONTINUE);
}

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

void milter_connect(void *ctx, struct span name, const struct ip *ip, uint16_t port)
{
    struct milter_conn *c = ctx;
    c->has_ip = ip;
    if (ip)
        c->ip = *ip;
    else
        c->has_ip = ip_parse(milter_macro(&c->session, "client_addr"), &c->ip);
    c->port = port;
    c->discard = NULL;
    string_set(&c->name, name);
    string_set(&c->helo, SPAN_NONE);
    string_set(&c->unheard, SPAN_NONE);
    hearing_client(&c->hearing);
    struct access_rule rule = {.verb = ACCESS_NONE};
    if (c->has_ip)
        rule = access_client(c->door->access, &c->ip, span_str(c->name));
    if (rule.verb == ACCESS_REJECT || rule.verb == ACCESS_ERROR) {
        refuse(c, "client-refused", span_str(c->name), R_CLIENT_DENIED, rule.reply);
        return;
    }
    if (rule.verb == ACCESS_DISCARD)
        c->discard = "access map: client";
    if (policy_before_mail(c, STAGE_CONNECT))
        return;
    meet_guest(c);
    if (!hear(c, CALL_RELAY))
        milter_answer(&c->session, MILTER_CONTINUE);
}

void milter_helo(void *ctx, struct span name)
{
    struct milter_conn *c = ctx;
    string_set(&c->helo, name);
    string_set(&c->unheard, SPAN_NONE);
    hearing_helo(&c->hearing);
    if (c->guest)
        guest_helo(c->guest, name);
    if (!policy_before_mail(c, STAGE_HELO) && !hear(c, CALL_HELO))
        milter_answer(&c->session, MILTER_CONTINUE);
}

/* ---- MAIL ---- */

static void fill_peer(struct txn *t)
{
    struct peer *p = &t->req.peer;
    *p = peer_of(t->milter);
    struct span *strings[] = {&p->name,      &p->helo,        &p->listener,  &p->protocol,
                              &p->auth_user, &p->tls_version, &p->tls_cipher};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        *strings[i] = strings[i]->n ? arena_dup(t->arena, *strings[i]) : SPAN_NONE;
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
    hearing_message(&c->hearing, &t->req.said, t->arena);
    if (c->hearing.hold)
        t->hold = SPAN("the script failed");
}

static bool lookup_of(struct span addr, struct smtp_path *path, struct lookup *l)
{
    return mailbox_parse(addr, true, path) == PATH_OK && lookup_make(path, l);
}

/* The message that was open already ends. */
static void refuse_sender(struct milter_conn *c, struct span reply)
{
    struct txn *t = c->txn;
    refuse(c, "sender-refused", t->req.env.from, R_SENDER_DENIED, reply);
    c->txn = NULL;
    txn_end(t);
}

/* true: the MTA is answered; the message stays open until it says what it does. */
static bool policy_at_mail(struct milter_conn *c)
{
    struct span reply;
    if (!stage_refuses_sender(c->txn, &reply))
        return false;
    refuse_sender(c, reply);
    return true;
}

void milter_mail(void *ctx, struct span addr, struct span args)
{
    struct milter_conn *c = ctx;
    struct door *d = c->door;
    struct access_rule rule = {.verb = ACCESS_NONE};
    struct smtp_path path;
    struct lookup l = {0};
    if (d->full) {
        milter_answer_row(c, R_SPOOL_FULL, NULL);
        return;
    }
    if (!access_ok(d->access)) {
        milter_answer_row(c, R_MAP_TROUBLE, NULL);
        return;
    }
    if (addr.n == 0 || lookup_of(addr, &path, &l))
        rule = access_sender(d->access, &l);
    if (rule.verb == ACCESS_REJECT || rule.verb == ACCESS_ERROR || c->unheard) {
        refuse(c, "sender-refused", addr, R_SENDER_DENIED,
               c->unheard ? span_str(c->unheard) : rule.reply);
        return;
    }
    open_message(c, addr, args,
                 c->discard                    ? c->discard
                 : c->hearing.discard          ? "script"
                 : rule.verb == ACCESS_DISCARD ? "access map: sender"
                                               : NULL);
    if (rule.verb != ACCESS_QUARANTINE && c->has_ip)
        rule = access_client(d->access, &c->ip, span_str(c->name));
    if (rule.verb == ACCESS_QUARANTINE)
        c->txn->hold = arena_dup(c->txn->arena, rule.reply);
    if (milter_guest(c))
        guest_sender(c->guest, lookup_domain(&l));
    if (!policy_at_mail(c) && !hear_in_message(c->txn, CALL_SENDER, SPAN_NONE))
        milter_answer(&c->session, MILTER_CONTINUE);
}

static void sender_heard(struct milter_conn *c, enum heard what, struct span reply,
                         const struct saying *says)
{
    struct txn *t = c->txn;
    if (what == HEARD_REFUSAL) {
        refuse_sender(c, reply);
        return;
    }
    txn_heard_sender(t, &c->hearing, what, says);
    milter_answer(&c->session, MILTER_CONTINUE);
}

/* ---- RCPT ---- */

static void take_rcpt(struct milter_conn *c)
{
    struct txn *t = c->txn;
    struct envelope *env = &t->req.env;
    *map_at(&t->seen, t->pending.given.p ? t->pending.given : t->pending.addr) = t;
    said_recipient(&t->req.said, t->arena, env->nrcpts, &t->pending_says);
    t->heard += t->pending_heard;
    *ARENA_PUSH(t->arena, env->rcpts, env->nrcpts, env->cap) = t->pending;
    milter_answer(&c->session, MILTER_CONTINUE);
}

static void refuse_rcpt(struct milter_conn *c, enum reply_id id, struct span text)
{
    refuse(c, "recipient-refused", c->txn->pending.addr, id, text);
}

static void drop_rcpt(struct milter_conn *c)
{
    struct txn *t = c->txn;
    log_event(LOG_NOTE, t->req.id, "recipient-discarded", F_SPAN("to", t->pending.addr));
    *ARENA_PUSH(t->arena, t->dropped, t->ndropped, t->dropped_cap) = t->pending;
    milter_answer(&c->session, MILTER_CONTINUE);
}

static void rcpt_hear(struct milter_conn *c);

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
void milter_rcpt(void *ctx, struct span addr, struct span args)
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
    t->pending_key = SPAN_NONE;
    t->fate = FATE_TAKE;
    if (!lookup_of(addr, &path, &l)) { /* the MTA knows what it means */
        rcpt_hear(c);
        return;
    }
    struct span refusal;
    if (!returns_rcpt(t, &path, &l, &refusal)) {
        refuse_rcpt(c, refusal.p ? R_RCPT_DENIED : R_BAD_ADDRESS_SYNTAX, refusal);
        return;
    }
    if (t->returns != RETURN_NOT) {
        t->pending.given = t->pending.addr;
        t->pending.addr = arena_dup(t->arena, path_addr(&path));
    }
    struct access_rule rule = access_recipient(d->access, &l);
    if (rule.verb == ACCESS_QUARANTINE && !t->hold.p)
        t->hold = arena_dup(t->arena, rule.reply);
    struct stage_answer answer = {0};
    bool decided = !saying_decides(&t->req.said.all) &&
                   stage_decides(d, STAGE_RCPT, &t->req.peer, t->req.env.from, t->pending.addr,
                                 t->arena, &answer);
    if (rule.verb == ACCESS_REJECT || rule.verb == ACCESS_ERROR) {
        refuse_rcpt(c, R_RCPT_DENIED, rule.reply);
    } else if (decided && !answer.discard) {
        refuse_rcpt(c, R_RCPT_DENIED, answer.reply);
    } else if (decided || rule.verb == ACCESS_DISCARD) {
        drop_rcpt(c);
    } else {
        bool ours = domains_has(d->domains, lookup_domain(&l));
        t->fate = ours ? FATE_LOOK : FATE_TAKE;
        t->pending_key = arena_dup(t->arena, lookup_addr(&l));
        rcpt_hear(c);
    }
}

/* What the script says, before the others. */
static void rcpt_hear(struct milter_conn *c)
{
    struct txn *t = c->txn;
    t->pending_says = (struct saying){0};
    t->pending_heard = hear_in_message(t, CALL_RECIPIENT, t->pending.addr);
    if (!t->pending_heard)
        rcpt_go_on(c);
}

static void recipient_heard(struct milter_conn *c, enum heard what, struct span reply,
                            const struct saying *says)
{
    txn_heard_recipient(c->txn, &c->hearing, says);
    if (what == HEARD_REFUSAL)
        refuse_rcpt(c, R_RCPT_DENIED, reply);
    else if (what == HEARD_DISCARD)
        drop_rcpt(c);
    else
        rcpt_go_on(c);
}

void milter_heard(void *ctx, enum script_call call, enum heard what, struct span reply,
                  const struct saying *says)
{
    struct milter_conn *c = ctx;
    if (call == CALL_SENDER)
        sender_heard(c, what, reply, says);
    else if (call == CALL_RECIPIENT)
        recipient_heard(c, what, reply, says);
    else
        client_heard(c, call, what, reply);
    stream_more(c->stream);
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
    if (t->fate == FATE_TAKE) {
        take_rcpt(c);
        return;
    }
    lookup_from_key(t->pending_key, &l);
    check_existence(c, &l);
}
