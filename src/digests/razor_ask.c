/* A conversation with a server of Razor:
 *
 *     connect -> GREETING -> [STATE] -> QUESTIONS ... -> done              (check)
 *                         -> LIST -> done                                  (discover)
 *                         -> IDENTITY -> PROOF -> [STATE] -> KNOWN -> [WHOLE] -> done   (report) */
#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "digests/ask.h"
#include "loop/stream.h"

enum step { GREETING, STATE, QUESTIONS, LIST, IDENTITY, PROOF, KNOWN, WHOLE };

struct razor_ask {
    struct razor_question q;
    uv_loop_t *loop;
    uv_timer_t timer;
    struct stream *stream;
    struct where_question *finding;
    struct arena *a;
    enum step step;
    struct razor_signatures sigs;
    size_t asked, batch; /* signatures that were answered; that are being asked */
    struct razor_verdict verdicts[RAZOR_PARTS];
    struct razor_fact fact;
    razor_done *done;
    void *ctx;
    bool ended, streaming, timing;
    char failure[128];
};

static void maybe_free(struct razor_ask *a)
{
    if (!a->ended || a->streaming || a->timing)
        return;
    arena_free(a->a);
    free(a);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct razor_ask *a = h->data;
    a->timing = false;
    maybe_free(a);
}

static void end(struct razor_ask *a, bool politely)
{
    a->ended = true;
    where_drop(a->finding);
    a->finding = NULL;
    uv_close((uv_handle_t *)&a->timer, on_timer_closed);
    if (a->stream && politely) {
        stream_write(a->stream, SPAN("a=q\r\n"));
        stream_finish(a->stream);
    } else if (a->stream) {
        stream_close(a->stream);
    }
    a->stream = NULL;
}

void razor_drop(struct razor_ask *a)
{
    if (!a->ended)
        end(a, false);
}

static void finish(struct razor_ask *a, const struct razor_result *r)
{
    if (a->ended)
        return;
    end(a, !r->why);
    a->done(a->ctx, r);
}

static void on_timer(uv_timer_t *t)
{
    struct razor_ask *a = t->data;
    const struct razor_result r = {.why = a->failure[0] ? a->failure : "no answer in time"};
    finish(a, &r);
}

/* Told from the loop. */
static void fail(struct razor_ask *a, const char *what, struct span more)
{
    if (a->ended || a->failure[0])
        return;
    snprintf(a->failure, sizeof a->failure, "%s%.*s", what, (int)(more.n < 60 ? more.n : 60),
             more.p ? more.p : "");
    uv_timer_start(&a->timer, on_timer, 0, 0);
}

static void say(struct razor_ask *a, enum step next, struct buf *b)
{
    a->step = next;
    stream_write(a->stream, buf_span(b));
    buf_free(b);
}

static void say_text(struct razor_ask *a, enum step next, const char *text)
{
    struct buf b = {0};
    buf_str(&b, text);
    say(a, next, &b);
}

/* --- check --- */

static void conclude(struct razor_ask *a)
{
    for (unsigned i = 0; i < a->sigs.parts; i++)
        a->fact.spam |= a->verdicts[i].spam && !a->verdicts[i].contested;
    a->fact.state = DIGEST_ANSWERED;
    const struct razor_result r = {.f = &a->fact};
    finish(a, &r);
}

static void ask_next(struct razor_ask *a)
{
    struct buf b = {0};
    size_t left = a->sigs.n - a->asked;
    a->batch = left < a->q.server->batch ? left : a->q.server->batch;
    if (!a->batch) {
        conclude(a);
        return;
    }
    razor_question(&b, &a->sigs, a->asked, a->asked + a->batch, a->q.server);
    say(a, QUESTIONS, &b);
}

static void take_answers(struct razor_ask *a, struct span answer)
{
    unsigned least = razor_least(a->q.min_cf, a->q.server->average);
    if (!razor_answers(a->a, answer, &a->sigs, a->asked, a->asked + a->batch, least, a->verdicts,
                       &a->fact)) {
        fail(a, "it answered something else than confidences", SPAN_NONE);
        return;
    }
    a->asked += a->batch;
    ask_next(a);
}

/* --- report --- */

/* Engine 4 alone is reported; the server says whether it wants the message too. */
static void report_signatures(struct razor_ask *a)
{
    struct buf b = {0};
    size_t n = 0;
    for (size_t i = 0; i < a->sigs.n; i++)
        n += a->sigs.v[i].engine == 4;
    if (n == 0) {
        fail(a, "the message has no text to report", SPAN_NONE);
        return;
    }
    if (n > 1)
        buf_char(&b, '-');
    for (size_t i = 0; i < a->sigs.n; i++)
        if (a->sigs.v[i].engine == 4)
            buf_printf(&b, "a=r&e=4&ep4=%s&s=%.*s\r\n", a->q.server->ep4,
                       SPAN_ARG(a->sigs.v[i].text));
    if (n > 1)
        buf_str(&b, ".\r\n");
    say(a, KNOWN, &b);
}

static void say_who(struct razor_ask *a)
{
    struct buf b = {0};
    buf_str(&b, "a=ai&cn=razor-agents&cv=2.84&user=");
    razor_escape(&b, a->q.user);
    buf_str(&b, "\r\n");
    say(a, IDENTITY, &b);
}

static void prove(struct razor_ask *a, struct span answer)
{
    struct buf b = {0};
    char response[32];
    struct span challenge = razor_value(a->a, span_trim(answer), "achal");
    if (!challenge.n) {
        fail(a, "it does not know the identity: ", span_trim(answer));
        return;
    }
    razor_response(a->q.password, challenge, response);
    buf_str(&b, "a=auth&aresp=");
    razor_escape(&b, span_str(response));
    buf_str(&b, "\r\n");
    say(a, PROOF, &b);
}

/* res=1: taken; err=230: it wants the message. */
static void take_report(struct razor_ask *a, struct span answer)
{
    struct buf b = {0};
    if (a->step == KNOWN && span_search(answer, SPAN("err=230")) != SIZE_MAX) {
        razor_whole(a->a, &b, a->q.raw);
        say(a, WHOLE, &b);
        return;
    }
    const struct razor_result taken = {0};
    if (span_search(answer, SPAN("res=1")) != SIZE_MAX)
        finish(a, &taken);
    else
        fail(a, "it did not take the report: ", span_trim(answer));
}

/* --- answers --- */

static void with_state(struct razor_ask *a)
{
    razor_sign(a->a, a->q.raw, a->q.server, &a->sigs);
    if (a->q.op == RAZOR_REPORT)
        report_signatures(a);
    else
        ask_next(a);
}

static void ask_state(struct razor_ask *a)
{
    if (a->q.server->known)
        with_state(a);
    else
        say_text(a, STATE, "a=g&pm=state\r\n");
}

static void greeted(struct razor_ask *a, struct span line)
{
    if (!razor_greeting(line, a->q.server)) {
        fail(a, "it greets otherwise than Razor: ", span_trim(line));
        return;
    }
    if (a->q.server->wants_greeting)
        stream_write(a->stream, SPAN("cn=razor-agents&cv=2.84\r\n"));
    if (a->q.op == RAZOR_DISCOVER)
        say_text(a, LIST, "a=g&pm=csl\r\n");
    else if (a->q.op == RAZOR_REPORT)
        say_who(a);
    else
        ask_state(a);
}

static void answered(struct razor_ask *a, struct span answer)
{
    struct razor_result r = {0};
    switch (a->step) {
    case GREETING:
        greeted(a, answer);
        break;
    case STATE:
        if (razor_state(a->a, answer, a->q.server))
            with_state(a);
        else
            fail(a, "it does not tell its state: ", span_trim(answer));
        break;
    case QUESTIONS:
        take_answers(a, answer);
        break;
    case LIST:
        r.list = razor_list(a->a, answer, &r.n);
        r.why = r.n ? NULL : "it names no servers";
        finish(a, &r);
        break;
    case IDENTITY:
        prove(a, answer);
        break;
    case PROOF:
        if (span_eq(razor_value(a->a, span_trim(answer), "res"), SPAN("1")))
            ask_state(a);
        else
            fail(a, "it does not accept the identity: ", span_trim(answer));
        break;
    default:
        take_report(a, answer);
    }
}

/* One question is open at a time: what comes unasked is an error. */
static size_t on_data(void *ctx, struct span bytes)
{
    struct razor_ask *a = ctx;
    size_t n = 0;
    if (a->ended || a->failure[0])
        return bytes.n;
    if (!razor_complete(bytes, &n)) {
        if (bytes.n >= STREAM_IN_MAX)
            fail(a, "an answer that is too long", SPAN_NONE);
        return 0;
    }
    answered(a, arena_dup(a->a, span_sub(bytes, 0, n)));
    return n;
}

static void on_close(void *ctx, const char *why)
{
    struct razor_ask *a = ctx;
    a->streaming = false;
    a->stream = NULL;
    fail(a, "the connection ended: ", span_str(why));
    maybe_free(a);
}

static const struct stream_events events = {.on_data = on_data, .on_close = on_close};

static void on_found(void *ctx, const struct ip *ip, const char *why)
{
    struct razor_ask *a = ctx;
    a->finding = NULL;
    if (!ip) {
        fail(a, why, SPAN_NONE);
        return;
    }
    a->stream = stream_connect_tcp(a->loop, ip, a->q.to.port, &events, a);
    a->streaming = a->stream != NULL;
}

struct razor_ask *razor_ask(uv_loop_t *loop, struct dns *dns, const struct razor_question *q,
                            razor_done *done, void *ctx)
{
    struct razor_ask *a = xcalloc(1, sizeof *a);
    a->q = *q;
    a->loop = loop;
    a->done = done;
    a->ctx = ctx;
    a->a = arena_new(0);
    a->timing = true;
    uv_timer_init(loop, &a->timer);
    a->timer.data = a;
    uv_timer_start(&a->timer, on_timer, (uint64_t)q->timeout / 1000 + 1, 0);
    a->finding = where_find(dns, &q->to, on_found, a);
    return a;
}
