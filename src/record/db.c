#include "record/db_private.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "store/db.h"

/* message: one row a record; serial grows with each, so that a follower asks for what comes after.
 * rcpt: its recipients, grp says in which group each is. grp: the decisions. event: what came
 * later, by message id (a delivery may outlive the record). */
const char *const record_steps[] = {
    "CREATE TABLE message ("
    "  serial INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, received INTEGER NOT "
    "NULL,"
    "  size INTEGER NOT NULL, peer_ip TEXT, peer_name TEXT, helo TEXT, listener TEXT, auth_user "
    "TEXT,"
    "  sender TEXT NOT NULL, sender_key TEXT NOT NULL, outcomes TEXT NOT NULL, score REAL NOT NULL,"
    "  required REAL NOT NULL, virus TEXT, subject TEXT, header_from TEXT, message_id TEXT,"
    "  micros INTEGER NOT NULL, receipt BLOB);"
    "CREATE INDEX message_received ON message (received);"
    "CREATE INDEX message_sender ON message (sender_key);"
    "CREATE TABLE rcpt (serial INTEGER NOT NULL, n INTEGER NOT NULL, addr TEXT NOT NULL,"
    "  key TEXT NOT NULL, grp INTEGER, PRIMARY KEY (serial, n)) WITHOUT ROWID;"
    "CREATE INDEX rcpt_key ON rcpt (key, serial);"
    "CREATE TABLE grp (serial INTEGER NOT NULL, n INTEGER NOT NULL, outcome TEXT NOT NULL,"
    "  policy TEXT, reason TEXT, detail TEXT, reply TEXT, unscanned INTEGER NOT NULL,"
    "  PRIMARY KEY (serial, n)) WITHOUT ROWID;"
    "CREATE TABLE event (serial INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL,"
    "  kind TEXT NOT NULL, rcpt TEXT, place TEXT, text TEXT);"
    "CREATE INDEX event_id ON event (id)",
    NULL};

struct record_db {
    struct db *db;
    struct packer *packer;
    struct buf packed, key, outcomes;
    int64_t *groups; /* of the recipients of the entry at hand */
    size_t groups_cap;
};

void record_key(struct buf *b, struct span addr)
{
    size_t at = span_rfind(addr, '@');
    struct span domain = at == SIZE_MAX ? SPAN_NONE : span_from(addr, at + 1);
    struct span local = at == SIZE_MAX ? addr : span_sub(addr, 0, at);
    buf_clear(b);
    for (size_t i = 0; i < domain.n; i++)
        buf_char(b, ascii_lower(domain.p[i]));
    buf_char(b, '@');
    for (size_t i = 0; i < local.n; i++)
        buf_char(b, ascii_lower(local.p[i]));
}

struct record_db *record_db_open(const char *state, struct err *e)
{
    char *path = xasprintf("%s/record.db", state);
    struct db *db = db_open(path, record_steps, e);
    free(path);
    if (!db)
        return NULL;
    struct record_db *d = xcalloc(1, sizeof *d);
    d->db = db;
    d->packer = packer_new();
    return d;
}

void record_db_close(struct record_db *d)
{
    if (!d)
        return;
    db_close(d->db);
    packer_free(d->packer);
    buf_free(&d->packed);
    buf_free(&d->key);
    buf_free(&d->outcomes);
    free(d->groups);
    free(d);
}

int record_db_begin(struct record_db *d, struct err *e)
{
    return db_exec(d->db, "BEGIN IMMEDIATE", e);
}

int record_db_commit(struct record_db *d, struct err *e)
{
    return db_exec(d->db, "COMMIT", e);
}

void record_db_rollback(struct record_db *d)
{
    db_exec(d->db, "ROLLBACK", NULL);
}

void record_db_heal(struct record_db *d)
{
    struct err e;
    if ((db_damaged(d->db) || !db_handle(d->db)) && db_renew(d->db, &e))
        log_event(LOG_FAULT, NULL, "record-unavailable", F_STR("why", e.text));
}

/* "accept", or "accept,reject": each outcome once. */
static struct span outcomes(struct record_db *d, const struct record_entry *x)
{
    buf_clear(&d->outcomes);
    for (size_t i = 0; i < x->ngroups; i++) {
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++)
            seen = strcmp(x->groups[k].outcome, x->groups[i].outcome) == 0;
        if (!seen)
            buf_printf(&d->outcomes, "%s%s", d->outcomes.n ? "," : "", x->groups[i].outcome);
    }
    if (x->ngroups == 0)
        buf_str(&d->outcomes, "queued");
    return buf_span(&d->outcomes);
}

static int forget(struct record_db *d, struct span id, struct err *e)
{
    db_sql(d->db, "DELETE FROM rcpt WHERE serial = (SELECT serial FROM message WHERE id = ?)");
    db_put_text(d->db, id);
    if (db_done(d->db, e))
        return -1;
    db_sql(d->db, "DELETE FROM grp WHERE serial = (SELECT serial FROM message WHERE id = ?)");
    db_put_text(d->db, id);
    if (db_done(d->db, e))
        return -1;
    db_sql(d->db, "DELETE FROM message WHERE id = ?");
    db_put_text(d->db, id);
    return db_done(d->db, e);
}

static int put_message(struct record_db *d, const struct record_entry *x, struct err *e)
{
    const struct peer *p = x->peer;
    char ip[IP_TEXT_SIZE];
    db_sql(d->db,
           "INSERT OR IGNORE INTO message (id, received, size, peer_ip, peer_name, helo, listener,"
           " auth_user, sender, sender_key, outcomes, score, required, virus, subject, header_from,"
           " message_id, micros, receipt) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    db_put_text(d->db, span_str(x->id));
    db_put_int(d->db, x->received);
    db_put_int(d->db, (int64_t)x->size);
    db_put_text(d->db, p->has_ip ? span_str(ip_text(&p->ip, ip)) : SPAN_NONE);
    db_put_text(d->db, p->name);
    db_put_text(d->db, p->helo);
    db_put_text(d->db, p->listener);
    db_put_text(d->db, p->auth_user);
    db_put_text(d->db, x->env->from.p ? x->env->from : SPAN(""));
    record_key(&d->key, x->env->from);
    db_put_text(d->db, buf_span(&d->key));
    db_put_text(d->db, outcomes(d, x));
    db_put_real(d->db, x->score);
    db_put_real(d->db, x->required);
    db_put_text(d->db, x->virus);
    db_put_text(d->db, x->subject);
    db_put_text(d->db, x->header_from);
    db_put_text(d->db, x->message_id);
    db_put_int(d->db, (int64_t)x->micros);
    buf_clear(&d->packed);
    if (x->receipt.p)
        receipt_pack(d->packer, x->receipt, &d->packed);
    db_put_blob(d->db, x->receipt.p ? buf_span(&d->packed) : SPAN_NONE);
    return db_done(d->db, e);
}

/* Which group each recipient is in; NULL in the table where it is in none. */
static const int64_t *groups_of(struct record_db *d, const struct record_entry *x)
{
    size_t n = x->env->nrcpts;
    if (n > d->groups_cap) {
        d->groups = xrealloc(d->groups, n * sizeof *d->groups);
        d->groups_cap = n;
    }
    for (size_t i = 0; i < n; i++)
        d->groups[i] = -1;
    for (size_t g = 0; g < x->ngroups; g++)
        for (size_t k = 0; k < x->groups[g].nrcpts; k++)
            if (x->groups[g].rcpts[k] < n)
                d->groups[x->groups[g].rcpts[k]] = (int64_t)g;
    return d->groups;
}

static int put_rcpt(struct record_db *d, int64_t serial, size_t n, struct span addr, int64_t group,
                    struct err *e)
{
    db_sql(d->db, "INSERT INTO rcpt (serial, n, addr, key, grp) VALUES (?,?,?,?,nullif(?,-1))");
    db_put_int(d->db, serial);
    db_put_int(d->db, (int64_t)n);
    db_put_text(d->db, addr.p ? addr : SPAN(""));
    record_key(&d->key, addr);
    db_put_text(d->db, buf_span(&d->key));
    db_put_int(d->db, group);
    return db_done(d->db, e);
}

static int put_group(struct record_db *d, int64_t serial, size_t n, const struct record_group *g,
                     struct err *e)
{
    db_sql(d->db, "INSERT INTO grp (serial, n, outcome, policy, reason, detail, reply, unscanned)"
                  " VALUES (?,?,?,?,?,?,?,?)");
    db_put_int(d->db, serial);
    db_put_int(d->db, (int64_t)n);
    db_put_text(d->db, span_str(g->outcome));
    db_put_text(d->db, g->policy);
    db_put_text(d->db, g->reason);
    db_put_text(d->db, g->detail);
    db_put_text(d->db, g->reply);
    db_put_int(d->db, g->unscanned);
    return db_done(d->db, e);
}

int record_db_entry(struct record_db *d, const struct record_entry *x, struct err *e)
{
    if (put_message(d, x, e))
        return -1;
    if (db_changes(d->db) == 0 && (forget(d, span_str(x->id), e) || put_message(d, x, e)))
        return -1;
    int64_t serial = db_last_serial(d->db);
    const int64_t *group = groups_of(d, x);
    for (size_t i = 0; i < x->env->nrcpts; i++)
        if (put_rcpt(d, serial, i, x->env->rcpts[i].addr, group[i], e))
            return -1;
    for (size_t i = 0; i < x->ngroups; i++)
        if (put_group(d, serial, i, &x->groups[i], e))
            return -1;
    return 0;
}

int record_db_event(struct record_db *d, const struct record_event *x, struct err *e)
{
    db_sql(d->db, "INSERT INTO event (id, at, kind, rcpt, place, text) VALUES (?,?,?,?,?,?)");
    db_put_text(d->db, span_str(x->id));
    db_put_int(d->db, x->when);
    db_put_text(d->db, span_str(record_kind_name(x->kind)));
    db_put_text(d->db, x->rcpt);
    db_put_text(d->db, x->where);
    db_put_text(d->db, x->text);
    return db_done(d->db, e);
}

/* Events go by their own age, which is never greater than that of their message; both tables grow
 * with time, so the oldest are at the front. */
int record_db_expire(struct record_db *d, usec before, int most, struct err *e)
{
    static const char *const steps[] = {
        "DELETE FROM event WHERE serial IN (SELECT serial FROM event ORDER BY serial LIMIT ?2)"
        " AND at < ?1",
        "DELETE FROM rcpt WHERE serial IN (SELECT serial FROM message WHERE received < ?1"
        " ORDER BY received, serial LIMIT ?2)",
        "DELETE FROM grp WHERE serial IN (SELECT serial FROM message WHERE received < ?1"
        " ORDER BY received, serial LIMIT ?2)",
        "DELETE FROM message WHERE serial IN (SELECT serial FROM message WHERE received < ?1"
        " ORDER BY received, serial LIMIT ?2)",
    };
    if (record_db_begin(d, e))
        return -1;
    int64_t removed = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        db_sql(d->db, steps[i]);
        db_put_int(d->db, before);
        db_put_int(d->db, most);
        if (db_done(d->db, e)) {
            record_db_rollback(d);
            return -1;
        }
        if (db_changes(d->db) > removed)
            removed = db_changes(d->db);
    }
    return record_db_commit(d, e) ? -1 : (int)removed;
}
