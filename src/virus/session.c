/* The server's side of clamd's protocol, as much of it as clients of ours and clamdscan use. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "virus/engine_private.h"

enum { COMMAND_MAX = 256, IO_TIMEOUT_S = 30, CHUNK = 256 * 1024 };

struct session {
    struct engine *g;
    int sock;
    char end; /* NUL after z commands, LF after n commands and bare ones */
    char in[COMMAND_MAX];
    size_t n;
    int fd; /* received with the bytes, or -1 */
};

static void answer(struct session *s, const char *text)
{
    struct buf b = {0};
    buf_str(&b, text);
    buf_char(&b, s->end);
    size_t sent = 0;
    while (sent < b.n) {
        ssize_t n = send(s->sock, b.p + sent, b.n - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            break;
        sent += n > 0 ? (size_t)n : 0;
    }
    buf_free(&b);
}

/* Reads once; a descriptor that comes along is kept (and an earlier one closed). */
static ssize_t receive(struct session *s, char *to, size_t n)
{
    struct iovec iov = {to, n};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof control.space};
    ssize_t got;
    do
        got = recvmsg(s->sock, &msg, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    for (struct cmsghdr *c = got < 0 ? NULL : CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        if (s->fd >= 0)
            close(s->fd);
        memcpy(&s->fd, CMSG_DATA(c), sizeof(int));
    }
    return got;
}

/* "zPING\0", "nPING\n", "PING\n". What follows the command stays in s->in. */
static bool read_command(struct session *s, char out[COMMAND_MAX])
{
    for (;;) {
        char form = s->n ? s->in[0] : '\0';
        char end = form == 'z' ? '\0' : '\n';
        size_t at = s->n ? span_find(span_of(s->in, s->n), end) : SIZE_MAX;
        if (at != SIZE_MAX) {
            size_t from = form == 'z' || form == 'n';
            s->end = end;
            memcpy(out, s->in + from, at - from);
            out[at - from] = '\0';
            s->n -= at + 1;
            memmove(s->in, s->in + at + 1, s->n);
            return true;
        }
        if (s->n == COMMAND_MAX)
            return false;
        ssize_t got = receive(s, s->in + s->n, COMMAND_MAX - s->n);
        if (got <= 0)
            return false;
        s->n += (size_t)got;
    }
}

static bool read_exactly(struct session *s, char *to, size_t n)
{
    size_t kept = n < s->n ? n : s->n;
    memcpy(to, s->in, kept);
    s->n -= kept;
    memmove(s->in, s->in + kept, s->n);
    for (size_t have = kept; have < n;) {
        ssize_t got = receive(s, to + have, n - have);
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return true;
}

/* The gate to libclamav: as many scans at a time as there are cores for it. */
static void scan(struct session *s, int fd, const char *prefix)
{
    struct engine *g = s->g;
    struct cl_scan_options options = {
        .general = CL_SCAN_GENERAL_HEURISTICS,
        .parse = ~0u,
        .heuristic = CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE | CL_SCAN_HEURISTIC_ENCRYPTED_DOC |
                     CL_SCAN_HEURISTIC_EXCEEDS_MAX,
    };
    struct signatures *sig = engine_take(g);
    if (!sig)
        return;
    const char *name = NULL;
    unsigned long scanned = 0;
    cl_error_t code = g->clam.scandesc(fd, NULL, &name, &scanned, sig->engine, &options);
    char text[512];
    if (code == CL_VIRUS)
        snprintf(text, sizeof text, "%s: %s FOUND", prefix, name ? name : "unnamed");
    else if (code == CL_CLEAN)
        snprintf(text, sizeof text, "%s: OK", prefix);
    else
        snprintf(text, sizeof text, "%s: %s ERROR", prefix, g->clam.error_text(code));
    engine_give(g, sig); /* the name lives in the signatures */
    answer(s, text);
}

static void do_fildes(struct session *s)
{
    char byte;
    struct stat st;
    if (s->fd < 0 && !read_exactly(s, &byte, 1))
        return;
    if (s->fd < 0 || fstat(s->fd, &st) || !S_ISREG(st.st_mode)) {
        answer(s, "No file descriptor received. ERROR");
        return;
    }
    char prefix[32];
    snprintf(prefix, sizeof prefix, "fd[%d]", s->fd);
    if ((uint64_t)st.st_size > s->g->set->max_size)
        answer(s, "FILDES size limit exceeded. ERROR");
    else
        scan(s, s->fd, prefix);
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t did = write(fd, p, n);
        if (did < 0 && errno != EINTR)
            return false;
        p += did > 0 ? did : 0;
        n -= did > 0 ? (size_t)did : 0;
    }
    return true;
}

/* {u32 length in network order, bytes}..., a length of zero ends it. */
static bool read_stream(struct session *s, int to)
{
    uint64_t total = 0;
    char *chunk = malloc(CHUNK);
    bool fine = chunk != NULL;
    while (fine) {
        unsigned char head[4];
        if (!(fine = read_exactly(s, (char *)head, 4)))
            break;
        uint64_t left =
            (uint64_t)head[0] << 24 | (uint64_t)head[1] << 16 | (uint64_t)head[2] << 8 | head[3];
        if (left == 0)
            break;
        total += left;
        if (total > s->g->set->max_size) {
            answer(s, "INSTREAM size limit exceeded. ERROR");
            fine = false;
        }
        for (size_t n; fine && left > 0; left -= n) {
            n = left < CHUNK ? (size_t)left : CHUNK;
            fine = read_exactly(s, chunk, n) && write_all(to, chunk, n);
        }
    }
    free(chunk);
    return fine;
}

static void do_instream(struct session *s)
{
    int fd = memfd_create("gatehouse-instream", MFD_CLOEXEC);
    if (fd < 0) {
        answer(s, "INSTREAM: no memory ERROR");
        return;
    }
    if (read_stream(s, fd))
        scan(s, fd, "stream");
    close(fd);
}

static void do_version(struct session *s)
{
    struct engine *g = s->g;
    char text[128];
    pthread_mutex_lock(&g->lock);
    unsigned version = g->now ? g->now->version : 0;
    pthread_mutex_unlock(&g->lock);
    if (version)
        snprintf(text, sizeof text, "ClamAV %s/%u", g->clam.retver(), version);
    else
        snprintf(text, sizeof text, "ClamAV %s", g->clam.retver());
    answer(s, text);
}

static void do_stats(struct session *s)
{
    struct engine *g = s->g;
    char text[200];
    pthread_mutex_lock(&g->lock);
    snprintf(text, sizeof text,
             "POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live %d max %d\nQUEUE: %d items\n"
             "SIGNATURES: %u\nEND\n",
             g->scanning, g->scans_max, g->connections - g->scanning, g->now ? g->now->count : 0);
    pthread_mutex_unlock(&g->lock);
    answer(s, text);
}

static void do_ping(struct session *s)
{
    answer(s, "PONG");
}

static void do_reload(struct session *s)
{
    struct engine *g = s->g;
    uint64_t one = 1;
    pthread_mutex_lock(&g->lock);
    g->reload = true;
    pthread_mutex_unlock(&g->lock);
    if (write(g->wake, &one, sizeof one) < 0)
        log_event(LOG_WARN, NULL, "virus-reload", F_STR("why", strerror(errno)));
    answer(s, "RELOADING");
}

static const struct {
    const char *name;
    void (*run)(struct session *s);
} commands[] = {
    {"PING", do_ping},         {"VERSION", do_version}, {"FILDES", do_fildes},
    {"INSTREAM", do_instream}, {"RELOAD", do_reload},   {"STATS", do_stats},
};

void engine_session(struct engine *g, int sock)
{
    struct session s = {.g = g, .sock = sock, .end = '\n', .fd = -1};
    struct timeval t = {.tv_sec = IO_TIMEOUT_S};
    char command[COMMAND_MAX];
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
    if (read_command(&s, command)) {
        size_t i = 0;
        while (i < sizeof commands / sizeof *commands && strcmp(commands[i].name, command) != 0)
            i++;
        if (i < sizeof commands / sizeof *commands)
            commands[i].run(&s);
        else
            answer(&s, "UNKNOWN COMMAND");
    }
    if (s.fd >= 0)
        close(s.fd);
    close(sock);
}
