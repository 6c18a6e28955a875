/* Carries out a decision: which bytes change, what the sender is told, what is written down.
 * Nothing here writes; it makes splices and texts, in the arena. */
#ifndef GATEHOUSE_ACTION_ACTION_H
#define GATEHOUSE_ACTION_ACTION_H

#include "message/delivery.h"
#include "mime/splice.h"
#include "verdict/verdict.h"

struct conf; /* rules/conf.h */

/* The trace header field (Received, RFC 5321 section 4.4) with its line end (CRLF or LF as the
 * message has), in the arena. The flow puts it in front of the bytes that rules see (they expect
 * the gateway's own Received on top, as behind any MTA); action_edits inserts the same text. Empty
 * for a message without envelope (a file) and for one that is stamped already. No `for` clause. */
struct span action_trace(const struct settings *set, const struct message *m, struct arena *a);

/* The edits of one group: Authentication-Results and Received-SPF, the trace header (Received; an
 * MTA in front of us, peer.behind_mta, adds its own), removal of forged copies of our own headers
 * (X-Spam-*, X-Virus-Status, X-Gatehouse-*, and Authentication-Results with our name), our own
 * headers, the subject tag. Line ends as the message has them; every other byte stays as it is. The
 * list is sorted. conf: of the rules that ran (ruleset_conf), for the headers they ask for; NULL
 * when none did. Returns whether a part was taken out, so that the original is to be kept. */
bool action_edits(const struct settings *set, const struct conf *conf, const struct message *m,
                  const struct decision *d, struct arena *a, struct splices *out);

/* What the policies' `do:` and the script change alone, without fields of our own: for those who
 * mark the message in another way (spamd's PROCESS). Returns as action_edits; out is empty when
 * they change nothing. */
bool action_policy_edits(const struct settings *set, const struct message *m,
                         const struct decision *d, struct arena *a, struct splices *out);

/* What the policies of a group change of its envelope. keep is set by `keep` alone; a part that was
 * taken out (action_edits) is a reason too. */
struct delivery action_delivery(const struct decision *d, struct arena *a);

/* The messages beside it: copies for archives, notices. None when the message is deferred. */
struct mails action_mails(const struct settings *set, const struct message *m,
                          const struct verdict *v, struct arena *a);

/* The SMTP reply for a group, one line without line end: "250 2.0.0 accepted as ID",
 * "550 5.7.1 ... (ID)", "451 4.7.1 ... (ID)". What is held or discarded is answered like what is
 * accepted. Printable ASCII, at most 400 bytes. */
struct span action_reply(const struct message *m, const struct decision *d, struct arena *a);

/* The reply of an action (reject, defer) before there is a message: one line, valid as
 * action_reply's. rcpt may be absent. */
struct span action_early_reply(const struct policy *p, const struct policy_action *x,
                               const struct peer *peer, struct span from, struct span rcpt,
                               struct arena *a);

/* The verdict receipt: one JSON object with everything that led to the decision, in the arena.
 * Always valid UTF-8: other bytes of the message are shown as U+FFFD. docs/receipt.md tells its
 * members. */
struct span action_receipt(const struct settings *set, const struct message *m,
                           const struct verdict *v, uint64_t micros, struct arena *a);

#endif
