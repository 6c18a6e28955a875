/* What was learned: for each user how many spam and ham messages there were, in how many of them
 * each token was, and which messages they were. LMDB: one file, mapped by all who read it.
 *
 * Any number of processes read, without waiting for anybody; writers take turns. A change is one
 * transaction that is on the disk when it is committed: killed or without power at any moment, a
 * process leaves either all of it or nothing.
 *
 * It can't grow without end: `size` bounds the file, learn_expire the tokens and messages of a
 * user. A struct learn_store is for one thread and is not carried across fork; one process opens a
 * path once. */
#ifndef GATEHOUSE_LEARN_STORE_H
#define GATEHOUSE_LEARN_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "learn/tokens.h"

#include <stdio.h>

enum {
    LEARN_SIZE_MIN = 1 << 20,
    LEARN_USER_MAX = 200,      /* bytes of a user's name */
    LEARN_ID_MAX = 300,        /* bytes of a message's identity; longer ones are kept hashed */
    LEARN_TOKENS_MAX = 200000, /* of one lesson */
    LEARN_SEEN_MAX = 500000    /* messages that are remembered, for each user */
};

enum learn_class {
    LEARN_SPAM = 's',
    LEARN_HAM = 'h',
    LEARN_FORGET = 'f',
    LEARN_TOUCH = 't' /* the tokens were of use: they are kept longer */
};

/* One message to be learned. */
struct learn_lesson {
    struct span user; /* whose store; empty: the site's */
    enum learn_class what;
    bool no_relearn;     /* not when it is known as the other kind (auto-learning) */
    struct span made_id; /* SpamAssassin's generated id: the one that is remembered */
    struct span msgid;   /* of the Message-ID field without its brackets, or absent */
    struct span tokens;  /* ids, ascending, LEARN_TOKEN_SIZE bytes each */
    uint32_t when;       /* when the message came, seconds */
};
void learn_lesson_encode(struct buf *b, const struct learn_lesson *l);
/* Spans point into the payload. false: not what encoding made. */
bool learn_lesson_decode(struct span payload, struct learn_lesson *l);
/* The ids of tokens, one behind the other. */
struct span learn_token_ids(struct arena *a, const struct learn_tokens *t);

enum learn_result {
    LEARN_DONE,
    LEARN_KNOWN, /* it was learned before (to forget: it was not); nothing has changed */
    LEARN_FULL,  /* no room in the file or on the disk; nothing has changed */
    LEARN_FAILED /* nothing has changed, why tells */
};
const char *learn_result_name(enum learn_result r);

struct learn_store;
enum learn_mode {
    LEARN_READ,
    LEARN_PEEK, /* to read the counts: without walking over the file first */
    LEARN_WRITE
};
/* LEARN_WRITE makes what is missing (mode 0600). A damaged file is not touched: a child walks over
 * it first, since it could kill its reader. NULL and e; e->sys is ENOENT when there is no store to
 * read. */
struct learn_store *learn_open(const char *path, uint64_t size, enum learn_mode mode,
                               struct err *e);
void learn_close(struct learn_store *s);
/* The file was taken away or replaced since: close it, open it again. */
bool learn_stale(const struct learn_store *s);

/* --- reading --- */

struct learn_counts {
    uint32_t spam, ham; /* messages */
    uint64_t tokens, seen;
    uint32_t newest;       /* atime of a token, seconds; 0: none */
    uint32_t last_expiry;  /* seconds; 0: never */
    uint64_t last_expired; /* tokens that went then */
};
/* All 0 for a user that nothing was learned for. false: the store can't be read. */
bool learn_counts(struct learn_store *s, struct span user, struct learn_counts *out);
/* Oldest atime of all tokens; walks over them. */
uint32_t learn_oldest(struct learn_store *s, struct span user);

struct learn_seen_token {
    uint32_t spam, ham, atime; /* 0, 0: unknown */
};
/* ids: ascending. One transaction. false: the store can't be read. */
bool learn_look_up(struct learn_store *s, struct span user, struct span ids,
                   struct learn_seen_token *out);
/* LEARN_SPAM, LEARN_HAM, or 0: not known. */
int learn_known(struct learn_store *s, struct span user, struct span made_id, struct span msgid);

/* Names of all users that have something, the site's (empty) too. */
typedef bool learn_user_fn(void *ctx, struct span user, const struct learn_counts *c);
bool learn_each_user(struct learn_store *s, learn_user_fn *fn, void *ctx);

/* --- writing --- */

/* A batch is one transaction; lessons that fail leave the others alone. */
int learn_begin(struct learn_store *s, struct err *e);
enum learn_result learn_apply(struct learn_store *s, const struct learn_lesson *l, struct err *e);
int learn_commit(struct learn_store *s, struct err *e);
void learn_abort(struct learn_store *s);

/* Keeps the `keep` most recently used tokens of a user and what LEARN_SEEN_MAX allows of its
 * messages, when there are more than `most` tokens. A transaction of its own. Returns how many
 * tokens went, -1 and e. */
int64_t learn_expire(struct learn_store *s, struct span user, uint64_t most, uint64_t keep,
                     uint32_t now, struct err *e);
/* Forgets everything of a user. */
int learn_clear(struct learn_store *s, struct span user, struct err *e);

/* SpamAssassin's form (`sa-learn --backup`), which its `--restore` reads and the other way round.
 * learn_restore replaces what the user had; -1 and e with the line that can't be read, and nothing
 * has changed. */
int learn_backup(struct learn_store *s, struct span user, FILE *out, struct err *e);
int learn_restore(struct learn_store *s, struct span user, FILE *in, struct err *e);

#endif
