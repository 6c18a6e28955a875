/* One question to one server of each service. All end in exactly one call of done, from the loop,
 * at the latest when the time is over; none after they were dropped (and a handle is dead once its
 * done was called). Room-private. */
#ifndef GATEHOUSE_DIGESTS_ASK_H
#define GATEHOUSE_DIGESTS_ASK_H

#include "digests/pyzor.h"
#include "digests/where.h"

/* --- Pyzor: a datagram each way --- */

struct pyzor_question {
    struct where to;
    enum pyzor_op op;
    char digest[PYZOR_DIGEST_SIZE];
    struct pyzor_account who;
    usec timeout;
};
struct pyzor_ask;
/* r: NULL when there is no answer, why tells; a reply whose code is not 200 is one. */
typedef void pyzor_done(void *ctx, const struct pyzor_reply *r, const char *why);
struct pyzor_ask *pyzor_ask(uv_loop_t *loop, struct dns *dns, const struct pyzor_question *q,
                            pyzor_done *done, void *ctx);
void pyzor_drop(struct pyzor_ask *a);

/* --- dccifd: all that is to be said, then all that is answered --- */

enum { DCC_ANSWER_MAX = 64 * 1024 };
struct dcc_question {
    struct where to;
    struct buf head;  /* options and envelope; taken over */
    struct span body; /* the message; stays until done or dropped */
    usec timeout;
};
struct dcc_ask;
typedef void dcc_done(void *ctx, struct span answer, const char *why); /* absent: why not */
struct dcc_ask *dcc_ask(uv_loop_t *loop, struct dns *dns, const struct dcc_question *q,
                        dcc_done *done, void *ctx);
void dcc_drop(struct dcc_ask *a);

#endif
