/* Opening, closing, transactions, and what is said about trouble.
 *
 * Written with MDB_NOSYNC: a commit is a write() to the page cache, which the kernel keeps whatever
 * happens to us. A power cut can leave old and new pages beside each other, and that is what the
 * walk at the opening is for. */
#include "kv/kv_private.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"

enum { READERS = 512 };

/* ---- telling ---- */

static void tell_trouble(struct kv *k, const char *why)
{
    if (!k->told_trouble)
        log_event(LOG_FAULT, NULL, "state-unusable", F_STR("path", k->path), F_STR("why", why));
    k->told_trouble = true;
}

static enum kv_status full(struct kv *k, const char *why)
{
    int dead;
    k->full++;
    mdb_reader_check(k->env, &dead); /* one that died while reading holds pages back */
    if (!k->told_full)
        log_event(LOG_FAULT, NULL, "state-full", F_STR("path", k->path), F_STR("why", why),
                  F_INT("size", k->size));
    k->told_full = true;
    return KV_FULL;
}

enum kv_status kv_status_of(struct kv *k, int rc)
{
    if (rc == 0)
        return KV_OK;
    if (rc == MDB_NOTFOUND)
        return KV_NONE;
    if (rc == MDB_MAP_FULL || rc == MDB_TXN_FULL || rc == ENOSPC || rc == EDQUOT || rc == EFBIG)
        return full(k, mdb_strerror(rc));
    k->lost++;
    k->reopen = true;
    tell_trouble(k, mdb_strerror(rc));
    return KV_TROUBLE;
}

/* ---- keys and values ---- */

void key_make(struct stored_key *out, enum kv_space space, struct span key)
{
    out->b[0] = (unsigned char)space;
    if (key.n > KV_KEY_MAX) {
        out->b[0] |= KV_HASHED;
        SHA256((const unsigned char *)key.p, key.n, out->b + 1);
        out->n = 1 + SHA256_DIGEST_LENGTH;
        return;
    }
    if (key.n)
        memcpy(out->b + 1, key.p, key.n);
    out->n = 1 + key.n;
}

uint32_t value_ends(const MDB_val *v)
{
    const unsigned char *p = v->mv_data;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t seconds_up(usec t)
{
    usec s = t / USEC_PER_SEC + (t % USEC_PER_SEC > 0);
    return t == 0 ? 0 : s < 1 ? 1 : s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

/* ---- opening ---- */

static void close_env(struct kv *k)
{
    if (k->reader)
        mdb_txn_abort(k->reader);
    if (k->env)
        mdb_env_close(k->env);
    k->reader = NULL;
    k->env = NULL;
}

static void move_aside(struct kv *k)
{
    char *aside = xasprintf("%s.damaged-%lld", k->path, (long long)(clock_wall() / USEC_PER_SEC));
    char *lock = xasprintf("%s-lock", k->path);
    int rc = rename(k->path, aside);
    unlink(lock);
    log_event(LOG_FAULT, NULL, "state-damaged", F_STR("path", k->path),
              F_STR("kept-as", rc == 0 ? aside : ""), F_STR("now", "a new one begins"));
    free(aside);
    free(lock);
}

static int open_env(struct kv *k)
{
    MDB_txn *t;
    MDB_stat st;
    int rc = mdb_env_create(&k->env);
    if (rc != 0)
        return rc;
    if ((rc = mdb_env_set_mapsize(k->env, k->size)) != 0 ||
        (rc = mdb_env_set_maxreaders(k->env, READERS)) != 0 ||
        (rc = mdb_env_open(k->env, k->path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOTLS | MDB_NORDAHEAD,
                           0600)) != 0)
        return rc;
    if ((rc = mdb_txn_begin(k->env, NULL, 0, &t)) != 0)
        return rc;
    if ((rc = mdb_dbi_open(t, NULL, 0, &k->dbi)) != 0 || (rc = mdb_stat(t, k->dbi, &st)) != 0) {
        mdb_txn_abort(t);
        return rc;
    }
    k->page = st.ms_psize;
    if ((rc = mdb_txn_commit(t)) != 0)
        return rc;
    if ((rc = mdb_txn_begin(k->env, NULL, MDB_RDONLY, &k->reader)) == 0)
        mdb_txn_reset(k->reader);
    return rc;
}

/* Several processes that find the same damage do not move each other's new files aside. */
static int take_turns(const struct kv *k)
{
    char *path = xasprintf("%s-open", k->path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (fd >= 0)
        while (flock(fd, LOCK_EX) != 0 && errno == EINTR)
            ;
    return fd;
}

static void try_open(struct kv *k)
{
    int turn = take_turns(k);
    k->reopen = false;
    if (!kv_file_sound(k->path))
        move_aside(k);
    int rc = open_env(k);
    if (rc != 0) {
        close_env(k);
        tell_trouble(k, mdb_strerror(rc));
    } else if (k->told_trouble) {
        k->told_trouble = false;
        log_event(LOG_NOTE, NULL, "state-usable", F_STR("path", k->path));
    }
    if (turn >= 0)
        close(turn);
}

struct kv *kv_open(const char *path, uint64_t size)
{
    struct kv *k = xcalloc(1, sizeof *k);
    long page = sysconf(_SC_PAGESIZE);
    k->path = xstrdup(path);
    k->size = size < KV_SIZE_MIN ? KV_SIZE_MIN : size;
    k->size -= k->size % (uint64_t)page;
    try_open(k);
    return k;
}

void kv_close(struct kv *k)
{
    if (!k)
        return;
    close_env(k);
    buf_free(&k->scratch);
    free(k->path);
    free(k);
}

/* ---- transactions ---- */

MDB_txn *kv_reading(struct kv *k)
{
    if (!k->env || k->reopen) {
        k->lost++;
        return NULL;
    }
    int rc = mdb_txn_renew(k->reader);
    if (rc == MDB_MAP_RESIZED && (rc = mdb_env_set_mapsize(k->env, 0)) == 0)
        rc = mdb_txn_renew(k->reader);
    if (rc == 0)
        return k->reader;
    kv_status_of(k, rc);
    return NULL;
}

MDB_txn *kv_writing(struct kv *k)
{
    MDB_txn *t;
    if (!k->env || k->reopen) {
        k->lost++;
        return NULL;
    }
    int rc = mdb_txn_begin(k->env, NULL, 0, &t);
    if (rc == MDB_MAP_RESIZED && (rc = mdb_env_set_mapsize(k->env, 0)) == 0)
        rc = mdb_txn_begin(k->env, NULL, 0, &t);
    if (rc == 0)
        return t;
    kv_status_of(k, rc);
    return NULL;
}

uint64_t kv_used(const struct kv *k, MDB_txn *t)
{
    MDB_stat st;
    if (mdb_stat(t, k->dbi, &st) != 0)
        return 0;
    return (st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) * (uint64_t)k->page;
}

/* ---- the tick ---- */

/* Another process may have moved the file aside and begun a new one. */
static bool replaced(const struct kv *k)
{
    mdb_filehandle_t fd;
    struct stat ours, there;
    return mdb_env_get_fd(k->env, &fd) == 0 && fstat(fd, &ours) == 0 &&
           (stat(k->path, &there) != 0 || ours.st_ino != there.st_ino ||
            ours.st_dev != there.st_dev);
}

void kv_tick(struct kv *k, usec now)
{
    int dead;
    if (k->env && (k->reopen || replaced(k)))
        close_env(k);
    if (!k->env)
        try_open(k);
    if (!k->env)
        return;
    mdb_reader_check(k->env, &dead);
    kv_purge(k, now);
}

void kv_numbers(struct kv *k, struct kv_numbers *out)
{
    MDB_stat st;
    *out = (struct kv_numbers){.size = k->size, .full = k->full, .lost = k->lost};
    MDB_txn *t = k->env && !k->reopen ? kv_reading(k) : NULL;
    if (!t)
        return;
    if (mdb_stat(t, k->dbi, &st) == 0)
        out->entries = st.ms_entries;
    out->used = kv_used(k, t);
    out->usable = true;
    mdb_txn_reset(t);
}
