/* A compressed message (`rspamc -z`): zstd, as it comes in pieces. One frame, no dictionary. */
#ifndef GATEHOUSE_RSPAMD_UNPACK_H
#define GATEHOUSE_RSPAMD_UNPACK_H

#include "base/buf.h"

/* Log2 of the bytes that a sender may have us look back: what this costs in memory, 8 MiB. */
enum { UNPACK_WINDOW_LOG = 23 };

struct unpack;
struct unpack *unpack_new(void);
void unpack_free(struct unpack *u); /* NULL is fine */

/* Gives what comes out to take, piece by piece; take returns false when it wants no more. false:
 * not zstd, bytes behind its end, a window that is too large, or take wanted no more. */
bool unpack_feed(struct unpack *u, struct span in, bool (*take)(void *ctx, struct span out),
                 void *ctx);
/* The frame is complete. */
bool unpack_done(const struct unpack *u);

#endif
