/* The engines in order of preference, and the messages waiting for them.
 *
 * An engine is asked while it is up, or when its back-off is over. One that fails a conversation is
 * down: messages go to the next one, and a probe (VERSION) each probe_interval finds out when it is
 * back. When all are down, each is tried again after a back-off that doubles up to probe_interval;
 * a message that finds none to ask is in error at once, and policy decides.
 *
 * A message's scan_timeout covers all its tries: with several engines left, one gets its share of
 * what is left of the time. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "virus/clamd_private.h"
#include "virus/virus.h"

/* Conversations at a time for one scanner process (clamd serves 10 by default, and queues 100), and
 * the first back-off. */
enum { SCANS_MAX = 10, BACKOFF_FIRST_MS = 200, ENGINE_TEXT_MAX = 80 };

struct engine {
    struct virus_pool *pool;
    char *name; /* as configured, or "embedded" */
    struct clamd_address address;
    bool usable; /* the address could be made out */
    bool down, embedded, no_fildes;
    usec backoff, retry_at; /* monotonic */
    char version[ENGINE_TEXT_MAX];
    struct exchange *probe;
};

struct scan {
    struct virus_pool *pool;
    struct scan *next, *prev;
    struct message *m;
    struct span raw; /* of the message, which may show other bytes while rules run */
    int fd;          /* our own duplicate, or -1 */
    virus_done *done;
    void *ctx;
    usec started, deadline;
    usec until;    /* no later than this; 0: virus.scan_timeout alone counts */
    size_t engine; /* being asked */
    bool fildes;
    struct exchange *exchange;
    struct buf why; /* what went wrong so far */
};

struct virus_pool {
    uv_loop_t *loop;
    const struct virus_settings *set;
    struct engine *engines;
    size_t n;
    struct scan *active, *waiting, **waiting_end;
    size_t nactive;
    bool pumping;
    uv_timer_t *timer; /* frees itself when closed */
};

/* --- engines --- */

static void went_down(struct engine *g, const char *why)
{
    usec most = g->pool->set->probe_interval;
    g->backoff = g->down ? g->backoff * 2 : BACKOFF_FIRST_MS * 1000;
    if (g->backoff > most)
        g->backoff = most;
    g->retry_at = clock_mono() + g->backoff;
    if (!g->down)
        log_event(LOG_WARN, NULL, "virus-engine-down", F_STR("engine", g->name), F_STR("why", why));
    g->down = true;
}

static void came_up(struct engine *g)
{
    if (g->down)
        log_event(LOG_NOTE, NULL, "virus-engine-up", F_STR("engine", g->name),
                  F_STR("version", g->version));
    g->down = false;
}

static void probed(void *ctx, const char *failure, struct span answer)
{
    struct engine *g = ctx;
    g->probe = NULL;
    struct span version = failure ? SPAN_NONE : clamd_version_parse(answer);
    if (!version.p) {
        went_down(g, failure ? failure : "it does not answer as clamd does");
        return;
    }
    char now[ENGINE_TEXT_MAX];
    size_t n = version.n < sizeof now ? version.n : sizeof now - 1;
    memcpy(now, version.p, n);
    now[n] = '\0';
    if (g->version[0] && strcmp(g->version, now) != 0)
        log_event(LOG_NOTE, NULL, "virus-signatures", F_STR("engine", g->name),
                  F_STR("was", g->version), F_STR("is", now));
    memcpy(g->version, now, sizeof now);
    came_up(g);
}

static void probe(struct engine *g)
{
    if (g->probe || !g->usable)
        return;
    struct exchange_request r = {.to = &g->address,
                                 .command = SPAN("zVERSION\0"),
                                 .fd = -1,
                                 .connect_timeout = g->pool->set->connect_timeout,
                                 .timeout = g->pool->set->connect_timeout};
    g->probe = exchange_start(g->pool->loop, &r, probed, g);
}

static void probe_all(uv_timer_t *timer)
{
    struct virus_pool *p = timer->data;
    for (size_t i = 0; i < p->n; i++)
        probe(&p->engines[i]);
}

static void add_engine(struct virus_pool *p, const char *address, bool embedded)
{
    struct engine *g = &p->engines[p->n++];
    struct err e;
    *g = (struct engine){.pool = p, .name = xstrdup(address), .embedded = embedded};
    g->usable = clamd_address_parse(address, &g->address, &e) == 0;
    if (!g->usable) {
        g->down = true;
        log_event(LOG_FAULT, NULL, "virus-engine-unusable", F_STR("why", e.text));
    }
}

struct virus_pool *virus_pool_new(uv_loop_t *loop, const struct virus_settings *s,
                                  const char *embedded_socket)
{
    struct virus_pool *p = xcalloc(1, sizeof *p);
    *p = (struct virus_pool){.loop = loop, .set = s};
    p->waiting_end = &p->waiting;
    p->engines = xcalloc(s->clamd.n + 1, sizeof *p->engines);
    for (size_t i = 0; i < s->clamd.n; i++)
        add_engine(p, s->clamd.v[i], false);
    if (embedded_socket)
        add_engine(p, embedded_socket, true);
    p->timer = xcalloc(1, sizeof *p->timer);
    uv_timer_init(loop, p->timer);
    p->timer->data = p;
    uv_timer_start(p->timer, probe_all, 0, (uint64_t)s->probe_interval / 1000 + 1);
    uv_unref((uv_handle_t *)p->timer);
    return p;
}

static void free_handle(uv_handle_t *h)
{
    free(h);
}

/* --- scans --- */

static void leave_list(struct scan *s)
{
    struct virus_pool *p = s->pool;
    if (s->prev)
        s->prev->next = s->next;
    else
        p->active = s->next;
    if (s->next)
        s->next->prev = s->prev;
    p->nactive--;
}

static void pump(struct virus_pool *p);

/* The last thing that happens to a scan. */
static void finish(struct scan *s, enum virus_state state, struct span text)
{
    struct virus_pool *p = s->pool;
    struct message *m = s->m;
    struct virus_facts *f = &m->facts.virus;
    const struct engine *g = s->engine < p->n ? &p->engines[s->engine] : NULL;
    f->state = state;
    if (state == VIRUS_FOUND)
        f->name = arena_dup(m->arena, text);
    else if (text.p)
        f->detail = arena_dup(m->arena, text);
    if (g)
        f->engine = arena_printf(m->arena, "%s%s%s", g->embedded ? "libclamav" : "clamd",
                                 g->version[0] ? " " : "", g->version);
    if (s->started)
        facts_add(&m->facts, m->arena, "virus.micros",
                  arena_printf(m->arena, "%lld", (long long)(clock_mono() - s->started)));
    virus_done *done = s->done;
    void *ctx = s->ctx;
    leave_list(s);
    if (s->fd >= 0)
        close(s->fd);
    buf_free(&s->why);
    free(s);
    done(ctx, m);
    pump(p);
}

static bool askable(const struct engine *g, usec now)
{
    return g->usable && (!g->down || now >= g->retry_at);
}

static void try_from(struct scan *s, size_t first);

static void note_failure(struct scan *s, const struct engine *g, struct span why)
{
    buf_printf(&s->why, "%s%s: %.*s", s->why.n ? "; " : "", g->name, SPAN_ARG(why));
    log_event(LOG_WARN, s->m->id, "virus-scan-failed", F_STR("engine", g->name),
              F_SPAN("why", why));
}

static void ask(struct scan *s);

static void answered(void *ctx, const char *failure, struct span answer)
{
    struct scan *s = ctx;
    struct engine *g = &s->pool->engines[s->engine];
    s->exchange = NULL;
    if (failure) {
        went_down(g, failure);
        note_failure(s, g, span_str(failure));
        try_from(s, s->engine + 1);
        return;
    }
    came_up(g);
    struct clamd_answer a = clamd_answer_parse(answer, !s->fildes);
    switch (a.verdict) {
    case CLAMD_OK:
        finish(s, VIRUS_CLEAN, SPAN_NONE);
        return;
    case CLAMD_FOUND:
        finish(s, VIRUS_FOUND, a.text);
        return;
    case CLAMD_ENCRYPTED:
        finish(s, VIRUS_ENCRYPTED, a.text);
        return;
    case CLAMD_LIMIT:
        finish(s, VIRUS_TOO_LARGE, a.text);
        return;
    case CLAMD_NO_FD:
        if (s->fildes) {
            g->no_fildes = true; /* a confined clamd may be forbidden to take descriptors */
            ask(s);
            return;
        }
        break;
    case CLAMD_ERROR:
        break;
    }
    note_failure(s, g, a.text.n ? a.text : SPAN("an empty answer"));
    try_from(s, s->engine + 1);
}

static size_t engines_left(const struct scan *s, usec now)
{
    size_t n = 0;
    for (size_t i = s->engine; i < s->pool->n; i++)
        n += askable(&s->pool->engines[i], now);
    return n ? n : 1;
}

static void ask(struct scan *s)
{
    const struct virus_settings *set = s->pool->set;
    struct engine *g = &s->pool->engines[s->engine];
    usec now = clock_mono(), left = s->deadline > now ? s->deadline - now : 1;
    s->fildes = g->address.is_unix && s->fd >= 0 && !g->no_fildes;
    struct exchange_request r = {
        .to = &g->address,
        .command = s->fildes ? SPAN("zFILDES\0") : SPAN("zINSTREAM\0"),
        .fd = s->fildes ? s->fd : -1,
        .stream = s->fildes ? SPAN_NONE : s->raw,
        .connect_timeout = set->connect_timeout,
        .timeout = left / (usec)engines_left(s, now),
    };
    s->exchange = exchange_start(s->pool->loop, &r, answered, s);
}

static void try_from(struct scan *s, size_t first)
{
    struct virus_pool *p = s->pool;
    usec now = clock_mono();
    for (s->engine = first; s->engine < p->n && now < s->deadline; s->engine++) {
        if (askable(&p->engines[s->engine], now)) {
            ask(s);
            return;
        }
    }
    s->engine = p->n;
    if (s->why.n == 0)
        buf_str(&s->why, "all engines are down");
    finish(s, VIRUS_ERROR, buf_span(&s->why));
}

static void start(struct scan *s)
{
    struct virus_pool *p = s->pool;
    s->prev = NULL;
    s->next = p->active;
    if (s->next)
        s->next->prev = s;
    p->active = s;
    p->nactive++;
    s->started = clock_mono();
    s->deadline = s->started + p->set->scan_timeout;
    if (s->until && s->until < s->deadline)
        s->deadline = s->until;
    try_from(s, 0);
}

/* Starts what waits. One level deep only, however many of them end at once. */
static void pump(struct virus_pool *p)
{
    if (p->pumping)
        return;
    p->pumping = true;
    while (p->waiting && p->nactive < SCANS_MAX) {
        struct scan *s = p->waiting;
        p->waiting = s->next;
        if (!p->waiting)
            p->waiting_end = &p->waiting;
        start(s);
    }
    p->pumping = false;
}

static void scan(struct virus_pool *p, struct message *m, int fd, usec until, virus_done *done,
                 void *ctx)
{
    if (p->n == 0 || m->raw.n > p->set->max_size) {
        m->facts.virus.state = p->n ? VIRUS_TOO_LARGE : VIRUS_NO_ENGINE;
        m->facts.virus.detail =
            p->n ? arena_printf(m->arena, "%zu bytes, virus.max_size is %llu", m->raw.n,
                                (unsigned long long)p->set->max_size)
                 : SPAN("no clamd is configured and the embedded engine does not run");
        done(ctx, m);
        return;
    }
    struct scan *s = xcalloc(1, sizeof *s);
    *s = (struct scan){.pool = p, .m = m, .raw = m->raw, .until = until, .done = done, .ctx = ctx};
    if (!s->raw.p)
        s->raw = SPAN("");
    s->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    *p->waiting_end = s;
    p->waiting_end = &s->next;
    pump(p);
}

void virus_scan(struct virus_pool *p, struct message *m, int fd, virus_done *done, void *ctx)
{
    scan(p, m, fd, 0, done, ctx);
}

void virus_scan_until(struct virus_pool *p, struct message *m, usec until, virus_done *done,
                      void *ctx)
{
    scan(p, m, -1, until, done, ctx);
}

void virus_pool_free(struct virus_pool *p)
{
    if (!p)
        return;
    p->pumping = true;
    while (p->waiting) {
        struct scan *s = p->waiting;
        p->waiting = s->next;
        s->prev = NULL;
        s->next = p->active;
        if (s->next)
            s->next->prev = s;
        p->active = s;
        p->nactive++;
    }
    while (p->active) {
        struct scan *s = p->active;
        if (s->exchange)
            exchange_cancel(s->exchange);
        s->engine = p->n;
        finish(s, VIRUS_ERROR, SPAN("the gateway is shutting down"));
    }
    for (size_t i = 0; i < p->n; i++) {
        if (p->engines[i].probe)
            exchange_cancel(p->engines[i].probe);
        free(p->engines[i].name);
    }
    uv_close((uv_handle_t *)p->timer, free_handle);
    free(p->engines);
    free(p);
}
