/* A complete message: to a scanner, to the spool, and back to the sender.
 *
 *     OPEN --end of data--> WAITING --a scanner is free--> SCANNING --result--> STORING --ok--> 250
 *                              ^                             |                     '--> 451, 452
 *                              '--the scanner died-----------'
 *
 * 250 is said after FRAME_STORE_RESULT says STORE_OK, and for nothing else but DISCARD. A message
 * that a scanner died on is tried alone from then on, so that it can't take others with it, and is
 * held when it has killed limits.poison_crashes of them. Every way out ends with finish(). */
#include "door/door_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "door/judge.h"
#include "door/wall.h"

enum {
    STORE_TIME_S = 120,   /* how long the spool may take; it answers much sooner or is stuck */
    SPOOL_ABSENCE_S = 15, /* how long a message waits for the next spool (restart, reload) */
    STORE_TRIES = 2       /* spools that may die on one message */
};

/* ---- the end ---- */

static const char *outcome_word(const struct txn *t)
{
    static const char *const words[] = {"accept", "tag",   "clean",  "hold",
                                        "reject", "defer", "discard"};
    if (!t->scanned || t->result.ngroups == 0)
        return t->door->set->queue.after_queue ? "queued" : "none";
    if (t->result.ngroups > 1)
        return "mixed";
    return words[t->result.groups[0].outcome];
}

static const char *session_id(const struct txn *t)
{
    return t->judge ? t->judge->session : t->milter ? milter_session_id(t->milter) : t->conn->id;
}

void passage_log(const struct txn *t, unsigned code)
{
    usec now = clock_mono(), data = t->data_done ? t->data_done : now;
    usec scan = t->scan_done ? t->scan_done : now;
    log_event(LOG_NOTE, t->req.id, "message", F_STR("session", session_id(t)),
              F_SPAN("from", t->req.env.from), F_INT("nrcpt", t->req.env.nrcpts),
              F_SPAN("to", t->req.env.nrcpts ? t->req.env.rcpts[0].addr : SPAN("")),
              F_INT("size", t->size), F_STR("outcome", outcome_word(t)), F_INT("reply", code),
              F_NUM("score", t->result.score), F_INT("data_us", data - t->began),
              F_INT("scan_us", scan - data), F_INT("store_us", now - scan));
}

static void finish(struct txn *t, enum reply_id id, const char *detail)
{
    struct conn *c = t->conn;
    if (t->milter) {
        milter_finish(t, id, detail);
        return;
    }
    if (t->judge && t->req.teach) {
        judge_learned(t, id);
        return;
    }
    if (t->judge) {
        judge_finish(t, id);
        return;
    }
    passage_log(t, reply_row(id)->code);
    c->messages++;
    smtp_answer(&c->smtp, id, detail); /* ends t */
    conn_go_on(c);
}

static void finish_text(struct txn *t, struct span reply, enum reply_id otherwise)
{
    unsigned code;
    struct conn *c = t->conn;
    if (!reply_valid(reply, &code) || code < 400) {
        finish(t, otherwise, t->req.id);
        return;
    }
    passage_log(t, code);
    c->messages++;
    smtp_answer_text(&c->smtp, reply);
    conn_go_on(c);
}

/* ---- time ---- */

static void set_deadline(struct txn *t, usec in, uv_timer_cb late)
{
    if (!t->deadline) {
        t->deadline = xcalloc(1, sizeof *t->deadline);
        uv_timer_init(&t->door->loop, t->deadline);
        t->deadline->data = t;
    }
    uv_timer_start(t->deadline, late, (uint64_t)(in / 1000) + 1, 0);
}

/* ---- those who wait ---- */

static void txns_append(struct txns *l, struct txn *t)
{
    t->queued = l;
    t->next_waiting = NULL;
    *(l->last ? &l->last->next_waiting : &l->first) = t;
    l->last = t;
}

static void txns_prepend(struct txns *l, struct txn *t)
{
    t->queued = l;
    t->next_waiting = l->first;
    l->first = t;
    if (!l->last)
        l->last = t;
}

static void txns_remove(struct txns *l, struct txn *t)
{
    struct txn *before = NULL;
    for (struct txn *i = l->first; i && i != t; i = i->next_waiting)
        before = i;
    *(before ? &before->next_waiting : &l->first) = t->next_waiting;
    if (l->last == t)
        l->last = before;
    t->queued = NULL;
    t->next_waiting = NULL;
}

/* ---- storing ---- */

static int send_store(struct txn *t, uint64_t tag)
{
    struct store_request r = {.req = t->req, .scanned = t->scanned, .result = t->result};
    r.elsewhere = t->milter || t->judge;
    r.held_elsewhere = t->judge || (t->milter && t->milter_holds);
    struct buf b = {0};
    store_request_encode(&b, &r);
    struct door *d = t->door;
    int rc = d->spool ? link_send(d->spool, FRAME_STORE_REQUEST, tag, buf_span(&b), t->fd) : -1;
    buf_free(&b);
    return rc;
}

/* For the record alone: nobody waits for the answer. */
static void record(struct txn *t)
{
    if (send_store(t, 0) != 0)
        log_event(LOG_WARN, t->req.id, "not-recorded", F_INT("size", t->size));
}

static void store_late(uv_timer_t *timer)
{
    struct txn *t = timer->data;
    log_event(LOG_FAULT, t->req.id, "spool-silent", F_INT("seconds", STORE_TIME_S));
    finish(t, R_SPOOL_GONE, t->req.id);
}

static void spool_absent(uv_timer_t *timer)
{
    struct txn *t = timer->data;
    txns_remove(&t->door->homeless, t);
    log_event(LOG_WARN, t->req.id, "not-stored", F_STR("why", "no spool process"),
              F_INT("seconds", SPOOL_ABSENCE_S));
    finish(t, R_SPOOL_GONE, t->req.id);
}

/* Between two spools (a reload, a restart) a message waits for the next one. */
static void wait_for_spool(struct txn *t)
{
    txns_append(&t->door->homeless, t);
    set_deadline(t, SPOOL_ABSENCE_S * USEC_PER_SEC, spool_absent);
}

static void store(struct txn *t)
{
    struct door *d = t->door;
    t->stage = TXN_STORING;
    t->ask = ask_new(&d->asks, ASK_STORE, t, d->spool);
    if (send_store(t, t->ask->tag) != 0) {
        ask_end(&d->asks, t->ask);
        t->ask = NULL;
        wait_for_spool(t);
        return;
    }
    set_deadline(t, STORE_TIME_S * USEC_PER_SEC, store_late);
}

void passage_spool_found(struct door *d)
{
    struct txns waiting = d->homeless;
    d->homeless = (struct txns){0};
    for (struct txn *t = waiting.first, *next; t; t = next) {
        next = t->next_waiting;
        t->queued = NULL;
        t->next_waiting = NULL;
        store(t);
    }
}

void passage_stored(struct door *d, struct ask *a, struct span payload)
{
    struct txn *t = a->owner;
    struct store_result r = {.code = STORE_FAILED};
    ask_end(&d->asks, a);
    t->ask = NULL;
    if (!store_result_decode(payload, t->arena, &r))
        r.code = STORE_FAILED;
    if (r.code != STORE_OK)
        log_event(LOG_WARN, t->req.id, "not-stored", F_SPAN("why", r.text));
    finish(t,
           r.code == STORE_OK     ? R_STORED
           : r.code == STORE_FULL ? R_SPOOL_FULL
                                  : R_SPOOL_GONE,
           t->req.id);
}

/* The spool died before it answered: perhaps it has the message, perhaps not. Stored twice is
 * better than refused; a message that kills every spool is not tried for ever. */
void passage_spool_lost(struct door *d, struct ask *a)
{
    struct txn *t = a->owner;
    ask_end(&d->asks, a);
    t->ask = NULL;
    if (++t->store_tries < STORE_TRIES) {
        wait_for_spool(t);
        return;
    }
    log_event(LOG_WARN, t->req.id, "not-stored", F_STR("why", "the spool died on it"),
              F_INT("tries", t->store_tries));
    finish(t, R_SPOOL_GONE, t->req.id);
}

/* ---- deciding ---- */

/* The access map's QUARANTINE: what would go out is held; what is refused anyway stays refused. */
static void hold_what_passes(struct txn *t)
{
    for (size_t i = 0; i < t->result.ngroups; i++) {
        struct group *g = &t->result.groups[i];
        if (g->outcome != OUT_ACCEPT && g->outcome != OUT_TAG && g->outcome != OUT_CLEAN)
            continue;
        g->outcome = OUT_HOLD;
        g->reason = SPAN("access-map");
        g->detail = t->hold;
    }
}

/* Nobody gets it now, with the wall's reason on record. */
static void put_off(struct txn *t)
{
    for (size_t i = 0; i < t->result.ngroups; i++) {
        struct group *g = &t->result.groups[i];
        g->outcome = OUT_DEFER;
        g->reason = SPAN("greylist");
        g->detail = t->wait_reply;
    }
    record(t);
    finish_text(t, t->wait_reply, R_DEFERRED);
}

/* A client of a scanner protocol gets the message without a part: the part must be somewhere. */
static bool part_taken_out(const struct txn *t)
{
    const struct scan_answer *a = &t->result.answer;
    return t->judge && a->rewritten && t->result.groups[a->group].delivery.keep;
}

/* One reply for all recipients: SMTP has no other way. */
static void decide(struct txn *t)
{
    size_t n = t->result.ngroups;
    t->scanned = true;
    if (t->hold.p)
        hold_what_passes(t);
    if (txn_count(t, OUT_REJECT) + txn_count(t, OUT_DISCARD) + txn_count(t, OUT_DEFER) < n &&
        wall_waits(t)) {
        put_off(t);
        return;
    }
    wall_learn(t);
    if ((t->milter && milter_decide(t)) || part_taken_out(t)) {
        store(t);
    } else if (t->milter || t->judge) {
        record(t);
        finish(t, R_STORED, t->req.id);
    } else if (txn_count(t, OUT_DEFER) > 0) {
        struct span reply = txn_reply(t, OUT_DEFER);
        for (size_t i = 0; i < n; i++)
            t->result.groups[i].outcome = OUT_DEFER; /* nobody gets it now */
        record(t);
        finish_text(t, reply, R_DEFERRED);
    } else if (txn_count(t, OUT_REJECT) == n) {
        struct span reply = txn_reply(t, OUT_REJECT);
        record(t);
        finish_text(t, reply, R_REJECTED);
    } else if (txn_count(t, OUT_DISCARD) == n) {
        record(t);
        finish(t, R_DISCARDED, t->req.id);
    } else {
        /* Promised to some: what was refused for the others is kept for them. */
        txn_change(t, OUT_REJECT, OUT_HOLD);
        store(t);
    }
}

/* A decision that is made here, for all recipients alike. */
static void decide_here(struct txn *t, enum outcome o, const char *reason, struct span detail)
{
    struct group *g = ARENA_NEW(t->arena, struct group);
    g->outcome = o;
    g->policy = SPAN("door");
    g->reason = span_str(reason);
    g->detail = detail;
    g->unscanned = true;
    g->nrcpts = t->req.env.nrcpts;
    g->rcpts = arena_array(t->arena, g->nrcpts, sizeof *g->rcpts);
    for (size_t i = 0; i < g->nrcpts; i++)
        g->rcpts[i] = (uint32_t)i;
    g->reply = SPAN("");
    struct scan_result *r = &t->result;
    memcpy(r->id, t->req.id, sizeof r->id);
    r->groups = g;
    r->ngroups = 1;
    r->receipt = arena_printf(t->arena,
                              "{\"id\":\"%s\",\"outcome\":\"%s\",\"reason\":\"%s\","
                              "\"unscanned\":true}",
                              t->req.id, o == OUT_HOLD ? "hold" : "discard", reason);
    r->subject = r->header_from = r->message_id = SPAN("");
    decide(t);
}

static void hold_poison(struct txn *t)
{
    log_event(LOG_FAULT, t->req.id, "poison", F_INT("crashes", t->req.crashes));
    decide_here(t, OUT_HOLD, "poison",
                arena_printf(t->arena, "%u scanners died on it", t->req.crashes));
}

/* ---- scanning ---- */

static void no_scanner(uv_timer_t *timer)
{
    struct txn *t = timer->data;
    log_event(LOG_WARN, t->req.id, "no-scanner", F_INT("crashes", t->req.crashes));
    txns_remove(&t->door->waiting, t);
    finish(t, R_NO_SCANNER, t->req.id);
}

static void wait_for_scanner(struct txn *t, bool first)
{
    struct door *d = t->door;
    t->stage = TXN_WAITING;
    if (first) /* it has waited before */
        txns_prepend(&d->waiting, t);
    else
        txns_append(&d->waiting, t);
    set_deadline(t, d->set->limits.scan_time, no_scanner);
    passage_next(d);
}

static void scan_late(uv_timer_t *timer)
{
    struct txn *t = timer->data;
    struct ask *a = t->ask;
    struct scanner *s = a->target;
    log_event(LOG_FAULT, t->req.id, "scan-too-long",
              F_INT("seconds", t->door->set->limits.scan_time / USEC_PER_SEC));
    ask_end(&t->door->asks, a);
    t->ask = NULL;
    finish(t, R_SCAN_FAILED, t->req.id);
    links_drop_scanner(s);
}

static bool send_to(struct scanner *s, struct txn *t)
{
    struct door *d = t->door;
    struct buf b = {0};
    t->ask = ask_new(&d->asks, ASK_SCAN, t, s);
    scan_request_encode(&b, &t->req);
    int rc = link_send(s->link, FRAME_SCAN_REQUEST, t->ask->tag, buf_span(&b), t->fd);
    buf_free(&b);
    if (rc != 0) { /* draining or dying: it answers what it has, nothing more */
        s->closed = true;
        ask_end(&d->asks, t->ask);
        t->ask = NULL;
        return false;
    }
    s->pending++;
    s->exclusive = t->req.crashes > 0;
    t->stage = TXN_SCANNING;
    set_deadline(t, d->set->limits.scan_time, scan_late);
    return true;
}

void passage_next(struct door *d)
{
    /* A message that is to be tried alone waits for a scanner that gets nothing new meanwhile;
     * otherwise it would wait for ever under load. */
    struct scanner *reserved = NULL;
    for (struct txn *t = d->waiting.first, *next; t; t = next) {
        next = t->next_waiting;
        bool alone = t->req.crashes > 0;
        struct scanner *s;
        while ((s = links_idle_scanner(d, alone, reserved)) && !send_to(s, t))
            ;
        if (s)
            txns_remove(&d->waiting, t);
        else if (!alone)
            return; /* nobody is free for anybody */
        else if (!reserved)
            reserved = links_idle_scanner(d, false, NULL);
    }
}

void passage_scanned(struct door *d, struct ask *a, struct span payload)
{
    struct txn *t = a->owner;
    ask_end(&d->asks, a);
    if (!t)
        return;
    t->ask = NULL;
    uv_timer_stop(t->deadline);
    t->scan_done = clock_mono();
    struct span id = span_of(t->result.id, ID_LEN);
    if (!scan_result_decode(payload, t->arena, &t->result) ||
        !scan_result_fits(&t->result, &t->req.env) || !span_eq(id, span_of(t->req.id, ID_LEN))) {
        log_event(LOG_FAULT, t->req.id, "bad-scan-result", F_INT("size", payload.n));
        memset(&t->result, 0, sizeof t->result);
        finish(t, R_SCAN_FAILED, t->req.id);
        return;
    }
    if (t->req.teach)
        finish(t, R_STORED, t->req.id);
    else
        decide(t);
}

void passage_scanner_lost(struct door *d, struct ask *a)
{
    struct txn *t = a->owner;
    ask_end(&d->asks, a);
    if (!t)
        return;
    t->ask = NULL;
    t->req.crashes++;
    log_event(LOG_WARN, t->req.id, "scanner-died", F_INT("crashes", t->req.crashes));
    if (t->req.teach)
        finish(t, R_SCAN_FAILED, t->req.id);
    else if (t->req.crashes >= d->set->limits.poison_crashes)
        hold_poison(t);
    else
        wait_for_scanner(t, true);
}

/* ---- beginning and breaking off ---- */

void passage_begin(struct txn *t)
{
    const struct settings *set = t->door->set;
    t->data_done = clock_mono();
    wall_facts(t);
    if (t->heard < t->req.env.nrcpts) /* it learned of the callback in between */
        t->req.said.asked &= ~(unsigned)CALL_RECIPIENT;
    returns_facts(t);
    if (t->hold.p)
        t->req.want |= SCAN_HELD;
    t->req.received = clock_wall();
    if (t->write_error) {
        bool full = t->write_error == ENOSPC || t->write_error == EDQUOT || t->write_error == EROFS;
        log_event(LOG_FAULT, t->req.id, "content-not-written",
                  F_STR("why", strerror(t->write_error)));
        finish(t, full ? R_SPOOL_FULL : R_LOCAL_ERROR, NULL);
    } else if (t->discard) {
        decide_here(t, OUT_DISCARD, t->discard, SPAN(""));
    } else if (t->hold.p && set->queue.after_queue && !t->milter && !t->judge) {
        decide_here(t, OUT_HOLD, "access-map", t->hold);
    } else if (set->queue.after_queue && !t->milter && !t->judge) {
        t->scan_done = t->data_done;
        store(t);
    } else {
        wait_for_scanner(t, false);
    }
}

void passage_cancel(struct txn *t)
{
    if (t->queued)
        txns_remove(t->queued, t);
    if (!t->ask)
        return;
    /* A scanner's answer still frees its place; the spool's interests nobody. */
    t->ask->owner = NULL;
    if (t->ask->kind == ASK_STORE)
        ask_end(&t->door->asks, t->ask);
    t->ask = NULL;
}
