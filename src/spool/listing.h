/* The queue as operators see it: which messages a filter means, and how one looks as JSON. Used by
 * the spool process and by `gatehouse queue` when no gateway runs. */
#ifndef GATEHOUSE_SPOOL_LISTING_H
#define GATEHOUSE_SPOOL_LISTING_H

#include "deliver/route.h"
#include "queue/queue.h"

#include <jansson.h>

/* Absent strings and zero numbers do not restrict. Patterns as in policies: address, @domain,
 * .domain, or a glob with * and ?. */
struct listing_filter {
    const char **ids; /* names of messages; a bare receipt id means all its parts */
    size_t nids;
    const char *recipient, *sender;
    const char *destination; /* glob over "smtp:[192.0.2.1]:25" */
    const char *state;       /* waiting, deferred (waiting and tried before), active, held */
    usec older, younger;     /* age in the queue */
    bool all;                /* says itself that everything is meant */
};

/* From {"ids":[...],"recipient":...,"sender":...,"destination":...,"state":...,"older":seconds,
 * "younger":seconds,"all":true}. Strings point into the object. 0, or -1 with e. */
int listing_filter_read(const json_t *o, struct arena *a, struct listing_filter *f, struct err *e);
/* Whether it restricts anything. */
bool listing_filter_given(const struct listing_filter *f);

struct listing {
    struct listing_filter filter;
    const struct routes *routes; /* may be NULL: no destinations */
    usec now;
    struct arena *scratch; /* the caller's; reset for each message */
};

/* Whether any open recipient of m is meant; with i != NULL from *i on, which one. */
bool listing_next(const struct listing *l, const struct queue_msg *m, uint32_t *i);
/* One message with its open recipients. New reference. */
json_t *listing_message(const struct listing *l, const struct queue_msg *m);
/* The same with envelope, peer and header. */
json_t *listing_details(const struct listing *l, struct queue *q, struct queue_msg *m);
/* Names of the messages that are meant, oldest first; free() it. */
typedef char listing_id[QUEUE_ID_SIZE];
listing_id *listing_ids(const struct listing *l, struct queue *q, size_t *n);
/* What an operator's action (retry, hold, release, delete) makes of a recipient; false: nothing. */
bool listing_change(const char *action, const struct queue_rcpt *r, usec now,
                    struct queue_change *c);
bool listing_action(const char *action);
/* A string from outside as JSON: what is not UTF-8 is shown as U+FFFD. */
json_t *listing_string(struct span s);

#endif
