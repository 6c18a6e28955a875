#include "supervisor/bind.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, BIND_TRIES = 20, BIND_PAUSE_NS = 50 * 1000 * 1000 };

static bool split_address(const char *address, struct ip *ip, uint16_t *port)
{
    struct span s = span_str(address);
    size_t colon = span_rfind(s, ':');
    uint64_t number;
    if (colon == SIZE_MAX || !span_u64(span_from(s, colon + 1), &number) || number > 65535)
        return false;
    *port = (uint16_t)number;
    return ip_parse(span_sub(s, 0, colon), ip);
}

static socklen_t to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (ip_is4(ip)) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, ip->b + 12, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    memcpy(&in6->sin6_addr, ip->b, 16);
    return sizeof *in6;
}

/* After a crash the processes of the last life may hold the port for a moment. */
static bool bind_patiently(int fd, const struct sockaddr *sa, socklen_t n)
{
    const struct timespec pause = {0, BIND_PAUSE_NS};
    for (int i = 0; i < BIND_TRIES; i++) {
        if (bind(fd, sa, n) == 0 && listen(fd, BACKLOG) == 0)
            return true;
        if (errno != EADDRINUSE)
            return false;
        nanosleep(&pause, NULL);
    }
    return false;
}

static int listening(int fd, const struct sockaddr *sa, socklen_t n, const char *name,
                     struct err *e)
{
    if (bind_patiently(fd, sa, n))
        return fd;
    if (errno == EACCES)
        err_sys(e, "can't listen on %s (ports below 1024 need root or CAP_NET_BIND_SERVICE)", name);
    else if (errno == EADDRINUSE)
        err_sys(e, "can't listen on %s (is another mail server running there?)", name);
    else
        err_sys(e, "can't listen on %s", name);
    close(fd);
    return -1;
}

int bind_tcp(const char *address, struct err *e)
{
    struct ip ip;
    uint16_t port;
    struct sockaddr_storage sa;
    if (!split_address(address, &ip, &port))
        return err_set(e, "'%s' is not ADDRESS:PORT (such as 127.0.0.1:25 or [::]:25)", address);
    socklen_t n = to_sockaddr(&ip, port, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(e, "can't open a socket for %s", address);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return listening(fd, (struct sockaddr *)&sa, n, address, e);
}

int bind_unix(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *e)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof sa.sun_path)
        return err_set(e, "'%s' is too long for a Unix socket (%zu bytes at most)", path,
                       sizeof sa.sun_path - 1);
    memcpy(sa.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(e, "can't open a socket for %s", path);
    unlink(path);
    mode_t old = umask(0177);
    fd = listening(fd, (struct sockaddr *)&sa, sizeof sa, path, e);
    umask(old);
    if (fd < 0)
        return -1;
    if (chmod(path, mode) != 0 || (geteuid() == 0 && chown(path, uid, gid) != 0)) {
        close(fd);
        return err_sys(e, "can't set the owner of %s", path);
    }
    return fd;
}

int bind_listener(const struct listener *l, const struct account *a, struct err *e)
{
    struct span address = span_str(l->address);
    gid_t gid = a->gid;
    if (!span_starts(address, SPAN("unix:")))
        return bind_tcp(l->address, e);
    if (l->socket_group && geteuid() == 0) {
        const struct group *gr = getgrnam(l->socket_group);
        if (!gr)
            return err_set(e, "listener '%s': no group '%s' on this machine", l->name,
                           l->socket_group);
        gid = gr->gr_gid;
    }
    return bind_unix(span_from(address, 5).p, 0660, a->uid, gid, e);
}

int account_find(const struct process_settings *p, struct account *out, struct err *e)
{
    *out = (struct account){geteuid(), getegid(), false};
    if (geteuid() != 0 || !p->user)
        return 0;
    const struct passwd *pw = getpwnam(p->user);
    if (!pw)
        return err_set(e,
                       "processes.user: no account '%s' on this machine (create it with "
                       "'useradd --system --no-create-home %s')",
                       p->user, p->user);
    out->uid = pw->pw_uid;
    out->gid = pw->pw_gid;
    out->drop = true;
    if (p->group) {
        const struct group *gr = getgrnam(p->group);
        if (!gr)
            return err_set(e, "processes.group: no group '%s' on this machine", p->group);
        out->gid = gr->gr_gid;
    }
    return 0;
}

/* mkdir -p, then the mode and the owner of the last one. */
static int make_directory(const char *path, mode_t mode, const struct account *owner, struct err *e)
{
    char part[4096];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return err_set(e, "path too long: %s", path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return err_sys(e, "can't make the directory %s", part);
    }
    /* What is right already is not touched: a read-only file system would refuse it. */
    struct stat st;
    if (stat(path, &st) != 0)
        return err_sys(e, "can't look at %s", path);
    if ((st.st_mode & 07777) != mode && chmod(path, mode) != 0 && errno != EPERM && errno != EROFS)
        return err_sys(e, "can't set the mode of %s", path);
    if (owner && geteuid() == 0 && (st.st_uid != owner->uid || st.st_gid != owner->gid) &&
        chown(path, owner->uid, owner->gid) != 0)
        return err_sys(e, "can't set the owner of %s", path);
    return 0;
}

int make_directories(const struct path_settings *p, const struct account *who, struct err *e)
{
    return make_directory(p->state, 0750, who, e) == 0 &&
                   make_directory(p->spool, 0700, who, e) == 0 &&
                   make_directory(p->run, 0755, who, e) == 0 &&
                   make_directory(p->cache, 0755, NULL, e) == 0
               ? 0
               : -1;
}
