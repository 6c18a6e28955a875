#include "reports/dispatch.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "reports/rua.h"

/*   listing -> for each: destinations (DNS) -> made (thread) -> sent, one after the other -> marked
 *   -> pause -> the next one; or done */
struct dispatch {
    uv_loop_t *loop;
    const struct settings *set;
    struct keeper *keeper;
    struct dns *dns;
    struct dispatch_order order;
    struct dispatch_events ev;
    void *ctx;
    struct arena *all, *one; /* of the list; of the report at hand */
    struct report_item *items;
    size_t n, at;
    struct resolver resolver;
    struct rua rua;
    struct report_made made;
    size_t to; /* of rua.v: the next one */
    bool any, stopped, failed, later;
    const char *outcome; /* to be marked */
    struct err e;
    struct dispatch_numbers numbers;
    uv_timer_t pause;
};

static void next(struct dispatch *d);

static void tell(struct dispatch *d, struct span to, const char *outcome, bool sent)
{
    const struct report_item *item = &d->items[d->at];
    const struct dispatch_line l = {.made = d->made.id.n ? &d->made : NULL,
                                    .domain = item->domain,
                                    .to = to,
                                    .outcome = outcome,
                                    .sent = sent};
    if (d->ev.told)
        d->ev.told(d->ctx, &l);
    if (!d->order.dry)
        log_event(sent ? LOG_NOTE : LOG_TRACE, NULL, sent ? "report-sent" : "report-not-sent",
                  F_STR("kind", reports_kind_name(d->order.kind)), F_SPAN("about", item->domain),
                  F_SPAN("to", to), F_STR("outcome", outcome));
}

/* --- the end --- */

static void on_pause_closed(uv_handle_t *h)
{
    struct dispatch *d = h->data;
    arena_free(d->all);
    arena_free(d->one);
    free(d);
}

static void finish(struct dispatch *d, const char *why)
{
    d->ev.done(d->ctx, &d->numbers, why);
    uv_close((uv_handle_t *)&d->pause, on_pause_closed);
}

/* --- one report --- */

static void on_pause(uv_timer_t *t)
{
    next(t->data);
}

static void proceed(struct dispatch *d, bool mailed)
{
    d->at++;
    arena_reset(d->one);
    d->made = (struct report_made){0};
    uint64_t wait = mailed ? 60000 / d->set->reports.rate : 0;
    uv_timer_start(&d->pause, on_pause, wait, 0);
}

static void mark(void *ctx, struct report_store *s, struct err *e)
{
    struct dispatch *d = ctx;
    if (s &&
        report_store_done(s, d->order.kind, d->items[d->at].serial, span_str(d->outcome), &d->e))
        log_event(LOG_FAULT, NULL, "reports-failed", F_STR("why", d->e.text));
    (void)e;
}

static void marked(void *ctx)
{
    struct dispatch *d = ctx;
    proceed(d, d->any);
}

/* Whatever became of it is final. */
static void settle(struct dispatch *d, const char *outcome)
{
    d->outcome = outcome;
    if (d->order.dry)
        proceed(d, false);
    else
        keeper_run(d->keeper, mark, marked, d);
}

static void send_next(struct dispatch *d);

static void on_stored(void *ctx, bool ok, const char *why)
{
    struct dispatch *d = ctx;
    struct span to = d->rua.v[d->to++].address;
    d->numbers.mails += ok;
    d->numbers.failed += !ok;
    d->any = d->any || ok;
    d->failed = d->failed || !ok;
    tell(d, to, ok ? "sent" : why, ok);
    send_next(d);
}

static const char *unfit(const struct dispatch *d, const struct rua_to *to)
{
    if (to->refused)
        return to->refused;
    if (to->max_size && report_mailed_size(&d->made) > to->max_size)
        return "the report is larger than it wants";
    return NULL;
}

static void send_next(struct dispatch *d)
{
    for (; d->to < d->rua.n; d->to++) {
        const struct rua_to *to = &d->rua.v[d->to];
        const char *why = unfit(d, to);
        if (why) {
            d->later = d->later || to->later;
            tell(d, to->address, why, false);
            continue;
        }
        if (d->order.dry) {
            d->any = true;
            tell(d, to->address, "would be sent", false);
            continue;
        }
        struct buf mail = {0};
        report_mail(d->set, &d->made, to->address, clock_wall(), &mail);
        d->ev.send(d->ctx, &d->made, to->address, buf_span(&mail), on_stored, d);
        buf_free(&mail);
        return;
    }
    d->numbers.reports += d->any;
    d->numbers.skipped += !d->any;
    d->numbers.later += d->later;
    if (!d->any && (d->failed || d->later))
        proceed(d, false); /* left for the next run */
    else
        settle(d, d->any ? "sent" : "no destination takes it");
}

static void make(void *ctx, struct report_store *s, struct err *e)
{
    struct dispatch *d = ctx;
    d->failed = true;
    if (!s)
        d->e = *e;
    else if (report_make(d->set, s, d->order.kind, &d->items[d->at], d->one, &d->made, &d->e) == 0)
        d->failed = false;
}

static void on_made(void *ctx)
{
    struct dispatch *d = ctx;
    if (d->failed) {
        d->numbers.failed++;
        d->made = (struct report_made){0};
        tell(d, SPAN(""), d->e.text, false);
        proceed(d, false);
        return;
    }
    d->to = 0;
    send_next(d);
}

static void on_destinations(void *ctx)
{
    struct dispatch *d = ctx;
    bool fit = false;
    for (size_t i = 0; i < d->rua.n; i++)
        fit = fit || !d->rua.v[i].refused;
    if (d->rua.later) {
        d->numbers.later++;
        tell(d, SPAN(""), "the DNS does not answer", false);
        proceed(d, false);
    } else if (!d->rua.n) {
        d->numbers.skipped++;
        tell(d, SPAN(""), "the domain asks for no reports by mail", false);
        settle(d, "nobody asks for it");
    } else if (!fit && !d->order.dry) {
        d->to = 0;
        send_next(d); /* says why, for each */
    } else {
        keeper_run(d->keeper, make, on_made, d);
    }
}

static bool excluded(const struct settings *set, struct span domain)
{
    const struct strings *l = &set->reports.exclude;
    for (size_t i = 0; i < l->n; i++) {
        struct span x = span_str(l->v[i]);
        if (x.p[0] == '.' ? span_iends(domain, x) || span_ieq(domain, span_from(x, 1))
                          : span_ieq(domain, x))
            return true;
    }
    return false;
}

static bool wanted(const struct dispatch *d, const struct report_item *item)
{
    return (!item->sent || d->order.again) && !excluded(d->set, item->domain) &&
           (!d->order.domain.n || span_ieq(d->order.domain, item->domain));
}

static void next(struct dispatch *d)
{
    while (d->at < d->n && !wanted(d, &d->items[d->at]))
        d->at++;
    if (d->at == d->n || d->stopped || d->numbers.mails >= d->set->reports.most) {
        if (d->at < d->n && !d->stopped)
            log_event(LOG_WARN, NULL, "reports-too-many", F_INT("sent", d->numbers.mails),
                      F_INT("left", d->n - d->at), F_STR("setting", "reports.most"));
        finish(d, NULL);
        return;
    }
    const struct report_item *item = &d->items[d->at];
    d->any = d->failed = d->later = false;
    if (d->order.kind == REPORTS_TLS)
        rua_tls(&d->rua, item->domain, &d->resolver, d->one, on_destinations, d);
    else
        rua_dmarc(&d->rua, span_eq(item->method, SPAN("psl")) ? DMARC_SUFFIX : DMARC_TREE,
                  item->domain, item->policy, &d->resolver, d->one, on_destinations, d);
}

/* --- the list --- */

static void list(void *ctx, struct report_store *s, struct err *e)
{
    struct dispatch *d = ctx;
    d->failed = true;
    if (!s)
        d->e = *e;
    else if (report_store_day(s, d->order.kind, d->order.day, d->all, &d->items, &d->n, &d->e) == 0)
        d->failed = false;
}

static void on_listed(void *ctx)
{
    struct dispatch *d = ctx;
    if (d->failed)
        finish(d, d->e.text);
    else
        next(d);
}

static void ask(void *ctx, struct span name, enum dns_type type, dns_answer_fn *done,
                void *done_ctx)
{
    dns_ask(ctx, name, type, done, done_ctx);
}

struct dispatch *dispatch_start(uv_loop_t *loop, const struct settings *set, struct keeper *k,
                                struct dns *dns, const struct dispatch_order *o,
                                const struct dispatch_events *ev, void *ctx)
{
    struct dispatch *d = xcalloc(1, sizeof *d);
    *d = (struct dispatch){.loop = loop,
                           .set = set,
                           .keeper = k,
                           .dns = dns,
                           .order = *o,
                           .ev = *ev,
                           .ctx = ctx,
                           .all = arena_new(0),
                           .one = arena_new(0),
                           .resolver = {ask, dns}};
    d->order.domain = arena_dup(d->all, o->domain);
    d->pause.data = d;
    uv_timer_init(loop, &d->pause);
    keeper_run(k, list, on_listed, d);
    return d;
}

void dispatch_stop(struct dispatch *d)
{
    d->stopped = true;
    if (uv_is_active((uv_handle_t *)&d->pause))
        uv_timer_start(&d->pause, on_pause, 0, 0);
}

/* --- days --- */

int64_t dispatch_yesterday(usec now)
{
    int64_t t = now / USEC_PER_SEC;
    return t - t % REPORTS_DAY - REPORTS_DAY;
}

bool dispatch_day(struct span text, usec now, int64_t *begin)
{
    usec t;
    if (span_eq(text, SPAN("yesterday")) || span_eq(text, SPAN("today"))) {
        *begin = dispatch_yesterday(now) + (text.n == 5 ? REPORTS_DAY : 0);
        return true;
    }
    if (text.n != 10 || !clock_parse(text, now, &t))
        return false;
    /* clock_parse may take a date as one of local time: its digits are meant. */
    uint64_t y, m, day;
    if (!span_u64(span_sub(text, 0, 4), &y) || !span_u64(span_sub(text, 5, 7), &m) ||
        !span_u64(span_sub(text, 8, 10), &day))
        return false;
    struct tm tm = {.tm_year = (int)y - 1900, .tm_mon = (int)m - 1, .tm_mday = (int)day};
    *begin = timegm(&tm);
    return *begin > 0;
}
