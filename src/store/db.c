#include "store/db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

enum { BUSY_MS = 5000, STATEMENTS_MAX = 64 };

struct cached {
    const char *sql;
    sqlite3_stmt *stmt;
};

struct db {
    sqlite3 *h;
    char *path;
    const char *const *steps;
    struct cached cache[STATEMENTS_MAX];
    size_t ncached;
    sqlite3_stmt *now;  /* the statement begun with db_sql */
    sqlite3_stmt *once; /* the same, when it is not kept */
    int param;
    int failed; /* of a prepare or bind since db_sql */
    bool damaged, full;
};

static void note(struct db *d, int code)
{
    code &= 0xff;
    d->full = code == SQLITE_FULL;
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        d->damaged = true;
}

int db_fail(struct db *d, const char *what, struct err *e)
{
    if (!d->h)
        return err_set(e, "%s: %s: not open", d->path, what);
    note(d, sqlite3_extended_errcode(d->h));
    return err_set(e, "%s: %s: %s", d->path, what, sqlite3_errmsg(d->h));
}

int db_exec(struct db *d, const char *sql, struct err *e)
{
    if (!d->h || sqlite3_exec(d->h, sql, NULL, NULL, NULL) != SQLITE_OK)
        return db_fail(d, sql, e);
    return 0;
}

static int schema_version(struct db *d, int *version, struct err *e)
{
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(d->h, "PRAGMA user_version", -1, &s, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(s);
    if (code == SQLITE_ROW)
        *version = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    return code == SQLITE_ROW ? 0 : db_fail(d, "reading the version", e);
}

static int migrate(struct db *d, struct err *e)
{
    int version = 0, known = 0;
    while (d->steps[known])
        known++;
    if (schema_version(d, &version, e))
        return -1;
    if (version > known)
        return err_set(e, "%s was written by a newer gatehouse (form %d, this one knows %d)",
                       d->path, version, known);
    for (; version < known; version++) {
        char *sql = xasprintf("BEGIN IMMEDIATE;%s;PRAGMA user_version=%d;COMMIT", d->steps[version],
                              version + 1);
        int failed = db_exec(d, sql, e);
        free(sql);
        if (failed) {
            sqlite3_exec(d->h, "ROLLBACK", NULL, NULL, NULL);
            return -1;
        }
    }
    return 0;
}

static int open_handle(struct db *d, int flags, struct err *e)
{
    d->damaged = d->full = false;
    if (sqlite3_open_v2(d->path, &d->h, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return db_fail(d, "opening", e);
    sqlite3_extended_result_codes(d->h, 1);
    sqlite3_busy_timeout(d->h, BUSY_MS);
    return 0;
}

/* WAL with synchronous=NORMAL: a power cut may lose the last transactions, never the order or the
 * file. Histories and indexes can live with that; nothing else is kept here. */
static int open_write(struct db *d, struct err *e)
{
    if (open_handle(d, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, e))
        return -1;
    if (db_exec(d, "PRAGMA journal_mode=WAL", e) || db_exec(d, "PRAGMA synchronous=NORMAL", e) ||
        db_exec(d, "PRAGMA temp_store=MEMORY", e) || db_exec(d, "PRAGMA cache_size=-8000", e))
        return -1;
    return migrate(d, e);
}

static void close_handle(struct db *d)
{
    db_end(d);
    for (size_t i = 0; i < d->ncached; i++)
        sqlite3_finalize(d->cache[i].stmt);
    d->ncached = 0;
    d->now = NULL;
    sqlite3_close_v2(d->h);
    d->h = NULL;
}

static int move_aside(struct db *d, struct err *e)
{
    char *aside = xasprintf("%s.damaged-%lld", d->path, (long long)(clock_wall() / USEC_PER_SEC));
    int result = rename(d->path, aside);
    if (result && errno == ENOENT)
        result = 0;
    else if (result)
        err_sys(e, "%s is damaged and can't be moved to %s", d->path, aside);
    else
        log_event(LOG_FAULT, NULL, "database-damaged", F_STR("file", d->path),
                  F_STR("moved_to", aside), F_STR("remedy", "a new one was started"));
    static const char *const parts[] = {"-wal", "-shm"};
    for (size_t i = 0; i < 2 && result == 0; i++) {
        char *part = xasprintf("%s%s", d->path, parts[i]);
        unlink(part);
        free(part);
    }
    free(aside);
    return result;
}

int db_renew(struct db *d, struct err *e)
{
    close_handle(d);
    if (move_aside(d, e))
        return -1;
    if (open_write(d, e)) {
        close_handle(d);
        return -1;
    }
    return 0;
}

static struct db *db_new(const char *path)
{
    struct db *d = xcalloc(1, sizeof *d);
    d->path = xstrdup(path);
    return d;
}

struct db *db_open(const char *path, const char *const *steps, struct err *e)
{
    struct db *d = db_new(path);
    d->steps = steps;
    if (open_write(d, e) == 0 || (d->damaged && db_renew(d, e) == 0))
        return d;
    db_close(d);
    return NULL;
}

struct db *db_open_read(const char *path, int version, struct err *e)
{
    if (access(path, R_OK)) {
        err_sys(e, "%s", path);
        return NULL;
    }
    struct db *d = db_new(path);
    int found = 0;
    if (open_handle(d, SQLITE_OPEN_READONLY, e) == 0 && schema_version(d, &found, e) == 0) {
        if (found == version)
            return d;
        err_set(e, "%s has form %d, this gatehouse reads %d; is another version running?", path,
                found, version);
    }
    db_close(d);
    return NULL;
}

struct db *db_open_foreign(const char *path, int wait_ms, struct err *e)
{
    if (access(path, R_OK)) {
        err_sys(e, "%s", path);
        return NULL;
    }
    struct db *d = db_new(path);
    if (open_handle(d, SQLITE_OPEN_READONLY, e) == 0) {
        sqlite3_busy_timeout(d->h, wait_ms);
        return d;
    }
    db_close(d);
    return NULL;
}

void db_close(struct db *d)
{
    if (!d)
        return;
    close_handle(d);
    free(d->path);
    free(d);
}

bool db_damaged(const struct db *d)
{
    return d->damaged;
}

bool db_full(const struct db *d)
{
    return d->full;
}

sqlite3 *db_handle(struct db *d)
{
    return d->h;
}

/* --- statements --- */

static sqlite3_stmt *statement(struct db *d, const char *sql)
{
    for (size_t i = 0; i < d->ncached; i++)
        if (d->cache[i].sql == sql)
            return d->cache[i].stmt;
    sqlite3_stmt *s = NULL;
    if (d->ncached == STATEMENTS_MAX) /* more literals than that is a mistake of ours */
        abort();
    d->failed = sqlite3_prepare_v3(d->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL);
    if (d->failed == SQLITE_OK)
        d->cache[d->ncached++] = (struct cached){sql, s};
    return s;
}

void db_sql(struct db *d, const char *literal)
{
    d->failed = SQLITE_OK;
    d->param = 0;
    d->now = d->h ? statement(d, literal) : NULL;
}

void db_sql_once(struct db *d, const char *sql)
{
    d->failed = SQLITE_OK;
    d->param = 0;
    d->now = NULL;
    if (d->h)
        d->failed = sqlite3_prepare_v3(d->h, sql, -1, 0, &d->now, NULL);
    d->once = d->now;
}

static void bound(struct db *d, int code)
{
    if (d->failed == SQLITE_OK)
        d->failed = code;
}

void db_put_text(struct db *d, struct span s)
{
    if (d->now)
        bound(d, sqlite3_bind_text64(d->now, ++d->param, s.p, s.n, SQLITE_STATIC, SQLITE_UTF8));
}

void db_put_blob(struct db *d, struct span s)
{
    if (d->now)
        bound(d, sqlite3_bind_blob64(d->now, ++d->param, s.p, s.n, SQLITE_STATIC));
}

void db_put_int(struct db *d, int64_t v)
{
    if (d->now)
        bound(d, sqlite3_bind_int64(d->now, ++d->param, v));
}

void db_put_real(struct db *d, double v)
{
    if (d->now)
        bound(d, sqlite3_bind_double(d->now, ++d->param, v));
}

void db_end(struct db *d)
{
    if (!d->now)
        return;
    sqlite3_reset(d->now);
    sqlite3_clear_bindings(d->now);
    if (d->now == d->once)
        sqlite3_finalize(d->once);
    d->now = d->once = NULL;
}

int db_row(struct db *d, struct err *e)
{
    if (!d->now || d->failed != SQLITE_OK) {
        db_fail(d, "statement", e);
        db_end(d);
        return -1;
    }
    int code = sqlite3_step(d->now);
    if (code == SQLITE_ROW)
        return 1;
    if (code != SQLITE_DONE)
        db_fail(d, sqlite3_sql(d->now), e);
    db_end(d);
    return code == SQLITE_DONE ? 0 : -1;
}

int db_done(struct db *d, struct err *e)
{
    int result = db_row(d, e);
    if (result == 1)
        db_end(d);
    return result < 0 ? -1 : 0;
}

int64_t db_changes(const struct db *d)
{
    return d->h ? sqlite3_changes64(d->h) : 0;
}

int64_t db_last_serial(const struct db *d)
{
    return d->h ? sqlite3_last_insert_rowid(d->h) : 0;
}

struct span db_text(struct db *d, int column)
{
    const char *p = sqlite3_column_blob(d->now, column);
    int n = sqlite3_column_bytes(d->now, column);
    if (!p && sqlite3_column_type(d->now, column) != SQLITE_NULL)
        p = ""; /* an empty text has no bytes to point at */
    return span_of(p, (size_t)n);
}

int64_t db_int(struct db *d, int column)
{
    return sqlite3_column_int64(d->now, column);
}

double db_real(struct db *d, int column)
{
    return sqlite3_column_double(d->now, column);
}
