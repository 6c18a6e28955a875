#include "reports/dispatch.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "reports/rua.h"

/* A few reports are at work at the same time, each in a lane: the DNS of one domain may take long.
 *
 *   list -> each lane: destinations (DNS) -> made (the keeper's thread) -> its turn under
 *   reports.rate -> sent, one destination after the other -> marked -> the next one
 *
 * All of it ends when no lane has work. */
enum { LANES = 8 };

struct dispatch;

struct lane {
    struct dispatch *d;
    struct arena *a; /* of the report at hand */
    const struct report_item *item;
    struct rua rua;
    struct report_made made;
    size_t to; /* of rua.v: the next one */
    bool any, failed, later;
    const char *outcome; /* to be marked */
    struct err e;
    uv_timer_t timer;
};

struct dispatch {
    const struct settings *set;
    struct keeper *keeper;
    struct dispatch_order order;
    struct dispatch_events ev;
    void *ctx;
    struct arena *all; /* of the list */
    struct report_item *items;
    size_t n, at;
    struct resolver resolver;
    usec turn; /* monotonic: when the next report may be sent */
    struct lane lanes[LANES];
    size_t busy, handles;
    bool stopped, failed, too_many;
    struct err e;
    struct dispatch_numbers numbers;
};

static void tell(struct lane *l, struct span to, const char *outcome, bool sent)
{
    struct dispatch *d = l->d;
    const struct dispatch_line line = {.made = l->made.id.n ? &l->made : NULL,
                                       .domain = l->item->domain,
                                       .to = to,
                                       .outcome = outcome,
                                       .sent = sent};
    if (d->ev.told)
        d->ev.told(d->ctx, &line);
    if (!d->order.dry)
        log_event(sent ? LOG_NOTE : LOG_TRACE, NULL, sent ? "report-sent" : "report-not-sent",
                  F_STR("kind", reports_kind_name(d->order.kind)), F_SPAN("about", l->item->domain),
                  F_SPAN("to", to), F_STR("outcome", outcome));
}

/* --- the end --- */

static void on_timer_closed(uv_handle_t *h)
{
    struct lane *l = h->data;
    struct dispatch *d = l->d;
    arena_free(l->a);
    if (--d->handles)
        return;
    arena_free(d->all);
    free(d);
}

static void finish(struct dispatch *d, const char *why)
{
    if (d->too_many)
        log_event(LOG_WARN, NULL, "reports-too-many", F_INT("sent", d->numbers.mails),
                  F_INT("left", d->n - d->at), F_STR("setting", "reports.most"));
    d->ev.done(d->ctx, &d->numbers, why);
    d->handles = LANES;
    for (size_t i = 0; i < LANES; i++)
        uv_close((uv_handle_t *)&d->lanes[i].timer, on_timer_closed);
}

/* --- one report --- */

static void take(struct lane *l);

static void on_next(uv_timer_t *t)
{
    take(t->data);
}

/* The next one, from the loop: a thousand that nobody wants must not be a thousand calls deep. */
static void proceed(struct lane *l)
{
    arena_reset(l->a);
    l->made = (struct report_made){0};
    uv_timer_start(&l->timer, on_next, 0, 0);
}

static void mark(void *ctx, struct report_store *s, struct err *e)
{
    struct lane *l = ctx;
    (void)e; /* told by the keeper */
    if (s && report_store_done(s, l->d->order.kind, l->item->serial, span_str(l->outcome), &l->e))
        log_event(LOG_FAULT, NULL, "reports-failed", F_STR("why", l->e.text));
}

static void marked(void *ctx)
{
    proceed(ctx);
}

/* Whatever became of it is final. */
static void settle(struct lane *l, const char *outcome)
{
    l->outcome = outcome;
    if (l->d->order.dry)
        proceed(l);
    else
        keeper_run(l->d->keeper, mark, marked, l);
}

static void send_next(struct lane *l);

static void on_stored(void *ctx, bool ok, const char *why)
{
    struct lane *l = ctx;
    struct span to = l->rua.v[l->to++].address;
    l->d->numbers.mails += ok;
    l->d->numbers.failed += !ok;
    l->any = l->any || ok;
    l->failed = l->failed || !ok;
    tell(l, to, ok ? "sent" : why, ok);
    send_next(l);
}

static const char *unfit(const struct lane *l, const struct rua_to *to)
{
    if (to->refused)
        return to->refused;
    if (to->max_size && report_mailed_size(&l->made) > to->max_size)
        return "the report is larger than it wants";
    return NULL;
}

static void all_sent(struct lane *l)
{
    struct dispatch *d = l->d;
    d->numbers.reports += l->any;
    d->numbers.skipped += !l->any;
    d->numbers.later += l->later;
    if (!l->any && (l->failed || l->later))
        proceed(l); /* left for the next run */
    else
        settle(l, l->any ? "sent" : "no destination takes it");
}

static void send_next(struct lane *l)
{
    struct dispatch *d = l->d;
    for (; l->to < l->rua.n; l->to++) {
        const struct rua_to *to = &l->rua.v[l->to];
        const char *why = unfit(l, to);
        if (!why && !d->order.dry) {
            struct buf mail = {0};
            report_mail(d->set, &l->made, to->address, clock_wall(), &mail);
            d->ev.send(d->ctx, &l->made, to->address, buf_span(&mail), on_stored, l);
            buf_free(&mail);
            return;
        }
        l->later = l->later || to->later;
        l->any = l->any || !why;
        tell(l, to->address, why ? why : "would be sent", false);
    }
    all_sent(l);
}

static void on_turn(uv_timer_t *t)
{
    send_next(t->data);
}

static void make(void *ctx, struct report_store *s, struct err *e)
{
    struct lane *l = ctx;
    l->failed = true;
    if (!s)
        l->e = *e;
    else if (report_make(l->d->set, s, l->d->order.kind, l->item, false, l->a, &l->made, &l->e) ==
             0)
        l->failed = false;
}

static void on_made(void *ctx)
{
    struct lane *l = ctx;
    struct dispatch *d = l->d;
    usec now = clock_mono();
    if (l->failed) {
        d->numbers.failed++;
        l->made = (struct report_made){0};
        tell(l, SPAN(""), l->e.text, false);
        proceed(l);
        return;
    }
    usec wait = d->turn > now && !d->order.dry && !d->stopped ? d->turn - now : 0;
    d->turn = now + wait + 60 * USEC_PER_SEC / (usec)d->set->reports.rate;
    uv_timer_start(&l->timer, on_turn, (uint64_t)(wait / 1000), 0);
}

static void on_destinations(void *ctx)
{
    struct lane *l = ctx;
    struct dispatch *d = l->d;
    bool fit = d->order.dry;
    for (size_t i = 0; i < l->rua.n; i++)
        fit = fit || !l->rua.v[i].refused;
    if (l->rua.later) {
        d->numbers.later++;
        tell(l, SPAN(""), "the DNS does not answer", false);
        proceed(l);
    } else if (!l->rua.n) {
        d->numbers.skipped++;
        tell(l, SPAN(""), "the domain asks for no reports by mail", false);
        settle(l, "nobody asks for it");
    } else if (!fit) {
        send_next(l); /* says why, for each */
    } else {
        keeper_run(d->keeper, make, on_made, l);
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

static const struct report_item *next_item(struct dispatch *d)
{
    while (d->at < d->n && !wanted(d, &d->items[d->at]))
        d->at++;
    if (d->at == d->n || d->stopped)
        return NULL;
    d->too_many = d->numbers.mails >= d->set->reports.most;
    return d->too_many ? NULL : &d->items[d->at++];
}

static void take(struct lane *l)
{
    struct dispatch *d = l->d;
    l->item = next_item(d);
    if (!l->item) {
        if (--d->busy == 0)
            finish(d, NULL);
        return;
    }
    l->any = l->failed = l->later = false;
    l->to = 0;
    if (d->order.kind == REPORTS_TLS)
        rua_tls(&l->rua, l->item->domain, &d->resolver, l->a, on_destinations, l);
    else
        rua_dmarc(&l->rua, span_eq(l->item->method, SPAN("psl")) ? DMARC_SUFFIX : DMARC_TREE,
                  l->item->domain, l->item->policy, &d->resolver, l->a, on_destinations, l);
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
    if (d->failed) {
        finish(d, d->e.text);
        return;
    }
    d->busy = LANES;
    for (size_t i = 0; i < LANES; i++)
        proceed(&d->lanes[i]);
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
    *d = (struct dispatch){.set = set,
                           .keeper = k,
                           .order = *o,
                           .ev = *ev,
                           .ctx = ctx,
                           .all = arena_new(0),
                           .resolver = {ask, dns}};
    d->order.domain = arena_dup(d->all, o->domain);
    for (size_t i = 0; i < LANES; i++) {
        d->lanes[i].d = d;
        d->lanes[i].a = arena_new(0);
        d->lanes[i].timer.data = &d->lanes[i];
        uv_timer_init(loop, &d->lanes[i].timer);
    }
    keeper_run(k, list, on_listed, d);
    return d;
}

/* Who waits for his turn does not wait any longer. */
void dispatch_stop(struct dispatch *d)
{
    d->stopped = true;
    for (size_t i = 0; i < LANES; i++)
        if (uv_is_active((uv_handle_t *)&d->lanes[i].timer))
            uv_timer_start(&d->lanes[i].timer, d->lanes[i].made.id.n ? on_turn : on_next, 0, 0);
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
