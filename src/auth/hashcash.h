/* Hashcash stamps (hashcash.org, versions 0 and 1; X-Hashcash and Hashcash fields): proof that the
 * sender spent time on a message to this recipient. Judged as SpamAssassin 3 did: the value is the
 * number of zero bits that SHA-1 of the stamp begins with, not more than version 1 claims; the
 * resource must be one of ours; a stamp counts once. Stricter than it: a stamp is good for
 * HASHCASH_LIFE, and the one message that spent a stamp may come again with it (after greylisting,
 * or to several of our hosts). */
#ifndef GATEHOUSE_AUTH_HASHCASH_H
#define GATEHOUSE_AUTH_HASHCASH_H

#include "base/clock.h"
#include "config/settings.h"
#include "message/message.h"

enum {
    HASHCASH_STAMPS_MAX = 20,  /* of a message that are looked at */
    HASHCASH_LENGTH_MAX = 512, /* bytes of a stamp */
    HASHCASH_BITS_LEAST = 1    /* below that nothing is remembered */
};
#define HASHCASH_LIFE  ((usec)28 * 86400 * USEC_PER_SEC)
#define HASHCASH_AHEAD ((usec)2 * 86400 * USEC_PER_SEC) /* clocks that go wrong */

struct stamp {
    struct span text;     /* without white space, in the arena */
    struct span resource; /* whom it is for */
    usec made;            /* the day, or the second, it was made */
    unsigned value;       /* bits */
};

/* NULL, or what is wrong with it. Looks neither at the resource nor at the time. */
const char *stamp_read(struct arena *a, struct span field, struct stamp *out);

enum hashcash_result { HASHCASH_NONE, HASHCASH_BAD, HASHCASH_SPENT, HASHCASH_GOOD };
struct hashcash_fact {
    enum hashcash_result result;
    bool spent;           /* one of its stamps was spent before, whatever the others are worth */
    unsigned value;       /* bits, when good */
    struct span resource; /* when good */
    struct span why;      /* when bad or spent */
};

struct kv;
/* The first good stamp of a message. kv: where spent stamps are remembered; NULL, or in trouble:
 * then stamps are bad, since nobody could say that they were not spent. */
void hashcash_check(const struct settings *set, struct kv *kv, struct message *m,
                    struct hashcash_fact *out);
/* Checks m with its own memory and adds what was found to its facts: hashcash.bits and
 * hashcash.resource, or hashcash.why; hashcash.spent. Nothing for a message without stamps. */
void hashcash_publish(const struct settings *set, struct message *m);

#endif
