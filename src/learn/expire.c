/* What was not of use for longest goes first. */
#include "learn/store_private.h"

#include <stdlib.h>

#include "base/xalloc.h"

/* Which field of a value tells when an entry was last of use. */
struct table {
    MDB_dbi dbi;
    bool tokens;
    size_t at, size; /* of the number in the value, of the value */
};

static int by_number(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return a < b ? -1 : a > b;
}

/* Walks over the entries of a user; fn: NULL counts them. */
typedef int entry_fn(void *ctx, MDB_cursor *c, uint32_t when);
static int each(MDB_txn *t, const struct table *of, uint32_t number, entry_fn *fn, void *ctx)
{
    struct range range;
    MDB_cursor *c;
    int rc = mdb_cursor_open(t, of->dbi, &c);
    if (rc != 0)
        return rc;
    MDB_val k = range_start(&range, of->tokens, number), v;
    rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
    while (rc == 0 && range_has(&range, &k)) {
        uint32_t when =
            v.mv_size == of->size ? number_at((const unsigned char *)v.mv_data + of->at) : 0;
        if ((rc = fn(ctx, c, when)) == 0)
            rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(c);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

struct times {
    uint32_t *v;
    size_t n, cap;
};

static int note_time(void *ctx, MDB_cursor *c, uint32_t when)
{
    struct times *t = ctx;
    (void)c;
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 4096;
        t->v = xrealloc(t->v, t->cap * sizeof *t->v);
    }
    t->v[t->n++] = when;
    return 0;
}

struct cut {
    uint32_t before; /* what is older goes */
    uint64_t equal;  /* and so many that are just as old */
    uint64_t gone;
};

static int drop_old(void *ctx, MDB_cursor *c, uint32_t when)
{
    struct cut *cut = ctx;
    if (when > cut->before || (when == cut->before && cut->equal == 0))
        return 0;
    cut->equal -= when == cut->before;
    cut->gone++;
    return mdb_cursor_del(c, 0);
}

/* Leaves the `keep` youngest entries. */
static int keep_youngest(MDB_txn *t, const struct table *of, uint32_t number, uint64_t keep,
                         uint64_t *gone, uint64_t *left)
{
    struct times times = {0};
    struct cut cut = {0};
    int rc = each(t, of, number, note_time, &times);
    *left = times.n;
    if (rc == 0 && times.n > keep) {
        uint64_t drop = times.n - keep;
        qsort(times.v, times.n, sizeof *times.v, by_number);
        cut.before = times.v[drop - 1];
        while (cut.equal < drop && times.v[drop - 1 - cut.equal] == cut.before)
            cut.equal++;
        rc = each(t, of, number, drop_old, &cut);
    }
    free(times.v);
    *gone = cut.gone;
    *left -= cut.gone;
    return rc;
}

static int expire(struct learn_store *s, struct user_row *row, uint64_t keep, uint32_t now)
{
    const struct table tokens = {s->tokens, true, 8, TOKEN_VALUE},
                       seen = {s->seen, false, 1, SEEN_VALUE};
    uint64_t gone;
    int rc = keep_youngest(s->writer, &tokens, row->number, keep, &row->counts.last_expired,
                           &row->counts.tokens);
    if (rc == 0 && row->counts.seen > LEARN_SEEN_MAX)
        rc = keep_youngest(s->writer, &seen, row->number, LEARN_SEEN_MAX / 4 * 3, &gone,
                           &row->counts.seen);
    row->counts.last_expiry = now;
    return rc;
}

int64_t learn_expire(struct learn_store *s, struct span user, uint64_t most, uint64_t keep,
                     uint32_t now, struct err *e)
{
    struct user_row row;
    if (learn_begin(s, e) != 0)
        return -1;
    int rc = user_get(s, s->writer, user, &row);
    if (rc == 0 && row.counts.tokens <= most && row.counts.seen <= LEARN_SEEN_MAX) {
        learn_abort(s);
        return 0;
    }
    if (rc == 0)
        rc = expire(s, &row, keep, now);
    if (rc == 0)
        rc = user_put(s, s->writer, user, &row);
    if (rc != 0) {
        learn_abort(s);
        return store_fail(s, rc, e);
    }
    return learn_commit(s, e) == 0 ? (int64_t)row.counts.last_expired : -1;
}
