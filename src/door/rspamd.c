/* rspamd's HTTP: /checkv2 and its kin. The library is libmicrohttpd, one daemon a listener, driven
 * from the door's own loop: it waits in an epoll descriptor that the loop polls, and connections
 * are accepted here. No thread of its own, because the door's state belongs to one thread; a
 * request whose message is being judged is suspended and resumed with the answer. TLS is ours
 * (tunnel.h), as at every listener. */
#include <errno.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "door/httpcrypt.h"
#include "door/judge.h"
#include "door/tunnel.h"
#include "learn/store.h"
#include "rspamd/reply.h"
#include "rspamd/request.h"
#include "rspamd/unpack.h"

enum {
    HTTP_MEMORY = 256 * 1024, /* of one connection: request line, header fields, buffers */
    HTTP_IDLE_S = 20
};

/* A connection that has not said yet which protocol it speaks. */
struct newcomer {
    struct newcomer *next;
    struct http *http;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned handles;
    int fd;
};

struct http {
    struct gate *gate;
    struct newcomer *newcomers;
    struct MHD_Daemon *mhd;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned handles;
    uint64_t in_work;
    bool leaving, running, again;
};

/* One request; the library keeps it for us. */
struct http_ask {
    struct judge judge;
    struct http *http;
    struct MHD_Connection *connection;
    enum rspamd_command command;
    struct unpack *unpack;    /* the message is compressed */
    struct httpcrypt *sealed; /* it came in HTTPCrypt; NULL: it did not */
    const struct sealed_request *inner;
    struct buf body;
    unsigned status; /* of the answer in body; 0: none yet */
    bool suspended, opened, run;
};

static struct http_ask *of_judge(struct judge *j)
{
    return (struct http_ask *)((char *)j - offsetof(struct http_ask, judge));
}

/* ---- the library's work ---- */

static void stop_now(struct http *h);

static void on_timer(uv_timer_t *t);

/* It may not be entered from within itself: an answer that comes while it runs waits a turn. */
static void work(struct http *h)
{
    MHD_UNSIGNED_LONG_LONG ms;
    if (!h->mhd || h->running) {
        h->again = h->running;
        return;
    }
    h->running = true;
    do {
        h->again = false;
        MHD_run(h->mhd);
    } while (h->again);
    h->running = false;
    if (h->leaving && h->in_work == 0)
        stop_now(h);
    else if (MHD_get_timeout(h->mhd, &ms) == MHD_YES)
        uv_timer_start(&h->timer, on_timer, ms, 0);
    else
        uv_timer_stop(&h->timer);
}

static void on_timer(uv_timer_t *t)
{
    work(t->data);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
    (void)status, (void)events;
    work(p->data);
}

/* ---- answers ---- */

/* The answer becomes the body of another one, which says nothing. */
static void seal_answer(struct http_ask *q, const char **type)
{
    struct buf sealed = {0};
    if (!q->sealed)
        return;
    httpcrypt_reply(q->sealed, &sealed, q->status, *type, buf_span(&q->body));
    buf_free(&q->body);
    q->body = sealed;
    q->status = MHD_HTTP_OK;
    *type = "application/octet-stream";
}

static enum MHD_Result send_answer(struct http_ask *q)
{
    const char *type = q->command == RSPAMD_PING ? "text/plain" : "application/json";
    seal_answer(q, &type);
    struct MHD_Response *r =
        MHD_create_response_from_buffer(q->body.n, q->body.p, MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, "Content-Type", type);
    MHD_add_response_header(r, "Server", "rspamd/3.4 (gatehouse)");
    if (q->http->leaving)
        MHD_add_response_header(r, "Connection", "close");
    enum MHD_Result rc = MHD_queue_response(q->connection, q->status, r);
    MHD_destroy_response(r);
    return rc;
}

static void refuse(struct http_ask *q, unsigned status, const char *why)
{
    buf_clear(&q->body);
    rspamd_error(&q->body, span_str(why));
    q->status = status;
}

/* The gateway's header edits in rspamd's words: what is removed by name, what is added on top, and
 * the subject. */
static struct rspamd_header *header_edits(struct judge *j, struct span raw, size_t *n,
                                          struct span *subject)
{
    const struct scan_result *r = &j->txn->result;
    return judge_headers(j->txn->arena, raw, &r->groups[r->answer.group].edits, n, subject);
}

static struct rspamd_symbol *symbols(const struct judge *j)
{
    const struct scan_answer *a = &j->txn->result.answer;
    struct rspamd_symbol *v = arena_array(j->txn->arena, a->nhits, sizeof *v);
    for (size_t i = 0; i < a->nhits; i++)
        v[i] = (struct rspamd_symbol){.name = a->hits[i].name,
                                      .description = a->hits[i].describe,
                                      .option = a->hits[i].evidence,
                                      .score = a->hits[i].score};
    return v;
}

static void tell_verdict(struct http_ask *q)
{
    struct judge *j = &q->judge;
    const struct scan_result *r = &j->txn->result;
    struct span raw = judge_map(j), subject = SPAN_NONE;
    struct rspamd_reply reply = {
        .score = r->answer.score,
        .required = r->answer.required,
        .reject = j->gate->door->set->rules.reject_score,
        .action = judge_action(j),
        .message_id = r->message_id,
        .id = span_of(j->txn->req.id, ID_LEN),
        .symbols = symbols(j),
        .nsymbols = r->answer.nhits,
        .seconds = (double)r->micros / 1e6,
    };
    reply.headers = header_edits(j, raw, &reply.nheaders, &subject);
    judge_unmap(raw);
    if (subject.p) {
        reply.subject = subject;
        if (judge_outcome(j) == OUT_TAG)
            reply.action = "rewrite subject";
    }
    buf_clear(&q->body);
    rspamd_reply(&q->body, &reply);
    q->status = MHD_HTTP_OK;
}

/* rspamd's codes: 208 for a message that is known already. */
static void tell_learned(struct http_ask *q)
{
    const struct judge *j = &q->judge;
    unsigned taught = judge_taught(j);
    if (taught & TAUGHT_KNOWN) {
        const char *as = q->command == RSPAMD_LEARN_SPAM ? "spam" : "ham";
        struct span why =
            arena_printf(j->txn->arena, "<%.*s> has been already learned as %s, ignore it",
                         SPAN_ARG(span_of(j->txn->req.id, ID_LEN)), as);
        refuse(q, MHD_HTTP_ALREADY_REPORTED, why.p);
    } else if (taught & TAUGHT_LOCAL) {
        buf_clear(&q->body);
        buf_str(&q->body, "{\"success\":true}");
        q->status = MHD_HTTP_OK;
    } else if (taught & TAUGHT_FAILED) {
        refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "it can't be learned now");
    } else {
        refuse(q, MHD_HTTP_NOT_IMPLEMENTED, "nothing learns: the rule files do not want Bayes");
    }
}

static void answered(struct judge *j, const char *why_not)
{
    struct http_ask *q = of_judge(j);
    if (why_not)
        refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, why_not);
    else if (q->command != RSPAMD_CHECK)
        tell_learned(q);
    else
        tell_verdict(q);
    if (!q->suspended)
        return;
    q->suspended = false;
    MHD_resume_connection(q->connection);
    work(q->http);
}

/* What stands around a sealed request does not count: anybody on the way could have put it there.
 */
static const char *field_of(const struct http_ask *q, const char *name)
{
    if (!q->inner)
        return MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, name);
    for (size_t i = 0; i < q->inner->nfields; i++)
        if (span_ieq(span_str(q->inner->fields[i].name), span_str(name)))
            return q->inner->fields[i].value;
    return NULL;
}

static bool password_fits(const struct http_ask *q)
{
    const char *want = q->http->gate->set->password;
    const char *got = field_of(q, "Password");
    size_t n = want ? strlen(want) : 0;
    return !want || (got && strlen(got) == n && CRYPTO_memcmp(got, want, n) == 0);
}

/* Who knows the password may; without one, whom the listener lets teach. */
static bool may_teach(const struct http_ask *q)
{
    const struct listener *set = q->http->gate->set;
    return set->password ? password_fits(q) : set->allow_tell;
}

/* The site's; nothing while nobody has learned anything. Opened for the question alone: it is rare.
 */
static struct learn_counts learned_counts(const struct settings *set)
{
    struct learn_counts n = {0};
    char *path = xasprintf("%s/bayes.mdb", set->paths.state);
    struct learn_store *s = learn_open(path, set->learn.size, LEARN_PEEK, NULL);
    if (s)
        learn_counts(s, SPAN(""), &n);
    learn_close(s);
    free(path);
    return n;
}

static void tell_counts(struct http_ask *q)
{
    const struct door *d = q->http->gate->door;
    const struct judge_counts *n = &d->judged;
    const struct learn_counts learned = learned_counts(d->set);
    const struct rspamd_stat s = {
        .spam_learned = learned.spam,
        .ham_learned = learned.ham,
        .tokens = learned.tokens,
        .learns = may_teach(q),
        .scanned = n->scanned,
        .spam = n->spam,
        .connections = d->nconns,
        .uptime = (uint64_t)((clock_mono() - n->since) / USEC_PER_SEC),
        .reject = n->actions[OUT_REJECT],
        .soft_reject = n->actions[OUT_DEFER] + n->failed,
        .add_header = n->actions[OUT_TAG] + n->actions[OUT_CLEAN],
        .no_action = n->actions[OUT_ACCEPT],
        .quarantine = n->actions[OUT_HOLD],
        .discard = n->actions[OUT_DISCARD],
    };
    rspamd_stat(&q->body, &s);
    q->status = MHD_HTTP_OK;
}

/* ---- questions ---- */

struct fields {
    struct rspamd_request *r;
    struct arena *a;
};

static enum MHD_Result take_field(void *ctx, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct fields *f = ctx;
    (void)kind;
    if (name && value)
        rspamd_field(f->r, f->a, span_str(name), span_str(value));
    return MHD_YES;
}

static void take_fields(const struct http_ask *q, struct fields *f)
{
    if (!q->inner)
        MHD_get_connection_values(q->connection, MHD_HEADER_KIND, take_field, f);
    for (size_t i = 0; q->inner && i < q->inner->nfields; i++)
        take_field(f, MHD_HEADER_KIND, q->inner->fields[i].name, q->inner->fields[i].value);
}

/* rspamd's way to say it; Content-Encoding is no word of its protocol. */
static bool compression_known(struct http_ask *q)
{
    const char *how = field_of(q, "Compression");
    if (!how)
        return true;
    if (!span_ieq(span_str(how), SPAN("zstd")) || field_of(q, "Dictionary"))
        return false;
    q->unpack = unpack_new();
    return q->unpack;
}

static void begin_message(struct http_ask *q)
{
    struct judge *j = &q->judge;
    const char *length = field_of(q, "Content-Length");
    uint64_t n = 0;
    if (length && span_u64(span_str(length), &n) &&
        n > q->http->gate->door->set->limits.message_size) {
        refuse(q, MHD_HTTP_CONTENT_TOO_LARGE, "the message is too large");
        return;
    }
    if (!compression_known(q)) {
        refuse(q, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
               "of compressions zstd is known, without dictionary");
        return;
    }
    q->opened = judge_open(j, q->http->gate, WANT_HITS | SCAN_STAMPED, "RSPAMD");
    if (!q->opened) {
        refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "no room for a message");
        return;
    }
    struct rspamd_request r = {0};
    struct fields f = {&r, j->txn->arena};
    take_fields(q, &f);
    judge_envelope(j->txn, &r);
    if (q->command != RSPAMD_CHECK)
        judge_teaches(j, q->command == RSPAMD_LEARN_SPAM ? TEACH_SPAM : TEACH_HAM);
}

static void begin(struct http_ask *q, const char *path, const char *method)
{
    bool post = strcmp(method, "POST") == 0;
    q->command = rspamd_command(span_str(path));
    switch (q->command) {
    case RSPAMD_PING:
        buf_str(&q->body, "pong\r\n");
        q->status = MHD_HTTP_OK;
        break;
    case RSPAMD_STAT:
        if (password_fits(q))
            tell_counts(q);
        else
            refuse(q, MHD_HTTP_FORBIDDEN, "Unauthorized");
        break;
    case RSPAMD_LEARN_SPAM:
    case RSPAMD_LEARN_HAM:
        if (!may_teach(q)) {
            refuse(q, MHD_HTTP_FORBIDDEN, "Unauthorized");
            break;
        }
        /* fall through */
    case RSPAMD_CHECK:
        if (post)
            begin_message(q);
        else
            refuse(q, MHD_HTTP_BAD_REQUEST, "a message is expected: POST it");
        break;
    case RSPAMD_UNKNOWN:
        refuse(q, MHD_HTTP_NOT_FOUND, "invalid command");
        break;
    }
}

static bool take_content(void *ctx, struct span bytes)
{
    struct http_ask *q = ctx;
    bool fits = q->judge.txn->size + bytes.n <= q->http->gate->door->set->limits.message_size;
    if (fits)
        judge_content(&q->judge, bytes);
    else
        refuse(q, MHD_HTTP_CONTENT_TOO_LARGE, "the message is too large");
    return fits;
}

static void take_body(struct http_ask *q, struct span bytes)
{
    if (q->sealed && !q->inner && !q->status && !httpcrypt_add(q->sealed, bytes))
        refuse(q, MHD_HTTP_CONTENT_TOO_LARGE, "the message is too large");
    if (q->status || !q->opened)
        return; /* refused already: the rest is dropped */
    if (!q->unpack)
        take_content(q, bytes);
    else if (!unpack_feed(q->unpack, bytes, take_content, q) && !q->status)
        refuse(q, MHD_HTTP_BAD_REQUEST, "what is said to be zstd is not");
}

/* ---- HTTPCrypt ---- */

static void begin_sealed(struct http_ask *q, const char *field)
{
    q->sealed = httpcrypt_new(q->http->gate, field);
    if (!q->sealed)
        refuse(q, MHD_HTTP_BAD_REQUEST, "it is sealed with another key");
}

/* All of it is there: the request proper begins. */
static void unseal(struct http_ask *q)
{
    q->inner = httpcrypt_open(q->sealed);
    if (!q->inner) { /* whoever has sent it could not open an answer either */
        httpcrypt_free(q->sealed);
        q->sealed = NULL;
        refuse(q, MHD_HTTP_BAD_REQUEST, "it was not sealed with the key that it names");
        return;
    }
    begin(q, q->inner->path, q->inner->method);
    if (q->inner->body.n)
        take_body(q, q->inner->body);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *nupload, void **own)
{
    struct http *h = ctx;
    struct http_ask *q = *own;
    (void)version;
    if (!q) {
        q = xcalloc(1, sizeof *q);
        q->http = h;
        q->connection = connection;
        q->judge.gate = h->gate;
        q->judge.answered = answered;
        id_new(q->judge.session);
        h->in_work++;
        *own = q;
        const char *sealed = h->gate->nsealed ? field_of(q, "Key") : NULL;
        if (sealed)
            begin_sealed(q, sealed);
        else
            begin(q, path, method);
        /* An answer before the body closes the connection, which is right for one too large. */
        return q->status == MHD_HTTP_CONTENT_TOO_LARGE ? send_answer(q) : MHD_YES;
    }
    if (*nupload > 0) {
        take_body(q, span_of(upload, *nupload));
        *nupload = 0;
        return MHD_YES;
    }
    if (!q->status && q->sealed && !q->inner)
        unseal(q);
    if (!q->status && q->unpack && !unpack_done(q->unpack))
        refuse(q, MHD_HTTP_BAD_REQUEST, "the compressed message is cut off");
    if (!q->status && !q->run) {
        q->run = true;
        judge_run(&q->judge);
        if (!q->status) {
            q->suspended = true;
            MHD_suspend_connection(connection);
            return MHD_YES;
        }
    }
    return send_answer(q);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **own,
                         enum MHD_RequestTerminationCode code)
{
    struct http *h = ctx;
    struct http_ask *q = *own;
    (void)connection, (void)code;
    if (!q)
        return;
    judge_close(&q->judge);
    buf_free(&q->body);
    unpack_free(q->unpack);
    httpcrypt_free(q->sealed);
    free(q);
    *own = NULL;
    h->in_work--;
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **own,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *h = ctx;
    (void)connection, (void)own;
    h->gate->door->nconns += code == MHD_CONNECTION_NOTIFY_STARTED ? 1 : (uint64_t)-1;
}

/* ---- the listener ---- */

static void on_library_log(void *ctx, const char *format, va_list args)
{
    (void)ctx, (void)format, (void)args; /* what strangers do wrong is no event of ours */
}

void rspamd_start(struct gate *g)
{
    struct door *d = g->door;
    struct http *h = xcalloc(1, sizeof *h);
    h->gate = g;
    httpcrypt_tell(g);
    h->mhd = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)HTTP_IDLE_S, MHD_OPTION_CONNECTION_LIMIT, (unsigned)d->set->limits.sessions,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        h, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        h->mhd ? MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info || uv_poll_init(&d->loop, &h->poll, info->epoll_fd) != 0) {
        log_event(LOG_FAULT, NULL, "no-http", F_STR("listener", g->set->name));
        if (h->mhd)
            MHD_stop_daemon(h->mhd);
        free(h);
        return;
    }
    uv_timer_init(&d->loop, &h->timer);
    h->poll.data = h->timer.data = h;
    h->handles = 2;
    uv_poll_start(&h->poll, UV_READABLE, on_poll);
    g->http = h;
}

static void newcomer_closed(uv_handle_t *handle)
{
    struct newcomer *v = handle->data;
    if (--v->handles == 0)
        free(v);
}

/* Returns its descriptor. */
static int newcomer_end(struct newcomer *v)
{
    struct newcomer **at = &v->http->newcomers;
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    v->http->gate->door->nconns--;
    uv_poll_stop(&v->poll);
    uv_close((uv_handle_t *)&v->poll, newcomer_closed);
    uv_close((uv_handle_t *)&v->timer, newcomer_closed);
    return v->fd;
}

static void newcomer_late(uv_timer_t *t)
{
    close(newcomer_end(t->data));
}

/* Exim's variant=rspamd says "CHECK RSPAMC/1.3"; no method of HTTP that is of use here begins so.
 */
static void newcomer_speaks(uv_poll_t *p, int status, int events)
{
    struct newcomer *v = p->data;
    struct http *h = v->http;
    struct gate *g = h->gate;
    struct sockaddr_storage from = {0};
    socklen_t n = sizeof from;
    char first;
    (void)status, (void)events;
    int fd = newcomer_end(v);
    if (recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1 ||
        getpeername(fd, (struct sockaddr *)&from, &n) != 0) {
        close(fd);
        door_conn_gone(g->door);
    } else if (first == 'C' || first == 'S' || first == 'R') {
        spamd_open(g, fd);
    } else {
        MHD_add_connection(h->mhd, fd, (struct sockaddr *)&from, n); /* closes it when it fails */
        work(h);
    }
}

/* The library sees no peer: nothing asks it for one. */
static void in_plain_text(struct gate *g, int fd)
{
    static const struct sockaddr_storage none = {.ss_family = AF_UNIX};
    struct http *h = g->http;
    if (!h || !h->mhd || h->leaving) {
        close(fd);
        return;
    }
    MHD_add_connection(h->mhd, fd, (const struct sockaddr *)&none, sizeof(sa_family_t));
    work(h);
}

void rspamd_open(struct gate *g, int fd)
{
    struct http *h = g->http;
    if (!h || !h->mhd || h->leaving || g->door->nconns >= g->door->set->limits.sessions ||
        !judge_allows(g, fd)) {
        close(fd);
        return;
    }
    if (g->set->tls == TLS_MODE_IMPLICIT) {
        tunnel_open(g, fd, in_plain_text);
        return;
    }
    struct newcomer *v = xcalloc(1, sizeof *v);
    v->http = h;
    v->fd = fd;
    v->next = h->newcomers;
    h->newcomers = v;
    g->door->nconns++;
    uv_poll_init(&g->door->loop, &v->poll, fd);
    uv_timer_init(&g->door->loop, &v->timer);
    v->handles = 2;
    v->poll.data = v->timer.data = v;
    uv_poll_start(&v->poll, UV_READABLE, newcomer_speaks);
    uv_timer_start(&v->timer, newcomer_late, HTTP_IDLE_S * 1000, 0);
}

static void handle_closed(uv_handle_t *handle)
{
    struct http *h = handle->data;
    if (--h->handles == 0)
        free(h);
}

/* No request is in work: what is left are connections that idle. */
static void stop_now(struct http *h)
{
    struct door *d = h->gate->door;
    if (!h->mhd)
        return;
    h->gate->http = NULL;
    uv_poll_stop(&h->poll);
    uv_close((uv_handle_t *)&h->poll, handle_closed);
    uv_close((uv_handle_t *)&h->timer, handle_closed);
    struct MHD_Daemon *mhd = h->mhd;
    h->mhd = NULL;
    MHD_stop_daemon(mhd);
    door_conn_gone(d);
}

void rspamd_leave(struct gate *g)
{
    struct http *h = g->http;
    if (!h)
        return;
    h->leaving = true;
    while (h->newcomers)
        close(newcomer_end(h->newcomers));
    work(h);
}
