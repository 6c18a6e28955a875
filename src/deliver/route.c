#include "deliver/route.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"

enum { DOMAIN_MAX = 255 };

static int parse_port(struct span s, uint16_t *port, struct err *e)
{
    uint64_t n;
    if (!span_u64(s, &n) || n == 0 || n > 65535)
        return err_set(e, "'%.*s' is not a port", SPAN_ARG(s));
    *port = (uint16_t)n;
    return 0;
}

static bool host_ok(struct span s)
{
    if (s.n == 0 || s.n > DOMAIN_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_isalnum(s.p[i]) && !strchr("-._", s.p[i]))
            return false;
    return s.p[0] != '.' && s.p[0] != '-';
}

/* [HOST]:PORT, HOST:PORT, or nothing. */
static int parse_host(struct span s, struct arena *a, struct route *out, struct err *e)
{
    struct span port = SPAN_NONE;
    if (s.n && s.p[0] == '[') {
        size_t end = span_find(s, ']');
        if (end == SIZE_MAX)
            return err_set(e, "'[' without ']'");
        port = span_from(s, end + 1);
        s = span_sub(s, 1, end);
        out->mx = false;
        out->has_ip = ip_parse(s, &out->ip);
        if (port.n && port.p[0] != ':')
            return err_set(e, "':' expected after ']'");
        if (port.n)
            port = span_from(port, 1);
        else
            port = SPAN_NONE;
    } else {
        size_t colon = span_find(s, ':');
        out->mx = true;
        if (colon != SIZE_MAX) {
            port = span_from(s, colon + 1);
            s = span_sub(s, 0, colon);
        }
    }
    if (port.p && parse_port(port, &out->port, e) < 0)
        return -1;
    if (!out->has_ip && !host_ok(s) && !(s.n == 0 && out->mx))
        return err_set(e, "'%.*s' is not a host", SPAN_ARG(s));
    out->host = arena_lower(a, s);
    return 0;
}

/* Sendmail's words for codes (RFC 1893 and sysexits, as its proto.m4 spells them). */
static const struct {
    const char *word, *reply;
} error_words[] = {
    {"nouser", "550 5.1.1"},   {"nohost", "550 5.1.2"}, {"unavailable", "554 5.3.0"},
    {"protocol", "554 5.5.0"}, {"usage", "554 5.6.0"},  {"config", "554 5.3.5"},
    {"tempfail", "450 4.3.0"}, {"quota", "552 5.2.2"},
};

static int parse_error(struct span s, struct arena *a, struct route *out, struct err *e)
{
    out->kind = ROUTE_ERROR;
    for (size_t i = 0; i < sizeof error_words / sizeof *error_words; i++) {
        struct span word = span_str(error_words[i].word), rest = span_from(s, word.n);
        if (span_istarts(s, word) && (rest.n == 0 || ascii_isspace(rest.p[0]))) {
            rest = span_trim(rest);
            out->reply = arena_printf(a, "%s %.*s", error_words[i].reply,
                                      SPAN_ARG(rest.n ? rest : SPAN("refused by the mail route")));
            return 0;
        }
    }
    struct span dsn = SPAN_NONE;
    size_t colon = span_find(s, ':');
    if (colon != SIZE_MAX && colon < 12 && s.n && strchr("45", s.p[0]) && span_find(s, '.') == 1) {
        dsn = span_sub(s, 0, colon);
        s = span_from(s, colon + 1);
    }
    if (s.n < 3 || !strchr("45", s.p[0]) || !ascii_isdigit(s.p[1]) || !ascii_isdigit(s.p[2]) ||
        (s.n > 3 && s.p[3] != ' '))
        return err_set(e, "an error needs a code, as in error:5.1.1:550 no such user");
    struct span code = span_sub(s, 0, 3), text = span_trim(span_from(s, 3));
    if (!dsn.p)
        dsn = code.p[0] == '4' ? SPAN("4.0.0") : SPAN("5.0.0");
    if (text.n == 0)
        text = SPAN("refused by the mail route");
    if (dsn.p[0] != code.p[0])
        return err_set(e, "'%.*s' and '%.*s' contradict each other", SPAN_ARG(dsn), SPAN_ARG(code));
    out->reply = arena_printf(a, "%.*s %.*s %.*s", SPAN_ARG(code), SPAN_ARG(dsn), SPAN_ARG(text));
    return 0;
}

static int parse_path(struct span s, enum route_kind kind, struct arena *a, struct route *out,
                      struct err *e)
{
    if (s.n == 0)
        return err_set(e, "a path is missing");
    out->kind = kind;
    out->path = arena_dup(a, s);
    return 0;
}

int route_parse(struct span text, struct arena *a, struct route *out, struct err *e)
{
    text = span_trim(text);
    *out = (struct route){.kind = ROUTE_SMTP, .port = SMTP_PORT};
    if (text.n == 0)
        return err_set(e, "a route is missing");
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return err_set(e, "a control character in a route");
    if (span_ieq(text, SPAN("mx")))
        return parse_host(SPAN(""), a, out, e);
    size_t colon = text.p[0] == '[' ? SIZE_MAX : span_find(text, ':');
    struct span mailer = span_sub(text, 0, colon), rest = span_from(text, colon + 1);
    if (colon == SIZE_MAX)
        return parse_host(text, a, out, e);
    if (span_ieq(mailer, SPAN("smtp")) || span_ieq(mailer, SPAN("esmtp")) ||
        span_ieq(mailer, SPAN("relay")))
        return parse_host(rest, a, out, e);
    if (span_ieq(mailer, SPAN("maildir")))
        return parse_path(rest, ROUTE_MAILDIR, a, out, e);
    if (span_ieq(mailer, SPAN("error")))
        return parse_error(rest, a, out, e);
    if (span_ieq(mailer, SPAN("lmtp"))) {
        if (span_istarts(rest, SPAN("unix:")))
            rest = span_from(rest, 5);
        if (rest.n && rest.p[0] == '/')
            return parse_path(rest, ROUTE_LMTP_UNIX, a, out, e);
        out->kind = ROUTE_LMTP;
        out->port = LMTP_PORT;
        int result = parse_host(rest, a, out, e);
        out->mx = false;
        return result == 0 && out->host.n == 0 && !out->has_ip ? err_set(e, "a host is missing")
                                                               : result;
    }
    uint64_t port;
    if (span_u64(rest, &port)) /* "host:2525" */
        return parse_host(text, a, out, e);
    return err_set(e, "unknown mailer '%.*s' (smtp, lmtp, maildir, error)", SPAN_ARG(mailer));
}

struct routes {
    struct arena *arena;
    struct textmap *map; /* NULL: no file */
    struct route fallback;
};

int routes_line(void *ctx, struct arena *a, struct textmap_entry *entry, struct err *why)
{
    (void)ctx;
    struct route *r = ARENA_NEW(a, struct route);
    if (route_parse(entry->value, a, r, why) < 0)
        return -1;
    entry->parsed = r;
    return 0;
}

static void report(void *ctx, const char *text)
{
    (void)ctx;
    log_event(LOG_WARN, NULL, "routes", F_STR("problem", text));
}

struct routes *routes_open(const struct route_settings *set, struct err *e)
{
    struct routes *r = xcalloc(1, sizeof *r);
    r->arena = arena_new(0);
    const char *fallback = set->fallback ? set->fallback : "mx";
    if (route_parse(span_str(fallback), r->arena, &r->fallback, e) < 0) {
        err_prefix(e, "routes.fallback: %s", fallback);
        routes_free(r);
        return NULL;
    }
    struct textmap_rules rules = {routes_line, report, NULL};
    if (set->file)
        r->map = textmap_open(set->file, &rules);
    return r;
}

void routes_free(struct routes *r)
{
    if (!r)
        return;
    if (r->map)
        textmap_free(r->map);
    arena_free(r->arena);
    free(r);
}

void routes_refresh(struct routes *r)
{
    if (r->map && textmap_refresh(r->map))
        log_event(LOG_NOTE, NULL, "routes-read", F_INT("entries", textmap_count(r->map)),
                  F_INT("bad", textmap_bad(r->map)));
}

const struct route *routes_find(const struct routes *r, struct span domain)
{
    if (!r->map)
        return &r->fallback;
    if (!textmap_ok(r->map))
        return NULL;
    const struct textmap_entry *found = textmap_get(r->map, domain);
    for (size_t i = 0; !found && i < domain.n; i++)
        if (domain.p[i] == '.')
            found = textmap_get(r->map, span_from(domain, i));
    if (!found)
        found = textmap_get(r->map, SPAN("."));
    return found ? found->parsed : &r->fallback;
}

struct span route_key(const struct route *r, struct span domain, struct arena *a)
{
    char ip[IP_TEXT_SIZE];
    switch (r->kind) {
    case ROUTE_LMTP_UNIX:
        return arena_printf(a, "lmtp:%.*s", SPAN_ARG(r->path));
    case ROUTE_MAILDIR:
        return arena_printf(a, "maildir:%.*s", SPAN_ARG(r->path));
    case ROUTE_ERROR:
        return SPAN("error");
    case ROUTE_SMTP:
    case ROUTE_LMTP:
        break;
    }
    const char *kind = r->kind == ROUTE_LMTP ? "lmtp" : "smtp";
    if (r->has_ip)
        return arena_printf(a, "%s:[%s]:%u", kind, ip_text(&r->ip, ip), r->port);
    if (!r->mx)
        return arena_printf(a, "%s:[%.*s]:%u", kind, SPAN_ARG(r->host), r->port);
    struct span host = r->host.n ? r->host : domain;
    if (r->port == SMTP_PORT)
        return arena_printf(a, "mx:%.*s", SPAN_ARG(host));
    return arena_printf(a, "mx:%.*s:%u", SPAN_ARG(host), r->port);
}
