/* The last stage of a message in the scanner: what leaves is signed (DKIM) or sealed (ARC). The
 * keys are with the spool: it is sent what is to be signed, and answers with the fields, which
 * become edits of the group (auth/sign.h, auth/signer.h).
 *
 * Without an answer within SIGNING_WAIT, or without a key, dkim.on_sign_error decides. A spool that
 * restarts meanwhile is asked again. */
#ifndef GATEHOUSE_FLOW_SIGNING_H
#define GATEHOUSE_FLOW_SIGNING_H

#include "flow/frames.h"

#include <uv.h>

#define SIGNING_WAIT ((usec)15 * USEC_PER_SEC)

struct signing;

/* Hands a request to the spool; false when none is there now. */
typedef bool signing_send_fn(void *ctx, uint64_t tag, struct span payload);

/* NULL when the settings want nothing signed. */
struct signing *signing_new(uv_loop_t *loop, const struct settings *set, signing_send_fn *send,
                            void *ctx);
void signing_free(struct signing *s);

/* Signs the groups that are delivered and the notices that are sent beside, in place. s may be
 * NULL. done(ctx) comes exactly once, now or later; m and result must stay until then. */
void signing_run(struct signing *s, struct message *m, struct scan_result *result,
                 void (*done)(void *ctx), void *ctx);

/* Mail of our users that is held: what its signature needs goes with it, so that the spool can sign
 * it on the day it is released. held: it will be held, whatever the result says. */
enum { SIGNING_RELEASE_MAX = 256 * 1024 };
void signing_for_release(struct signing *s, struct message *m, struct scan_result *result,
                         bool held);

/* An answer of the spool; a spool that is there now; a spool that is gone. */
void signing_answer(struct signing *s, uint64_t tag, struct span payload);
void signing_spool_here(struct signing *s);
void signing_spool_gone(struct signing *s);

/* The answer's payload. */
struct sign_answer {
    bool signed_;
    struct span text; /* the fields, or why there are none */
};
void sign_answer_encode(struct buf *b, const struct sign_answer *a);
bool sign_answer_decode(struct span payload, struct sign_answer *a);

#endif
