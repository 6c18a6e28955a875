/* What the files of this room share. */
#ifndef GATEHOUSE_QUARANTINE_QUARANTINE_PRIVATE_H
#define GATEHOUSE_QUARANTINE_QUARANTINE_PRIVATE_H

#include "base/buf.h"
#include "quarantine/quarantine.h"
#include "store/db.h"

/* --- sidecar.c: ID.json --- */

/* The whole .json of an item. */
void sidecar_encode(struct buf *b, const struct quarantine_item *x);
/* -1 and e when it is not one. Strings live in a. */
int sidecar_decode(struct span json, struct arena *a, struct quarantine_item *x, struct err *e);
size_t item_count(const struct quarantine_item *x, enum quarantine_state s);

/* --- files.c: <state>/quarantine/YYYY-MM-DD/ID.{eml,json} --- */

enum { DAY_SIZE = 16 };
/* "2026-11-22", UTC. */
char *day_of(usec when, char out[DAY_SIZE]);

/* The directory of a day under root, opened; made (durably) when make is set. -1 with errno. */
int day_open(int root, const char *day, bool make);
/* Durable: temporary name, fsync, rename. The directory is not synced yet. -1 and e. */
int file_put(int dir, const char *id, const char *suffix, struct span bytes, struct err *e);
int file_copy(int dir, const char *id, const char *suffix, int from, uint64_t *size, struct err *e);
bool file_there(int dir, const char *id, const char *suffix);
/* Reads ID.json. */
int sidecar_read(int dir, const char *id, struct arena *a, struct quarantine_item *x,
                 struct err *e);
/* The day under which an item stands, by looking into every day: for when the index does not know.
 */
bool day_search(int root, const char *id, char out[DAY_SIZE]);
/* Calls fn for each day's directory, and for each file in one. */
typedef void day_fn(void *ctx, const char *day);
void days_each(int root, day_fn *fn, void *ctx);
typedef void file_fn(void *ctx, int dir, const char *name);
void files_each(int dir, file_fn *fn, void *ctx);

/* --- index.c: quarantine.db --- */

struct db *quarantine_index_open(const char *state, struct err *e);
struct db *quarantine_index_open_read(const char *state, struct err *e);
int quarantine_index_put(struct db *d, const struct quarantine_item *x, struct err *e);
int quarantine_index_remove(struct db *d, const char *id, struct err *e);
/* Where the index thinks the item is. */
bool quarantine_index_day(struct db *d, const char *id, char out[DAY_SIZE]);
/* Up to `most` ids whose time is over, into ids; returns how many. */
size_t quarantine_index_expired(struct db *d, usec now, char (*ids)[ID_SIZE], size_t most);
/* Makes the index tell what the directories hold. */
int quarantine_index_reconcile(struct db *d, int root, struct err *e);

#endif
