/* A session of an MTA that asks a map of the policy script: map(name, key), answered in a scanner
 * (script.h). The MTA keeps the connection for its next questions. */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "door/judge.h"
#include "socketmap/session.h"

enum { IDLE_S = 2 * 3600 }; /* as milter sessions: MTAs keep connections for hours */

struct socketmap {
    struct socketmap *next, *prev;
    struct gate *gate;
    struct stream *stream;
    struct socketmap_session session;
    struct script_ask *ask;
    char id[ID_SIZE];
    usec opened;
    bool leaving;
    const char *ending;
};

static void host_send(void *ctx, struct span bytes)
{
    stream_write(((struct socketmap *)ctx)->stream, bytes);
}

static void host_close(void *ctx, const char *why)
{
    struct socketmap *c = ctx;
    c->ending = why;
    stream_close(c->stream);
}

static void answered(void *ctx, const struct script_result *r)
{
    struct socketmap *c = ctx;
    c->ask = NULL;
    enum socketmap_status status = r->code == SCRIPT_ANSWERED  ? SOCKETMAP_OK
                                   : r->code == SCRIPT_NOTHING ? SOCKETMAP_NOTFOUND
                                                               : SOCKETMAP_TEMP;
    socketmap_answer(&c->session, status, r->text);
    if (c->leaving) {
        stream_finish(c->stream);
        return;
    }
    stream_deadline(c->stream, IDLE_S * USEC_PER_SEC);
    stream_more(c->stream);
}

static void host_ask(void *ctx, struct span map, struct span key)
{
    struct socketmap *c = ctx;
    struct door *d = c->gate->door;
    if (!script_has(d, CALL_MAP)) {
        socketmap_answer(&c->session, SOCKETMAP_PERM, SPAN("the policy script has no map()"));
        return;
    }
    struct script_request r = {.call = CALL_MAP, .map = map, .to = key};
    memcpy(r.id, c->id, sizeof r.id);
    stream_deadline(c->stream, 0);
    c->ask = script_ask(d, &r, answered, c);
}

static const struct socketmap_host host = {host_send, host_ask, host_close};

static size_t on_data(void *ctx, struct span bytes)
{
    struct socketmap *c = ctx;
    return socketmap_input(&c->session, bytes);
}

static void on_timeout(void *ctx)
{
    host_close(ctx, "timeout");
}

static void on_close(void *ctx, const char *why)
{
    struct socketmap *c = ctx;
    struct door *d = c->gate->door;
    script_forget(c->ask);
    log_event(LOG_NOTE, c->id, "socketmap-session", F_STR("listener", c->gate->set->name),
              F_INT("questions", c->session.asked), F_STR("end", c->ending ? c->ending : why),
              F_INT("ms", (clock_mono() - c->opened) / 1000));
    *(c->prev ? &c->prev->next : &d->socketmaps) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    d->nconns--;
    free(c);
    door_conn_gone(d);
}

static const struct stream_events events = {
    .on_data = on_data, .on_timeout = on_timeout, .on_close = on_close};

void socketmap_open(struct gate *g, int fd)
{
    struct door *d = g->door;
    if (!judge_allows(g, fd) || d->nconns >= d->set->limits.sessions) {
        close(fd); /* the MTA's temporary error */
        return;
    }
    struct socketmap *c = xcalloc(1, sizeof *c);
    c->gate = g;
    c->opened = clock_mono();
    id_new(c->id);
    c->session = (struct socketmap_session){.host = &host, .ctx = c};
    c->next = d->socketmaps;
    if (c->next)
        c->next->prev = c;
    d->socketmaps = c;
    d->nconns++;
    c->stream = stream_from_fd(&d->loop, fd, &events, c);
    stream_deadline(c->stream, IDLE_S * USEC_PER_SEC);
}

void socketmaps_leave(struct door *d)
{
    for (struct socketmap *c = d->socketmaps, *next; c; c = next) {
        next = c->next;
        c->leaving = true;
        if (!c->ask)
            stream_finish(c->stream);
    }
}
