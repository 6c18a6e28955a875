#include "flow/teaching.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/xalloc.h"

enum { TICK_MS = 1000 };

struct question {
    struct question *next;
    uint64_t tag;
    usec until;
    teaching_done *done;
    void *ctx;
};

struct teaching {
    uv_timer_t timer;
    teaching_send_fn *send;
    void *send_ctx;
    struct question *first;
    uint64_t tag;
};

void teaching_encode(struct buf *b, const struct rules_expiry *x, const struct learn_lesson *l)
{
    buf_u64(b, x->most);
    buf_u64(b, x->keep);
    learn_lesson_encode(b, l);
}

bool teaching_decode(struct span payload, struct rules_expiry *x, struct learn_lesson *l)
{
    struct cursor c = cursor_over(payload);
    x->most = cursor_u64(&c);
    x->keep = cursor_u64(&c);
    return !c.failed && x->keep <= x->most && learn_lesson_decode(c.rest, l);
}

void teaching_answer_encode(struct buf *b, const struct teaching_answer *a)
{
    buf_u8(b, (uint8_t)a->result);
    buf_lstr(b, a->why);
}

bool teaching_answer_decode(struct span payload, struct teaching_answer *a)
{
    struct cursor c = cursor_over(payload);
    uint8_t result = cursor_u8(&c);
    a->result = result > LEARN_FAILED ? LEARN_FAILED : (enum learn_result)result;
    a->why = cursor_lstr(&c);
    return cursor_ok(&c);
}

struct teaching *teaching_new(uv_loop_t *loop, teaching_send_fn *send, void *ctx)
{
    struct teaching *t = xcalloc(1, sizeof *t);
    t->send = send;
    t->send_ctx = ctx;
    uv_timer_init(loop, &t->timer);
    t->timer.data = t;
    return t;
}

static void on_timer_closed(uv_handle_t *h)
{
    free(h->data);
}

void teaching_free(struct teaching *t)
{
    if (!t)
        return;
    for (struct question *q = t->first, *next; q; q = next) {
        next = q->next;
        free(q);
    }
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

static void over(struct teaching *t, struct question *q, const struct teaching_answer *a)
{
    struct question **at = &t->first;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    if (!t->first)
        uv_timer_stop(&t->timer);
    teaching_done *done = q->done;
    void *ctx = q->ctx;
    free(q);
    done(ctx, a);
}

static void on_tick(uv_timer_t *timer)
{
    struct teaching *t = timer->data;
    usec now = clock_mono();
    for (struct question *q = t->first, *next; q; q = next) {
        next = q->next;
        if (now > q->until)
            over(t, q, &(struct teaching_answer){LEARN_FAILED, SPAN("the spool does not answer")});
    }
}

void teaching_ask(struct teaching *t, struct span payload, teaching_done *done, void *ctx)
{
    struct question *q = xcalloc(1, sizeof *q);
    *q = (struct question){.next = t->first,
                           .tag = ++t->tag,
                           .until = clock_mono() + TEACHING_WAIT,
                           .done = done,
                           .ctx = ctx};
    t->first = q;
    if (!uv_is_active((uv_handle_t *)&t->timer))
        uv_timer_start(&t->timer, on_tick, TICK_MS, TICK_MS);
    if (!t->send(t->send_ctx, q->tag, payload))
        over(t, q, &(struct teaching_answer){LEARN_FAILED, SPAN("no spool process")});
}

void teaching_tell(struct teaching *t, struct span payload)
{
    t->send(t->send_ctx, 0, payload);
}

void teaching_answered(struct teaching *t, uint64_t tag, struct span payload)
{
    struct teaching_answer a;
    if (!teaching_answer_decode(payload, &a))
        a = (struct teaching_answer){LEARN_FAILED, SPAN("the spool's answer can't be read")};
    for (struct question *q = t->first; q; q = q->next)
        if (q->tag == tag) {
            over(t, q, &a);
            return;
        }
}

void teaching_spool_gone(struct teaching *t)
{
    while (t->first)
        over(t, t->first, &(struct teaching_answer){LEARN_FAILED, SPAN("the spool went away")});
}
