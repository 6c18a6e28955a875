/* The server side of an SMTP session as a machine: bytes in, replies out, questions to its owner.
 * No sockets, no clock, no memory but the struct (and, while AUTH runs, its buffers).
 *
 * The owner feeds what arrived (smtp_input), and answers the questions of struct smtp_host with
 * smtp_answer, at once or later; until then the machine takes no further input, which keeps replies
 * in order under PIPELINING.
 *
 *     START --HELO/EHLO--> READY --MAIL--> MAIL --RCPT--> RCPT --DATA, BDAT LAST--> READY
 *                                                          '--BDAT--> CHUNKS --BDAT LAST--> READY
 *
 * Invariant: `reset` of the host is called exactly once for every MAIL that was answered with 2xx,
 * whatever ended the transaction (end of data, any refusal of it, RSET, HELO, QUIT, STARTTLS, the
 * end of the session): no state of one transaction is seen by the next (Postfix 2026-08-03). */
#ifndef GATEHOUSE_SMTP_SESSION_H
#define GATEHOUSE_SMTP_SESSION_H

#include "smtp/data.h"
#include "smtp/params.h"
#include "smtp/path.h"
#include "smtp/reply.h"
#include "smtp/sasl.h"
#include "smtp/xclient.h"

struct smtp_limits {
    uint64_t message_size, header_bytes, hops; /* bytes, bytes, Received fields */
    uint64_t recipients;                       /* accepted in one transaction */
    uint64_t errors, transactions;             /* in one session */
    uint64_t commands;                         /* in one session, that bring no message forward */
    uint64_t line_length;                      /* bytes of a command line */
    uint64_t bdat_chunks;                      /* in one message */
};

enum { SMTP_HELO_MAX = 255 };

/* What this session offers; the owner sets it and may change it between commands. */
struct smtp_policy {
    const char *hostname, *banner;
    bool tls_offered, tls_required;
    bool auth_offered, auth_required, auth_plaintext; /* plaintext: without TLS */
    bool xclient;
    bool normalise; /* bare CR and LF in data are normalised instead of refused */
};

struct smtp_host {
    void (*send)(void *ctx, struct span bytes);
    /* Answer 2xx or not. The structs are valid during the call. */
    void (*mail)(void *ctx, const struct smtp_path *from, const struct mail_params *params);
    void (*rcpt)(void *ctx, const struct smtp_path *to, const struct rcpt_params *params);
    /* Content is about to come: R_DATA_GO, or why not. No smtp_answer. */
    enum reply_id (*begin)(void *ctx);
    void (*content)(void *ctx, struct span bytes);
    void (*end)(void *ctx); /* all content was there: answer */
    void (*reset)(void *ctx);
    /* Answer R_EHLO (the machine says what this session offers), or why not. */
    void (*helo)(void *ctx, struct span name, bool esmtp);
    /* Answer R_AUTH_OK, R_AUTH_BAD or R_AUTH_LATER. user and password die with the call. */
    void (*auth)(void *ctx, const char *user, const char *password, size_t password_n);
    /* Sent 220: begin the handshake, then call smtp_secured. */
    void (*starttls)(void *ctx);
    void (*xclient)(void *ctx, const struct xclient *x);
    void (*close)(void *ctx); /* send what is queued, then close */
};

enum smtp_state { SMTP_START, SMTP_READY, SMTP_MAIL, SMTP_RCPT, SMTP_CHUNKS };
enum smtp_wait { WAIT_NONE, WAIT_HELO, WAIT_MAIL, WAIT_RCPT, WAIT_END, WAIT_AUTH, WAIT_TLS };
enum smtp_fault { FAULT_PIPELINED = 1, FAULT_NOT_SMTP = 2, FAULT_BARE_LINE_END = 4, FAULTS = 8 };
enum smtp_content { CONTENT_NONE, CONTENT_DATA, CONTENT_CHUNK };

struct smtp_session {
    const struct smtp_limits *limits;
    const struct smtp_policy *policy;
    const struct smtp_host *host;
    void *ctx;
    uint8_t state, wait, content; /* enums above */
    bool esmtp, secure, authenticated, closed, leaving;
    bool smtputf8;
    bool skipping;  /* the rest of a line that is too long */
    uint8_t faults; /* enum smtp_fault: what no mail server does */
    uint64_t commands, errors, transactions, rcpts;
    /* The message in hand. */
    struct smtp_data data;
    struct head_watch head;
    uint64_t size, swallowed, chunk_left, chunks;
    bool chunk_last;
    enum reply_id refused; /* what its end will be answered with; 0: nothing wrong so far */
    struct sasl *sasl;
};

void smtp_begin(struct smtp_session *s, const struct smtp_limits *limits,
                const struct smtp_policy *policy, const struct smtp_host *host, void *ctx);
/* Sends the greeting. */
void smtp_greet(struct smtp_session *s);
/* Refuses the session: sends the reply and closes. */
void smtp_refuse(struct smtp_session *s, enum reply_id id);
void smtp_refuse_text(struct smtp_session *s, struct span reply);
/* Takes input; returns how much was consumed. The rest is to be offered again with more, or after
 * an answer. */
size_t smtp_input(struct smtp_session *s, struct span in);
/* The answer to the question that is open. text: a complete reply, valid by reply_valid. */
void smtp_answer(struct smtp_session *s, enum reply_id id, const char *detail);
void smtp_answer_text(struct smtp_session *s, struct span text);
/* The TLS handshake is done: everything said before is forgotten (RFC 3207 section 4.2). */
void smtp_secured(struct smtp_session *s);
/* Implicit TLS: before smtp_greet. */
void smtp_mark_secure(struct smtp_session *s);
void smtp_timeout(struct smtp_session *s);
/* 421 now, or when the transaction under way is over. */
void smtp_leave(struct smtp_session *s);
/* The connection is gone, or the owner gives up: runs `reset` when a transaction is open. */
void smtp_end(struct smtp_session *s);
/* Message bytes are expected (the data timeout applies), or a question is open. */
bool smtp_in_content(const struct smtp_session *s);
bool smtp_waiting(const struct smtp_session *s);
bool smtp_in_transaction(const struct smtp_session *s);
/* "pipelined, bare-line-end" */
const char *smtp_faults_text(unsigned faults);
/* "ESMTPSA", "UTF8SMTPS", ... (RFC 3848, RFC 6531 section 4.3). */
const char *smtp_protocol(const struct smtp_session *s);

#endif
