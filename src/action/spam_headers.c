#include "action/action_private.h"

#include <math.h>
#include <stdlib.h>

#include "base/xalloc.h"

enum { STARS_SPAMASSASSIN = 50, STARS_MIMEDEFANG = 40, REPORT_LINE_MAX = 900 };

double shown_score(const struct message *m, const struct decision *d)
{
    double score = round(m->facts.rules.score * 10) / 10;
    return !d->spam && score >= d->required ? d->required - 0.1 : score;
}

static void add_stars(struct buf *b, double score, int max)
{
    int n = score >= max ? max : (int)score;
    while (n-- > 0)
        buf_char(b, '*');
}

static int by_name(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static void add_tests(struct buf *b, const struct rules_facts *r, bool sorted)
{
    const char **names = xcalloc(r->nhits + 1, sizeof *names);
    for (size_t i = 0; i < r->nhits; i++)
        names[i] = r->hits[i].name;
    if (sorted)
        qsort(names, r->nhits, sizeof *names, by_name);
    for (size_t i = 0; i < r->nhits; i++)
        buf_printf(b, "%s%s", i ? "," : "", names[i]);
    if (r->nhits == 0)
        buf_str(b, "none");
    free(names);
}

/* _REPORT_ lines, each on a line of its own behind a tab. */
static void add_report(struct buf *b, struct span report, const char *eol)
{
    struct span line;
    buf_str(b, "X-Spam-Report:");
    while (span_line(&report, &line)) {
        if (span_trim(line).n == 0)
            continue;
        buf_printf(b, "%s\t", eol);
        add_plain(b, line, REPORT_LINE_MAX);
    }
    buf_str(b, eol);
}

/* SpamAssassin's default set in its order (semantics 10.2), then X-Spam-Score and X-Spam-Report. */
static void spamassassin(struct buf *b, const struct settings *set, const struct message *m,
                         const struct decision *d, const char *eol)
{
    const struct rules_facts *r = &m->facts.rules;
    double score = shown_score(m, d);
    buf_printf(b, "X-Spam-Checker-Version: Gatehouse %s on %s%s", GATEHOUSE_VERSION, set->hostname,
               eol);
    if (d->spam)
        buf_printf(b, "X-Spam-Flag: YES%s", eol);
    buf_str(b, "X-Spam-Level: ");
    add_stars(b, r->score, STARS_SPAMASSASSIN);
    buf_str(b, eol);
    struct buf status = {0};
    buf_printf(&status, "%s, score=%.1f required=%.1f tests=", d->spam ? "Yes" : "No", score,
               d->required);
    add_tests(&status, r, true);
    buf_printf(&status, " autolearn=%s version=%s", r->autolearn ? r->autolearn : "unavailable",
               r->version ? r->version : "unknown");
    add_folded(b, "X-Spam-Status", buf_span(&status), eol);
    buf_free(&status);
    buf_printf(b, "X-Spam-Score: %.1f%s", score, eol);
    if (d->policy->report_header && d->spam && r->report.n)
        add_report(b, r->report, eol);
}

/* What a MIMEDefang filter writes: for spam alone, the score as Perl prints it, stars, names. */
static void mimedefang(struct buf *b, const struct message *m, const struct decision *d,
                       const char *eol)
{
    if (!d->spam)
        return;
    struct buf value = {0};
    buf_printf(&value, "%.10g (", round(m->facts.rules.score * 1000) / 1000);
    add_stars(&value, m->facts.rules.score, STARS_MIMEDEFANG);
    buf_str(&value, ") ");
    add_tests(&value, &m->facts.rules, false);
    add_folded(b, "X-Spam-Score", buf_span(&value), eol);
    buf_free(&value);
}

void add_spam_headers(struct buf *b, const struct settings *set, const struct message *m,
                      const struct decision *d, const char *eol)
{
    if (!m->facts.rules.ran || !d->policy->scan)
        return;
    if (d->policy->headers == HEADERS_SPAMASSASSIN)
        spamassassin(b, set, m, d, eol);
    else if (d->policy->headers == HEADERS_MIMEDEFANG)
        mimedefang(b, m, d, eol);
}
