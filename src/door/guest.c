#include "door/guest.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "door/door_private.h"
#include "reputation/reputation.h"

/* ---- findings ---- */

const char *finding_name(enum finding_id id)
{
    static const char *const names[] = {
        [FOUND_EXEMPT] = "wall.exempt",
        [FOUND_PREGREET] = "wall.pregreet",
        [FOUND_LISTS] = "wall.lists",
        [FOUND_NAME] = "wall.name",
        [FOUND_ADDRESS_REPUTATION] = "wall.reputation.address",
        [FOUND_NETWORK_REPUTATION] = "wall.reputation.network",
        [FOUND_ASN] = "wall.asn",
        [FOUND_ASN_REPUTATION] = "wall.reputation.asn",
        [FOUND_HELO] = "wall.helo",
        [FOUND_HELO_NAME] = "wall.helo.name",
        [FOUND_HELO_LISTS] = "wall.helo.lists",
        [FOUND_SENDER] = "wall.sender",
        [FOUND_SENDER_MX] = "wall.sender.mx",
        [FOUND_SENDER_LISTS] = "wall.sender.lists",
        [FOUND_GREYLIST] = "wall.greylist",
    };
    return names[id];
}

void guest_forget(struct guest *g, enum finding_id id)
{
    free(g->found[id].value);
    free(g->found[id].reply);
    g->found[id] = (struct finding){0};
}

void guest_find(struct guest *g, enum finding_id id, enum wall_action action, const char *value,
                const char *dsn, const char *fmt, ...)
{
    struct buf b = {0};
    guest_forget(g, id);
    if (action == WALL_OFF)
        return;
    g->found[id].value = xstrdup(value);
    g->found[id].action = action;
    if (action == WALL_FACT)
        return;
    bool later = action == WALL_DEFER;
    buf_printf(&b, "%s %c.%s ", later ? "450" : "550", later ? '4' : '5', dsn);
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < b.n; i++) /* names from outside are in it */
        if ((unsigned char)b.p[i] < ' ' || (unsigned char)b.p[i] > '~')
            b.p[i] = '?';
    g->found[id].reply = xstrdup(b.p);
    buf_free(&b);
}

const struct finding *guest_refusal(const struct guest *g)
{
    const struct finding *best = NULL;
    for (size_t i = 0; i < FINDINGS; i++)
        if (g->found[i].reply && (!best || g->found[i].action > best->action))
            best = &g->found[i];
    return best;
}

bool guest_pending(const struct guest *g)
{
    return g->blocking > 0;
}

bool guest_asking(const struct guest *g)
{
    return g->clients || g->helo_question || g->helo_lists || g->sender_lists || g->spf ||
           sender_check_asking(g->sender);
}

void guest_changed(struct guest *g)
{
    if (!g->busy)
        g->on_change(g->ctx);
}

/* ---- lists ---- */

static void fill_in(struct buf *b, struct span url, const struct ip *ip, struct span domain)
{
    char text[IP_TEXT_SIZE];
    while (url.n > 0) {
        if (span_starts(url, SPAN("_IP_"))) {
            buf_str(b, ip_text(ip, text));
            url = span_from(url, 4);
        } else if (span_starts(url, SPAN("_DOMAIN_"))) {
            buf_add(b, domain);
            url = span_from(url, 8);
        } else {
            buf_char(b, url.p[0]);
            url = span_from(url, 1);
        }
    }
}

/* The list that weighs most is the one that is named to the sender. */
static const struct list_hit *heaviest(const struct list_result *r)
{
    const struct list_hit *best = NULL;
    for (size_t i = 0; i < r->nhits; i++)
        if (!best || r->hits[i].spec->weight > best->spec->weight)
            best = &r->hits[i];
    return best;
}

static void tell_hits(struct buf *b, const struct list_result *r)
{
    char text[IP_TEXT_SIZE];
    for (size_t i = 0; i < r->nhits; i++)
        buf_printf(b, "%.*s=%s*%g ", SPAN_ARG(r->hits[i].spec->name),
                   ip_text(&r->hits[i].answer, text), r->hits[i].spec->weight);
    buf_printf(b, "score=%g", r->score);
    if (r->silent)
        buf_printf(b, " silent=%u", r->silent);
}

void guest_take_lists(struct guest *g, enum finding_id id, const struct list_result *r,
                      const char *what, struct span domain)
{
    struct buf value = {0}, page = {0};
    char text[IP_TEXT_SIZE];
    const struct list_hit *h = heaviest(r);
    bool refuse = h && r->score >= g->door->set->wall.reject_score;
    tell_hits(&value, r);
    if (h && h->spec->url.n) {
        buf_str(&page, "; see ");
        fill_in(&page, h->spec->url, &g->ip, domain);
    }
    guest_find(g, id, refuse ? WALL_REJECT : WALL_FACT, buf_span(&value).p, "7.1",
               "%s %s%.*s%s is listed by %.*s%.*s", what, domain.p ? "" : "[",
               SPAN_ARG(domain.p ? domain : span_str(ip_text(&g->ip, text))), domain.p ? "" : "]",
               SPAN_ARG(h ? h->spec->name : SPAN("")), SPAN_ARG(buf_span(&page)));
    buf_free(&value);
    buf_free(&page);
}

static void maybe_greet(struct guest *g)
{
    if (guest_ready(g))
        guest_changed(g);
}

static void stop_waiting(struct guest *g)
{
    if (g->timer)
        uv_timer_stop(g->timer);
    g->waiting = false;
}

static void on_clients(void *ctx, const struct list_result *r)
{
    struct guest *g = ctx;
    const struct wall_settings *set = &g->door->set->wall;
    g->clients = NULL;
    g->blocking--;
    g->score = r->score;
    g->listed_clean = r->silent == 0 && r->score < set->reject_score;
    g->trusted = r->nhits && r->score <= set->allow_score;
    if (r->nhits || r->silent)
        guest_take_lists(g, FOUND_LISTS, r, "client", SPAN_NONE);
    bool refused = g->found[FOUND_LISTS].reply && set->refuse == WALL_AT_CONNECT;
    if (g->trusted || refused)
        stop_waiting(g);
    maybe_greet(g);
    if (!guest_pending(g))
        guest_changed(g);
}

/* ---- what is remembered of an address ---- */

static struct span address_key(const struct guest *g)
{
    return span_of((const char *)g->ip.b, sizeof g->ip.b);
}

static void recall(struct guest *g, usec now)
{
    struct buf v = {0};
    if (kv_get(g->door->state, KV_PASSED, address_key(g), now, &v) == KV_OK) {
        struct cursor c = cursor_over(buf_span(&v));
        usec greet = (usec)cursor_u64(&c), lists = (usec)cursor_u64(&c);
        double score = cursor_f64(&c);
        if (cursor_ok(&c)) {
            g->greet_until = greet;
            g->lists_until = lists;
            g->score = score;
        }
    }
    buf_free(&v);
}

void guest_passed(struct guest *g)
{
    const struct wall_settings *set = &g->door->set->wall;
    usec now = clock_wall();
    bool news = false;
    if (g->waited && !g->found[FOUND_PREGREET].value) {
        g->greet_until = now + set->pass_greet;
        news = true;
    }
    if (g->listed_clean) {
        g->lists_until = now + set->pass_lists;
        news = true;
    }
    g->waited = g->listed_clean = false;
    if (!news)
        return;
    struct buf v = {0};
    buf_u64(&v, (uint64_t)g->greet_until);
    buf_u64(&v, (uint64_t)g->lists_until);
    buf_f64(&v, g->score);
    kv_put(g->door->state, KV_PASSED, address_key(g), buf_span(&v),
           g->greet_until > g->lists_until ? g->greet_until : g->lists_until);
    buf_free(&v);
}

static void recall_lists(struct guest *g)
{
    const struct wall_settings *set = &g->door->set->wall;
    char text[64];
    g->trusted = g->score <= set->allow_score;
    if (g->score == 0)
        return;
    snprintf(text, sizeof text, "score=%g (remembered)", g->score);
    guest_find(g, FOUND_LISTS, WALL_FACT, text, "7.1", "%s", "");
}

static void look_up_reputation(struct guest *g, enum reputation_kind kind, enum finding_id id)
{
    const struct reputation_settings *set = &g->door->set->reputation;
    struct ip ip = reputation_address(kind, &g->ip);
    struct reputation r;
    char text[REPUTATION_TEXT_SIZE];
    if (!set->enabled ||
        !reputation_get(g->door->state, set, kind, span_of((const char *)ip.b, sizeof ip.b),
                        clock_wall(), &r))
        return;
    bool bad = kind == REP_ADDRESS && r.score >= set->bad && r.messages >= (double)set->minimum;
    guest_find(g, id, bad ? set->on_bad : WALL_FACT, reputation_text(&r, text), "7.1",
               "too much unwanted mail has come from your address");
}

static void look_up_asn(struct guest *g)
{
    const struct reputation_settings *set = &g->door->set->reputation;
    struct reputation r;
    char text[REPUTATION_TEXT_SIZE];
    if (!g->asn)
        return;
    snprintf(text, sizeof text, "AS%u", g->asn);
    guest_find(g, FOUND_ASN, WALL_FACT, text, "7.1", "%s", "");
    if (set->enabled &&
        reputation_get(g->door->state, set, REP_ASN, span_of((const char *)&g->asn, sizeof g->asn),
                       clock_wall(), &r))
        guest_find(g, FOUND_ASN_REPUTATION, WALL_FACT, reputation_text(&r, text), "7.1", "%s", "");
}

/* ---- the call ---- */

static void on_waited(uv_timer_t *t)
{
    struct guest *g = t->data;
    g->waiting = false;
    maybe_greet(g);
}

bool guest_ready(const struct guest *g)
{
    return !g->waiting && !g->clients;
}

static void start_waiting(struct guest *g, usec wait)
{
    g->waiting = g->waited = true;
    g->timer = xcalloc(1, sizeof *g->timer);
    uv_timer_init(&g->door->loop, g->timer);
    g->timer->data = g;
    uv_timer_start(g->timer, on_waited, (uint64_t)(wait / 1000), 0);
}

void guest_call(struct guest *g, usec wait)
{
    struct door *d = g->door;
    usec now = clock_wall();
    g->busy = true;
    recall(g, now);
    look_up_reputation(g, REP_ADDRESS, FOUND_ADDRESS_REPUTATION);
    look_up_reputation(g, REP_NETWORK, FOUND_NETWORK_REPUTATION);
    look_up_asn(g);
    if (wait > 0 && g->greet_until <= now)
        start_waiting(g, wait);
    if (g->lists_until > now) {
        recall_lists(g);
    } else if (lists_any(d->lists, LIST_CLIENTS)) {
        g->blocking++;
        g->clients = lists_ask_client(d->lists, &g->ip, on_clients, g);
    }
    if (g->trusted)
        stop_waiting(g);
    g->busy = false;
}

void guest_spoke(struct guest *g, struct span bytes)
{
    char text[64];
    enum wall_action action = g->door->set->wall.on_pregreet;
    if (!g->waiting || action == WALL_OFF || g->found[FOUND_PREGREET].value)
        return;
    snprintf(text, sizeof text, "%zu bytes before the greeting", bytes.n);
    guest_find(g, FOUND_PREGREET, action, text, "5.1", "you have spoken before the greeting");
    log_event(LOG_NOTE, g->id, "pregreet", F_INT("size", bytes.n),
              F_SPAN("said", span_sub(bytes, 0, bytes.n < 80 ? bytes.n : 80)));
    /* What is known now does not change by waiting; nor is such a client hurried along. */
    if (g->found[FOUND_PREGREET].reply && g->door->set->wall.refuse == WALL_AT_CONNECT) {
        stop_waiting(g);
        maybe_greet(g);
    }
}

void guest_named(struct guest *g, enum dns_status st)
{
    char text[IP_TEXT_SIZE];
    if (st == DNS_OK)
        guest_find(g, FOUND_NAME, WALL_FACT, "confirmed", "7.25", "%s", "");
    else if (st == DNS_TEMPFAIL)
        guest_find(g, FOUND_NAME, WALL_FACT, "unknown", "7.25", "%s", "");
    else
        guest_find(g, FOUND_NAME, g->door->set->wall.on_no_name, "none", "7.25",
                   "your address [%s] has no name in the DNS that leads back to it",
                   ip_text(&g->ip, text));
}

/* ---- life ---- */

struct guest *guest_new(struct door *d, const char *id, const struct ip *ip,
                        void (*on_change)(void *ctx), void *ctx)
{
    struct guest *g = xcalloc(1, sizeof *g);
    g->door = d;
    g->id = id;
    g->ip = *ip;
    g->asn = asn_of(d->asns, ip);
    g->on_change = on_change;
    g->ctx = ctx;
    return g;
}

static void timer_closed(uv_handle_t *h)
{
    free(h);
}

void guest_free(struct guest *g)
{
    if (!g)
        return;
    guest_sender_gone(g);
    if (g->clients)
        lists_cancel(g->clients);
    if (g->helo_lists)
        lists_cancel(g->helo_lists);
    if (g->helo_question)
        dns_cancel(g->helo_question);
    if (g->timer)
        uv_close((uv_handle_t *)g->timer, timer_closed);
    free(g->helo);
    for (size_t i = 0; i < FINDINGS; i++)
        guest_forget(g, (enum finding_id)i);
    free(g);
}
