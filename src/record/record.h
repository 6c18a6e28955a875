/* What happened to which message: one record a message, whatever became of it, and the events of
 * its delivery; kept for record.keep, searched by `gatehouse log`.
 *
 * The writer belongs to the spool process. record_add and record_event copy what they are given
 * into a bounded queue and return at once; a thread of the writer's own puts them into
 * <state>/record.db (SQLite, WAL) in batches, one transaction each record.batch, and removes what
 * is too old in small steps. When the disk can't keep up and the queue is full, receipts are
 * dropped first, then whole records; both are counted and logged: a record is history, not mail,
 * and mail must not wait for it.
 *
 * Storage stands behind the functions of record/db.h, so that another database can take its place.
 */
#ifndef GATEHOUSE_RECORD_RECORD_H
#define GATEHOUSE_RECORD_RECORD_H

#include "base/clock.h"
#include "base/err.h"
#include "base/id.h"
#include "message/envelope.h"

struct record;

/* Bytes waiting for the disk; above the first mark receipts are dropped, above the second records.
 */
enum { RECORD_QUEUE_LEAN = 48 * 1024 * 1024, RECORD_QUEUE_MAX = 64 * 1024 * 1024 };

/* state: the state directory. batch: longest wait of a record for company; keep: its lifetime, 0
 * for ever. A damaged database is moved aside with a log record and a new one begun. NULL and e
 * only when the state directory can't be written. */
struct record *record_open(const char *state, usec batch, usec keep, struct err *e);
/* Writes what is queued, then ends the thread. */
void record_close(struct record *r);

/* One group of recipients with the same decision. */
struct record_group {
    const char *outcome; /* outcome_name(): "accept", "tag", "hold", ... */
    struct span policy, reason, detail;
    struct span reply; /* "550 5.7.1 ..." */
    bool unscanned;
    const uint32_t *rcpts; /* indexes into env->rcpts */
    size_t nrcpts;
};

struct record_entry {
    const char *id;
    usec received;
    uint64_t size; /* bytes of the message */
    const struct peer *peer;
    const struct envelope *env;
    double score, required;
    struct span virus; /* absent when none */
    struct span subject, header_from, message_id;
    struct span receipt; /* JSON, see action/action.h; absent when there is none */
    uint64_t micros;     /* time spent on judging it */
    const struct record_group *groups;
    size_t ngroups; /* 0: not judged yet */
};
/* A second entry with the same id (scanned after the queue) takes the place of the first. */
void record_add(struct record *r, const struct record_entry *e);

enum record_kind {
    RECORD_DELIVERED, /* to where, with what reply */
    RECORD_DEFERRED,  /* a try that failed for now */
    RECORD_FAILED,    /* given up: the recipient will not get it */
    RECORD_BOUNCED,   /* a report went to the sender; text: id of the report */
    RECORD_HELD,      /* put into the quarantine after it was queued */
    RECORD_RELEASED,  /* from the quarantine; text: by whom */
    RECORD_DELETED,   /* from queue or quarantine; text: by whom */
    RECORD_EXPIRED,   /* left the quarantine by age */
    RECORD_KINDS
};
struct record_event {
    const char *id;
    usec when;
    enum record_kind kind;
    struct span rcpt;  /* absent: all */
    struct span where; /* next hop as "mx.example.org[192.0.2.1]:25", "maildir:...", or absent */
    struct span text;  /* the reply, or who did it */
};
void record_event(struct record *r, const struct record_event *e);
const char *record_kind_name(enum record_kind k);

/* Waits until everything queued before the call is in the database (tests, drain), but not longer
 * than ten seconds. */
void record_flush(struct record *r);
/* Records (or receipts) dropped since the start. */
uint64_t record_dropped(const struct record *r);

/* --- reading, in any process with access to the state directory --- */

/* Absent spans and zero numbers do not restrict. */
struct record_filter {
    struct span id;
    struct span sender, recipient; /* exact, "@domain", or a glob with * and ?; case-insensitive */
    struct span outcome;           /* of one of the groups */
    struct span virus;             /* name or glob; "*" any */
    struct span rule;              /* name of a rule that hit */
    struct span subject;           /* text in it, case-insensitive */
    struct span peer;              /* address or network */
    usec from, to;                 /* from <= received < to */
    int64_t after;                 /* serial: only records after it (to follow) */
    size_t limit;                  /* the newest N; 0: all */
};

/* One line of a list. Valid during the call. */
struct record_row {
    int64_t serial;
    char id[ID_SIZE];
    usec received;
    uint64_t size;
    struct span peer_ip, peer_name, helo, listener, auth_user;
    struct span sender;
    struct span *rcpts;
    size_t nrcpts;
    struct span outcomes; /* "accept", or "accept,reject" when groups differ */
    double score, required;
    struct span virus, subject, header_from, message_id;
    uint64_t micros;
};

struct record_reader;
struct record_reader *record_read_open(const char *state, struct err *e);
void record_read_close(struct record_reader *r);

/* Oldest first. A row that returns false stops it. */
typedef bool record_row_fn(void *ctx, const struct record_row *row);
int record_read_list(struct record_reader *r, const struct record_filter *f, record_row_fn *row,
                     void *ctx, struct err *e);

/* Everything about one message, in a. -1 and e when there is no such record. */
struct record_told_event {
    usec when;
    const char *kind;
    struct span rcpt, where, text;
};
struct record_told {
    struct record_row row;
    struct record_group *groups; /* rcpts index row.rcpts */
    size_t ngroups;
    struct span receipt; /* JSON, absent when dropped */
    struct record_told_event *events;
    size_t nevents;
};
int record_read_one(struct record_reader *r, struct span id, struct arena *a,
                    struct record_told *out, struct err *e);

#endif
