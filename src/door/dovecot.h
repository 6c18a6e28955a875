/* Dovecot's auth-client protocol, version 1 (doc.dovecot.org "Authentication Protocol"): one
 * connection, many requests. Connects when first needed and again after it was lost. */
#ifndef GATEHOUSE_DOOR_DOVECOT_H
#define GATEHOUSE_DOOR_DOVECOT_H

#include "base/ip.h"
#include "door/users.h"

#include <uv.h>

struct dovecot;

struct dovecot_request {
    const char *user, *password; /* valid during the call */
    bool secured;
    const struct ip *ip; /* or NULL */
};

struct dovecot *dovecot_open(uv_loop_t *loop, const char *socket);
/* Open requests are answered with USERS_TROUBLE. */
void dovecot_close(struct dovecot *d);
/* done is called once, now or later. */
void dovecot_check(struct dovecot *d, const struct dovecot_request *r,
                   void (*done)(void *ctx, enum users_answer), void *ctx);

#endif
