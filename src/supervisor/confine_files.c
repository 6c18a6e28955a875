/* The file system and the network as each role may see them: Landlock. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config/script.h"
#include "base/xalloc.h"
#include "config/table.h"
#include "supervisor/confine.h"

/* What is newer than the headers of Debian 12 (versions 3 to 6 of the interface). */
enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_NET = 4, ABI_IOCTL = 5, ABI_SCOPE = 6 };
enum { RULE_NET_PORT = 2, DNS_PORT = 53 };
#define NET_BIND_TCP    (UINT64_C(1) << 0)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ALL       (UINT64_C(3)) /* abstract Unix sockets, signals */
#define FS_TRUNCATE     (UINT64_C(1) << 14)
#define FS_IOCTL_DEV    (UINT64_C(1) << 15)

struct ruleset_attr {
    uint64_t fs, net, scoped;
};
struct net_attr {
    uint64_t access, port;
};

#define READ ((uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR))
#define WRITE                                                                                      \
    ((uint64_t)(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |                      \
                LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                     \
                LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE))
#define APPEND ((uint64_t)(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG))
/* Of a single file. */
#define FILE_RIGHTS                                                                                \
    ((uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE |       \
                FS_IOCTL_DEV))

struct cage {
    int fd;
    struct ruleset_attr handled;
    const struct settings *set;
    const struct ruleset *rules;
    enum role role;
    bool failed;
};

static int ruleset_open(struct cage *c, int version)
{
    c->handled.fs = (UINT64_C(1) << 13) - 1;
    if (version >= ABI_REFER)
        c->handled.fs |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= ABI_TRUNCATE)
        c->handled.fs |= FS_TRUNCATE;
    if (version >= ABI_IOCTL)
        c->handled.fs |= FS_IOCTL_DEV;
    if (version >= ABI_NET)
        c->handled.net = c->role == ROLE_SPOOL ? NET_BIND_TCP : NET_BIND_TCP | NET_CONNECT_TCP;
    if (version >= ABI_SCOPE)
        c->handled.scoped = SCOPE_ALL;
    size_t size = version >= ABI_SCOPE ? 24 : version >= ABI_NET ? 16 : 8;
    c->fd = (int)syscall(SYS_landlock_create_ruleset, &c->handled, size, 0);
    return c->fd;
}

/* What is not there can't be reached either. */
static void allow(struct cage *c, const char *path, uint64_t access)
{
    struct stat st;
    int fd = path && path[0] ? open(path, O_PATH | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        access &= FILE_RIGHTS;
    struct landlock_path_beneath_attr rule = {.allowed_access = access & c->handled.fs,
                                              .parent_fd = fd};
    if (rule.allowed_access &&
        syscall(SYS_landlock_add_rule, c->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        c->failed = true;
    close(fd);
}

/* The directory it stands in: files are replaced by renaming others over them. */
static void allow_around(struct cage *c, const char *path, uint64_t access)
{
    char *copy = xstrdup(path), *real = realpath(path, NULL);
    allow(c, dirname(copy), access);
    if (real)
        allow(c, dirname(real), access);
    free(copy);
    free(real);
}

static void allow_port(struct cage *c, uint64_t port)
{
    struct net_attr rule = {NET_CONNECT_TCP, port};
    if ((c->handled.net & NET_CONNECT_TCP) &&
        syscall(SYS_landlock_add_rule, c->fd, RULE_NET_PORT, &rule, 0) != 0)
        c->failed = true;
}

static void allow_system(struct cage *c)
{
    static const char *const reads[] = {"/usr",
                                        "/lib",
                                        "/lib64",
                                        "/etc/ld.so.cache",
                                        "/etc/ssl",
                                        "/etc/localtime",
                                        "/etc/nsswitch.conf",
                                        "/etc/hosts",
                                        "/etc/host.conf",
                                        "/etc/gai.conf",
                                        "/etc/services",
                                        "/etc/protocols",
                                        "/etc/resolv.conf",
                                        "/etc/magic",
                                        "/etc/machine-id",
                                        "/run/systemd/resolve",
                                        "/run/resolvconf",
                                        "/proc",
                                        "/sys/devices/system",
                                        "/sys/fs/cgroup",
                                        "/sys/kernel/mm/transparent_hugepage"};
    static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"};
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++)
        allow(c, reads[i], READ);
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        allow(c, devices[i], READ | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL_DEV);
    allow(c, "/dev/tty", READ | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL_DEV);
}

/* --- what settings name --- */

static bool is_secret(const char *name)
{
    return strstr(name, "key") || strstr(name, "users_file") || strstr(name, "identity") ||
           strstr(name, "certificate");
}

static bool is_place(const char *name)
{
    return strncmp(name, "paths.", 6) == 0;
}

/* Whether keys or passwords stand beside it. */
static bool beside_secrets(const struct cage *c, const char *path)
{
    const char *end = strrchr(path, '/');
    size_t n = end ? (size_t)(end - path) + 1 : 0;
    for (size_t i = 0; i < settings_table.n; i++) {
        const struct setting *row = &settings_table.rows[i];
        const char *const *one = (const void *)((const char *)c->set + row->offset);
        if (row->type == SET_PATH && is_secret(row->name) && *one && strncmp(*one, path, n) == 0)
            return true;
    }
    for (size_t i = 0; i < c->set->listeners.n; i++) {
        const char *key = c->set->listeners.v[i].key;
        if (key && strncmp(key, path, n) == 0)
            return true;
    }
    return false;
}

/* "/home/%u/.spamassassin": what stands before the part that varies. */
static void allow_pattern(struct cage *c, const char *path)
{
    char *copy = xstrdup(path), *percent = strchr(copy, '%');
    char *slash = NULL;
    if (percent) {
        *percent = 0;
        slash = strrchr(copy, '/');
    }
    if (slash && slash != copy) {
        *slash = 0;
        allow(c, copy, READ);
    } else if (!percent) {
        allow(c, copy, READ);
    }
    free(copy);
}

static void allow_setting(struct cage *c, const char *name, const char *path)
{
    if (!path || path[0] != '/' || is_place(name))
        return;
    if (c->role == ROLE_SCAN) {
        if (is_secret(name))
            return;
        allow_pattern(c, path);
        struct stat file;
        if (stat(path, &file) == 0 && S_ISREG(file.st_mode) && !beside_secrets(c, path))
            allow_around(c, path, READ);
        return;
    }
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        allow(c, path, READ);
    else
        allow_around(c, path, READ);
}

/* The port at the end of "host:25" or "192.0.2.1@5353"; 0: none. */
static uint64_t port_in(const char *text)
{
    const char *at = strrchr(text, '@'), *colon = strrchr(text, ':');
    const char *mark = at > colon ? at : colon;
    uint64_t port = 0;
    if (!mark || !span_u64(span_str(mark + 1), &port) || port > 65535)
        return 0;
    return port;
}

static void see_text(struct cage *c, const char *name, const char *text)
{
    if (text && text[0] == '/' && c->role != ROLE_VIRUS && !is_secret(name))
        allow_pattern(c, text);
    uint64_t port = text ? port_in(text) : 0;
    if (port)
        allow_port(c, port);
}

static void see_rows(struct cage *c)
{
    const struct setting_table *t = &settings_table;
    for (size_t i = 0; i < t->n; i++) {
        const struct setting *row = &t->rows[i];
        const void *at = (const char *)c->set + row->offset;
        const struct strings *list = at;
        const char *const *one = at;
        if (row->type == SET_PATH)
            allow_setting(c, row->name, *one);
        else if (row->type == SET_STRING)
            see_text(c, row->name, *one);
        else if (row->type == SET_PATHS || row->type == SET_STRINGS)
            for (size_t k = 0; k < list->n; k++) {
                if (row->type == SET_PATHS)
                    allow_setting(c, row->name, list->v[k]);
                see_text(c, row->name, list->v[k]);
            }
    }
    for (size_t i = 0; c->role == ROLE_DOOR && i < c->set->listeners.n; i++) {
        allow_setting(c, "certificate", c->set->listeners.v[i].certificate);
        allow_setting(c, "key", c->set->listeners.v[i].key);
    }
}

/* "DBI:SQLite:/path", "DBI:Pg:dbname=x;host=y;port=5433": a file with what SQLite puts beside it,
 * or a port. */
static void allow_database(struct cage *c, struct span dsn)
{
    enum { PG_PORT = 5432 };
    size_t slash = span_find(dsn, '/'), port = span_search(dsn, SPAN("port="));
    if (span_search(dsn, SPAN("SQLite")) != SIZE_MAX && slash != SIZE_MAX) {
        struct span path = span_from(dsn, slash);
        char *text = xasprintf("%.*s", SPAN_ARG(span_sub(path, 0, span_find(path, ';'))));
        allow_around(c, text, READ | WRITE);
        free(text);
        return;
    }
    uint64_t number = PG_PORT;
    if (port != SIZE_MAX) {
        struct span digits = span_from(dsn, port + 5);
        size_t n = 0;
        while (n < digits.n && ascii_isdigit(digits.p[n]))
            n++;
        if (!span_u64(span_sub(digits, 0, n), &number) || number > 65535)
            return;
    }
    allow_port(c, number);
}

/* --- mail directories --- */

static bool access_missing(const char *path)
{
    return access(path, F_OK) != 0;
}

/* The nearest directory that exists: what is below it may have to be made. */
static void allow_existing(struct cage *c, const char *path, uint64_t access)
{
    char *copy = xstrdup(path);
    char *at = copy;
    while (strcmp(at, "/") != 0 && strcmp(at, ".") != 0 && access_missing(at))
        at = dirname(at);
    if (strcmp(at, "/") != 0)
        allow(c, at, access);
    free(copy);
}

static void allow_maildir(struct cage *c, struct span route)
{
    route = span_trim(route);
    if (!span_istarts(route, SPAN("maildir:")))
        return;
    struct span path = span_from(route, 8);
    char *text = xasprintf("%.*s", SPAN_ARG(path));
    allow_existing(c, text, READ | WRITE);
    free(text);
}

static void allow_maildirs(struct cage *c)
{
    const struct route_settings *r = &c->set->routes;
    if (r->fallback)
        allow_maildir(c, span_str(r->fallback));
    FILE *f = r->file ? fopen(r->file, "re") : NULL;
    char line[PATH_MAX + 512];
    while (f && fgets(line, sizeof line, f)) {
        struct span s = span_trim(span_str(line));
        if (s.n && s.p[0] != '#') {
            span_word(&s, " \t");
            allow_maildir(c, s);
        }
    }
    if (f)
        fclose(f);
}

/* --- all of it --- */

static void allow_role(struct cage *c)
{
    const struct path_settings *p = &c->set->paths;
    const char *log = c->set->log.target;
    allow_system(c);
    if (log && log[0] == '/')
        allow_around(c, log, APPEND);
    if (c->role == ROLE_VIRUS) {
        allow(c, c->set->virus.database, READ);
        allow(c, "/tmp", READ | WRITE);
        allow(c, "/var/tmp", READ | WRITE);
        return;
    }
    see_rows(c);
    allow_port(c, DNS_PORT);
    allow(c, p->state, READ | WRITE);
    allow(c, p->cache, READ);
    if (c->role == ROLE_SCAN) {
        static const char *const data[] = {"/var/lib/spamassassin", "/etc/mail/spamassassin",
                                           "/var/lib/GeoIP"};
        for (size_t i = 0; i < sizeof data / sizeof *data; i++)
            allow(c, data[i], READ);
        struct span dsn = SPAN_NONE;
        if (c->rules && c->set->preferences.sql)
            dsn = ruleset_value(c->rules, "user_scores_dsn", SPAN_NONE);
        if (dsn.n)
            allow_database(c, dsn);
        const struct script_settings *script = settings_script(c->set);
        if (script && script->file)
            allow_around(c, script->file, READ);
        return;
    }
    allow(c, p->spool, READ | WRITE);
    if (c->role == ROLE_SPOOL) {
        allow(c, p->run, READ | WRITE);
        allow_maildirs(c);
    }
}

int confine_files(enum role role, const struct settings *set, const struct ruleset *rules,
                  int *version, struct err *e)
{
    struct cage c = {.set = set, .rules = rules, .role = role};
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    *version = abi > 0 ? (int)abi : 0;
    if (!*version)
        return 0;
    if (ruleset_open(&c, *version) < 0)
        return err_sys(e, "landlock: no ruleset");
    allow_role(&c);
    int rc = c.failed ? -1 : (int)syscall(SYS_landlock_restrict_self, c.fd, 0);
    if (rc != 0)
        err_sys(e, "landlock");
    close(c.fd);
    return rc;
}
