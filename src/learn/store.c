/* Opening, users, reading. */
#include "learn/store_private.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"

enum { READERS = 512 };

/* --- keys and values --- */

void key_user(unsigned char key[USER_PREFIX], uint32_t number)
{
    for (size_t i = 0; i < USER_PREFIX; i++)
        key[i] = (unsigned char)(number >> (24 - 8 * i));
}

uint32_t number_at(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void number_to(unsigned char *p, uint32_t v)
{
    for (size_t i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

void key_seen(struct seen_key *k, uint32_t number, struct span id)
{
    key_user(k->b, number);
    if (id.n > LEARN_ID_MAX) {
        SHA256((const unsigned char *)id.p, id.n, k->b + USER_PREFIX);
        k->n = USER_PREFIX + SHA256_DIGEST_LENGTH;
        return;
    }
    if (id.n)
        memcpy(k->b + USER_PREFIX, id.p, id.n);
    k->n = USER_PREFIX + id.n;
}

uint64_t key_token(uint32_t number, const void *id)
{
    const unsigned char *p = id;
    uint64_t v = number;
    for (size_t i = 0; i < LEARN_TOKEN_SIZE; i++)
        v = v << 8 | p[i];
    return v;
}

static uint64_t integer_key(const MDB_val *k)
{
    uint64_t v = 0;
    if (k->mv_size == sizeof v)
        memcpy(&v, k->mv_data, sizeof v);
    return v;
}

void token_id(const MDB_val *k, unsigned char id[LEARN_TOKEN_SIZE])
{
    uint64_t v = integer_key(k);
    for (size_t i = LEARN_TOKEN_SIZE; i-- > 0; v >>= 8)
        id[i] = (unsigned char)v;
}

MDB_val range_start(struct range *r, bool tokens, uint32_t number)
{
    static const unsigned char least[LEARN_TOKEN_SIZE];
    *r = (struct range){.tokens = tokens, .number = number, .first = key_token(number, least)};
    key_user(r->prefix, number);
    return tokens ? (MDB_val){sizeof r->first, &r->first} : (MDB_val){sizeof r->prefix, r->prefix};
}

bool range_has(const struct range *r, const MDB_val *k)
{
    if (r->tokens)
        return integer_key(k) >> (8 * LEARN_TOKEN_SIZE) == r->number;
    return k->mv_size >= sizeof r->prefix && memcmp(k->mv_data, r->prefix, sizeof r->prefix) == 0;
}

struct learn_seen_token token_value(const MDB_val *v)
{
    const unsigned char *p = v->mv_data;
    if (v->mv_size != TOKEN_VALUE)
        return (struct learn_seen_token){0};
    return (struct learn_seen_token){number_at(p), number_at(p + 4), number_at(p + 8)};
}

void token_bytes(unsigned char out[TOKEN_VALUE], const struct learn_seen_token *t)
{
    number_to(out, t->spam);
    number_to(out + 4, t->ham);
    number_to(out + 8, t->atime);
}

/* --- opening --- */

int store_fail(const struct learn_store *s, int rc, struct err *e)
{
    err_set(e, "%s: %s", s->path, mdb_strerror(rc));
    if (e)
        e->sys = rc > 0 ? rc : 0;
    return -1;
}

static int open_databases(struct learn_store *s, unsigned flags)
{
    MDB_txn *t;
    int rc = mdb_txn_begin(s->env, NULL, flags & MDB_CREATE ? 0 : MDB_RDONLY, &t);
    if (rc != 0)
        return rc;
    if ((rc = mdb_dbi_open(t, "users", flags, &s->users)) != 0 ||
        (rc = mdb_dbi_open(t, "tokens", flags | MDB_INTEGERKEY, &s->tokens)) != 0 ||
        (rc = mdb_dbi_open(t, "seen", flags, &s->seen)) != 0) {
        mdb_txn_abort(t);
        return rc;
    }
    rc = mdb_txn_commit(t);
    s->open = rc == 0;
    return rc;
}

static int open_env(struct learn_store *s, uint64_t size, enum learn_mode mode)
{
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD;
    int rc = mdb_env_create(&s->env);
    if (rc != 0)
        return rc;
    if ((rc = mdb_env_set_mapsize(s->env, size)) != 0 ||
        (rc = mdb_env_set_maxreaders(s->env, READERS)) != 0 ||
        (rc = mdb_env_set_maxdbs(s->env, STORE_DATABASES)) != 0 ||
        (rc = mdb_env_open(s->env, s->path, flags | (mode == LEARN_WRITE ? 0 : MDB_RDONLY),
                           0600)) != 0)
        return rc;
    if ((rc = open_databases(s, mode == LEARN_WRITE ? MDB_CREATE : 0)) != 0)
        return rc;
    if ((rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->reader)) == 0)
        mdb_txn_reset(s->reader);
    return rc;
}

struct learn_store *learn_open(const char *path, uint64_t size, enum learn_mode mode, struct err *e)
{
    struct learn_store *s = xcalloc(1, sizeof *s);
    struct stat st;
    long page = sysconf(_SC_PAGESIZE);
    s->path = xstrdup(path);
    size = size < LEARN_SIZE_MIN ? LEARN_SIZE_MIN : size;
    size -= size % (uint64_t)page;
    int rc = mode != LEARN_WRITE && stat(path, &st) != 0 ? errno : 0;
    if (rc == 0 && mode != LEARN_PEEK && !store_sound(path))
        rc = MDB_CORRUPTED;
    if (rc == 0)
        rc = open_env(s, size, mode);
    if (rc == MDB_NOTFOUND && mode != LEARN_WRITE)
        rc = ENOENT; /* made, but empty yet */
    if (rc == 0)
        return s;
    store_fail(s, rc, e);
    if (rc == MDB_CORRUPTED || rc == MDB_INVALID)
        err_set(e, "%s is damaged; remove it, then 'gatehouse learn restore' a backup", path);
    learn_close(s);
    return NULL;
}

void learn_close(struct learn_store *s)
{
    if (!s)
        return;
    learn_abort(s);
    if (s->reader)
        mdb_txn_abort(s->reader);
    if (s->env)
        mdb_env_close(s->env);
    free(s->cache);
    free(s->path);
    free(s);
}

bool learn_stale(const struct learn_store *s)
{
    mdb_filehandle_t fd;
    struct stat ours, there;
    return mdb_env_get_fd(s->env, &fd) == 0 && fstat(fd, &ours) == 0 &&
           (stat(s->path, &there) != 0 || ours.st_ino != there.st_ino ||
            ours.st_dev != there.st_dev);
}

MDB_txn *store_reading(struct learn_store *s)
{
    int rc = mdb_txn_renew(s->reader);
    if (rc == MDB_MAP_RESIZED && mdb_env_set_mapsize(s->env, 0) == 0)
        rc = mdb_txn_renew(s->reader);
    return rc == 0 ? s->reader : NULL;
}

/* --- users --- */

static MDB_val user_key(struct span user, unsigned char at[1 + LEARN_USER_MAX])
{
    size_t n = user.n > LEARN_USER_MAX ? LEARN_USER_MAX : user.n;
    at[0] = 'u'; /* the site's name is empty, and no key may be */
    if (n)
        memcpy(at + 1, user.p, n);
    return (MDB_val){1 + n, at};
}

static void row_read(const MDB_val *v, struct user_row *row)
{
    const unsigned char *p = v->mv_data;
    *row = (struct user_row){0};
    if (v->mv_size != USER_ROW)
        return;
    row->number = number_at(p);
    row->counts = (struct learn_counts){
        .spam = number_at(p + 4),
        .ham = number_at(p + 8),
        .newest = number_at(p + 12),
        .tokens = number_at(p + 16) | (uint64_t)number_at(p + 20) << 32,
        .seen = number_at(p + 24) | (uint64_t)number_at(p + 28) << 32,
        .last_expiry = number_at(p + 32),
        .last_expired = number_at(p + 36) | (uint64_t)number_at(p + 40) << 32,
    };
}

int user_put(struct learn_store *s, MDB_txn *t, struct span user, const struct user_row *row)
{
    unsigned char at[1 + LEARN_USER_MAX], p[USER_ROW] = {0};
    const struct learn_counts *c = &row->counts;
    MDB_val k = user_key(user, at), v = {sizeof p, p};
    number_to(p, row->number);
    number_to(p + 4, c->spam);
    number_to(p + 8, c->ham);
    number_to(p + 12, c->newest);
    number_to(p + 16, (uint32_t)c->tokens);
    number_to(p + 20, (uint32_t)(c->tokens >> 32));
    number_to(p + 24, (uint32_t)c->seen);
    number_to(p + 28, (uint32_t)(c->seen >> 32));
    number_to(p + 32, c->last_expiry);
    number_to(p + 36, (uint32_t)c->last_expired);
    number_to(p + 40, (uint32_t)(c->last_expired >> 32));
    return mdb_put(t, s->users, &k, &v, 0);
}

int user_get(struct learn_store *s, MDB_txn *t, struct span user, struct user_row *row)
{
    unsigned char at[1 + LEARN_USER_MAX];
    MDB_val k = user_key(user, at), v;
    int rc = mdb_get(t, s->users, &k, &v);
    *row = (struct user_row){0};
    if (rc == 0)
        row_read(&v, row);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int user_need(struct learn_store *s, MDB_txn *t, struct span user, struct user_row *row)
{
    MDB_cursor *c;
    MDB_val k, v;
    int rc = user_get(s, t, user, row);
    if (rc != 0 || row->number)
        return rc;
    if ((rc = mdb_cursor_open(t, s->users, &c)) != 0)
        return rc;
    uint32_t last = 0;
    while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
        struct user_row other;
        row_read(&v, &other);
        last = other.number > last ? other.number : last;
    }
    mdb_cursor_close(c);
    if (last == USERS_MAX)
        return ENOSPC;
    row->number = last + 1;
    return rc == MDB_NOTFOUND ? user_put(s, t, user, row) : rc;
}

bool learn_each_user(struct learn_store *s, learn_user_fn *fn, void *ctx)
{
    MDB_txn *t = store_reading(s);
    MDB_cursor *c;
    MDB_val k, v;
    if (!t)
        return false;
    int rc = mdb_cursor_open(t, s->users, &c);
    bool go = rc == 0;
    while (go && mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
        struct user_row row;
        row_read(&v, &row);
        go = fn(ctx, span_of((const char *)k.mv_data + 1, k.mv_size - 1), &row.counts);
    }
    if (rc == 0)
        mdb_cursor_close(c);
    mdb_txn_reset(t);
    return rc == 0;
}

/* --- reading --- */

bool learn_counts(struct learn_store *s, struct span user, struct learn_counts *out)
{
    struct user_row row;
    MDB_txn *t = store_reading(s);
    *out = (struct learn_counts){0};
    if (!t)
        return false;
    int rc = user_get(s, t, user, &row);
    if (rc == 0)
        *out = row.counts;
    mdb_txn_reset(t);
    return rc == 0;
}

uint32_t learn_oldest(struct learn_store *s, struct span user)
{
    struct user_row row;
    MDB_txn *t = store_reading(s);
    MDB_cursor *c;
    uint32_t oldest = 0;
    if (!t)
        return 0;
    if (user_get(s, t, user, &row) == 0 && row.number && mdb_cursor_open(t, s->tokens, &c) == 0) {
        struct range range;
        MDB_val k = range_start(&range, true, row.number), v;
        for (int rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE); rc == 0 && range_has(&range, &k);
             rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
            uint32_t atime = token_value(&v).atime;
            oldest = oldest == 0 || atime < oldest ? atime : oldest;
        }
        mdb_cursor_close(c);
    }
    mdb_txn_reset(t);
    return oldest;
}

static struct cached *cached_at(const struct learn_store *s, uint64_t key)
{
    const uint64_t spread = 0x9e3779b97f4a7c15; /* 2^64 over the golden ratio */
    return &s->cache[(key * spread) >> (64 - CACHE_BITS)];
}

/* A change of the store makes the cache forget everything. */
static void refresh_cache(struct learn_store *s, MDB_txn *t)
{
    if (!s->cache)
        s->cache = xcalloc((size_t)1 << CACHE_BITS, sizeof *s->cache);
    if (s->generation && s->txn == mdb_txn_id(t))
        return;
    if (++s->generation == 0) {
        memset(s->cache, 0, sizeof *s->cache << CACHE_BITS);
        s->generation = 1;
    }
    s->txn = mdb_txn_id(t);
}

/* The ids come in the order of the tree, so that neighbours are found on the same page. */
static int look_up(struct learn_store *s, MDB_txn *t, uint32_t number, struct span ids,
                   struct learn_seen_token *out)
{
    MDB_cursor *c;
    int rc = mdb_cursor_open(t, s->tokens, &c);
    if (rc != 0)
        return rc;
    refresh_cache(s, t);
    for (size_t i = 0; i < ids.n / LEARN_TOKEN_SIZE; i++) {
        uint64_t key = key_token(number, ids.p + i * LEARN_TOKEN_SIZE);
        struct cached *known = cached_at(s, key);
        if (known->key != key || known->generation != s->generation) {
            MDB_val k = {sizeof key, &key}, v;
            rc = mdb_cursor_get(c, &k, &v, MDB_SET);
            if (rc != 0 && rc != MDB_NOTFOUND)
                break;
            *known = (struct cached){key, s->generation,
                                     rc == 0 ? token_value(&v) : (struct learn_seen_token){0}};
        }
        out[i] = known->token;
        rc = 0;
    }
    mdb_cursor_close(c);
    return rc;
}

bool learn_look_up(struct learn_store *s, struct span user, struct span ids,
                   struct learn_seen_token *out)
{
    struct user_row row;
    MDB_txn *t = store_reading(s);
    if (!t)
        return false;
    int rc = user_get(s, t, user, &row);
    if (rc == 0 && row.number)
        rc = look_up(s, t, row.number, ids, out);
    else
        memset(out, 0, ids.n / LEARN_TOKEN_SIZE * sizeof *out);
    mdb_txn_reset(t);
    return rc == 0;
}

int learn_known(struct learn_store *s, struct span user, struct span made_id, struct span msgid)
{
    struct user_row row;
    struct span ids[] = {made_id, msgid};
    int known = 0;
    MDB_txn *t = store_reading(s);
    if (!t)
        return 0;
    for (size_t i = 0; user_get(s, t, user, &row) == 0 && row.number && i < 2 && !known; i++) {
        struct seen_key key;
        MDB_val k, v;
        key_seen(&key, row.number, ids[i]);
        k = (MDB_val){key.n, key.b};
        if (ids[i].p && mdb_get(t, s->seen, &k, &v) == 0 && v.mv_size == SEEN_VALUE)
            known = *(const unsigned char *)v.mv_data;
    }
    mdb_txn_reset(t);
    return known;
}
