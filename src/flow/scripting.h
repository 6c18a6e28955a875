/* The script in a scanner: started with it, asked about each message, ticking. */
#ifndef GATEHOUSE_FLOW_SCRIPTING_H
#define GATEHOUSE_FLOW_SCRIPTING_H

#include <uv.h>

#include "flow/frames.h"
#include "script/script.h"

struct scripting;

/* NULL: there is no script. One that can't be used is told in the log, and to each message. */
struct scripting *scripting_new(uv_loop_t *loop, const struct settings *set,
                                const struct script_settings *script);
/* The loop must turn once more. */
void scripting_free(struct scripting *x);
/* All of these take NULL. */
/* What it remembers with before any message has come: tick() may be first. */
struct kv;
void scripting_memory(struct scripting *x, struct kv *memory);
bool scripting_wants_parts(const struct scripting *x);
struct magic *scripting_magic(const struct scripting *x);
/* Bits of enum script_call. */
unsigned scripting_calls(const struct scripting *x);
/* A callback at its own command; m is a message without bytes. */
void scripting_stage(struct scripting *x, struct message *m, const struct script_request *q,
                     struct script_result *out);
void scripting_ask(struct scripting *x, struct message *m, struct parts *parts, struct wishes *out);

#endif
