/* From a decision to stable storage. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "reports/keeper.h"
#include "spool/spool_private.h"
#include "verdict/verdict.h"

static bool to_queue(const struct storing *s, const struct group *g)
{
    if (s->elsewhere)
        return false;
    return g->outcome == OUT_ACCEPT || g->outcome == OUT_TAG || g->outcome == OUT_CLEAN;
}

/* The message as it came is kept beside what is delivered, here or by those who asked. */
static bool to_keep(const struct storing *s, const struct group *g)
{
    return (g->nrcpts || s->elsewhere) && g->delivery.keep && g->outcome != OUT_DEFER &&
           (s->promised || g->outcome != OUT_REJECT);
}

/* A refusal after the promise would be backscatter: the message is kept instead. */
static bool to_quarantine(const struct storing *s, const struct group *g)
{
    return g->nrcpts && !s->held_elsewhere &&
           (g->outcome == OUT_HOLD || (g->outcome == OUT_REJECT && s->promised));
}

/* --- record --- */

/* What was decided and could not be stored is deferred, for this reason. */
static struct record_group not_stored(const struct storing *s, enum store_code code,
                                      const char *why)
{
    return (struct record_group){.outcome = outcome_name(OUT_DEFER),
                                 .policy = SPAN("spool"),
                                 .reason =
                                     code == STORE_FULL ? SPAN("spool-full") : SPAN("not-stored"),
                                 .detail = span_str(why),
                                 .unscanned = !s->scanned};
}

static size_t groups_of_record(struct storing *s, enum store_code code, const char *why,
                               struct record_group **out)
{
    const struct scan_result *r = &s->result;
    struct record_group *g = arena_array(s->arena, r->ngroups + 1, sizeof *g);
    size_t n = s->scanned ? r->ngroups : 0;
    *out = g;
    for (size_t i = 0; i < n; i++) {
        const struct group *from = &r->groups[i];
        enum outcome decided = to_quarantine(s, from) ? OUT_HOLD : from->outcome;
        g[i] = (struct record_group){.outcome = outcome_name(decided),
                                     .policy = from->policy,
                                     .reason = from->reason,
                                     .detail = from->detail,
                                     .reply = s->promised ? SPAN_NONE : from->reply,
                                     .unscanned = from->unscanned};
        if (code != STORE_OK)
            g[i] = not_stored(s, code, why);
        g[i].rcpts = from->rcpts;
        g[i].nrcpts = from->nrcpts;
    }
    if (n || code == STORE_OK)
        return n;
    uint32_t *all = arena_array(s->arena, s->req.env.nrcpts, sizeof *all);
    for (uint32_t i = 0; i < s->req.env.nrcpts; i++)
        all[i] = i;
    g[0] = not_stored(s, code, why);
    g[0].rcpts = all;
    g[0].nrcpts = s->req.env.nrcpts;
    return 1;
}

static void record_it(struct storing *s, enum store_code code, const char *why)
{
    const struct scan_result *r = &s->result;
    if (!s->sp->record)
        return;
    struct record_group *g;
    size_t n = groups_of_record(s, code, why, &g);
    struct record_entry e = {.id = s->req.id,
                             .received = s->req.received,
                             .size = s->size,
                             .peer = &s->req.peer,
                             .env = &s->req.env,
                             .score = r->score,
                             .required = r->required,
                             .virus = r->virus,
                             .subject = r->subject,
                             .header_from = r->header_from,
                             .message_id = r->message_id,
                             .receipt = r->receipt,
                             .micros = r->micros,
                             .groups = g,
                             .ngroups = n};
    record_add(s->sp->record, &e);
}

static void over(struct storing *s, enum store_code code, const char *why)
{
    struct spool *sp = s->sp;
    bool known = s->known && !s->promised;
    if (code == STORE_OK ? s->scanned : known)
        record_it(s, code, why);
    if (code == STORE_OK && s->scanned && sp->keeper)
        keeper_take(sp->keeper, s->result.reports);
    s->done(s, code, why);
    if (s->fd >= 0)
        close(s->fd);
    spool_arena_give(sp, s->arena);
    free(s);
    sp->storing--;
    spool_maybe_done(sp);
}

/* --- queue --- */

static void on_queued(void *ctx, enum queue_result r, const char *why)
{
    over(ctx, r == QUEUE_OK ? STORE_OK : r == QUEUE_FULL ? STORE_FULL : STORE_FAILED, why);
}

/* The envelope for some of the recipients. */
static struct envelope some(struct arena *a, const struct envelope *env, const uint32_t *rcpts,
                            size_t n)
{
    struct envelope out = *env;
    out.rcpts = arena_array(a, n, sizeof *out.rcpts);
    out.nrcpts = out.cap = n;
    for (size_t i = 0; i < n; i++)
        out.rcpts[i] = env->rcpts[rcpts[i]];
    return out;
}

static struct queue_new *add_new(struct storing *s)
{
    struct queue_new *v = &s->v[s->n];
    char *id = arena_raw(s->arena, QUEUE_ID_SIZE);
    *v = (struct queue_new){.id = queue_id(id, s->req.id, s->part + s->n),
                            .created = s->req.received,
                            .env = s->req.env,
                            .peer = s->req.peer,
                            .fd = s->fd,
                            .fd_size = s->size};
    s->n++;
    return v;
}

static void add_rcpts(struct storing *s, struct envelope *env, const struct span *v, size_t n)
{
    struct rcpt *all = arena_array(s->arena, env->nrcpts + n, sizeof *all);
    if (env->nrcpts)
        memcpy(all, env->rcpts, env->nrcpts * sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[env->nrcpts + i] = (struct rcpt){.addr = v[i]};
    env->rcpts = all;
    env->nrcpts = env->cap = env->nrcpts + n;
}

/* Whom the group's policies have it delivered to, and from whom. */
static struct envelope envelope_of(struct storing *s, const struct group *g)
{
    const struct delivery *d = &g->delivery;
    struct envelope env = some(s->arena, &s->req.env, g->rcpts, d->redirect ? 0 : g->nrcpts);
    add_rcpts(s, &env, d->add, d->nadd);
    if (d->change_sender)
        env.from = d->sender.p ? d->sender : SPAN("");
    return env;
}

/* Copies and notices. Their failure is nobody's business but the operator's. */
static void queue_mails(struct storing *s)
{
    for (size_t i = 0; i < s->result.mails.n; i++) {
        const struct mail *m = &s->result.mails.v[i];
        struct queue_new *v = add_new(s);
        struct envelope env = {
            .from = m->from, .smtputf8 = s->req.env.smtputf8, .body_8bit = s->req.env.body_8bit};
        add_rcpts(s, &env, m->to, m->nto);
        for (size_t k = 0; k < env.nrcpts; k++)
            env.rcpts[k].notify = NOTIFY_NEVER;
        v->env = env;
        v->flags = QUEUE_NO_BOUNCE;
        if (m->bytes.p) {
            v->fd = -1;
            v->fd_size = 0;
            v->bytes = m->bytes;
            v->flags |= QUEUE_NOTICE;
        }
    }
}

static void queue_groups(struct storing *s)
{
    struct err e;
    s->v = arena_array(s->arena, s->result.ngroups + s->result.mails.n + 1, sizeof *s->v);
    for (size_t i = 0; i < s->result.ngroups; i++) {
        struct group *g = &s->result.groups[i];
        if (!to_queue(s, g) || g->nrcpts == 0)
            continue;
        if (splices_sort(&g->edits, s->size, &e) < 0) {
            over(s, STORE_FAILED, e.text);
            return;
        }
        struct queue_new *v = add_new(s);
        v->env = envelope_of(s, g);
        v->edits = g->edits;
        v->flags = (g->outcome == OUT_TAG ? QUEUE_NO_BOUNCE : 0) |
                   (g->delivery.change_sender ? QUEUE_SENDER_OURS : 0);
    }
    queue_mails(s);
    if (s->n)
        queue_put(s->sp->queue, s->v, s->n, s->replaces, on_queued, s);
    else
        over(s, STORE_OK, "");
}

/* --- quarantine --- */

static void next_hold(struct storing *s);

static void on_held(void *ctx, int result, const struct err *e)
{
    struct storing *s = ctx;
    if (result < 0) {
        bool full = e && (e->sys == ENOSPC || e->sys == EDQUOT || e->sys == EROFS);
        over(s, full ? STORE_FULL : STORE_FAILED, e ? e->text : "the quarantine does not take it");
        return;
    }
    s->next_group++;
    next_hold(s);
}

static void next_hold(struct storing *s)
{
    const struct scan_result *r = &s->result;
    while (s->next_group < r->ngroups && !to_quarantine(s, &r->groups[s->next_group]) &&
           !to_keep(s, &r->groups[s->next_group]))
        s->next_group++;
    if (s->next_group == r->ngroups) {
        queue_groups(s);
        return;
    }
    const struct group *g = &r->groups[s->next_group];
    bool held = to_quarantine(s, g);
    if (!s->sp->quarantine) {
        over(s, STORE_FAILED, "there is no quarantine");
        return;
    }
    struct quarantine_hold h = {.id = s->req.id,
                                .received = s->req.received,
                                .peer = &s->req.peer,
                                .env = &s->req.env,
                                .rcpts = g->rcpts,
                                .nrcpts = g->nrcpts,
                                .policy = g->policy,
                                .reason = held ? g->reason : SPAN("original"),
                                .detail = held ? g->detail : g->policy,
                                .score = r->score,
                                .virus = r->virus,
                                .subject = r->subject,
                                .header_from = r->header_from,
                                .message_id = r->message_id,
                                .sign = r->sign};
    quarantine_hold_async(s->sp->quarantine, &s->sp->loop, &h, s->fd, on_held, s);
}

void storing_start(struct storing *s)
{
    s->sp->storing++;
    if (s->scanned) {
        next_hold(s);
        return;
    }
    s->v = arena_array(s->arena, 1, sizeof *s->v);
    struct queue_new *v = add_new(s);
    struct buf known = {0};
    scan_known_encode(&known, &s->req);
    v->flags = QUEUE_UNSCANNED;
    v->known = arena_dup(s->arena, buf_span(&known));
    buf_free(&known);
    queue_put(s->sp->queue, s->v, s->n, NULL, on_queued, s);
}

/* --- requests of the door --- */

static void answer_door(struct storing *s, enum store_code code, const char *why)
{
    struct peer_link *to = spool_peer(s->sp, s->link);
    if (code != STORE_OK)
        log_event(LOG_WARN, s->req.id, "store-failed", F_STR("why", why));
    if (!to)
        return; /* that door is gone, and the sender with it: it will send again */
    struct store_result r = {code, span_str(why)};
    struct buf b = {0};
    store_result_encode(&b, &r);
    link_send(to->link, FRAME_STORE_RESULT, s->tag, buf_span(&b), -1);
    buf_free(&b);
}

/* The door and the scanner may have been taken over: what they say about recipients is checked. */
static bool sane(const struct storing *s)
{
    size_t n = s->req.env.nrcpts;
    for (size_t i = 0; i < s->result.ngroups; i++)
        for (size_t k = 0; k < s->result.groups[i].nrcpts; k++)
            if (s->result.groups[i].rcpts[k] >= n)
                return false;
    /* A file that a client of a scanner protocol asked about has no recipients. */
    return (n > 0 || (s->elsewhere && s->held_elsewhere)) && id_valid(span_str(s->req.id));
}

void store_request(struct spool *sp, struct link *from, uint64_t serial, uint64_t tag,
                   struct span payload, int fd)
{
    (void)from;
    struct storing *s = xcalloc(1, sizeof *s);
    *s = (struct storing){.sp = sp,
                          .arena = spool_arena(sp),
                          .fd = fd,
                          .done = answer_door,
                          .link = serial,
                          .tag = tag};
    struct store_request r = {0};
    struct stat st;
    bool ok = store_request_decode(payload, s->arena, &r) && fd >= 0 && fstat(fd, &st) == 0 &&
              S_ISREG(st.st_mode);
    s->req = r.req;
    s->result = r.result;
    s->scanned = r.scanned;
    s->elsewhere = r.elsewhere;
    s->held_elsewhere = r.held_elsewhere;
    s->size = ok ? (uint64_t)st.st_size : 0;
    if (!ok || !sane(s)) {
        sp->storing++;
        over(s, STORE_FAILED, "the request can't be read");
        return;
    }
    s->known = true;
    if (!sp->queue) {
        bool full = sp->shut.sys == ENOSPC || sp->shut.sys == EDQUOT || sp->shut.sys == EROFS;
        sp->storing++;
        over(s, full ? STORE_FULL : STORE_FAILED, sp->shut.text);
        return;
    }
    storing_start(s);
}
