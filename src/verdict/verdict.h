/* Facts + policy -> one decision for each group of recipients with the same policy, with reasons.
 * Pure: no I/O, no clock, no globals.
 *
 * How a group is decided, in this order:
 *   1. policy->scan == false: accept.
 *   2. A virus was found: on_virus, when that stops the message (hold, reject, defer, discard).
 *   3. Spam, and the outcome for it is final (reject, discard): that. What could not run would not
 *      make it better.
 *   4. A check could not run: defer, hold, or pass marked as unscanned, as declared. Checks: the
 * virus engine (settings.virus, on_*) and the rules (a skipped check "rules": defer).
 *   5. Spam: hold or tag. A virus that on_virus lets pass: accept or tag.
 *   6. accept.
 * A check that the configuration turns off is not "skipped": it is never listed in facts.skipped.
 */
#ifndef GATEHOUSE_VERDICT_VERDICT_H
#define GATEHOUSE_VERDICT_VERDICT_H

#include "config/settings.h"
#include "message/message.h"

struct decision {
    const struct policy *policy;
    const struct opinion *opinion; /* NULL: the message's own facts */
    uint32_t *rcpts;               /* indexes into the envelope, ascending */
    size_t nrcpts;
    enum outcome outcome;
    bool spam; /* score >= the policy's required_score */
    double required;
    bool unscanned;     /* passed although a check could not run */
    const char *reason; /* "spam", "virus", "clean", "virus engine does not answer", ... */
    struct span detail; /* "score 17.2 >= 15.0", "Eicar-Test-Signature"; may be absent */
};

struct verdict {
    struct decision *v; /* in order of their first recipients */
    size_t n;
};

/* Groups the recipients by policy and preferences and decides for each group. Without an envelope
 * (files) there is one group without recipients under the default policy. */
void verdict_decide(const struct policies *p, const struct virus_settings *virus,
                    const struct message *m, struct arena *a, struct verdict *out);

/* Whether any recipient's policy wants the message scanned. */
bool verdict_wants_scan(const struct policies *p, const struct message *m);

/* "accept", "tag", ... */
const char *outcome_name(enum outcome o);

/* Why a virus engine did not look at the message, in words of the user; NULL when it did. */
const char *virus_why_unscanned(enum virus_state s);

/* Whether a policy's pattern matches an address, ASCII case folded: "user@dom", "@dom" or "dom",
 * ".dom" (dom and everything below), "user@" (in any domain), "<>" (the null sender), or a glob
 * over the whole address with * and ?. */
bool address_matches(const char *pattern, struct span addr);

/* A glob with * and ? over bytes, ASCII case folded. */
bool glob_matches(struct span glob, struct span text);

#endif
