/* Payloads of the frames between door, scan and spool. Encoding and decoding in one place; decoding
 * checks every length (the other end may have been taken over). Strings are copied into the arena.
 */
#ifndef GATEHOUSE_FLOW_FRAMES_H
#define GATEHOUSE_FLOW_FRAMES_H

#include "config/settings.h"
#include "message/delivery.h"
#include "message/message.h"
#include "message/said.h"
#include "mime/splice.h"

/* What a client of a scanner protocol (spamd, rspamd) is told beside the decision. */
enum scan_want {
    WANT_HITS = 1,     /* the rules that hit */
    WANT_REPORT = 2,   /* SpamAssassin's report */
    WANT_REWRITE = 4,  /* the message as SpamAssassin marks or wraps it */
    WANT_ANY = 7,      /* any of these: the answer is filled */
    SCAN_A_FILE = 8,   /* without envelope and client, as `gatehouse scan` sees a file */
    SCAN_STAMPED = 16, /* the MTA's own trace field may stand on top already */
    SCAN_HELD = 32,    /* it will be held, whatever is found */
    SCAN_WHOLE = 64    /* who wants the answer takes the whole message back, as we change it */
};

/* What a client of a scanner protocol wants learned (spamd's TELL, rspamd's /learnspam). */
enum scan_teach {
    TEACH_SPAM = 1,
    TEACH_HAM = 2,
    TEACH_FORGET = 4,
    TEACH_REPORT = 8, /* tell others that it is spam (room digests) */
    TEACH_REVOKE = 16 /* that it is not */
};
enum scan_taught {
    TAUGHT = 1, /* the answer to a lesson: there is no verdict */
    TAUGHT_LOCAL = 2,
    TAUGHT_KNOWN = 4,  /* nothing to learn or to forget */
    TAUGHT_FAILED = 8, /* not learned: taught_why */
    TAUGHT_REMOTE = 16 /* somebody took the report */
};

/* Scan request: the message comes as descriptor. */
struct scan_request {
    char id[ID_SIZE];
    usec received;
    struct peer peer;
    struct envelope env;
    uint32_t crashes;   /* scanners that died on it so far */
    uint8_t want;       /* bits of enum scan_want */
    uint8_t teach;      /* bits of enum scan_teach: no verdict is wanted, but this */
    struct span user;   /* as in struct message */
    struct fact *facts; /* what the door has found out about the client */
    size_t nfacts, facts_cap;
    struct said said; /* by a policy script, at the commands before */
};
void scan_request_encode(struct buf *b, const struct scan_request *r);
bool scan_request_decode(struct span payload, struct arena *a, struct scan_request *r);

/* What is known about a message beside envelope and peer: facts of the wall, what a script has
 * said. For messages that are queued before they are scanned; false: it can't be read, and nothing
 * is filled in. */
void scan_known_encode(struct buf *b, const struct scan_request *r);
bool scan_known_decode(struct span known, struct arena *a, struct scan_request *r);

/* What is to be done for one group of recipients. */
struct group {
    enum outcome outcome;
    struct span policy, reason, detail;
    bool unscanned;
    uint32_t *rcpts; /* indexes into the envelope */
    size_t nrcpts;
    struct span reply; /* SMTP reply text, complete ("550 5.7.1 ...") */
    struct splices edits;
    struct delivery delivery;
};

/* A rule that hit, as the scanner protocols tell it. */
struct scan_hit {
    struct span name, describe, evidence; /* evidence may be absent */
    double score;
    uint32_t count;
};

/* For clients of the scanner protocols, by the group whose decision counts for all (a message has
 * one answer there): see flow_answer. */
struct scan_answer {
    bool judged; /* the rules ran; otherwise nothing else is true */
    bool spam;
    double score, required;
    struct span shown; /* the score as SpamAssassin shows it: "5.0" */
    struct span names; /* of the hits, as SYMBOLS tells them */
    uint32_t group;    /* whose decision it is */
    struct scan_hit *hits;
    size_t nhits;
    struct span report; /* LF line ends */
    bool rewritten;     /* rewrite is there: WANT_REWRITE, and the header is not too large */
    struct splices rewrite;
};

struct scan_result {
    char id[ID_SIZE];
    double score, required;
    struct span virus;   /* name, absent when none */
    struct span receipt; /* JSON */
    struct span subject; /* decoded, for record and quarantine; at most 500 bytes */
    struct span header_from, message_id;
    struct span spf_domain; /* of the sender, when SPF says pass; else absent */
    struct span sign; /* to sign it as it came, when it is released (auth/sign.h); or absent */
    uint64_t micros;
    struct group *groups;
    size_t ngroups;
    struct scan_answer answer; /* when the request wanted one */
    struct mails mails;        /* to be queued beside it */
    uint8_t taught;            /* bits of enum scan_taught */
    struct span taught_why;    /* of a failure */
    struct span reports;       /* items for reports (reports/item.h), or absent */
};
void scan_result_encode(struct buf *b, const struct scan_result *r);
bool scan_result_decode(struct span payload, struct arena *a, struct scan_result *r);
/* Whether its groups name every recipient of the envelope exactly once. */
bool scan_result_fits(const struct scan_result *r, const struct envelope *env);

/* Door -> spool: store what was decided: groups accept|tag|clean go to the queue, hold to the
 * quarantine, everything (also reject, defer, discard) to the record. With scanned == false
 * (after-queue mode) the message is queued for scanning and result is empty. `reply` is what the
 * sender will be told, for the record. */
struct store_request {
    struct scan_request req;
    bool scanned;
    bool elsewhere;      /* an MTA delivers it (milter): nothing is queued */
    bool held_elsewhere; /* and holds it: nothing goes to the quarantine either */
    struct scan_result result;
};
void store_request_encode(struct buf *b, const struct store_request *r);
bool store_request_decode(struct span payload, struct arena *a, struct store_request *r);

/* Spool -> door, when it is on stable storage, or why not. */
enum store_code { STORE_OK, STORE_FULL, STORE_FAILED };
struct store_result {
    enum store_code code;
    struct span text;
};
void store_result_encode(struct buf *b, const struct store_result *r);
bool store_result_decode(struct span payload, struct arena *a, struct store_result *r);

/* Door -> scan: a callback of the policy script is asked at its own command. */
struct script_request {
    char id[ID_SIZE];      /* of the session or transaction */
    enum script_call call; /* one bit */
    struct peer peer;
    struct span from; /* absent before MAIL */
    struct span to;   /* the recipient; the key that a map is asked for; else absent */
    struct span map;  /* its name; else absent */
};
void script_request_encode(struct buf *b, const struct script_request *r);
bool script_request_decode(struct span payload, struct arena *a, struct script_request *r);

enum script_code {
    SCRIPT_ANSWERED,
    SCRIPT_NOTHING, /* a map that does not have the key */
    SCRIPT_FAILED   /* an error, a limit, no machine; text says which */
};
struct script_result {
    enum script_code code;
    struct span text; /* why it failed, or the value from a map */
    struct saying says;
};
void script_result_encode(struct buf *b, const struct script_result *r);
bool script_result_decode(struct span payload, struct arena *a, struct script_result *r);

/* Recipient callout. */
struct rcpt_request {
    struct span addr;
};
enum rcpt_code { RCPT_OK, RCPT_UNKNOWN, RCPT_TEMPFAIL };
struct rcpt_result {
    enum rcpt_code code;
    struct span text; /* what the next hop said */
};
void rcpt_request_encode(struct buf *b, const struct rcpt_request *r);
bool rcpt_request_decode(struct span payload, struct arena *a, struct rcpt_request *r);
void rcpt_result_encode(struct buf *b, const struct rcpt_result *r);
bool rcpt_result_decode(struct span payload, struct arena *a, struct rcpt_result *r);

#endif
