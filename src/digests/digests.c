#include "digests/digests.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "digests/dcc.h"
#include "digests/digests_private.h"

/* One server of Pyzor that is asked for one message. */
struct pyzor_open {
    struct job *job;
    struct pyzor_ask *ask; /* NULL: answered */
    const struct pyzor_server *server;
};

struct job {
    struct digests *d;
    struct job *prev, *next;
    struct message *m;
    digests_done *done;
    void *ctx;
    size_t open;
    struct pyzor_open *pyzor;
    struct dcc_ask *dcc;
    struct razor_ask *razor;
    size_t razor_at, razor_tried; /* server that is asked; how many were */
};

/* --- servers --- */

struct buf digests_file(const char *path)
{
    struct buf b = {0};
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = 1;
    enum { PIECE = 4096, MOST = 1 << 20 };
    while (fd >= 0 && n > 0 && b.n < MOST) {
        n = read(fd, buf_room(&b, PIECE), PIECE);
        b.n += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    else if (path)
        log_event(LOG_WARN, NULL, "digests-file-unreadable", F_STR("file", path));
    return b;
}

static void add_pyzor(struct digests *d)
{
    const struct pyzor_settings *s = &d->set->pyzor;
    struct buf accounts = digests_file(s->servers.n ? s->accounts : NULL);
    struct err e;
    d->pyzor = xcalloc(s->servers.n + 1, sizeof *d->pyzor);
    if (pyzor_accounts_check(buf_span(&accounts), &e) != 0)
        log_event(LOG_WARN, NULL, "pyzor-accounts-wrong", F_STR("file", s->accounts),
                  F_STR("why", e.text));
    for (size_t i = 0; i < s->servers.n; i++) {
        struct pyzor_server *server = &d->pyzor[d->npyzor];
        if (where_parse(s->servers.v[i], &server->at, &e) != 0)
            continue; /* settings are checked: does not happen */
        pyzor_account_find(buf_span(&accounts), span_str(server->at.host), server->at.port,
                           &server->who);
        d->npyzor++;
    }
    buf_free(&accounts);
}

static void add_razor(struct digests *d)
{
    const struct razor_settings *s = &d->set->razor;
    struct razor_servers *r = &d->razor;
    struct err e;
    for (size_t i = 0; i < s->servers.n && r->n < RAZOR_SERVERS; i++) {
        r->v[r->n].known = RAZOR_SERVER_DEFAULT;
        r->n += where_parse(s->servers.v[i], &r->v[r->n].at, &e) == 0;
    }
    r->discovery_known = RAZOR_SERVER_DEFAULT;
    r->discovers = !r->n && s->discovery && where_parse(s->discovery, &r->discovery, &e) == 0;
    d->has_razor = r->n || r->discovers;
}

struct digests *digests_new(uv_loop_t *loop, const struct settings *set, struct dns *dns)
{
    struct err e;
    if (!set->pyzor.servers.n && !set->dcc.dccifd && !set->razor.servers.n &&
        !set->razor.discovery && !set->razor.reporting.n)
        return NULL;
    struct digests *d = xcalloc(1, sizeof *d);
    *d = (struct digests){.loop = loop, .set = set, .dns = dns};
    add_pyzor(d);
    add_razor(d);
    d->has_dcc = set->dcc.dccifd && where_parse(set->dcc.dccifd, &d->dcc, &e) == 0;
    return d;
}

/* --- jobs --- */

static void job_free(struct job *j)
{
    if (j->prev)
        j->prev->next = j->next;
    else
        j->d->jobs = j->next;
    if (j->next)
        j->next->prev = j->prev;
    free(j->pyzor);
    free(j);
}

void digests_free(struct digests *d)
{
    while (d && d->jobs) {
        struct job *j = d->jobs;
        for (size_t i = 0; i < d->npyzor; i++)
            if (j->pyzor && j->pyzor[i].ask)
                pyzor_drop(j->pyzor[i].ask);
        if (j->dcc)
            dcc_drop(j->dcc);
        if (j->razor)
            razor_drop(j->razor);
        job_free(j);
    }
    if (d)
        free(d->pyzor);
    free(d);
}

static void failed(struct digest_facts *f, const char *what, enum on_fail on)
{
    if (on != FAIL_PASS && (!f->failed || on == FAIL_DEFER)) {
        f->failed = what;
        f->on_failed = on;
    }
}

static void one_less(struct job *j)
{
    if (--j->open > 0)
        return;
    struct digest_facts *f = &j->m->facts.digests;
    const struct settings *set = j->d->set;
    if (f->pyzor.state == DIGEST_UNAVAILABLE)
        failed(f, "Pyzor does not answer", set->pyzor.on_error);
    if (f->dcc.state == DIGEST_UNAVAILABLE)
        failed(f, "DCC does not answer", set->dcc.on_error);
    if (f->razor.state == DIGEST_UNAVAILABLE)
        failed(f, "Razor does not answer", set->razor.on_error);
    digests_done *done = j->done;
    void *ctx = j->ctx;
    job_free(j);
    done(ctx);
}

static bool too_large(const struct message *m, uint64_t most, const char *setting,
                      char why[DIGEST_WHY_SIZE])
{
    if (m->raw.n > most)
        snprintf(why, DIGEST_WHY_SIZE, "the message is larger than %s", setting);
    return m->raw.n > most;
}

/* --- Pyzor --- */

/* One answer is enough; of servers that do not answer the last one is told when none does. */
static void on_pyzor(void *ctx, const struct pyzor_reply *r, const char *why)
{
    struct pyzor_open *o = ctx;
    struct pyzor_fact *f = &o->job->m->facts.digests.pyzor;
    o->ask = NULL;
    if (r && r->code == 200) {
        f->state = DIGEST_ANSWERED;
        f->count += r->count;
        f->welcome += r->welcome;
    } else if (f->state != DIGEST_ANSWERED) {
        f->state = DIGEST_UNAVAILABLE;
        snprintf(f->why, sizeof f->why, "%.60s: %.*s", o->server->at.text,
                 r ? (int)(r->why.n < 80 ? r->why.n : 80) : 80, r ? r->why.p : why);
    }
    one_less(o->job);
}

static void ask_pyzor(struct job *j)
{
    struct digests *d = j->d;
    struct pyzor_fact *f = &j->m->facts.digests.pyzor;
    if (!d->npyzor || too_large(j->m, d->set->pyzor.max_size, "pyzor.max_size", f->why))
        return;
    struct arena *scratch = arena_new(0);
    pyzor_digest(scratch, j->m->raw, f->digest);
    arena_free(scratch);
    if (pyzor_digest_empty(f->digest))
        return; /* a text that all messages without text share */
    j->pyzor = xcalloc(d->npyzor, sizeof *j->pyzor);
    for (size_t i = 0; i < d->npyzor; i++) {
        struct pyzor_question q = {.to = d->pyzor[i].at,
                                   .op = PYZOR_CHECK,
                                   .who = d->pyzor[i].who,
                                   .timeout = d->set->pyzor.timeout};
        memcpy(q.digest, f->digest, sizeof q.digest);
        j->pyzor[i] = (struct pyzor_open){.job = j, .server = &d->pyzor[i]};
        j->open++;
        j->pyzor[i].ask = pyzor_ask(d->loop, d->dns, &q, on_pyzor, &j->pyzor[i]);
    }
}

/* --- DCC --- */

static void on_dcc(void *ctx, struct span answer, const char *why)
{
    struct job *j = ctx;
    struct dcc_fact *f = &j->m->facts.digests.dcc;
    j->dcc = NULL;
    if (answer.p && dcc_answer(answer, f))
        f->state = DIGEST_ANSWERED;
    else
        f->state = DIGEST_UNAVAILABLE;
    if (why)
        snprintf(f->why, sizeof f->why, "%.60s: %s", j->d->dcc.text, why);
    one_less(j);
}

static void ask_dcc(struct job *j)
{
    struct digests *d = j->d;
    struct message *m = j->m;
    if (!d->has_dcc || m->raw.n == 0 ||
        too_large(m, d->set->dcc.max_size, "dcc.max_size", m->facts.digests.dcc.why))
        return;
    struct dcc_question q = {.to = d->dcc, .body = m->raw, .timeout = d->set->dcc.timeout};
    /* A file has been counted when it came as mail. */
    dcc_head(&q.head, d->set->dcc.query || !m->has_envelope ? DCC_QUERY : DCC_CHECK, &m->peer);
    j->open++;
    j->dcc = dcc_ask(d->loop, d->dns, &q, on_dcc, j);
}

/* --- Razor --- */

static void ask_razor(struct job *j);

static void on_servers(void *ctx, const struct razor_result *result)
{
    struct job *j = ctx;
    struct razor_servers *r = &j->d->razor;
    struct razor_fact *f = &j->m->facts.digests.razor;
    size_t n = 0;
    j->razor = NULL;
    for (size_t i = 0; i < result->n && n < RAZOR_SERVERS; i++) {
        char text[300];
        struct err e;
        bool port = span_find(result->list[i], ':') != SIZE_MAX;
        snprintf(text, sizeof text, port ? "%.*s" : "%.*s:2703", SPAN_ARG(result->list[i]));
        r->v[n].known = RAZOR_SERVER_DEFAULT;
        n += where_parse(text, &r->v[n].at, &e) == 0 && !r->v[n].at.path[0];
    }
    if (n) {
        r->n = n;
        r->first = 0;
        r->discovered = clock_mono();
        ask_razor(j);
    } else {
        f->state = DIGEST_UNAVAILABLE;
        snprintf(f->why, sizeof f->why, "%.60s: %s", r->discovery.text,
                 result->why ? result->why : "it names no servers");
    }
    one_less(j);
}

static void on_razor(void *ctx, const struct razor_result *result)
{
    struct job *j = ctx;
    struct razor_servers *r = &j->d->razor;
    struct razor_fact *f = &j->m->facts.digests.razor;
    j->razor = NULL;
    if (result->f) {
        *f = *result->f;
        r->first = j->razor_at < r->n ? j->razor_at : 0;
    } else {
        f->state = DIGEST_UNAVAILABLE;
        snprintf(f->why, sizeof f->why, "%.60s: %s",
                 j->razor_at < r->n ? r->v[j->razor_at].at.text : "", result->why);
        if (++j->razor_tried < r->n)
            ask_razor(j);
    }
    one_less(j);
}

static struct razor_question razor_question_of(const struct job *j, enum razor_op op)
{
    const struct razor_settings *s = &j->d->set->razor;
    return (struct razor_question){
        .op = op, .raw = j->m->raw, .min_cf = s->min_cf, .timeout = s->timeout};
}

/* The servers one after the other, each with its time, until one answers; when they have to be
 * found out (once a day), that first. */
static void ask_razor(struct job *j)
{
    enum { RETRIES = 2 };
    static const usec day = 24 * 3600 * USEC_PER_SEC;
    struct digests *d = j->d;
    struct razor_servers *r = &d->razor;
    if (j->razor_tried > RETRIES)
        return;
    j->open++;
    if (r->discovers && (!r->n || clock_mono() - r->discovered > day) && !j->razor_tried) {
        struct razor_question q = razor_question_of(j, RAZOR_DISCOVER);
        q.to = r->discovery;
        q.server = &r->discovery_known;
        j->razor = razor_ask(d->loop, d->dns, &q, on_servers, j);
        return;
    }
    struct razor_question q = razor_question_of(j, RAZOR_CHECK);
    j->razor_at = (r->first + j->razor_tried) % r->n;
    q.to = r->v[j->razor_at].at;
    q.server = &r->v[j->razor_at].known;
    j->razor = razor_ask(d->loop, d->dns, &q, on_razor, j);
}

void digests_ask(struct digests *d, struct message *m, digests_done *done, void *ctx)
{
    struct job *j = xcalloc(1, sizeof *j);
    *j = (struct job){.d = d, .m = m, .done = done, .ctx = ctx, .next = d->jobs, .open = 1};
    if (j->next)
        j->next->prev = j;
    d->jobs = j;
    m->facts.digests.dcc.body = m->facts.digests.dcc.fuz1 = m->facts.digests.dcc.fuz2 =
        m->facts.digests.dcc.reputation = -1;
    ask_pyzor(j);
    ask_dcc(j);
    struct razor_fact *razor = &m->facts.digests.razor;
    if (d->has_razor && m->raw.n &&
        !too_large(m, d->set->razor.max_size, "razor.max_size", razor->why))
        ask_razor(j);
    one_less(j);
}
