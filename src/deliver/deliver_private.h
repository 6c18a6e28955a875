#ifndef GATEHOUSE_DELIVER_PRIVATE_H
#define GATEHOUSE_DELIVER_PRIVATE_H

#include "auth/returnpath.h"
#include "deliver/client.h"
#include "deliver/deliver.h"
#include "deliver/report.h"
#include "deliver/route.h"
#include "deliver/sts.h"
#include "dns/dns.h"
#include "tls/dane.h"

enum { WINDOW_START = 5, TARGETS_MAX = 32, FETCH_MAX = 256 * 1024, TICK_MS = 1000 };
/* Addresses of a destination are looked up again after this time. */
#define TARGETS_KEEP ((usec)60 * USEC_PER_SEC)

struct dest;

/* One message on its way to one destination, or one question to it. */
struct job {
    struct job *next;
    struct deliver *d;
    struct dest *dest;
    struct queue_msg *m; /* NULL: a probe */
    uint32_t *rcpts;
    size_t n;
    enum returnpath_kind sender; /* what it becomes for its recipients */
    bool again;                  /* was put back once because a reused connection was dead */
    /* while it is carried */
    struct arena *arena;
    struct queue_meta meta;
    struct span head;
    struct transaction t;
    struct span where; /* "192.0.2.1:25", "maildir:..." */
    /* a probe */
    struct span addr;
    deliver_probed *probed;
    void *probed_ctx;
};

struct target {
    struct ip ip;
    uint16_t port;
    char host[DNS_NAME_MAX]; /* for TLS; empty: none */
    struct dane *dane;       /* records that hold for the host, or NULL */
};

/* How the connection to a target is secured. */
enum trust {
    TRUST_NOBODY,    /* no TLS */
    TRUST_ANYBODY,   /* TLS when offered, without, when it fails */
    TRUST_ENCRYPTED, /* TLS, whoever answers */
    TRUST_NAME,      /* a certificate that the system trusts, for this host */
    TRUST_DANE       /* a certificate that matches the host's TLSA records */
};

struct conn {
    struct conn *next;
    struct dest *dest;
    struct client *client;
    struct job *job;
    size_t target;
    bool ready, leaving;
    bool plain; /* TLS failed here: without it now */
    enum trust trust;
    struct dane *dane; /* of its target */
    uint64_t used;
    usec idle_since;
    char where[IP_TEXT_SIZE + 16];
    char host[DNS_NAME_MAX]; /* what TLS asks for */
};

struct dest {
    struct dest *next; /* of the hash chain */
    struct deliver *d;
    struct arena *arena; /* key, route, domain */
    struct span key, domain;
    struct route route;
    struct job *first, **last;
    size_t njobs, working; /* waiting; carried without a connection (Maildir) */
    struct conn *conns;
    size_t nconns, nconnecting;
    double window;
    unsigned successes;
    unsigned fails;
    usec down_until; /* wall time; 0: up */
    struct buf why;  /* it is down */
    /* addresses */
    struct target targets[TARGETS_MAX];
    size_t ntargets;
    usec resolved; /* monotonic; 0: never */
    bool resolving;
    struct dns_mx mx[TARGETS_MAX]; /* while resolving */
    size_t nmx, at_mx;
    bool temporary;                 /* some of it could not be asked */
    bool mx_secure;                 /* the list of exchangers was validated: DANE holds for them */
    struct arena *sts_arena;        /* of sts, or NULL */
    struct sts_policy sts;          /* what the domain demands; mode STS_NONE: nothing */
    bool sts_refused;               /* it left out an exchanger */
    struct dane *dane[TARGETS_MAX]; /* by host, see targets */
    size_t ndane;
};

enum { DEST_SLOTS = 4096 };

struct deliver {
    uv_loop_t *loop;
    const struct settings *set;
    struct record *rec;
    struct quarantine *qua;
    struct dns *dns;
    struct sts *sts;                  /* NULL: not asked for */
    const struct returnpath *returns; /* NULL: senders stay */
    const struct signer *signer;      /* NULL: no keys */
    struct domains *domains;          /* with returns */
    struct queue *q;
    struct routes *routes;
    struct ssl_ctx_st *tls, *tls_verified, *tls_dane; /* NULL with queue.tls: none */
    /* messages by time */
    struct queue_msg **heap;
    size_t nheap, heap_cap;
    uv_timer_t timer, tick;
    /* destinations */
    struct dest *slots[DEST_SLOTS];
    size_t ndests, nconns, njobs, nreports, nresolving;
    bool starved; /* somebody waits for concurrency_total */
    struct arena *idle_arenas[16];
    size_t nidle_arenas;
    bool started, draining;
    unsigned handles;
    uv_timer_t grace;
    void (*drained)(void *ctx);
    void *drained_ctx;
    struct deliver_numbers numbers;
    void (*saw_tls)(void *ctx, struct span items); /* or NULL */
    void *saw_tls_ctx;
    uint64_t seed;
    usec offset, step; /* wall - monotonic at the last tick, and how much it changed */
};

/* schedule.c */
void heap_put(struct deliver *d, struct queue_msg *m, usec due);
void heap_remove(struct deliver *d, struct queue_msg *m);
struct queue_msg *heap_first(const struct deliver *d);
uint64_t deliver_random(struct deliver *d);

/* job.c */
struct arena *arena_take(struct deliver *d);
void arena_give(struct deliver *d, struct arena *a);
/* m may be NULL: a probe. */
struct job *job_new(struct deliver *d, struct queue_msg *m);
void job_free(struct job *j);
/* Fills meta, head and the transaction. false: the message can't be read; the job is over. */
bool job_load(struct job *j);
/* Answers stand in t.answers: carries out what follows, frees the job. */
void job_answered(struct job *j);
/* All its recipients get this answer. */
void job_answer_all(struct job *j, enum answer_class class, struct span text);
/* It was not tried: the destination is not to be reached until then. */
void job_wait(struct job *j, usec until, struct span why, bool tried);
/* Whether the message's time is over. */
bool deliver_expired(const struct deliver *d, const struct queue_msg *m, usec now);

/* sender.c: what the sender can become towards other domains. */
enum returnpath_kind sender_kind(const struct deliver *d, const struct queue_msg *m,
                                 struct arena *a);
/* Puts the recipients of v who see it so first; how many. */
size_t sender_part(const struct deliver *d, const struct queue_msg *m, enum returnpath_kind kind,
                   uint32_t *v, size_t n);
/* The sender for the next hop of a job that is loaded. */
struct span sender_of(const struct job *j);

/* deliver.c */
void deliver_reschedule(struct deliver *d, struct queue_msg *m);
void maybe_drained(struct deliver *d);
/* dest_tick, from the loop. */
void deliver_tick_soon(struct deliver *d);
/* Log and record. */
void deliver_tell(struct deliver *d, const char *event, struct queue_msg *m, enum record_kind kind,
                  struct span rcpt, struct span where, struct span text);

/* dest.c */
struct dest *dest_get(struct deliver *d, const struct route *r, struct span domain);
void dest_add(struct dest *t, struct job *j, bool front);
void dest_pump(struct dest *t);
void dest_failed(struct dest *t, struct span why);
void dest_still_down(struct dest *t);
void dest_refused(struct dest *t, struct span why);
void dest_tick(struct deliver *d);
/* The wall clock was set by `step`. */
void dest_clock_stepped(struct deliver *d, usec step);
void dest_drain(struct deliver *d);
void dest_abort_all(struct deliver *d);
void dest_free_all(struct deliver *d);
void dest_forget_down(struct dest *t);

/* resolve.c: fills targets, then dest_pump, dest_failed or dest_refused. */
void dest_resolve(struct dest *t);
void targets_clear(struct dest *t);

/* dane.c (RFC 7672): what DNSSEC says about a host. done gets the records (a
 * reference, or NULL when there are none); usable: false when they could not be asked, and the host
 * must not be used now. Never called from inside. */
typedef void dane_done(struct dest *t, bool usable, struct dane *records);
/* Whether the list of exchangers of name was validated, into t->mx_secure; then go_on. */
void dane_begin(struct dest *t, struct span name, void (*go_on)(struct dest *t));
void dane_ask(struct dest *t, const char *host, dane_done *done);
bool dane_wanted(const struct deliver *d);

/* watch.c: what reports about TLS (RFC 8460) are made of. A connection that can be used, or ended
 * in TLS before it could; something that is wrong with what protects t (result: a type of section
 * 4.3.2, mx and why may be NULL). */
void watch_ready(const struct conn *k);
void watch_no_tls(const struct conn *k, const struct client *c, struct span why);
void watch_fault(const struct dest *t, const char *result, const char *mx, const char *why);
void watch_sts(struct deliver *d);

/* maildir.c: delivers the job's message, one file a recipient; ends in job_answered. */
void maildir_start(struct job *j);

/* outcome.c */
/* Tells the sender (or holds, or gives up, as flags, sender and settings want), then makes the
 * recipients final. m must have in_work counted by the caller; it is given back at the end. */
void outcome_failed(struct deliver *d, struct queue_msg *m, const struct queue_meta *meta,
                    const struct failed *v, size_t n, struct span where);
void outcome_notice(struct deliver *d, struct queue_msg *m, const struct queue_meta *meta,
                    enum report_kind kind, const struct failed *v, size_t n, struct span where);

#endif
