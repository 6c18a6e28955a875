/* Questions to the DNS for one message: those of its rules and of its authentication, within a
 * budget of questions and of time. The message waits on the loop, others go on.
 *
 * The time shrinks as answers come (SpamAssassin's way): dns.message_time when there is none yet,
 * a fifth of it when nearly all are there, so that a dead list costs a message a fifth. What is not
 * answered then counts as DNS_TEMPFAIL. */
#ifndef GATEHOUSE_FLOW_ASKING_H
#define GATEHOUSE_FLOW_ASKING_H

#include "auth/resolver.h"
#include "config/settings.h"
#include "rules/ruleset.h"

struct asking;
typedef void asking_done(void *ctx);

/* done is called once, when nothing is open any more: from inside asking_go when there is nothing
 * to wait for, else from the loop. The asking frees itself before. m must stay until then. */
struct asking *asking_new(uv_loop_t *loop, struct dns *dns, const struct settings *set,
                          struct message *m, asking_done *done, void *ctx);

/* For auth_message: asks within the budget. Each asking_hold keeps the message waiting until
 * asking_release, which comes from inside an answer or before asking_go; the rules then plan again:
 * they may ask about what was found out. */
const struct resolver *asking_resolver(struct asking *a);
void asking_hold(struct asking *a);
void asking_release(struct asking *a);

/* Asks what the rules plan. */
void asking_rules(struct asking *a, struct rules_work *w);

/* A step outside of answers ran out of memory: all is given up. */
void asking_lose(struct asking *a);

/* Everything is started: from now on done may come. */
void asking_go(struct asking *a);

/* The message ran out of memory while an answer was taken: w is not to be used. */
bool asking_exhausted(const struct asking *a);

#endif
