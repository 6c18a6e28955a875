#include "ipc/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"

/* A packet is a head, then the payload, or nothing when `memory` says that the first descriptor is
 * a memory file with the payload. */
struct head {
    uint32_t type, memory;
    uint64_t tag, size;
};

enum { FDS_MAX = 2, READ_BURST = 64, LINGER_MS = 500 };

struct packet {
    struct packet *next;
    struct head head;
    int fds[FDS_MAX];
    int nfds;
    size_t n;
    char payload[];
};

struct link {
    uv_poll_t poll;
    int fd;
    enum role self, peer;
    struct link_events ev;
    void *ctx;
    struct packet *first, **last; /* not yet accepted by the socket */
    bool closing, draining, drained;
    char *inbox;
};

static void on_ready(uv_poll_t *handle, int status, int events);
static int transmit(struct link *l, struct packet *p);

/* A drained link is watched for the end of the other process alone. UV_DISCONNECT would be told at
 * once (it means that our own reading end is shut); a hang-up is told under any name, so the one
 * that nothing else uses. */
static void watch(struct link *l)
{
    int events = (l->drained ? UV_PRIORITIZED : UV_READABLE) | (l->first ? UV_WRITABLE : 0);
    uv_poll_start(&l->poll, events, on_ready);
}

static void packet_free(struct packet *p)
{
    for (int i = 0; i < p->nfds; i++)
        close(p->fds[i]);
    free(p);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct link *l = h->data;
    free(l->inbox);
    free(l);
}

static void shut(struct link *l)
{
    if (l->closing)
        return;
    l->closing = true;
    uv_poll_stop(&l->poll);
    close(l->fd);
    while (l->first) {
        struct packet *p = l->first;
        l->first = p->next;
        packet_free(p);
    }
    uv_close((uv_handle_t *)&l->poll, on_handle_closed);
}

/* What the full socket has not taken yet gets LINGER_MS for each frame: answers that are not told
 * are work done twice. */
static void linger(struct link *l)
{
    for (struct packet *p = l->first; p && !l->closing; p = p->next) {
        struct pollfd full = {.fd = l->fd, .events = POLLOUT};
        int sent = transmit(l, p);
        if (sent == 0 && poll(&full, 1, LINGER_MS) == 1)
            sent = transmit(l, p);
        if (sent != 1)
            return;
    }
}

void link_close(struct link *l)
{
    linger(l);
    shut(l);
}

static void lost(struct link *l)
{
    if (l->closing)
        return;
    shut(l);
    l->ev.on_closed(l->ctx, l);
}

struct link *link_open(uv_loop_t *loop, int fd, enum role self, enum role peer,
                       const struct link_events *ev, void *ctx)
{
    struct link *l = xcalloc(1, sizeof *l);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    *l = (struct link){.fd = fd, .self = self, .peer = peer, .ev = *ev, .ctx = ctx};
    l->last = &l->first;
    l->inbox = xmalloc(sizeof(struct head) + LINK_INLINE_MAX);
    uv_poll_init(loop, &l->poll, fd);
    l->poll.data = l;
    watch(l);
    return l;
}

int link_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds);
}

enum role link_peer(const struct link *l)
{
    return l->peer;
}

/* A memory file that holds the payload, or -1. */
static int memory_file(struct span payload)
{
    int fd = memfd_create("gatehouse-frame", MFD_CLOEXEC);
    if (fd < 0)
        return -1;
    while (payload.n) {
        ssize_t n = write(fd, payload.p, payload.n);
        if (n < 0 && errno != EINTR) {
            close(fd);
            return -1;
        }
        payload = span_from(payload, n > 0 ? (size_t)n : 0);
    }
    return fd;
}

static struct packet *packet_new(enum frame_type type, uint64_t tag, struct span payload, int fd)
{
    bool memory = payload.n > LINK_INLINE_MAX;
    size_t n = memory ? 0 : payload.n;
    struct packet *p = xcalloc(1, sizeof *p + n);
    p->head = (struct head){type, memory, tag, payload.n};
    p->n = n;
    if (n)
        memcpy(p->payload, payload.p, n);
    if (memory && (p->fds[p->nfds++] = memory_file(payload)) < 0)
        p->nfds--, p->head.memory = 2;
    if (fd >= 0 && (p->fds[p->nfds++] = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
        p->nfds--, p->head.memory = 2;
    if (p->head.memory == 2) { /* no descriptors left: the caller sees a closed link */
        packet_free(p);
        return NULL;
    }
    return p;
}

/* 1 sent, 0 socket is full, -1 broken. */
static int transmit(struct link *l, struct packet *p)
{
    struct iovec iov[2] = {{&p->head, sizeof p->head}, {p->payload, p->n}};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * FDS_MAX)] = {0};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = p->n ? 2 : 1};
    if (p->nfds) {
        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)p->nfds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)p->nfds);
        memcpy(CMSG_DATA(c), p->fds, sizeof(int) * (size_t)p->nfds);
    }
    for (;;) {
        if (sendmsg(l->fd, &msg, MSG_NOSIGNAL) >= 0)
            return 1;
        if (errno == EAGAIN || errno == ETOOMANYREFS || errno == ENOBUFS)
            return 0;
        if (errno != EINTR)
            return -1;
    }
}

int link_send(struct link *l, enum frame_type type, uint64_t tag, struct span payload, int fd)
{
    const struct frame_rule *rule = frame_rule(type);
    if (!rule || !(rule->from & l->self) || !(rule->to & l->peer) || payload.n > rule->max ||
        rule->fd != (fd >= 0)) {
        log_event(LOG_FAULT, NULL, "frame-refused", F_STR("frame", rule ? rule->name : "unknown"),
                  F_STR("from", role_name(l->self)), F_STR("to", role_name(l->peer)),
                  F_INT("size", payload.n));
        return -1;
    }
    if (l->closing)
        return -1;
    struct packet *p = packet_new(type, tag, payload, fd);
    if (!p)
        return -1;
    int sent = l->first ? 0 : transmit(l, p);
    if (sent != 0) {
        packet_free(p);
        return sent > 0 ? 0 : -1; /* a broken socket is told by on_closed, from the loop */
    }
    *l->last = p;
    l->last = &p->next;
    watch(l);
    return 0;
}

static void flush(struct link *l)
{
    while (l->first) {
        struct packet *p = l->first;
        int sent = transmit(l, p);
        if (sent == 0)
            return;
        l->first = p->next;
        if (!l->first)
            l->last = &l->first;
        packet_free(p);
        if (sent < 0) {
            lost(l);
            return;
        }
    }
    watch(l);
}

static void close_all(const int *fds, int n)
{
    for (int i = 0; i < n; i++)
        close(fds[i]);
}

static int take_fds(struct msghdr *msg, int fds[FDS_MAX])
{
    int n = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        int count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + sizeof(int) * (size_t)i, sizeof fd);
            if (n < FDS_MAX)
                fds[n++] = fd;
            else
                close(fd);
        }
    }
    return n;
}

void link_drain(struct link *l)
{
    if (l->closing || l->draining)
        return;
    l->draining = true;
    shutdown(l->fd, SHUT_RD);
}

static bool permitted(const struct link *l, const struct head *h, size_t inline_n, int nfds)
{
    const struct frame_rule *rule = frame_rule(h->type);
    return rule && (rule->from & l->peer) && (rule->to & l->self) && h->size <= rule->max &&
           h->memory <= 1 && (h->memory ? inline_n == 0 : inline_n == h->size) &&
           nfds == (int)h->memory + (rule->fd ? 1 : 0);
}

/* Maps the memory file of a large frame; its size must be what the head says. */
static struct span map_payload(int fd, size_t size)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || (uint64_t)st.st_size != size)
        return SPAN_NONE;
    void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    return p == MAP_FAILED ? SPAN_NONE : span_of(p, size);
}

static void deliver(struct link *l, const struct head *h, size_t inline_n, int *fds, int nfds)
{
    if (!permitted(l, h, inline_n, nfds)) {
        log_event(LOG_FAULT, NULL, "frame-forbidden", F_INT("type", h->type),
                  F_STR("from", role_name(l->peer)), F_INT("size", h->size));
        close_all(fds, nfds);
        lost(l);
        return;
    }
    int fd = nfds > (int)h->memory ? fds[h->memory] : -1;
    if (!h->memory) {
        l->ev.on_frame(l->ctx, l, h->type, h->tag, span_of(l->inbox + sizeof *h, inline_n), fd);
        return;
    }
    struct span payload = map_payload(fds[0], h->size);
    close(fds[0]);
    if (!payload.p) {
        if (fd >= 0)
            close(fd);
        lost(l);
        return;
    }
    l->ev.on_frame(l->ctx, l, h->type, h->tag, payload, fd);
    munmap((void *)(uintptr_t)payload.p, payload.n);
}

/* true when a frame was taken and more may wait. */
static bool receive(struct link *l)
{
    struct head h;
    int fds[FDS_MAX];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    struct iovec iov = {l->inbox, sizeof h + LINK_INLINE_MAX};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(l->fd, &msg, MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n == 0 && l->draining && !l->drained) {
        l->drained = true;
        watch(l);
        l->ev.on_drained(l->ctx, l);
        return false;
    }
    if (n <= 0) {
        lost(l);
        return false;
    }
    int nfds = take_fds(&msg, fds);
    if ((size_t)n < sizeof h || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        close_all(fds, nfds);
        lost(l);
        return false;
    }
    memcpy(&h, l->inbox, sizeof h);
    deliver(l, &h, (size_t)n - sizeof h, fds, nfds);
    return true;
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    struct link *l = handle->data;
    if (status < 0) {
        lost(l);
        return;
    }
    if (l->drained && events & UV_PRIORITIZED) {
        lost(l);
        return;
    }
    if (events & UV_WRITABLE && l->first)
        flush(l);
    /* A burst, so that one busy link can't starve the others. on_frame may close the link: it is
     * freed by the loop only after this callback, so that `closing` can still be read. */
    if (events & UV_READABLE)
        for (int i = 0; i < READ_BURST && !l->closing && !l->drained && receive(l); i++)
            ;
}

/* --- without a loop --- */

int link_post(int at, enum role self, enum role peer, enum frame_type type, struct span payload,
              int fd)
{
    struct link l = {.fd = at, .self = self, .peer = peer};
    const struct frame_rule *rule = frame_rule(type);
    if (!rule || !(rule->from & self) || !(rule->to & peer) || payload.n > rule->max)
        return -1;
    struct packet *p = packet_new(type, 0, payload, fd);
    if (!p)
        return -1;
    int sent = transmit(&l, p);
    packet_free(p);
    return sent == 1 ? 0 : -1;
}

int link_fetch(int at, enum role self, enum role peer)
{
    struct link l = {.fd = at, .self = self, .peer = peer};
    struct head h;
    ssize_t n = recv(at, &h, sizeof h, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n != sizeof h || !permitted(&l, &h, 0, 0))
        return -1;
    return (int)h.type;
}
