/* What scripts remember between messages: keys and values with an end, behind a small interface, so
 * that tests and kv/ serve alike. */
#ifndef GATEHOUSE_SCRIPT_STORE_H
#define GATEHOUSE_SCRIPT_STORE_H

#include "base/buf.h"
#include "base/clock.h"

struct script_store {
    void *ctx;
    /* false: no such key */
    bool (*get)(void *ctx, struct span key, struct buf *value);
    /* until: wall time, 0: never ends. false: it could not be kept */
    bool (*put)(void *ctx, struct span key, struct span value, usec until);
    bool (*forget)(void *ctx, struct span key);
    /* Adds to the number that the value is, as text (anything else counts as 0), in one step for
     * all processes; an entry that exists keeps its end. */
    bool (*add)(void *ctx, struct span key, int64_t by, usec until, int64_t *sum);
};

#endif
