/* Services that count messages by digests: Pyzor, DCC, Razor. One struct a process, on its loop;
 * the message waits, others go on. Each service is off until its servers are set.
 *
 * A message that is too large, or has nothing to make a digest of, is not asked about
 * (DIGEST_NOT_ASKED); a service that does not answer in its time is DIGEST_UNAVAILABLE, and what
 * follows is what its on_error says (facts.digests.failed, for the verdict). */
#ifndef GATEHOUSE_DIGESTS_DIGESTS_H
#define GATEHOUSE_DIGESTS_DIGESTS_H

#include "dns/dns.h"
#include "message/message.h"

struct digests;

/* NULL: none is configured. dns: for names of servers; stays the caller's; may be NULL when all
 * servers are addresses or sockets. */
struct digests *digests_new(uv_loop_t *loop, const struct settings *set, struct dns *dns);
/* Open questions are dropped; their done is not called. */
void digests_free(struct digests *d);

/* Fills m->facts.digests and calls done once, from the loop, or from within when nobody is asked.
 * m, and its bytes, stay until then. Digests are computed within the call, in time that is linear
 * in the size of the message, with memory of their own. */
typedef void digests_done(void *ctx);
void digests_ask(struct digests *d, struct message *m, digests_done *done, void *ctx);

/* Tells the services, as far as they are configured, that m is spam; Pyzor alone also takes that it
 * is not. told: once for each server, why: NULL when it took the report. done: once, from the loop,
 * or from within when there is nobody to tell. */
enum digest_service { DIGEST_PYZOR = 1, DIGEST_RAZOR = 2, DIGEST_DCC = 4 };
typedef void digests_told(void *ctx, const char *service, const char *server, const char *why);
struct digests_report {
    unsigned services; /* of enum digest_service */
    bool wanted;
    digests_told *told;
    digests_done *done;
    void *ctx;
};
void digests_report(struct digests *d, const struct message *m, const struct digests_report *r);
/* The digest that Pyzor is asked about. */
enum { DIGEST_TEXT_SIZE = 41 };
void digests_of_text(struct span raw, char out[DIGEST_TEXT_SIZE]);

/* What was found out, as facts by name: pyzor.count, dcc.body, razor.cf, pyzor.unavailable, ... and
 * what was skipped. Memory is m's arena. */
void digests_publish(struct message *m);

#endif
