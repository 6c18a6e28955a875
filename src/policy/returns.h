/* For whom a sender becomes what SRS or BATV make of it (auth/returnpath.h): settings and domains
 * of ours decide. For deliveries of our own, and for MTAs that deliver themselves. */
#ifndef GATEHOUSE_POLICY_RETURNS_H
#define GATEHOUSE_POLICY_RETURNS_H

#include "auth/returnpath.h"
#include "policy/domains.h"

/* What the sender can become for recipients elsewhere. r may be NULL. */
enum returnpath_kind returns_kind(const struct returnpath *r, const struct domains *d,
                                  struct arena *a, struct span sender);
/* Where a recipient is. RETURNS_ELSEWHERE: it should see the changed sender. RETURNS_EXEMPT:
 * elsewhere, but wants it as it is (srs.exempt_recipients, batv.unsigned_to). */
enum returns_place { RETURNS_OURS, RETURNS_EXEMPT, RETURNS_ELSEWHERE };
enum returns_place returns_place(const struct settings *set, const struct domains *d,
                                 enum returnpath_kind kind, struct span rcpt);
/* Whether the client is one of us, so that bounces to the sender are ours. */
bool returns_by_us(const struct settings *set, const struct peer *p);

#endif
