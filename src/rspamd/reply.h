/* rspamd's JSON replies. */
#ifndef GATEHOUSE_RSPAMD_REPLY_H
#define GATEHOUSE_RSPAMD_REPLY_H

#include "base/buf.h"

struct rspamd_symbol {
    struct span name, description, option; /* option: what hit; or absent */
    double score;
};

/* In the milter block. */
struct rspamd_header {
    struct span name, value; /* value absent: the field is to be removed: */
    uint32_t nth;            /* the nth of that name, from 1; 0: all of them */
};

struct rspamd_reply {
    double score, required, reject; /* reject: threshold of that action */
    const char *action;
    struct span subject, message_id; /* subject: the rewritten one, or absent */
    struct span id;                  /* the gateway's */
    const struct rspamd_symbol *symbols;
    size_t nsymbols;
    const struct rspamd_header *headers;
    size_t nheaders;
    double seconds;
};

void rspamd_reply(struct buf *b, const struct rspamd_reply *r);
/* {"error":"..."} */
void rspamd_error(struct buf *b, struct span why);

struct rspamd_stat {
    uint64_t scanned, spam, connections, uptime;
    uint64_t spam_learned, ham_learned, tokens; /* of the site's store */
    bool learns;                                /* clients may teach */
    uint64_t reject, soft_reject, add_header, no_action, quarantine, discard;
};
void rspamd_stat(struct buf *b, const struct rspamd_stat *s);

#endif
