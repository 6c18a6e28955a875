#include "quarantine/quarantine_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/map.h"
#include "base/xalloc.h"

/* sidecar: the .json as it stands in the directory, so that a list need not open files. held: how
 * many recipients still wait. */
static const char *const steps[] = {
    "CREATE TABLE item (id TEXT PRIMARY KEY, received INTEGER NOT NULL, expires INTEGER NOT NULL,"
    "  held INTEGER NOT NULL, sidecar TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX item_received ON item (received);"
    "CREATE INDEX item_expires ON item (expires)",
    NULL};
enum { INDEX_FORM = 1 };

struct db *quarantine_index_open(const char *state, struct err *e)
{
    char *path = xasprintf("%s/quarantine.db", state);
    struct db *d = db_open(path, steps, e);
    free(path);
    return d;
}

struct db *quarantine_index_open_read(const char *state, struct err *e)
{
    char *path = xasprintf("%s/quarantine.db", state);
    struct db *d = db_open_read(path, INDEX_FORM, e);
    free(path);
    return d;
}

int quarantine_index_put(struct db *d, const struct quarantine_item *x, struct err *e)
{
    struct buf b = {0};
    sidecar_encode(&b, x);
    db_sql(d, "INSERT OR REPLACE INTO item (id, received, expires, held, sidecar)"
              " VALUES (?,?,?,?,?)");
    db_put_text(d, span_str(x->id));
    db_put_int(d, x->received);
    db_put_int(d, x->expires);
    /* One without recipients (a scanner's client asked about it) is there until it expires. */
    db_put_int(d, x->nrcpts ? (int64_t)item_count(x, QUARANTINE_HELD) : 1);
    db_put_text(d, buf_span(&b));
    int result = db_done(d, e);
    buf_free(&b);
    return result;
}

int quarantine_index_remove(struct db *d, const char *id, struct err *e)
{
    db_sql(d, "DELETE FROM item WHERE id = ?");
    db_put_text(d, span_str(id));
    return db_done(d, e);
}

bool quarantine_index_day(struct db *d, const char *id, char out[DAY_SIZE])
{
    db_sql(d, "SELECT received FROM item WHERE id = ?");
    db_put_text(d, span_str(id));
    bool found = db_row(d, NULL) == 1;
    if (found)
        day_of(db_int(d, 0), out);
    db_end(d);
    return found;
}

size_t quarantine_index_expired(struct db *d, usec now, char (*ids)[ID_SIZE], size_t most)
{
    size_t n = 0;
    db_sql(d, "SELECT id FROM item WHERE expires <= ? ORDER BY expires LIMIT ?");
    db_put_int(d, now);
    db_put_int(d, (int64_t)most);
    while (n < most && db_row(d, NULL) == 1) {
        struct span id = db_text(d, 0);
        if (id_valid(id)) {
            memcpy(ids[n], id.p, ID_LEN);
            ids[n++][ID_LEN] = '\0';
        }
    }
    db_end(d);
    return n;
}

/* --- reconcile --- */

struct reconcile {
    struct db *db;
    int root;
    struct arena *a;
    struct map known; /* ids in the index; the value is set when the files are there */
    size_t added, removed, orphans;
    bool failed;
    struct err *e;
};

static void one_file(void *ctx, int dir, const char *name)
{
    struct reconcile *r = ctx;
    struct span s = span_str(name), id = span_sub(s, 0, ID_LEN);
    char text[ID_SIZE] = "";
    if (span_ends(s, SPAN(".tmp"))) {
        unlinkat(dir, name, 0);
        return;
    }
    if (!id_valid(id))
        return;
    memcpy(text, id.p, ID_LEN);
    if (span_eq(span_from(s, ID_LEN), SPAN(".eml")) && !file_there(dir, text, "json")) {
        /* Its .json never came, so nobody was promised that it is held. */
        unlinkat(dir, name, 0);
        r->orphans++;
    }
    if (!span_eq(span_from(s, ID_LEN), SPAN(".json")))
        return;
    void **seen = map_at(&r->known, arena_dup(r->a, id));
    if (*seen) {
        *seen = r;
        return;
    }
    *seen = r;
    struct arena *a = arena_new(0);
    struct quarantine_item x;
    struct err e;
    if (sidecar_read(dir, text, a, &x, &e) == 0) {
        r->failed |= quarantine_index_put(r->db, &x, r->e) != 0;
        r->added++;
    } else {
        log_event(LOG_FAULT, text, "quarantine-damaged", F_STR("why", e.text));
    }
    arena_free(a);
}

static void one_day(void *ctx, const char *day)
{
    struct reconcile *r = ctx;
    int dir = day_open(r->root, day, false);
    if (dir < 0)
        return;
    files_each(dir, one_file, r);
    close(dir);
}

static int load_known(struct reconcile *r)
{
    int got;
    db_sql(r->db, "SELECT id FROM item");
    while ((got = db_row(r->db, r->e)) == 1)
        *map_at(&r->known, arena_dup(r->a, db_text(r->db, 0))) = r->db;
    return got;
}

int quarantine_index_reconcile(struct db *d, int root, struct err *e)
{
    struct reconcile r = {.db = d, .root = root, .a = arena_new(0), .e = e};
    r.known = map_in(r.a);
    int result = load_known(&r) || db_exec(d, "BEGIN IMMEDIATE", e) ? -1 : 0;
    if (result == 0) {
        days_each(root, one_day, &r);
        for (size_t i = 0; i < r.known.n && !r.failed; i++) {
            if (r.known.entries[i].value == &r)
                continue;
            char *id = arena_cstr(r.a, r.known.entries[i].key);
            r.failed |= quarantine_index_remove(d, id, e) != 0;
            r.removed++;
        }
        result = r.failed || db_exec(d, "COMMIT", e) ? -1 : 0;
        if (result)
            db_exec(d, "ROLLBACK", NULL);
    }
    if (r.added || r.removed || r.orphans)
        log_event(LOG_NOTE, NULL, "quarantine-reconciled", F_INT("added", r.added),
                  F_INT("removed", r.removed), F_INT("unfinished", r.orphans));
    arena_free(r.a);
    return result;
}
