/* What reports tell, for people and programs. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/xalloc.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/reports.h"

enum { BAR = 20 };

struct showing {
    const struct reports_query *q;
    size_t lines;
    char *domain; /* whose lines these are */
};

static struct report_filter filter_of(const struct reports_query *q)
{
    int64_t now = clock_wall() / USEC_PER_SEC, today = now - now % REPORTS_DAY;
    return (struct report_filter){.ours = q->ours,
                                  .domain = span_str(q->domain),
                                  .from = today - (int64_t)q->days * REPORTS_DAY,
                                  .limit = q->limit};
}

static int failed(const struct reports_query *q, const struct err *e)
{
    fprintf(stderr, "gatehouse %s: %s\n", q->command, e->text);
    return EXIT_TEMPFAIL;
}

static int shown(const struct showing *s, int result, const struct err *e)
{
    if (result < 0)
        return failed(s->q, e);
    if (!s->lines)
        fprintf(stderr, "gatehouse %s: no reports of that time%s\n", s->q->command,
                s->q->ours ? "" : " (--ours shows what this gateway saw)");
    return s->lines ? EXIT_OK : EXIT_BAD;
}

/* "##########..........  50 %" */
static void print_bar(uint64_t good, uint64_t all)
{
    /* A single bad one of a million is seen. */
    uint64_t full = all ? good * BAR / all : 0;
    for (uint64_t i = 0; i < BAR; i++)
        putchar(i < full ? '#' : '.');
    printf(" %5.1f %%", all ? 100.0 * (double)good / (double)all : 0.0);
}

static bool new_domain(struct showing *s, struct span domain)
{
    if (s->domain && span_eq(span_str(s->domain), domain))
        return false;
    free(s->domain);
    s->domain = xasprintf("%.*s", SPAN_ARG(domain));
    return true;
}

static void count(json_t *o, const char *key, uint64_t v)
{
    json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void text(json_t *o, const char *key, struct span s)
{
    if (s.n)
        json_object_set_new(o, key, json_of(s));
}

/* --- DMARC by source --- */

static void json_source(const struct report_source *x)
{
    json_t *o = json_object();
    text(o, "domain", x->domain);
    text(o, "source_ip", x->ip);
    count(o, "messages", x->messages);
    count(o, "aligned", x->aligned);
    count(o, "dkim", x->dkim);
    count(o, "spf", x->spf);
    count(o, "none", x->none);
    count(o, "quarantine", x->quarantined);
    count(o, "reject", x->rejected);
    count(o, "reports", x->reports);
    print_json(stdout, o);
}

static void on_source(void *ctx, const struct report_source *x)
{
    struct showing *s = ctx;
    s->lines++;
    if (s->q->json) {
        json_source(x);
        return;
    }
    if (s->lines == 1)
        printf("%-40s %9s %9s %9s  %-28s %9s %9s\n", "SOURCE, DOMAIN", "MESSAGES", "DKIM", "SPF",
               "ALIGNED", "QUARANT.", "REJECTED");
    print_text(stdout, x->ip, SIZE_MAX);
    putchar(' ');
    print_text(stdout, x->domain, SIZE_MAX);
    printf("%*s", (int)(x->ip.n + x->domain.n < 39 ? 39 - x->ip.n - x->domain.n : 0), "");
    printf(" %9llu %9llu %9llu  ", (unsigned long long)x->messages, (unsigned long long)x->dkim,
           (unsigned long long)x->spf);
    print_bar(x->aligned, x->messages);
    printf(" %9llu %9llu\n", (unsigned long long)x->quarantined, (unsigned long long)x->rejected);
}

/* --- TLS by domain and policy --- */

static void json_tls(const struct report_tls_line *x)
{
    json_t *o = json_object();
    text(o, "domain", x->domain);
    text(o, "policy", x->policy);
    if (x->type.n) {
        text(o, "failure", x->type);
        text(o, "mx", x->mx);
        text(o, "reason", x->code);
        count(o, "sessions", x->count);
    } else {
        count(o, "successes", x->successes);
        count(o, "failures", x->failures);
    }
    print_json(stdout, o);
}

static void on_tls(void *ctx, const struct report_tls_line *x)
{
    struct showing *s = ctx;
    s->lines++;
    if (s->q->json) {
        json_tls(x);
        return;
    }
    if (x->type.n) {
        printf("    %8llu  ", (unsigned long long)x->count);
        print_text(stdout, x->type, SIZE_MAX);
        if (x->mx.n) {
            fputs(" at ", stdout);
            print_text(stdout, x->mx, SIZE_MAX);
        }
        if (x->code.n) {
            fputs(": ", stdout);
            print_text(stdout, x->code, SIZE_MAX);
        }
        putchar('\n');
        return;
    }
    if (new_domain(s, x->domain)) {
        print_text(stdout, x->domain, SIZE_MAX);
        putchar('\n');
    }
    fputs("  ", stdout);
    print_text(stdout, x->policy, SIZE_MAX);
    printf("%*s ", (int)(x->policy.n < 16 ? 16 - x->policy.n : 0), "");
    print_bar(x->successes, x->successes + x->failures);
    printf("  %llu sessions, %llu failed\n", (unsigned long long)(x->successes + x->failures),
           (unsigned long long)x->failures);
}

int reports_show(const struct reports_query *q)
{
    struct showing s = {.q = q};
    struct err e;
    struct report_filter f = filter_of(q);
    struct report_store *store = reports_open(q);
    if (!store)
        return EXIT_TEMPFAIL;
    int result = q->kind == REPORTS_TLS ? report_store_tls(store, &f, on_tls, &s, &e)
                                        : report_store_sources(store, &f, on_source, &s, &e);
    report_store_close(store);
    free(s.domain);
    return shown(&s, result, &e);
}

/* --- the reports themselves --- */

static void on_line(void *ctx, const struct report_line *l)
{
    struct showing *s = ctx;
    char day[CLOCK_ISO_SIZE];
    s->lines++;
    clock_iso(l->begin * USEC_PER_SEC, day);
    if (s->q->json) {
        json_t *o = json_object();
        json_object_set_new(o, "begin", json_time(l->begin * USEC_PER_SEC));
        json_object_set_new(o, "end", json_time(l->end * USEC_PER_SEC));
        text(o, "domain", l->domain);
        text(o, "organisation", l->org);
        if (!s->q->ours) {
            text(o, "id", l->id);
            text(o, "from", l->sender);
            json_object_set_new(o, "authenticated", json_boolean(l->verified));
        }
        text(o, "outcome", l->outcome);
        count(o, "good", l->good);
        count(o, "bad", l->bad);
        print_json(stdout, o);
        return;
    }
    if (s->lines == 1)
        printf("%-10s %9s %9s  %s\n", "DAY", "GOOD", "BAD",
               s->q->ours ? "DOMAIN, WHAT BECAME OF IT" : "DOMAIN, BY WHOM, REPORT");
    printf("%.10s %9llu %9llu  ", day, (unsigned long long)l->good, (unsigned long long)l->bad);
    print_text(stdout, l->domain, SIZE_MAX);
    if (l->outcome.n) {
        fputs(", ", stdout);
        print_text(stdout, l->outcome, SIZE_MAX);
    }
    if (!s->q->ours) {
        fputs(", ", stdout);
        print_text(stdout, l->org, SIZE_MAX);
        putchar(' ');
        print_text(stdout, l->id, SIZE_MAX);
        if (!l->verified)
            fputs(" (not authenticated)", stdout);
    }
    putchar('\n');
}

int reports_list(const struct reports_query *q)
{
    struct showing s = {.q = q};
    struct err e;
    struct report_filter f = filter_of(q);
    struct report_store *store = reports_open(q);
    if (!store)
        return EXIT_TEMPFAIL;
    int result = report_store_list(store, q->kind, &f, on_line, &s, &e);
    report_store_close(store);
    return shown(&s, result, &e);
}
