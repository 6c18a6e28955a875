/* Reports of ours: once a day by themselves, or when an operator asks; signed here, because the
 * spool has the keys, and queued as any mail. */
#include <stdlib.h>
#include <time.h>

#include "auth/sign.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "mime/compose.h"
#include "reports/dispatch.h"
#include "spool/control_private.h"

/* A day whose reports could not all be sent is tried again after this time. */
#define AGAIN_AFTER ((usec)3600 * USEC_PER_SEC)

/* One run; an operator's has somebody to tell. */
struct reporting {
    struct spool *sp;
    struct dispatch *dispatch;
    struct asker *asker;
    enum reports_kind kind;
    int64_t day;
};

struct mailing {
    struct spool *sp;
    struct buf bytes;
    char id[ID_SIZE];
    char *from, *to;
    struct rcpt rcpt;
    void (*stored)(void *ctx, bool ok, const char *why);
    void *ctx;
};

/* --- one mail --- */

/* Appends signature fields, when there is a key for the author's domain. Receivers want them, but
 * an aligned SPF will do. */
static void sign(struct spool *sp, struct span mail, struct buf *out)
{
    struct message *m = message_new(0);
    struct auth_digests digests;
    struct splices none = {0};
    struct sign_request r;
    struct buf fields = {0};
    struct err e;
    auth_digests_open(&digests);
    id_new(m->id);
    m->raw = mail;
    m->has_envelope = true;
    m->peer.auth_user = SPAN("reports");
    struct signable *s = signable_new(&digests, m, &none, m->arena);
    if (sign_wants_dkim(sp->set, m, s, &r)) {
        if (!sp->signer)
            log_event(LOG_WARN, NULL, "report-not-signed", F_STR("why", "the spool has no keys"));
        else if (signer_sign(sp->signer, &r, (uint64_t)time(NULL), &fields, &e) != 0)
            log_event(LOG_WARN, NULL, "report-not-signed", F_STR("why", e.text));
        else
            compose_lines(out, buf_span(&fields));
    }
    buf_free(&fields);
    auth_digests_close(&digests);
    m->raw = SPAN_NONE;
    message_free(m);
}

static void on_queued(void *ctx, enum queue_result result, const char *why)
{
    struct mailing *x = ctx;
    x->stored(x->ctx, result == QUEUE_OK, why);
    buf_free(&x->bytes);
    free(x->from);
    free(x->to);
    free(x);
}

/* Its failure is nobody's business: no bounce, no report about it. */
static void send_report(void *ctx, const struct report_made *made, struct span to,
                        struct span bytes, void (*stored)(void *stored_ctx, bool ok, const char *),
                        void *stored_ctx)
{
    struct reporting *run = ctx;
    struct spool *sp = run->sp;
    struct mailing *x = xcalloc(1, sizeof *x);
    (void)made;
    *x = (struct mailing){.sp = sp, .stored = stored, .ctx = stored_ctx};
    sign(sp, bytes, &x->bytes);
    buf_add(&x->bytes, bytes);
    id_new(x->id);
    x->from = xstrdup(sp->set->reports.from);
    x->to = xasprintf("%.*s", SPAN_ARG(to));
    x->rcpt = (struct rcpt){.addr = span_str(x->to), .notify = NOTIFY_NEVER};
    struct queue_new mail = {.id = x->id,
                             .flags = QUEUE_NOTICE | QUEUE_NO_BOUNCE,
                             .created = clock_wall(),
                             .fd = -1,
                             .bytes = buf_span(&x->bytes),
                             .env = {.from = span_str(x->from), .rcpts = &x->rcpt, .nrcpts = 1}};
    queue_put(sp->queue, &mail, 1, NULL, on_queued, x);
}

/* --- a run --- */

static void put(json_t *o, const char *key, struct span s)
{
    if (s.n)
        json_object_set_new(o, key, listing_string(s));
}

static void on_told(void *ctx, const struct dispatch_line *l)
{
    struct reporting *run = ctx;
    if (!run->asker || !run->asker->s)
        return;
    json_t *o = json_object();
    put(o, "domain", l->domain);
    put(o, "to", l->to);
    put(o, "outcome", span_str(l->outcome));
    if (l->made) {
        put(o, "id", l->made->id);
        put(o, "file", l->made->name);
        json_object_set_new(o, "rows", json_integer((json_int_t)l->made->rows));
        json_object_set_new(o, "good", json_integer((json_int_t)l->made->good));
        json_object_set_new(o, "bad", json_integer((json_int_t)l->made->bad));
        json_object_set_new(o, "bytes", json_integer((json_int_t)report_mailed_size(l->made)));
    }
    control_say(run->asker, o);
}

static void answer_asker(struct asker *o, const struct dispatch_numbers *n, const char *why)
{
    o->releasing = false;
    if (!o->s) { /* gone meanwhile */
        control_free(o);
        return;
    }
    if (why) {
        control_refuse(o, why);
        return;
    }
    json_t *last = json_object();
    json_object_set_new(last, "reports", json_integer((json_int_t)n->reports));
    json_object_set_new(last, "mails", json_integer((json_int_t)n->mails));
    json_object_set_new(last, "skipped", json_integer((json_int_t)n->skipped));
    json_object_set_new(last, "failed", json_integer((json_int_t)n->failed));
    json_object_set_new(last, "later", json_integer((json_int_t)n->later));
    control_finish(o, last);
}

static void on_run_done(void *ctx, const struct dispatch_numbers *n, const char *why)
{
    struct reporting *run = ctx;
    struct spool *sp = run->sp;
    bool all = !why && !n->failed && !n->later;
    if (run->asker) {
        answer_asker(run->asker, n, why);
    } else {
        log_event(why ? LOG_FAULT : LOG_NOTE, NULL, "reports-run",
                  F_STR("kind", reports_kind_name(run->kind)), F_INT("reports", n->reports),
                  F_INT("mails", n->mails), F_INT("skipped", n->skipped),
                  F_INT("failed", n->failed), F_INT("later", n->later),
                  F_STR("why", why ? why : ""));
        sp->reports_again[run->kind] = all ? 0 : clock_mono() + AGAIN_AFTER;
    }
    sp->reporting = NULL;
    free(run);
    sp->asking--;
    spool_maybe_done(sp);
}

static const struct dispatch_events run_events = {send_report, on_told, on_run_done};

static void begin_run(struct spool *sp, struct asker *asker, const struct dispatch_order *o)
{
    struct reporting *run = xcalloc(1, sizeof *run);
    *run = (struct reporting){.sp = sp, .asker = asker, .kind = o->kind, .day = o->day};
    sp->reporting = run;
    sp->asking++;
    run->dispatch = dispatch_start(&sp->loop, sp->set, sp->keeper, sp->dns, o, &run_events, run);
}

static bool is_due(struct spool *sp, enum reports_kind kind, int64_t day, usec now)
{
    if (now < (day + REPORTS_DAY) * USEC_PER_SEC + sp->set->reports.at)
        return false;
    if (sp->reports_day[kind] != day)
        return true;
    return sp->reports_again[kind] && clock_mono() >= sp->reports_again[kind];
}

void reports_tick(struct spool *sp)
{
    usec now = clock_wall();
    int64_t day = dispatch_yesterday(now);
    const bool on[] = {
        [REPORTS_DMARC] = sp->set->reports.dmarc, [REPORTS_TLS] = sp->set->reports.tls};
    for (int kind = REPORTS_DMARC; kind <= REPORTS_TLS; kind++) {
        if (sp->reporting || sp->draining || !sp->queue || !sp->keeper || !on[kind] ||
            !is_due(sp, (enum reports_kind)kind, day, now))
            continue;
        sp->reports_day[kind] = day;
        begin_run(sp, NULL, &(struct dispatch_order){.kind = (enum reports_kind)kind, .day = day});
    }
}

void reports_stop(struct spool *sp)
{
    if (sp->reporting)
        dispatch_stop(sp->reporting->dispatch);
}

/* --- operators --- */

/* {"command":"reports","action":"dmarc|tls","day":"2026-11-21","domain":D,"dry":bool,"again":bool}
 */
void control_reports(struct asker *o, const char *action)
{
    struct spool *sp = o->sp;
    usec now = clock_wall();
    const char *day = json_string_value(json_object_get(o->request, "day"));
    const char *domain = json_string_value(json_object_get(o->request, "domain"));
    struct dispatch_order order = {
        .kind = strcmp(action, "tls") == 0 ? REPORTS_TLS : REPORTS_DMARC,
        .day = dispatch_yesterday(now),
        .domain = span_str(domain),
        .dry = json_is_true(json_object_get(o->request, "dry")),
        .again = json_is_true(json_object_get(o->request, "again")),
    };
    if (strcmp(action, "tls") != 0 && strcmp(action, "dmarc") != 0)
        control_refuse(o, "there are reports of dmarc and tls");
    else if (day && !dispatch_day(span_str(day), now, &order.day))
        control_refuse(o, "a day is written 2026-11-21, yesterday or today");
    else if (!order.dry && order.day > dispatch_yesterday(now))
        control_refuse(o, "that day is not over: its report would be incomplete (a dry run goes)");
    else if (sp->reporting || !sp->keeper)
        control_refuse(o, "reports are being sent already; try again soon");
    else {
        o->releasing = true; /* it outlives its connection */
        begin_run(sp, o, &order);
    }
}
