/* What a policy script has said at the commands before the message: the actions it asks for, and
 * which of its callbacks need not be asked again when the message is there. */
#ifndef GATEHOUSE_MESSAGE_SAID_H
#define GATEHOUSE_MESSAGE_SAID_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "config/policy.h"

/* Callbacks of a script that are asked outside of a message; bits. */
enum script_call {
    CALL_RELAY = 1,     /* who connects */
    CALL_HELO = 2,      /* what it calls itself */
    CALL_SENDER = 4,    /* MAIL */
    CALL_RECIPIENT = 8, /* each RCPT */
    CALL_MAP = 16,      /* a question of a socketmap client */
    CALLS_AT_STAGES = CALL_RELAY | CALL_HELO | CALL_SENDER | CALL_RECIPIENT,
    CALLS_ALL = CALLS_AT_STAGES | CALL_MAP
};

/* "relay": the name of the function. */
const char *script_call_name(enum script_call call);

/* Limits: actions of one list, bytes of one text, addresses of one action; bytes of all that is
 * said about one message before it comes, for all recipients together (it travels with the
 * message). */
enum {
    SAID_ACTIONS_MAX = 4000,
    SAID_TEXT_MAX = 1 << 20,
    SAID_ADDRESSES_MAX = 1000,
    SAID_BYTES_MAX = 4 << 20
};

/* What is wanted for everybody, or for one recipient. */
struct saying {
    struct policy_actions actions;
    bool touch_signed;
};

struct said {
    unsigned asked; /* enum script_call */
    struct saying all;
    struct saying *each; /* by recipient; those beyond neach have none */
    size_t neach, cap;
};

/* Appends what more says; of the actions that decide, the last one holds. The actions of `more` are
 * shared, not copied. */
void saying_add(struct saying *to, struct arena *a, const struct saying *more);
/* The action that decides what becomes of the message, or NULL. */
const struct policy_action *saying_decides(const struct saying *s);
/* Whether it holds nothing. */
static inline bool saying_empty(const struct saying *s)
{
    return s->actions.n == 0 && !s->touch_signed;
}
/* Puts down what was said about the recipient with this index. */
void said_recipient(struct said *s, struct arena *a, size_t rcpt, const struct saying *what);

/* Wire form for frames. Decoding checks every length and every number; texts are copied. */
void saying_encode(struct buf *b, const struct saying *s);
void saying_decode(struct cursor *c, struct arena *a, struct saying *s);
void said_encode(struct buf *b, const struct said *s);
void said_decode(struct cursor *c, struct arena *a, struct said *s);

#endif
