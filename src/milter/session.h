/* The filter's side of a milter session: bytes in, events out. No sockets, no clock.
 *
 *     NEW --O--> READY --C--> READY --M--> ENVELOPE --L,N--> HEADER --N--> BODY --E--> (answer)
 *                  ^                          |                 |            |            |
 *                  '--- A, a refused MAIL, M, H, C, and the answer to E ------------------'
 *
 * Macros are taken at any time. An abort, a new MAIL, HELO or connection, and the end of the
 * session all end the message that is in work (host.reset), as does the answer to its end. Whatever
 * else is out of order closes the session: an MTA does not do that, and its fail action protects
 * the mail.
 *
 * The host answers connect, helo, mail, rcpt and end with milter_answer or milter_answer_text, at
 * once or later; until then no further bytes are taken. */
#ifndef GATEHOUSE_MILTER_SESSION_H
#define GATEHOUSE_MILTER_SESSION_H

#include "base/ip.h"
#include "milter/edit.h"
#include "milter/macros.h"
#include "milter/options.h"

/* Spans are valid during the call. */
struct milter_host {
    void (*send)(void *ctx, struct span bytes);
    /* name: the client's, absent when the MTA does not know it; ip: NULL for a local client. */
    void (*connect)(void *ctx, struct span name, const struct ip *ip, uint16_t port);
    void (*helo)(void *ctx, struct span name); /* see milter_helo_heard */
    /* Address without brackets; empty: the null sender. args: see milter_string. */
    void (*mail)(void *ctx, struct span addr, struct span args);
    void (*rcpt)(void *ctx, struct span addr, struct span args);
    /* value: what stands behind the colon (without milter_leading_space: behind the space after
     * it), folds as LF and white space. Not answered. */
    void (*header)(void *ctx, struct span name, struct span value);
    void (*eoh)(void *ctx);
    void (*body)(void *ctx, struct span bytes);
    void (*end)(void *ctx);
    void (*reset)(void *ctx); /* the message is over; only after an accepted mail */
    void (*close)(void *ctx, const char *why);
};

enum milter_state { MILTER_NEW, MILTER_READY, MILTER_ENVELOPE, MILTER_IN_HEADER, MILTER_IN_BODY };
enum milter_wait {
    MILTER_W_NONE,
    MILTER_W_CONNECT,
    MILTER_W_HELO,
    MILTER_W_MAIL,
    MILTER_W_RCPT,
    MILTER_W_END
};

struct milter_session {
    const struct milter_host *host;
    void *ctx;
    struct milter_reader reader;
    struct milter_macros macros;
    struct milter_options options;
    uint32_t wanted;
    enum milter_state state;
    enum milter_wait wait;
    bool closed, skip;
    bool answers_helo; /* set by the owner before the negotiation: HELO may be refused */
};

/* wanted: actions (enum milter_action). */
void milter_begin(struct milter_session *s, uint32_t wanted, const struct milter_host *host,
                  void *ctx);
/* Returns how many bytes were taken; all of them unless it waits for an answer. */
size_t milter_input(struct milter_session *s, struct span bytes);
/* Resets the message in work, frees everything. */
void milter_end(struct milter_session *s);

static inline bool milter_waiting(const struct milter_session *s)
{
    return s->wait != MILTER_W_NONE;
}
static inline bool milter_in_message(const struct milter_session *s)
{
    return s->state > MILTER_READY;
}
/* The MTA waits for the answer to HELO; otherwise a refusal never reaches it. */
static inline bool milter_helo_heard(const struct milter_session *s)
{
    return !(s->options.steps & MILTER_NR_HELO);
}
static inline bool milter_may(const struct milter_session *s, uint32_t actions)
{
    return (s->options.actions & actions) == actions;
}
/* Whether header values carry their leading space, here and in edits. */
static inline bool milter_leading_space(const struct milter_session *s)
{
    return s->options.steps & MILTER_LEADING_SPACE;
}
static inline struct span milter_macro(const struct milter_session *s, const char *name)
{
    return milter_macros_get(&s->macros, name);
}

void milter_answer(struct milter_session *s, enum milter_verdict v);
/* "550 5.7.1 ..."; a text that is no refusal is told as MILTER_TEMPFAIL. */
void milter_answer_text(struct milter_session *s, struct span text);
/* The rest of the body is not wanted: it is declined where the MTA can do that. */
void milter_enough(struct milter_session *s);

#endif
