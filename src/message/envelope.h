/* The envelope (RFC 5321): who sends, to whom, with which ESMTP parameters; and the peer it came
 * from. All spans live in the message's arena. */
#ifndef GATEHOUSE_MESSAGE_ENVELOPE_H
#define GATEHOUSE_MESSAGE_ENVELOPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/ip.h"

/* RFC 3461 NOTIFY. 0 means not given. */
enum notify { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };
enum dsn_ret { RET_DEFAULT, RET_FULL, RET_HDRS };

struct rcpt {
    struct span addr;  /* local@domain, unquoted of <>, as given */
    struct span orcpt; /* decoded "rfc822;addr" or absent */
    uint8_t notify;    /* bits of enum notify */
    /* What an MTA by milter calls it, when addr is what SRS or BATV had made that of; not encoded.
     */
    struct span given;
};

struct envelope {
    struct span from; /* empty: the null reverse-path */
    struct rcpt *rcpts;
    size_t nrcpts, cap;
    struct span envid; /* absent when not given */
    enum dsn_ret ret;
    bool smtputf8;
    bool body_8bit; /* BODY=8BITMIME */
    bool require_tls;
};

/* Who is at the other end. Strings are absent when unknown. */
struct peer {
    struct ip ip;
    bool has_ip;
    bool behind_mta; /* an MTA in front of us has it and stamps it (milter) */
    bool stamped;    /* its trace field stands on top of the message already */
    bool may_relay;  /* to other domains: one of our users, or a host of ours */
    uint16_t port;
    struct span name; /* reverse name, or absent (DNS comes with issue "Who is calling") */
    struct span helo;
    struct span listener; /* name of the listener */
    struct span protocol; /* "SMTP", "ESMTP", "ESMTPS", "ESMTPSA", "UTF8SMTP"... (RFC 3848, 6531) */
    struct span tls_version; /* "TLSv1.3" */
    struct span tls_cipher;
    struct span auth_user; /* set when authenticated */
};

/* Wire form for ipc frames and the queue journal. Decoding checks every length and sets the
 * cursor's error; strings are copied into the arena. */
void envelope_encode(struct buf *b, const struct envelope *env);
void envelope_decode(struct cursor *c, struct arena *a, struct envelope *env);
void peer_encode(struct buf *b, const struct peer *p);
void peer_decode(struct cursor *c, struct arena *a, struct peer *p);

/* The part after the last '@', lower-cased into the arena; empty when there is none. */
struct span addr_domain(struct arena *a, struct span addr);
struct span addr_local(struct span addr);

#endif
