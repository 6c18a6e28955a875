/* What follows when a recipient can't be reached for good, waits for long, or was reached and
 * somebody wants to know.
 *
 *   NOTIFY says so             nobody is told
 *   a report of our own        given up, with a record: reports about reports never end
 *   null sender, or judged bad quarantine: nobody to tell, or nobody who sent it
 *   queue.bounce: false        held in the queue
 *   else                       a report to the sender, stored before the recipient is final
 *
 * So a failure is never forgotten by a crash, at worst it is reported twice. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "auth/signer.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "deliver/deliver_private.h"

/* Original returned in full up to this size, when RET=FULL asks for it. */
enum { RETURN_MAX = 256 * 1024, TRY_AGAIN_SECONDS = 60 };

/* Work that must be safe before recipients become final. */
struct pending {
    struct deliver *d;
    struct queue_msg *m;
    uint32_t *rcpts;
    size_t n;
    enum queue_state then;
    enum record_kind kind; /* of the record when it is done */
    /* a report */
    struct buf bytes;
    char id[ID_SIZE];
    struct rcpt to;
    usec composed;
    bool smtputf8;
    uv_work_t signing;
    struct buf fields; /* its signature */
    struct err unsigned_why;
};

static struct pending *pending_new(struct deliver *d, struct queue_msg *m, const uint32_t *rcpts,
                                   size_t n)
{
    struct pending *p = xcalloc(1, sizeof *p);
    p->d = d;
    p->m = m;
    p->rcpts = xmalloc((n + 1) * sizeof *rcpts);
    if (n)
        memcpy(p->rcpts, rcpts, n * sizeof *rcpts);
    p->n = n;
    m->in_work++;
    d->nreports++;
    return p;
}

static void pending_free(struct pending *p)
{
    struct deliver *d = p->d;
    struct queue_msg *m = p->m;
    m->in_work--;
    d->nreports--;
    if (m->open)
        deliver_reschedule(d, m);
    queue_settle(d->q, m);
    buf_free(&p->bytes);
    buf_free(&p->fields);
    free(p->rcpts);
    free(p);
    maybe_drained(d);
}

static void make_final(struct deliver *d, struct queue_msg *m, const uint32_t *rcpts, size_t n,
                       enum queue_state state)
{
    for (size_t i = 0; i < n; i++) {
        struct queue_rcpt *r = &m->rcpts[rcpts[i]];
        r->active = false;
        if (queue_state_final(r->state))
            continue;
        struct queue_change c = {
            .state = state, .last = clock_wall(), .tries = r->tries + 1, .warned = r->warned};
        c.reason = span_str(r->reason);
        queue_change(d->q, m, &rcpts[i], 1, &c);
    }
}

/* Nothing is final; it is tried again soon. */
static void not_now(struct pending *p, const char *why)
{
    log_event(LOG_WARN, p->m->id, "report-put-off", F_STR("why", why));
    for (size_t i = 0; i < p->n; i++) {
        p->m->rcpts[p->rcpts[i]].active = false;
        queue_wait(p->d->q, p->m, p->rcpts[i], clock_wall() + TRY_AGAIN_SECONDS * USEC_PER_SEC,
                   SPAN_NONE);
    }
}

static void settled(struct pending *p, bool ok, struct span text, const char *why)
{
    if (!ok) {
        not_now(p, why);
    } else {
        for (size_t i = 0; i < p->n; i++)
            deliver_tell(p->d, p->kind == RECORD_HELD ? "quarantined" : "reported", p->m, p->kind,
                         p->m->rcpts[p->rcpts[i]].addr, SPAN_NONE, text);
        if (p->then != Q_WAITING)
            make_final(p->d, p->m, p->rcpts, p->n, p->then);
    }
    pending_free(p);
}

/* --- reports --- */

static void on_stored(void *ctx, enum queue_result r, const char *why)
{
    struct pending *p = ctx;
    settled(p, r == QUEUE_OK, span_str(p->id), why);
}

static const char *report_from(const struct deliver *d, struct arena *a)
{
    const struct settings *set = d->set;
    return set->queue.bounce_from ? set->queue.bounce_from
                                  : arena_printf(a, "postmaster@%s", set->hostname).p;
}

static void store_report(struct pending *p)
{
    struct queue_new report = {.id = p->id,
                               .flags = QUEUE_NOTICE,
                               .created = p->composed,
                               .fd = -1,
                               .bytes = buf_span(&p->bytes)};
    report.env.from = SPAN("");
    report.env.rcpts = &p->to;
    report.env.nrcpts = 1;
    report.env.body_8bit = true;
    report.env.smtputf8 = p->smtputf8;
    queue_put(p->d->q, &report, 1, NULL, on_stored, p);
}

/* --- their signatures: made in a thread of the loop's pool --- */

static void sign_in_thread(uv_work_t *work)
{
    struct pending *p = work->data;
    signer_sign_own(p->d->signer, p->d->set, buf_span(&p->bytes),
                    (uint64_t)(p->composed / USEC_PER_SEC), &p->fields, &p->unsigned_why);
}

/* A report that can't be signed goes out all the same: it is all that its reader gets. */
static void report_signed(uv_work_t *work, int status)
{
    struct pending *p = work->data;
    (void)status;
    if (p->unsigned_why.text[0])
        log_event(LOG_WARN, p->id, "not-signed", F_STR("why", p->unsigned_why.text));
    if (p->fields.n) {
        buf_add(&p->fields, buf_span(&p->bytes));
        buf_free(&p->bytes);
        p->bytes = p->fields;
        p->fields = (struct buf){0};
    }
    store_report(p);
}

static void finish_report(struct pending *p)
{
    struct deliver *d = p->d;
    p->signing.data = p;
    if (!signer_keys(d->signer) ||
        uv_queue_work(d->loop, &p->signing, sign_in_thread, report_signed) != 0)
        store_report(p);
}

static void send_report(struct deliver *d, struct pending *p, const struct queue_meta *meta,
                        enum report_kind kind, const struct failed *v, size_t n, struct span where)
{
    struct arena *a = arena_take(d);
    bool whole = kind == REPORT_FAILED && meta->env.ret == RET_FULL && p->m->size <= RETURN_MAX;
    size_t want = p->m->size < RETURN_MAX ? (size_t)p->m->size : RETURN_MAX;
    char *original = arena_raw(a, want + 1);
    int64_t got = queue_read(d->q, p->m, 0, original, want);
    id_new(p->id);
    struct report r = {
        .kind = kind,
        .hostname = d->set->hostname,
        .from = report_from(d, a),
        .id = p->id,
        .now = clock_wall(),
        .expires = p->m->created + d->set->queue.lifetime,
        .meta = meta,
        .v = v,
        .n = n,
        .where = where,
        .original = span_of(original, got > 0 ? (size_t)got : 0),
        .whole = whole,
    };
    report_compose(&r, &p->bytes);
    p->to.addr = p->m->from;
    p->to.notify = NOTIFY_NEVER;
    p->composed = r.now;
    p->smtputf8 = meta->env.smtputf8;
    arena_give(d, a);
    finish_report(p);
}

static bool wanted(const struct queue_rcpt *r, enum report_kind kind)
{
    switch (kind) {
    case REPORT_FAILED:
        return r->notify == 0 || (r->notify & NOTIFY_FAILURE);
    case REPORT_DELAYED:
        return r->notify == 0 || (r->notify & NOTIFY_DELAY);
    case REPORT_RELAYED:
        return r->notify & NOTIFY_SUCCESS;
    }
    return false;
}

static bool may_be_told(const struct deliver *d, const struct queue_msg *m)
{
    return m->from.n && !(m->flags & (QUEUE_NO_BOUNCE | QUEUE_NOTICE)) && d->set->queue.bounce;
}

void outcome_notice(struct deliver *d, struct queue_msg *m, const struct queue_meta *meta,
                    enum report_kind kind, const struct failed *v, size_t n, struct span where)
{
    if (!may_be_told(d, m))
        return;
    struct arena *a = arena_take(d);
    struct failed *tell = arena_array(a, n, sizeof *tell);
    size_t ntell = 0;
    for (size_t i = 0; i < n; i++)
        if (wanted(&m->rcpts[v[i].rcpt], kind))
            tell[ntell++] = v[i];
    if (ntell) {
        struct pending *p = pending_new(d, m, NULL, 0);
        send_report(d, p, meta, kind, tell, ntell, where);
    }
    arena_give(d, a);
}

/* --- quarantine --- */

/* The message as a file of its own. */
static int copy_out(struct deliver *d, struct queue_msg *m)
{
    int fd = memfd_create("undeliverable", MFD_CLOEXEC);
    char piece[65536];
    for (uint64_t at = 0; fd >= 0 && at < m->size;) {
        int64_t n = queue_read(d->q, m, at, piece, sizeof piece);
        if (n <= 0 || write(fd, piece, (size_t)n) != n) {
            close(fd);
            return -1;
        }
        at += (uint64_t)n;
    }
    return fd;
}

static void on_quarantined(void *ctx, int result, const struct err *e)
{
    settled(ctx, result == 0, SPAN("undeliverable"), e ? e->text : "");
}

static void quarantine(struct deliver *d, struct pending *p, const struct queue_meta *meta,
                       struct span detail)
{
    int fd = copy_out(d, p->m);
    char id[ID_SIZE];
    snprintf(id, sizeof id, "%.*s", ID_LEN, p->m->id);
    if (fd < 0) {
        settled(p, false, SPAN_NONE, "the message can't be read");
        return;
    }
    struct quarantine_hold h = {.id = id,
                                .received = p->m->created,
                                .peer = &meta->peer,
                                .env = &meta->env,
                                .rcpts = p->rcpts,
                                .nrcpts = p->n,
                                .policy = SPAN(""),
                                .reason = SPAN("undeliverable"),
                                .detail = detail,
                                .subject = SPAN(""),
                                .header_from = SPAN(""),
                                .message_id = SPAN("")};
    quarantine_hold_async(d->qua, d->loop, &h, fd, on_quarantined, p);
    close(fd);
}

/* --- failures --- */

static void hold_in_queue(struct deliver *d, struct queue_msg *m, const uint32_t *rcpts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        deliver_tell(d, "held", m, RECORD_HELD, m->rcpts[rcpts[i]].addr, SPAN_NONE,
                     span_str(m->rcpts[rcpts[i]].reason));
    make_final(d, m, rcpts, n, Q_HELD);
}

static void dispose(struct deliver *d, struct queue_msg *m, const struct queue_meta *meta,
                    const struct failed *v, const uint32_t *rcpts, size_t n, struct span where)
{
    if (m->flags & QUEUE_NOTICE) {
        make_final(d, m, rcpts, n, Q_FAILED);
    } else if (may_be_told(d, m)) {
        struct pending *p = pending_new(d, m, rcpts, n);
        p->then = Q_FAILED;
        p->kind = RECORD_BOUNCED;
        send_report(d, p, meta, REPORT_FAILED, v, n, where);
    } else if (d->qua && (d->set->queue.bounce || !m->from.n)) {
        struct pending *p = pending_new(d, m, rcpts, n);
        p->then = Q_FAILED;
        p->kind = RECORD_HELD;
        quarantine(d, p, meta, v[0].reply);
    } else {
        hold_in_queue(d, m, rcpts, n);
    }
}

void outcome_failed(struct deliver *d, struct queue_msg *m, const struct queue_meta *meta,
                    const struct failed *v, size_t n, struct span where)
{
    struct arena *a = arena_take(d);
    uint32_t *quiet = arena_array(a, n, sizeof *quiet), *told = arena_array(a, n, sizeof *told);
    struct failed *tell = arena_array(a, n, sizeof *tell);
    size_t nquiet = 0, ntold = 0;
    for (size_t i = 0; i < n; i++) {
        struct queue_rcpt *r = &m->rcpts[v[i].rcpt];
        d->numbers.failed++;
        deliver_tell(d, "failed", m, RECORD_FAILED, r->addr, where, v[i].reply);
        free(r->reason);
        r->reason = xmalloc(v[i].reply.n + 1);
        memcpy(r->reason, v[i].reply.p, v[i].reply.n);
        r->reason[v[i].reply.n] = 0;
        if (wanted(r, REPORT_FAILED)) {
            told[ntold] = v[i].rcpt;
            tell[ntold++] = v[i];
        } else {
            quiet[nquiet++] = v[i].rcpt;
        }
    }
    m->in_work++;
    if (nquiet)
        make_final(d, m, quiet, nquiet, Q_FAILED);
    if (ntold)
        dispose(d, m, meta, tell, told, ntold, where);
    m->in_work--;
    arena_give(d, a);
}
