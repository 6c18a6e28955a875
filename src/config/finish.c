#include "config/load_private.h"
#include "config/value.h"

#include <stdio.h>
#include <unistd.h>

/* Values that follow from others. Runs for a file and for the built-in defaults alike; must cope
 * with anything the reader lets through. */

static const char *directory(const struct settings *s)
{
    if (!s->file)
        return NULL;
    size_t n = span_rfind(span_str(s->file), '/');
    return n == 0 || n == SIZE_MAX ? "/" : arena_cstr(s->arena, span_of(s->file, n));
}

struct span path_after_scheme(const char *value)
{
    static const char *const schemes[] = {"unix:", "lmtp:", "maildir:"};
    struct span v = span_str(value);
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (span_starts(v, span_str(schemes[i])))
            return span_from(v, strlen(schemes[i]));
    return SPAN_NONE;
}

/* lmtp takes a socket's path or host:port; a path has a slash. */
static const char *resolve_after_scheme(const struct settings *s, const char *value)
{
    struct span path = value ? path_after_scheme(value) : SPAN_NONE;
    bool host = value && strncmp(value, "lmtp:", 5) == 0 && span_find(path, '/') == SIZE_MAX;
    if (path.n == 0 || path.p[0] == '/' || host)
        return value;
    return arena_printf(s->arena, "%.*s%s", (int)(path.p - value), value,
                        resolve_path(s->arena, directory(s), path))
        .p;
}

static const char *host_name(struct arena *a)
{
    char name[256] = "";
    if (gethostname(name, sizeof name - 1) != 0 || !name[0])
        return "localhost";
    return arena_strdup(a, name);
}

static bool name_taken(const struct settings *s, size_t self, const char *name)
{
    for (size_t i = 0; i < s->listeners.n; i++)
        if (i != self && s->listeners.v[i].name && strcmp(s->listeners.v[i].name, name) == 0)
            return true;
    return false;
}

static void finish_listener(struct settings *s, size_t i)
{
    static const char *const names[] = {"mx", "submission", "relay"};
    struct listener *l = &s->listeners.v[i];
    unsigned suffix = 1;
    while (!l->name) {
        static const char *const others[] = {[LISTEN_MILTER] = "milter",
                                             [LISTEN_SPAMD] = "spamd",
                                             [LISTEN_RSPAMD] = "rspamd",
                                             [LISTEN_SOCKETMAP] = "socketmap"};
        const char *base = l->protocol != LISTEN_SMTP ? others[l->protocol] : names[l->profile];
        const char *name = suffix == 1 ? base : arena_printf(s->arena, "%s-%u", base, suffix).p;
        if (!name_taken(s, i, name))
            l->name = name;
        suffix++;
    }
    if (l->protocol == LISTEN_MILTER || l->protocol == LISTEN_SOCKETMAP)
        return;
    if (!l->certificate)
        l->certificate = s->tls.certificate, l->key = l->key ? l->key : s->tls.key;
    if (!l->key)
        l->key = l->certificate;
    if (l->protocol == LISTEN_SPAMD || l->protocol == LISTEN_RSPAMD)
        return;
    if (!setting_given(s, "listeners[%zu].tls", i))
        l->tls = l->certificate ? TLS_MODE_STARTTLS : TLS_MODE_NONE;
    if (!setting_given(s, "listeners[%zu].require_auth", i))
        l->require_auth = l->profile == PROFILE_SUBMISSION;
}

static void finish_listeners(struct settings *s)
{
    if (s->listeners.n == 0) {
        s->listeners.v = ARENA_NEW(s->arena, struct listener);
        s->listeners.n = 1;
        for (size_t i = 0; i < listener_table.n; i++)
            value_default(&listener_table.rows[i], s->arena, s->listeners.v);
    }
    for (size_t i = 0; i < s->listeners.n; i++)
        finish_listener(s, i);
}

static size_t value_size(enum setting_type t)
{
    switch (t) {
    case SET_BOOL:
        return sizeof(bool);
    case SET_ENUM:
        return sizeof(int);
    case SET_NUMBER:
        return sizeof(double);
    case SET_STRING:
        return sizeof(const char *);
    default:
        return 0;
    }
}

/* What a policy leaves open is as in the default policy. */
static void inherit(const struct settings *s, size_t i, const struct policy *from)
{
    struct policy *p = &s->policies.v[i];
    for (size_t row = policy_conditions; row < policy_table.n; row++) {
        const struct setting *r = &policy_table.rows[row];
        if (!setting_given(s, "policies[%zu].%s", i, r->name))
            memcpy((char *)p + r->offset, (const char *)from + r->offset, value_size(r->type));
    }
}

/* The built-in default policy, or the one that the file names "default", comes last. */
static void finish_policies(struct settings *s)
{
    struct policy base = {0};
    size_t n = s->policies.n;
    for (size_t i = 0; i < policy_table.n; i++)
        value_default(&policy_table.rows[i], s->arena, &base);
    base.name = "default";
    base.required_score = s->rules.required_score;
    base.reject_score = s->rules.reject_score;
    if (n > 0 && s->policies.v[n - 1].name && strcmp(s->policies.v[n - 1].name, "default") == 0) {
        inherit(s, n - 1, &base);
        base = s->policies.v[n - 1];
    } else {
        struct policy *v = arena_array(s->arena, n + 1, sizeof *v);
        if (n)
            memcpy(v, s->policies.v, n * sizeof *v);
        v[n] = base;
        s->policies.v = v;
        s->policies.n = n + 1;
    }
    for (size_t i = 0; i < n; i++)
        inherit(s, i, &base);
}

void settings_finish(struct settings *s)
{
    if (!s->hostname)
        s->hostname = host_name(s->arena);
    if (!s->queue.helo)
        s->queue.helo = s->hostname;
    if (!s->queue.bounce_from)
        s->queue.bounce_from = arena_printf(s->arena, "postmaster@%s", s->hostname).p;
    if (!s->reports.from)
        s->reports.from = arena_printf(s->arena, "postmaster@%s", s->hostname).p;
    const char *domain = strrchr(s->reports.from, '@');
    if (!s->reports.organisation)
        s->reports.organisation = domain ? domain + 1 : s->hostname;
    if (!s->tls.key)
        s->tls.key = s->tls.certificate;
    if (s->log.target && strchr(s->log.target, '/'))
        s->log.target = resolve_path(s->arena, directory(s), span_str(s->log.target));
    s->routes.fallback = resolve_after_scheme(s, s->routes.fallback);
    for (size_t i = 0; i < s->virus.clamd.n; i++)
        s->virus.clamd.v[i] = resolve_after_scheme(s, s->virus.clamd.v[i]);
    finish_listeners(s);
    finish_policies(s);
}
