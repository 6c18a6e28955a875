/* Whose name a reader is shown as the author of a message, and so which domains have to be checked.
 *
 * One From field with one well-formed address is the plain case. In every other case programs read
 * differently (several fields, routes, comments inside of addresses, encoded words, control
 * characters, ...): then every domain that any of them could show counts, and DMARC holds only when
 * all of them pass. */
#ifndef GATEHOUSE_AUTH_AUTHOR_H
#define GATEHOUSE_AUTH_AUTHOR_H

#include "base/arena.h"

enum {
    AUTHOR_DOMAINS_MAX = 8, /* more in one message are not looked at: bad is set */
    AUTHOR_COMMENT_DEPTH = 20
};

struct authors {
    struct span domains[AUTHOR_DOMAINS_MAX]; /* canonical (auth/name.h), each once */
    size_t n;
    unsigned count;  /* addresses found */
    bool bad;        /* readers can differ about the domain, or there is none */
    const char *why; /* when bad: "several From fields", ... */
};

/* raw: a message, or its header. */
void authors_find(struct arena *a, struct span raw, struct authors *out);

/* RFC 5322 mailbox-list, strictly: addr-specs into v (at most max; more is a failure). false when
 * the value is not one, or is one that programs are known to read differently. */
bool author_list(struct span value, struct span *v, size_t max, size_t *n);

#endif
