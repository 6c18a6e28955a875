/* Sender authentication of one message: SPF (HELO and MAIL FROM), DKIM and ARC at once, DMARC from
 * what they found. Publishes struct auth_facts in m->facts.auth, and what the settings say about it
 * (auth_facts.order); the verdict decides.
 *
 * Everything is asynchronous over struct resolver and lives in the message's arena: m must stay
 * until done was called. The machines inside have one form each: X_check(..., done, ctx) begins,
 * done(ctx) comes exactly once, now or later; there is no cancelling (resolver.h).
 *
 * Limits are constants of the machines (spf.h, dmarc.h, dkim.h); the sum of DNS questions and of
 * waiting for one message is the resolver's to bound. */
#ifndef GATEHOUSE_AUTH_AUTH_H
#define GATEHOUSE_AUTH_AUTH_H

#include "auth/resolver.h"
#include "config/settings.h"
#include "message/message.h"

/* What a process keeps for all its messages. */
struct auth;
struct auth *auth_new(const struct settings *set);
void auth_free(struct auth *a);

/* Who handed the message to our side of the world: the SMTP client, or the last external relay when
 * mail comes over hosts that are trusted. Spans must live as long as the message. */
struct auth_client {
    bool has_ip; /* false: SPF is not run */
    struct ip ip;
    struct span helo;      /* absent: not known */
    struct span mail_from; /* empty: the null reverse-path */
    bool has_mail_from;
};

/* The client of a message that has an envelope. false: it is one of our own (authenticated, on
 * loopback, or in relay.networks); what our users send is not checked. */
bool auth_client_of(const struct settings *set, const struct message *m, struct auth_client *out);

/* Runs the checks that the settings want. r and client must stay until done. */
void auth_message(struct auth *a, const struct resolver *r, struct message *m,
                  const struct auth_client *client, void (*done)(void *ctx), void *ctx);

#endif
