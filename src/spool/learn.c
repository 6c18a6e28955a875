/* Learning for the scanners. Lessons that come while one transaction is written to the disk make
 * the next one, in a thread of the loop's pool; so many lessons cost one wait for the disk. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "flow/teaching.h"
#include "spool/spool_private.h"

enum { WAITING_MAX = 2000 }; /* lessons; more are not taken */

struct lesson_job {
    struct lesson_job *next;
    uint64_t serial, tag; /* whom to answer; tag 0: nobody */
    struct buf payload;
    struct learn_lesson lesson; /* in the payload */
    struct rules_expiry expiry;
    enum learn_result result;
    struct err e;
};

struct learning {
    uv_work_t work;
    struct spool *sp;
    char *path;
    struct learn_store *store; /* NULL: not open; touched by the thread alone while it runs */
    struct lesson_job *first, **last; /* waiting */
    struct lesson_job *batch;         /* in work */
    size_t waiting;
    bool running, told_full, told_failed;
};

/* --- in the thread --- */

static void fail_all(struct lesson_job *batch, const struct err *e)
{
    for (struct lesson_job *j = batch; j; j = j->next) {
        j->result = LEARN_FAILED;
        j->e = *e;
    }
}

static int open_store(struct learning *l, struct err *e)
{
    if (l->store && learn_stale(l->store)) {
        learn_close(l->store);
        l->store = NULL;
    }
    if (!l->store)
        l->store = learn_open(l->path, l->sp->set->learn.size, LEARN_WRITE, e);
    return l->store ? 0 : -1;
}

static void expire(struct learning *l)
{
    uint32_t now = (uint32_t)(clock_wall() / USEC_PER_SEC);
    for (struct lesson_job *j = l->batch; j; j = j->next) {
        struct learn_counts n;
        struct err e = {0};
        if (!j->expiry.most || j->result != LEARN_DONE ||
            !learn_counts(l->store, j->lesson.user, &n) ||
            (n.tokens <= j->expiry.most && n.seen <= LEARN_SEEN_MAX))
            continue;
        int64_t gone =
            learn_expire(l->store, j->lesson.user, j->expiry.most, j->expiry.keep, now, &e);
        log_event(gone < 0 ? LOG_FAULT : LOG_NOTE, NULL, "learned-expired",
                  F_SPAN("user", j->lesson.user), F_INT("tokens", gone < 0 ? 0 : gone),
                  F_STR("why", gone < 0 ? e.text : ""));
    }
}

static void in_thread(uv_work_t *work)
{
    struct learning *l = work->data;
    struct err e = {0};
    if (open_store(l, &e) != 0 || learn_begin(l->store, &e) != 0) {
        fail_all(l->batch, &e);
        return;
    }
    for (struct lesson_job *j = l->batch; j; j = j->next)
        j->result = learn_apply(l->store, &j->lesson, &j->e);
    if (learn_commit(l->store, &e) != 0)
        fail_all(l->batch, &e);
    else
        expire(l);
}

/* --- in the loop --- */

static void tell_trouble(struct learning *l, const struct lesson_job *j)
{
    bool full = j->result == LEARN_FULL, *told = full ? &l->told_full : &l->told_failed;
    if (j->result < LEARN_FULL) {
        l->told_full = l->told_failed = false;
        return;
    }
    if (!*told)
        log_event(LOG_FAULT, NULL, full ? "learned-full" : "not-learned", F_STR("why", j->e.text),
                  F_STR("path", l->path));
    *told = true;
}

static void answer(struct spool *sp, const struct lesson_job *j)
{
    struct peer_link *to = j->tag ? spool_peer(sp, j->serial) : NULL;
    struct buf b = {0};
    if (!to)
        return;
    teaching_answer_encode(&b, &(struct teaching_answer){j->result, span_str(j->e.text)});
    link_send(to->link, FRAME_LEARN_RESULT, j->tag, buf_span(&b), -1);
    buf_free(&b);
}

static void start(struct learning *l);

static void finished(struct learning *l, struct lesson_job *j)
{
    tell_trouble(l, j);
    answer(l->sp, j);
    buf_free(&j->payload);
    free(j);
    l->sp->asking--;
}

static void done(uv_work_t *work, int status)
{
    struct learning *l = work->data;
    struct spool *sp = l->sp;
    (void)status;
    for (struct lesson_job *j = l->batch, *next; j; j = next) {
        next = j->next;
        finished(l, j);
    }
    l->batch = NULL;
    l->running = false;
    if (l->first)
        start(l);
    spool_maybe_done(sp);
}

static void start(struct learning *l)
{
    l->running = true;
    l->batch = l->first;
    l->first = NULL;
    l->last = &l->first;
    l->waiting = 0;
    uv_queue_work(&l->sp->loop, &l->work, in_thread, done);
}

static struct learning *learning_of(struct spool *sp)
{
    if (sp->learning)
        return sp->learning;
    struct learning *l = sp->learning = xcalloc(1, sizeof *l);
    l->sp = sp;
    l->work.data = l;
    l->last = &l->first;
    l->path = xasprintf("%s/bayes.mdb", sp->set->paths.state);
    return l;
}

void learn_request(struct spool *sp, uint64_t serial, uint64_t tag, struct span payload)
{
    struct learning *l = learning_of(sp);
    struct lesson_job *j = xcalloc(1, sizeof *j);
    j->serial = serial;
    j->tag = tag;
    buf_add(&j->payload, payload);
    sp->asking++;
    if (l->waiting >= WAITING_MAX ||
        !teaching_decode(buf_span(&j->payload), &j->expiry, &j->lesson)) {
        bool busy = l->waiting >= WAITING_MAX;
        j->result = busy ? LEARN_FULL : LEARN_FAILED;
        err_set(&j->e, busy ? "too many lessons wait for the disk" : "the lesson can't be read");
        finished(l, j);
        return;
    }
    *l->last = j;
    l->last = &j->next;
    l->waiting++;
    if (!l->running)
        start(l);
}

void learning_free(struct spool *sp)
{
    struct learning *l = sp->learning;
    if (!l || l->running)
        return; /* we end in the middle of it: the transaction is not there, or whole */
    learn_close(l->store);
    free(l->path);
    free(l);
    sp->learning = NULL;
}
