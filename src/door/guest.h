/* What is found out about a client that is not exempt, from its call to its farewell. Belongs to a
 * session, of SMTP or of an MTA that asks by milter.
 *
 *     guest_call    lists of clients, greet wait, what is remembered of the address
 *     guest_named   the name is known, or there is none
 *     guest_helo    form of the name given, whether it exists, lists of domains
 *     guest_sender  the sender's domain: does it exist, where do its MX lie, lists of domains
 *
 * All questions run at once. Each finding has a value for rules and record, and, when a setting
 * says so, a reply. Nothing here answers the client: the owner asks guest_refusal when it must say
 * something, and waits while guest_pending. */
#ifndef GATEHOUSE_DOOR_GUEST_H
#define GATEHOUSE_DOOR_GUEST_H

#include "config/settings.h"
#include "dns/dns.h"
#include "lists/lists.h"
#include "message/facts.h"

struct door;

enum finding_id {
    FOUND_EXEMPT,
    FOUND_PREGREET,
    FOUND_LISTS,
    FOUND_NAME,
    FOUND_ADDRESS_REPUTATION,
    FOUND_NETWORK_REPUTATION,
    FOUND_ASN,
    FOUND_ASN_REPUTATION,
    FOUND_HELO,
    FOUND_HELO_NAME,
    FOUND_HELO_LISTS,
    FOUND_SENDER,
    FOUND_SENDER_MX,
    FOUND_SENDER_LISTS,
    FOUND_GREYLIST,
    FINDINGS
};
enum { FOUND_PER_SENDER = FOUND_SENDER };

struct finding {
    char *value;             /* NULL: nothing was found, or not looked for */
    char *reply;             /* "550 5.7.1 text", or NULL */
    enum wall_action action; /* WALL_FACT without reply */
};

struct sender_check;
struct spf_try;

struct guest {
    struct door *door;
    const char *id; /* of the session */
    struct ip ip;
    uint32_t asn;
    void (*on_change)(void *ctx);
    void *ctx;
    struct finding found[FINDINGS];
    unsigned blocking; /* answers under way that may refuse */
    bool busy;         /* inside a call of ours: no on_change */
    bool waiting;      /* for the greeting's time */
    bool trusted;      /* wall.allow_score */
    uv_timer_t *timer;
    struct list_check *clients, *helo_lists, *sender_lists;
    struct dns_question *helo_question;
    struct sender_check *sender;
    char *helo;
    char *spf_domain; /* of this transaction's sender, when SPF says pass (greylist.mode all) */
    struct spf_try *spf;
    usec greet_until, lists_until; /* what was remembered; wall time */
    double score;                  /* of the lists of clients */
    bool waited, listed_clean;     /* to be remembered */
};

/* id must live as long. on_change: something was answered; never from inside a call of ours. */
struct guest *guest_new(struct door *d, const char *id, const struct ip *ip,
                        void (*on_change)(void *ctx), void *ctx);
void guest_free(struct guest *g);

/* wait: how long the greeting may be held back, 0: not at all. */
void guest_call(struct guest *g, usec wait);
/* The greeting may be sent. */
bool guest_ready(const struct guest *g);
/* It has sent bytes before the greeting. */
void guest_spoke(struct guest *g, struct span bytes);
void guest_named(struct guest *g, enum dns_status st);
void guest_helo(struct guest *g, struct span helo);
/* domain: empty for the null sender and for addresses without one. */
void guest_sender(struct guest *g, struct span domain);
/* The transaction is over. */
void guest_sender_gone(struct guest *g);

/* Something that may refuse is being asked. */
bool guest_pending(const struct guest *g);
/* Anything is being asked. */
bool guest_asking(const struct guest *g);
/* The strongest finding with a reply, or NULL. */
const struct finding *guest_refusal(const struct guest *g);
/* Remembers that the tests were passed. */
void guest_passed(struct guest *g);

/* A finding; dsn: "7.1". action WALL_OFF: nothing. fmt: the reply's text, used from WALL_DEFER on.
 * What is there already is replaced. */
void guest_find(struct guest *g, enum finding_id id, enum wall_action action, const char *value,
                const char *dsn, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
void guest_forget(struct guest *g, enum finding_id id);
const char *finding_name(enum finding_id id); /* "wall.lists" */

/* ---- for the files of this subject ---- */

/* lists.c's answer as finding; domain: for the page to delist, absent: the address. */
void guest_take_lists(struct guest *g, enum finding_id id, const struct list_result *r,
                      const char *what, struct span domain);
void guest_changed(struct guest *g);
void sender_check_free(struct sender_check *c);
bool sender_check_asking(const struct sender_check *c);

#endif
