/* Policy as a program: a script in Lua 5.4 that sees each message and says what is done
 * (docs/lua.md).
 *
 * One machine per scanner process. It has string, table, math and utf8; no io, no os, no debug, no
 * package, no way to load code. A limit on instructions holds for each message, one on memory for
 * the machine; whoever exceeds them has failed, and so has a script with an error: the outcome is
 * script.on_error, and the place of the error stands in the receipt. */
#ifndef GATEHOUSE_SCRIPT_SCRIPT_H
#define GATEHOUSE_SCRIPT_SCRIPT_H

#include "config/script.h"
#include "message/message.h"
#include "message/said.h"
#include "policy/parts.h"
#include "script/store.h"

struct script;

/* Reads and runs the file once. NULL with e: it can't be read, or fails ("policy.lua:3: ...").
 * store may be NULL: the script has none. */
struct script *script_new(const struct script_settings *set, struct script_store *store,
                          struct err *e);
void script_free(struct script *s);

/* Whether it looks at parts: then they are to be given. */
bool script_wants_parts(const struct script *s);

/* Calls relay, helo, sender, recipient (for each), begin, part and multipart (for each), finish,
 * wrapup; of the first four those that m->said has not asked. Fills out. On failure out->all is
 * what script.on_error says, and m->facts.skipped tells why. parts may be NULL when
 * script_wants_parts says no. */
void script_run(struct script *s, struct message *m, struct parts *parts, struct wishes *out);

/* What happens to a message when there is no machine to ask. */
void script_failed(const struct script_settings *set, struct message *m, const char *why,
                   struct wishes *out);

/* The callbacks that it has: bits of enum script_call. */
unsigned script_calls(const struct script *s);

/* One of relay, helo, sender and recipient (rcpt) at its own command; m: what is known by then.
 * What it wants lives in m's arena. 0, or -1 with e: it failed, and wants nothing. */
int script_stage(struct script *s, enum script_call call, struct message *m, struct span rcpt,
                 struct saying *out, struct err *e);

/* map(name, key): 1 with the value, 0 when the script knows none, -1 with e: it failed, or has
 * returned nil and why it can't tell. */
int script_map(struct script *s, struct span name, struct span key, struct arena *a,
               struct span *value, struct err *e);

/* tick(), when the script has it. -1 with e: it failed. */
int script_tick(struct script *s, struct err *e);

#endif
