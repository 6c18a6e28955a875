/* What operators do with held mail. */
#include "auth/sign.h"
#include "auth/signer.h"
#include "base/log.h"
#include "spool/control_private.h"

static void note_release(struct asker *o, const struct quarantine_release *r)
{
    for (size_t i = 0; i < r->env.nrcpts; i++) {
        struct record_event e = {.id = r->id,
                                 .when = clock_wall(),
                                 .kind = RECORD_RELEASED,
                                 .rcpt = r->env.rcpts[i].addr,
                                 .text = span_str(control_who(o))};
        record_event(o->sp->record, &e);
    }
}

/* In the queue first, then marked as released: after a crash in between the start marks it
 * (spool.c), so nothing is lost and nothing goes out twice. */
static void on_released(void *ctx, enum queue_result r, const char *why)
{
    struct asker *o = ctx;
    struct spool *sp = o->sp;
    struct err e = {0};
    o->releasing = false;
    sp->storing--;
    if (r != QUEUE_OK) {
        quarantine_release_abort(sp->quarantine, &o->release);
        if (o->s)
            control_refuse(o, why);
    } else {
        note_release(o, &o->release);
        log_event(LOG_NOTE, o->release.id, "released", F_STR("by", control_who(o)));
        json_t *last = json_object();
        json_object_set_new(last, "recipients", json_integer((json_int_t)o->release.env.nrcpts));
        int result = quarantine_release_commit(sp->quarantine, &o->release, &e);
        if (o->s && result == 0)
            control_finish(o, json_incref(last));
        else if (o->s)
            control_refuse(o, e.text);
        json_decref(last);
    }
    if (!o->s)
        control_free(o);
    spool_maybe_done(sp);
}

/* Mail of our users is signed as it leaves, with the key of that day; what it takes was kept with
 * it (flow/signing.h). */
static int sign_again(struct asker *o, struct splices *edits, struct err *e)
{
    const struct spool *sp = o->sp;
    struct buf fields = {0}, wire = {0};
    struct sign_request r;
    int rc = 0;
    if (!o->release.sign.p)
        return 0;
    if (!sign_request_decode(o->release.sign, &r))
        rc = err_set(e, "what its signature needs can't be read");
    else if (!sp->signer)
        rc = err_set(e, "the spool has no keys");
    else
        rc = signer_sign(sp->signer, &r, (uint64_t)(clock_wall() / USEC_PER_SEC), &fields, e);
    sign_fields_wire(&wire, buf_span(&fields));
    if (rc == 0)
        splices_add(edits, o->arena, 0, 0, arena_dup(o->arena, buf_span(&wire)));
    else
        log_event(LOG_WARN, o->release.id, "not-signed", F_STR("why", e->text));
    buf_free(&fields);
    buf_free(&wire);
    return rc == 0 || sp->set->dkim.on_sign_error == FAIL_PASS
               ? 0
               : err_prefix(e, "it can't be signed (dkim.on_sign_error: pass releases it without)");
}

static void release_held(struct asker *o)
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
                                        span_str(control_who(o)), o->arena, &o->release, &e) < 0) {
        control_refuse(o, id ? e.text : "which message?");
        return;
    }
    struct splices edits = {0};
    if (sign_again(o, &edits, &e) < 0) {
        quarantine_release_abort(sp->quarantine, &o->release);
        control_refuse(o, e.text);
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
                          .fd_size = o->release.size,
                          .edits = edits};
    o->releasing = true;
    sp->storing++;
    queue_put(sp->queue, &v, 1, NULL, on_released, o);
}

static void delete (struct asker *o)
{
    json_t *ids = json_object_get(o->request, "ids");
    size_t n = json_array_size(ids), deleted = 0;
    for (size_t i = 0; i < n; i++) {
        struct err e = {0};
        const char *id = json_string_value(json_array_get(ids, i));
        if (!id ||
            quarantine_delete(o->sp->quarantine, span_str(id), span_str(control_who(o)), &e) < 0) {
            control_refuse(o, id ? e.text : "ids is a list of names");
            return;
        }
        struct record_event ev = {.id = id,
                                  .when = clock_wall(),
                                  .kind = RECORD_DELETED,
                                  .text = span_str(control_who(o))};
        record_event(o->sp->record, &ev);
        log_event(LOG_NOTE, id, "quarantine-deleted", F_STR("by", control_who(o)));
        deleted++;
    }
    json_t *last = json_object();
    json_object_set_new(last, "messages", json_integer((json_int_t)deleted));
    control_finish(o, last);
}

void control_quarantine(struct asker *o, const char *action)
{
    if (strcmp(action, "release") == 0)
        release_held(o);
    else if (strcmp(action, "delete") == 0)
        delete (o);
    else
        control_refuse(o, "no such action on the quarantine");
}
