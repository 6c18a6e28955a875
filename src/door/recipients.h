/* Which recipients in our domains exist: everybody, those in a file, or whom the next hop knows
 * (callout, with a cache and a catch-all test).
 *
 * File: "user@domain" or "@domain", lower or upper case; optional second word OK or ERROR:550 text.
 * user+extension@domain is looked up as written, then without the extension. */
#ifndef GATEHOUSE_DOOR_RECIPIENTS_H
#define GATEHOUSE_DOOR_RECIPIENTS_H

#include "config/settings.h"
#include "smtp/textmap.h"
#include "policy/domains.h"

struct recipients;

enum recipient_status {
    RECIPIENT_OK,
    RECIPIENT_UNKNOWN,
    RECIPIENT_REFUSED, /* reply holds what the file says */
    RECIPIENT_ASK,     /* ask the next hop, then recipients_learn */
    RECIPIENT_TROUBLE  /* the file could never be read */
};

struct recipients *recipients_open(const struct recipient_settings *set);
void recipients_free(struct recipients *r);
void recipients_refresh(struct recipients *r);
enum recipient_status recipients_check(struct recipients *r, const struct lookup *to, usec now,
                                       struct span *reply);

/* ---- callouts; now: monotonic ---- */

enum recipient_answer { ANSWER_YES, ANSWER_NO, ANSWER_LATER };
/* What the next hop said about an address; ANSWER_LATER is not kept. */
void recipients_learn(struct recipients *r, struct span addr, enum recipient_answer a, usec now);
/* Whether the domain takes any recipient at all is not known (any more): fills probe with an
 * address that can't exist; its answer is to be given to recipients_learn as well. A domain that
 * says yes to it is not asked about others until that answer is too old. */
enum { PROBE_SIZE = 300 };
bool recipients_probe(struct recipients *r, struct span domain, usec now, char probe[PROBE_SIZE]);

/* Checks one line of the file (smtp/textmap.h), for `gatehouse check`. */
int recipients_line(void *ctx, struct arena *arena, struct textmap_entry *e, struct err *why);

#endif
