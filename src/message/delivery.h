/* What a decision changes of the envelope, and the messages it has sent beside the one it judges.
 */
#ifndef GATEHOUSE_MESSAGE_DELIVERY_H
#define GATEHOUSE_MESSAGE_DELIVERY_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/arena.h"

/* Limits: addresses of one delivery, messages beside one message, bytes of an address. */
enum { DELIVERY_ADDRESSES_MAX = 1000, DELIVERY_MAILS_MAX = 100, DELIVERY_ADDRESS_MAX = 320 };

/* How one group of recipients gets the message. */
struct delivery {
    bool keep;          /* the message as it came goes to the quarantine, too */
    bool redirect;      /* those of `add` get it instead of the group */
    bool change_sender; /* to `sender` */
    struct span sender;
    struct span *add; /* more recipients */
    size_t nadd;
};

/* A message beside: a copy of the one that came, or one of our own. */
struct mail {
    struct span from;
    struct span *to;
    size_t nto;
    struct span bytes; /* absent: the message as it came */
};

struct mails {
    struct mail *v;
    size_t n;
};

/* Wire form for frames. Decoding checks every length and every address (one that holds white space,
 * controls or brackets fails). */
void delivery_encode(struct buf *b, const struct delivery *d);
void delivery_decode(struct cursor *c, struct arena *a, struct delivery *d);
void mails_encode(struct buf *b, const struct mails *m);
void mails_decode(struct cursor *c, struct arena *a, struct mails *m);

#endif
