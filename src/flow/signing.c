#include "flow/signing.h"

#include <stdlib.h>

#include "auth/authres.h"
#include "auth/sign.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "mime/header_edit.h"

enum { TICK_MS = 500, FIELDS_MAX = 256 * 1024, WHY_MAX = 200 };

struct job;

/* One question to the spool. */
struct question {
    struct question *next;
    struct job *job;
    struct group *group; /* or */
    struct mail *mail;   /* a notice of our own */
    uint64_t tag;
    struct buf payload;
    bool sent;
    usec until;
};

/* One message. */
struct job {
    struct signing *s;
    struct message *m;
    size_t waiting;
    void (*done)(void *ctx);
    void *ctx;
};

struct signing {
    uv_timer_t timer;
    const struct settings *set;
    struct auth_digests digests;
    signing_send_fn *send;
    void *send_ctx;
    struct question *first;
    uint64_t tag;
};

void sign_answer_encode(struct buf *b, const struct sign_answer *a)
{
    buf_u8(b, a->signed_);
    buf_lstr(b, a->text);
}

bool sign_answer_decode(struct span payload, struct sign_answer *a)
{
    struct cursor c = cursor_over(payload);
    a->signed_ = cursor_u8(&c) != 0;
    a->text = cursor_lstr(&c);
    return cursor_ok(&c);
}

struct signing *signing_new(uv_loop_t *loop, const struct settings *set, signing_send_fn *send,
                            void *ctx)
{
    if (set->dkim.sign.n == 0 && (set->arc.seal == ARC_SEAL_NEVER || !set->arc.domain))
        return NULL;
    struct signing *s = xcalloc(1, sizeof *s);
    s->set = set;
    s->send = send;
    s->send_ctx = ctx;
    auth_digests_open(&s->digests);
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    return s;
}

static void on_timer_closed(uv_handle_t *h)
{
    free(h->data);
}

void signing_free(struct signing *s)
{
    if (!s)
        return;
    auth_digests_close(&s->digests);
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

/* --- what becomes of a group --- */

static bool none(struct span name)
{
    (void)name;
    return false;
}

/* On top of everything, our other fields included: they come in the order of the list. */
static void add_fields(struct message *m, struct group *g, struct span fields)
{
    struct mime *h = mime_header(m->arena, m->raw, none);
    struct splices all = {0};
    header_insert(&all, h, fields);
    for (size_t i = 0; i < g->edits.n; i++)
        *ARENA_PUSH(m->arena, all.v, all.n, all.cap) = g->edits.v[i];
    g->edits = all;
    splices_sort(&g->edits, m->raw.n, NULL);
}

static void unsigned_group(struct signing *s, struct message *m, struct group *g, struct span why)
{
    log_event(LOG_WARN, m->id, "not-signed", F_SPAN("why", span_sub(why, 0, WHY_MAX)));
    if (s->set->dkim.on_sign_error == FAIL_PASS)
        return;
    bool hold = s->set->dkim.on_sign_error == FAIL_HOLD;
    g->outcome = hold ? OUT_HOLD : OUT_DEFER;
    g->reason = SPAN("signature");
    g->detail = arena_dup(m->arena, span_sub(why, 0, WHY_MAX));
    if (!hold)
        g->reply = arena_printf(m->arena, "451 4.7.5 the message can't be signed now (%s)", m->id);
}

/* It says what its reader has to know, with or without. */
static void sign_mail(struct message *m, struct mail *mail, const struct sign_answer *a)
{
    struct buf b = {0};
    if (!a->signed_ || a->text.n > FIELDS_MAX) {
        log_event(LOG_WARN, m->id, "notice-not-signed",
                  F_SPAN("why", span_sub(a->text, 0, WHY_MAX)));
        return;
    }
    sign_fields_wire(&b, a->text);
    buf_add(&b, mail->bytes);
    mail->bytes = arena_dup(m->arena, buf_span(&b));
    buf_free(&b);
}

static void job_step(struct job *j)
{
    if (--j->waiting)
        return;
    void (*done)(void *ctx) = j->done;
    void *ctx = j->ctx;
    free(j);
    done(ctx);
}

/* --- questions --- */

static void over(struct question *q, const struct sign_answer *a)
{
    struct job *j = q->job;
    struct question **at = &j->s->first;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    if (!j->s->first)
        uv_timer_stop(&j->s->timer);
    if (q->mail)
        sign_mail(j->m, q->mail, a);
    else if (a->signed_ && a->text.n <= FIELDS_MAX)
        add_fields(j->m, q->group, a->text);
    else
        unsigned_group(j->s, j->m, q->group, a->text);
    buf_free(&q->payload);
    free(q);
    job_step(j);
}

static void on_tick(uv_timer_t *timer)
{
    struct signing *s = timer->data;
    usec now = clock_mono();
    for (struct question *q = s->first, *next; q; q = next) {
        next = q->next;
        if (now > q->until)
            over(q, &(struct sign_answer){false, SPAN("the spool does not answer")});
    }
}

static void ask(struct job *j, struct group *g, struct mail *mail, const struct sign_request *r)
{
    struct signing *s = j->s;
    struct question *q = xcalloc(1, sizeof *q);
    q->job = j;
    q->group = g;
    q->mail = mail;
    q->tag = ++s->tag;
    q->until = clock_mono() + SIGNING_WAIT;
    sign_request_encode(&q->payload, r);
    q->next = s->first;
    s->first = q;
    j->waiting++;
    if (!uv_is_active((uv_handle_t *)&s->timer))
        uv_timer_start(&s->timer, on_tick, TICK_MS, TICK_MS);
    if (q->payload.n <= SIGN_REQUEST_MAX)
        q->sent = s->send(s->send_ctx, q->tag, buf_span(&q->payload));
    else
        over(q, &(struct sign_answer){false, SPAN("the header is too large")});
}

void signing_answer(struct signing *s, uint64_t tag, struct span payload)
{
    struct sign_answer a;
    if (!s || !sign_answer_decode(payload, &a))
        return;
    for (struct question *q = s->first; q; q = q->next)
        if (q->tag == tag) {
            over(q, &a);
            return;
        }
}

void signing_spool_here(struct signing *s)
{
    for (struct question *q = s ? s->first : NULL; q; q = q->next)
        if (!q->sent)
            q->sent = s->send(s->send_ctx, q->tag, buf_span(&q->payload));
}

void signing_spool_gone(struct signing *s)
{
    for (struct question *q = s ? s->first : NULL; q; q = q->next)
        q->sent = false;
    signing_spool_here(s); /* two spools overlap at a reload */
}

/* --- messages --- */

static bool is_delivered(const struct group *g)
{
    return g->nrcpts && (g->outcome == OUT_ACCEPT || g->outcome == OUT_TAG ||
                         g->outcome == OUT_CLEAN || g->outcome == OUT_HOLD);
}

/* The value of our own Authentication-Results. */
static struct span results(const struct settings *set, const struct message *m)
{
    struct buf b = {0};
    authres_write(&b, set->hostname, m);
    struct span field = buf_span(&b);
    struct span value = span_trim(span_from(field, span_find(field, ':') + 1));
    value = b.n ? arena_dup(m->arena, value) : SPAN_NONE;
    buf_free(&b);
    return value;
}

static void sign_group(struct job *j, struct group *g)
{
    struct signing *s = j->s;
    struct message *m = j->m;
    struct sign_request r;
    struct signable *sa = signable_new(&s->digests, m, &g->edits, m->arena);
    if (sign_wants_dkim(s->set, m, sa, &r)) {
        ask(j, g, NULL, &r);
        return;
    }
    struct span seen = m->facts.auth.ran ? results(s->set, m) : SPAN_NONE;
    if (seen.n && sign_wants_seal(s->set, m, sa, seen, &r))
        ask(j, g, NULL, &r);
}

static void sign_notice(struct job *j, struct mail *mail)
{
    struct sign_request r;
    struct arena *a = j->m->arena;
    if (mail->bytes.p &&
        sign_wants_own(j->s->set, signable_own(&j->s->digests, mail->bytes, a), &r))
        ask(j, NULL, mail, &r);
}

static bool may_be_held(const struct scan_result *r)
{
    for (size_t i = 0; i < r->ngroups; i++)
        if (r->groups[i].outcome == OUT_HOLD || r->groups[i].outcome == OUT_REJECT ||
            r->groups[i].delivery.keep)
            return true;
    return false;
}

/* The quarantine keeps the bytes as they came. */
void signing_for_release(struct signing *s, struct message *m, struct scan_result *result,
                         bool held)
{
    struct splices none = {0};
    struct sign_request r;
    struct buf b = {0};
    if (!s || (!held && !may_be_held(result)) ||
        !sign_wants_dkim(s->set, m, signable_new(&s->digests, m, &none, m->arena), &r))
        return;
    sign_request_encode(&b, &r);
    if (b.n <= SIGNING_RELEASE_MAX)
        result->sign = arena_dup(m->arena, buf_span(&b));
    else
        log_event(LOG_WARN, m->id, "not-signed-when-released",
                  F_STR("why", "the header is too large"));
    buf_free(&b);
}

void signing_run(struct signing *s, struct message *m, struct scan_result *result,
                 void (*done)(void *ctx), void *ctx)
{
    if (!s) {
        done(ctx);
        return;
    }
    struct job *j = xcalloc(1, sizeof *j);
    *j = (struct job){s, m, 1, done, ctx};
    for (size_t i = 0; i < result->ngroups; i++)
        if (is_delivered(&result->groups[i]))
            sign_group(j, &result->groups[i]);
    for (size_t i = 0; i < result->mails.n; i++)
        sign_notice(j, &result->mails.v[i]);
    job_step(j);
}
