/* The insides of the queue: index (loop's thread) and writer (its own thread). */
#ifndef GATEHOUSE_QUEUE_PRIVATE_H
#define GATEHOUSE_QUEUE_PRIVATE_H

#include <pthread.h>

#include "queue/journal.h"

/* --- segments as the index sees them --- */
struct queue_segment {
    uint64_t number;
    int fd;         /* for reading */
    uint64_t bytes; /* on disk, once it is sealed */
    uint64_t live, live_bytes;
    struct queue_msg *first; /* live messages */
};

/* "000000000000002a" */
enum { SEGMENT_NAME = 17 };
char *segment_name(char out[SEGMENT_NAME], uint64_t number);
bool segment_name_parse(const char *name, uint64_t *number);

/* --- jobs of the writer --- */
struct piece {
    enum record_type type;
    struct buf meta;
    /* The data: bytes of `fd` (size `base`, from offset `from`) or of `bytes`, edited. */
    int fd;
    uint64_t from, base;
    struct span bytes;
    struct splices edits;
    uint64_t size; /* edited */
    bool copy;     /* data_crc is known and stays, so that damage is not signed anew */
    /* Where it went. */
    uint64_t segment, at;
    uint32_t data_crc;
};

struct job {
    struct job *next;
    struct piece *v;
    size_t n;
    bool copying; /* compaction: no check of free space */
    enum queue_result result;
    char why[256];
    void (*done)(struct queue *q, struct job *j); /* on the loop; frees what it made */
    void *ctx;
};

struct unlinking {
    uint64_t number;
    struct unlinking *next;
};

struct writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool running, stop;
    /* Under the lock, from the loop. */
    struct job *first, **last;
    struct buf states;     /* encoded changes */
    uint64_t flush_wanted; /* a counter: everything before is to be synced */
    struct unlinking *unlink;
    /* Under the lock, to the loop. */
    struct job *finished, **finished_last;
    uint64_t flushed;
    bool stuck;      /* too many changes can't be written */
    uint64_t opened; /* newest segment */
    uint64_t commits, stored;
    uv_async_t *async;
    /* The thread's own. */
    int dir, fd;
    struct queue_options o;
    uint64_t number, salt;
    uint64_t at;       /* end of what is written and counts */
    uint64_t pos;      /* end of what this batch has written; what follows is in out */
    uint64_t capacity; /* bytes reserved on disk */
    bool dirty;        /* written since the last fdatasync */
    struct buf out, scratch;
    struct buf unwritten; /* changes that a failed batch left behind */
    usec retry_at;        /* monotonic: after a failure, when it is tried again; 0: all is well */
    usec checked;         /* when free_bytes was asked */
    uint64_t free_bytes;
};

int writer_start(struct writer *w, int dir, const struct queue_options *o, uint64_t next_number,
                 uv_async_t *async);
/* Writes what is left and ends. */
void writer_stop(struct writer *w);
void writer_submit(struct writer *w, struct job *j);
void writer_states(struct writer *w, struct span changes);
uint64_t writer_flush(struct writer *w);
void writer_unlink(struct writer *w, uint64_t number);

/* segment.c, for the writer's thread. All return 0, or -1 with errno. */
/* Room for records of `size` together at pos; seals and begins segments as needed. When it can't
 * begin one, the old one goes on. message: leave room for changes behind it. */
int segment_make_room(struct writer *w, uint64_t size, bool message);
/* Writes `out` at pos. */
int segment_write_out(struct writer *w);
int segment_sync(struct writer *w);
/* Ends the segment in order; what is in it is on stable storage afterwards. */
int segment_seal(struct writer *w);
/* After a failed write: cuts the segment to `at` and leaves it. */
void segment_abandon(struct writer *w);

/* --- the queue --- */
struct flush_wait {
    struct flush_wait *next;
    uint64_t generation;
    void (*done)(void *ctx);
    void *ctx;
};

struct queue {
    uv_loop_t *loop;
    uv_async_t *async;
    uv_prepare_t *turn;
    int dir, lock;
    struct queue_options o;
    struct queue_events ev;
    void *ctx;
    struct writer writer;
    /* index */
    struct queue_msg **slots;
    size_t nslots, nmessages;
    struct queue_segment **segments; /* by number, ascending */
    size_t nsegments, segments_cap;
    uint64_t live_bytes;
    bool stuck, compacting, closing;
    struct flush_wait *waits;
    struct buf changes; /* encoded, not yet handed over */
    struct arena *scratch;
};

/* index.c */
struct queue_msg *queue_index_make(const struct queue_meta *meta, const struct queue_rcpt *states,
                                   uint64_t size);
void queue_index_free(struct queue_msg *m);
void queue_index_insert(struct queue *q, struct queue_msg *m);
void queue_index_remove(struct queue *q, struct queue_msg *m);
struct queue_segment *queue_index_segment(struct queue *q, uint64_t number, bool make);
void queue_index_place(struct queue *q, struct queue_msg *m, uint64_t segment, uint64_t at,
                       uint32_t meta_size);
void queue_index_unplace(struct queue *q, struct queue_msg *m);
void rcpt_reason(struct queue_rcpt *r, struct span reason);

/* recover.c */
int queue_recover(struct queue *q, struct queue_recovery *found, uint64_t *next_number,
                  struct err *e);

/* compact.c */
void queue_compact(struct queue *q);

/* queue.c: appends the state of all recipients again, after a copy that did not know it. */
void queue_restate(struct queue *q, struct queue_msg *m);
void queue_finish_record(struct queue *q, const char *id);

#endif
