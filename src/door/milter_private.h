/* What the files of milter mode share. */
#ifndef GATEHOUSE_DOOR_MILTER_PRIVATE_H
#define GATEHOUSE_DOOR_MILTER_PRIVATE_H

#include "door/door_private.h"
#include "milter/session.h"

struct milter_conn {
    struct milter_conn *next, *prev;
    struct gate *gate;
    struct door *door;
    struct stream *stream;
    int tcp; /* its descriptor, which the stream owns; -1: a Unix socket */
    struct milter_session session;
    struct txn *txn;
    char id[ID_SIZE];
    /* The MTA's client. */
    struct ip ip;
    uint16_t port;
    bool has_ip;
    const char *discard; /* why its messages are dropped, or NULL */
    char *unheard;       /* refusal at HELO, whose reply the MTA did not wait for; or NULL */
    struct hearing hearing;
    char *name, *helo; /* heap; NULL when unknown */
    bool leaving;
    usec opened;
    uint64_t messages, refused;
    struct guest *guest; /* the MTA's client, when it is a stranger; else NULL */
    bool guest_waits;    /* a recipient waits for what is being asked about the client */
    const char *ending;
};

/* A header field as it stands in our copy of the message. */
struct milter_field {
    struct span name;
    uint64_t at, size; /* with its line end */
};

/* What milter mode knows about a message; in the transaction's arena. */
struct milter_message {
    struct milter_field *fields;
    size_t n, cap;
    struct buf head; /* the header until it is complete */
    uint64_t blank;  /* offset of the blank line */
    bool too_large;
    enum reply_id too_large_why;
    /* The decision. */
    enum milter_verdict verdict;
    struct span text; /* instead of the verdict; or absent */
    struct buf edits; /* packets that go in front of it */
    unsigned code;
};

/* The message is over: what it holds outside the arena. */
void milter_message_free(struct milter_message *m);

/* milter_envelope.c: what the session asks (struct milter_host), and what the script has said. */
void milter_connect(void *ctx, struct span name, const struct ip *ip, uint16_t port);
void milter_helo(void *ctx, struct span name);
void milter_mail(void *ctx, struct span addr, struct span args);
void milter_rcpt(void *ctx, struct span addr, struct span args);
void milter_heard(void *ctx, enum script_call call, enum heard what, struct span reply,
                  const struct saying *says);
/* A reply of the table as answer. */
void milter_answer_row(struct milter_conn *c, enum reply_id id, const char *detail);

/* milter_edits.c: appends the operations that turn the MTA's copy into the edited message (see
 * milter/edit.h for their order). false: something can't be said in this protocol, or the MTA does
 * not allow it; what can be is appended nevertheless. */
bool milter_edits(struct buf *out, const struct txn *t, const struct splices *edits);

/* milter_recipients.c: appends what becomes of the envelope: recipients that do not get the message
 * are taken off, those that SRS or BATV had changed get their own address, policies add others and
 * change the sender, and so do SRS and BATV. */
void milter_envelope_edits(struct buf *out, struct txn *t);
/* Whether this MTA allows what is to be done to the recipients: some may have to be taken off, some
 * to get another address. */
bool milter_may_split(const struct txn *t);
/* Accepted, tagged or cleaned. */
bool milter_gets_it(const struct group *g);

#endif
