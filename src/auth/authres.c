#include "auth/authres.h"

/*   authres-payload = [CFWS] authserv-id [ CFWS version ] ( no-result / 1*resinfo ) [CFWS]
 *   resinfo         = [CFWS] ";" method "=" result [ CFWS "reason=" value ] [ CFWS 1*propspec ]
 *   propspec        = ptype "." property "=" pvalue         with CFWS nearly everywhere */

enum { COMMENT_DEPTH_MAX = 20 };

struct reader {
    struct arena *a;
    struct span s;
    size_t at;
    bool failed;
};

static char here(const struct reader *r)
{
    return r->at < r->s.n ? r->s.p[r->at] : '\0';
}

static void skip_comment(struct reader *r)
{
    unsigned depth = 0;
    for (; r->at < r->s.n; r->at++) {
        char c = r->s.p[r->at];
        if (c == '\\') {
            r->at++;
        } else if (c == '(') {
            if (++depth > COMMENT_DEPTH_MAX)
                break;
        } else if (c == ')' && --depth == 0) {
            r->at++;
            return;
        }
    }
    r->failed = true;
    r->at = r->s.n;
}

static void skip_cfws(struct reader *r)
{
    while (r->at < r->s.n) {
        if (ascii_isspace(here(r)))
            r->at++;
        else if (here(r) == '(')
            skip_comment(r);
        else
            return;
    }
}

static bool take(struct reader *r, char c)
{
    skip_cfws(r);
    if (r->at == r->s.n || r->s.p[r->at] != c)
        return false;
    r->at++;
    return true;
}

static struct span quoted(struct reader *r)
{
    size_t end = r->at + 1, n = 0;
    while (end < r->s.n && r->s.p[end] != '"')
        end += r->s.p[end] == '\\' ? 2 : 1;
    if (end >= r->s.n) {
        r->failed = true;
        r->at = r->s.n;
        return SPAN_NONE;
    }
    char *out = arena_raw(r->a, end - r->at);
    for (size_t i = r->at + 1; i < end; i++) {
        if (r->s.p[i] == '\\')
            i++;
        out[n++] = r->s.p[i];
    }
    r->at = end + 1;
    return span_of(out, n);
}

/* A word up to a byte of `stops`, or a quoted string. */
static struct span word(struct reader *r, const char *stops)
{
    skip_cfws(r);
    if (here(r) == '"')
        return quoted(r);
    size_t start = r->at;
    while (r->at < r->s.n && !ascii_isspace(here(r)) && here(r) && !strchr(stops, here(r)))
        r->at++;
    if (r->at == start)
        r->failed = true;
    return span_sub(r->s, start, r->at);
}

static struct span value(struct reader *r)
{
    struct span v = word(r, "\"();");
    /* local-part "@" domain with the local part quoted */
    if (!r->failed && here(r) == '@') {
        struct span rest = word(r, "\"();");
        return arena_printf(r->a, "%.*s%.*s", SPAN_ARG(v), SPAN_ARG(rest));
    }
    return v;
}

static void property(struct reader *r, struct authres_result *out)
{
    struct span type = word(r, "\"();=."), name = SPAN_NONE;
    if (take(r, '.'))
        name = word(r, "\"();=");
    if (!take(r, '='))
        r->failed = true;
    struct span v = r->failed ? SPAN_NONE : value(r);
    if (!name.p && span_ieq(type, SPAN("reason")))
        out->reason = v;
    else if (!name.p || out->n == AUTHRES_PROPERTIES_MAX)
        r->failed = true;
    else
        out->v[out->n++] = (struct authres_property){type, name, v};
}

static void result(struct reader *r, struct authres *out)
{
    struct authres_result *res;
    struct span method = word(r, "\"();=/");
    if (take(r, '/'))
        word(r, "\"();=");
    bool equals = take(r, '=');
    if (!equals && span_ieq(method, SPAN("none")))
        return;
    if (!equals || out->n == AUTHRES_RESULTS_MAX) {
        r->failed = true;
        return;
    }
    res = ARENA_PUSH(r->a, out->v, out->n, out->cap);
    res->method = method;
    res->result = word(r, "\"();=");
    for (skip_cfws(r); !r->failed && r->at < r->s.n && here(r) != ';'; skip_cfws(r))
        property(r, res);
}

/* ARC-Authentication-Results: "i=" number ";" in front. */
static void skip_instance(struct reader *r)
{
    struct reader try = *r;
    if (span_ieq(word(&try, "\"();="), SPAN("i")) && take(&try, '=') && word(&try, "\"();=").n &&
        take(&try, ';'))
        r->at = try.at;
}

bool authres_parse(struct arena *a, struct span v, struct authres *out)
{
    struct reader r = {a, v, 0, false};
    *out = (struct authres){0};
    skip_instance(&r);
    out->authserv_id = word(&r, "\"();");
    skip_cfws(&r);
    if (ascii_isdigit(here(&r)))
        word(&r, "\"();");
    while (!r.failed && take(&r, ';')) {
        skip_cfws(&r);
        if (r.at == r.s.n)
            break;
        result(&r, out);
    }
    skip_cfws(&r);
    return !r.failed && r.at == r.s.n;
}

struct span authres_property(const struct authres_result *r, const char *type, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (span_ieq(r->v[i].type, span_str(type)) && span_ieq(r->v[i].name, span_str(name)))
            return r->v[i].value;
    return SPAN_NONE;
}

/* --- writing --- */

void authres_value(struct buf *b, struct span s)
{
    bool plain = s.n > 0, at = false;
    s = span_sub(s, 0, AUTHRES_VALUE_MAX);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '@' && !at && i + 1 < s.n)
            at = true;
        else if (!ascii_isalnum(c) && !(c && strchr(".-_+", c)))
            plain = false;
    }
    if (plain) {
        buf_add(b, s);
        return;
    }
    buf_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '"' || c == '\\')
            buf_char(b, '\\');
        buf_char(b, c >= ' ' && c <= '~' ? c : '?');
    }
    buf_char(b, '"');
}

static void property_of(struct buf *b, const char *name, struct span v)
{
    if (v.n == 0)
        return;
    buf_printf(b, " %s=", name);
    authres_value(b, v);
}

static void write_spf(struct buf *b, const struct auth_facts *f)
{
    const struct spf_fact *spf = spf_main(f);
    if (spf->result == SPF_NOT_RUN)
        return;
    buf_printf(b, ";\n\tspf=%s", spf_result_name(spf->result));
    if (spf == &f->helo)
        property_of(b, "smtp.helo", spf->domain);
    else
        property_of(b, "smtp.mailfrom", spf->sender);
}

static void write_dkim(struct buf *b, const struct auth_facts *f)
{
    for (size_t i = 0; i < f->ndkim; i++) {
        const struct dkim_fact *d = &f->dkim[i];
        buf_printf(b, ";\n\t%s=%s", d->domainkeys ? "domainkeys" : "dkim",
                   dkim_result_name(d->result));
        if (d->why.n) {
            buf_str(b, " reason=");
            authres_value(b, d->why);
        }
        property_of(b, "header.d", d->domain);
        property_of(b, "header.s", d->selector);
        property_of(b, "header.a", d->algorithm);
        property_of(b, "header.b", d->tag_b);
    }
    if (f->ndkim == 0)
        buf_str(b, ";\n\tdkim=none");
}

static void write_arc(struct buf *b, const struct auth_facts *f)
{
    if (f->arc.result == ARC_NOT_RUN || f->arc.result == ARC_NONE)
        return;
    buf_printf(b, ";\n\tarc=%s (i=%u)", arc_result_name(f->arc.result), f->arc.instances);
    if (f->arc.nsealers)
        property_of(b, "header.d", f->arc.sealers[f->arc.nsealers - 1]);
}

static void write_dmarc(struct buf *b, const struct auth_facts *f)
{
    const struct dmarc_fact *d = &f->dmarc;
    if (d->result == DMARC_NOT_RUN)
        return;
    buf_printf(b, ";\n\tdmarc=%s", dmarc_result_name(d->result));
    if (d->record_domain.n)
        buf_printf(b, " (p=%s dis=%s%s%s)", dmarc_policy_name(d->policy),
                   dmarc_policy_name(d->disposition), d->override ? " " : "",
                   d->override ? d->override : "");
    property_of(b, "header.from", d->domain);
    if (d->result == DMARC_FAIL)
        property_of(b, "policy.dmarc", span_str(dmarc_policy_name(d->policy)));
}

void authres_write(struct buf *b, const char *authserv_id, const struct message *m)
{
    const struct auth_facts *f = &m->facts.auth;
    if (!f->ran)
        return;
    buf_str(b, "Authentication-Results: ");
    authres_value(b, span_str(authserv_id));
    size_t before = b->n;
    write_spf(b, f);
    write_dkim(b, f);
    write_arc(b, f);
    write_dmarc(b, f);
    if (b->n == before)
        buf_str(b, "; none");
    buf_char(b, '\n');
}
