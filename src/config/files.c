#include "config/load_private.h"
#include "config/script.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* What settings name must be there. */

struct file_row {
    const char *setting, *path, *remedy;
};

static void missing(const struct settings *s, struct settings_problems *out, const char *setting,
                    const char *path, const char *remedy)
{
    const char *why = strerror(errno);
    problem_at(out, s->file, mark_of(s, "%s", setting), "'%s': %s: %s%s%s", setting, path, why,
               remedy ? "; " : "", remedy ? remedy : "");
}

/* Readable, and a file rather than a directory. */
static bool readable(const char *path, bool directory)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    errno = directory ? ENOTDIR : EISDIR;
    return directory == S_ISDIR(st.st_mode) && access(path, R_OK | (directory ? X_OK : 0)) == 0;
}

static void check_files(const struct settings *s, struct settings_problems *out)
{
    const struct file_row rows[] = {
        {"tls.certificate", s->tls.certificate, "PEM, the server's certificate first"},
        {"tls.key", s->tls.key, "PEM, readable by root alone"},
        {"tls.authorities", s->tls.authorities, "PEM; null for the system's"},
        {"access_file", s->access_file, "an empty file will do"},
        {"relay.domains_file", s->relay.domains_file, "one domain a line; an empty file will do"},
        {"recipients.file", s->recipients.file, "one address a line; an empty file refuses all"},
        {"auth.users_file", s->auth.users_file, "user:hash a line"},
        {"srs.key_file", s->srs.key_file, "'openssl rand -hex 32' makes a secret"},
        {"batv.key_file", s->batv.key_file, "'openssl rand -hex 32' makes a secret"},
        {"pyzor.accounts", s->pyzor.accounts, "HOST : PORT : USER : SALT,KEY a line; or null"},
        {"razor.identity", s->razor.identity, "'razor-admin -register' writes one"},
        {"wall.asn_database", s->wall.asn_database, "GeoLite2-ASN.mmdb of MaxMind; or null"},
        {"script.file", settings_script(s)->file, "a script in Lua, see docs/lua.md"},
        {"routes.file", s->routes.file, "one 'domain route' a line; an empty file will do"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].path && !readable(rows[i].path, false) &&
            !(i == 1 && s->tls.certificate && strcmp(s->tls.key, s->tls.certificate) == 0))
            missing(s, out, rows[i].setting, rows[i].path, rows[i].remedy);
    for (size_t i = 0; i < s->listeners.n; i++) {
        const struct listener *l = &s->listeners.v[i];
        const struct file_row own[] = {
            {"certificate", l->certificate, "PEM, the server's certificate first"},
            {"key", l->key, "PEM, readable by root alone"},
            {"httpcrypt_file", l->httpcrypt_file, "'openssl rand -hex 32' makes a secret"},
        };
        for (size_t k = 0; k < sizeof own / sizeof own[0]; k++) {
            char name[64];
            snprintf(name, sizeof name, "listeners[%zu].%s", i, own[k].setting);
            if (setting_given(s, "%s", name) && own[k].path && !readable(own[k].path, false))
                missing(s, out, name, own[k].path, own[k].remedy);
        }
    }
}

static void check_directories(const struct settings *s, struct settings_problems *out)
{
    for (size_t i = 0; s->rules.enabled && i < s->rules.dirs.n; i++) {
        char name[64];
        snprintf(name, sizeof name, "rules.dirs[%zu]", i);
        if (!readable(s->rules.dirs.v[i], true))
            missing(s, out, name, s->rules.dirs.v[i], "a directory of .cf files");
    }
    if (s->rules.enabled && s->rules.site_dir && setting_given(s, "rules.site_dir") &&
        !readable(s->rules.site_dir, true))
        missing(s, out, "rules.site_dir", s->rules.site_dir, "a directory of .cf files, or null");
}

/* Only root can become somebody else. */
static void check_user(const struct settings *s, struct settings_problems *out)
{
    if (geteuid() != 0)
        return;
    if (s->processes.user && !getpwnam(s->processes.user))
        problem_at(out, s->file, mark_of(s, "processes.user"),
                   "'processes.user': there is no user '%s'; make one (useradd -r %s), name "
                   "another, or set null to stay root",
                   s->processes.user, s->processes.user);
    else if (s->processes.user && s->processes.group && !getgrnam(s->processes.group))
        problem_at(out, s->file, mark_of(s, "processes.group"),
                   "'processes.group': there is no group '%s'; make one (groupadd -r %s), or set "
                   "null for the user's",
                   s->processes.group, s->processes.group);
}

size_t settings_check_files(const struct settings *s, struct settings_problems *out)
{
    size_t before = out->n;
    check_files(s, out);
    check_directories(s, out);
    check_user(s, out);
    return out->n - before;
}
