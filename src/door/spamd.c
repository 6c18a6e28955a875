/* A session with a client of SpamAssassin's daemon: its stream, its machine, its message. One
 * request, one answer, the end. An rspamd listener hands those here that speak RSPAMC (Exim's
 * variant=rspamd). */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "door/judge.h"
#include "rspamd/request.h"
#include "spamc/reply.h"

struct spamd {
    struct spamd *next, *prev;
    struct judge judge;
    struct spamc_session session;
    struct stream *stream;
    usec opened;
    const char *ending;
    bool in_work;
};

static struct spamd *of_judge(struct judge *j)
{
    return (struct spamd *)((char *)j - offsetof(struct spamd, judge));
}

static const struct limits *limits(const struct spamd *c)
{
    return &c->judge.gate->door->set->limits;
}

/* ---- the question ---- */

static unsigned wanted(const struct spamc_request *r)
{
    unsigned as_file = r->rspamc ? SCAN_STAMPED : SCAN_A_FILE;
    if (r->rspamc)
        return WANT_HITS | as_file;
    switch (r->method) {
    case SPAMC_TELL:
        return as_file;
    case SPAMC_REPORT:
    case SPAMC_REPORT_IFSPAM:
        return WANT_REPORT | as_file;
    case SPAMC_PROCESS:
        return WANT_REWRITE | SCAN_WHOLE | as_file;
    case SPAMC_HEADERS: /* the body is not taken back */
        return WANT_REWRITE | as_file;
    default:
        return WANT_HITS | as_file;
    }
}

static void answered(struct judge *j, const char *why_not);

static unsigned lesson_of(const struct spamc_tell *t)
{
    unsigned teach = t->set_local ? (t->spam ? TEACH_SPAM : TEACH_HAM) : 0;
    teach |= t->remove_local ? TEACH_FORGET : 0;
    teach |= t->set_remote ? TEACH_REPORT : 0;
    teach |= t->remove_remote ? TEACH_REVOKE : 0;
    return teach;
}

static void host_send(void *ctx, struct span bytes)
{
    stream_write(((struct spamd *)ctx)->stream, bytes);
}

static void take_envelope(struct txn *t, const struct spamc_request *r)
{
    struct rspamd_request q = {0};
    for (size_t i = 0; i < r->nfields; i++)
        rspamd_field(&q, t->arena, r->fields[i].name, r->fields[i].value);
    judge_envelope(t, &q);
}

static bool host_begin(void *ctx, const struct spamc_request *r)
{
    struct spamd *c = ctx;
    struct judge *j = &c->judge;
    if (!judge_open(j, j->gate, wanted(r), r->rspamc ? "RSPAMC" : "SPAMC")) {
        spamc_refuse(&c->session, SPAMC_TEMPFAIL, "no room for a message");
        return false;
    }
    if (r->rspamc)
        take_envelope(j->txn, r);
    else if (r->user.n)
        j->txn->req.user = arena_dup(j->txn->arena, r->user);
    if (r->method == SPAMC_TELL)
        judge_teaches(j, lesson_of(&r->tell));
    return true;
}

static void host_content(void *ctx, struct span bytes)
{
    judge_content(&((struct spamd *)ctx)->judge, bytes);
}

static void host_end(void *ctx, const struct spamc_request *r)
{
    struct spamd *c = ctx;
    c->in_work = true;
    stream_deadline(c->stream, 0); /* the passage has its own */
    stream_pause(c->stream);
    if (r->method == SPAMC_TELL && !lesson_of(&r->tell))
        answered(&c->judge, NULL); /* neither Set nor Remove: nothing was done */
    else
        judge_run(&c->judge);
}

static void host_close(void *ctx, const char *why)
{
    struct spamd *c = ctx;
    c->ending = why;
    stream_finish(c->stream);
}

static const struct spamc_host host = {
    .send = host_send,
    .begin = host_begin,
    .content = host_content,
    .end = host_end,
    .close = host_close,
};

/* ---- the answer ---- */

static void done(struct spamd *c)
{
    c->ending = "answered";
    stream_finish(c->stream);
}

/* The rewritten message waits in the stream for a slow reader. */
static void write_message(struct spamd *c, const struct spamc_verdict *v)
{
    const struct spamc_request *r = c->session.request;
    const struct scan_answer *a = &c->judge.txn->result.answer;
    struct span raw = judge_map(&c->judge);
    struct buf edited = {0}, head = {0};
    if (!a->rewritten || !raw.p) {
        spamc_refuse(&c->session, SPAMC_UNAVAILABLE, "the message can't be rewritten");
        return;
    }
    splices_apply(&a->rewrite, raw, &edited);
    judge_unmap(raw);
    struct span whole = buf_span(&edited);
    if (r->method == SPAMC_HEADERS)
        whole = span_sub(whole, 0, spamc_header_size(whole));
    spamc_reply_head(&head, r, v, whole.n);
    stream_write(c->stream, buf_span(&head));
    stream_write(c->stream, whole);
    buf_free(&head);
    buf_free(&edited);
    done(c);
}

static void write_rspamc(struct spamd *c, const struct spamc_verdict *v)
{
    const struct scan_answer *a = &c->judge.txn->result.answer;
    struct buf b = {0};
    spamc_reply_rspamc(&b, v);
    for (size_t i = 0; i < a->nhits; i++)
        spamc_reply_symbol(&b, a->hits[i].name, a->hits[i].score);
    stream_write(c->stream, buf_span(&b));
    buf_free(&b);
    done(c);
}

/* Known already, or without a store: nothing was done, as spamd says it. */
static void write_told(struct spamd *c)
{
    const struct spamc_tell *want = &c->session.request->tell;
    unsigned taught = judge_taught(&c->judge);
    bool local = taught & TAUGHT_LOCAL, remote = taught & TAUGHT_REMOTE;
    const struct spamc_tell did = {.set_local = want->set_local && local,
                                   .set_remote = want->set_remote && remote,
                                   .remove_local = want->remove_local && local,
                                   .remove_remote = want->remove_remote && remote};
    struct buf b = {0};
    spamc_reply_tell(&b, &did);
    stream_write(c->stream, buf_span(&b));
    buf_free(&b);
    done(c);
}

static void answered(struct judge *j, const char *why_not)
{
    struct spamd *c = of_judge(j);
    const struct spamc_request *r = c->session.request;
    stream_deadline(c->stream, limits(c)->data_timeout);
    if (why_not) {
        spamc_refuse(&c->session, SPAMC_TEMPFAIL, why_not);
        return;
    }
    if (r->method == SPAMC_TELL) {
        if (judge_taught(j) & TAUGHT_FAILED)
            spamc_refuse(&c->session, SPAMC_TEMPFAIL, "it can't be learned now");
        else
            write_told(c);
        return;
    }
    const struct scan_answer *a = &j->txn->result.answer;
    const struct spamc_verdict v = {.spam = a->spam,
                                    .shown = a->shown,
                                    .score = a->score,
                                    .required = a->required,
                                    .names = a->names,
                                    .report = a->report,
                                    .action = judge_action(j)};
    if (r->rspamc) {
        write_rspamc(c, &v);
    } else if (r->method == SPAMC_PROCESS || r->method == SPAMC_HEADERS) {
        write_message(c, &v);
    } else {
        struct buf b = {0};
        spamc_reply(&b, r, &v);
        stream_write(c->stream, buf_span(&b));
        buf_free(&b);
        done(c);
    }
}

/* ---- stream ---- */

static size_t on_data(void *ctx, struct span bytes)
{
    struct spamd *c = ctx;
    spamc_input(&c->session, bytes);
    if (!c->in_work && c->session.state != SPAMC_CLOSED)
        stream_deadline(c->stream, c->session.state == SPAMC_IN_CONTENT
                                       ? limits(c)->data_timeout
                                       : limits(c)->command_timeout);
    return bytes.n;
}

static void on_eof(void *ctx)
{
    struct spamd *c = ctx;
    if (!c->in_work)
        spamc_eof(&c->session);
}

static void on_timeout(void *ctx)
{
    struct spamd *c = ctx;
    if (c->session.state == SPAMC_CLOSED || c->in_work)
        stream_close(c->stream);
    else
        spamc_refuse(&c->session, SPAMC_TIMEOUT, "(timeout reading input from client)");
}

static void on_close(void *ctx, const char *why)
{
    struct spamd *c = ctx;
    struct door *d = c->judge.gate->door;
    log_event(
        LOG_NOTE, c->judge.session, "spamd-session", F_STR("listener", c->judge.gate->set->name),
        F_STR("end", c->ending ? c->ending : why), F_INT("ms", (clock_mono() - c->opened) / 1000));
    judge_close(&c->judge);
    spamc_end(&c->session);
    *(c->prev ? &c->prev->next : &d->spamds) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    d->nconns--;
    free(c);
    door_conn_gone(d);
}

static const struct stream_events events = {
    .on_data = on_data, .on_eof = on_eof, .on_timeout = on_timeout, .on_close = on_close};

void spamd_open(struct gate *g, int fd)
{
    struct door *d = g->door;
    if (!judge_allows(g, fd) || d->nconns >= d->set->limits.sessions) {
        close(fd);
        return;
    }
    struct spamd *c = xcalloc(1, sizeof *c);
    c->judge.gate = g;
    c->judge.answered = answered;
    c->opened = clock_mono();
    id_new(c->judge.session);
    c->next = d->spamds;
    if (c->next)
        c->next->prev = c;
    d->spamds = c;
    d->nconns++;
    spamc_begin(&c->session, d->set->limits.message_size, &host, c);
    c->session.allow_tell = g->set->allow_tell;
    c->stream = stream_from_fd(&d->loop, fd, &events, c);
    if (g->set->tls == TLS_MODE_IMPLICIT && g->tls.ctx)
        stream_tls_behind(c->stream, g->tls.ctx);
    else if (g->set->tls == TLS_MODE_IMPLICIT)
        stream_close(c->stream);
    stream_deadline(c->stream, d->set->limits.command_timeout);
}

void spamds_leave(struct door *d)
{
    for (struct spamd *c = d->spamds, *next; c; c = next) {
        next = c->next;
        if (!c->in_work && c->session.state < SPAMC_IN_CONTENT)
            spamc_refuse(&c->session, SPAMC_TEMPFAIL, "going down");
    }
}
