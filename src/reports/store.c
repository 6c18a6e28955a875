#include "reports/store_private.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"

/* ours: 1 in the making, 0 from others. Ours have org '' and their key as id. Empty texts instead
 * of NULL, so that equal rows are equal. done: what became of sending it. */
const char *const report_steps[] = {
    "CREATE TABLE agg_report ("
    "  serial INTEGER PRIMARY KEY, ours INTEGER NOT NULL, org TEXT NOT NULL, id TEXT NOT NULL,"
    "  begin INTEGER NOT NULL, end INTEGER NOT NULL, domain TEXT NOT NULL,"
    "  record TEXT NOT NULL, method TEXT NOT NULL, p TEXT NOT NULL, sp TEXT NOT NULL,"
    "  np TEXT NOT NULL, adkim TEXT NOT NULL, aspf TEXT NOT NULL, pct TEXT NOT NULL,"
    "  fo TEXT NOT NULL, testing TEXT NOT NULL, email TEXT NOT NULL, contact TEXT NOT NULL,"
    "  error TEXT NOT NULL, nrows INTEGER NOT NULL DEFAULT 0, left_out INTEGER NOT NULL DEFAULT 0,"
    "  stored INTEGER NOT NULL, sender TEXT NOT NULL, verified INTEGER NOT NULL, done TEXT,"
    "  UNIQUE (ours, org, id));"
    "CREATE INDEX agg_report_begin ON agg_report (ours, begin, domain);"
    "CREATE INDEX agg_report_end ON agg_report (end);"
    "CREATE TABLE agg_row ("
    "  report INTEGER NOT NULL, ip TEXT NOT NULL, disposition TEXT NOT NULL, dkim TEXT NOT NULL,"
    "  spf TEXT NOT NULL, reason TEXT NOT NULL, comment TEXT NOT NULL, header_from TEXT NOT NULL,"
    "  envelope_from TEXT NOT NULL, envelope_to TEXT NOT NULL, auth TEXT NOT NULL,"
    "  count INTEGER NOT NULL,"
    "  PRIMARY KEY (report, ip, disposition, dkim, spf, reason, comment, header_from,"
    "   envelope_from, envelope_to, auth)) WITHOUT ROWID;"
    "CREATE TABLE tls_report ("
    "  serial INTEGER PRIMARY KEY, ours INTEGER NOT NULL, org TEXT NOT NULL, id TEXT NOT NULL,"
    "  begin INTEGER NOT NULL, end INTEGER NOT NULL, domain TEXT NOT NULL, contact TEXT NOT NULL,"
    "  nrows INTEGER NOT NULL DEFAULT 0, left_out INTEGER NOT NULL DEFAULT 0,"
    "  stored INTEGER NOT NULL, sender TEXT NOT NULL, verified INTEGER NOT NULL, done TEXT,"
    "  UNIQUE (ours, org, id));"
    "CREATE INDEX tls_report_begin ON tls_report (ours, begin, domain);"
    "CREATE INDEX tls_report_end ON tls_report (end);"
    "CREATE TABLE tls_policy ("
    "  serial INTEGER PRIMARY KEY, report INTEGER NOT NULL, type TEXT NOT NULL,"
    "  domain TEXT NOT NULL, strings TEXT NOT NULL, mx TEXT NOT NULL,"
    "  successes INTEGER NOT NULL, failures INTEGER NOT NULL,"
    "  UNIQUE (report, type, domain, strings, mx));"
    "CREATE TABLE tls_failure ("
    "  policy INTEGER NOT NULL, type TEXT NOT NULL, sending_ip TEXT NOT NULL, mx TEXT NOT NULL,"
    "  helo TEXT NOT NULL, receiving_ip TEXT NOT NULL, info TEXT NOT NULL, code TEXT NOT NULL,"
    "  count INTEGER NOT NULL,"
    "  PRIMARY KEY (policy, type, sending_ip, mx, helo, receiving_ip, info, code)) WITHOUT ROWID",
    NULL};

const char *reports_kind_name(enum reports_kind k)
{
    return k == REPORTS_TLS ? "tls" : "dmarc";
}

static struct report_store *wrap(struct db *db)
{
    if (!db)
        return NULL;
    struct report_store *s = xcalloc(1, sizeof *s);
    s->db = db;
    return s;
}

struct report_store *report_store_open(const char *state, struct err *e)
{
    char *path = xasprintf("%s/reports.db", state);
    struct report_store *s = wrap(db_open(path, report_steps, e));
    free(path);
    return s;
}

struct report_store *report_store_open_read(const char *state, struct err *e)
{
    char *path = xasprintf("%s/reports.db", state);
    struct report_store *s = wrap(db_open_read(path, REPORTS_FORM, e));
    free(path);
    return s;
}

void report_store_limit(struct report_store *s, uint64_t bytes)
{
    s->limit = bytes;
}

void report_store_close(struct report_store *s)
{
    if (!s)
        return;
    db_close(s->db);
    buf_free(&s->text);
    buf_free(&s->list);
    free(s);
}

void report_store_heal(struct report_store *s)
{
    struct err e;
    if ((db_damaged(s->db) || !db_handle(s->db)) && db_renew(s->db, &e))
        log_event(LOG_FAULT, NULL, "reports-unavailable", F_STR("why", e.text));
}

int report_store_begin(struct report_store *s, struct err *e)
{
    return db_exec(s->db, "BEGIN IMMEDIATE", e);
}

int report_store_commit(struct report_store *s, struct err *e)
{
    return db_exec(s->db, "COMMIT", e);
}

void report_store_rollback(struct report_store *s)
{
    db_exec(s->db, "ROLLBACK", NULL);
}

static void put(struct report_store *s, struct span text)
{
    db_put_text(s->db, text.p ? text : SPAN(""));
}

static int64_t day_of(int64_t t)
{
    return t - t % REPORTS_DAY;
}

/* What makes a report of ours one: day, domain, policy. */
static struct span key_of(struct report_store *s, int64_t day, struct span domain,
                          struct span method, struct span record)
{
    buf_clear(&s->text);
    buf_printf(&s->text, "%lld %.*s %.*s %.*s", (long long)day, SPAN_ARG(domain), SPAN_ARG(method),
               SPAN_ARG(record));
    return buf_span(&s->text);
}

/* --- DMARC --- */

static int put_report(struct report_store *s, const struct agg_report *r, struct span id, bool ours,
                      const struct report_origin *o, struct err *e)
{
    const struct agg_policy *p = &r->policy;
    const struct span texts[] = {p->domain,  p->record, p->method,  p->p,    p->sp,
                                 p->np,      p->adkim,  p->aspf,    p->pct,  p->fo,
                                 p->testing, r->email,  r->contact, r->error};
    int64_t day = day_of(r->begin);
    db_sql(
        s->db,
        "INSERT OR IGNORE INTO agg_report (ours, org, id, begin, end, domain, record, method, p,"
        " sp, np, adkim, aspf, pct, fo, testing, email, contact, error, left_out, stored, sender,"
        " verified) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    db_put_int(s->db, ours);
    put(s, ours ? SPAN("") : r->org);
    put(s, id);
    db_put_int(s->db, ours ? day : r->begin);
    db_put_int(s->db, ours ? day + REPORTS_DAY - 1 : r->end);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        put(s, texts[i]);
    db_put_int(s->db, (int64_t)r->left_out);
    db_put_int(s->db, o->at);
    put(s, o->sender);
    db_put_int(s->db, o->verified);
    return db_done(s->db, e);
}

/* 0 when there is none, -1 and e. */
static int64_t find_report(struct report_store *s, enum reports_kind kind, bool ours,
                           struct span org, struct span id, bool *verified, int64_t *nrows,
                           struct err *e)
{
    db_sql(s->db, kind == REPORTS_TLS
                      ? "SELECT serial, verified, nrows FROM tls_report WHERE ours = ? AND org = ?"
                        " AND id = ?"
                      : "SELECT serial, verified, nrows FROM agg_report WHERE ours = ? AND org = ?"
                        " AND id = ?");
    db_put_int(s->db, ours);
    put(s, org);
    put(s, id);
    int row = db_row(s->db, e);
    if (row <= 0)
        return row;
    int64_t serial = db_int(s->db, 0);
    if (verified)
        *verified = db_int(s->db, 1) != 0;
    if (nrows)
        *nrows = db_int(s->db, 2);
    db_end(s->db);
    return serial;
}

static void put_row_key(struct report_store *s, int64_t report, const struct agg_row *w)
{
    const struct span texts[] = {w->ip,          w->disposition,   w->dkim,
                                 w->spf,         w->reason,        w->comment,
                                 w->header_from, w->envelope_from, w->envelope_to};
    db_put_int(s->db, report);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        put(s, texts[i]);
    put(s, buf_span(&s->list));
}

/* Adds to a row that is there; *added: a new one was made. A report that is full (of sources that
 * a stranger makes up) counts what it leaves out. */
static int add_row(struct report_store *s, int64_t report, const struct agg_row *w, bool full,
                   bool *added, struct err *e)
{
    buf_clear(&s->list);
    agg_auth_text(&s->list, w->auth, w->nauth);
    db_sql(s->db,
           "UPDATE agg_row SET count = count + ?12 WHERE report = ?1 AND ip = ?2 AND"
           " disposition = ?3 AND dkim = ?4 AND spf = ?5 AND reason = ?6 AND comment = ?7 AND"
           " header_from = ?8 AND envelope_from = ?9 AND envelope_to = ?10 AND auth = ?11");
    put_row_key(s, report, w);
    db_put_int(s->db, (int64_t)w->count);
    *added = false;
    if (db_done(s->db, e))
        return -1;
    if (db_changes(s->db) || full)
        return 0;
    db_sql(s->db,
           "INSERT INTO agg_row (report, ip, disposition, dkim, spf, reason, comment, header_from,"
           " envelope_from, envelope_to, auth, count) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)");
    put_row_key(s, report, w);
    db_put_int(s->db, (int64_t)w->count);
    *added = true;
    return db_done(s->db, e);
}

static int add_rows(struct report_store *s, int64_t report, int64_t nrows,
                    const struct agg_report *r, struct err *e)
{
    int64_t before = nrows, lost = 0;
    for (size_t i = 0; i < r->n; i++) {
        bool added;
        bool full = nrows >= AGG_ROWS_MAX;
        if (add_row(s, report, &r->rows[i], full, &added, e))
            return -1;
        nrows += added;
        lost += full && !added && db_changes(s->db) == 0;
    }
    if (nrows == before && !lost)
        return 0;
    db_sql(s->db, "UPDATE agg_report SET nrows = ?, left_out = left_out + ? WHERE serial = ?");
    db_put_int(s->db, nrows);
    db_put_int(s->db, lost);
    db_put_int(s->db, report);
    return db_done(s->db, e);
}

/* A domain whose record changes with every question gets no report for each of its versions (RFC
 * 9990 section 3.1.4 leaves that to us): what comes later counts under the last one. 0: there is
 * room for another. */
static int64_t last_of_many(struct report_store *s, int64_t day, struct span domain, struct err *e)
{
    db_sql(s->db, "SELECT count(*), max(serial) FROM agg_report"
                  " WHERE ours = 1 AND begin = ? AND domain = ?");
    db_put_int(s->db, day);
    put(s, domain);
    int row = db_row(s->db, e);
    int64_t n = row == 1 ? db_int(s->db, 0) : 0, last = row == 1 ? db_int(s->db, 1) : -1;
    db_end(s->db);
    return row == 1 && n < AGG_POLICIES_MAX ? 0 : last;
}

/* Room for rows is counted with them. */
static int rows_of(struct report_store *s, int64_t serial, int64_t *nrows, struct err *e)
{
    db_sql(s->db, "SELECT nrows FROM agg_report WHERE serial = ?");
    db_put_int(s->db, serial);
    int row = db_row(s->db, e);
    *nrows = row == 1 ? db_int(s->db, 0) : 0;
    db_end(s->db);
    return row == 1 ? 0 : -1;
}

int report_store_saw(struct report_store *s, const struct agg_report *r, struct err *e)
{
    const struct report_origin us = {.at = clock_wall(), .verified = true};
    const struct agg_policy *p = &r->policy;
    struct span id = key_of(s, day_of(r->begin), p->domain, p->method, p->record);
    int64_t nrows = 0;
    int64_t serial = find_report(s, REPORTS_DMARC, true, SPAN(""), id, NULL, &nrows, e);
    if (serial == 0 && (serial = last_of_many(s, day_of(r->begin), p->domain, e)) > 0 &&
        rows_of(s, serial, &nrows, e))
        return -1;
    if (serial == 0 && put_report(s, r, id, true, &us, e) == 0)
        serial = db_last_serial(s->db);
    return serial > 0 ? add_rows(s, serial, nrows, r, e) : -1;
}

/* --- what others sent, both kinds --- */

static int delete_report(struct report_store *s, enum reports_kind kind, int64_t serial,
                         struct err *e)
{
    static const char *const dmarc[] = {"DELETE FROM agg_row WHERE report = ?",
                                        "DELETE FROM agg_report WHERE serial = ?", NULL};
    static const char *const tls[] = {
        "DELETE FROM tls_failure WHERE policy IN (SELECT serial FROM tls_policy WHERE report = ?)",
        "DELETE FROM tls_policy WHERE report = ?", "DELETE FROM tls_report WHERE serial = ?", NULL};
    for (const char *const *sql = kind == REPORTS_TLS ? tls : dmarc; *sql; sql++) {
        db_sql(s->db, *sql);
        db_put_int(s->db, serial);
        if (db_done(s->db, e))
            return -1;
    }
    return 0;
}

/* -1, or whether reports of others still have room. Pages that expiry has freed are room. */
static int has_room(struct report_store *s, struct err *e)
{
    if (!s->limit)
        return 1;
    db_sql(s->db, "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count,"
                  " pragma_freelist_count, pragma_page_size");
    int row = db_row(s->db, e);
    bool room = row == 1 && (uint64_t)db_int(s->db, 0) < s->limit;
    db_end(s->db);
    return row < 0 ? -1 : room;
}

/* Whether one with this name may be stored now: what stands there without proof gives way. */
static enum report_stored make_way(struct report_store *s, enum reports_kind kind, struct span org,
                                   struct span id, const struct report_origin *o, struct err *e)
{
    bool verified = false;
    int room = has_room(s, e);
    if (room <= 0)
        return room ? REPORT_FAILED_TO_STORE : REPORT_NO_ROOM;
    int64_t there = find_report(s, kind, false, org, id, &verified, NULL, e);
    if (there < 0)
        return REPORT_FAILED_TO_STORE;
    if (there == 0)
        return REPORT_STORED;
    if (verified || !o->verified)
        return REPORT_DUPLICATE;
    return delete_report(s, kind, there, e) ? REPORT_FAILED_TO_STORE : REPORT_STORED;
}

enum report_stored report_store_put(struct report_store *s, const struct agg_report *r,
                                    const struct report_origin *o, struct err *e)
{
    enum report_stored way = make_way(s, REPORTS_DMARC, r->org, r->id, o, e);
    if (way != REPORT_STORED)
        return way;
    if (put_report(s, r, r->id, false, o, e))
        return REPORT_FAILED_TO_STORE;
    return add_rows(s, db_last_serial(s->db), 0, r, e) ? REPORT_FAILED_TO_STORE : REPORT_STORED;
}

/* --- TLS --- */

static int put_tls_report(struct report_store *s, const struct tls_report *r, struct span id,
                          bool ours, const struct report_origin *o, struct err *e)
{
    int64_t day = day_of(r->begin);
    db_sql(s->db, "INSERT OR IGNORE INTO tls_report (ours, org, id, begin, end, domain, contact,"
                  " left_out, stored, sender, verified) VALUES (?,?,?,?,?,?,?,?,?,?,?)");
    db_put_int(s->db, ours);
    put(s, ours ? SPAN("") : r->org);
    put(s, id);
    db_put_int(s->db, ours ? day : r->begin);
    db_put_int(s->db, ours ? day + REPORTS_DAY - 1 : r->end);
    put(s, r->policies[0].domain);
    put(s, r->contact);
    db_put_int(s->db, (int64_t)r->left_out);
    db_put_int(s->db, o->at);
    put(s, o->sender);
    db_put_int(s->db, o->verified);
    return db_done(s->db, e);
}

/* One line each; lines in them would be two. */
static struct span joined(struct buf *b, const struct span *v, size_t n)
{
    buf_clear(b);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(b, '\n');
        buf_add(b, v[i]);
    }
    return buf_span(b);
}

static void put_policy_key(struct report_store *s, int64_t report, const struct tls_policy *p)
{
    db_put_int(s->db, report);
    put(s, p->type);
    put(s, p->domain);
    put(s, joined(&s->text, p->strings, p->nstrings));
    put(s, joined(&s->list, p->mx, p->nmx));
}

static int64_t add_policy(struct report_store *s, int64_t report, const struct tls_policy *p,
                          struct err *e)
{
    db_sql(s->db, "INSERT INTO tls_policy (report, type, domain, strings, mx, successes, failures)"
                  " VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
                  " successes = successes + excluded.successes,"
                  " failures = failures + excluded.failures");
    put_policy_key(s, report, p);
    db_put_int(s->db, (int64_t)p->successes);
    db_put_int(s->db, (int64_t)p->failures);
    if (db_done(s->db, e))
        return -1;
    db_sql(s->db, "SELECT serial FROM tls_policy WHERE report = ? AND type = ? AND domain = ?"
                  " AND strings = ? AND mx = ?");
    put_policy_key(s, report, p);
    int row = db_row(s->db, e);
    int64_t serial = row == 1 ? db_int(s->db, 0) : -1;
    db_end(s->db);
    return serial;
}

static int add_failures(struct report_store *s, int64_t policy, const struct tls_policy *p,
                        struct err *e)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct tls_failure *f = &p->v[i];
        const struct span texts[] = {f->type,         f->sending_ip, f->mx,  f->helo,
                                     f->receiving_ip, f->info,       f->code};
        db_sql(s->db,
               "INSERT INTO tls_failure (policy, type, sending_ip, mx, helo, receiving_ip, info,"
               " code, count) VALUES (?,?,?,?,?,?,?,?,?)"
               " ON CONFLICT DO UPDATE SET count = count + excluded.count");
        db_put_int(s->db, policy);
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            put(s, texts[k]);
        db_put_int(s->db, (int64_t)f->count);
        if (db_done(s->db, e))
            return -1;
    }
    return 0;
}

static int add_policies(struct report_store *s, int64_t report, const struct tls_report *r,
                        struct err *e)
{
    for (size_t i = 0; i < r->n; i++) {
        int64_t policy = add_policy(s, report, &r->policies[i], e);
        if (policy < 0 || add_failures(s, policy, &r->policies[i], e))
            return -1;
    }
    return 0;
}

int report_store_saw_tls(struct report_store *s, const struct tls_report *r, struct err *e)
{
    const struct report_origin us = {.at = clock_wall(), .verified = true};
    if (!r->n)
        return 0;
    struct span id = key_of(s, day_of(r->begin), r->policies[0].domain, SPAN(""), SPAN(""));
    int64_t serial = find_report(s, REPORTS_TLS, true, SPAN(""), id, NULL, NULL, e);
    if (serial == 0 && put_tls_report(s, r, id, true, &us, e) == 0)
        serial = db_last_serial(s->db);
    return serial > 0 ? add_policies(s, serial, r, e) : -1;
}

enum report_stored report_store_put_tls(struct report_store *s, const struct tls_report *r,
                                        const struct report_origin *o, struct err *e)
{
    if (!r->n)
        return REPORT_STORED;
    enum report_stored way = make_way(s, REPORTS_TLS, r->org, r->id, o, e);
    if (way != REPORT_STORED)
        return way;
    if (put_tls_report(s, r, r->id, false, o, e))
        return REPORT_FAILED_TO_STORE;
    return add_policies(s, db_last_serial(s->db), r, e) ? REPORT_FAILED_TO_STORE : REPORT_STORED;
}

/* --- sending, and the end --- */

int report_store_done(struct report_store *s, enum reports_kind kind, int64_t serial,
                      struct span outcome, struct err *e)
{
    db_sql(s->db, kind == REPORTS_TLS ? "UPDATE tls_report SET done = ? WHERE serial = ?"
                                      : "UPDATE agg_report SET done = ? WHERE serial = ?");
    put(s, outcome);
    db_put_int(s->db, serial);
    return db_done(s->db, e);
}

/* -1, 0: none left, 1: one is gone. */
static int expire_one(struct report_store *s, enum reports_kind kind, int64_t before, struct err *e)
{
    db_sql(s->db, kind == REPORTS_TLS
                      ? "SELECT serial FROM tls_report WHERE end < ? ORDER BY end LIMIT 1"
                      : "SELECT serial FROM agg_report WHERE end < ? ORDER BY end LIMIT 1");
    db_put_int(s->db, before);
    int row = db_row(s->db, e);
    int64_t serial = row == 1 ? db_int(s->db, 0) : 0;
    db_end(s->db);
    if (row <= 0)
        return row;
    return delete_report(s, kind, serial, e) ? -1 : 1;
}

int report_store_expire(struct report_store *s, usec before, int most, struct err *e)
{
    int removed = 0, one = 1;
    if (report_store_begin(s, e))
        return -1;
    for (int kind = REPORTS_DMARC; kind <= REPORTS_TLS && one >= 0; kind++) {
        one = 1;
        for (int i = 0; i < most && one == 1; i++) {
            one = expire_one(s, (enum reports_kind)kind, before / USEC_PER_SEC, e);
            removed += one == 1;
        }
    }
    if (one < 0 || report_store_commit(s, e)) {
        report_store_rollback(s);
        return -1;
    }
    return removed;
}
