/* One request at the operators' socket, shared by the files that answer it (control*.c). */
#ifndef GATEHOUSE_SPOOL_CONTROL_PRIVATE_H
#define GATEHOUSE_SPOOL_CONTROL_PRIVATE_H

#include <jansson.h>

#include "loop/stream.h"
#include "spool/listing.h"
#include "spool/spool_private.h"

struct asker {
    struct asker *next;
    struct spool *sp;
    struct stream *s;
    bool answering;
    struct buf in; /* the request, as far as it has come */
    /* a list under way */
    struct arena *arena;
    json_t *request;
    struct listing listing;
    listing_id *ids;
    size_t nids, at;
    /* a message under way */
    char showing[QUEUE_ID_SIZE];
    uint64_t show_at;
    /* a release under way */
    struct quarantine_release release;
    bool releasing; /* that, or a run of reports: o stays although its connection ends */
};

/* One line of the answer; takes the reference. */
void control_say(struct asker *o, json_t *v);
/* The last line, and the end of the connection: done, or why not. */
void control_finish(struct asker *o, json_t *last);
void control_refuse(struct asker *o, const char *why);
/* Who acts, for the books. */
const char *control_who(const struct asker *o);
void control_free(struct asker *o);

void control_queue(struct asker *o, const char *action);
/* The next steps of a long answer, now that the socket takes more. */
void control_go_on(struct asker *o);
void control_quarantine(struct asker *o, const char *action);
/* reports.c */
void control_reports(struct asker *o, const char *action);

#endif
