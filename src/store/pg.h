/* PostgreSQL, for questions with an answer at once: one connection, opened when needed, kept, and
 * opened anew when the server went away. Every step has a deadline, the look-up of its name too; a
 * server that fails is left alone for a while, so that mail does not wait for it message by
 * message.
 *
 * A struct pg is used by one thread. */
#ifndef GATEHOUSE_STORE_PG_H
#define GATEHOUSE_STORE_PG_H

#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"

struct pg;

/* dsn: libpq's connection string ("host=/run/postgresql dbname=mail"); user and password may be
 * absent. Nothing is opened yet. timeout: of one question with all it takes; rest: how long a
 * server that failed is not asked again. */
struct pg *pg_new(struct span dsn, struct span user, struct span password, usec timeout, usec rest);
void pg_free(struct pg *p);

/* Runs one statement of the reader's own text; values must have been quoted with pg_quote. Each row
 * is given to `row`, columns as text, absent for NULL. 0, or -1 and e (rows may have been given).
 */
typedef void pg_row_fn(void *ctx, const struct span *columns, size_t n);
int pg_ask(struct pg *p, const char *sql, pg_row_fn *row, void *ctx, struct err *e);

/* s as a literal, with its quotes: 'O''Brien'. Free it. Standard conforming strings: a backslash
 * is a backslash, so one in s makes it an E'' literal. Absent is NULL. */
char *pg_quote(struct span s);

#endif
