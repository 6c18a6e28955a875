/* Aggregate reports written as XML, in the order that the schemas want. */
#include "base/utf8.h"
#include "reports/aggregate.h"

struct writer {
    struct buf *b;
    unsigned depth;
};

/* Bytes that XML 1.0 can't hold at all become U+FFFD. */
static void text(struct buf *b, struct span s)
{
    for (size_t at = 0; at < s.n;) {
        size_t len = utf8_length(span_from(s, at));
        unsigned char c = (unsigned char)s.p[at];
        if (len == 0 || (len == 1 && c < ' ' && c != '\t' && c != '\n'))
            buf_str(b, "\xef\xbf\xbd");
        else if (c == '&')
            buf_str(b, "&amp;");
        else if (c == '<')
            buf_str(b, "&lt;");
        else if (c == '>')
            buf_str(b, "&gt;");
        else if (len == 3 && c == 0xef && (unsigned char)s.p[at + 1] == 0xbf &&
                 (unsigned char)s.p[at + 2] >= 0xbe)
            buf_str(b, "\xef\xbf\xbd"); /* U+FFFE, U+FFFF */
        else
            buf_add(b, span_sub(s, at, at + len));
        at += len ? len : 1;
    }
}

static void indent(const struct writer *w)
{
    for (unsigned i = 0; i < w->depth; i++)
        buf_str(w->b, "  ");
}

static void begin(struct writer *w, const char *name)
{
    indent(w);
    buf_printf(w->b, "<%s>\n", name);
    w->depth++;
}

static void end(struct writer *w, const char *name)
{
    w->depth--;
    indent(w);
    buf_printf(w->b, "</%s>\n", name);
}

static void element(const struct writer *w, const char *name, struct span s)
{
    indent(w);
    buf_printf(w->b, "<%s>", name);
    text(w->b, s);
    buf_printf(w->b, "</%s>\n", name);
}

static void optional(const struct writer *w, const char *name, struct span s)
{
    if (s.n)
        element(w, name, s);
}

static void number(const struct writer *w, const char *name, long long v)
{
    indent(w);
    buf_printf(w->b, "<%s>%lld</%s>\n", name, v, name);
}

static void metadata(struct writer *w, const struct agg_report *r, bool old)
{
    begin(w, "report_metadata");
    element(w, "org_name", r->org);
    element(w, "email", r->email);
    optional(w, "extra_contact_info", r->contact);
    element(w, "report_id", r->id);
    begin(w, "date_range");
    number(w, "begin", r->begin);
    number(w, "end", r->end);
    end(w, "date_range");
    optional(w, "error", r->error);
    if (!old)
        element(w, "generator", SPAN("Gatehouse " GATEHOUSE_VERSION));
    end(w, "report_metadata");
}

static void policy(struct writer *w, const struct agg_policy *p, bool old)
{
    begin(w, "policy_published");
    element(w, "domain", p->domain);
    if (!old)
        optional(w, "discovery_method", p->method);
    optional(w, "adkim", p->adkim);
    optional(w, "aspf", p->aspf);
    element(w, "p", p->p);
    element(w, "sp", p->sp);
    if (!old) {
        optional(w, "np", p->np);
        optional(w, "testing", p->testing);
    } else {
        element(w, "pct", p->pct.n ? p->pct : SPAN("100"));
    }
    if (old || p->fo.n)
        element(w, "fo", p->fo.n ? p->fo : SPAN("0"));
    end(w, "policy_published");
}

/* Each form has a reason that the other does not know. */
static void reason(struct writer *w, const struct agg_row *r, bool old)
{
    struct span other = old ? SPAN("policy_test_mode") : SPAN("sampled_out");
    if (!r->reason.n)
        return;
    bool known = !span_eq(r->reason, other);
    begin(w, "reason");
    element(w, "type", known ? r->reason : SPAN("other"));
    optional(w, "comment", known ? r->comment : r->reason);
    end(w, "reason");
}

static void auth_result(struct writer *w, const struct agg_auth *x, bool old)
{
    const char *name = x->spf ? "spf" : "dkim";
    begin(w, name);
    element(w, "domain", x->domain);
    if (x->spf)
        element(w, "scope", old && x->scope.n ? x->scope : SPAN("mfrom"));
    else
        element(w, "selector", x->selector);
    element(w, "result", x->result);
    optional(w, "human_result", x->human);
    end(w, name);
}

static void row(struct writer *w, const struct agg_row *r, bool old)
{
    begin(w, "record");
    begin(w, "row");
    element(w, "source_ip", r->ip);
    number(w, "count", (long long)r->count);
    begin(w, "policy_evaluated");
    element(w, "disposition", r->disposition);
    element(w, "dkim", r->dkim);
    element(w, "spf", r->spf);
    reason(w, r, old);
    end(w, "policy_evaluated");
    end(w, "row");
    begin(w, "identifiers");
    optional(w, "envelope_to", r->envelope_to);
    element(w, "envelope_from", r->envelope_from);
    element(w, "header_from", r->header_from);
    end(w, "identifiers");
    begin(w, "auth_results");
    for (int spf = 0; spf < 2; spf++)
        for (size_t i = 0; i < r->nauth; i++)
            if (r->auth[i].spf == spf)
                auth_result(w, &r->auth[i], old);
    end(w, "auth_results");
    end(w, "record");
}

void agg_write(struct buf *b, const struct agg_report *r)
{
    struct writer w = {b, 0};
    bool old = span_eq(r->policy.method, SPAN("psl"));
    buf_str(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    begin(&w, old ? "feedback" : "feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\"");
    element(&w, "version", SPAN("1.0"));
    metadata(&w, r, old);
    policy(&w, &r->policy, old);
    for (size_t i = 0; i < r->n; i++)
        row(&w, &r->rows[i], old);
    end(&w, "feedback");
}
