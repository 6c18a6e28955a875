/* The policy script at the commands of a session. The door runs no script: it asks a scanner, in
 * whose cage and limits the script is, and goes on with other sessions meanwhile. A question whose
 * scanner dies is put to another one, once; one that is not answered within script.timeout has
 * failed, and script.on_error says what that means. */
#ifndef GATEHOUSE_DOOR_SCRIPT_H
#define GATEHOUSE_DOOR_SCRIPT_H

#include "door/asks.h"
#include "flow/frames.h"

struct door;
struct scanner;
struct script_ask;
struct script_asks {
    struct script_ask *first, *last;
};

/* Whether the script has the callback, or may have it: no scanner has told yet. */
bool script_has(const struct door *d, enum script_call call);
/* done is called once, later. What the answer holds lives in an arena that lives as long as the
 * call. */
typedef void script_answered(void *ctx, const struct script_result *r);
struct script_ask *script_ask(struct door *d, const struct script_request *r, script_answered *done,
                              void *ctx);
/* Nobody wants the answer any more. NULL is fine. */
void script_forget(struct script_ask *q);

/* ---- for links.c ---- */

/* A scanner has told which callbacks there are: what waits is sent. */
void script_told(struct door *d, struct scanner *s, unsigned calls);
/* These end the ask. */
void script_scanned(struct door *d, struct ask *a, struct span payload);
void script_scanner_lost(struct door *d, struct ask *a);
void script_expire(struct door *d, usec now);

/* ---- what was said in a session ---- */

enum heard { HEARD_NOTHING, HEARD_REFUSAL, HEARD_DISCARD };

/* One of a session. What relay() and helo() want is kept for the messages that follow. */
struct hearing {
    struct script_ask *ask; /* a question is open */
    enum script_call call;  /* which */
    struct arena *arena;    /* of a transaction: where the answer goes; NULL: none is open */
    unsigned asked;
    bool discard, hold, decided; /* hold: the script failed; decided: it accepts, tags or holds */
    struct buf relay, helo;      /* saying_encode */
    size_t bytes;                /* of all that is said about the message in hand */
    /* The answer. reply: a whole one, for a refusal; valid during the call. says: in the arena. */
    void (*heard)(void *ctx, enum script_call call, enum heard what, struct span reply,
                  const struct saying *says);
    void *ctx;
    struct door *door;
    char id[ID_SIZE]; /* of what is asked about */
};

/* true: it is being asked, heard() follows, later. from, to: as in struct script_request. a: of the
 * transaction, or NULL. */
bool hearing_ask(struct hearing *h, enum script_call call, const char *id, const struct peer *peer,
                 struct span from, struct span to, struct arena *a);
/* Another client, another HELO: what was said about the one before is forgotten. */
void hearing_client(struct hearing *h);
void hearing_helo(struct hearing *h);
/* A message begins: it inherits what was said so far. */
void hearing_message(struct hearing *h, struct said *said, struct arena *a);
/* The session is over. */
void hearing_end(struct hearing *h);

#endif
