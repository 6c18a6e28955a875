/* MTA-STS (RFC 8461): which exchangers a domain says are its own, and that they have trusted
 * certificates. Policies are fetched over HTTPS when the domain's TXT record names a new one, and
 * kept in <state>/mta-sts.kv for as long as they say, over restarts.
 *
 * A domain without a record, or whose policy can't be had, has no policy, unless one that was kept
 * still holds: an attacker who takes the record away changes nothing (section 5.1). A fetch that
 * failed is not repeated for STS_RETRY. */
#ifndef GATEHOUSE_DELIVER_STS_H
#define GATEHOUSE_DELIVER_STS_H

#include "config/settings.h"
#include "deliver/sts_policy.h"
#include "dns/dns.h"

#define STS_RETRY ((usec)300 * USEC_PER_SEC)

struct sts;

struct sts *sts_new(uv_loop_t *loop, const struct settings *set, struct dns *dns);
/* Told about each policy that can't be had: result is a type of RFC 8460 section 4.3.2.1. */
typedef void sts_failed(void *ctx, struct span domain, const char *result, const char *why);
void sts_on_failure(struct sts *s, sts_failed *failed, void *ctx);
/* Nothing may be asked any more. */
void sts_free(struct sts *s);
/* Once a second. */
void sts_tick(struct sts *s);

/* policy: NULL when there is none; valid during the call. Called once, never from inside. */
typedef void sts_done(void *ctx, const struct sts_policy *policy);
void sts_ask(struct sts *s, struct span domain, sts_done *done, void *ctx);

#endif
