/* Held mail: kept, listed, released once for each recipient, deleted, expired.
 *
 * An item is two files in <state>/quarantine/YYYY-MM-DD/ (day of arrival, UTC): ID.eml, the bytes
 * exactly as received, and ID.json, everything else (envelope, reasons, what became of each
 * recipient). Both are written durably (temporary name, fsync, rename, fsync of the directory), the
 * .json last: an item exists when its .json does. <state>/quarantine.db is only an index for lists;
 * it is brought up to date at start and made anew when it is lost.
 *
 * One message has at most one item. Holding it again for more recipients (another policy, a
 * delivery that failed later) adds them to the item.
 *
 * Who: the spool process alone has it open for writing (quarantine_open takes a lock). Readers
 * (quarantine_read_*) work beside it, in any process with access to the state directory. All
 * functions on one struct quarantine may be called from several threads; the ones that write block
 * for an fsync, so the spool's loop uses quarantine_hold_async. */
#ifndef GATEHOUSE_QUARANTINE_QUARANTINE_H
#define GATEHOUSE_QUARANTINE_QUARANTINE_H

#include "base/err.h"
#include "base/id.h"
#include "base/clock.h"
#include "message/envelope.h"

#include <uv.h>

struct quarantine;

/* Limits: the .json of one item, and how many items a step of expiry takes. */
enum { QUARANTINE_SIDECAR_MAX = 64 * 1024 * 1024, QUARANTINE_EXPIRE_STEP = 200 };

/* state: the state directory. keep: how long an item stays. NULL and e when the directory can't be
 * used or another process has it (e->sys == EWOULDBLOCK). */
struct quarantine *quarantine_open(const char *state, usec keep, struct err *e);
void quarantine_close(struct quarantine *q);

/* What is held and why. Everything is copied during the call. */
struct quarantine_hold {
    const char *id; /* of the message */
    usec received;
    const struct peer *peer;
    const struct envelope *env;
    const uint32_t *rcpts; /* indexes into env->rcpts: who is held; NULL: all */
    size_t nrcpts;
    struct span policy, reason, detail; /* as in the decision */
    double score;
    struct span virus; /* absent when none */
    struct span subject, header_from, message_id;
    struct span sign; /* what its signature needs when it is released (auth/sign.h), or absent */
};

/* Stores; 0 means it is on stable storage. fd: the message, read from offset 0, position untouched.
 * -1: nothing is held (e->sys == ENOSPC, EDQUOT: no room). */
int quarantine_hold(struct quarantine *q, const struct quarantine_hold *h, int fd, struct err *e);

/* The same in libuv's thread pool; fd is duplicated. done is called on the loop, once. */
typedef void quarantine_held(void *ctx, int result, const struct err *e);
void quarantine_hold_async(struct quarantine *q, uv_loop_t *loop, const struct quarantine_hold *h,
                           int fd, quarantine_held *done, void *ctx);

enum quarantine_state { QUARANTINE_HELD, QUARANTINE_RELEASED, QUARANTINE_DELETED };

struct quarantine_rcpt {
    struct rcpt rcpt;
    struct span policy, reason, detail; /* why this one is held */
    enum quarantine_state state;
    usec changed;   /* when it was released or deleted; 0 while held */
    struct span by; /* who did that */
};

struct quarantine_item {
    char id[ID_SIZE];
    usec received, held, expires;
    uint64_t size;
    struct peer peer;
    struct envelope env; /* env.rcpts[i] is rcpts[i].rcpt */
    struct quarantine_rcpt *rcpts;
    size_t nrcpts;
    double score;
    struct span virus, subject, header_from, message_id;
    struct span sign;
};

/* Release, in two steps so that nothing is lost and nothing released twice: _begin checks and marks
 * the item as busy, the caller puts the message on stable storage elsewhere, _commit writes down
 * that it was released (or _abort that it was not). to: recipients chosen, NULL and 0 for all that
 * are still held. by: who asks ("root", "console:anna"). On success rel->fd (owned by rel) holds
 * the original bytes and rel->env the original envelope with the chosen recipients, in a. -1 with a
 * text fit for the operator: unknown id, deleted, "already released to X on ... by ...". */
struct quarantine_release {
    char id[ID_SIZE];
    int fd;
    uint64_t size;
    struct envelope env;
    struct peer peer;
    usec received;
    struct span by;
    struct span sign;
};
int quarantine_release_begin(struct quarantine *q, struct span id, const struct span *to,
                             size_t nto, struct span by, struct arena *a,
                             struct quarantine_release *rel, struct err *e);
int quarantine_release_commit(struct quarantine *q, struct quarantine_release *rel, struct err *e);
void quarantine_release_abort(struct quarantine *q, struct quarantine_release *rel);

/* Deletes the bytes for all recipients still held; the .json stays until the item expires, so that
 * one can see who did it. */
int quarantine_delete(struct quarantine *q, struct span id, struct span by, struct err *e);

/* Removes up to QUARANTINE_EXPIRE_STEP items whose time is over; returns how many. Call again while
 * it returns that many. gone: called for each (may be NULL). */
typedef void quarantine_gone(void *ctx, const char *id);
size_t quarantine_expire(struct quarantine *q, usec now, quarantine_gone *gone, void *ctx);

/* --- reading, in any process --- */

/* Absent spans and zero times do not restrict. */
struct quarantine_filter {
    struct span id;
    struct span sender, recipient; /* exact, "@domain", or a glob with * and ? */
    struct span reason;            /* of one recipient: "spam", "virus", ... */
    struct span text;              /* in subject or header from, case-insensitive */
    struct span policy;
    usec from, to; /* arrival, from <= t < to */
    bool all;      /* also items without a held recipient */
    size_t limit;  /* the newest N; 0: no limit */
};

struct quarantine_reader;
struct quarantine_reader *quarantine_read_open(const char *state, struct err *e);
void quarantine_read_close(struct quarantine_reader *r);
/* Calls row for each item, oldest first; the item is valid during the call. A row that returns
 * false stops it. */
typedef bool quarantine_row(void *ctx, const struct quarantine_item *item);
int quarantine_read_list(struct quarantine_reader *r, const struct quarantine_filter *f,
                         quarantine_row *row, void *ctx, struct err *e);
/* One item, in a, and a descriptor of its bytes (*fd, the caller's; -1 when deleted; fd may be
 * NULL). */
int quarantine_read_item(struct quarantine_reader *r, struct span id, struct arena *a,
                         struct quarantine_item *item, int *fd, struct err *e);

const char *quarantine_state_name(enum quarantine_state s);

#endif
