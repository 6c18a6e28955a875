/* The queue: what has been promised and not yet passed on, in an append-only journal.
 *
 * Segments <dir>/SEGMENT hold records (queue/journal.h). A message is one record; what happens to
 * its recipients afterwards is appended as small state records. All writing is done by one thread,
 * in batches: whatever was asked for while the previous batch went to the disk goes with the next
 * one, under one fdatasync. docs/adr/0001-queue.md tells the crash story.
 *
 * The index (one struct queue_msg a message, a few hundred bytes) lives in memory and belongs to
 * the loop's thread; all functions here are called from it and all callbacks run on it. */
#ifndef GATEHOUSE_QUEUE_QUEUE_H
#define GATEHOUSE_QUEUE_QUEUE_H

#include "base/clock.h"
#include "base/err.h"
#include "base/id.h"
#include "message/envelope.h"
#include "mime/splice.h"

#include <uv.h>

struct queue;
struct queue_segment;

/* Name of a queued message: the receipt id, and ".N" for the second and later groups of recipients.
 */
enum { QUEUE_ID_SIZE = ID_SIZE + 12 };
char *queue_id(char out[QUEUE_ID_SIZE], const char *id, size_t part);
bool queue_id_valid(struct span s);

enum queue_state {
    Q_WAITING,   /* to be tried at `next` */
    Q_HELD,      /* by an operator, or because it can't be delivered nor reported */
    Q_DELIVERED, /* the next hop has taken it */
    Q_FAILED,    /* refused for good, or expired */
    Q_DELETED    /* by an operator */
};
const char *queue_state_name(enum queue_state s);
static inline bool queue_state_final(enum queue_state s)
{
    return s >= Q_DELIVERED;
}

struct queue_rcpt {
    struct span addr;
    enum queue_state state;
    uint8_t notify; /* RFC 3461, of enum notify */
    bool warned;    /* the delay warning was sent */
    bool active;    /* being delivered now; never on disk */
    uint32_t tries;
    usec next, last; /* wall time of the next try and of the last one; 0: at once, none */
    char *reason;    /* what the next hop said last, or NULL */
};

/* Flags of a message. */
enum {
    QUEUE_UNSCANNED = 1u << 0,  /* after-queue mode: to be scanned before it is delivered */
    QUEUE_NO_BOUNCE = 1u << 1,  /* judged bad: its failure is not told to the (forged) sender */
    QUEUE_NOTICE = 1u << 2,     /* a delivery status notification of our own */
    QUEUE_RELEASED = 1u << 3,   /* came out of the quarantine */
    QUEUE_SENDER_OURS = 1u << 4 /* a policy gave it another sender: bounces come to that one */
};

struct queue_msg {
    char id[QUEUE_ID_SIZE];
    unsigned flags;
    usec created;  /* wall time of the promise */
    uint64_t size; /* bytes of the message */
    struct span from;
    uint32_t nrcpts, open; /* open: recipients that are not final */
    struct queue_rcpt *rcpts;
    /* For the owner of the schedule (deliver/): position in its heap + 1, time there, recipients in
     * work. A message with work in hand is not freed. */
    size_t heap_at;
    usec due;
    uint32_t in_work;
    uint32_t scans; /* scanners that died on it */
    /* The queue's own. */
    struct queue_segment *segment;
    uint64_t at; /* offset of its record */
    uint32_t meta_size, version;
    bool gone;
    struct queue_msg *hash_next, *prev, *next;
};

/* What is stored with a message and not kept in memory. */
struct queue_meta {
    char id[QUEUE_ID_SIZE];
    unsigned flags;
    usec created;
    struct envelope env;
    struct peer peer;
    uint32_t data_crc;
    struct span known; /* QUEUE_UNSCANNED: what goes to the scanner with it; or absent */
};

struct queue_options {
    uint64_t segment_size, minimum_free;
    usec commit_delay;
    bool read_only; /* for looking on: nothing is locked, cut or removed, no thread is started */
};
#define QUEUE_SEGMENT_SIZE ((uint64_t)64 << 20)

struct queue_events {
    /* A message is in the queue: after its commit, and for each one found at start. */
    void (*on_message)(void *ctx, struct queue_msg *m);
    /* A message is about to be forgotten (finished). May be NULL. */
    void (*on_gone)(void *ctx, struct queue_msg *m);
};

/* What recovery found. */
struct queue_recovery {
    uint64_t segments, messages, recipients, bytes;
    uint64_t torn_bytes; /* cut from the end: never promised */
    uint64_t damaged;    /* places in the middle, kept in <dir>/damaged */
    uint64_t unreadable; /* segments that could not be read to their end: left as they are */
};

/* Opens (makes) the queue in dir and recovers it. NULL with e: can't read it, or another process
 * has it (e->sys == EWOULDBLOCK). A spool that can't be written opens: stores fail until it can. */
struct queue *queue_open(uv_loop_t *loop, const char *dir, const struct queue_options *o,
                         const struct queue_events *ev, void *ctx, struct queue_recovery *found,
                         struct err *e);
/* Writes what is pending, ends the thread, frees everything. Pending stores are answered first. */
void queue_close(struct queue *q);

enum queue_result { QUEUE_OK, QUEUE_FULL, QUEUE_FAILED };

/* A message to be stored. The edited bytes of `fd` (or of `bytes` when fd < 0) are written. */
struct queue_new {
    const char *id;
    unsigned flags;
    usec created;
    struct envelope env;
    struct peer peer;
    struct span known; /* as in queue_meta */
    int fd;
    uint64_t fd_size;
    struct span bytes;
    struct splices edits; /* sorted */
};

typedef void queue_done(void *ctx, enum queue_result r, const char *why);
/* Stores n messages together; `replaces` (or NULL) is finished when they are safe. What fds, bytes
 * and edits point to stays untouched until done is called, which happens once, after the fdatasync.
 */
void queue_put(struct queue *q, const struct queue_new *v, size_t n, struct queue_msg *replaces,
               queue_done *done, void *ctx);

/* Sets what became of some recipients (indexes); writes it without waiting. reason may be absent.
 * When the last recipient is final the message is finished and, unless in_work, freed: don't touch
 * it. */
struct queue_change {
    enum queue_state state;
    usec next, last;
    uint32_t tries;
    bool warned;
    struct span reason;
};
void queue_change(struct queue *q, struct queue_msg *m, const uint32_t *rcpts, size_t n,
                  const struct queue_change *c);
/* As queue_change, in memory only: for waits that need not outlive the process. */
void queue_wait(struct queue *q, struct queue_msg *m, uint32_t rcpt, usec next, struct span reason);
/* To be called when in_work is back at 0. */
void queue_settle(struct queue *q, struct queue_msg *m);

/* False while more progress waits to be written (full or read-only disk) than is sane to have in
 * memory: deliver nothing then, it would be delivered again after a restart. Until that point mail
 * goes out: a disk that stopped taking writes is no place to wait in. */
bool queue_writable(const struct queue *q);
/* Calls done when everything asked for so far is on stable storage. */
void queue_flush(struct queue *q, void (*done)(void *ctx), void *ctx);

struct queue_msg *queue_find(struct queue *q, struct span id);
/* In no order. */
void queue_each(struct queue *q, void (*fn)(void *ctx, struct queue_msg *m), void *ctx);
struct queue_numbers {
    uint64_t messages, live_bytes, journal_bytes, segments, commits, stored;
};
struct queue_numbers queue_numbers(const struct queue *q);

/* The envelope and the peer, in the arena. 0 or -1 (unreadable, damaged). */
int queue_meta(struct queue *q, struct queue_msg *m, struct arena *a, struct queue_meta *out,
               struct err *e);
/* Bytes of the message at an offset; how many, or -1. */
int64_t queue_read(struct queue *q, const struct queue_msg *m, uint64_t at, void *to, size_t n);
/* The file with the bytes, for other threads, and where they start; the caller closes it. -1: gone.
 */
int queue_descriptor(struct queue *q, const struct queue_msg *m, uint64_t *at);
/* queue_meta and queue_read together, for the way to the next hop: one read when the message is
 * small. *head are the first bytes of the message, in the arena. */
int queue_fetch(struct queue *q, struct queue_msg *m, struct arena *a, size_t head_max,
                struct queue_meta *meta, struct span *head, struct err *e);
/* Running checksum of a message's bytes (start with 0), to compare with queue_meta.data_crc. */
uint32_t queue_crc(uint32_t crc, struct span bytes);

#endif
