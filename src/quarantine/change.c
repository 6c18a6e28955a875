/* What becomes of held mail: released, deleted, expired. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "quarantine/writer_private.h"

/* Takes the item: busy, its directory open, its .json read. */
static int take(struct quarantine *q, struct span id, struct arena *a, struct quarantine_item *x,
                int *dir, struct err *e)
{
    if (!id_valid(id))
        return err_set(e, "'%.*s' is no id of a message", SPAN_ARG(span_sub(id, 0, 100)));
    char text[ID_SIZE] = {0};
    memcpy(text, id.p, ID_LEN);
    if (busy_take(q, text, e))
        return -1;
    *dir = item_dir(q, text, e);
    if (*dir >= 0 && sidecar_read(*dir, text, a, x, e) == 0)
        return 0;
    if (*dir >= 0)
        close(*dir);
    busy_give(q, text);
    return -1;
}

static void give(struct quarantine *q, const char *id, int dir)
{
    close(dir);
    busy_give(q, id);
}

/* "K3..: already released to bob@example.org on 2026-11-22T07:30:00.123Z by root" */
static int refuse(const char *id, const struct quarantine_rcpt *r, struct err *e)
{
    char when[CLOCK_ISO_SIZE];
    return err_set(e, "%s: already %s%s%.*s on %s by %.*s", id, quarantine_state_name(r->state),
                   r->state == QUARANTINE_RELEASED ? " to " : " for ", SPAN_ARG(r->rcpt.addr),
                   clock_iso(r->changed, when), SPAN_ARG(r->by));
}

static int choose(struct quarantine_item *x, const struct span *to, size_t nto, struct arena *a,
                  struct envelope *env, struct err *e)
{
    struct quarantine_rcpt *last = NULL;
    for (size_t i = 0; i < nto; i++) {
        size_t k = 0;
        if (x->nrcpts == 0) { /* it came without an envelope: to whom is for the operator to say */
            *ARENA_PUSH(a, env->rcpts, env->nrcpts, env->cap) = (struct rcpt){.addr = to[i]};
            continue;
        }
        while (k < x->nrcpts && !span_ieq(x->rcpts[k].rcpt.addr, to[i]))
            k++;
        if (k == x->nrcpts)
            return err_set(e, "%s: %.*s is not among its recipients", x->id, SPAN_ARG(to[i]));
        if (x->rcpts[k].state != QUARANTINE_HELD)
            return refuse(x->id, &x->rcpts[k], e);
        *ARENA_PUSH(a, env->rcpts, env->nrcpts, env->cap) = x->rcpts[k].rcpt;
    }
    for (size_t k = 0; nto == 0 && k < x->nrcpts; k++) {
        last = &x->rcpts[k];
        if (last->state == QUARANTINE_HELD)
            *ARENA_PUSH(a, env->rcpts, env->nrcpts, env->cap) = last->rcpt;
    }
    if (env->nrcpts == 0)
        return last ? refuse(x->id, last, e)
                    : err_set(e, "%s has no recipients: name them with --to", x->id);
    return 0;
}

static int open_message(int dir, const char *id, struct err *e)
{
    char name[ID_SIZE + 4];
    snprintf(name, sizeof name, "%s.eml", id);
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        err_sys(e, "quarantine: %s", name);
    return fd;
}

int quarantine_release_begin(struct quarantine *q, struct span id, const struct span *to,
                             size_t nto, struct span by, struct arena *a,
                             struct quarantine_release *rel, struct err *e)
{
    struct quarantine_item x;
    int dir;
    *rel = (struct quarantine_release){.fd = -1};
    if (take(q, id, a, &x, &dir, e))
        return -1;
    rel->env = x.env;
    rel->env.rcpts = NULL;
    rel->env.nrcpts = rel->env.cap = 0;
    if (choose(&x, to, nto, a, &rel->env, e) == 0)
        rel->fd = open_message(dir, x.id, e);
    if (rel->fd < 0) {
        give(q, x.id, dir);
        return -1;
    }
    close(dir);
    memcpy(rel->id, x.id, ID_SIZE);
    rel->size = x.size;
    rel->peer = x.peer;
    rel->received = x.received;
    rel->by = arena_dup(a, by);
    rel->sign = x.sign;
    return 0;
}

static void finish(struct quarantine *q, struct quarantine_release *rel)
{
    close(rel->fd);
    rel->fd = -1;
    busy_give(q, rel->id);
}

int quarantine_release_commit(struct quarantine *q, struct quarantine_release *rel, struct err *e)
{
    struct arena *a = arena_new(0);
    struct quarantine_item x;
    int dir = item_dir(q, rel->id, e);
    int result = dir < 0 ? -1 : sidecar_read(dir, rel->id, a, &x, e);
    for (size_t i = 0; result == 0 && i < rel->env.nrcpts; i++) {
        for (size_t k = 0; k < x.nrcpts; k++) {
            if (!span_eq(x.rcpts[k].rcpt.addr, rel->env.rcpts[i].addr))
                continue;
            x.rcpts[k].state = QUARANTINE_RELEASED;
            x.rcpts[k].changed = clock_wall();
            x.rcpts[k].by = rel->by;
        }
    }
    if (result == 0)
        result = item_save(q, dir, &x, e);
    if (dir >= 0)
        close(dir);
    arena_free(a);
    finish(q, rel);
    return result;
}

void quarantine_release_abort(struct quarantine *q, struct quarantine_release *rel)
{
    finish(q, rel);
}

int quarantine_delete(struct quarantine *q, struct span id, struct span by, struct err *e)
{
    struct arena *a = arena_new(0);
    struct quarantine_item x;
    int dir, result = take(q, id, a, &x, &dir, e);
    if (result == 0) {
        size_t changed = 0;
        for (size_t i = 0; i < x.nrcpts; i++) {
            if (x.rcpts[i].state != QUARANTINE_HELD)
                continue;
            x.rcpts[i].state = QUARANTINE_DELETED;
            x.rcpts[i].changed = clock_wall();
            x.rcpts[i].by = by;
            changed++;
        }
        char name[ID_SIZE + 4];
        snprintf(name, sizeof name, "%s.eml", x.id);
        /* The note first: a crash in between leaves bytes that go with the item, not an item that
         * promises bytes it has not. */
        if (changed == 0 && !file_there(dir, x.id, "eml"))
            result = x.nrcpts ? refuse(x.id, &x.rcpts[0], e) : err_set(e, "%s is empty", x.id);
        else if (item_save(q, dir, &x, e))
            result = -1;
        else if (unlinkat(dir, name, 0) && errno != ENOENT)
            result = err_sys(e, "quarantine: %s", name);
        give(q, x.id, dir);
    }
    arena_free(a);
    return result;
}

/* --- expiry --- */

static bool expire_one(struct quarantine *q, const char *id)
{
    struct err e;
    if (busy_take(q, id, &e))
        return false;
    int dir = item_dir(q, id, &e);
    if (dir >= 0) {
        static const char *const suffixes[] = {"json", "eml"};
        char name[ID_SIZE + 8];
        for (size_t i = 0; i < 2; i++) {
            snprintf(name, sizeof name, "%.*s.%s", ID_LEN, id, suffixes[i]);
            if (unlinkat(dir, name, 0) && errno != ENOENT) {
                err_sys(&e, "quarantine: %s", name);
                log_event(LOG_FAULT, id, "quarantine-expire-failed", F_STR("why", e.text));
            }
        }
        close(dir);
    }
    pthread_mutex_lock(&q->lock);
    bool gone = quarantine_index_remove(q->index, id, &e) == 0;
    pthread_mutex_unlock(&q->lock);
    busy_give(q, id);
    return gone;
}

/* rmdir refuses what is not empty, which is just what is wanted. */
static void drop_empty(void *ctx, const char *day)
{
    struct quarantine *q = ctx;
    char today[DAY_SIZE];
    if (strcmp(day, day_of(clock_wall(), today)) != 0)
        unlinkat(q->root, day, AT_REMOVEDIR);
}

size_t quarantine_expire(struct quarantine *q, usec now, quarantine_gone *gone, void *ctx)
{
    char ids[QUARANTINE_EXPIRE_STEP][ID_SIZE];
    pthread_mutex_lock(&q->lock);
    size_t n = quarantine_index_expired(q->index, now, ids, QUARANTINE_EXPIRE_STEP), removed = 0;
    pthread_mutex_unlock(&q->lock);
    for (size_t i = 0; i < n; i++) {
        if (!expire_one(q, ids[i]))
            continue;
        removed++;
        if (gone)
            gone(ctx, ids[i]);
    }
    if (removed)
        days_each(q->root, drop_empty, q);
    return removed;
}
