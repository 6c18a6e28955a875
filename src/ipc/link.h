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
    void (*on_drained)(void *ctx, struct link *l); /* may be NULL where link_drain is not used */
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
/* Takes no more requests: the other end can't send from now on (its link_send returns -1), what it
 * had sent still arrives, and answers can be sent. on_drained tells when the last frame was taken.
 */
void link_drain(struct link *l);
/* Frames that a full socket has not taken are given a moment to leave. */
void link_close(struct link *l);

/* For a process without a loop (the supervisor): sends one small frame at once, or takes one.
 * link_post: 0, or -1 when the other end is gone or does not read. link_fetch: the type, 0 when
 * nothing waits, -1 when the other end is gone or sent something it may not. No descriptors are
 * taken.
 */
int link_post(int at, enum role self, enum role peer, enum frame_type type, struct span payload,
              int fd);
int link_fetch(int at, enum role self, enum role peer);

#endif
