#include "quarantine/quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "quarantine/writer_private.h"

/* --- open and close --- */

static int open_root(struct quarantine *q, const char *state, struct err *e)
{
    char *path = xasprintf("%s/quarantine", state);
    int result = 0;
    if (mkdir(path, 0700) && errno != EEXIST)
        result = err_sys(e, "%s", path);
    q->root = result ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!result && q->root < 0)
        result = err_sys(e, "%s", path);
    if (!result) {
        q->lock_fd = openat(q->root, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (q->lock_fd < 0 || flock(q->lock_fd, LOCK_EX | LOCK_NB))
            result = err_sys(e, "%s: another process has it open", path);
    }
    free(path);
    return result;
}

struct quarantine *quarantine_open(const char *state, usec keep, struct err *e)
{
    struct quarantine *q = xcalloc(1, sizeof *q);
    *q = (struct quarantine){.root = -1, .lock_fd = -1, .keep = keep};
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->freed, &mono);
    pthread_condattr_destroy(&mono);
    bool fine = open_root(q, state, e) == 0 && (q->index = quarantine_index_open(state, e)) != NULL;
    if (fine && quarantine_index_reconcile(q->index, q->root, e))
        fine = db_damaged(q->index) && db_renew(q->index, e) == 0 &&
               quarantine_index_reconcile(q->index, q->root, e) == 0;
    if (fine)
        return q;
    quarantine_close(q);
    return NULL;
}

void quarantine_close(struct quarantine *q)
{
    if (!q)
        return;
    db_close(q->index);
    if (q->lock_fd >= 0)
        close(q->lock_fd);
    if (q->root >= 0)
        close(q->root);
    pthread_cond_destroy(&q->freed);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

/* --- one thread at a time on an item --- */

static char *busy_slot(struct quarantine *q, const char *id)
{
    for (size_t i = 0; i < BUSY_MAX; i++)
        if (strcmp(q->busy[i], id) == 0)
            return q->busy[i];
    return NULL;
}

int busy_take(struct quarantine *q, const char *id, struct err *e)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += BUSY_WAIT_S;
    int result = 0;
    pthread_mutex_lock(&q->lock);
    while (result == 0 && (busy_slot(q, id) || !busy_slot(q, "")))
        if (pthread_cond_timedwait(&q->freed, &q->lock, &t))
            result = err_set(e, "%s is being worked on, try again", id);
    if (result == 0)
        memcpy(busy_slot(q, ""), id, ID_SIZE);
    pthread_mutex_unlock(&q->lock);
    return result;
}

void busy_give(struct quarantine *q, const char *id)
{
    pthread_mutex_lock(&q->lock);
    char *slot = busy_slot(q, id);
    if (slot)
        slot[0] = '\0';
    pthread_cond_broadcast(&q->freed);
    pthread_mutex_unlock(&q->lock);
}

/* --- items --- */

int item_dir(struct quarantine *q, const char *id, struct err *e)
{
    char day[DAY_SIZE];
    pthread_mutex_lock(&q->lock);
    bool known = quarantine_index_day(q->index, id, day);
    pthread_mutex_unlock(&q->lock);
    int dir = known ? day_open(q->root, day, false) : -1;
    if (dir >= 0 && file_there(dir, id, "json"))
        return dir;
    if (dir >= 0)
        close(dir);
    dir = day_search(q->root, id, day) ? day_open(q->root, day, false) : -1;
    if (dir < 0)
        err_set(e, "%s is not in the quarantine", id);
    return dir;
}

int item_save(struct quarantine *q, int dir, const struct quarantine_item *x, struct err *e)
{
    struct buf b = {0};
    sidecar_encode(&b, x);
    int result = file_put(dir, x->id, "json", buf_span(&b), e);
    buf_free(&b);
    if (result == 0 && fsync(dir))
        result = err_sys(e, "quarantine: directory of %s", x->id);
    if (result)
        return -1;
    struct err why;
    pthread_mutex_lock(&q->lock);
    if (quarantine_index_put(q->index, x, &why)) {
        log_event(LOG_WARN, x->id, "quarantine-index", F_STR("why", why.text));
        if (db_damaged(q->index) && db_renew(q->index, &why) == 0)
            quarantine_index_reconcile(q->index, q->root, &why);
    }
    pthread_mutex_unlock(&q->lock);
    return 0;
}

/* --- hold --- */

static struct span copy(struct arena *a, struct span s)
{
    return s.p ? arena_dup(a, s) : SPAN_NONE;
}

static void copy_rcpt(struct arena *a, const struct quarantine_hold *h, uint32_t which,
                      struct quarantine_rcpt *to)
{
    const struct rcpt *from = &h->env->rcpts[which];
    *to = (struct quarantine_rcpt){
        .rcpt = {copy(a, from->addr), copy(a, from->orcpt), from->notify},
        .policy = copy(a, h->policy),
        .reason = copy(a, h->reason),
        .detail = copy(a, h->detail),
    };
}

static struct quarantine_item *item_from(struct arena *a, const struct quarantine_hold *h)
{
    struct quarantine_item *x = ARENA_NEW(a, struct quarantine_item);
    const struct peer *p = h->peer;
    memcpy(x->id, h->id, ID_SIZE);
    x->received = h->received;
    x->score = h->score;
    x->virus = copy(a, h->virus);
    x->subject = copy(a, h->subject);
    x->header_from = copy(a, h->header_from);
    x->message_id = copy(a, h->message_id);
    x->sign = copy(a, h->sign);
    x->peer = *p;
    x->peer.name = copy(a, p->name);
    x->peer.helo = copy(a, p->helo);
    x->peer.listener = copy(a, p->listener);
    x->peer.protocol = copy(a, p->protocol);
    x->peer.tls_version = copy(a, p->tls_version);
    x->peer.tls_cipher = copy(a, p->tls_cipher);
    x->peer.auth_user = copy(a, p->auth_user);
    x->env = *h->env;
    x->env.rcpts = NULL;
    x->env.from = copy(a, h->env->from);
    x->env.envid = copy(a, h->env->envid);
    size_t n = h->rcpts ? h->nrcpts : h->env->nrcpts;
    x->rcpts = arena_array(a, n, sizeof *x->rcpts);
    for (size_t i = 0; i < n; i++) {
        uint32_t which = h->rcpts ? h->rcpts[i] : (uint32_t)i;
        if (which < h->env->nrcpts)
            copy_rcpt(a, h, which, &x->rcpts[x->nrcpts++]);
    }
    return x;
}

/* Recipients of a later hold join those that are there; one that had been released or deleted waits
 * again. */
static void merge(struct arena *a, struct quarantine_item *old, const struct quarantine_item *x)
{
    size_t total = old->nrcpts + x->nrcpts;
    struct quarantine_rcpt *all = arena_array(a, total, sizeof *all);
    memcpy(all, old->rcpts, old->nrcpts * sizeof *all);
    for (size_t i = 0; i < x->nrcpts; i++) {
        size_t k = 0;
        while (k < old->nrcpts && !span_eq(all[k].rcpt.addr, x->rcpts[i].rcpt.addr))
            k++;
        all[k] = x->rcpts[i];
        if (k == old->nrcpts)
            old->nrcpts++;
    }
    old->rcpts = all;
}

static int store(struct quarantine *q, struct quarantine_item *x, int fd, struct arena *a,
                 struct err *e)
{
    char day[DAY_SIZE];
    int dir = item_dir(q, x->id, NULL);
    bool again = dir >= 0;
    if (again) {
        struct quarantine_item *old = ARENA_NEW(a, struct quarantine_item);
        if (sidecar_read(dir, x->id, a, old, e)) {
            close(dir);
            return -1;
        }
        merge(a, old, x);
        x = old;
    } else {
        dir = day_open(q->root, day_of(x->received, day), true);
        if (dir < 0)
            return err_sys(e, "quarantine: %s", day);
    }
    x->held = clock_wall();
    x->expires = x->held + q->keep;
    int result = 0;
    if (!again || !file_there(dir, x->id, "eml"))
        result = file_copy(dir, x->id, "eml", fd, &x->size, e);
    if (result == 0)
        result = item_save(q, dir, x, e);
    close(dir);
    return result;
}

static int hold(struct quarantine *q, struct quarantine_item *x, int fd, struct arena *a,
                struct err *e)
{
    if (!id_valid(span_str(x->id)))
        return err_set(e, "quarantine: '%s' is no id", x->id);
    char id[ID_SIZE];
    memcpy(id, x->id, ID_SIZE);
    if (busy_take(q, id, e))
        return -1;
    int result = store(q, x, fd, a, e);
    busy_give(q, id);
    return result;
}

int quarantine_hold(struct quarantine *q, const struct quarantine_hold *h, int fd, struct err *e)
{
    struct arena *a = arena_new(0);
    int result = hold(q, item_from(a, h), fd, a, e);
    arena_free(a);
    return result;
}

/* --- the same beside the loop --- */

struct hold_work {
    uv_work_t work;
    struct quarantine *q;
    struct arena *a;
    struct quarantine_item *item;
    int fd, result;
    struct err e;
    quarantine_held *done;
    void *ctx;
};

static void hold_run(uv_work_t *work)
{
    struct hold_work *w = work->data;
    if (w->fd >= 0)
        w->result = hold(w->q, w->item, w->fd, w->a, &w->e);
}

static void hold_done(uv_work_t *work, int status)
{
    struct hold_work *w = work->data;
    if (status == UV_ECANCELED)
        w->result = err_set(&w->e, "quarantine: cancelled");
    if (w->fd >= 0)
        close(w->fd);
    w->done(w->ctx, w->result, &w->e);
    arena_free(w->a);
    free(w);
}

void quarantine_hold_async(struct quarantine *q, uv_loop_t *loop, const struct quarantine_hold *h,
                           int fd, quarantine_held *done, void *ctx)
{
    struct hold_work *w = xcalloc(1, sizeof *w);
    *w = (struct hold_work){.q = q, .a = arena_new(0), .done = done, .ctx = ctx};
    w->work.data = w;
    w->item = item_from(w->a, h);
    w->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (w->fd < 0)
        w->result = err_sys(&w->e, "quarantine: the message's descriptor");
    uv_queue_work(loop, &w->work, hold_run, hold_done);
}
