#include "store/pg.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include <libpq-fe.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "store/pg_host.h"

struct pg {
    PGconn *c; /* NULL: not connected */
    char *dsn, *user, *password;
    usec timeout, rest;
    usec not_before; /* monotonic: the server failed a moment ago */
    char why[200];   /* and said */
    size_t rows;     /* given to the reader for this question */
    struct pg_host *host;
};

static char *dup_span(struct span s)
{
    return s.n ? xasprintf("%.*s", SPAN_ARG(s)) : NULL;
}

struct pg *pg_new(struct span dsn, struct span user, struct span password, usec timeout, usec rest)
{
    struct pg *p = xcalloc(1, sizeof *p);
    p->dsn = dup_span(dsn);
    p->user = dup_span(user);
    p->password = dup_span(password);
    p->timeout = timeout;
    p->rest = rest;
    return p;
}

static void hang_up(struct pg *p)
{
    PQfinish(p->c);
    p->c = NULL;
}

void pg_free(struct pg *p)
{
    if (!p)
        return;
    hang_up(p);
    pg_host_free(p->host);
    free(p->dsn);
    free(p->user);
    free(p->password);
    free(p);
}

char *pg_quote(struct span s)
{
    struct buf b = {0};
    if (!s.p)
        return xstrdup("NULL");
    buf_str(&b, memchr(s.p, '\\', s.n) ? "E'" : "'");
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i] ? s.p[i] : '?';
        if (c == '\'' || c == '\\')
            buf_char(&b, c);
        buf_char(&b, c);
    }
    buf_str(&b, "'");
    char *out = xasprintf("%.*s", SPAN_ARG(buf_span(&b)));
    buf_free(&b);
    return out;
}

/* The server's last words on one line. */
static int fail(struct pg *p, const char *what, const char *why, struct err *e)
{
    struct span text = span_trim(span_str(why));
    text = span_sub(text, 0, span_find(text, '\n'));
    hang_up(p);
    p->not_before = clock_mono() + p->rest;
    err_set(e, "PostgreSQL: %s: %.*s", what, SPAN_ARG(span_sub(text, 0, 150)));
    memcpy(p->why, e->text, sizeof p->why < sizeof e->text ? sizeof p->why : sizeof e->text);
    p->why[sizeof p->why - 1] = '\0';
    return -1;
}

static int fail_now(struct pg *p, const char *what, struct err *e)
{
    char why[200];
    struct span text = span_sub(span_str(PQerrorMessage(p->c)), 0, sizeof why - 1);
    memcpy(why, text.p ? text.p : "", text.n);
    why[text.n] = '\0';
    return fail(p, what, why, e);
}

/* Until the socket is ready. false: the deadline has passed. */
static bool wait_for(const struct pg *p, short events, usec deadline)
{
    struct pollfd fd = {.fd = PQsocket(p->c), .events = events};
    int ready = -1;
    for (usec left; ready < 0 && (left = deadline - clock_mono()) > 0;) {
        ready = poll(&fd, 1, (int)(left / 1000) + 1);
        if (ready < 0 && errno != EINTR)
            return false;
    }
    return ready > 0;
}

/* What the server remarks besides is nobody's business here; libpq would print it. */
static void no_notice(void *ctx, const PGresult *r)
{
    (void)ctx;
    (void)r;
}

static int connect_to(struct pg *p, usec deadline, struct err *e)
{
    char address[NI_MAXHOST];
    struct err why = {0};
    if (pg_host_address(&p->host, p->dsn ? p->dsn : "", deadline, address, &why) != 0)
        return fail(p, "connecting", why.text, e);
    const char *keys[] = {"dbname",           "hostaddr",        "user", "password",
                          "application_name", "client_encoding", NULL};
    const char *values[] = {p->dsn ? p->dsn : "",
                            address[0] ? address : NULL,
                            p->user,
                            p->password,
                            "gatehouse",
                            "SQL_ASCII",
                            NULL};
    p->c = PQconnectStartParams(keys, values, 1);
    if (!p->c)
        abort();
    if (PQstatus(p->c) == CONNECTION_BAD)
        return fail_now(p, "connecting", e);
    PQsetNoticeReceiver(p->c, no_notice, NULL);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING) {
        if (!wait_for(p, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
            return fail(p, "connecting", "no answer in time", e);
        state = PQconnectPoll(p->c);
    }
    if (state != PGRES_POLLING_OK || PQsetnonblocking(p->c, 1) != 0)
        return fail_now(p, "connecting", e);
    return 0;
}

static int send_query(struct pg *p, const char *sql, usec deadline, struct err *e)
{
    if (!PQsendQuery(p->c, sql))
        return fail_now(p, "asking", e);
    int left;
    while ((left = PQflush(p->c)) != 0)
        if (left < 0 || !wait_for(p, POLLOUT | POLLIN, deadline) || !PQconsumeInput(p->c))
            return fail(p, "asking", "no answer in time", e);
    return 0;
}

static void give_rows(struct pg *p, const PGresult *r, pg_row_fn *row, void *ctx)
{
    enum { COLUMNS_MAX = 8 };
    struct span columns[COLUMNS_MAX];
    int n = PQnfields(r) < COLUMNS_MAX ? PQnfields(r) : COLUMNS_MAX;
    for (int i = 0; i < PQntuples(r); i++) {
        for (int k = 0; k < n; k++)
            columns[k] = PQgetisnull(r, i, k)
                             ? SPAN_NONE
                             : span_of(PQgetvalue(r, i, k), (size_t)PQgetlength(r, i, k));
        row(ctx, columns, (size_t)n);
    }
    p->rows += (size_t)PQntuples(r);
}

static bool is_copy(ExecStatusType s)
{
    return s == PGRES_COPY_IN || s == PGRES_COPY_OUT || s == PGRES_COPY_BOTH;
}

/* The next result, absent at the end. -1: the server does not go on. */
static int next_result(struct pg *p, usec deadline, PGresult **r, struct err *e)
{
    while (PQisBusy(p->c)) {
        if (!wait_for(p, POLLIN, deadline))
            return fail(p, "asking", "no answer in time", e);
        if (!PQconsumeInput(p->c))
            return fail_now(p, "asking", e);
    }
    *r = PQgetResult(p->c);
    return 0;
}

/* All results of the statement; the last one that failed tells. */
static int take_results(struct pg *p, pg_row_fn *row, void *ctx, usec deadline, struct err *e)
{
    int rc = 0;
    for (PGresult *r = NULL; next_result(p, deadline, &r, e) == 0; PQclear(r)) {
        if (!r)
            return rc == 0 || PQstatus(p->c) == CONNECTION_OK ? rc : fail_now(p, "asking", e);
        ExecStatusType s = PQresultStatus(r);
        if (is_copy(s)) { /* would go on for ever: nobody takes what comes */
            PQclear(r);
            hang_up(p);
            return err_set(e, "PostgreSQL: the statement copies, it gives no rows");
        }
        if (s == PGRES_TUPLES_OK)
            give_rows(p, r, row, ctx);
        else if (s != PGRES_COMMAND_OK)
            rc = err_set(e, "PostgreSQL: %.*s",
                         (int)span_find(span_str(PQresultErrorMessage(r)), '\n'),
                         PQresultErrorMessage(r));
    }
    return -1;
}

static int ask_once(struct pg *p, const char *sql, pg_row_fn *row, void *ctx, usec deadline,
                    struct err *e)
{
    if (!p->c && connect_to(p, deadline, e) != 0)
        return -1;
    if (send_query(p, sql, deadline, e) != 0)
        return -1;
    return take_results(p, row, ctx, deadline, e);
}

int pg_ask(struct pg *p, const char *sql, pg_row_fn *row, void *ctx, struct err *e)
{
    usec deadline = clock_mono() + p->timeout;
    if (p->not_before > clock_mono())
        return err_set(e, "%s (a moment ago)", p->why);
    bool kept = p->c != NULL;
    p->rows = 0;
    int rc = ask_once(p, sql, row, ctx, deadline, e);
    bool went_away = rc != 0 && kept && !p->c && !p->rows; /* since the last question */
    if (!went_away || clock_mono() >= deadline)
        return rc;
    p->not_before = 0;
    return ask_once(p, sql, row, ctx, deadline, e);
}
