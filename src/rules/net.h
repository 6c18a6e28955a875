/* What rules ask the network, and what it said.
 *
 * Functions of network rules are written as if the answers were there: they call net_ask for each
 * name and go on with what is known. The same functions run before the judgement to find out what
 * has to be asked (planning: net_ask notes what is missing), again when an answer that leads to
 * further questions has come, and at last to judge. They look at every name before they return, or
 * the rest would never be asked. Room-private; questions and answers pass through ruleset.h. */
#ifndef GATEHOUSE_RULES_NET_H
#define GATEHOUSE_RULES_NET_H

#include "dns/dns.h"
#include "rules/context.h"
#include "pattern/regex.h"

struct net_answer {
    int rcode;                /* of enum in dns/dns.h */
    const struct span *rdata; /* wire form */
    const struct span *text;  /* the same as SpamAssassin reads it: "127.0.0.2", joined strings */
    size_t n;
};

struct net_question {
    struct span name;
    enum dns_type type;
    bool follows; /* the answer leads to further questions */
    bool known;   /* answered */
    bool refused; /* not asked: over the budget, or dns_query_restriction */
    struct net_answer answer;
};

struct net {
    struct map by_key;       /* "TYPE/name" -> struct net_question * */
    struct net_question **v; /* those to be asked, in order */
    size_t n, cap, max;      /* max: budget of questions */
    size_t over;             /* how many more were wanted */
    bool planning;
    unsigned round;            /* changes with each planning, and before the judgement */
    struct dnseval *dnseval;   /* eval_dns.c */
    struct uridnsbl *uridnsbl; /* eval_uridnsbl.c */
};

/* A message between being read and being judged. */
struct rules_work {
    struct rules_ctx c;
    struct net net;
};

/* What is known about records of that type; NULL: nothing (yet, or never). follows: the answer
 * decides about further questions. */
const struct net_answer *net_ask(struct rules_ctx *c, struct span name, enum dns_type type,
                                 bool follows);

/* Whether network rules can ask at all (and SpamAssassin's skip_rbl_checks is off). */
bool net_available(const struct rules_ctx *c);

/* Values of a tag as AskDNS and HashBL see it ("DKIMDOMAIN", "HEADER(X-Foo)"); NULL: it has none.
 */
const struct span *net_tag(struct rules_ctx *c, struct span tag, size_t *n);
/* Hosts and domains of the message's URIs that block lists are asked about (eval_uridnsbl.c). */
const struct span *uridnsbl_hosts(struct rules_ctx *c, size_t *n);
const struct span *uridnsbl_domains(struct rules_ctx *c, size_t *n);
/* uridnsbl_skip_domain names it (lower case). */
bool uridnsbl_skipped(const struct rules_ctx *c, struct span domain);

/* "127.0.0.2" -> "2.0.0.127", an IPv6 address to its nibbles; absent when it is no address. */
struct span net_reversed(struct arena *a, struct span ip);
/* NAME.ZONE, lower case, a final dot of either taken off. */
struct span net_join(struct arena *a, struct span name, struct span zone);
/* A host name with a known top-level domain, as lists of domains are asked. */
bool net_host_valid(struct rules_ctx *c, struct span host);
/* A word of the rule's tflags. */
bool net_tflag(const struct conf *conf, const char *rule, const char *word);

/* --- tests of answers --- */

enum net_test_kind {
    NET_ANY,
    NET_MASK,
    NET_RANGE,
    NET_VALUE_MASK,
    NET_TEXT,
    NET_REGEX,
    NET_RCODES
};
struct net_test {
    enum net_test_kind kind;
    uint32_t n1, n2;
    struct span text;
    struct regex *regex;
    uint32_t rcodes; /* bits */
};
/* The notation of each plugin. -1: not understood, reason in e. */
int net_test_rbl(struct arena *a, struct span s, struct net_test *out, struct err *e);
int net_test_uri(struct arena *a, struct span s, struct net_test *out, struct err *e);
int net_test_ask(struct arena *a, struct span s, struct net_test *out, struct err *e);
/* One record; text as in struct net_answer, address: it is an IPv4 address. */
bool net_test_hits(const struct net_test *t, struct span text, bool address);

#endif
