#include "kv/kv_private.h"

#include <stdlib.h>

#include "base/cursor.h"

/* ---- reading ---- */

enum kv_status kv_get(struct kv *k, enum kv_space space, struct span key, usec now,
                      struct buf *value)
{
    struct stored_key sk;
    MDB_val v;
    MDB_txn *t = kv_reading(k);
    if (!t)
        return KV_TROUBLE;
    key_make(&sk, space, key);
    MDB_val kv = key_val(&sk);
    int rc = mdb_get(t, k->dbi, &kv, &v);
    if (rc == 0 && (v.mv_size < KV_ENDS_SIZE || ended(value_ends(&v), now)))
        rc = MDB_NOTFOUND;
    if (rc == 0) {
        buf_clear(value);
        buf_add(value, span_of((char *)v.mv_data + KV_ENDS_SIZE, v.mv_size - KV_ENDS_SIZE));
    }
    mdb_txn_reset(t);
    return kv_status_of(k, rc);
}

enum kv_status kv_each(struct kv *k, enum kv_space space, struct span prefix, usec now,
                       kv_each_fn *fn, void *ctx)
{
    struct stored_key sk;
    MDB_cursor *c;
    MDB_val v;
    if (prefix.n > KV_KEY_MAX)
        return KV_NONE;
    MDB_txn *t = kv_reading(k);
    if (!t)
        return KV_TROUBLE;
    key_make(&sk, space, prefix);
    MDB_val at = key_val(&sk);
    int rc = mdb_cursor_open(t, k->dbi, &c);
    if (rc != 0) {
        mdb_txn_reset(t);
        return kv_status_of(k, rc);
    }
    bool found = false;
    for (rc = mdb_cursor_get(c, &at, &v, MDB_SET_RANGE); rc == 0;
         rc = mdb_cursor_get(c, &at, &v, MDB_NEXT)) {
        if (at.mv_size < sk.n || memcmp(at.mv_data, sk.b, sk.n) != 0)
            break;
        if (v.mv_size < KV_ENDS_SIZE || ended(value_ends(&v), now))
            continue;
        found = true;
        if (!fn(ctx, span_of((char *)at.mv_data + 1, at.mv_size - 1),
                span_of((char *)v.mv_data + KV_ENDS_SIZE, v.mv_size - KV_ENDS_SIZE),
                (usec)value_ends(&v) * USEC_PER_SEC))
            break;
    }
    mdb_cursor_close(c);
    mdb_txn_reset(t);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return kv_status_of(k, rc);
    return found ? KV_OK : KV_NONE;
}

/* ---- writing ---- */

static int store(struct kv *k, MDB_txn *t, struct stored_key *sk, struct span value, usec until)
{
    if (value.n > KV_VALUE_MAX)
        return MDB_BAD_VALSIZE;
    MDB_val key = key_val(sk), there;
    /* Without a reserve LMDB could not even delete: the pages of a change stand beside the old. */
    if (kv_used(k, t) > k->size / 100 * KV_FILL_PERCENT && mdb_get(t, k->dbi, &key, &there) != 0)
        return MDB_MAP_FULL;
    buf_clear(&k->scratch);
    buf_u32(&k->scratch, seconds_up(until));
    buf_add(&k->scratch, value);
    MDB_val v = {k->scratch.n, k->scratch.p};
    return mdb_put(t, k->dbi, &key, &v, 0);
}

static int finish(MDB_txn *t, int rc)
{
    if (rc == 0)
        return mdb_txn_commit(t);
    mdb_txn_abort(t);
    return rc;
}

/* What a stranger made too long is his loss, not damage. */
static enum kv_status told(struct kv *k, int rc)
{
    if (rc == MDB_BAD_VALSIZE) {
        k->lost++;
        return KV_TROUBLE;
    }
    return kv_status_of(k, rc);
}

enum kv_status kv_put(struct kv *k, enum kv_space space, struct span key, struct span value,
                      usec until)
{
    struct stored_key sk;
    MDB_txn *t = kv_writing(k);
    if (!t)
        return KV_TROUBLE;
    key_make(&sk, space, key);
    return told(k, finish(t, store(k, t, &sk, value, until)));
}

enum kv_status kv_delete(struct kv *k, enum kv_space space, struct span key)
{
    struct stored_key sk;
    MDB_txn *t = kv_writing(k);
    if (!t)
        return KV_TROUBLE;
    key_make(&sk, space, key);
    MDB_val v = key_val(&sk);
    int rc = mdb_del(t, k->dbi, &v, NULL);
    if (rc == MDB_NOTFOUND) {
        mdb_txn_abort(t);
        return KV_OK;
    }
    return kv_status_of(k, finish(t, rc));
}

enum kv_status kv_update(struct kv *k, enum kv_space space, struct span key, usec now,
                         kv_change_fn *fn, void *ctx)
{
    struct stored_key sk;
    MDB_val v;
    MDB_txn *t = kv_writing(k);
    if (!t)
        return KV_TROUBLE;
    key_make(&sk, space, key);
    MDB_val at = key_val(&sk);
    int rc = mdb_get(t, k->dbi, &at, &v);
    struct span old = SPAN_NONE;
    usec until = 0;
    if (rc == 0 && v.mv_size >= KV_ENDS_SIZE && !ended(value_ends(&v), now)) {
        old = span_of((char *)v.mv_data + KV_ENDS_SIZE, v.mv_size - KV_ENDS_SIZE);
        until = (usec)value_ends(&v) * USEC_PER_SEC;
    } else if (rc != 0 && rc != MDB_NOTFOUND) {
        return kv_status_of(k, finish(t, rc));
    }
    struct buf fresh = {0};
    enum kv_change change = fn(ctx, old, &fresh, &until);
    if (change == KV_WRITE)
        rc = store(k, t, &sk, buf_span(&fresh), until);
    else if (change == KV_REMOVE && rc == 0)
        rc = mdb_del(t, k->dbi, &at, NULL);
    else if (change == KV_REMOVE)
        rc = 0;
    buf_free(&fresh);
    if (change != KV_KEEP)
        return told(k, finish(t, rc));
    mdb_txn_abort(t);
    return KV_OK;
}

/* ---- made of it ---- */

struct claim {
    usec until;
    bool taken;
};

static enum kv_change claim(void *ctx, struct span old, struct buf *fresh, usec *until)
{
    struct claim *c = ctx;
    (void)fresh;
    c->taken = old.p;
    *until = c->until;
    return old.p ? KV_KEEP : KV_WRITE;
}

enum kv_status kv_claim(struct kv *k, enum kv_space space, struct span key, usec now, usec until)
{
    struct claim c = {.until = until};
    enum kv_status st = kv_update(k, space, key, now, claim, &c);
    return st == KV_OK && c.taken ? KV_TAKEN : st;
}

struct addition {
    int64_t delta, sum;
    usec until;
};

static enum kv_change add(void *ctx, struct span old, struct buf *fresh, usec *until)
{
    struct addition *a = ctx;
    struct cursor c = cursor_over(old);
    int64_t was = old.p ? (int64_t)cursor_u64(&c) : 0;
    if (__builtin_add_overflow(was, a->delta, &a->sum))
        a->sum = a->delta < 0 ? INT64_MIN : INT64_MAX;
    buf_u64(fresh, (uint64_t)a->sum);
    if (!old.p)
        *until = a->until;
    return KV_WRITE;
}

enum kv_status kv_add(struct kv *k, enum kv_space space, struct span key, int64_t delta, usec now,
                      usec until, int64_t *sum)
{
    struct addition a = {.delta = delta, .until = until};
    enum kv_status st = kv_update(k, space, key, now, add, &a);
    if (sum)
        *sum = st == KV_OK ? a.sum : 0;
    return st;
}
