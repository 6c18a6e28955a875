#ifndef GATEHOUSE_LEARN_STORE_PRIVATE_H
#define GATEHOUSE_LEARN_STORE_PRIVATE_H

#include "learn/store.h"

#include <lmdb.h>

/* users:  name -> row
 * tokens: number of the user, token id, as one integer -> spam, ham, atime
 * seen:   number of the user (big endian), id of the message -> class, when it was learned
 * Numbers in values are little endian. */
enum {
    STORE_DATABASES = 3,
    USER_PREFIX = 4,
    USERS_MAX = (1 << 24) - 1, /* what is left of the integer */
    TOKEN_VALUE = 12,
    SEEN_VALUE = 5,
    USER_ROW = 48
};

struct user_row {
    uint32_t number; /* from 1; 0: the user is not there */
    struct learn_counts counts;
};

/* What was looked up since the store changed last, unknown tokens too: most tokens of a message
 * were in those before it. Direct-mapped. */
enum { CACHE_BITS = 15 };
struct cached {
    uint64_t key;
    uint32_t generation; /* of the store; another: nothing */
    struct learn_seen_token token;
};

struct learn_store {
    struct cached *cache; /* NULL: nothing was looked up yet */
    uint32_t generation;  /* from 1 */
    size_t txn;           /* LMDB's number of the state that the cache knows */
    char *path;
    MDB_env *env;
    MDB_dbi users, tokens, seen;
    bool open;       /* the databases are there */
    MDB_txn *reader; /* reset between uses */
    MDB_txn *writer; /* of the batch */
};

/* A transaction for reading, to be ended with mdb_txn_reset; NULL: it can't be read. */
MDB_txn *store_reading(struct learn_store *s);
/* Whether the file can be walked from end to end (also when there is none). */
bool store_sound(const char *path);
int store_fail(const struct learn_store *s, int rc, struct err *e);

int user_get(struct learn_store *s, MDB_txn *t, struct span user, struct user_row *row);
/* Gives a new user a number. */
int user_need(struct learn_store *s, MDB_txn *t, struct span user, struct user_row *row);
int user_put(struct learn_store *s, MDB_txn *t, struct span user, const struct user_row *row);

void key_user(unsigned char key[USER_PREFIX], uint32_t number);
uint32_t number_at(const unsigned char *p);
void number_to(unsigned char *p, uint32_t v);

/* Integers compare faster than bytes, and there are hundreds of tokens in a message. */
uint64_t key_token(uint32_t number, const void *id);
void token_id(const MDB_val *k, unsigned char id[LEARN_TOKEN_SIZE]);

/* All keys of a user in one of the databases. */
struct range {
    bool tokens;
    uint32_t number;
    uint64_t first;
    unsigned char prefix[USER_PREFIX];
};
/* The key to begin with (it lives in r), and whether a key still belongs to the user. */
MDB_val range_start(struct range *r, bool tokens, uint32_t number);
bool range_has(const struct range *r, const MDB_val *k);

struct seen_key {
    unsigned char b[USER_PREFIX + LEARN_ID_MAX];
    size_t n;
};
void key_seen(struct seen_key *k, uint32_t number, struct span id);

struct learn_seen_token token_value(const MDB_val *v);
void token_bytes(unsigned char out[TOKEN_VALUE], const struct learn_seen_token *t);

/* Removes every key of a database that belongs to the user. */
int clear_range(MDB_txn *t, MDB_dbi dbi, bool tokens, uint32_t number);

#endif
