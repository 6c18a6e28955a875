/* Ended entries are taken away by a walk through the whole file, a piece at each tick, so that no
 * second index doubles the size of the file. When it fills up, the walk also takes what ends soon:
 * in each round twice as far ahead. */
#include "kv/kv_private.h"

#include "base/log.h"

enum { FIRST_HORIZON_S = 600, LAST_HORIZON_S = 1 << 30 };

/* How far ahead is dropped in this round. */
static void look_at_room(struct kv *k, uint64_t used, bool new_round)
{
    uint64_t much = k->size / 100 * KV_FILL_PERCENT, enough = k->size / 100 * KV_SPREAD_PERCENT;
    if (used <= enough) {
        k->purge.horizon = 0;
        if (k->told_full)
            log_event(LOG_NOTE, NULL, "state-has-room", F_STR("path", k->path));
        k->told_full = false;
    } else if (used > much && k->purge.horizon == 0) {
        k->purge.horizon = FIRST_HORIZON_S;
    } else if (new_round && k->purge.horizon && k->purge.horizon < LAST_HORIZON_S) {
        k->purge.horizon *= 2;
    }
}

static void remember(struct kv *k, const MDB_val *key)
{
    k->purge.n = key->mv_size < sizeof k->purge.at ? key->mv_size : sizeof k->purge.at;
    memcpy(k->purge.at, key->mv_data, k->purge.n);
}

/* Entries taken away, or -1 and *rc. Position: at the entry that the next piece begins with. */
static long walk_piece(struct kv *k, MDB_cursor *c, usec now, int *rc)
{
    long gone = 0;
    usec until = now + (usec)k->purge.horizon * USEC_PER_SEC;
    MDB_val v, at = {k->purge.n, k->purge.at};
    *rc = k->purge.n ? mdb_cursor_get(c, &at, &v, MDB_SET_RANGE)
                     : mdb_cursor_get(c, &at, &v, MDB_FIRST);
    for (int i = 0; *rc == 0 && i < KV_PURGE_ENTRIES; i++) {
        if (v.mv_size < KV_ENDS_SIZE || ended(value_ends(&v), until)) {
            if ((*rc = mdb_cursor_del(c, 0)) != 0)
                return -1;
            gone++;
        }
        *rc = mdb_cursor_get(c, &at, &v, MDB_NEXT);
    }
    if (*rc == 0)
        remember(k, &at);
    else if (*rc == MDB_NOTFOUND)
        k->purge.n = 0;
    else
        return -1;
    *rc = 0;
    return gone;
}

/* Whether the next piece has anything to take: looked at first without the lock of writers. */
static bool piece_is_quiet(struct kv *k, usec now)
{
    MDB_cursor *c;
    MDB_val v, at = {k->purge.n, k->purge.at};
    MDB_txn *t = kv_reading(k);
    if (!t)
        return true;
    look_at_room(k, kv_used(k, t), k->purge.n == 0);
    int rc = mdb_cursor_open(t, k->dbi, &c);
    if (rc != 0) {
        mdb_txn_reset(t);
        return true;
    }
    usec until = now + (usec)k->purge.horizon * USEC_PER_SEC;
    bool quiet = true;
    rc = k->purge.n ? mdb_cursor_get(c, &at, &v, MDB_SET_RANGE)
                    : mdb_cursor_get(c, &at, &v, MDB_FIRST);
    for (int i = 0; rc == 0 && quiet && i < KV_PURGE_ENTRIES; i++) {
        quiet = v.mv_size >= KV_ENDS_SIZE && !ended(value_ends(&v), until);
        rc = mdb_cursor_get(c, &at, &v, MDB_NEXT);
    }
    if (quiet && rc == 0)
        remember(k, &at);
    else if (quiet)
        k->purge.n = 0;
    mdb_cursor_close(c);
    mdb_txn_reset(t);
    return quiet;
}

void kv_purge(struct kv *k, usec now)
{
    MDB_cursor *c;
    if (piece_is_quiet(k, now))
        return;
    MDB_txn *t = kv_writing(k);
    if (!t)
        return;
    int rc = mdb_cursor_open(t, k->dbi, &c);
    if (rc == 0 && walk_piece(k, c, now, &rc) >= 0) {
        mdb_cursor_close(c);
        rc = mdb_txn_commit(t);
    } else {
        mdb_txn_abort(t);
    }
    kv_status_of(k, rc);
}
