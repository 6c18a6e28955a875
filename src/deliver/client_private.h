/* The client's state, shared by client.c (the connection), transaction.c (one message over it) and
 * commands.c (MAIL and RCPT). */
#ifndef GATEHOUSE_DELIVER_CLIENT_PRIVATE_H
#define GATEHOUSE_DELIVER_CLIENT_PRIVATE_H

#include "deliver/client.h"
#include "smtp/reply.h"

enum { READ_PIECE = 64 * 1024, TEXT_MAX = 512, BODY_HIGH = 128 * 1024 };

/*   GREETING -> EHLO [-> HELO] [-> STARTTLS -> HANDSHAKE -> EHLO] -> IDLE
 *   IDLE -> COMMANDS -> BODY -> FINAL -> IDLE      IDLE -> QUITTING
 *   any -> ENDED */
enum client_state {
    GREETING,
    EHLO,
    HELO,
    STARTTLS,
    HANDSHAKE,
    IDLE,
    COMMANDS, /* RSET, MAIL, RCPT, DATA are out or to be sent */
    BODY,     /* 354 was given, bytes flow */
    FINAL,    /* the dot is sent */
    QUITTING,
    ENDED
};

struct extensions {
    bool pipelining, size, body8, utf8, dsn, starttls, requiretls;
    uint64_t size_max;
};

struct client {
    struct stream *s;
    struct client_options o;
    struct client_events ev;
    void *ctx;
    enum client_state state;
    struct extensions ext;
    bool need_reset, connected;
    struct client_tls tls;
    struct ssl_st *ssl; /* the stream's, while it lives */
    struct buf out;
    /* the transaction */
    struct transaction *t;
    size_t steps, sent, answered; /* commands of COMMANDS */
    bool mail_ok;
    size_t accepted, finals; /* recipients; final replies seen (LMTP) */
    uint64_t body_at;
    uint32_t crc;
    unsigned wire;
};

/* client.c */
void client_end(struct client *c, enum client_end how, struct span why);
/* The connection is of no more use; what this means depends on the state. why: as a reply. */
void client_fail(struct client *c, struct span why);
/* Sends what is in c->out. */
void client_flush(struct client *c, usec deadline);

/* transaction.c */
/* Recipients without a last word get this one. */
void client_answer_rest(struct client *c, enum answer_class class, struct span text);
void client_send_body(struct client *c);
void client_step_reply(struct client *c, const struct smtp_reply *r);
void client_final_reply(struct client *c, const struct smtp_reply *r);
/* The message is answered, the connection idle. */
void client_done(struct client *c);

/* commands.c: appends the command with the parameters that this server understands. */
void client_add_mail(struct client *c);
void client_add_rcpt(struct client *c, const struct rcpt *r);
/* What this server can't take at all is known without asking it: the answer, or NULL. */
const char *client_impossible(const struct client *c, const struct transaction *t);

#endif
