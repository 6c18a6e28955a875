/* The writer's inside. Items in work are "busy": one thread at a time has an item, from reading its
 * .json to writing it back; a release has it from _begin to _commit or _abort. Room-private. */
#ifndef GATEHOUSE_QUARANTINE_WRITER_PRIVATE_H
#define GATEHOUSE_QUARANTINE_WRITER_PRIVATE_H

#include "quarantine/quarantine_private.h"

#include <pthread.h>

enum { BUSY_MAX = 64, BUSY_WAIT_S = 5 };

struct quarantine {
    int root, lock_fd;
    usec keep;
    pthread_mutex_t lock; /* over the index and the list of busy items */
    pthread_cond_t freed;
    struct db *index;
    char busy[BUSY_MAX][ID_SIZE]; /* empty: free slot */
};

/* Waits a little for its turn; -1 and e when it does not come. */
int busy_take(struct quarantine *q, const char *id, struct err *e);
void busy_give(struct quarantine *q, const char *id);

/* The directory of the item's day, opened, or -1 and e: no such item. */
int item_dir(struct quarantine *q, const char *id, struct err *e);
/* Writes the .json durably, then the index (whose failure is only logged: it is made anew from the
 * files). */
int item_save(struct quarantine *q, int dir, const struct quarantine_item *x, struct err *e);

#endif
