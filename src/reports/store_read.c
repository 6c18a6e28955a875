/* Reading the store: what is to be sent, and what people want to see. */
#include "reports/store_private.h"

/* The column, in the arena. */
static struct span column(struct report_store *s, struct arena *a, int i)
{
    return arena_dup(a, db_text(s->db, i));
}

/* --- ours --- */

int report_store_day(struct report_store *s, enum reports_kind kind, int64_t begin, struct arena *a,
                     struct report_item **out, size_t *n, struct err *e)
{
    size_t cap = 0;
    int row;
    *out = NULL;
    *n = 0;
    db_sql(s->db, kind == REPORTS_TLS
                      ? "SELECT serial, begin, domain, '', '', nrows, done IS NOT NULL"
                        " FROM tls_report WHERE ours = 1 AND begin = ? ORDER BY domain, serial"
                      : "SELECT serial, begin, domain, record, method, nrows, done IS NOT NULL"
                        " FROM agg_report WHERE ours = 1 AND begin = ? ORDER BY domain, serial");
    db_put_int(s->db, begin);
    while ((row = db_row(s->db, e)) == 1) {
        struct report_item *x = ARENA_PUSH(a, *out, *n, cap);
        x->serial = db_int(s->db, 0);
        x->begin = db_int(s->db, 1);
        x->domain = column(s, a, 2);
        x->policy = column(s, a, 3);
        x->method = column(s, a, 4);
        x->rows = (uint64_t)db_int(s->db, 5);
        x->sent = db_int(s->db, 6) != 0;
    }
    return row;
}

static int load_rows(struct report_store *s, int64_t serial, struct arena *a,
                     struct agg_report *out, struct err *e)
{
    int row;
    db_sql(s->db, "SELECT ip, disposition, dkim, spf, reason, comment, header_from, envelope_from,"
                  " envelope_to, auth, count FROM agg_row WHERE report = ?");
    db_put_int(s->db, serial);
    while ((row = db_row(s->db, e)) == 1) {
        struct agg_row *w = ARENA_PUSH(a, out->rows, out->n, out->cap);
        struct span *const texts[] = {&w->ip,          &w->disposition,   &w->dkim,
                                      &w->spf,         &w->reason,        &w->comment,
                                      &w->header_from, &w->envelope_from, &w->envelope_to};
        for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++)
            *texts[i] = column(s, a, i);
        agg_auth_parse(a, db_text(s->db, 9), w);
        w->count = (uint64_t)db_int(s->db, 10);
    }
    return row;
}

int report_store_load(struct report_store *s, int64_t serial, struct arena *a,
                      struct agg_report *out, struct err *e)
{
    *out = (struct agg_report){0};
    db_sql(s->db, "SELECT org, id, email, contact, error, domain, record, method, p, sp, np, adkim,"
                  " aspf, pct, fo, testing, begin, end, left_out FROM agg_report WHERE serial = ?");
    db_put_int(s->db, serial);
    int row = db_row(s->db, e);
    if (row <= 0)
        return row < 0 ? -1 : err_set(e, "there is no such report");
    struct agg_policy *p = &out->policy;
    struct span *const texts[] = {&out->org,   &out->id,   &out->email, &out->contact,
                                  &out->error, &p->domain, &p->record,  &p->method,
                                  &p->p,       &p->sp,     &p->np,      &p->adkim,
                                  &p->aspf,    &p->pct,    &p->fo,      &p->testing};
    int n = (int)(sizeof texts / sizeof *texts);
    for (int i = 0; i < n; i++)
        *texts[i] = column(s, a, i);
    out->begin = db_int(s->db, n);
    out->end = db_int(s->db, n + 1);
    out->left_out = (size_t)db_int(s->db, n + 2);
    db_end(s->db);
    return load_rows(s, serial, a, out, e);
}

/* Lines. */
static struct span *split(struct arena *a, struct span text, size_t *n)
{
    struct span *v = NULL, line;
    size_t cap = 0;
    *n = 0;
    while (span_line(&text, &line))
        *ARENA_PUSH(a, v, *n, cap) = line;
    return v;
}

static int load_failures(struct report_store *s, int64_t policy, struct arena *a,
                         struct tls_policy *p, struct err *e)
{
    int row;
    db_sql(s->db, "SELECT type, sending_ip, mx, helo, receiving_ip, info, code, count"
                  " FROM tls_failure WHERE policy = ?");
    db_put_int(s->db, policy);
    while ((row = db_row(s->db, e)) == 1) {
        if (p->n == TLS_FAILURES_MAX)
            continue;
        struct tls_failure *f = ARENA_PUSH(a, p->v, p->n, p->cap);
        struct span *const texts[] = {&f->type,         &f->sending_ip, &f->mx,  &f->helo,
                                      &f->receiving_ip, &f->info,       &f->code};
        int n = (int)(sizeof texts / sizeof *texts);
        for (int i = 0; i < n; i++)
            *texts[i] = column(s, a, i);
        f->count = (uint64_t)db_int(s->db, n);
    }
    return row;
}

static int load_policies(struct report_store *s, int64_t serial, struct arena *a,
                         struct tls_report *out, struct err *e)
{
    int64_t *serials = arena_array(a, TLS_POLICIES_MAX, sizeof *serials);
    int row;
    db_sql(s->db, "SELECT serial, type, domain, strings, mx, successes, failures FROM tls_policy"
                  " WHERE report = ? ORDER BY serial");
    db_put_int(s->db, serial);
    while ((row = db_row(s->db, e)) == 1) {
        if (out->n == TLS_POLICIES_MAX)
            continue;
        struct tls_policy *p = ARENA_PUSH(a, out->policies, out->n, out->cap);
        serials[out->n - 1] = db_int(s->db, 0);
        p->type = column(s, a, 1);
        p->domain = column(s, a, 2);
        p->strings = split(a, column(s, a, 3), &p->nstrings);
        p->mx = split(a, column(s, a, 4), &p->nmx);
        p->successes = (uint64_t)db_int(s->db, 5);
        p->failures = (uint64_t)db_int(s->db, 6);
    }
    for (size_t i = 0; row == 0 && i < out->n; i++)
        row = load_failures(s, serials[i], a, &out->policies[i], e);
    return row;
}

int report_store_load_tls(struct report_store *s, int64_t serial, struct arena *a,
                          struct tls_report *out, struct err *e)
{
    *out = (struct tls_report){0};
    db_sql(s->db, "SELECT org, id, contact, begin, end FROM tls_report WHERE serial = ?");
    db_put_int(s->db, serial);
    int row = db_row(s->db, e);
    if (row <= 0)
        return row < 0 ? -1 : err_set(e, "there is no such report");
    out->org = column(s, a, 0);
    out->id = column(s, a, 1);
    out->contact = column(s, a, 2);
    out->begin = db_int(s->db, 3);
    out->end = db_int(s->db, 4);
    db_end(s->db);
    return load_policies(s, serial, a, out, e);
}

/* --- for people --- */

/* Parameters of a filter, in this order: ours, from, to, domain, ".domain". */
#define WHERE                                                                                      \
    " WHERE r.ours = ?1 AND r.begin >= ?2 AND r.begin < ?3 AND"                                    \
    " (?4 = '' OR r.domain = ?4 OR substr(r.domain, -length(?5)) = ?5)"

static void put_filter(struct report_store *s, const struct report_filter *f)
{
    buf_clear(&s->text);
    for (size_t i = 0; i < f->domain.n; i++)
        buf_char(&s->text, ascii_lower(f->domain.p[i]));
    buf_clear(&s->list);
    buf_char(&s->list, '.');
    buf_add(&s->list, buf_span(&s->text));
    db_put_int(s->db, f->ours);
    db_put_int(s->db, f->from);
    db_put_int(s->db, f->to ? f->to : INT64_MAX);
    db_put_text(s->db, buf_span(&s->text));
    db_put_text(s->db, buf_span(&s->list));
}

int report_store_list(struct report_store *s, enum reports_kind kind, const struct report_filter *f,
                      report_line_fn *line, void *ctx, struct err *e)
{
    int row;
    db_sql(s->db,
           kind == REPORTS_TLS
               ? "SELECT r.serial, r.begin, r.end, r.domain, r.org, r.id, r.sender,"
                 " coalesce(r.done, ''), r.verified,"
                 " (SELECT coalesce(sum(successes), 0) FROM tls_policy WHERE report = r.serial),"
                 " (SELECT coalesce(sum(failures), 0) FROM tls_policy WHERE report = r.serial)"
                 " FROM tls_report r" WHERE " ORDER BY r.begin, r.domain, r.serial"
               : "SELECT r.serial, r.begin, r.end, r.domain, r.org, r.id, r.sender,"
                 " coalesce(r.done, ''), r.verified,"
                 " (SELECT coalesce(sum(count), 0) FROM agg_row WHERE report = r.serial"
                 "  AND (dkim = 'pass' OR spf = 'pass')),"
                 " (SELECT coalesce(sum(count), 0) FROM agg_row WHERE report = r.serial"
                 "  AND dkim <> 'pass' AND spf <> 'pass')"
                 " FROM agg_report r" WHERE " ORDER BY r.begin, r.domain, r.serial");
    put_filter(s, f);
    while ((row = db_row(s->db, e)) == 1) {
        const struct report_line l = {.serial = db_int(s->db, 0),
                                      .begin = db_int(s->db, 1),
                                      .end = db_int(s->db, 2),
                                      .domain = db_text(s->db, 3),
                                      .org = db_text(s->db, 4),
                                      .id = db_text(s->db, 5),
                                      .sender = db_text(s->db, 6),
                                      .outcome = db_text(s->db, 7),
                                      .verified = db_int(s->db, 8) != 0,
                                      .good = (uint64_t)db_int(s->db, 9),
                                      .bad = (uint64_t)db_int(s->db, 10)};
        line(ctx, &l);
    }
    return row;
}

int report_store_sources(struct report_store *s, const struct report_filter *f,
                         report_source_fn *source, void *ctx, struct err *e)
{
    int row;
    db_sql(s->db, "SELECT r.domain, w.ip, sum(w.count),"
                  " sum(CASE WHEN w.dkim = 'pass' THEN w.count ELSE 0 END),"
                  " sum(CASE WHEN w.spf = 'pass' THEN w.count ELSE 0 END),"
                  " sum(CASE WHEN w.dkim = 'pass' OR w.spf = 'pass' THEN w.count ELSE 0 END),"
                  " sum(CASE WHEN w.disposition = 'none' THEN w.count ELSE 0 END),"
                  " sum(CASE WHEN w.disposition = 'quarantine' THEN w.count ELSE 0 END),"
                  " sum(CASE WHEN w.disposition = 'reject' THEN w.count ELSE 0 END),"
                  " count(DISTINCT r.serial)"
                  " FROM agg_row w JOIN agg_report r ON r.serial = w.report" WHERE
                  " GROUP BY r.domain, w.ip ORDER BY 3 DESC, 1, 2 LIMIT ?6");
    put_filter(s, f);
    db_put_int(s->db, f->limit ? (int64_t)f->limit : -1);
    while ((row = db_row(s->db, e)) == 1) {
        const struct report_source x = {.domain = db_text(s->db, 0),
                                        .ip = db_text(s->db, 1),
                                        .messages = (uint64_t)db_int(s->db, 2),
                                        .dkim = (uint64_t)db_int(s->db, 3),
                                        .spf = (uint64_t)db_int(s->db, 4),
                                        .aligned = (uint64_t)db_int(s->db, 5),
                                        .none = (uint64_t)db_int(s->db, 6),
                                        .quarantined = (uint64_t)db_int(s->db, 7),
                                        .rejected = (uint64_t)db_int(s->db, 8),
                                        .reports = (uint64_t)db_int(s->db, 9)};
        source(ctx, &x);
    }
    return row;
}

int report_store_tls(struct report_store *s, const struct report_filter *f, report_tls_fn *line,
                     void *ctx, struct err *e)
{
    int row;
    db_sql(s->db, "SELECT p.domain, p.type, sum(p.successes) good, sum(p.failures), '', '', '', 0"
                  " FROM tls_policy p JOIN tls_report r ON r.serial = p.report" WHERE
                  " GROUP BY 1, 2 UNION ALL"
                  " SELECT p.domain, p.type, 0, 0, x.type, x.mx, x.code, sum(x.count)"
                  " FROM tls_failure x JOIN tls_policy p ON p.serial = x.policy"
                  " JOIN tls_report r ON r.serial = p.report" WHERE
                  " GROUP BY 1, 2, x.type, x.mx, x.code ORDER BY 1, 2, 5, 8 DESC, 6, 7");
    put_filter(s, f);
    while ((row = db_row(s->db, e)) == 1) {
        const struct report_tls_line x = {.domain = db_text(s->db, 0),
                                          .policy = db_text(s->db, 1),
                                          .successes = (uint64_t)db_int(s->db, 2),
                                          .failures = (uint64_t)db_int(s->db, 3),
                                          .type = db_text(s->db, 4),
                                          .mx = db_text(s->db, 5),
                                          .code = db_text(s->db, 6),
                                          .count = (uint64_t)db_int(s->db, 7)};
        line(ctx, &x);
    }
    return row;
}
