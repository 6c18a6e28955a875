/* A question of a scanner's client (spamd, rspamd): its message goes the way of all messages
 * (passage.c), is on record, and comes back as an answer; nothing of it is queued or held here. */
#ifndef GATEHOUSE_DOOR_JUDGE_H
#define GATEHOUSE_DOOR_JUDGE_H

#include "door/door_private.h"
#include "rspamd/reply.h"
#include "rspamd/request.h"

/* Part of the session; answered is called once for each judge_run, now or later. */
struct judge {
    struct gate *gate;
    struct txn *txn;
    char session[ID_SIZE];
    /* NULL: txn->result is there and txn->result.answer.judged (or it was a lesson). Otherwise why
     * not: try again. */
    void (*answered)(struct judge *j, const char *why_not);
};

/* Whether a client may ask at all: allow_from of the listener; who comes by a Unix socket may. */
bool judge_allows(const struct gate *g, int fd);

/* Begins a message. want: bits of enum scan_want. protocol: for the record. false: no resources. */
bool judge_open(struct judge *j, struct gate *g, unsigned want, const char *protocol);
/* Who sends to whom, from where; without any of it the message is judged as a file. */
void judge_envelope(struct txn *t, const struct rspamd_request *r);
void judge_content(struct judge *j, struct span bytes);
/* It is a lesson: no verdict is asked for. teach: bits of enum scan_teach. */
void judge_teaches(struct judge *j, unsigned teach);
/* What became of a lesson, after answered without why_not: bits of enum scan_taught. */
unsigned judge_taught(const struct judge *j);
/* The message is complete. */
void judge_run(struct judge *j);
/* The session is over or has its answer; takes back what is in work. */
void judge_close(struct judge *j);

/* The outcome that counts, after answered without why_not. */
enum outcome judge_outcome(const struct judge *j);
/* In rspamd's words: "no action", "add header", "rewrite subject", "reject", ... */
const char *judge_action(const struct judge *j);
/* The message, until judge_unmap; SPAN_NONE when it can't be mapped. */
struct span judge_map(const struct judge *j);
void judge_unmap(struct span raw);

/* judge_headers.c: edits of the header in rspamd's words. subject: its new value, or absent. */
struct rspamd_header *judge_headers(struct arena *a, struct span raw, const struct splices *edits,
                                    size_t *n, struct span *subject);

/* For passage.c: the answer to a lesson is there. */
void judge_learned(struct txn *t, enum reply_id id);
/* For passage.c: the answer is there. */
void judge_finish(struct txn *t, enum reply_id id);

/* spamd.c */
void spamd_open(struct gate *g, int fd);
void spamds_leave(struct door *d);

/* rspamd.c: HTTP. */
void rspamd_start(struct gate *g);
void rspamd_open(struct gate *g, int fd);
/* Idle connections end at once, the others after their answer. */
void rspamd_leave(struct gate *g);

#endif
