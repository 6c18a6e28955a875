/* Frames between our own processes over a SOCK_SEQPACKET pair: typed, size-checked,
 * permission-checked (ipc/frame.h holds the table), optionally with one file descriptor.
 *
 * A frame is {type, tag, payload}. The tag pairs a reply with its request. A payload larger than
 * LINK_INLINE_MAX travels in a memory file; the receiver never sees the difference. A frame that
 * the table forbids for the peer's role closes the link: the other end is not who we think. When
 * the other process dies, on_closed is called once; requests without reply are then lost and their
 * owner decides (retry, 4xx). */
#ifndef GATEHOUSE_IPC_LINK_H
#define GATEHOUSE_IPC_LINK_H

#include "base/span.h"
#include "ipc/frame.h"

#include <uv.h>

struct link;

/* Bytes of payload that travel in the packet itself (a Unix socket takes about 200 kB by default).
 */
enum { LINK_INLINE_MAX = 64 * 1024 };

struct link_events {
    /* fd: -1, or a descriptor that now belongs to the callee. payload is valid during the call. */
    void (*on_frame)(void *ctx, struct link *l, enum frame_type type, uint64_t tag,
                     struct span payload, int fd);
    void (*on_closed)(void *ctx, struct link *l);
};

/* fd belongs to the link. self: our role; peer: the role of the process at the other end. */
struct link *link_open(uv_loop_t *loop, int fd, enum role self, enum role peer,
                       const struct link_events *ev, void *ctx);
/* A connected pair of descriptors for two processes. 0, or -1 with errno. */
int link_pair(int fds[2]);
/* Queues the frame; fd (or -1) is duplicated. 0, or -1 when the link is closed or the frame is not
 * one that we may send (a bug: logged). */
int link_send(struct link *l, enum frame_type type, uint64_t tag, struct span payload, int fd);
enum role link_peer(const struct link *l);
void link_close(struct link *l);

#endif
