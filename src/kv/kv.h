/* Small things to remember for a while, with an end: greylisted triples, passed tests, counters,
 * reputation, stamps that were spent, what scripts keep. LMDB inside: one file, shared by all
 * processes that open it, kept over restarts.
 *
 * A key is a space (whose it is, enum kv_space) and bytes; a value is bytes and the time it ends.
 * An ended entry is never seen again; kv_tick takes it away in the background.
 *
 * What is promised: an operation that returned KV_OK is seen by every process at once and survives
 * the death of all of them (SIGKILL). After a power cut the last seconds may be missing. Nothing
 * here is mail and everything can be learned again, so trouble never stops mail: operations say
 * KV_FULL or KV_TROUBLE, the log says it once, and whoever asked goes on without memory.
 *
 *     full     above KV_FILL_PERCENT of the size nothing new is taken; what ends soonest is dropped
 *              early until there is room again
 *     damaged  kv_open walks the file in a child process, since a damaged tree can kill its reader;
 *              when the child does not come back well the file is moved aside
 *              (PATH.damaged-TIME) and a new one begins; damage met later: the same, at kv_tick
 *
 * A struct kv is for one thread, is not carried across fork, and one process opens a path once.
 * Keys and values may come from strangers; their sizes are limited here, their number by the size
 * of the file. */
#ifndef GATEHOUSE_KV_KV_H
#define GATEHOUSE_KV_KV_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

enum {
    KV_KEY_MAX = 400,          /* bytes; longer keys are kept as their SHA-256 */
    KV_VALUE_MAX = 64 * 1024,  /* bytes; more is KV_TROUBLE */
    KV_SIZE_MIN = 1024 * 1024, /* bytes of a file */
    KV_FILL_PERCENT = 80,      /* LMDB needs room to write beside what is there, even to delete */
    KV_SPREAD_PERCENT = 70,    /* dropping early ends here */
    KV_PURGE_ENTRIES = 5000,   /* looked at by one kv_tick */
    KV_CHECK_SECONDS = 60      /* of CPU that the walk at the opening may take */
};

/* Who owns which keys. New ones at the end: the numbers are in the files. */
enum kv_space {
    KV_GREYLIST = 1,   /* door: triples and what has passed */
    KV_PASSED = 2,     /* door: clients that passed the tests before the greeting */
    KV_DNSLIST = 3,    /* door: lists that were found broken */
    KV_RATE = 4,       /* door: buckets */
    KV_REPUTATION = 5, /* door: addresses, networks, domains */
    KV_HASHCASH = 6,   /* scan: stamps that were spent */
    KV_SCRIPT = 7,     /* scan: what Lua scripts keep */
    KV_TXREP = 8,      /* scan: TxRep and AWL */
    KV_MTA_STS = 9,    /* spool: policies of domains */
    KV_SPACE_MAX = 64
};

enum kv_status {
    KV_OK,
    KV_NONE,   /* no such entry, or it has ended */
    KV_TAKEN,  /* kv_claim: somebody was first */
    KV_FULL,   /* not written: no room in the file or on the disk */
    KV_TROUBLE /* not read or not written: damage, no file, too long */
};

struct kv;

/* The file and PATH-lock are made when they are missing (mode 0600); its directory must exist.
 * size: bytes that it may grow to, at least KV_SIZE_MIN. Never NULL: a file that can't be used is
 * in the log and every operation says KV_TROUBLE, until kv_tick can open it. */
struct kv *kv_open(const char *path, uint64_t size);
void kv_close(struct kv *k);
/* Once a second or less often: takes ended entries away, opens anew what was damaged, gives back
 * what dead processes held. now: wall time, here and below. */
void kv_tick(struct kv *k, usec now);

/* value: its bytes replace what is in out, which the caller owns. */
enum kv_status kv_get(struct kv *k, enum kv_space space, struct span key, usec now,
                      struct buf *value);
/* until: wall time at which it ends, rounded up to a second; 0: never. */
enum kv_status kv_put(struct kv *k, enum kv_space space, struct span key, struct span value,
                      usec until);
/* KV_OK also when there was none. */
enum kv_status kv_delete(struct kv *k, enum kv_space space, struct span key);

/* KV_OK: the key was free and is ours until then; KV_TAKEN: it was not. Of several processes that
 * claim the same key one gets it. */
enum kv_status kv_claim(struct kv *k, enum kv_space space, struct span key, usec now, usec until);
/* Adds to a counter, which starts at 0; the end of an entry that exists stays what it is.
 * sum (may be NULL): the new value. */
enum kv_status kv_add(struct kv *k, enum kv_space space, struct span key, int64_t delta, usec now,
                      usec until, int64_t *sum);

/* Read, think, write as one step that no other process can come between. old.p is NULL when there
 * is no entry; it is valid during the call. fn fills fresh (empty at first) and *until (that of the
 * old entry at first), says whether that is to be written, and calls nothing of kv. */
enum kv_change { KV_KEEP, KV_WRITE, KV_REMOVE };
typedef enum kv_change kv_change_fn(void *ctx, struct span old, struct buf *fresh, usec *until);
enum kv_status kv_update(struct kv *k, enum kv_space space, struct span key, usec now,
                         kv_change_fn *fn, void *ctx);

/* Entries of a space whose keys begin with prefix, in order of their bytes, until fn says false.
 * Long keys (KV_KEY_MAX) are seen as their hash. fn calls nothing of kv. */
typedef bool kv_each_fn(void *ctx, struct span key, struct span value, usec until);
enum kv_status kv_each(struct kv *k, enum kv_space space, struct span prefix, usec now,
                       kv_each_fn *fn, void *ctx);

struct kv_numbers {
    uint64_t entries;    /* with those that have ended and are not yet taken away */
    uint64_t used, size; /* bytes: in use, and what it may grow to */
    uint64_t full, lost; /* operations that were KV_FULL, KV_TROUBLE, of this process */
    bool usable;
};
void kv_numbers(struct kv *k, struct kv_numbers *out);

#endif
