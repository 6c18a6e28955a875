/* Shared by the files of this room. */
#ifndef GATEHOUSE_PREFS_PREFS_PRIVATE_H
#define GATEHOUSE_PREFS_PREFS_PRIVATE_H

#include "base/buf.h"
#include "prefs/prefs.h"

struct sql;

/* NULL: the rule files name no database (or one that can't be asked: *why). */
struct sql *sql_new(const struct settings *set, const struct ruleset *rs, struct err *e);
void sql_free(struct sql *q);
/* The user's rows as lines "preference<TAB>value" at the end of out. 0, or -1 and e. */
int sql_read(struct sql *q, struct span user, struct buf *out, struct err *e);

/* A query with the names filled in, each value through quote (which allocates). */
typedef char *sql_quote_fn(struct span value);
void sql_fill(struct buf *out, struct span query, struct span user, sql_quote_fn *quote);

/* user_scores_dsn taken apart. */
enum sql_kind { SQL_SQLITE, SQL_POSTGRES };
struct dsn {
    enum sql_kind kind;
    struct span rest; /* a path, or libpq's words */
};
int dsn_parse(struct arena *a, struct span text, struct dsn *out, struct err *e);

#endif
