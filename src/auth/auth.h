/* Sender authentication of one message: SPF (HELO and MAIL FROM), DKIM and ARC at once, DMARC from
 * what they found. Publishes struct auth_facts in m->facts.auth; decides nothing.
 *
 * Everything is asynchronous over struct resolver and lives in the message's arena: m must stay
 * until done was called. The machines inside have one form each: X_start(..., done, ctx) begins,
 * done(ctx) comes exactly once, now or later; there is no cancelling (resolver.h).
 *
 * Limits are constants of the machines (spf.h, dmarc.h, dkim.h, arc.h); the sum of DNS questions
 * and of waiting for one message is the resolver's to bound. */
#ifndef GATEHOUSE_AUTH_AUTH_H
#define GATEHOUSE_AUTH_AUTH_H

#include "config/settings.h"
#include "message/message.h"

struct resolver;
struct auth;

/* Who handed the message to our side of the world: the SMTP client, or the last external relay when
 * mail comes over hosts that are trusted. Spans must live as long as the message. */
struct auth_client {
    bool has_ip; /* false: SPF is not run */
    struct ip ip;
    struct span helo;      /* absent: not known */
    struct span mail_from; /* empty: the null reverse-path */
    bool has_mail_from;
};

/* Starts the checks that the settings want. r must stay until done. */
typedef void auth_done(void *ctx);
struct auth *auth_start(const struct settings *set, const struct resolver *r, struct message *m,
                        const struct auth_client *client, auth_done *done, void *ctx);

#endif
