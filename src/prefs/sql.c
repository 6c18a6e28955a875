/* Preferences in a database, as SpamAssassin's Conf::SQL asks for them. */
#include "prefs/prefs_private.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "store/db.h"
#include "store/pg.h"

static const char default_query[] =
    "select preference, value from _TABLE_ where username = _USERNAME_ or username = '@GLOBAL' "
    "order by username asc";

enum { SQL_REST = 10 }; /* seconds for which a server that failed is not asked again */

struct sql {
    struct arena *arena;
    struct dsn dsn;
    struct span query;
    struct db *db; /* SQLite; NULL: not open */
    struct pg *pg;
    int wait_ms;
};

/* --- the name of the database --- */

/* "dbname=/path;x=y": the value of the first of those keys; the whole when it has no '='. */
static struct span sqlite_path(struct span rest)
{
    static const char *const keys[] = {"dbname", "database", "db"};
    struct span word, all = rest;
    if (span_find(rest, '=') == SIZE_MAX)
        return rest;
    while ((word = span_word(&all, ";")).p) {
        size_t eq = span_find(word, '=');
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            if (eq != SIZE_MAX && span_eq(span_sub(word, 0, eq), span_str(keys[i])))
                return span_from(word, eq + 1);
    }
    return SPAN_NONE;
}

/* DBD::Pg's words are libpq's, with ';' between them and some other names. */
static struct span pg_words(struct arena *a, struct span rest)
{
    struct buf b = {0};
    struct span word;
    while ((word = span_word(&rest, "; ")).p) {
        size_t eq = span_find(word, '=');
        struct span key = span_sub(word, 0, eq);
        bool name = span_eq(key, SPAN("db")) || span_eq(key, SPAN("database"));
        buf_printf(&b, "%s%.*s%.*s", b.n ? " " : "", SPAN_ARG(name ? SPAN("dbname") : key),
                   SPAN_ARG(eq == SIZE_MAX ? SPAN("") : span_from(word, eq)));
    }
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}

int dsn_parse(struct arena *a, struct span text, struct dsn *out, struct err *e)
{
    if (!span_istarts(text, SPAN("dbi:")))
        return err_set(e, "user_scores_dsn: '%.*s' is no DBI:... name", SPAN_ARG(text));
    struct span driver = span_from(text, 4);
    size_t colon = span_find(driver, ':');
    struct span rest = colon == SIZE_MAX ? SPAN("") : span_from(driver, colon + 1);
    driver = span_sub(driver, 0, colon);
    if (span_ieq(driver, SPAN("SQLite"))) {
        *out = (struct dsn){SQL_SQLITE, sqlite_path(rest)};
        out->rest = out->rest.n ? arena_dup(a, out->rest) : out->rest;
    } else if (span_ieq(driver, SPAN("Pg"))) {
        *out = (struct dsn){SQL_POSTGRES, pg_words(a, rest)};
    } else {
        return err_set(e, "user_scores_dsn: '%.*s' can't be asked; SQLite and Pg can",
                       SPAN_ARG(driver));
    }
    return out->rest.n ? 0
                       : err_set(e, "user_scores_dsn: '%.*s' names no database", SPAN_ARG(text));
}

int prefs_dsn_check(struct span dsn, struct err *e)
{
    struct arena *a = arena_new(0);
    struct dsn d;
    int rc = dsn_parse(a, dsn, &d, e);
    arena_free(a);
    return rc;
}

/* --- the question --- */

void sql_fill(struct buf *out, struct span query, struct span user, sql_quote_fn *quote)
{
    size_t at = span_find(user, '@');
    struct span domain = at == SIZE_MAX ? SPAN_NONE : span_from(user, at + 1);
    if (domain.p)
        domain = span_sub(domain, 0, span_find(domain, '@'));
    const struct {
        struct span name, value;
    } names[] = {{SPAN("_USERNAME_"), user},
                 {SPAN("_MAILBOX_"), span_sub(user, 0, at)},
                 {SPAN("_DOMAIN_"), domain}};
    while (query.n) {
        size_t used = 0;
        for (size_t i = 0; i < sizeof names / sizeof *names && !used; i++) {
            if (!span_starts(query, names[i].name))
                continue;
            char *text = quote(names[i].value);
            buf_str(out, text);
            free(text);
            used = names[i].name.n;
        }
        if (!used && span_starts(query, SPAN("_TABLE_"))) {
            buf_str(out, "userpref");
            used = sizeof "_TABLE_" - 1;
        }
        if (!used) {
            buf_char(out, query.p[0]);
            used = 1;
        }
        query = span_from(query, used);
    }
}

static char *sqlite_quote(struct span s)
{
    struct buf b = {0};
    if (!s.p)
        return xstrdup("NULL");
    buf_char(&b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i] ? s.p[i] : '?';
        if (c == '\'')
            buf_char(&b, c);
        buf_char(&b, c);
    }
    buf_char(&b, '\'');
    char *out = xasprintf("%.*s", SPAN_ARG(buf_span(&b)));
    buf_free(&b);
    return out;
}

/* A line end in a value would begin a line of its own, as it does in SpamAssassin; so it is told
 * apart nowhere else. NUL bytes go. */
static void add_cell(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.n && b->n < 2 * PREFS_TEXT_MAX; i++)
        if (s.p[i])
            buf_char(b, s.p[i]);
}

static void add_row(void *ctx, const struct span *columns, size_t n)
{
    struct buf *b = ctx;
    if (n)
        add_cell(b, columns[0]);
    buf_char(b, '\t');
    if (n > 1)
        add_cell(b, columns[1]);
    buf_char(b, '\n');
}

static int ask_sqlite(struct sql *q, const char *sql, struct buf *out, struct err *e)
{
    if (!q->db && !(q->db = db_open_foreign(q->dsn.rest.p, q->wait_ms, e)))
        return -1;
    int rc;
    db_sql_once(q->db, sql);
    while ((rc = db_row(q->db, e)) == 1) {
        struct span row[2] = {db_text(q->db, 0), db_text(q->db, 1)};
        add_row(out, row, 2);
    }
    if (rc < 0) { /* the file may have been replaced */
        db_close(q->db);
        q->db = NULL;
    }
    return rc;
}

int sql_read(struct sql *q, struct span user, struct buf *out, struct err *e)
{
    struct buf sql = {0};
    bool lite = q->dsn.kind == SQL_SQLITE;
    sql_fill(&sql, q->query, user, lite ? sqlite_quote : pg_quote);
    buf_char(&sql, '\0');
    int rc = lite ? ask_sqlite(q, sql.p, out, e) : pg_ask(q->pg, sql.p, add_row, out, e);
    buf_free(&sql);
    if (rc == 0 && out->n > PREFS_TEXT_MAX)
        rc = err_set(e, "preferences in the database have more than %d bytes", PREFS_TEXT_MAX);
    return rc;
}

/* --- life --- */

struct sql *sql_new(const struct settings *set, const struct ruleset *rs, struct err *e)
{
    struct span dsn = ruleset_value(rs, "user_scores_dsn", SPAN_NONE);
    if (!dsn.n || !set->preferences.sql)
        return NULL;
    struct sql *q = xcalloc(1, sizeof *q);
    q->arena = arena_new(0);
    q->wait_ms = (int)(set->preferences.sql_timeout / 1000);
    q->query = ruleset_value(rs, "user_scores_sql_custom_query", span_str(default_query));
    if (dsn_parse(q->arena, dsn, &q->dsn, e) != 0) {
        sql_free(q);
        return NULL;
    }
    if (q->dsn.kind == SQL_POSTGRES)
        q->pg = pg_new(q->dsn.rest, ruleset_value(rs, "user_scores_sql_username", SPAN_NONE),
                       ruleset_value(rs, "user_scores_sql_password", SPAN_NONE),
                       set->preferences.sql_timeout, SQL_REST * USEC_PER_SEC);
    return q;
}

void sql_free(struct sql *q)
{
    if (!q)
        return;
    db_close(q->db);
    pg_free(q->pg);
    arena_free(q->arena);
    free(q);
}
