/* The operators' socket. A request is one line of JSON, the answer a stream of lines; the last one
 * is
 * {"done":true,...} or {"error":"..."}.
 *
 *   {"command":"status"}
 *   {"command":"queue","action":"list","filter":{...}}               one line a message
 *   {"command":"queue","action":"show","id":ID,"message":bool}       message: lines
 * {"bytes":base64}
 *   {"command":"queue","action":"retry|hold|release|delete","filter":{...},"by":WHO}
 *   {"command":"quarantine","action":"release","id":ID,"recipients":[...],"by":WHO}
 *   {"command":"quarantine","action":"delete","ids":[...],"by":WHO}
 *
 * Filters: spool/listing.h. An action on the queue wants a filter that restricts, or "all":true. */
#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "loop/stream.h"
#include "spool/listing.h"
#include "spool/spool_private.h"

enum { REQUEST_MAX = 1 << 20, OPERATORS_MAX = 32, ROWS_A_STEP = 200, BYTES_A_LINE = 45 * 1024 };
#define REQUEST_TIME ((usec)60 * USEC_PER_SEC)

struct operator
{
    struct operator* next;
    struct spool *sp;
    struct stream *s;
    bool answering;
    struct buf in; /* the request, as far as it has come */
    /* a list under way */
    struct arena *arena;
    json_t *request;
    struct listing listing;
    listing_id *ids;
    size_t nids, at;
    /* a message under way */
    char showing[QUEUE_ID_SIZE];
    uint64_t show_at;
    /* a release under way */
    struct quarantine_release release;
    bool releasing;
};

static void operator_free(struct operator* o);

/* --- answers --- */

static void say(struct operator* o, json_t *v)
{
    char *text = json_dumps(v, JSON_COMPACT);
    json_decref(v);
    if (!text)
        return;
    stream_write(o->s, span_str(text));
    stream_write(o->s, SPAN("\n"));
    free(text);
}

static void finish(struct operator* o, json_t *last)
{
    json_object_set_new(last, "done", json_true());
    say(o, last);
    stream_finish(o->s);
}

static void refuse(struct operator* o, const char *why)
{
    json_t *v = json_object();
    json_object_set_new(v, "error", listing_string(span_str(why)));
    say(o, v);
    stream_finish(o->s);
}

static const char *who(const struct operator* o)
{
    const char *by = json_string_value(json_object_get(o->request, "by"));
    return by ? by : "operator";
}

/* --- queue list and show, in steps --- */

static void step_list(struct operator* o)
{
    struct queue *q = o->sp->queue;
    for (int i = 0; i < ROWS_A_STEP && o->at < o->nids; i++, o->at++) {
        struct queue_msg *m = queue_find(q, span_str(o->ids[o->at]));
        if (m && listing_next(&o->listing, m, NULL))
            say(o, listing_message(&o->listing, m));
    }
    if (o->at < o->nids)
        return;
    json_t *last = json_object();
    json_object_set_new(last, "messages", json_integer((json_int_t)o->nids));
    free(o->ids);
    o->ids = NULL;
    finish(o, last);
}

static void step_bytes(struct operator* o)
{
    struct queue_msg *m = queue_find(o->sp->queue, span_str(o->showing));
    static const int variant = sodium_base64_VARIANT_ORIGINAL;
    unsigned char piece[BYTES_A_LINE];
    char text[BYTES_A_LINE * 2];
    int64_t n = m ? queue_read(o->sp->queue, m, o->show_at, piece, sizeof piece) : -1;
    if (n < 0) {
        refuse(o, "the message is gone");
        o->showing[0] = 0;
        return;
    }
    if (n > 0) {
        sodium_bin2base64(text, sizeof text, piece, (size_t)n, variant);
        json_t *v = json_object();
        json_object_set_new(v, "bytes", json_string(text));
        say(o, v);
        o->show_at += (uint64_t)n;
    }
    if (n == 0 || o->show_at >= m->size) {
        o->showing[0] = 0;
        finish(o, json_object());
    }
}

static void go_on(struct operator* o)
{
    while (o->ids && !stream_full(o->s))
        step_list(o);
    while (o->showing[0] && !stream_full(o->s))
        step_bytes(o);
}

static void queue_show(struct operator* o)
{
    const char *id = json_string_value(json_object_get(o->request, "id"));
    struct queue_msg *m = id ? queue_find(o->sp->queue, span_str(id)) : NULL;
    if (!m) {
        refuse(o, "there is no such message in the queue");
        return;
    }
    if (json_is_true(json_object_get(o->request, "message"))) {
        memcpy(o->showing, m->id, sizeof o->showing);
        go_on(o);
        return;
    }
    say(o, listing_details(&o->listing, o->sp->queue, m));
    finish(o, json_object());
}

/* --- queue retry, hold, release, delete --- */

static void note(struct operator* o, struct queue_msg *m, const char *event, enum record_kind kind,
                 struct span rcpt)
{
    char id[ID_SIZE];
    log_event(LOG_NOTE, m->id, event, F_SPAN("to", rcpt), F_STR("by", who(o)));
    if (kind == RECORD_KINDS)
        return;
    snprintf(id, sizeof id, "%.*s", ID_LEN, m->id);
    struct record_event e = {
        .id = id, .when = clock_wall(), .kind = kind, .rcpt = rcpt, .text = span_str(who(o))};
    record_event(o->sp->record, &e);
}

static size_t change_message(struct operator* o, struct queue_msg *m, const char *action)
{
    struct spool *sp = o->sp;
    size_t n = 0;
    m->in_work++; /* it stays while we walk over it */
    for (uint32_t i = 0; listing_next(&o->listing, m, &i); i++) {
        struct queue_rcpt *r = &m->rcpts[i];
        struct queue_change c;
        if (!listing_change(action, r, o->listing.now, &c))
            continue;
        n++;
        if (strcmp(action, "retry") == 0)
            continue; /* need not outlive the process: deliver_now */
        bool deleted = c.state == Q_DELETED;
        note(o, m, deleted ? "deleted" : action, deleted ? RECORD_DELETED : RECORD_KINDS, r->addr);
        queue_change(sp->queue, m, &i, 1, &c);
    }
    m->in_work--;
    if (m->open && n) {
        if (m->flags & QUEUE_UNSCANNED) {
            rescan_gone(sp, m);
            m->due = 0;
            if (!m->in_work)
                rescan_add(sp, m);
            rescan_pump(sp);
        } else if (strcmp(action, "retry") == 0) {
            deliver_now(sp->deliver, m);
        } else {
            deliver_changed(sp->deliver, m);
        }
    }
    queue_settle(sp->queue, m);
    return n;
}

static void queue_act(struct operator* o, const char *action)
{
    if (!listing_filter_given(&o->listing.filter) && !o->listing.filter.all) {
        refuse(o, "which messages? give ids or a filter, or say that all are meant");
        return;
    }
    size_t n, messages = 0, recipients = 0;
    listing_id *ids = listing_ids(&o->listing, o->sp->queue, &n);
    for (size_t i = 0; i < n; i++) {
        struct queue_msg *m = queue_find(o->sp->queue, span_str(ids[i]));
        size_t changed = m ? change_message(o, m, action) : 0;
        messages += changed > 0;
        recipients += changed;
    }
    free(ids);
    json_t *last = json_object();
    json_object_set_new(last, "messages", json_integer((json_int_t)messages));
    json_object_set_new(last, "recipients", json_integer((json_int_t)recipients));
    finish(o, last);
}

static void queue_command(struct operator* o, const char *action)
{
    struct err e = {0};
    o->arena = arena_new(0);
    o->listing.now = clock_wall();
    o->listing.scratch = arena_new(0);
    o->listing.routes = deliver_routes(o->sp->deliver);
    if (listing_filter_read(json_object_get(o->request, "filter"), o->arena, &o->listing.filter,
                            &e) < 0) {
        refuse(o, e.text);
    } else if (strcmp(action, "list") == 0) {
        o->ids = listing_ids(&o->listing, o->sp->queue, &o->nids);
        go_on(o);
    } else if (strcmp(action, "show") == 0) {
        queue_show(o);
    } else if (listing_action(action)) {
        queue_act(o, action);
    } else {
        refuse(o, "no such action on the queue");
    }
}

/* --- quarantine --- */

static void note_release(struct operator* o, const struct quarantine_release *r)
{
    for (size_t i = 0; i < r->env.nrcpts; i++) {
        struct record_event e = {.id = r->id,
                                 .when = clock_wall(),
                                 .kind = RECORD_RELEASED,
                                 .rcpt = r->env.rcpts[i].addr,
                                 .text = span_str(who(o))};
        record_event(o->sp->record, &e);
    }
}

/* In the queue first, then marked as released: after a crash in between the start marks it
 * (spool.c), so nothing is lost and nothing goes out twice. */
static void on_released(void *ctx, enum queue_result r, const char *why)
{
    struct operator* o = ctx;
    struct spool *sp = o->sp;
    struct err e = {0};
    o->releasing = false;
    sp->storing--;
    if (r != QUEUE_OK) {
        quarantine_release_abort(sp->quarantine, &o->release);
        if (o->s)
            refuse(o, why);
    } else {
        note_release(o, &o->release);
        log_event(LOG_NOTE, o->release.id, "released", F_STR("by", who(o)));
        json_t *last = json_object();
        json_object_set_new(last, "recipients", json_integer((json_int_t)o->release.env.nrcpts));
        int result = quarantine_release_commit(sp->quarantine, &o->release, &e);
        if (o->s && result == 0)
            finish(o, json_incref(last));
        else if (o->s)
            refuse(o, e.text);
        json_decref(last);
    }
    if (!o->s)
        operator_free(o);
    spool_maybe_done(sp);
}

static void quarantine_release_command(struct operator* o)
{
    struct spool *sp = o->sp;
    struct err e = {0};
    const char *id = json_string_value(json_object_get(o->request, "id"));
    json_t *list = json_object_get(o->request, "recipients");
    o->arena = arena_new(0);
    size_t n = json_array_size(list);
    struct span *to = arena_array(o->arena, n + 1, sizeof *to);
    for (size_t i = 0; i < n; i++)
        to[i] = span_str(json_string_value(json_array_get(list, i)));
    if (!id || quarantine_release_begin(sp->quarantine, span_str(id), n ? to : NULL, n,
                                        span_str(who(o)), o->arena, &o->release, &e) < 0) {
        refuse(o, id ? e.text : "which message?");
        return;
    }
    char name[QUEUE_ID_SIZE];
    /* A name of its own: parts of the message may still be in the queue. */
    queue_id(name, o->release.id, (size_t)(clock_wall() / USEC_PER_SEC));
    struct queue_new v = {.id = name,
                          .flags = QUEUE_RELEASED,
                          .created = clock_wall(),
                          .env = o->release.env,
                          .peer = o->release.peer,
                          .fd = o->release.fd,
                          .fd_size = o->release.size};
    o->releasing = true;
    sp->storing++;
    queue_put(sp->queue, &v, 1, NULL, on_released, o);
}

static void quarantine_delete_command(struct operator* o)
{
    json_t *ids = json_object_get(o->request, "ids");
    size_t n = json_array_size(ids), deleted = 0;
    for (size_t i = 0; i < n; i++) {
        struct err e = {0};
        const char *id = json_string_value(json_array_get(ids, i));
        if (!id || quarantine_delete(o->sp->quarantine, span_str(id), span_str(who(o)), &e) < 0) {
            refuse(o, id ? e.text : "ids is a list of names");
            return;
        }
        struct record_event ev = {
            .id = id, .when = clock_wall(), .kind = RECORD_DELETED, .text = span_str(who(o))};
        record_event(o->sp->record, &ev);
        log_event(LOG_NOTE, id, "quarantine-deleted", F_STR("by", who(o)));
        deleted++;
    }
    json_t *last = json_object();
    json_object_set_new(last, "messages", json_integer((json_int_t)deleted));
    finish(o, last);
}

/* --- requests --- */

static void status(struct operator* o)
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
    finish(o, v);
}

static void answer(struct operator* o, struct span line)
{
    json_error_t je;
    o->answering = true;
    o->request = json_loadb(line.p, line.n, 0, &je);
    const char *command = json_string_value(json_object_get(o->request, "command"));
    const char *action = json_string_value(json_object_get(o->request, "action"));
    if (!command)
        refuse(o, "a request is one JSON object with a command");
    else if (!o->sp->queue)
        refuse(o, o->sp->shut.text);
    else if (strcmp(command, "status") == 0)
        status(o);
    else if (strcmp(command, "queue") == 0 && action)
        queue_command(o, action);
    else if (strcmp(command, "quarantine") == 0 && action && strcmp(action, "release") == 0)
        quarantine_release_command(o);
    else if (strcmp(command, "quarantine") == 0 && action && strcmp(action, "delete") == 0)
        quarantine_delete_command(o);
    else
        refuse(o, "no such command");
}

/* --- connections --- */

static void operator_free(struct operator* o)
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
    struct operator* o = ctx;
    if (o->answering)
        return bytes.n;
    size_t end = span_find(bytes, '\n');
    buf_add(&o->in, span_sub(bytes, 0, end));
    if (end == SIZE_MAX && o->in.n <= REQUEST_MAX)
        return bytes.n;
    stream_deadline(o->s, 0);
    if (o->in.n > REQUEST_MAX) {
        o->answering = true;
        refuse(o, "the request is too long");
    } else {
        answer(o, buf_span(&o->in));
    }
    return bytes.n;
}

static void on_drain(void *ctx)
{
    go_on(ctx);
}

static void on_timeout(void *ctx)
{
    struct operator* o = ctx;
    stream_close(o->s);
}

static void on_close(void *ctx, const char *why)
{
    struct operator* o = ctx;
    (void)why;
    struct operator** at = & o->sp->operators;
    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    o->sp->noperators--;
    o->s = NULL;
    if (!o->releasing)
        operator_free(o);
}

static const struct stream_events operator_events = {
    .on_data = on_data, .on_drain = on_drain, .on_timeout = on_timeout, .on_close = on_close};

static void on_accept(uv_poll_t *p, int status_, int events)
{
    struct spool *sp = p->data;
    (void)status_, (void)events;
    int fd = accept4(sp->control_socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (sp->noperators == OPERATORS_MAX) {
        close(fd);
        return;
    }
    struct operator* o = xcalloc(1, sizeof *o);
    o->sp = sp;
    o->next = sp->operators;
    sp->operators = o;
    sp->noperators++;
    o->s = stream_from_fd(&sp->loop, fd, &operator_events, o);
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
    for (struct operator* o = sp->operators; o; o = o->next)
        if (o->s && !o->releasing)
            stream_close(o->s);
}
