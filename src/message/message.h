/* The one context of a message on its way: peer, envelope, bytes, facts, arena.
 *
 * raw: the message as received after dot-unstuffing, CRLF line ends from SMTP (a file scanned by
 * `gatehouse scan` keeps its own), mapped read-only and valid as long as the message. The trace
 * header (Received) that the gateway adds is not part of raw; it is an edit.
 * Owner: whoever called message_new; message_free unmaps and frees the arena. */
#ifndef GATEHOUSE_MESSAGE_MESSAGE_H
#define GATEHOUSE_MESSAGE_MESSAGE_H

#include "base/clock.h"
#include "base/id.h"
#include "message/envelope.h"
#include "message/facts.h"

struct kv;
struct learn_store;
struct said;

struct message {
    char id[ID_SIZE];
    struct arena *arena;
    struct span raw;
    struct span mapped; /* our mmap, in which raw is; absent: raw is in the arena */
    usec received;      /* wall time of the end of data */
    struct peer peer;
    struct envelope env;
    bool has_envelope; /* false for plain files */
    /* Whose preferences count, whoever the recipients are (spamd's User header, `scan --user`);
     * absent: those of each recipient. */
    struct span user;
    /* By recipient (one, when there are none): the answer under its preferences, NULL: facts.rules.
     * NULL as a whole when nobody has preferences. */
    const struct opinion **opinions;
    /* What scanners remember between messages (TxRep, stamps, scripts): somebody else's; NULL:
     * nothing is remembered. */
    struct kv *memory;
    /* Who asks about it can't take a changed body back: nothing is cut out. */
    bool body_fixed;
    /* What Bayes has learned: somebody else's; NULL: nothing. Whose part of it counts; empty: the
     * site's. */
    struct learn_store *learned;
    struct span learned_by;
    bool teaches; /* auto-learning may learn from it */
    /* What its judgement teaches, for the spool (flow/teaching.h), or absent. */
    struct span lesson, touched;
    /* What a policy script has said about it before it came; NULL: nothing. */
    const struct said *said;
    struct facts facts;
};

struct message *message_new(size_t memory_limit);
/* Maps fd (kept by the caller) as raw. 0, or -1 with errno. */
int message_map(struct message *m, int fd);
/* The same for `size` bytes of it from offset on; ESTALE: there are not so many. */
int message_map_part(struct message *m, int fd, uint64_t offset, uint64_t size);
void message_free(struct message *m);
/* For the next message: unmaps, resets the arena, keeps its first block. */
void message_reset(struct message *m);

#endif
