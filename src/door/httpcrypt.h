/* Requests of rspamd's clients in its HTTPCrypt (rspamd/sealed.h): gathered whole, opened, answered
 * in the same way. */
#ifndef GATEHOUSE_DOOR_HTTPCRYPT_H
#define GATEHOUSE_DOOR_HTTPCRYPT_H

#include "rspamd/sealed.h"

struct gate;

/* The keys of a file, on the heap; how many. What can't be used is told to problem (NULL: to the
 * log). */
typedef void httpcrypt_problem_fn(void *ctx, const char *text);
size_t httpcrypt_keys(const char *path, struct sealed_key **out, httpcrypt_problem_fn *problem,
                      void *ctx);
/* Tells the public ones in the log. */
void httpcrypt_tell(const struct gate *g);

struct httpcrypt;
/* field: of the request, Key. NULL: it is for none of the gate's keys. */
struct httpcrypt *httpcrypt_new(struct gate *g, const char *field);
void httpcrypt_free(struct httpcrypt *c); /* NULL is fine */

/* false: more than limits.message_size, or too much is held for all requests together. */
bool httpcrypt_add(struct httpcrypt *c, struct span bytes);
/* All bytes are there. NULL: they are not what the client has sealed. */
const struct sealed_request *httpcrypt_open(struct httpcrypt *c);
/* A reply of HTTP as a whole, sealed. */
void httpcrypt_reply(const struct httpcrypt *c, struct buf *out, unsigned status, const char *type,
                     struct span body);

#endif
