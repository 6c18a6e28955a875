/* Lessons on their way to the spool, which alone writes what a running gateway learns
 * (learn/store.h). The scanner has made tokens of the message; no bytes of it are sent. */
#ifndef GATEHOUSE_FLOW_TEACHING_H
#define GATEHOUSE_FLOW_TEACHING_H

#include "learn/store.h"
#include "rules/lesson.h"

#include <uv.h>

#define TEACHING_WAIT ((usec)20 * USEC_PER_SEC)

/* The payloads: a lesson, with what may be kept of it; how it ended. */
void teaching_encode(struct buf *b, const struct rules_expiry *x, const struct learn_lesson *l);
bool teaching_decode(struct span payload, struct rules_expiry *x, struct learn_lesson *l);
struct teaching_answer {
    enum learn_result result;
    struct span why;
};
void teaching_answer_encode(struct buf *b, const struct teaching_answer *a);
bool teaching_answer_decode(struct span payload, struct teaching_answer *a);

struct teaching;
/* Hands a lesson to the spool; false when none is there now. */
typedef bool teaching_send_fn(void *ctx, uint64_t tag, struct span payload);
struct teaching *teaching_new(uv_loop_t *loop, teaching_send_fn *send, void *ctx);
/* Lessons whose answer is waited for are dropped; their done is not called. */
void teaching_free(struct teaching *t);

/* done comes once, now or later; LEARN_FAILED without an answer within TEACHING_WAIT. */
typedef void teaching_done(void *ctx, const struct teaching_answer *a);
void teaching_ask(struct teaching *t, struct span payload, teaching_done *done, void *ctx);
/* Nobody waits; without a spool it is lost. */
void teaching_tell(struct teaching *t, struct span payload);

void teaching_answered(struct teaching *t, uint64_t tag, struct span payload);
void teaching_spool_gone(struct teaching *t);

#endif
