/* Deliveries: takes what waits in the queue to its next hop, and says what became of it.
 *
 * Messages wait in a heap by the time of their next try. A message that is due is split by
 * destination (route_key); each destination has its line of jobs, its connections, and a window of
 * connections that grows while deliveries succeed and shrinks when they do not. A destination that
 * can't be reached is left alone for a while, and its messages with it; a message that fails by
 * itself (also by breaking the connection) waits by itself.
 *
 * One thread, the loop's. */
#ifndef GATEHOUSE_DELIVER_DELIVER_H
#define GATEHOUSE_DELIVER_DELIVER_H

#include "config/settings.h"
#include "quarantine/quarantine.h"
#include "queue/queue.h"
#include "record/record.h"

struct deliver;
struct dns;

/* rec, qua and dns may be NULL (tests): then nothing is recorded, undeliverable mail is held in the
 * queue, MX routes fail for now. */
struct deliver *deliver_new(uv_loop_t *loop, const struct settings *set, struct record *rec,
                            struct quarantine *qua, struct dns *dns, struct err *e);
/* Tells how TLS went, connection by connection, as items (reports/item.h), for reports to the
 * domains (RFC 8460). Once, before deliver_attach. */
void deliver_watch_tls(struct deliver *d, void (*saw)(void *ctx, struct span items), void *ctx);
struct signer;
struct returnpath;
/* Before the first message: who signs our reports (NULL: nobody), and what senders become towards
 * other domains (NULL: they stay). Both outlive d. */
void deliver_identify(struct deliver *d, const struct signer *signer,
                      const struct returnpath *returns);
/* Nothing is in work any more (deliver_drain). */
void deliver_free(struct deliver *d);
/* Before the first message. */
void deliver_attach(struct deliver *d, struct queue *q);

/* The queue's events. Messages with QUEUE_UNSCANNED are not to be given. */
void deliver_message(struct deliver *d, struct queue_msg *m);
void deliver_gone(struct deliver *d, struct queue_msg *m);

/* Operators: tries now whatever waits, forgetting that its destinations were unreachable. */
void deliver_now(struct deliver *d, struct queue_msg *m);
/* After an operator's change of states: plans anew. */
void deliver_changed(struct deliver *d, struct queue_msg *m);

/* Would the next hop take this recipient? done is called once. */
enum probe_answer { PROBE_OK, PROBE_NO, PROBE_LATER };
typedef void deliver_probed(void *ctx, enum probe_answer answer, struct span text);
void deliver_probe(struct deliver *d, struct span addr, deliver_probed *done, void *ctx);

/* Starts nothing new; what is in work gets DRAIN_GRACE to end. done is called when it has. */
#define DELIVER_DRAIN_GRACE ((usec)5 * USEC_PER_SEC)
void deliver_drain(struct deliver *d, void (*done)(void *ctx), void *ctx);

struct routes;
const struct routes *deliver_routes(const struct deliver *d);

struct deliver_numbers {
    uint64_t delivered, deferred, failed, connections, destinations, down;
};
struct deliver_numbers deliver_numbers(const struct deliver *d);

/* The wait before the next try, after `tries` tries (>= 1). */
usec deliver_wait(const struct queue_settings *s, uint32_t tries);

#endif
