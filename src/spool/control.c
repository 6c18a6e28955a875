/* The operators' socket. A request is one line of JSON, the answer a stream of lines; the last one
 * is {"done":true,...} or {"error":"..."}.
 *
 *   {"command":"status"}
 *   {"command":"queue","action":"list","filter":{...}}               one line a message
 *   {"command":"queue","action":"show","id":ID,"message":bool}       or {"bytes":base64} lines
 *   {"command":"queue","action":"retry|hold|release|delete","filter":{...},"by":WHO}
 *   {"command":"quarantine","action":"release","id":ID,"recipients":[...],"by":WHO}
 *   {"command":"quarantine","action":"delete","ids":[...],"by":WHO}
 *   {"command":"reports","action":"dmarc|tls",...}                  reports.c
 *
 * Filters: spool/listing.h. An action on the queue wants a filter that restricts, or "all":true. */
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "spool/control_private.h"

enum { REQUEST_MAX = 1 << 20, ASKERS_MAX = 32 };
#define REQUEST_TIME ((usec)60 * USEC_PER_SEC)

/* --- answers --- */

void control_say(struct asker *o, json_t *v)
{
    char *text = json_dumps(v, JSON_COMPACT);
    json_decref(v);
    if (!text)
        return;
    stream_write(o->s, span_str(text));
    stream_write(o->s, SPAN("\n"));
    free(text);
}

void control_finish(struct asker *o, json_t *last)
{
    json_object_set_new(last, "done", json_true());
    control_say(o, last);
    stream_finish(o->s);
}

void control_refuse(struct asker *o, const char *why)
{
    json_t *v = json_object();
    json_object_set_new(v, "error", listing_string(span_str(why)));
    control_say(o, v);
    stream_finish(o->s);
}

const char *control_who(const struct asker *o)
{
    const char *by = json_string_value(json_object_get(o->request, "by"));
    return by ? by : "operator";
}

/* --- requests --- */

static void status(struct asker *o)
{
    struct queue_numbers q = queue_numbers(o->sp->queue);
    struct deliver_numbers d = deliver_numbers(o->sp->deliver);
    json_t *v = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:I,s:I,s:I,s:I,s:I,s:I}", "messages",
                          (json_int_t)q.messages, "live_bytes", (json_int_t)q.live_bytes,
                          "journal_bytes", (json_int_t)q.journal_bytes, "segments",
                          (json_int_t)q.segments, "commits", (json_int_t)q.commits, "stored",
                          (json_int_t)q.stored, "writable", queue_writable(o->sp->queue),
                          "delivered", (json_int_t)d.delivered, "deferred", (json_int_t)d.deferred,
                          "failed", (json_int_t)d.failed, "connections", (json_int_t)d.connections,
                          "destinations", (json_int_t)d.destinations, "down", (json_int_t)d.down);
    control_finish(o, v);
}

static void answer(struct asker *o, struct span line)
{
    json_error_t je;
    o->answering = true;
    o->request = json_loadb(line.p, line.n, 0, &je);
    const char *command = json_string_value(json_object_get(o->request, "command"));
    const char *action = json_string_value(json_object_get(o->request, "action"));
    if (!command)
        control_refuse(o, "a request is one JSON object with a command");
    else if (!o->sp->queue)
        control_refuse(o, o->sp->shut.text);
    else if (strcmp(command, "status") == 0)
        status(o);
    else if (strcmp(command, "queue") == 0 && action)
        control_queue(o, action);
    else if (strcmp(command, "quarantine") == 0 && action)
        control_quarantine(o, action);
    else if (strcmp(command, "reports") == 0 && action)
        control_reports(o, action);
    else
        control_refuse(o, "no such command");
}

/* --- connections --- */

void control_free(struct asker *o)
{
    if (o->arena)
        arena_free(o->arena);
    if (o->listing.scratch)
        arena_free(o->listing.scratch);
    json_decref(o->request);
    buf_free(&o->in);
    free(o->ids);
    free(o);
}

static size_t on_data(void *ctx, struct span bytes)
{
    struct asker *o = ctx;
    if (o->answering)
        return bytes.n;
    size_t end = span_find(bytes, '\n');
    buf_add(&o->in, span_sub(bytes, 0, end));
    if (end == SIZE_MAX && o->in.n <= REQUEST_MAX)
        return bytes.n;
    stream_deadline(o->s, 0);
    if (o->in.n > REQUEST_MAX) {
        o->answering = true;
        control_refuse(o, "the request is too long");
    } else {
        answer(o, buf_span(&o->in));
    }
    return bytes.n;
}

static void on_drain(void *ctx)
{
    control_go_on(ctx);
}

static void on_timeout(void *ctx)
{
    struct asker *o = ctx;
    stream_close(o->s);
}

static void on_close(void *ctx, const char *why)
{
    struct asker *o = ctx;
    (void)why;
    struct asker **at = &o->sp->askers;
    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    o->sp->naskers--;
    o->s = NULL;
    if (!o->releasing)
        control_free(o);
}

static const struct stream_events asker_events = {
    .on_data = on_data, .on_drain = on_drain, .on_timeout = on_timeout, .on_close = on_close};

static void on_accept(uv_poll_t *p, int status_, int events)
{
    struct spool *sp = p->data;
    (void)status_, (void)events;
    int fd = accept4(sp->control_socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (sp->naskers == ASKERS_MAX) {
        close(fd);
        return;
    }
    struct asker *o = xcalloc(1, sizeof *o);
    o->sp = sp;
    o->next = sp->askers;
    sp->askers = o;
    sp->naskers++;
    o->s = stream_from_fd(&sp->loop, fd, &asker_events, o);
    stream_deadline(o->s, REQUEST_TIME);
}

int control_start(struct spool *sp, int listening, struct err *e)
{
    sp->control_socket = listening;
    if (listening < 0)
        return 0;
    if (sodium_init() < 0)
        return err_set(e, "libsodium does not start");
    if (uv_poll_init(&sp->loop, &sp->accepting, listening) < 0)
        return err_set(e, "the control socket can't be watched");
    sp->accepting.data = sp;
    sp->listening = true;
    uv_poll_start(&sp->accepting, UV_READABLE, on_accept);
    return 0;
}

void control_stop(struct spool *sp)
{
    if (sp->listening)
        uv_close((uv_handle_t *)&sp->accepting, NULL);
    sp->listening = false;
    for (struct asker *o = sp->askers; o; o = o->next)
        if (o->s && !o->releasing)
            stream_close(o->s);
}
