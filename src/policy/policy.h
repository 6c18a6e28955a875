/* Policies, compiled, and which of them hold for a recipient, at each stage of a session.
 *
 * At an early stage much is not known: a condition that needs it is MATCH_LATER. A policy is taken
 * at a stage when all its conditions hold and none before it is open; so the door may refuse at
 * RCPT what a policy refuses by what is known there, and the scanner comes to the same end when it
 * sees the whole message.
 *
 * Used in the door (stages before the end) and in scanners. One set per process; not thread-safe.
 */
#ifndef GATEHOUSE_POLICY_POLICY_H
#define GATEHOUSE_POLICY_POLICY_H

#include "config/settings.h"
#include "message/message.h"
#include "policy/parts.h"

enum policy_stage { STAGE_CONNECT, STAGE_HELO, STAGE_MAIL, STAGE_RCPT, STAGE_END };

struct policy_set;

/* settings must outlive it. */
struct policy_set *policy_set_new(const struct settings *set);
/* Policies as they stand, without direction (nothing counts as ours): for tests. */
struct policy_set *policy_set_of(const struct policies *p);
void policy_set_free(struct policy_set *ps);
size_t policy_set_count(const struct policy_set *ps);
const struct policy *policy_set_get(const struct policy_set *ps, size_t i);
/* Files that it looks at are read again when they have changed. */
void policy_set_refresh(struct policy_set *ps);

/* Whether any policy asks for parts, or changes them: then parts_new is called for each message. */
bool policy_set_wants_parts(const struct policy_set *ps);
/* Whether any takes infected parts out: then the engine is to be asked which those are. */
bool policy_set_cleans(const struct policy_set *ps);
/* Types by content, loaded when it is asked for; NULL when no policy asks. */
struct magic *policy_set_magic(struct policy_set *ps);
/* Whether any policy could decide before the end of a message: else the door need not ask. */
bool policy_set_early(const struct policy_set *ps);

/* What is known at a stage. Zeroed members are unknown. */
struct policy_view {
    enum policy_stage stage;
    const struct peer *peer;
    struct span from, rcpt;          /* rcpt absent: a message without envelope */
    const struct message *m;         /* at the end */
    const struct rules_facts *rules; /* what the rules say for the recipient, at the end */
    struct parts *parts;             /* at the end, when wanted */
    signed char *content;            /* remembered answers, one for each policy; NULL: none are */
};
/* For a whole message, at the end; one for all recipients. */
struct policy_view policy_view_of(const struct policy_set *ps, const struct message *m,
                                  struct parts *parts, struct arena *a);

/* Recipients may have rules of their own: whose count from now on. */
void policy_view_judge(const struct policy_set *ps, struct policy_view *v,
                       const struct rules_facts *rules);

enum match { MATCH_NO, MATCH_YES, MATCH_LATER };
/* why (may be NULL): the name of the condition that does not hold or is not known. */
enum match policy_match(const struct policy_set *ps, size_t i, const struct policy_view *v,
                        const char **why);

/* The first decision that is certain at this stage: its policy and action (reject, defer, discard),
 * or NULL: go on. */
const struct policy *policy_early(const struct policy_set *ps, const struct policy_view *v,
                                  const struct policy_action **action);

/* Whether a part is one that the policy's `parts` mean. */
bool policy_means_part(const struct policy_set *ps, size_t i, struct parts *parts,
                       struct part_facts *part);

/* The stage at which the last of its conditions is known. */
enum policy_stage policy_stage_of(const struct policy *p);
/* "connect", "helo", "mail", "rcpt", "end" */
const char *policy_stage_name(enum policy_stage s);

/* Policies that can never be taken, or never do what they say: told with a sentence each.
 * setting: "policies[2].do". */
typedef void policy_lint_fn(void *ctx, const char *setting, const char *text);
void policy_lint(const struct settings *set, policy_lint_fn *tell, void *ctx);

#endif
