#include "action/action_private.h"

#include "rules/report.h"

/* A header value of the report is folded with LF TAB, and so is the field: header_insert gives
 * lines the message's ends. Bytes that a header may not hold become '?'. */
static void add_field(struct buf *b, struct span name, struct span value)
{
    struct span line;
    add_plain(b, name, SIZE_MAX);
    buf_str(b, ": ");
    for (bool first = true; span_line(&value, &line); first = false) {
        bool folded = line.n && line.p[0] == '\t';
        if (!first && !folded && span_trim(line).n == 0)
            continue;
        if (!first)
            buf_str(b, "\n\t");
        add_plain(b, span_from(line, folded), SIZE_MAX);
    }
    buf_char(b, '\n');
}

static bool among(const struct report_header *v, size_t n, struct span name)
{
    for (size_t i = 0; i < n; i++)
        if (span_ieq(v[i].name, name))
            return true;
    return false;
}

/* What the rule files ask for (by default SpamAssassin's set), then X-Spam-Score and X-Spam-Report
 * where they did not. */
static void spamassassin(struct buf *b, const struct report_on *r, const struct decision *d)
{
    size_t n;
    struct report_header *v = report_headers(r, &n);
    for (size_t i = 0; i < n; i++)
        add_field(b, v[i].name, v[i].value);
    if (!among(v, n, SPAN("X-Spam-Score")))
        add_field(b, SPAN("X-Spam-Score"), report_score(r));
    if (d->spam && d->policy->report_header && !among(v, n, SPAN("X-Spam-Report"))) {
        struct span lines = arena_printf(r->arena, "\n%.*s", SPAN_ARG(report_lines(r)));
        add_field(b, SPAN("X-Spam-Report"), lines);
    }
}

static void mimedefang(struct buf *b, const struct report_on *r)
{
    struct span name = SPAN("X-Spam-Score");
    add_field(b, name, report_fold(r->arena, name, report_mimedefang(r)));
}

struct report_on spam_report(const struct settings *set, const struct conf *conf,
                             const struct message *m, const struct decision *d, struct arena *a)
{
    struct report_on r = d->opinion ? report_on_opinion(d->opinion, m, a) : report_on(conf, m, a);
    r.hostname = set->hostname;
    r.required = d->required;
    r.spam = d->spam;
    return r;
}

void add_spam_headers(struct buf *b, const struct report_on *r, const struct decision *d)
{
    if (d->policy->headers == HEADERS_SPAMASSASSIN)
        spamassassin(b, r, d);
    else if (d->policy->headers == HEADERS_MIMEDEFANG && d->spam)
        mimedefang(b, r);
}
