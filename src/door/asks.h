/* Requests to other processes that wait for their answer. The tag of a frame is slot and
 * generation: an answer that comes after its question was taken back finds nobody. */
#ifndef GATEHOUSE_DOOR_ASKS_H
#define GATEHOUSE_DOOR_ASKS_H

#include "base/clock.h"

enum ask_kind { ASK_FREE, ASK_SCAN, ASK_STORE, ASK_RCPT, ASK_SCRIPT };

struct ask {
    enum ask_kind kind;
    uint32_t generation;
    uint64_t tag;
    void *owner;  /* who asked; NULL: nobody wants the answer any more */
    void *target; /* the link or scanner that was asked */
    usec since;   /* monotonic */
    struct ask *next_free;
};

struct asks {
    struct ask **v; /* stable addresses */
    size_t n, cap;
    struct ask *free;
};

/* Tag 0 is never given out: it marks frames whose answer nobody waits for. */
struct ask *ask_new(struct asks *all, enum ask_kind kind, void *owner, void *target);
struct ask *ask_find(struct asks *all, uint64_t tag, enum ask_kind kind);
void ask_end(struct asks *all, struct ask *a);
void asks_free(struct asks *all);

#endif
