/* Facts + policy -> one decision for each group of recipients with the same policy, with reasons.
 * Pure: no I/O, no clock, no globals. */
#ifndef GATEHOUSE_VERDICT_VERDICT_H
#define GATEHOUSE_VERDICT_VERDICT_H

#include "config/settings.h"
#include "message/message.h"

struct decision {
    const struct policy *policy;
    uint32_t *rcpts; /* indexes into the envelope */
    size_t nrcpts;
    enum outcome outcome;
    bool spam; /* score >= the policy's required_score */
    double required;
    bool unscanned;     /* passed although a check could not run */
    const char *reason; /* "spam", "virus", "clean", "virus engine does not answer", ... */
    struct span detail; /* "score 17.2 >= 15.0", "Eicar-Test-Signature" */
};

struct verdict {
    struct decision *v;
    size_t n;
};

/* Groups the recipients by policy and decides for each group. Without an envelope (files) there is
 * one group without recipients under the default policy. */
void verdict_decide(const struct policies *p, const struct virus_settings *virus,
                    const struct message *m, struct arena *a, struct verdict *out);

/* Whether any recipient's policy wants the message scanned. */
bool verdict_wants_scan(const struct policies *p, const struct message *m);

/* "accept", "tag", ... */
const char *outcome_name(enum outcome o);

/* Whether a policy's patterns match an address: "user@dom", "@dom", ".dom" (dom and below), globs. */
bool address_matches(const char *pattern, struct span addr);

#endif
