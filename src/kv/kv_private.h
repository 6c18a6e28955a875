/* What the files of this room share. */
#ifndef GATEHOUSE_KV_KV_PRIVATE_H
#define GATEHOUSE_KV_KV_PRIVATE_H

#include "kv/kv.h"

#include <lmdb.h>

enum {
    KV_ENDS_SIZE = 4,               /* bytes before each value: second at which it ends, 0 never */
    KV_STORED_KEY = 1 + KV_KEY_MAX, /* the space and the key */
    KV_HASHED = 0x80                /* bit of the space byte: the key is a SHA-256 */
};

struct kv {
    char *path;
    uint64_t size;
    MDB_env *env; /* NULL: not usable */
    MDB_dbi dbi;
    MDB_txn *reader; /* reset between uses */
    unsigned page;   /* bytes */
    bool reopen;     /* damage was met: look at the file again */
    bool told_full, told_trouble;
    uint64_t full, lost;
    struct {
        unsigned char at[KV_STORED_KEY]; /* where the walk goes on */
        size_t n;
        uint32_t horizon; /* seconds ahead: what ends before that is dropped too */
    } purge;
    struct buf scratch;
};

struct stored_key {
    unsigned char b[KV_STORED_KEY];
    size_t n;
};
void key_make(struct stored_key *out, enum kv_space space, struct span key);
static inline MDB_val key_val(struct stored_key *k)
{
    return (MDB_val){k->n, k->b};
}

/* The second at which a stored value ends; 0: never. v must hold KV_ENDS_SIZE bytes. */
uint32_t value_ends(const MDB_val *v);
uint32_t seconds_up(usec t);
static inline bool ended(uint32_t ends, usec now)
{
    return ends != 0 && (usec)ends * USEC_PER_SEC <= now;
}

/* A transaction for reading (reset it with mdb_txn_reset) or writing; NULL: counted and told. */
MDB_txn *kv_reading(struct kv *k);
MDB_txn *kv_writing(struct kv *k);
/* What LMDB's code means; counts and tells. */
enum kv_status kv_status_of(struct kv *k, int rc);
/* Bytes of the pages in use. */
uint64_t kv_used(const struct kv *k, MDB_txn *t);

/* Whether the file can be walked from end to end (also when there is none). */
bool kv_file_sound(const char *path);

void kv_purge(struct kv *k, usec now);

#endif
