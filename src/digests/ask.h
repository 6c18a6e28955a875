/* One question to one server of each service. All end in exactly one call of done, from the loop,
 * at the latest when the time is over; none after they were dropped (and a handle is dead once its
 * done was called). Room-private. */
#ifndef GATEHOUSE_DIGESTS_ASK_H
#define GATEHOUSE_DIGESTS_ASK_H

#include "digests/pyzor.h"
#include "digests/razor.h"
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

/* --- Razor: a conversation of lines --- */

enum razor_op {
    RAZOR_CHECK,
    RAZOR_REPORT,  /* as spam, with an identity */
    RAZOR_DISCOVER /* which servers are there to check with */
};
struct razor_question {
    struct where to;
    enum razor_op op;
    struct razor_server *server; /* what is known of it; kept up to date; outlives the question */
    struct span raw;             /* the message; stays until done or dropped */
    const char *min_cf;
    struct span user, password; /* for reports */
    usec timeout;
};
struct razor_ask;
/* f (check), list (discover: HOST or HOST:PORT, n of them): NULL with why when there is no answer.
 * A report that was taken has neither f nor why. */
struct razor_result {
    const struct razor_fact *f;
    const struct span *list;
    size_t n;
    const char *why;
};
typedef void razor_done(void *ctx, const struct razor_result *r);
struct razor_ask *razor_ask(uv_loop_t *loop, struct dns *dns, const struct razor_question *q,
                            razor_done *done, void *ctx);
void razor_drop(struct razor_ask *a);

#endif
