/* What is opened before privileges are dropped: listening sockets and directories. Room-private. */
#ifndef GATEHOUSE_SUPERVISOR_BIND_H
#define GATEHOUSE_SUPERVISOR_BIND_H

#include "config/settings.h"

#include <sys/types.h>

/* "127.0.0.1:25", "[::]:25" -> a bound, listening descriptor; -1 with e. */
int bind_tcp(const char *address, struct err *e);
/* As the listener says: a TCP address, or "unix:/path" that its group may connect to. */
struct account;
int bind_listener(const struct listener *l, const struct account *a, struct err *e);
/* A Unix socket, mode given, owned by the user; a stale one is removed. */
int bind_unix(const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *e);

/* The account that the processes run under. Not root: our own; root without processes.user: root.
 */
struct account {
    uid_t uid;
    gid_t gid;
    bool drop; /* started as root with a user to become */
};
int account_find(const struct process_settings *p, struct account *out, struct err *e);

/* Makes the directories of paths, owned by the account (the cache stays root's: what it holds is
 * trusted by the next start). */
int make_directories(const struct path_settings *p, const struct account *who, struct err *e);

#endif
