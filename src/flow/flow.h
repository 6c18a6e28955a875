/* Runs a message through the stages: analysers (virus engine asked first, rules while it works),
 * then verdict, then edits and receipt. Knows the order; the rooms below do not.
 *
 * One flow per scanner process; several messages may be in flight on its loop. */
#ifndef GATEHOUSE_FLOW_FLOW_H
#define GATEHOUSE_FLOW_FLOW_H

#include "flow/frames.h"
#include "rules/ruleset.h"
#include "verdict/verdict.h"
#include "virus/virus.h"

#include <uv.h>

struct flow;

/* rs and virus may be NULL (then these checks are skipped, and say so). */
struct flow *flow_new(uv_loop_t *loop, const struct settings *set, const struct ruleset *rs,
                      struct virus_pool *virus);
void flow_free(struct flow *f);
/* Another script than the settings name; script must outlive the flow. */
void flow_script(struct flow *f, const struct script_settings *script);

/* What the process remembers between messages, for the script. */
struct kv;
void flow_memory(struct flow *f, struct kv *memory);

/* The script's callbacks that are asked before a message: bits of enum script_call; and one of them
 * (m: a message without bytes, in whose arena the answer lives). */
unsigned flow_script_calls(const struct flow *f);
void flow_script_stage(struct flow *f, struct message *m, const struct script_request *q,
                       struct script_result *out);

/* Adds up where the rules spend their time (rules/ruleset.h); NULL: no longer. */
void flow_profile(struct flow *f, struct rules_profile *total);

/* The same preferences for every message, instead of those that the settings lead to. */
struct rules_prefs;
void flow_prefs(struct flow *f, const struct rules_prefs *prefs);

/* Analyses m (fd: its bytes, for engines that take a descriptor; -1: none). done is called once,
 * now or later, with the facts in place and the verdict decided. m stays the caller's. */
typedef void flow_done(void *ctx, struct message *m, const struct verdict *v, uint64_t micros);
void flow_run(struct flow *f, struct message *m, int fd, flow_done *done, void *ctx);

/* Reads m for a lesson (flow/teaching.h), in m's arena; SPAN_NONE when that takes too much memory
 * or time (why), or nothing learns (*why is NULL). teach: one of TEACH_SPAM, TEACH_HAM,
 * TEACH_FORGET. */
struct span flow_lesson(struct flow *f, struct message *m, enum scan_teach teach, const char **why);
/* Tells Pyzor, Razor and DCC, as far as they are configured, about m. done: how many took it. */
typedef void flow_reported(void *ctx, size_t took);
void flow_report(struct flow *f, struct message *m, bool wanted, flow_reported *done, void *ctx);

/* The scan result frame of a finished message. */
void flow_result(const struct flow *f, struct message *m, const struct verdict *v, uint64_t micros,
                 struct scan_result *out);

#endif
