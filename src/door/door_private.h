/* The door from inside.
 *
 *     door ---- conn (one a session) ---- txn (one a transaction, from MAIL to its end)
 *       |                                   |
 *       |'-- access, domains, recipients    '-- passage: the way of a complete message
 *       '--- scanners, spool (links)              SCANNING -> STORING -> reply
 *
 * Everything runs on one loop and one thread, but the check of a password. */
#ifndef GATEHOUSE_DOOR_DOOR_PRIVATE_H
#define GATEHOUSE_DOOR_DOOR_PRIVATE_H

#include "auth/returnpath.h"
#include "base/map.h"
#include "dns/dns.h"
#include "door/access.h"
#include "door/asks.h"
#include "policy/domains.h"
#include "policy/policy.h"
#include "door/recipients.h"
#include "door/script.h"
#include "flow/frames.h"
#include "ipc/link.h"
#include "kv/kv.h"
#include "lists/asn.h"
#include "lists/lists.h"
#include "loop/stream.h"
#include "rate/rate.h"
#include "smtp/session.h"
#include "tls/context.h"

struct door;
struct conn;
struct txn;
struct authenticator;
struct callout;
struct milter_conn;
struct milter_message;
struct guest;
struct spf_try;
struct judge;
struct http;
struct spamd;
struct socketmap;

enum {
    ACCEPT_BURST = 64,         /* sessions taken in one turn of the loop */
    MEMORY_FILE_MAX = 1 << 20, /* bytes; larger messages move to a file in the spool */
    ADDRESS_BUCKETS = 4096
};

/* One listening socket. */
struct gate {
    struct door *door;
    const struct listener *set;
    uv_poll_t poll;
    int fd;
    bool polling;
    struct tls_server tls;
    struct http *http;         /* of an rspamd listener */
    struct sealed_key *sealed; /* its keys, for HTTPCrypt; heap, or NULL */
    size_t nsealed;
    uint64_t sealed_held; /* bytes of requests in it */
};

/* What clients of the scanner protocols were told since this door started. */
struct judge_counts {
    uint64_t scanned, spam, failed;
    uint64_t actions[OUT_DISCARD + 1];
    usec since;
};

struct scanner {
    struct scanner *next;
    struct door *door;
    struct link *link;
    unsigned pending;
    unsigned questions; /* for the script */
    bool ready;         /* it has told which callbacks the script has */
    bool exclusive;     /* has one message that a scanner died on before, and nothing else */
    bool closed;        /* takes no more requests; answers may still come */
};

struct address_count {
    struct address_count *next;
    struct ip ip; /* IPv6: the /64 */
    uint64_t n;
};

/* Transactions in a row. */
struct txns {
    struct txn *first, *last;
};

struct door {
    const struct settings *set;
    uv_loop_t loop;
    struct link *control, *spool;
    struct gate *gates;
    size_t ngates;
    struct conn *conns;
    struct milter_conn *milters;
    struct spamd *spamds;
    struct socketmap *socketmaps;
    struct judge_counts judged;
    uint64_t nconns; /* of all kinds */
    struct address_count *addresses[ADDRESS_BUCKETS];
    struct scanner *scanners;
    struct asks asks;
    const struct script_settings *script;
    struct script_asks script_asks; /* in the order they were asked */
    int script_calls;               /* enum script_call; -1: no scanner has told yet */
    struct dns *dns;
    struct txns waiting;  /* for a scanner */
    struct txns homeless; /* for the next spool */
    struct access *access;
    struct domains *domains;
    struct policy_set *policies;
    struct recipients *recipients;
    struct authenticator *auth;
    struct returnpath *returns; /* NULL: neither SRS nor BATV */
    /* The wall: who is calling (wall.h). */
    struct kv *state;
    struct lists *lists;
    struct asn *asns; /* whose addresses are; NULL: not known */
    struct rates *rates;
    struct spf_try *spf_tries;
    uv_timer_t tick;
    unsigned ticks;
    bool retired; /* a successor has the listeners: what is open goes on until it ends */
    bool draining, stopping;
    bool full;    /* the spool's file system has less than queue.minimum_free */
    int incoming; /* directory for large messages, or -1 */
    struct smtp_limits limits;
};

/* ---- conn.c ---- */

struct conn {
    struct conn *next, *prev;
    struct gate *gate;
    struct door *door;
    struct stream *stream;
    struct smtp_session smtp;
    struct smtp_policy policy;
    struct txn *txn;
    void *auth_try;                /* password check under way */
    struct dns_question *question; /* the client's name is being asked for */
    bool named;                    /* it has been asked for */
    char id[ID_SIZE];
    struct ip ip;
    uint16_t port;
    bool has_ip, counted, proxy_wanted, relay_client, paused;
    const char *discard; /* its messages are dropped: why, or NULL */
    struct hearing hearing;
    struct guest *guest;      /* NULL: exempt, or not a stranger */
    struct rate_stay stay;    /* what the session counts in */
    uv_timer_t *delay;        /* an answer is held back by a limit */
    uint32_t asn;             /* 0: not known */
    bool met;                 /* the wall has seen the address */
    bool rated;               /* limits of addresses apply */
    bool greeting;            /* the greeting is still to come */
    bool held;                /* the stream is paused until then */
    bool teased;              /* a first line of it was sent */
    char *name, *helo, *user; /* heap; NULL when unknown */
    usec opened;
    uint64_t messages, refused;
    const char *ending; /* for the log: how the session ended */
};

/* A string on the heap, NULL for an empty one. */
void string_set(char **to, struct span s);

void conn_open(struct gate *g, int fd);
/* 421 when idle, else after the transaction. */
void conn_leave(struct conn *c);
/* Who is at the other end; the strings are the session's. */
struct peer conn_peer(const struct conn *c);
/* An open question was answered: go on reading. */
void conn_go_on(struct conn *c);
/* Something that the greeting waited for has come. */
void conn_greet_on(struct conn *c);

static inline bool cidrs_have(const struct cidrs *list, const struct ip *ip)
{
    for (size_t i = 0; i < list->n; i++)
        if (cidr_has(&list->v[i], ip))
            return true;
    return false;
}

/* ---- addresses.c ---- */

/* Counts sessions of an address; false when there are too many. */
bool address_enter(struct door *d, const struct ip *ip);
void address_leave(struct door *d, const struct ip *ip);

/* ---- envelope.c: who may send to whom ---- */

void conn_mail(void *ctx, const struct smtp_path *from, const struct mail_params *params);
void conn_rcpt(void *ctx, const struct smtp_path *to, const struct rcpt_params *params);
/* hearing.c: the script is asked; true: the command is answered later. */
bool hear_sender(struct conn *c, const struct smtp_path *from);
bool hear_recipient(struct conn *c);
void conn_helo(void *ctx, struct span name, bool esmtp);
/* What the script has said (struct hearing). */
void conn_heard(void *ctx, enum script_call call, enum heard what, struct span reply,
                const struct saying *says);
/* c->txn->pending passes the wall: does it exist? Answers now or later. */
void rcpt_admit(struct conn *c);
/* text: a complete reply instead of id's, or absent. */
void rcpt_refuse(struct conn *c, struct span addr, enum reply_id id, struct span text);
/* The next hop was asked about a recipient. Ends the ask. */
void callout_answered(struct door *d, struct ask *a, enum rcpt_code code);
/* Asks the next hop about an address for t (NULL: a probe). 0, or -1: the spool is away. */
int callout_send(struct door *d, struct txn *t, struct span key, struct span addr);
/* The transaction that waits for a callout ends. */
void callout_cancel(struct txn *t);

/* ---- returns.c: bounces come back (SRS, BATV) ---- */

enum batv_tag { TAG_UNSEEN, TAG_VALID, TAG_EXPIRED, TAG_MISSING, TAG_FORGED };

/* *to is a recipient that was just given: what SRS or BATV made is replaced, with l, by the address
 * itself; t->returns and t->proven say so. false: it is to be refused, with *refusal as a whole
 * reply; absent: the address in it is none. */
bool returns_rcpt(struct txn *t, struct smtp_path *to, struct lookup *l, struct span *refusal);
/* The facts go into the scan request. */
void returns_facts(struct txn *t);

/* ---- stages.c: policies before the message ---- */

struct stage_answer {
    const char *policy;
    bool discard;      /* say yes and drop it */
    struct span reply; /* else: a whole reply, 4xx or 5xx */
};
/* Whether a policy refuses, defers or discards by what is known at this stage. from and rcpt may be
 * absent. */
bool stage_decides(struct door *d, enum policy_stage stage, const struct peer *peer,
                   struct span from, struct span rcpt, struct arena *a, struct stage_answer *out);
/* At MAIL, for a message that is open: what discards it is put down in it. true: it is to be
 * refused with this reply. */
bool stage_refuses_sender(struct txn *t, struct span *reply);

/* hearing.c: what the script has said about sender and recipient (t->pending) is put down. */
void txn_heard_sender(struct txn *t, const struct hearing *h, enum heard what,
                      const struct saying *says);
void txn_heard_recipient(struct txn *t, const struct hearing *h, const struct saying *says);

/* ---- auth.c ---- */

struct authenticator *auth_open(struct door *d);
void auth_close(struct authenticator *a);
/* Checks the password; the session is answered now or later. */
void auth_check(struct conn *c, const char *user, const char *password, size_t n);
/* The session is gone. */
void auth_forget(struct conn *c);

/* ---- txn.c ---- */

/* A recipient that the wall lets through is looked for, taken as it is, or dropped. */
enum rcpt_fate { FATE_LOOK, FATE_TAKE, FATE_DROP };

enum txn_stage { TXN_OPEN, TXN_WAITING, TXN_SCANNING, TXN_STORING };

/* All state of a transaction. Made by an accepted MAIL, ended by txn_end on every way out. */
struct txn {
    struct conn *conn;            /* SMTP, or NULL */
    struct milter_conn *milter;   /* the other kind, or NULL */
    struct milter_message *shape; /* of a message by milter */
    struct judge *judge;          /* a client of a scanner protocol, or NULL */
    struct door *door;
    struct arena *arena;
    struct scan_request req; /* id, peer, envelope */
    struct rcpt *dropped;    /* access map says DISCARD */
    size_t ndropped, dropped_cap;
    struct rcpt pending;          /* recipient that is being looked at */
    enum rcpt_fate fate;          /* of it, when nothing speaks against it */
    bool wall_waits;              /* it waits for what the wall asks */
    bool wall_asks;               /* the content is there and waits for the same */
    enum returnpath_kind returns; /* what it was before */
    bool proven;                  /* and was made here, for mail that left here */
    size_t nproven;               /* recipients that were */
    enum batv_tag tag;            /* the worst that was seen */
    bool by_srs;                  /* a rewritten sender came back */
    struct span pending_key;
    struct saying pending_says; /* of the script, about it */
    bool pending_heard;         /* the script was asked about it */
    size_t heard;               /* recipients that it was asked about */
    struct callout *callout;
    struct map seen;     /* recipients so far, in lookup form */
    const char *discard; /* whole message: accepted and dropped; why */
    struct span hold;    /* access map says QUARANTINE: why what would go out is held, or absent */
    struct lookup *from; /* the sender; NULL by milter */
    const struct smtp_path *path; /* the sender as it stands, while the script is asked about it */
    int fd;                       /* content, or -1 */
    uint64_t size;
    bool on_disk;
    int write_error; /* errno of the first failed write */
    enum txn_stage stage;
    struct ask *ask; /* of the passage */
    struct txn *next_waiting;
    struct txns *queued; /* the list that it waits in, or NULL */
    unsigned store_tries;
    uv_timer_t *deadline;
    usec began, data_done, scan_done; /* monotonic */
    struct scan_result result;
    bool scanned;
    bool milter_holds;      /* the MTA keeps what is held */
    struct span wait_reply; /* greylisted after DATA: what the sender is told, or absent */
};

/* The caller sets conn or milter. */
struct txn *txn_new(struct door *d);
/* Frees everything; takes back what is in work. */
void txn_end(struct txn *t);
enum reply_id txn_begin_content(struct txn *t);
void txn_content(struct txn *t, struct span bytes);
/* Groups of recipients that were decided so; the reply of the first of them; and otherwise. */
size_t txn_count(const struct txn *t, enum outcome o);
struct span txn_reply(const struct txn *t, enum outcome o);
void txn_change(struct txn *t, enum outcome from, enum outcome to);

/* ---- passage.c: a complete message ---- */

/* Begins; the session is answered when it is over. */
void passage_begin(struct txn *t);
/* A scanner may be free. */
void passage_next(struct door *d);
/* These end the ask. */
void passage_scanned(struct door *d, struct ask *a, struct span payload);
void passage_scanner_lost(struct door *d, struct ask *a);
void passage_stored(struct door *d, struct ask *a, struct span payload);
void passage_spool_lost(struct door *d, struct ask *a);
void passage_spool_found(struct door *d);
void passage_cancel(struct txn *t);
/* One record a message; code: of the reply. */
void passage_log(const struct txn *t, unsigned code);

/* ---- milter.c: sessions of MTAs ---- */

void milter_open(struct gate *g, int fd);
/* Those that are idle end at once, the others after their message. */
void milters_leave(struct door *d);
/* The next hop was asked about the recipient that t waits for. */
void milter_rcpt_known(struct txn *t, enum rcpt_code code);
/* The answer to the end of a message. R_STORED and R_DISCARDED: what milter_decide has found. */
void milter_finish(struct txn *t, enum reply_id id, const char *detail);
const char *milter_session_id(const struct milter_conn *c);
/* The MTA's client when it is a stranger without a password, or NULL. */
struct guest *milter_guest(const struct milter_conn *c);

/* ---- socketmap.c: MTAs that ask the script's map() ---- */

void socketmap_open(struct gate *g, int fd);
/* Those that wait for nothing end at once. */
void socketmaps_leave(struct door *d);

/* ---- milter_decide.c ---- */

/* What the MTA is told about a judged message. true: the spool must have its copy first; false: it
 * is for the record alone. */
bool milter_decide(struct txn *t);

/* ---- links.c ---- */

void links_add(struct door *d, enum role role, int fd);
/* The scanner with the least to do that has room (exclusive: that has nothing to do), or NULL. */
struct scanner *links_idle_scanner(struct door *d, bool exclusive, const struct scanner *except);
/* The scanner is not to be trusted any more: its link is closed, so that it is replaced. */
void links_drop_scanner(struct scanner *s);
/* Once a second: questions that were never answered. now: monotonic. */
void links_tick(struct door *d, usec now);
void links_close(struct door *d);

/* ---- door.c ---- */

/* A session has ended. */
void door_conn_gone(struct door *d);

#endif
