/* Lessons, and what they change. */
#include "learn/store_private.h"

#include <errno.h>

#include "base/cursor.h"

/* --- lessons as bytes --- */

void learn_lesson_encode(struct buf *b, const struct learn_lesson *l)
{
    buf_lstr(b, l->user);
    buf_u8(b, (uint8_t)l->what);
    buf_u8(b, l->no_relearn);
    buf_lstr(b, l->made_id);
    buf_lstr(b, l->msgid);
    buf_lstr(b, l->tokens);
    buf_u32(b, l->when);
}

static bool ascending(struct span ids)
{
    for (size_t i = LEARN_TOKEN_SIZE; i < ids.n; i += LEARN_TOKEN_SIZE)
        if (memcmp(ids.p + i - LEARN_TOKEN_SIZE, ids.p + i, LEARN_TOKEN_SIZE) >= 0)
            return false;
    return true;
}

bool learn_lesson_decode(struct span payload, struct learn_lesson *l)
{
    struct cursor c = cursor_over(payload);
    *l = (struct learn_lesson){.user = cursor_lstr(&c)};
    l->what = (enum learn_class)cursor_u8(&c);
    l->no_relearn = cursor_u8(&c) != 0;
    l->made_id = cursor_lstr(&c);
    l->msgid = cursor_lstr(&c);
    l->tokens = cursor_lstr(&c);
    l->when = cursor_u32(&c);
    bool known = l->what == LEARN_SPAM || l->what == LEARN_HAM || l->what == LEARN_FORGET ||
                 l->what == LEARN_TOUCH;
    return cursor_ok(&c) && known && l->user.n <= LEARN_USER_MAX &&
           l->tokens.n % LEARN_TOKEN_SIZE == 0 &&
           l->tokens.n / LEARN_TOKEN_SIZE <= LEARN_TOKENS_MAX && ascending(l->tokens);
}

struct span learn_token_ids(struct arena *a, const struct learn_tokens *t)
{
    size_t n = t->n < LEARN_TOKENS_MAX ? t->n : LEARN_TOKENS_MAX;
    char *p = arena_raw(a, n * LEARN_TOKEN_SIZE + 1);
    for (size_t i = 0; i < n; i++)
        memcpy(p + i * LEARN_TOKEN_SIZE, t->v[i].id, LEARN_TOKEN_SIZE);
    return span_of(p, n * LEARN_TOKEN_SIZE);
}

const char *learn_result_name(enum learn_result r)
{
    static const char *const names[] = {"learned", "known", "full", "failed"};
    return names[r];
}

/* --- batches --- */

int learn_begin(struct learn_store *s, struct err *e)
{
    int dead;
    mdb_reader_check(s->env, &dead); /* one that died while reading holds pages back */
    int rc = mdb_txn_begin(s->env, NULL, 0, &s->writer);
    if (rc == MDB_MAP_RESIZED && (rc = mdb_env_set_mapsize(s->env, 0)) == 0)
        rc = mdb_txn_begin(s->env, NULL, 0, &s->writer);
    if (rc == 0)
        return 0;
    s->writer = NULL;
    return store_fail(s, rc, e);
}

int learn_commit(struct learn_store *s, struct err *e)
{
    int rc = s->writer ? mdb_txn_commit(s->writer) : EINVAL;
    s->writer = NULL;
    return rc == 0 ? 0 : store_fail(s, rc, e);
}

void learn_abort(struct learn_store *s)
{
    if (s->writer)
        mdb_txn_abort(s->writer);
    s->writer = NULL;
}

/* --- one lesson --- */

struct change {
    struct learn_store *s;
    MDB_txn *t;
    const struct learn_lesson *l;
    struct user_row row;
};

static uint32_t plus(uint32_t v, int by)
{
    return by < 0 ? (v > 0 ? v - 1 : 0) : by > 0 && v < UINT32_MAX ? v + 1 : v;
}

static int change_token(struct change *c, MDB_cursor *at, MDB_val *k, int spam, int ham)
{
    unsigned char bytes[TOKEN_VALUE];
    MDB_val v, fresh = {sizeof bytes, bytes};
    struct learn_seen_token was = {0};
    int rc = mdb_cursor_get(at, k, &v, MDB_SET);
    bool known = rc == 0;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    if (known)
        was = token_value(&v);
    else if (spam + ham <= 0)
        return 0;
    struct learn_seen_token now = {plus(was.spam, spam), plus(was.ham, ham), was.atime};
    if (c->l->what != LEARN_FORGET && c->l->when > now.atime)
        now.atime = c->l->when;
    if (now.spam + (uint64_t)now.ham == 0) {
        c->row.counts.tokens -= c->row.counts.tokens > 0;
        return mdb_cursor_del(at, 0);
    }
    if (memcmp(&was, &now, sizeof now) == 0)
        return 0;
    c->row.counts.tokens += !known;
    token_bytes(bytes, &now);
    return mdb_cursor_put(at, k, &fresh, known ? MDB_CURRENT : 0);
}

static int change_tokens(struct change *c, int spam, int ham)
{
    MDB_cursor *at;
    int rc = mdb_cursor_open(c->t, c->s->tokens, &at);
    for (size_t i = 0; rc == 0 && i < c->l->tokens.n / LEARN_TOKEN_SIZE; i++) {
        uint64_t key = key_token(c->row.number, c->l->tokens.p + i * LEARN_TOKEN_SIZE);
        MDB_val k = {sizeof key, &key};
        rc = change_token(c, at, &k, spam, ham);
    }
    if (c->l->what != LEARN_FORGET && c->l->when > c->row.counts.newest)
        c->row.counts.newest = c->l->when;
    return rc;
}

/* As what the message is known; and by which of its ids. */
static int find_seen(struct change *c, int *known, struct span *id)
{
    struct span ids[] = {c->l->made_id, c->l->msgid};
    *known = 0;
    for (size_t i = 0; i < 2; i++) {
        struct seen_key key;
        MDB_val v;
        if (!ids[i].n)
            continue;
        key_seen(&key, c->row.number, ids[i]);
        MDB_val k = {key.n, key.b};
        int rc = mdb_get(c->t, c->s->seen, &k, &v);
        if (rc != 0 && rc != MDB_NOTFOUND)
            return rc;
        if (rc == 0 && v.mv_size == SEEN_VALUE) {
            *known = *(const unsigned char *)v.mv_data;
            *id = ids[i];
            return 0;
        }
    }
    return 0;
}

static int forget(struct change *c, int known, struct span id)
{
    struct seen_key key;
    int spam = known == LEARN_SPAM ? -1 : 0, ham = known == LEARN_HAM ? -1 : 0;
    c->row.counts.spam = plus(c->row.counts.spam, spam);
    c->row.counts.ham = plus(c->row.counts.ham, ham);
    c->row.counts.seen -= c->row.counts.seen > 0;
    key_seen(&key, c->row.number, id);
    MDB_val k = {key.n, key.b};
    int rc = mdb_del(c->t, c->s->seen, &k, NULL);
    return rc == 0 ? change_tokens(c, spam, ham) : rc;
}

static int learn(struct change *c)
{
    struct seen_key key;
    unsigned char seen[SEEN_VALUE] = {(unsigned char)c->l->what};
    int spam = c->l->what == LEARN_SPAM, ham = c->l->what == LEARN_HAM;
    c->row.counts.spam = plus(c->row.counts.spam, spam);
    c->row.counts.ham = plus(c->row.counts.ham, ham);
    c->row.counts.seen++;
    number_to(seen + 1, c->l->when);
    key_seen(&key, c->row.number, c->l->made_id);
    MDB_val k = {key.n, key.b}, v = {sizeof seen, seen};
    int rc = mdb_put(c->t, c->s->seen, &k, &v, 0);
    return rc == 0 ? change_tokens(c, spam, ham) : rc;
}

static int apply(struct change *c, bool *changed)
{
    int known;
    struct span id = SPAN_NONE;
    int rc = user_need(c->s, c->t, c->l->user, &c->row);
    *changed = false;
    if (rc == 0)
        rc = find_seen(c, &known, &id);
    if (rc != 0)
        return rc;
    if (c->l->what == LEARN_TOUCH) {
        rc = change_tokens(c, 0, 0);
    } else if (c->l->what == LEARN_FORGET) {
        if (!known)
            return 0;
        rc = forget(c, known, id);
    } else {
        if (known == (int)c->l->what || (known && c->l->no_relearn))
            return 0;
        if (known)
            rc = forget(c, known, id);
        if (rc == 0)
            rc = learn(c);
    }
    *changed = rc == 0;
    return rc == 0 ? user_put(c->s, c->t, c->l->user, &c->row) : rc;
}

enum learn_result learn_apply(struct learn_store *s, const struct learn_lesson *l, struct err *e)
{
    struct change c = {.s = s, .l = l};
    bool changed = false;
    int rc = s->writer ? mdb_txn_begin(s->env, s->writer, 0, &c.t) : EINVAL;
    if (rc == 0) {
        rc = apply(&c, &changed);
        if (rc == 0 && changed)
            rc = mdb_txn_commit(c.t);
        else
            mdb_txn_abort(c.t);
    }
    if (rc == 0)
        return changed ? LEARN_DONE : LEARN_KNOWN;
    store_fail(s, rc, e);
    return rc == MDB_MAP_FULL || rc == MDB_TXN_FULL || rc == ENOSPC || rc == EDQUOT ? LEARN_FULL
                                                                                    : LEARN_FAILED;
}

int clear_range(MDB_txn *t, MDB_dbi dbi, bool tokens, uint32_t number)
{
    struct range range;
    MDB_cursor *c;
    int rc = mdb_cursor_open(t, dbi, &c);
    if (rc != 0)
        return rc;
    for (;;) {
        MDB_val k = range_start(&range, tokens, number), v;
        rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
        if (rc != 0 || !range_has(&range, &k))
            break;
        if ((rc = mdb_cursor_del(c, 0)) != 0)
            break;
    }
    mdb_cursor_close(c);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int learn_clear(struct learn_store *s, struct span user, struct err *e)
{
    struct user_row row;
    if (learn_begin(s, e) != 0)
        return -1;
    int rc = user_get(s, s->writer, user, &row);
    if (rc == 0 && row.number) {
        rc = clear_range(s->writer, s->tokens, true, row.number);
        if (rc == 0)
            rc = clear_range(s->writer, s->seen, false, row.number);
        row.counts = (struct learn_counts){0};
        if (rc == 0)
            rc = user_put(s, s->writer, user, &row);
    }
    if (rc == 0)
        return learn_commit(s, e);
    learn_abort(s);
    return store_fail(s, rc, e);
}
