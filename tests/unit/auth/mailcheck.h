/* Runs the checks of signatures over a text of the test, with keys from a table. */
#ifndef GATEHOUSE_TESTS_AUTH_MAILCHECK_H
#define GATEHOUSE_TESTS_AUTH_MAILCHECK_H

#include "auth/dkim.h"
#include "zone.h"

struct mailcheck {
    struct dkim *dkim;
    struct settings set;
    struct zone zone;
    struct message *m;
    unsigned done;
};

static inline void mailcheck_open(struct mailcheck *c)
{
    memset(c, 0, sizeof *c);
    c->dkim = dkim_new();
    c->set.dkim.minimum_bits = 1024;
    zone_new(&c->zone);
    c->m = message_new((size_t)64 << 20);
}

static inline void mailcheck_close(struct mailcheck *c)
{
    message_free(c->m);
    zone_free(&c->zone);
    dkim_free(c->dkim);
}

static inline void mailcheck_done(void *ctx)
{
    ((struct mailcheck *)ctx)->done++;
}

/* now: seconds since 1970. */
static inline const struct auth_facts *mailcheck(struct mailcheck *c, struct span raw, usec now)
{
    message_reset(c->m);
    c->done = 0;
    c->m->raw = raw;
    c->m->received = now * USEC_PER_SEC;
    dkim_check(c->dkim, &c->set, &c->zone.resolver, c->m, mailcheck_done, c);
    zone_run(&c->zone);
    c->m->raw = SPAN_NONE;
    return &c->m->facts.auth;
}

#endif
