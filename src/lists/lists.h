/* DNS lists (RFC 5782): lists of clients, asked by address, and lists of domains. Weighted: what
 * all of them say about one client is one number; lists of good clients subtract.
 *
 * All lists are asked at once, each zone with one question. A list that does not answer in
 * wall.list_timeout has not listed. Each zone is tested now and then: 127.0.0.2 must be listed and
 * 127.0.0.1 must not be; for lists of domains "invalid" must not be, and what test= names must. A
 * zone is not asked any more, with a warning in the log, while it
 *     - fails its test (it lists everybody, or nobody any more),
 *     - answers 127.255.255.x ("you ask through a public resolver", "too many questions"), or
 *       outside 127/8 (a resolver or a new owner of the domain that answers everything),
 *     - has not answered LIST_SILENT_AFTER questions in a row.
 * It is tested every LIST_RETEST_S seconds from then on, and asked again when it passes. */
#ifndef GATEHOUSE_LISTS_LISTS_H
#define GATEHOUSE_LISTS_LISTS_H

#include "config/settings.h"
#include "dns/dns.h"

enum {
    LIST_HITS_MAX = 32,    /* told for one client; more count, but are not named */
    LIST_SILENT_AFTER = 5, /* questions */
    LIST_RETEST_S = 60
};

enum list_kind { LIST_CLIENTS, LIST_HELO, LIST_SENDERS, LIST_KINDS };

struct list_hit {
    const struct list_spec *spec; /* lives as long as the settings */
    struct ip answer;             /* the first that counts */
};

struct list_result {
    double score; /* sum of the weights */
    struct list_hit hits[LIST_HITS_MAX];
    size_t nhits;
    unsigned asked, silent; /* zones; silent: no answer, or not in time */
};

struct lists;
struct list_check;

struct lists *lists_new(uv_loop_t *loop, struct dns *dns, const struct wall_settings *set);
/* Checks under way end without their callback. */
void lists_free(struct lists *l);
/* Once a second. now: monotonic. */
void lists_tick(struct lists *l, usec now);
/* Whether there is any list of that kind. */
bool lists_any(const struct lists *l, enum list_kind kind);

/* Exactly one callback, now (from inside the call) or later, as soon as the outcome is known: when
 * all have answered, or no answer can bring the score below wall.reject_score any more. */
typedef void lists_done_fn(void *ctx, const struct list_result *r);
/* NULL: the callback has been called. Otherwise for lists_cancel until it is. */
struct list_check *lists_ask_client(struct lists *l, const struct ip *ip, lists_done_fn *done,
                                    void *ctx);
struct list_check *lists_ask_domain(struct lists *l, enum list_kind kind, struct span domain,
                                    lists_done_fn *done, void *ctx);
void lists_cancel(struct list_check *c);

/* For operators and tests: state of the i-th zone; false behind the last. */
struct list_state {
    struct span zone;
    enum list_kind kind;
    bool usable;
    const char *why; /* when not */
    uint64_t questions, hits, silent;
};
bool lists_state(const struct lists *l, size_t i, struct list_state *out);

#endif
