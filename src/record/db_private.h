/* What the writer and the reader need of the storage: the only place that knows SQL. Room-private.
 */
#ifndef GATEHOUSE_RECORD_DB_PRIVATE_H
#define GATEHOUSE_RECORD_DB_PRIVATE_H

#include "base/buf.h"
#include "record/record.h"

/* --- writing; one thread --- */
struct record_db;
struct record_db *record_db_open(const char *state, struct err *e);
void record_db_close(struct record_db *d);
/* A batch is one transaction; nothing of it stays when the commit, or anything before, fails. */
int record_db_begin(struct record_db *d, struct err *e);
int record_db_entry(struct record_db *d, const struct record_entry *x, struct err *e);
int record_db_event(struct record_db *d, const struct record_event *x, struct err *e);
int record_db_commit(struct record_db *d, struct err *e);
void record_db_rollback(struct record_db *d);
/* Removes up to `most` rows of each table older than that; returns how many of the largest share,
 * -1 and e. Outside a batch; call again while it returns `most`. */
int record_db_expire(struct record_db *d, usec before, int most, struct err *e);
/* After a failure: when the file is damaged it is moved aside and a new one begun. */
void record_db_heal(struct record_db *d);

/* --- the form of what is stored --- */
extern const char *const record_steps[]; /* schema, for store/db.h */
enum { RECORD_FORM = 1 };                /* how many steps there are */

/* Addresses are indexed as "domain@local", folded, so that one index answers for an address and for
 * a whole domain. Written to b. */
void record_key(struct buf *b, struct span addr);

/* Receipts are much alike; deflate with a dictionary of what they have in common makes them a
 * fifth. Unpacking: false when the bytes are not what packing made, or larger than
 * RECORD_RECEIPT_MAX. */
enum { RECORD_RECEIPT_MAX = 16 * 1024 * 1024 };
struct packer;
struct packer *packer_new(void);
void packer_free(struct packer *p);
void receipt_pack(struct packer *p, struct span json, struct buf *out);
bool receipt_unpack(struct packer *p, struct span packed, struct buf *out);

/* --- the queue's form: entries and events as bytes --- */
void record_entry_encode(struct buf *b, const struct record_entry *x, bool with_receipt);
bool record_entry_decode(struct cursor *c, struct arena *a, struct record_entry *x);
void record_event_encode(struct buf *b, const struct record_event *x);
bool record_event_decode(struct cursor *c, struct arena *a, struct record_event *x);

#endif
