/* Virus engines behind one interface: clamd over its sockets, several with failover. (The embedded
 * engine is a process of ours that speaks clamd's protocol: virus/engine.h.) */
#ifndef GATEHOUSE_VIRUS_VIRUS_H
#define GATEHOUSE_VIRUS_VIRUS_H

#include "config/settings.h"
#include "message/message.h"

#include <uv.h>

struct virus_pool;

/* embedded_socket: where our own engine listens ("unix:/run/gatehouse/virus.sock"), or NULL; it is
 * asked when no clamd answers. */
struct virus_pool *virus_pool_new(uv_loop_t *loop, const struct virus_settings *s,
                                  const char *embedded_socket);
void virus_pool_free(struct virus_pool *p);

/* Scans the message (fd: its bytes, passed by descriptor to an engine behind a Unix socket;
 * otherwise streamed with INSTREAM). Fills m->facts.virus and calls done exactly once, possibly
 * from within. */
typedef void virus_done(void *ctx, struct message *m);
void virus_scan(struct virus_pool *p, struct message *m, int fd, virus_done *done, void *ctx);
/* The same about bytes alone, with an answer by `until` (monotonic): m needs no more than an arena
 * and raw. */
void virus_scan_until(struct virus_pool *p, struct message *m, usec until, virus_done *done,
                      void *ctx);

#endif
