/* After-queue mode: messages that were promised unscanned go to a scanner, and what comes back is
 * carried out. A message stays in the queue as it is until its successors are on stable storage. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "spool/spool_private.h"

/* Beyond the scanners' own limit a lost answer is noticed; a put-off message waits this long. */
#define SCAN_SLACK      ((usec)15 * USEC_PER_SEC)
#define SCAN_PUT_OFF    ((usec)60 * USEC_PER_SEC)
#define SCAN_NO_SCANNER ((usec)1 * USEC_PER_SEC)

struct scan_job {
    struct scan_job *next;
    struct spool *sp;
    struct queue_msg *m;
    uint64_t tag, serial; /* of the scanner's link; 0: it is gone, the result is being stored */
    int fd;
    usec deadline;
};

void rescan_add(struct spool *sp, struct queue_msg *m)
{
    if (sp->nunscanned == sp->unscanned_cap) {
        sp->unscanned_cap = sp->unscanned_cap ? 2 * sp->unscanned_cap : 64;
        sp->unscanned = xrealloc(sp->unscanned, sp->unscanned_cap * sizeof *sp->unscanned);
    }
    sp->unscanned[sp->nunscanned++] = m;
}

void rescan_gone(struct spool *sp, struct queue_msg *m)
{
    for (size_t i = 0; i < sp->nunscanned; i++)
        if (sp->unscanned[i] == m) {
            memmove(&sp->unscanned[i], &sp->unscanned[i + 1],
                    (sp->nunscanned - i - 1) * sizeof *sp->unscanned);
            sp->nunscanned--;
            i--;
        }
}

static struct peer_link *free_scanner(struct spool *sp)
{
    struct peer_link *best = NULL;
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer_link *p = &sp->peers[i];
        if (p->link && p->role == ROLE_SCAN && p->scans < SCANS_PER_SCANNER &&
            (!best || p->scans < best->scans))
            best = p;
    }
    return best;
}

static int copy_out(struct spool *sp, struct queue_msg *m)
{
    int fd = memfd_create("unscanned", MFD_CLOEXEC);
    char piece[65536];
    for (uint64_t at = 0; fd >= 0 && at < m->size;) {
        int64_t n = queue_read(sp->queue, m, at, piece, sizeof piece);
        if (n <= 0 || write(fd, piece, (size_t)n) != n) {
            close(fd);
            return -1;
        }
        at += (uint64_t)n;
    }
    return fd;
}

static int load_request(struct spool *sp, struct queue_msg *m, struct arena *a,
                        struct scan_request *req)
{
    struct queue_meta meta;
    struct err e;
    if (queue_meta(sp->queue, m, a, &meta, &e) < 0) {
        log_event(LOG_FAULT, m->id, "queue-damaged", F_STR("why", e.text));
        return -1;
    }
    *req = (struct scan_request){
        .received = meta.created, .peer = meta.peer, .env = meta.env, .crashes = m->scans};
    memcpy(req->id, m->id, ID_LEN);
    return 0;
}

static void hold_all(struct spool *sp, struct queue_msg *m, const char *why)
{
    struct queue_change c = {.state = Q_HELD, .last = clock_wall(), .reason = span_str(why)};
    for (uint32_t i = 0; i < m->nrcpts && m->open; i++)
        if (m->rcpts[i].state == Q_WAITING)
            queue_change(sp->queue, m, &i, 1, &c);
}

static void unlist(struct scan_job *j)
{
    struct scan_job **at = &j->sp->scans;
    while (*at != j)
        at = &(*at)->next;
    *at = j->next;
}

static void job_over(struct scan_job *j)
{
    struct spool *sp = j->sp;
    struct queue_msg *m = j->m;
    m->in_work--;
    queue_settle(sp->queue, m);
    if (j->fd >= 0)
        close(j->fd);
    free(j);
    rescan_pump(sp);
    spool_maybe_done(sp);
}

static bool still_waiting(const struct queue_msg *m)
{
    for (uint32_t i = 0; i < m->nrcpts; i++)
        if (m->rcpts[i].state == Q_WAITING)
            return true;
    return false;
}

static void send_scan(struct spool *sp, struct peer_link *to, struct queue_msg *m)
{
    struct arena *a = spool_arena(sp);
    struct scan_request req;
    int fd = -1;
    if (load_request(sp, m, a, &req) < 0 || (fd = copy_out(sp, m)) < 0) {
        hold_all(sp, m, "450 4.3.0 the queued message is damaged");
        spool_arena_give(sp, a);
        return;
    }
    struct scan_job *j = xcalloc(1, sizeof *j);
    *j = (struct scan_job){.next = sp->scans,
                           .sp = sp,
                           .m = m,
                           .tag = ++sp->scan_tag,
                           .serial = to->serial,
                           .fd = fd,
                           .deadline = clock_mono() + sp->set->limits.scan_time + SCAN_SLACK};
    sp->scans = j;
    m->in_work++;
    to->scans++;
    struct buf b = {0};
    scan_request_encode(&b, &req);
    link_send(to->link, FRAME_SCAN_REQUEST, j->tag, buf_span(&b), fd);
    buf_free(&b);
    spool_arena_give(sp, a);
}

/* The first message that is due, taken out of the line. */
static struct queue_msg *take_due(struct spool *sp, usec now)
{
    for (size_t i = 0; i < sp->nunscanned; i++) {
        struct queue_msg *m = sp->unscanned[i];
        if (m->due > now || !still_waiting(m))
            continue;
        memmove(&sp->unscanned[i], &sp->unscanned[i + 1],
                (sp->nunscanned - i - 1) * sizeof *sp->unscanned);
        sp->nunscanned--;
        return m;
    }
    return NULL;
}

void rescan_pump(struct spool *sp)
{
    struct peer_link *to;
    usec now = clock_wall();
    while (sp->queue && sp->nunscanned && !sp->draining && (to = free_scanner(sp))) {
        struct queue_msg *m = take_due(sp, now);
        if (!m)
            break;
        send_scan(sp, to, m);
    }
}

/* --- results --- */

static void put_off(struct spool *sp, struct queue_msg *m, usec wait)
{
    m->due = clock_wall() + wait;
    rescan_add(sp, m);
}

static void on_applied(struct storing *s, enum store_code code, const char *why)
{
    struct scan_job *j = s->job;
    struct spool *sp = j->sp;
    struct queue_msg *m = j->m;
    if (code != STORE_OK) {
        log_event(LOG_WARN, m->id, "store-failed", F_STR("why", why));
        put_off(sp, m, SCAN_PUT_OFF);
    } else if (m->open) {
        /* Nothing of it went on in the queue (else it was replaced): it is held or discarded. */
        struct queue_change c = {.state = Q_DELETED, .last = clock_wall()};
        for (uint32_t i = 0; i < m->nrcpts && m->open; i++)
            queue_change(sp->queue, m, &i, 1, &c);
    }
    s->fd = -1; /* the job's */
    job_over(j);
}

static bool deferred(const struct scan_result *r)
{
    for (size_t i = 0; i < r->ngroups; i++)
        if (r->groups[i].outcome == OUT_DEFER)
            return true;
    return r->ngroups == 0;
}

static bool groups_fit(const struct scan_result *r, const struct scan_request *req)
{
    for (size_t i = 0; i < r->ngroups; i++)
        for (size_t k = 0; k < r->groups[i].nrcpts; k++)
            if (r->groups[i].rcpts[k] >= req->env.nrcpts)
                return false;
    return true;
}

static void apply(struct scan_job *j, struct span payload)
{
    struct spool *sp = j->sp;
    if (!still_waiting(j->m)) { /* an operator was faster */
        job_over(j);
        return;
    }
    struct storing *s = xcalloc(1, sizeof *s);
    *s = (struct storing){.sp = sp,
                          .arena = spool_arena(sp),
                          .scanned = true,
                          .promised = true,
                          .replaces = j->m,
                          .fd = j->fd,
                          .size = j->m->size,
                          .done = on_applied,
                          .job = j,
                          .part = 1};
    if (load_request(sp, j->m, s->arena, &s->req) == 0 &&
        scan_result_decode(payload, s->arena, &s->result) && groups_fit(&s->result, &s->req) &&
        !deferred(&s->result)) {
        storing_start(s);
        return;
    }
    log_event(LOG_NOTE, j->m->id, "scan-put-off", F_INT("groups", s->result.ngroups));
    spool_arena_give(sp, s->arena);
    free(s);
    put_off(sp, j->m, SCAN_PUT_OFF);
    job_over(j);
}

void rescan_result(struct spool *sp, uint64_t tag, struct span payload)
{
    for (struct scan_job *j = sp->scans; j; j = j->next) {
        if (j->tag != tag)
            continue;
        struct peer_link *p = spool_peer(sp, j->serial);
        if (p)
            p->scans--;
        unlist(j);
        apply(j, payload);
        return;
    }
}

/* The scanner died, or did not answer: perhaps because of this message. */
static void lost(struct scan_job *j)
{
    struct spool *sp = j->sp;
    struct queue_msg *m = j->m;
    unlist(j);
    m->scans++;
    log_event(LOG_WARN, m->id, "scanner-lost", F_INT("times", m->scans));
    if (m->scans >= sp->set->limits.poison_crashes)
        hold_all(sp, m, "451 4.7.1 scanners die of this message: held as poison");
    else
        put_off(sp, m, SCAN_NO_SCANNER);
    job_over(j);
}

void rescan_peer_gone(struct spool *sp, uint64_t serial)
{
    for (struct scan_job *j = sp->scans, *next; j; j = next) {
        next = j->next;
        if (j->serial == serial)
            lost(j);
    }
}

void rescan_tick(struct spool *sp)
{
    usec now = clock_mono();
    for (struct scan_job *j = sp->scans, *next; j; j = next) {
        next = j->next;
        if (j->deadline > now)
            continue;
        struct peer_link *p = spool_peer(sp, j->serial);
        if (p)
            p->scans--;
        lost(j);
    }
    rescan_pump(sp);
}

/* At the end: what is with a scanner is scanned again after the next start. */
void rescan_stop(struct spool *sp)
{
    while (sp->scans) {
        struct scan_job *j = sp->scans;
        unlist(j);
        j->m->in_work--;
        close(j->fd);
        free(j);
    }
    free(sp->unscanned);
    sp->unscanned = NULL;
    sp->nunscanned = 0;
}
