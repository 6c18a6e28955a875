/* SQLite, the way this program uses it: WAL, prepared statements kept, schema by numbered steps,
 * spans in and out.
 *
 * A database here holds history and indexes, never mail; so a damaged file must not stop anything:
 * db_open moves it aside (PATH.damaged-TIME) with a log record and starts a new one, and an owner
 * that meets damage later (db_damaged) does the same with db_renew.
 *
 * A struct db is used by one thread at a time. Statements come from a cache by the address of their
 * text: pass string literals. db_row and db_done finish what db_sql began; a statement that was
 * begun must be ended (db_row returned 0 or -1, db_done, or db_end) before it is begun again. */
#ifndef GATEHOUSE_STORE_DB_H
#define GATEHOUSE_STORE_DB_H

#include "base/err.h"
#include "base/span.h"

#include <sqlite3.h>

struct db;

/* Schema steps: step i brings version i to i + 1 and runs in a transaction. Ends with NULL. */
struct db *db_open(const char *path, const char *const *steps, struct err *e);
/* For reading alone, beside a writer; the file must exist. version: how many steps its reader
 * knows; older or newer files are an error with a text for the operator. */
struct db *db_open_read(const char *path, int version, struct err *e);
/* Somebody else's database, for reading alone; wait_ms: how long a lock of its writer is waited
 * for.
 */
struct db *db_open_foreign(const char *path, int wait_ms, struct err *e);
void db_close(struct db *d);
/* Whether an operation since the opening found the file damaged. */
bool db_damaged(const struct db *d);
/* Moves the file aside and begins a new one. -1 and e when that fails; then d is closed for good:
 * every operation fails until db_renew succeeds. */
int db_renew(struct db *d, struct err *e);
/* Whether the last failure was a full disk. */
bool db_full(const struct db *d);

/* 0, or -1 and e. Statements without parameters. */
int db_exec(struct db *d, const char *sql, struct err *e);

/* db_sql(d, "INSERT ... VALUES (?, ?, ?)"), then one db_put_ for each parameter in order, then
 * db_done; or db_row until it is not 1. Failures are remembered until db_done or db_row tells them.
 */
void db_sql(struct db *d, const char *literal);
/* The same for a text made at run time; it is forgotten at the end. */
void db_sql_once(struct db *d, const char *sql);
void db_put_text(struct db *d, struct span s); /* absent is NULL; bytes must live until the end */
void db_put_blob(struct db *d, struct span s);
void db_put_int(struct db *d, int64_t v);
void db_put_real(struct db *d, double v);
/* Runs a statement that yields no rows. 0, or -1 and e; rows changed in db_changes. */
int db_done(struct db *d, struct err *e);
/* 1: a row, 0: no more, -1: failed and e. */
int db_row(struct db *d, struct err *e);
void db_end(struct db *d);
int64_t db_changes(const struct db *d);
int64_t db_last_serial(const struct db *d);

/* Columns of the row, from 0. Spans are valid until the next db_row; NULL is an absent span. */
struct span db_text(struct db *d, int column);
int64_t db_int(struct db *d, int column);
double db_real(struct db *d, int column);

/* For statements made at run time (filters) and functions: the connection itself. */
sqlite3 *db_handle(struct db *d);
/* Text of the last failure into e; notes damage. Returns -1. */
int db_fail(struct db *d, const char *what, struct err *e);

#endif
