/* Facts + policy -> one decision for each group of recipients with the same policies, with reasons.
 * No I/O, no clock, no globals.
 *
 * How a group is decided, in this order:
 *   0. An action of its policy decides: reject, defer, discard, hold: that. accept, tag: as below,
 *      but spam does not stop it.
 *   1. policy->scan == false: accept.
 *   2. A virus was found: on_virus, when that stops the message (hold, reject, defer, discard).
 *      clean, as on_virus or as an action: the infected parts go; what can't be cleaned is held.
 *   3. Sender authentication asks for an outcome that stops the message (facts.auth.order).
 *   4. Spam, and the outcome for it is final (reject, discard): that. What could not run would not
 *      make it better.
 *   5. A check could not run: defer, hold, or pass marked as unscanned, as declared. Checks: the
 * virus engine (settings.virus, on_*), the rules (a skipped check "rules": defer), and the services
 * of room digests whose on_error is not pass (facts.digests.failed).
 *   6. Spam: hold or tag. A virus that on_virus lets pass: clean, accept or tag. Sender
 *      authentication: tag.
 *   7. accept.
 * A check that the configuration turns off is not "skipped": it is never listed in facts.skipped.
 */
#ifndef GATEHOUSE_VERDICT_VERDICT_H
#define GATEHOUSE_VERDICT_VERDICT_H

#include "config/script.h"
#include "policy/address.h"
#include "policy/policy.h"

/* A policy that holds for a group, and the parts that its `parts` mean. */
struct applied {
    const struct policy *policy;
    bool script;     /* made by a script for this message */
    const char *why; /* what made it hold, for the receipt: "parts: invoice.exe"; or NULL */
    struct part_facts **parts;
    size_t nparts;
};

struct decision {
    const struct policy *policy; /* the last one of `applied` */
    struct applied *applied;     /* in order; never empty */
    size_t napplied;
    struct parts *parts;           /* of the message, when any policy wants them; or NULL */
    const struct opinion *opinion; /* NULL: the message's own facts */
    uint32_t *rcpts;               /* indexes into the envelope, ascending */
    size_t nrcpts;
    enum outcome outcome;
    bool spam; /* score >= the policy's required_score */
    double required;
    bool unscanned;     /* passed although a check could not run */
    const char *reason; /* "spam", "virus", "clean", "virus engine does not answer", ... */
    const struct policy_action *order; /* what decided, when an action did; or NULL */
    const struct policy_action *clean; /* the infected parts go, with this text; or NULL */
    struct span detail; /* "score 17.2 >= 15.0", "Eicar-Test-Signature"; may be absent */
};

struct verdict {
    struct decision *v; /* in order of their first recipients */
    size_t n;
};

/* Groups the recipients by the policies that hold and their preferences, and decides for each
 * group. Without an envelope (files) there is one group without recipients. parts: of m, when
 * policy_set_wants_parts; or NULL.
 */
void verdict_decide(const struct policy_set *ps, const struct virus_settings *virus,
                    const struct message *m, struct parts *parts, const struct wishes *script,
                    struct arena *a, struct verdict *out);

/* Whether any recipient's policy wants, or may want, the message scanned. */
bool verdict_wants_scan(const struct policy_set *ps, const struct message *m, struct arena *a);

/* Whether a policy of the group insists on changing signed and encrypted parts. */
bool decision_touches_signed(const struct decision *d);

/* "accept", "tag", ... */
const char *outcome_name(enum outcome o);

/* Why a virus engine did not look at the message, in words of the user; NULL when it did. */
const char *virus_why_unscanned(enum virus_state s);

#endif
