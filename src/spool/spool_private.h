/* The insides of the spool process. */
#ifndef GATEHOUSE_SPOOL_PRIVATE_H
#define GATEHOUSE_SPOOL_PRIVATE_H

#include "auth/signer.h"
#include "config/settings.h"
#include "deliver/deliver.h"
#include "dns/dns.h"
#include "flow/frames.h"
#include "ipc/link.h"
#include "quarantine/quarantine.h"
#include "queue/queue.h"
#include "record/record.h"

/* Links at the same time (doors and scanners of two generations), messages given to one scanner. */
enum { PEERS_MAX = 512 };

struct peer_link {
    struct link *link; /* NULL: free */
    uint64_t serial;   /* so that an answer never goes to a successor */
    enum role role;
    bool undrained; /* requests may still wait in it */
    unsigned scans; /* messages in work there */
};

struct scan_job;
struct asker;
struct keeper;
struct reporting;
struct learning;

struct spool {
    uv_loop_t loop;
    const struct settings *set;
    struct queue *queue; /* NULL: it could not be opened yet, everything is refused */
    struct err shut;     /* why not */
    usec started_wall, started_mono, flush_by;
    struct deliver *deliver;
    struct quarantine *quarantine;
    struct record *record;
    struct dns *dns;
    const struct signer *signer; /* NULL: no keys */
    /* reports: reports.c */
    struct keeper *keeper;
    struct reporting *reporting; /* a run, or NULL */
    int64_t reports_day[2];      /* by kind: whose reports were sent last */
    usec reports_again[2];       /* when that is tried again (monotonic); 0: not */
    const struct returnpath *returns;
    struct learning *learning; /* learn.c; NULL: nothing was learned yet */
    struct link *control;
    struct peer_link peers[PEERS_MAX];
    uint64_t serial;
    struct arena *idle_arenas[32];
    size_t nidle_arenas;
    size_t storing; /* messages on their way to stable storage */
    size_t asking;  /* callouts, signatures, lessons */
    /* after-queue mode: rescan.c */
    struct queue_msg **unscanned; /* waiting for a scanner, first in first out */
    size_t nunscanned, unscanned_at, unscanned_cap;
    struct scan_job *scans; /* with a scanner */
    uint64_t scan_tag;
    /* operators: control.c */
    uv_poll_t accepting;
    int control_socket;
    bool listening;
    struct asker *askers;
    size_t naskers;
    uv_timer_t tick;
    usec expired_at; /* when the quarantine was last looked through */
    bool draining, emptied, done;
};

struct arena *spool_arena(struct spool *sp);
void spool_arena_give(struct spool *sp, struct arena *a);
struct peer_link *spool_peer(struct spool *sp, uint64_t serial);
/* Goes on with the end when nothing is left to do. */
void spool_maybe_done(struct spool *sp);

/* store.c: carries out a decision.
 *
 * Holds go first (they are the slower ones, and what is queued can't be taken back), then
 * everything for the queue in one commit, then the record. done is called once; the arena and fd
 * are the storing's and are freed after it. */
struct storing {
    struct spool *sp;
    struct arena *arena;
    struct scan_request req;
    struct scan_result result;
    bool scanned;
    bool known;                     /* id and envelope are there and sound */
    bool elsewhere, held_elsewhere; /* struct store_request */
    bool promised; /* was queued before: refusing is holding, nothing is told to the sender */
    struct queue_msg *replaces;
    int fd;
    uint64_t size;
    void (*done)(struct storing *s, enum store_code code, const char *why);
    uint64_t link, tag;   /* who asked: a door, */
    struct scan_job *job; /* or a scan in after-queue mode */
    size_t part;          /* number of the first group in the names */
    /* inside */
    size_t next_group;
    struct queue_new *v;
    size_t n;
};
void storing_start(struct storing *s);
void store_request(struct spool *sp, struct link *from, uint64_t serial, uint64_t tag,
                   struct span payload, int fd);

/* rescan.c */
void rescan_add(struct spool *sp, struct queue_msg *m);
void rescan_gone(struct spool *sp, struct queue_msg *m);
void rescan_result(struct spool *sp, uint64_t tag, struct span payload);
void rescan_peer_gone(struct spool *sp, uint64_t serial);
void rescan_pump(struct spool *sp);
void rescan_tick(struct spool *sp);
void rescan_stop(struct spool *sp);

/* sign.c */
/* learn.c */
void learn_request(struct spool *sp, uint64_t serial, uint64_t tag, struct span payload);
void learning_free(struct spool *sp);
/* sign.c */
void sign_request(struct spool *sp, uint64_t serial, uint64_t tag, struct span payload);

/* reports.c */
void reports_tick(struct spool *sp);
/* A run ends after the report at hand. */
void reports_stop(struct spool *sp);

/* control.c */
int control_start(struct spool *sp, int listening, struct err *e);
void control_stop(struct spool *sp);

#endif
