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
        if (p->link && p->role == ROLE_SCAN && p->scans < sp->set->processes.window &&
            (!best || p->scans < best->scans))
            best = p;
    }
    return best;
}

/* The message as a file of its own; checked, so that damage does not get a new checksum. */
static int copy_out(struct spool *sp, struct queue_msg *m, uint32_t crc, struct err *e)
{
    int fd = memfd_create("unscanned", MFD_CLOEXEC);
    uint32_t sum = 0;
    char piece[65536];
    if (fd < 0)
        return err_sys(e, "no memory file");
    for (uint64_t at = 0; at < m->size;) {
        int64_t n = queue_read(sp->queue, m, at, piece, sizeof piece);
        if (n <= 0 || write(fd, piece, (size_t)n) != n) {
            err_sys(e, "can't copy the message");
            close(fd);
            return -1;
        }
        sum = queue_crc(sum, span_of(piece, (size_t)n));
        at += (uint64_t)n;
    }
    if (sum == crc)
        return fd;
    close(fd);
    return err_set(e, "the queued message is damaged");
}

static int load_request(struct spool *sp, struct queue_msg *m, struct arena *a,
                        struct scan_request *req, uint32_t *crc, struct err *e)
{
    struct queue_meta meta;
    if (queue_meta(sp->queue, m, a, &meta, e) < 0)
        return -1;
    *crc = meta.data_crc;
    *req = (struct scan_request){
        .received = meta.created, .peer = meta.peer, .env = meta.env, .crashes = m->scans};
    memcpy(req->id, m->id, ID_LEN);
    if (meta.known.n && !scan_known_decode(meta.known, a, req))
        log_event(LOG_WARN, m->id, "queued-facts-unreadable", F_INT("size", meta.known.n));
    return 0;
}

static void hold_all(struct spool *sp, struct queue_msg *m, const char *why)
{
    struct queue_change c = {.state = Q_HELD, .last = clock_wall(), .reason = span_str(why)};
    for (uint32_t i = 0; i < m->nrcpts && m->open; i++)
        if (m->rcpts[i].state == Q_WAITING)
            queue_change(sp->queue, m, &i, 1, &c);
}

static void put_off(struct spool *sp, struct queue_msg *m, usec wait)
{
    m->due = clock_wall() + wait;
    rescan_add(sp, m);
}

/* What can't be read now may be readable later; what is damaged will not mend. */
static void unreadable(struct spool *sp, struct queue_msg *m, const struct err *e)
{
    log_event(LOG_FAULT, m->id, e->sys ? "queue-unreadable" : "queue-damaged",
              F_STR("why", e->text));
    if (e->sys)
        put_off(sp, m, SCAN_PUT_OFF);
    else
        hold_all(sp, m, "450 4.3.0 the queued message is damaged");
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
    struct err e = {0};
    uint32_t crc;
    int fd = -1;
    if (load_request(sp, m, a, &req, &crc, &e) < 0 || (fd = copy_out(sp, m, crc, &e)) < 0) {
        spool_arena_give(sp, a);
        unreadable(sp, m, &e);
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
        /* Far ahead: the clock was set back. */
        if ((m->due > now && m->due <= now + 2 * SCAN_PUT_OFF) || !still_waiting(m))
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

/* Recipients that an operator holds stay in this message; for the others it is over. */
static void finish_applied(struct spool *sp, struct queue_msg *m)
{
    struct queue_change c = {.state = Q_DELETED, .last = clock_wall()};
    for (uint32_t i = 0; i < m->nrcpts && m->open; i++)
        if (m->rcpts[i].state == Q_WAITING)
            queue_change(sp->queue, m, &i, 1, &c);
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
        finish_applied(sp, m);
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

/* What an operator has held or deleted while it was scanned does not go on. */
static void only_waiting(struct scan_result *r, const struct queue_msg *m)
{
    for (size_t i = 0; i < r->ngroups; i++) {
        struct group *g = &r->groups[i];
        size_t n = 0;
        for (size_t k = 0; k < g->nrcpts; k++)
            if (m->rcpts[g->rcpts[k]].state == Q_WAITING)
                g->rcpts[n++] = g->rcpts[k];
        g->nrcpts = n;
    }
}

static bool any_held(const struct queue_msg *m)
{
    for (uint32_t i = 0; i < m->nrcpts; i++)
        if (m->rcpts[i].state == Q_HELD)
            return true;
    return false;
}

static void apply(struct scan_job *j, struct span payload)
{
    struct spool *sp = j->sp;
    struct err e = {0};
    uint32_t crc;
    if (!still_waiting(j->m)) { /* an operator was faster */
        job_over(j);
        return;
    }
    struct storing *s = xcalloc(1, sizeof *s);
    *s = (struct storing){.sp = sp,
                          .arena = spool_arena(sp),
                          .scanned = true,
                          .promised = true,
                          .replaces = any_held(j->m) ? NULL : j->m,
                          .fd = j->fd,
                          .size = j->m->size,
                          .done = on_applied,
                          .job = j,
                          .part = 1};
    /* Every recipient has its decision, or nothing is carried out. */
    if (load_request(sp, j->m, s->arena, &s->req, &crc, &e) == 0 &&
        scan_result_decode(payload, s->arena, &s->result) &&
        scan_result_fits(&s->result, &s->req.env) && !deferred(&s->result)) {
        only_waiting(&s->result, j->m);
        storing_start(s);
        return;
    }
    log_event(LOG_NOTE, j->m->id, "scan-put-off", F_INT("groups", s->result.ngroups),
              F_STR("why", e.text));
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
