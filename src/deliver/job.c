/* Jobs: loaded from the queue, carried by a destination, answered, and what follows from the
 * answers. */
#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "deliver/deliver_private.h"

/* --- arenas of jobs --- */

struct arena *arena_take(struct deliver *d)
{
    return d->nidle_arenas ? d->idle_arenas[--d->nidle_arenas] : arena_new(0);
}

void arena_give(struct deliver *d, struct arena *a)
{
    if (d->nidle_arenas == sizeof d->idle_arenas / sizeof *d->idle_arenas) {
        arena_free(a);
        return;
    }
    arena_reset(a);
    d->idle_arenas[d->nidle_arenas++] = a;
}

/* --- jobs --- */

struct job *job_new(struct deliver *d, struct queue_msg *m)
{
    struct job *j = xcalloc(1, sizeof *j);
    j->d = d;
    j->m = m;
    d->njobs++;
    if (m)
        m->in_work++;
    return j;
}

void job_free(struct job *j)
{
    struct deliver *d = j->d;
    struct queue_msg *m = j->m;
    if (j->arena)
        arena_give(d, j->arena);
    free(j->rcpts);
    free(j);
    d->njobs--;
    if (!m)
        return;
    m->in_work--;
    if (m->open)
        deliver_reschedule(d, m);
    queue_settle(d->q, m);
}

static int64_t read_message(void *ctx, uint64_t at, void *to, size_t n)
{
    struct job *j = ctx;
    if (at + n <= j->head.n || (at < j->head.n && j->head.n == j->m->size)) {
        if (n > j->head.n - at)
            n = (size_t)(j->head.n - at);
        memcpy(to, j->head.p + at, n);
        return (int64_t)n;
    }
    return queue_read(j->d->q, j->m, at, to, n);
}

#define UNREADABLE_WAIT ((usec)60 * USEC_PER_SEC)

/* Damage is found when it is too late to refuse: kept for the postmaster. */
static void hold_damaged(struct job *j, const char *why)
{
    log_event(LOG_FAULT, j->m->id, "queue-damaged", F_STR("why", why));
    struct queue_change c = {.state = Q_HELD, .last = clock_wall(), .reason = span_str(why)};
    for (size_t i = 0; i < j->n; i++) {
        struct queue_rcpt *r = &j->m->rcpts[j->rcpts[i]];
        r->active = false;
        if (r->state == Q_WAITING)
            queue_change(j->d->q, j->m, &j->rcpts[i], 1, &c);
    }
    job_free(j);
}

/* A disk that can't be read is not a damaged message: it is tried again. */
static void not_loaded(struct job *j, const struct err *e)
{
    if (!e->sys) {
        hold_damaged(j, e->text);
        return;
    }
    log_event(LOG_FAULT, j->m->id, "queue-unreadable", F_STR("why", e->text));
    job_wait(j, clock_wall() + UNREADABLE_WAIT, SPAN("450 4.3.0 the queue can't be read"), false);
}

bool job_load(struct job *j)
{
    struct err e = {0};
    j->arena = arena_take(j->d);
    size_t head = j->m->size <= FETCH_MAX ? FETCH_MAX : 0;
    if (queue_fetch(j->d->q, j->m, j->arena, head, &j->meta, &j->head, &e) < 0) {
        not_loaded(j, &e);
        return false;
    }
    j->t = (struct transaction){
        .arena = j->arena,
        .env = &j->meta.env,
        .from = sender_of(j),
        .rcpts = j->rcpts,
        .nrcpts = j->n,
        .size = j->m->size,
        .crc = j->meta.data_crc,
        .checksum = queue_crc,
        .read = read_message,
        .read_ctx = j,
        .answers = arena_array(j->arena, j->n, sizeof(struct answer)),
    };
    return true;
}

void job_answer_all(struct job *j, enum answer_class class, struct span text)
{
    if (!j->m) {
        j->t.answers = &(struct answer){class, text};
        job_answered(j);
        return;
    }
    text = arena_dup(j->arena, text);
    for (size_t i = 0; i < j->n; i++)
        j->t.answers[i] = (struct answer){class, text};
    job_answered(j);
}

static void probe_answered(struct job *j, const struct answer *a)
{
    j->probed(j->probed_ctx,
              a->class == ANSWER_OK     ? PROBE_OK
              : a->class == ANSWER_PERM ? PROBE_NO
                                        : PROBE_LATER,
              a->text);
    job_free(j);
}

/* --- what the next hop said --- */

void deliver_tell(struct deliver *d, const char *event, struct queue_msg *m, enum record_kind kind,
                  struct span rcpt, struct span where, struct span text)
{
    log_event(LOG_NOTE, m->id, event, F_SPAN("to", rcpt), F_SPAN("at", where),
              F_SPAN("reply", text));
    if (!d->rec)
        return;
    char id[ID_SIZE];
    snprintf(id, sizeof id, "%.*s", ID_LEN, m->id);
    struct record_event e = {
        .id = id, .when = clock_wall(), .kind = kind, .rcpt = rcpt, .where = where, .text = text};
    record_event(d->rec, &e);
}

static usec jitter(struct deliver *d, usec wait)
{
    return (usec)(deliver_random(d) % (uint64_t)(wait / 8 + 1));
}

/* Whether the time of a recipient is over with this failure. */
bool deliver_expired(const struct deliver *d, const struct queue_msg *m, usec now)
{
    return now - m->created >= d->set->queue.lifetime;
}

static void defer(struct job *j, uint32_t rcpt, struct span text, usec now)
{
    struct deliver *d = j->d;
    struct queue_rcpt *r = &j->m->rcpts[rcpt];
    usec wait = deliver_wait(&d->set->queue, r->tries + 1);
    struct queue_change c = {.state = Q_WAITING,
                             .next = now + wait + jitter(d, wait),
                             .last = now,
                             .tries = r->tries + 1,
                             .warned = r->warned,
                             .reason = text};
    if (c.next > j->m->created + d->set->queue.lifetime)
        c.next = j->m->created + d->set->queue.lifetime;
    d->numbers.deferred++;
    deliver_tell(d, "deferred", j->m, RECORD_DEFERRED, r->addr, j->where, text);
    queue_change(d->q, j->m, &rcpt, 1, &c);
}

static void delivered(struct job *j, const uint32_t *rcpts, size_t n, struct span text, usec now)
{
    struct deliver *d = j->d;
    struct queue_change c = {.state = Q_DELIVERED, .last = now, .reason = text};
    struct failed *asked = arena_array(j->arena, n, sizeof *asked);
    size_t nasked = 0;
    for (size_t i = 0; i < n; i++) {
        struct queue_rcpt *r = &j->m->rcpts[rcpts[i]];
        c.tries = r->tries + 1;
        d->numbers.delivered++;
        deliver_tell(d, "delivered", j->m, RECORD_DELIVERED, r->addr, j->where, text);
        if ((r->notify & NOTIFY_SUCCESS) && !j->t.dsn_passed)
            asked[nasked++] = (struct failed){rcpts[i], text};
    }
    if (nasked)
        outcome_notice(d, j->m, &j->meta, REPORT_RELAYED, asked, nasked, j->where);
    queue_change(d->q, j->m, rcpts, n, &c);
}

static bool is_waiting(const struct job *j, size_t i)
{
    return j->m->rcpts[j->rcpts[i]].state == Q_WAITING;
}

/* Recipients with the same good answer are written down together. */
static void note_delivered(struct job *j, usec now)
{
    uint32_t *some = arena_array(j->arena, j->n, sizeof *some);
    for (size_t i = 0; i < j->n; i++) {
        const struct answer *a = &j->t.answers[i];
        size_t n = 0;
        if (a->class != ANSWER_OK)
            continue;
        struct span text = a->text;
        for (size_t k = i; k < j->n; k++) {
            struct answer *b = &j->t.answers[k];
            if (b->class == ANSWER_OK && span_eq(b->text, text)) {
                some[n++] = j->rcpts[k];
                b->class = ANSWER_NONE;
            }
        }
        delivered(j, some, n, text, now);
    }
}

void job_answered(struct job *j)
{
    struct deliver *d = j->d;
    if (!j->m) {
        probe_answered(j, &j->t.answers[0]);
        return;
    }
    if (j->t.damaged) {
        hold_damaged(j, "450 4.3.0 the queued message is damaged");
        maybe_drained(d);
        return;
    }
    usec now = clock_wall();
    struct failed *failed = arena_array(j->arena, j->n, sizeof *failed);
    size_t nfailed = 0;
    for (size_t i = 0; i < j->n; i++) {
        const struct answer *a = &j->t.answers[i];
        if (a->class == ANSWER_PERM && is_waiting(j, i)) {
            failed[nfailed++] = (struct failed){j->rcpts[i], a->text};
            continue; /* stays active until the report is safe */
        }
        j->m->rcpts[j->rcpts[i]].active = false;
        if (a->class == ANSWER_TEMP && is_waiting(j, i))
            defer(j, j->rcpts[i], a->text, now);
    }
    note_delivered(j, now);
    if (nfailed)
        outcome_failed(d, j->m, &j->meta, failed, nfailed, j->where);
    job_free(j);
    maybe_drained(d);
}

/* The time of the next try is written down, so that a restart does not make a run at a destination
 * that is down; only what was given back untried at the end of this process is not. */
void job_wait(struct job *j, usec until, struct span why, bool tried)
{
    struct deliver *d = j->d;
    if (!j->m) {
        struct answer a = {ANSWER_TEMP, why};
        probe_answered(j, &a);
        return;
    }
    usec most = j->m->created + d->set->queue.lifetime;
    for (size_t i = 0; i < j->n; i++) {
        struct queue_rcpt *r = &j->m->rcpts[j->rcpts[i]];
        usec next = until + (usec)(deliver_random(d) % (uint64_t)USEC_PER_SEC);
        r->active = false;
        if (next > most)
            next = most;
        if (!why.p || r->state != Q_WAITING) {
            queue_wait(d->q, j->m, j->rcpts[i], next, why);
            continue;
        }
        struct queue_change c = {.state = Q_WAITING,
                                 .next = next,
                                 .last = tried ? clock_wall() : r->last,
                                 .tries = r->tries + tried,
                                 .warned = r->warned,
                                 .reason = why};
        queue_change(d->q, j->m, &j->rcpts[i], 1, &c);
    }
    job_free(j);
}
