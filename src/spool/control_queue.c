/* What operators ask and do about the queue. Long answers go out as the socket takes them. */
#include <sodium.h>
#include <stdlib.h>

#include "base/log.h"
#include "spool/control_private.h"

enum { ROWS_A_STEP = 200, BYTES_A_LINE = 45 * 1024 };

/* --- list and show, in steps --- */

static void step_list(struct asker *o)
{
    struct queue *q = o->sp->queue;
    for (int i = 0; i < ROWS_A_STEP && o->at < o->nids; i++, o->at++) {
        struct queue_msg *m = queue_find(q, span_str(o->ids[o->at]));
        if (m && listing_next(&o->listing, m, NULL))
            control_say(o, listing_message(&o->listing, m));
    }
    if (o->at < o->nids)
        return;
    json_t *last = json_object();
    json_object_set_new(last, "messages", json_integer((json_int_t)o->nids));
    free(o->ids);
    o->ids = NULL;
    control_finish(o, last);
}

static void step_bytes(struct asker *o)
{
    struct queue_msg *m = queue_find(o->sp->queue, span_str(o->showing));
    static const int variant = sodium_base64_VARIANT_ORIGINAL;
    unsigned char piece[BYTES_A_LINE];
    char text[BYTES_A_LINE * 2];
    int64_t n = m ? queue_read(o->sp->queue, m, o->show_at, piece, sizeof piece) : -1;
    if (n < 0) {
        control_refuse(o, "the message is gone");
        o->showing[0] = 0;
        return;
    }
    if (n > 0) {
        sodium_bin2base64(text, sizeof text, piece, (size_t)n, variant);
        json_t *v = json_object();
        json_object_set_new(v, "bytes", json_string(text));
        control_say(o, v);
        o->show_at += (uint64_t)n;
    }
    if (n == 0 || o->show_at >= m->size) {
        o->showing[0] = 0;
        control_finish(o, json_object());
    }
}

void control_go_on(struct asker *o)
{
    while (o->ids && !stream_full(o->s))
        step_list(o);
    while (o->showing[0] && !stream_full(o->s))
        step_bytes(o);
}

static void queue_show(struct asker *o)
{
    const char *id = json_string_value(json_object_get(o->request, "id"));
    struct queue_msg *m = id ? queue_find(o->sp->queue, span_str(id)) : NULL;
    if (!m) {
        control_refuse(o, "there is no such message in the queue");
        return;
    }
    if (json_is_true(json_object_get(o->request, "message"))) {
        memcpy(o->showing, m->id, sizeof o->showing);
        control_go_on(o);
        return;
    }
    control_say(o, listing_details(&o->listing, o->sp->queue, m));
    control_finish(o, json_object());
}

/* --- retry, hold, release, delete --- */

static void note(struct asker *o, struct queue_msg *m, const char *event, enum record_kind kind,
                 struct span rcpt)
{
    char id[ID_SIZE];
    log_event(LOG_NOTE, m->id, event, F_SPAN("to", rcpt), F_STR("by", control_who(o)));
    if (kind == RECORD_KINDS)
        return;
    snprintf(id, sizeof id, "%.*s", ID_LEN, m->id);
    struct record_event e = {.id = id,
                             .when = clock_wall(),
                             .kind = kind,
                             .rcpt = rcpt,
                             .text = span_str(control_who(o))};
    record_event(o->sp->record, &e);
}

static size_t change_message(struct asker *o, struct queue_msg *m, const char *action)
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

static void queue_act(struct asker *o, const char *action)
{
    if (!listing_filter_given(&o->listing.filter) && !o->listing.filter.all) {
        control_refuse(o, "which messages? give ids or a filter, or say that all are meant");
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
    control_finish(o, last);
}

void control_queue(struct asker *o, const char *action)
{
    struct err e = {0};
    o->arena = arena_new(0);
    o->listing.now = clock_wall();
    o->listing.scratch = arena_new(0);
    o->listing.routes = deliver_routes(o->sp->deliver);
    if (listing_filter_read(json_object_get(o->request, "filter"), o->arena, &o->listing.filter,
                            &e) < 0) {
        control_refuse(o, e.text);
    } else if (strcmp(action, "list") == 0) {
        o->ids = listing_ids(&o->listing, o->sp->queue, &o->nids);
        control_go_on(o);
    } else if (strcmp(action, "show") == 0) {
        queue_show(o);
    } else if (listing_action(action)) {
        queue_act(o, action);
    } else {
        control_refuse(o, "no such action on the queue");
    }
}
