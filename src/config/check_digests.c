/* Servers of digests and reports: each must be one that can be reached by its form. */
#include "config/check_private.h"

/* "ac", "ac+N", "ac-N", "N" with N from 0 to 100. */
static bool confidence_ok(struct span s)
{
    uint64_t n;
    if (span_starts(s, SPAN("ac")))
        s = s.n == 2 ? SPAN("0") : s.p[2] == '+' || s.p[2] == '-' ? span_from(s, 3) : SPAN("");
    return span_u64(s, &n) && n <= 100;
}

static void check_servers(struct checker *c, const struct strings *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (!server_ok(span_str(l->v[i])))
            AT(c, say(c, "'%s': expected HOST:PORT", l->v[i]), "%s[%zu]", name, i);
}

static void check_server(struct checker *c, const char *value, const char *name)
{
    if (value && !server_ok(span_str(value)))
        AT(c, say(c, "'%s': expected HOST:PORT", value), "%s", name);
}

void check_digests(struct checker *c)
{
    const struct settings *s = c->s;
    check_servers(c, &s->pyzor.servers, "pyzor.servers");
    check_servers(c, &s->razor.servers, "razor.servers");
    check_servers(c, &s->razor.reporting, "razor.reporting");
    check_server(c, s->razor.discovery, "razor.discovery");
    check_server(c, s->spamcop.relay, "spamcop.relay");
    const char *dccifd = s->dcc.dccifd;
    bool is_path = dccifd && (dccifd[0] == '/' || strncmp(dccifd, "unix:/", 6) == 0);
    if (dccifd && !is_path && !server_ok(span_str(dccifd)))
        AT(c, say(c, "'%s': expected unix:/PATH or HOST:PORT", dccifd), "dcc.dccifd");
    if (!confidence_ok(span_str(s->razor.min_cf)))
        AT(c, say(c, "'%s': expected 0 to 100, ac, ac+N or ac-N", s->razor.min_cf), "razor.min_cf");
    if (!strchr(s->spamcop.to, '@'))
        AT(c, say(c, "'%s': expected an address", s->spamcop.to), "spamcop.to");
    if (s->spamcop.from && !strchr(s->spamcop.from, '@'))
        AT(c, say(c, "'%s': expected an address", s->spamcop.from), "spamcop.from");
}
