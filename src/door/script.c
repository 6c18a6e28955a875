#include "door/script.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "config/script.h"
#include "door/door_private.h"

enum { SCANNERS_TRIED = 2 }; /* that may die on one question */

struct script_ask {
    struct script_ask *next, *prev;
    struct door *door;
    script_answered *done;
    void *ctx;
    struct ask *ask; /* NULL: it waits for a scanner */
    struct buf payload;
    unsigned tries;
    usec since; /* monotonic */
};

bool script_has(const struct door *d, enum script_call call)
{
    return d->script->file && (d->script_calls < 0 || d->script_calls & (int)call);
}

/* ---- the way to a scanner and back ---- */

/* One that was asked is told apart by its tag; its answer finds nobody. */
static void leave_scanner(struct script_ask *q)
{
    if (q->ask)
        q->ask->owner = NULL;
    q->ask = NULL;
}

static void unlink_question(struct script_ask *q)
{
    struct script_asks *l = &q->door->script_asks;
    *(q->prev ? &q->prev->next : &l->first) = q->next;
    *(q->next ? &q->next->prev : &l->last) = q->prev;
}

void script_forget(struct script_ask *q)
{
    if (!q)
        return;
    leave_scanner(q);
    unlink_question(q);
    buf_free(&q->payload);
    free(q);
}

static void finish(struct script_ask *q, const struct script_result *r)
{
    script_answered *done = q->done;
    void *ctx = q->ctx;
    script_forget(q);
    done(ctx, r);
}

static void fail(struct script_ask *q, const char *why)
{
    const struct script_result r = {.code = SCRIPT_FAILED, .text = span_str(why)};
    log_event(LOG_WARN, NULL, "script-not-asked", F_STR("why", why));
    finish(q, &r);
}

/* The one with the least to do; one that is alone with a message which has killed others, only when
 * there is no other. */
static struct scanner *choose(struct door *d)
{
    struct scanner *best = NULL;
    for (struct scanner *s = d->scanners; s; s = s->next) {
        if (s->closed || !s->ready)
            continue;
        if (!best || (best->exclusive && !s->exclusive) ||
            (best->exclusive == s->exclusive &&
             s->pending + s->questions < best->pending + best->questions))
            best = s;
    }
    return best;
}

static void send_question(struct script_ask *q)
{
    struct door *d = q->door;
    struct scanner *s;
    while (!q->ask && (s = choose(d))) {
        struct ask *a = ask_new(&d->asks, ASK_SCRIPT, q, s);
        if (link_send(s->link, FRAME_SCRIPT_REQUEST, a->tag, buf_span(&q->payload), -1) == 0) {
            s->questions++;
            q->ask = a;
        } else {
            s->closed = true;
            ask_end(&d->asks, a);
        }
    }
}

struct script_ask *script_ask(struct door *d, const struct script_request *r, script_answered *done,
                              void *ctx)
{
    struct script_ask *q = xcalloc(1, sizeof *q);
    q->door = d;
    q->done = done;
    q->ctx = ctx;
    q->since = clock_mono();
    q->prev = d->script_asks.last;
    *(q->prev ? &q->prev->next : &d->script_asks.first) = q;
    d->script_asks.last = q;
    script_request_encode(&q->payload, r);
    if (q->payload.n <= frame_rule(FRAME_SCRIPT_REQUEST)->max)
        send_question(q); /* else its time passes: nobody but a taken-over door gets here */
    return q;
}

void script_told(struct door *d, struct scanner *s, unsigned calls)
{
    s->ready = true;
    d->script_calls = (int)(calls & CALLS_ALL);
    for (struct script_ask *q = d->script_asks.first; q; q = q->next)
        send_question(q);
}

void script_scanned(struct door *d, struct ask *a, struct span payload)
{
    struct script_ask *q = a->owner;
    struct script_result r;
    ask_end(&d->asks, a);
    if (!q)
        return;
    q->ask = NULL;
    struct arena *arena = arena_new(0);
    if (script_result_decode(payload, arena, &r))
        finish(q, &r);
    else
        fail(q, "an answer that can't be read");
    arena_free(arena);
}

void script_scanner_lost(struct door *d, struct ask *a)
{
    struct script_ask *q = a->owner;
    ask_end(&d->asks, a);
    if (!q)
        return;
    q->ask = NULL;
    if (++q->tries >= SCANNERS_TRIED)
        fail(q, "scanners died on it");
    else
        send_question(q);
}

/* The oldest stand in front. */
void script_expire(struct door *d, usec now)
{
    struct script_ask *q;
    while ((q = d->script_asks.first) && q->since + d->script->timeout <= now)
        fail(q, q->ask ? "no answer within script.timeout" : "no scanner within script.timeout");
}

/* ---- what was said ---- */

static const struct policy_action *refusal(const struct policy_action *x)
{
    return x && (x->kind == ACTION_REJECT || x->kind == ACTION_DEFER) ? x : NULL;
}

/* wire: the same, encoded. */
static void keep(struct hearing *h, const struct saying *says, const struct buf *wire)
{
    struct buf *b = h->call == CALL_RELAY ? &h->relay : h->call == CALL_HELO ? &h->helo : NULL;
    if (!b)
        return;
    buf_free(b);
    h->asked |= h->call;
    h->decided |= saying_decides(says) != NULL;
    if (!saying_empty(says))
        buf_add(b, buf_span(wire));
}

static void told(struct hearing *h, enum heard what, struct span reply, const struct saying *says)
{
    if (what != HEARD_NOTHING)
        log_event(LOG_NOTE, h->id, "script-decides", F_STR("call", script_call_name(h->call)),
                  F_SPAN("reply", what == HEARD_DISCARD ? SPAN("discard") : reply));
    h->heard(h->ctx, h->call, what, reply, says);
}

static void failed(struct hearing *h)
{
    static const struct saying nothing;
    enum on_fail on = h->door->script->on_error;
    h->hold |= on == FAIL_HOLD;
    keep(h, &nothing, &(struct buf){0});
    told(h, on == FAIL_DEFER ? HEARD_REFUSAL : HEARD_NOTHING,
         SPAN("451 4.3.0 Not all checks are available now, please try later"), &nothing);
}

/* What is wanted beside a refusal: kept for the session, or moved to the arena of the transaction
 * by way of its wire form. */
static void take(struct hearing *h, struct saying says, bool discard)
{
    struct buf wire = {0};
    if (discard)
        says = (struct saying){0};
    saying_encode(&wire, &says);
    h->bytes += wire.n;
    if (h->bytes > SAID_BYTES_MAX) {
        log_event(LOG_FAULT, h->id, "script-failed", F_STR("why", "it says too much"),
                  F_STR("call", script_call_name(h->call)), F_INT("bytes", h->bytes));
        buf_free(&wire);
        failed(h);
        return;
    }
    keep(h, &says, &wire);
    h->discard |= discard && !h->arena;
    if (h->arena) {
        struct cursor c = cursor_over(buf_span(&wire));
        saying_decode(&c, h->arena, &says);
    }
    buf_free(&wire);
    told(h, discard ? HEARD_DISCARD : HEARD_NOTHING, SPAN_NONE, &says);
}

static void on_answer(void *ctx, const struct script_result *r)
{
    struct hearing *h = ctx;
    h->ask = NULL;
    if (r->code == SCRIPT_FAILED) {
        failed(h);
        return;
    }
    const struct policy_action *x = saying_decides(&r->says);
    if (refusal(x)) {
        told(h, HEARD_REFUSAL, span_str(x->text), &r->says);
        return;
    }
    take(h, r->says, x && x->kind == ACTION_DISCARD);
}

bool hearing_ask(struct hearing *h, enum script_call call, const char *id, const struct peer *peer,
                 struct span from, struct span to, struct arena *a)
{
    if (!script_has(h->door, call) || h->asked & call)
        return false;
    struct script_request r = {.call = call, .peer = *peer, .from = from, .to = to};
    memcpy(r.id, id, sizeof r.id);
    memcpy(h->id, id, sizeof h->id);
    h->call = call;
    h->arena = a;
    h->ask = script_ask(h->door, &r, on_answer, h);
    return true;
}

void hearing_client(struct hearing *h)
{
    hearing_helo(h);
    buf_free(&h->relay);
    h->bytes = 0;
    h->asked = 0;
    h->discard = h->hold = h->decided = false;
}

void hearing_helo(struct hearing *h)
{
    buf_free(&h->helo);
    h->bytes = h->relay.n;
    h->asked &= ~(unsigned)CALL_HELO;
}

static void inherit(const struct buf *b, struct said *said, struct arena *a)
{
    struct saying s;
    struct cursor c = cursor_over(buf_span(b));
    if (b->n == 0)
        return;
    saying_decode(&c, a, &s);
    saying_add(&said->all, a, &s);
}

void hearing_message(struct hearing *h, struct said *said, struct arena *a)
{
    said->asked = h->asked;
    h->bytes = h->relay.n + h->helo.n;
    inherit(&h->relay, said, a);
    inherit(&h->helo, said, a);
}

void hearing_end(struct hearing *h)
{
    script_forget(h->ask);
    h->ask = NULL;
    buf_free(&h->relay);
    buf_free(&h->helo);
}
