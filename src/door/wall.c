/* The wall as a session sees it. */
#include "door/wall.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "door/door_private.h"
#include "reputation/reputation.h"
#include "verdict/verdict.h"

/* ---- the door ---- */

void wall_open(struct door *d)
{
    const struct settings *set = d->set;
    char *path = xasprintf("%s/wall.mdb", set->paths.state);
    mkdir(set->paths.state, 0700);
    d->state = kv_open(path, set->state.size);
    free(path);
    struct err e;
    if (set->wall.asn_database && !(d->asns = asn_open(set->wall.asn_database, &e)))
        log_event(LOG_WARN, NULL, "asn-database-unusable", F_STR("why", e.text));
    d->lists = lists_new(&d->loop, d->dns, &set->wall);
    d->rates = rates_new(&set->rates, d->state);
}

void wall_stop(struct door *d)
{
    lists_free(d->lists);
    d->lists = NULL;
}

void wall_close(struct door *d)
{
    wall_spf_close(d);
    rates_free(d->rates);
    asn_close(d->asns);
    d->asns = NULL;
    kv_close(d->state);
    d->rates = NULL;
    d->state = NULL;
}

void wall_tick(struct door *d)
{
    kv_tick(d->state, clock_wall());
    if (d->set->wall.enabled)
        lists_tick(d->lists, clock_mono());
}

/* ---- who is a guest ---- */

static bool named_so(const struct strings *list, const char *name)
{
    char key[DOMAIN_KEY_SIZE];
    struct span n = span_of(key, domain_key(span_str(name), key));
    for (size_t i = 0; n.n && i < list->n; i++) {
        struct span want = span_str(list->v[i]);
        if (want.n && want.p[0] == '.' ? span_iends(n, want) : span_ieq(n, want))
            return true;
    }
    return false;
}

/* Clients that are nobody's business: our own. */
static bool is_ours(const struct door *d, const struct ip *ip)
{
    return ip_is_loopback(ip) || cidrs_have(&d->set->relay.networks, ip);
}

const char *wall_exempt(const struct door *d, const struct ip *ip, const char *name)
{
    const struct wall_settings *set = &d->set->wall;
    if (!set->enabled)
        return "off";
    if (is_ours(d, ip))
        return "our network";
    if (cidrs_have(&set->exempt_clients, ip))
        return "exempt_clients";
    if (name && named_so(&set->exempt_names, name))
        return "exempt_names";
    struct access_rule rule = access_client(d->access, ip, span_str(name));
    if (rule.verb == ACCESS_OK || rule.verb == ACCESS_RELAY)
        return "access map";
    return NULL;
}

/* ---- rates ---- */

static void tell_over(const struct conn *c, const struct rate_over *over, const char *done)
{
    log_event(LOG_NOTE, c->id, "rate-exceeded", F_STR("limit", over->spec->name),
              F_STR("whom", over->whom), F_STR("answer", done),
              F_INT("room-in-s", over->wait / USEC_PER_SEC));
}

static struct rate_keys keys_of(const struct conn *c)
{
    struct rate_keys k = {.user = span_str(c->user)};
    if (c->rated) {
        k.ip = &c->ip;
        k.asn = c->asn;
    }
    if (c->txn)
        k.sender = c->txn->req.env.from;
    return k;
}

static bool refuse_session(struct conn *c, const struct rate_over *over)
{
    char text[256];
    tell_over(c, over, "refused");
    int n = snprintf(text, sizeof text, "421 4.7.0 %s too many connections from %s",
                     c->door->set->hostname, over->whom);
    c->ending = "rate";
    smtp_refuse_text(&c->smtp, span_of(text, (size_t)n < sizeof text ? (size_t)n : 0));
    return false;
}

/* Counts the connection. wait: how long it is to be held back by a limit that delays. */
static bool count_connection(struct conn *c, usec *wait)
{
    struct door *d = c->door;
    struct rate_keys keys = keys_of(c);
    struct rate_over over;
    unsigned n;
    bool named = access_number(d->access, ACCESS_CLIENT_CONN, &c->ip, SPAN_NONE, &n) && n > 0;
    if (!rates_enter(d->rates, &keys, named ? (int64_t)n : -1, &c->stay, &over))
        return refuse_session(c, &over);
    if (access_number(d->access, ACCESS_CLIENT_RATE, &c->ip, SPAN_NONE, &n) && n > 0) {
        struct rate_spec spec = {.who = RATE_ADDRESS,
                                 .n = n,
                                 .burst = n,
                                 .per = 60 * USEC_PER_SEC,
                                 .name = "ClientRate"};
        if (!rates_count_one(d->rates, &spec, &keys, clock_wall(), &over))
            return refuse_session(c, &over);
    }
    if (rates_count(d->rates, RATE_CONNECTIONS, &keys, 1, clock_wall(), &over))
        return true;
    if (over.spec->answer != RATE_DELAY || over.wait > RATE_DELAY_MAX * USEC_PER_SEC)
        return refuse_session(c, &over);
    tell_over(c, &over, "delayed");
    *wait = over.wait;
    return true;
}

/* ---- the call ---- */

static void on_guest(void *ctx)
{
    struct conn *c = ctx;
    struct txn *t = c->txn;
    if (c->greeting) {
        conn_greet_on(c);
    } else if (t && t->wall_waits && !guest_pending(c->guest)) {
        t->wall_waits = false;
        wall_rcpt(c);
        conn_go_on(c);
    } else if (t && t->wall_asks && !guest_asking(c->guest)) {
        uv_timer_stop(c->delay);
        t->wall_asks = false;
        passage_begin(t);
    }
}

static usec greet_wait_of(const struct conn *c)
{
    unsigned ms;
    usec wait = c->door->set->wall.greet_wait;
    if (access_number(c->door->access, ACCESS_GREET_PAUSE, &c->ip, SPAN_NONE, &ms))
        wait = (usec)ms * 1000;
    return wait > 60 * USEC_PER_SEC ? 60 * USEC_PER_SEC : wait;
}

static void tease(struct conn *c)
{
    const struct settings *set = c->door->set;
    struct buf b = {0};
    if (!c->guest->waiting || !set->wall.teaser)
        return;
    buf_printf(&b, "220-%s %s\r\n", set->hostname, set->wall.teaser);
    stream_write(c->stream, buf_span(&b));
    buf_free(&b);
    c->teased = true;
}

bool wall_meet(struct conn *c, bool greet)
{
    struct door *d = c->door;
    usec held = 0;
    wall_leave(c);
    c->rated =
        c->has_ip && !is_ours(d, &c->ip) && !cidrs_have(&d->set->wall.exempt_clients, &c->ip);
    c->asn = c->rated ? asn_of(d->asns, &c->ip) : 0;
    if (c->rated && !count_connection(c, &held))
        return false;
    bool strangers = c->gate->set->profile == PROFILE_MX;
    if (!c->has_ip || !strangers || wall_exempt(d, &c->ip, NULL))
        return true;
    c->guest = guest_new(d, c->id, &c->ip, on_guest, c);
    usec wait = greet ? greet_wait_of(c) : 0;
    guest_call(c->guest, wait > held ? wait : held);
    if (greet)
        tease(c);
    return true;
}

void wall_named(struct conn *c, enum dns_status st)
{
    if (!c->guest)
        return;
    if (c->name && wall_exempt(c->door, &c->ip, c->name)) {
        guest_free(c->guest);
        c->guest = NULL;
        return;
    }
    guest_named(c->guest, st);
}

bool wall_holds_greeting(const struct conn *c)
{
    return c->guest && !guest_ready(c->guest);
}

bool wall_greets(struct conn *c)
{
    if (!c->guest)
        return true;
    guest_passed(c->guest);
    const struct finding *f = guest_refusal(c->guest);
    if (!f || c->teased || c->door->set->wall.refuse != WALL_AT_CONNECT)
        return true;
    struct buf b = {0};
    buf_str(&b, f->action == WALL_REJECT ? "554" : "421");
    buf_str(&b, f->reply + 3);
    c->ending = "wall";
    log_event(LOG_NOTE, c->id, "client-refused", F_STR("why", f->reply));
    smtp_refuse_text(&c->smtp, buf_span(&b));
    buf_free(&b);
    return false;
}

static void delay_closed(uv_handle_t *h)
{
    free(h);
}

void wall_leave(struct conn *c)
{
    guest_free(c->guest);
    c->guest = NULL;
    rates_leave(c->door->rates, &c->stay);
    if (c->delay)
        uv_close((uv_handle_t *)c->delay, delay_closed);
    c->delay = NULL;
}

/* ---- delays ---- */

static void hold_back(struct conn *c, usec in, uv_timer_cb then)
{
    if (!c->delay) {
        c->delay = xcalloc(1, sizeof *c->delay);
        uv_timer_init(&c->door->loop, c->delay);
        c->delay->data = c;
    }
    uv_timer_start(c->delay, then, (uint64_t)(in / 1000) + 1, 0);
}

/* What a limit that is exceeded does. true: the answer was given; false: it is held back, `then`
 * goes on. */
static bool over_limit(struct conn *c, const struct rate_over *over, struct span addr,
                       uv_timer_cb then)
{
    char text[256];
    int n;
    if (over->spec->answer == RATE_DELAY && over->wait <= RATE_DELAY_MAX * USEC_PER_SEC) {
        tell_over(c, over, "delayed");
        hold_back(c, over->wait, then);
        return false;
    }
    if (over->spec->answer == RATE_STOP) {
        rates_stop(c->door->rates, span_str(c->user), clock_wall());
        log_event(LOG_FAULT, c->id, "account-stopped", F_STR("user", c->user),
                  F_STR("limit", over->spec->name),
                  F_STR("release", "gatehouse wall release USER"));
        n = snprintf(text, sizeof text, "550 5.7.1 sending is stopped for this account (%s)",
                     c->id);
    } else {
        n = snprintf(text, sizeof text,
                     "450 4.7.1 too much from %s, try again in %lld seconds (%s)", over->whom,
                     (long long)(over->wait / USEC_PER_SEC + 1), c->id);
    }
    tell_over(c, over, over->spec->answer == RATE_STOP ? "stopped" : "put off");
    struct span reply = span_of(text, n > 0 && (size_t)n < sizeof text ? (size_t)n : 0);
    if (addr.p)
        rcpt_refuse(c, addr, R_DEFERRED, reply);
    else
        smtp_answer_text(&c->smtp, reply);
    return true;
}

/* ---- MAIL ---- */

static void mail_late(uv_timer_t *t)
{
    struct conn *c = t->data;
    smtp_answer(&c->smtp, R_MAIL_OK, NULL);
    conn_go_on(c);
}

/* The transaction exists; when MAIL is refused it must not stay. */
void wall_mail(struct conn *c, const struct smtp_path *from)
{
    struct rate_keys keys = keys_of(c);
    struct rate_over over;
    if (c->user && rates_stopped(c->door->rates, span_str(c->user), clock_wall())) {
        txn_end(c->txn);
        smtp_answer_text(&c->smtp, SPAN("550 5.7.1 sending is stopped for this account"));
        return;
    }
    if ((c->rated || c->user) &&
        !rates_count(c->door->rates, RATE_MESSAGES, &keys, 1, clock_wall(), &over)) {
        if (over_limit(c, &over, SPAN_NONE, mail_late))
            txn_end(c->txn);
        return;
    }
    if (c->guest && !c->smtp.authenticated) {
        guest_sender(c->guest, lookup_domain(c->txn->from));
        wall_spf_start(c->guest, from);
    }
    smtp_answer(&c->smtp, R_MAIL_OK, NULL);
}

/* ---- RCPT ---- */

bool wall_wanted_by(const struct door *d, struct span addr)
{
    const struct strings *l = &d->set->wall.exempt_recipients;
    for (size_t i = 0; i < l->n; i++)
        if (address_matches(l->v[i], addr))
            return true;
    return false;
}

static void admit(struct conn *c)
{
    struct span grey = wall_grey_rcpt(c);
    if (grey.p)
        rcpt_refuse(c, c->txn->pending.addr, R_DEFERRED, grey);
    else
        rcpt_admit(c);
}

static void rcpt_late(uv_timer_t *t)
{
    struct conn *c = t->data;
    admit(c);
    conn_go_on(c);
}

void wall_rcpt(struct conn *c)
{
    struct txn *t = c->txn;
    struct door *d = c->door;
    struct span addr = t->pending.addr;
    bool guest = c->guest && !c->smtp.authenticated;
    if (guest && guest_pending(c->guest)) {
        t->wall_waits = true;
        return;
    }
    const struct finding *f = guest ? guest_refusal(c->guest) : NULL;
    if (f && !wall_wanted_by(d, addr)) {
        rcpt_refuse(c, addr, R_RCPT_DENIED, span_str(f->reply));
        return;
    }
    struct rate_keys keys = keys_of(c);
    struct rate_over over;
    keys.rcpt = addr;
    if ((c->rated || c->user) &&
        (!rates_room(d->rates, RATE_BAD_RCPTS, &keys, 1, clock_wall(), &over) ||
         !rates_count(d->rates, RATE_RECIPIENTS, &keys, 1, clock_wall(), &over))) {
        over_limit(c, &over, addr, rcpt_late);
        return;
    }
    admit(c);
}

void wall_bad_rcpt(struct conn *c)
{
    struct rate_keys keys = keys_of(c);
    struct rate_over over;
    if (c->rated || c->user)
        rates_count(c->door->rates, RATE_BAD_RCPTS, &keys, 1, clock_wall(), &over);
}

/* ---- the message ---- */

static void facts_late(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    if (!c->txn || !c->txn->wall_asks)
        return;
    c->txn->wall_asks = false;
    passage_begin(c->txn);
}

void wall_content(struct conn *c)
{
    if (c->guest && guest_asking(c->guest)) {
        c->txn->wall_asks = true;
        hold_back(c, WALL_FACTS_MS * 1000, facts_late);
    } else {
        passage_begin(c->txn);
    }
}

static void add_fact(struct txn *t, const char *name, struct span value)
{
    struct scan_request *r = &t->req;
    struct fact *f = ARENA_PUSH(t->arena, r->facts, r->nfacts, r->facts_cap);
    f->name = name;
    f->value = arena_dup(t->arena, value);
}

/* The stranger that a message comes from, or NULL. */
static struct guest *guest_of(const struct txn *t)
{
    if (t->milter)
        return milter_guest(t->milter);
    return t->conn && !t->conn->smtp.authenticated ? t->conn->guest : NULL;
}

void wall_facts(struct txn *t)
{
    const struct conn *c = t->conn;
    const struct guest *g = guest_of(t);
    for (size_t i = 0; g && i < FINDINGS; i++)
        if (g->found[i].value)
            add_fact(t, finding_name((enum finding_id)i), span_str(g->found[i].value));
    if (g && c && c->smtp.faults)
        add_fact(t, "wall.manners", span_str(smtp_faults_text(c->smtp.faults)));
}

/* The rules have run, and what they say is about a stranger. */
static bool judged(const struct txn *t)
{
    return guest_of(t) && t->result.required > 0;
}

bool wall_waits(struct txn *t)
{
    if (!judged(t) || t->milter)
        return false;
    t->wait_reply = wall_grey_doubtful(t);
    return t->wait_reply.p;
}

void wall_learn(const struct txn *t)
{
    const struct door *d = t->door;
    const struct reputation_settings *set = &d->set->reputation;
    const struct scan_result *r = &t->result;
    if (!set->enabled || !judged(t))
        return;
    const struct guest *g = guest_of(t);
    bool bad = r->virus.n > 0 || r->score >= r->required;
    if (!bad && r->score > r->required / 2)
        return; /* neither good nor bad: nothing to be learned */
    for (int k = REP_ADDRESS; k <= REP_NETWORK; k++) {
        struct ip ip = reputation_address((enum reputation_kind)k, &g->ip);
        reputation_learn(d->state, set, (enum reputation_kind)k,
                         span_of((const char *)ip.b, sizeof ip.b), bad, clock_wall());
    }
    if (g->asn)
        reputation_learn(d->state, set, REP_ASN, span_of((const char *)&g->asn, sizeof g->asn), bad,
                         clock_wall());
}
