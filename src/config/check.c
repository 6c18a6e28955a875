#include "config/check_private.h"
#include "config/value.h"

#include <ctype.h>
#include <stdio.h>

/* What must fit together, beyond the form of each value. */

const char *say(struct checker *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct span text = arena_vprintf(c->s->arena, fmt, ap);
    va_end(ap);
    return text.p;
}

/* Labels of letters, digits, '-' and '_' (RFC 5321 section 4.1.2, and what is seen in practice). */
static bool domain_ok(struct span s)
{
    size_t label = 0;
    if (s.n == 0 || s.n > 253)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch == '.' ? label == 0 : !(isalnum(ch) || ch == '-' || ch == '_' || ch >= 0x80))
            return false;
        label = ch == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
    }
    return label > 0;
}

static bool port_ok(struct span s)
{
    uint64_t port;
    return span_u64(s, &port) && port > 0 && port < 65536;
}

/* HOST:PORT where HOST is a name, an address, or "[address]". */
static bool host_port_ok(struct span s, bool port_needed, bool names)
{
    struct ip ip;
    size_t close = s.n && s.p[0] == '[' ? span_find(s, ']') : SIZE_MAX;
    size_t colon = span_rfind(s, ':');
    if (s.n && s.p[0] == '[') {
        if (close == SIZE_MAX)
            return false;
        struct span inside = span_sub(s, 1, close), rest = span_from(s, close + 1);
        if (!ip_parse(inside, &ip) && !(names && domain_ok(inside)))
            return false;
        if (rest.n == 0)
            return !port_needed;
        return rest.p[0] == ':' && port_ok(span_from(rest, 1));
    }
    if (colon == SIZE_MAX)
        return !port_needed && names && domain_ok(s);
    struct span host = span_sub(s, 0, colon);
    bool v4 = ip_parse(host, &ip) && ip_is4(&ip);
    return (v4 || (names && domain_ok(host))) && port_ok(span_from(s, colon + 1));
}

bool server_ok(struct span s)
{
    return host_port_ok(s, true, true);
}

static const char *route_problem(struct span r)
{
    if (span_eq(r, SPAN("mx")))
        return NULL;
    if (span_starts(r, SPAN("smtp:")))
        return host_port_ok(span_from(r, 5), false, true) ? NULL
                                                          : "expected smtp:HOST, smtp:[HOST] or "
                                                            "smtp:[HOST]:PORT";
    if (span_starts(r, SPAN("lmtp:/")))
        return NULL;
    if (span_starts(r, SPAN("lmtp:")))
        return host_port_ok(span_from(r, 5), true, true) ? NULL
                                                         : "expected lmtp:/PATH or lmtp:HOST:PORT";
    if (span_starts(r, SPAN("maildir:")))
        return r.n > 8 ? NULL : "expected maildir:PATH";
    return "expected mx, smtp:[HOST]:PORT, lmtp:/PATH, lmtp:HOST:PORT or maildir:PATH";
}

static void check_listener_tls(struct checker *c, size_t i)
{
    const struct listener *l = &c->s->listeners.v[i];
    if (l->tls != TLS_MODE_NONE && !l->certificate)
        AT(c,
           say(c, "listener '%s': TLS needs a certificate; set tls.certificate and tls.key",
               l->name),
           "listeners[%zu].tls", i);
    if (l->tls == TLS_MODE_NONE && l->require_tls)
        AT(c, say(c, "listener '%s': require_tls without TLS; set tls: starttls", l->name),
           "listeners[%zu].require_tls", i);
    if (setting_given(c->s, "listeners[%zu].key", i) &&
        !setting_given(c->s, "listeners[%zu].certificate", i))
        AT(c, say(c, "listener '%s': a key without a certificate", l->name), "listeners[%zu].key",
           i);
}

static void check_listener_auth(struct checker *c, size_t i)
{
    const struct listener *l = &c->s->listeners.v[i];
    const struct auth_settings *auth = &c->s->auth;
    if (!l->require_auth)
        return;
    if (!auth->users_file && !auth->dovecot_socket)
        AT(c,
           say(c,
               "listener '%s' wants a password, but nothing can check one; set auth.users_file or "
               "auth.dovecot_socket",
               l->name),
           "listeners[%zu].%s", i,
           setting_given(c->s, "listeners[%zu].require_auth", i) ? "require_auth" : "profile");
    else if (l->tls == TLS_MODE_NONE && !auth->plaintext)
        AT(c,
           say(c,
               "listener '%s' wants a password, but takes none without TLS; set tls.certificate, "
               "or "
               "auth.plaintext for tests",
               l->name),
           "listeners[%zu]", i);
}

bool word_ok(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
            return false;
    return n > 0 && n <= 64;
}

/* Settings that would be taken for a protection that a listener of this protocol does not have. */
static void check_listener_meanings(struct checker *c, size_t i)
{
    static const char *const protocols[] = {"smtp", "milter", "spamd", "rspamd", "socketmap"};
    static const struct {
        const char *name;
        unsigned of; /* bits of the protocols that know it */
    } rows[] = {
        {"tls", 1 << LISTEN_SMTP | 1 << LISTEN_SPAMD | 1 << LISTEN_RSPAMD},
        {"require_tls", 1 << LISTEN_SMTP},
        {"require_auth", 1 << LISTEN_SMTP},
        {"proxy_from", 1 << LISTEN_SMTP},
        {"xclient_from", 1 << LISTEN_SMTP},
        {"profile", 1 << LISTEN_SMTP},
    };
    const struct listener *l = &c->s->listeners.v[i];
    bool asked = l->protocol == LISTEN_SPAMD || l->protocol == LISTEN_RSPAMD ||
                 l->protocol == LISTEN_SOCKETMAP;
    if (l->allow_from.n && !asked)
        AT(c, say(c, "listener '%s': allow_from is for spamd, rspamd and socketmap", l->name),
           "listeners[%zu].allow_from", i);
    if (l->allow_tell && l->protocol != LISTEN_SPAMD && l->protocol != LISTEN_RSPAMD)
        AT(c, say(c, "listener '%s': allow_tell is for spamd and rspamd", l->name),
           "listeners[%zu].allow_tell", i);
    if (l->password && l->protocol != LISTEN_RSPAMD)
        AT(c, say(c, "listener '%s': password is for rspamd", l->name), "listeners[%zu].password",
           i);
    if (l->httpcrypt_file && l->protocol != LISTEN_RSPAMD)
        AT(c, say(c, "listener '%s': httpcrypt_file is for rspamd", l->name),
           "listeners[%zu].httpcrypt_file", i);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        if (!(rows[k].of & 1u << l->protocol) &&
            setting_given(c->s, "listeners[%zu].%s", i, rows[k].name))
            AT(c,
               say(c, "listener '%s': %s means nothing with protocol: %s", l->name, rows[k].name,
                   protocols[l->protocol]),
               "listeners[%zu].%s", i, rows[k].name);
    bool wrapped = l->protocol == LISTEN_SPAMD || l->protocol == LISTEN_RSPAMD;
    if (wrapped && l->tls == TLS_MODE_STARTTLS)
        AT(c,
           say(c, "listener '%s': %s knows no starttls; set tls: implicit", l->name,
               protocols[l->protocol]),
           "listeners[%zu].tls", i);
}

static void check_listeners(struct checker *c)
{
    const struct settings *s = c->s;
    for (size_t i = 0; i < s->listeners.n; i++) {
        const struct listener *l = &s->listeners.v[i];
        if (s->file && s->marks && setting_given(s, "listeners[%zu]", i) &&
            !setting_given(s, "listeners[%zu].address", i))
            AT(c, "a listener needs an address, such as '192.0.2.1:25'", "listeners[%zu]", i);
        bool local =
            l->protocol != LISTEN_SMTP && span_starts(span_str(l->address), SPAN("unix:/"));
        if (!local && !host_port_ok(span_str(l->address), true, false))
            AT(c,
               say(c,
                   "'address': expected an address and a port such as 192.0.2.1:25 or [::]:25, "
                   "not '%s'",
                   l->address),
               "listeners[%zu].address", i);
        if (!word_ok(l->name))
            AT(c, say(c, "'name': expected letters, digits, '-', '_' and '.', not '%s'", l->name),
               "listeners[%zu].name", i);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(s->listeners.v[j].name, l->name) == 0)
                AT(c, say(c, "a second listener named '%s'", l->name), "listeners[%zu].name", i);
            if (strcmp(s->listeners.v[j].address, l->address) == 0)
                AT(c, say(c, "a second listener on %s", l->address), "listeners[%zu].address", i);
        }
        check_listener_meanings(c, i);
        if (l->protocol != LISTEN_MILTER && l->protocol != LISTEN_SOCKETMAP)
            check_listener_tls(c, i);
        if (l->protocol == LISTEN_SMTP)
            check_listener_auth(c, i);
    }
}

/* "[!]ADDRESS[/BITS]", "10." (SpamAssassin's trusted_networks). */
static bool network_ok(struct span s)
{
    struct cidr net;
    if (s.n && s.p[0] == '!')
        s = span_from(s, 1);
    if (s.n && s.p[s.n - 1] == '.')
        s = span_sub(s, 0, s.n - 1);
    if (s.n && s.p[0] == '[') {
        size_t close = span_find(s, ']');
        if (close == SIZE_MAX)
            return false;
        struct span bits = span_from(s, close + 1);
        char text[80];
        int n = snprintf(text, sizeof text, "%.*s%.*s", (int)close - 1, s.p + 1, SPAN_ARG(bits));
        return n > 0 && (size_t)n < sizeof text && cidr_parse(span_of(text, (size_t)n), &net);
    }
    return cidr_parse(s, &net);
}

static void check_rules(struct checker *c)
{
    const struct rules_settings *r = &c->s->rules;
    const struct {
        const char *name;
        struct strings list;
    } nets[] = {{"trusted_networks", r->trusted_networks},
                {"internal_networks", r->internal_networks},
                {"msa_networks", r->msa_networks}};
    for (size_t k = 0; k < sizeof nets / sizeof nets[0]; k++)
        for (size_t i = 0; i < nets[k].list.n; i++)
            if (!network_ok(span_str(nets[k].list.v[i])))
                AT(c,
                   say(c,
                       "'rules.%s': expected a network such as 192.0.2.0/24, 10. or "
                       "!192.0.2.7, not '%s'",
                       nets[k].name, nets[k].list.v[i]),
                   "rules.%s[%zu]", nets[k].name, i);
    if (r->reject_score < r->required_score)
        AT(c,
           say(c, "rules.reject_score (%g) is below rules.required_score (%g)", r->reject_score,
               r->required_score),
           "rules.%s",
           setting_given(c->s, "rules.reject_score") ? "reject_score" : "required_score");
}

bool address_ok(struct span s)
{
    if (span_starts(s, SPAN("unix:")))
        return s.n > 5;
    return host_port_ok(s, true, true);
}

static void check_virus(struct checker *c)
{
    const struct virus_settings *v = &c->s->virus;
    for (size_t i = 0; i < v->clamd.n; i++)
        if (!address_ok(span_str(v->clamd.v[i])))
            AT(c, say(c, "'virus.clamd': expected unix:PATH or HOST:PORT, not '%s'", v->clamd.v[i]),
               "virus.clamd[%zu]", i);
    if (v->enabled && v->scan_timeout >= c->s->limits.scan_time)
        AT(c,
           "virus.scan_timeout must be below limits.scan_time, or scanners are ended in the wait",
           "%s",
           setting_given(c->s, "virus.scan_timeout") ? "virus.scan_timeout" : "limits.scan_time");
}

static void check_mail(struct checker *c)
{
    const struct settings *s = c->s;
    const char *why = route_problem(span_str(s->routes.fallback));
    if (why)
        AT(c, say(c, "'routes.fallback': %s, not '%s'", why, s->routes.fallback),
           "routes.fallback");
    for (size_t i = 0; i < s->relay.domains.n; i++) {
        struct span d = span_str(s->relay.domains.v[i]);
        if (!domain_ok(span_from(d, d.n && d.p[0] == '.')))
            AT(c, say(c, "'relay.domains': expected a domain, not '%s'", d.p), "relay.domains[%zu]",
               i);
    }
    if (s->recipients.check == RCPT_LIST && !s->recipients.file)
        AT(c, "recipients.check: list needs recipients.file", "recipients.check");
    if (s->queue.retry.n == 0)
        AT(c, "'queue.retry': expected at least one wait", "queue.retry");
    if (s->queue.delay_warning >= s->queue.lifetime)
        AT(c, "queue.delay_warning must be below queue.lifetime (0 for none)", "%s",
           setting_given(s, "queue.delay_warning") ? "queue.delay_warning" : "queue.lifetime");
    if (span_find(span_str(s->queue.bounce_from), '@') == SIZE_MAX)
        AT(c, say(c, "'queue.bounce_from': expected an address, not '%s'", s->queue.bounce_from),
           "queue.bounce_from");
}

/* "local@domain", without anything that a header or an envelope would read otherwise. */
static bool mailbox_ok(struct span s)
{
    size_t at = span_rfind(s, '@');
    if (at == SIZE_MAX || at == 0 || s.n > 254 || !domain_ok(span_from(s, at + 1)))
        return false;
    for (size_t i = 0; i < at; i++)
        if (!ascii_isalnum(s.p[i]) && !strchr(".-_+=/!#$&'*^`{|}~%?", s.p[i]))
            return false;
    return true;
}

static void check_reports(struct checker *c)
{
    const struct report_settings *r = &c->s->reports;
    if (setting_given(c->s, "reports.from") && !mailbox_ok(span_str(r->from)))
        AT(c, say(c, "'reports.from': expected an address, not '%s'", r->from), "reports.from");
    for (size_t i = 0; i < r->inbox.n; i++)
        if (!mailbox_ok(span_str(r->inbox.v[i])))
            AT(c, say(c, "'reports.inbox': expected an address, not '%s'", r->inbox.v[i]),
               "reports.inbox[%zu]", i);
    for (size_t i = 0; i < r->exclude.n; i++) {
        struct span d = span_str(r->exclude.v[i]);
        if (!domain_ok(span_from(d, d.n && d.p[0] == '.')))
            AT(c, say(c, "'reports.exclude': expected a domain, not '%s'", d.p),
               "reports.exclude[%zu]", i);
    }
}

static void check_names(struct checker *c)
{
    static const char *const targets[] = {"stderr", "syslog", "journald"};
    const struct settings *s = c->s;
    bool known = strchr(s->log.target, '/') != NULL;
    for (size_t i = 0; i < 3; i++)
        known |= strcmp(s->log.target, targets[i]) == 0;
    const char *near = nearest(span_str(s->log.target), targets, 3);
    if (!known)
        AT(c,
           say(c,
               "'log.target': expected stderr, syslog, journald or a path with a '/', not "
               "'%s'%s%s%s",
               s->log.target, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : ""),
           "log.target");
    if (!domain_ok(span_str(s->hostname)))
        AT(c,
           say(c, "'hostname': expected a host name such as mail.example.org, not '%s'",
               s->hostname),
           "hostname");
    if (s->queue.helo != s->hostname && !domain_ok(span_str(s->queue.helo)))
        AT(c, say(c, "'queue.helo': expected a host name, not '%s'", s->queue.helo), "queue.helo");
    for (const char *p = s->banner; *p; p++) {
        if ((unsigned char)*p < ' ' || (unsigned char)*p > '~' || p - s->banner > 200) {
            AT(c, "'banner': expected at most 200 printable ASCII characters", "banner");
            break;
        }
    }
    if (s->tls.key && !s->tls.certificate)
        AT(c, "tls.key without tls.certificate", "tls.key");
}

static void check_return_paths(struct checker *c)
{
    const struct settings *s = c->s;
    if (s->srs.domain && !domain_ok(span_str(s->srs.domain)))
        AT(c, say(c, "'srs.domain': expected a domain, not '%s'", s->srs.domain), "srs.domain");
    if (s->srs.domain && !s->srs.key_file)
        AT(c, "srs.domain needs srs.key_file", "srs.domain");
    for (size_t i = 0; i < s->batv.domains.n; i++) {
        struct span d = span_str(s->batv.domains.v[i]);
        if (!domain_ok(span_from(d, d.n && d.p[0] == '.')))
            AT(c, say(c, "'batv.domains': expected a domain, not '%s'", d.p), "batv.domains[%zu]",
               i);
    }
    if (s->batv.domains.n && !s->batv.key_file)
        AT(c, "batv.domains needs batv.key_file", "batv.domains");
}

/* It will stand in mail that people trust: an address of the web, plain enough for any reader. */
static void check_link(struct checker *c)
{
    enum { LINK_MAX = 500 };
    const char *url = c->s->quarantine.link_url;
    const char *why = NULL;
    if (!url)
        return;
    struct span s = span_str(url);
    struct span rest = span_istarts(s, SPAN("https://"))  ? span_from(s, 8)
                       : span_istarts(s, SPAN("http://")) ? span_from(s, 7)
                                                          : SPAN("");
    if (!rest.n || rest.p[0] == '/' || rest.p[0] == '_')
        why = "expected an address such as https://mail.example.org/held/_ID_";
    else if (span_search(rest, SPAN("_ID_")) == SIZE_MAX)
        why = "without _ID_ it would lead to nothing";
    else if (span_search(rest, SPAN("_URL_")) != SIZE_MAX)
        why = "_URL_ is this address itself";
    else if (s.n > LINK_MAX)
        why = "it is too long";
    for (size_t i = 0; !why && i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("<>\"\\^`{|}", s.p[i]))
            why = "expected an address without spaces, quotes and brackets";
    if (why)
        AT(c, say(c, "'quarantine.link_url': %s, not '%s'", why, url), "quarantine.link_url");
}

void settings_cross_check(const struct settings *s, struct settings_problems *out)
{
    struct checker c = {s, out};
    check_names(&c);
    check_listeners(&c);
    check_rules(&c);
    check_virus(&c);
    check_mail(&c);
    check_reports(&c);
    check_return_paths(&c);
    check_link(&c);
    check_policies(&c);
    check_digests(&c);
    settings_check_wall(s, out);
}
