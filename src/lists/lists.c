#include "lists/lists_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"

/* One question to one zone. */
struct inquiry {
    struct list_check *check;
    struct zone *zone;
    struct dns_question *question;
};

/* What is asked about one client or domain. */
struct list_check {
    struct lists *lists;
    struct list_check *prev, *next;
    lists_done_fn *done;
    void *ctx;
    uv_timer_t timer;
    struct list_result result;
    size_t waiting;
    bool ended, building;
    size_t n;
    struct inquiry v[];
};

/* ---- the zones ---- */

static struct zone *zone_of(struct lists *l, enum list_kind kind, struct span name)
{
    for (size_t i = 0; i < l->nzones; i++)
        if (l->zones[i].kind == kind && span_ieq(l->zones[i].name, name))
            return &l->zones[i];
    struct zone *z = &l->zones[l->nzones++];
    z->lists = l;
    z->name = name;
    z->kind = kind;
    return z;
}

static void add_lists(struct lists *l, enum list_kind kind, const struct strings *texts)
{
    for (size_t i = 0; i < texts->n; i++) {
        struct list_spec *spec = ARENA_NEW(l->arena, struct list_spec);
        struct err e;
        if (list_spec_parse(span_str(texts->v[i]), spec, &e) != 0)
            continue; /* the settings were checked */
        struct zone *z = zone_of(l, kind, spec->zone);
        *ARENA_PUSH(l->arena, z->specs, z->n, z->cap) = spec;
        if (spec->weight < 0)
            z->least += spec->weight;
    }
}

struct lists *lists_new(uv_loop_t *loop, struct dns *dns, const struct wall_settings *set)
{
    struct lists *l = xcalloc(1, sizeof *l);
    l->loop = loop;
    l->dns = dns;
    l->set = set;
    l->arena = arena_new(0);
    size_t most = set->dns_lists.n + set->helo_lists.n + set->sender_lists.n;
    l->zones = arena_array(l->arena, most + 1, sizeof *l->zones);
    add_lists(l, LIST_CLIENTS, &set->dns_lists);
    add_lists(l, LIST_HELO, &set->helo_lists);
    add_lists(l, LIST_SENDERS, &set->sender_lists);
    return l;
}

static void end_check(struct list_check *c);

void lists_free(struct lists *l)
{
    if (!l)
        return;
    while (l->open)
        end_check(l->open);
    for (size_t i = 0; i < l->nzones; i++)
        zone_stop_test(&l->zones[i]);
    arena_free(l->arena);
    free(l);
}

void lists_tick(struct lists *l, usec now)
{
    for (size_t i = 0; i < l->nzones; i++)
        if (l->set->list_test > 0 || l->zones[i].broken)
            zone_test(&l->zones[i], now);
}

bool lists_any(const struct lists *l, enum list_kind kind)
{
    for (size_t i = 0; i < l->nzones; i++)
        if (l->zones[i].kind == kind)
            return true;
    return false;
}

bool lists_state(const struct lists *l, size_t i, struct list_state *out)
{
    if (i >= l->nzones)
        return false;
    const struct zone *z = &l->zones[i];
    *out = (struct list_state){.zone = z->name,
                               .kind = z->kind,
                               .usable = !z->broken,
                               .why = z->broken,
                               .questions = z->questions,
                               .hits = z->hits,
                               .silent = z->silent};
    return true;
}

/* ---- one check ---- */

static void on_timer_closed(uv_handle_t *h)
{
    free(h->data);
}

/* Takes it off the list and gives it back; no callback. */
static void end_check(struct list_check *c)
{
    if (c->ended)
        return;
    c->ended = true;
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].question)
            dns_cancel(c->v[i].question);
    *(c->prev ? &c->prev->next : &c->lists->open) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

void lists_cancel(struct list_check *c)
{
    end_check(c);
}

static void finish(struct list_check *c)
{
    struct list_result r = c->result;
    lists_done_fn *done = c->done;
    void *ctx = c->ctx;
    end_check(c);
    done(ctx, &r);
}

/* Nothing that is still to come can change that this client is refused. */
static bool settled(const struct list_check *c)
{
    double least = c->result.score;
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].question)
            least += c->v[i].zone->least;
    return least >= c->lists->set->reject_score;
}

static void maybe_finish(struct list_check *c)
{
    if (!c->building && (c->waiting == 0 || settled(c)))
        finish(c);
}

static void on_late(uv_timer_t *t)
{
    struct list_check *c = t->data;
    static const struct dns_answer none = {.status = DNS_TEMPFAIL};
    for (size_t i = 0; i < c->n; i++) {
        if (!c->v[i].question)
            continue;
        c->result.silent++;
        zone_answer_sound(c->v[i].zone, &none);
    }
    finish(c);
}

static void count_hit(struct list_check *c, struct zone *z, const struct list_spec *spec,
                      const struct dns_answer *a)
{
    for (size_t i = 0; i < a->n; i++) {
        struct ip ip;
        if (!dns_rdata_ip(a->rdata[i], DNS_A, &ip) || !list_spec_counts(spec, &ip))
            continue;
        z->hits++;
        c->result.score += spec->weight;
        if (c->result.nhits < LIST_HITS_MAX)
            c->result.hits[c->result.nhits++] = (struct list_hit){spec, ip};
        return;
    }
}

static void on_answer(void *ctx, const struct dns_answer *a)
{
    struct inquiry *in = ctx;
    struct list_check *c = in->check;
    struct zone *z = in->zone;
    in->question = NULL;
    c->waiting--;
    if (a->status == DNS_TEMPFAIL)
        c->result.silent++;
    if (zone_answer_sound(z, a) && a->status == DNS_OK)
        for (size_t i = 0; i < z->n; i++)
            count_hit(c, z, z->specs[i], a);
    maybe_finish(c);
}

static bool question_name(const struct zone *z, const struct ip *ip, struct span domain,
                          char out[DNS_NAME_MAX])
{
    if (ip)
        return dns_reversed(ip, z->name, out);
    int n = snprintf(out, DNS_NAME_MAX, "%.*s.%.*s", SPAN_ARG(domain), SPAN_ARG(z->name));
    return n > 0 && n < DNS_NAME_MAX;
}

static void ask_zone(struct list_check *c, struct zone *z, const struct ip *ip, struct span domain)
{
    char name[DNS_NAME_MAX];
    if (z->broken || !question_name(z, ip, domain, name))
        return;
    struct inquiry *in = &c->v[c->n++];
    in->check = c;
    in->zone = z;
    c->waiting++;
    c->result.asked++;
    z->questions++;
    struct dns_question *q = dns_ask(c->lists->dns, span_str(name), DNS_A, on_answer, in);
    in->question = q; /* callbacks come from the loop, never from inside dns_ask */
}

static struct list_check *begin(struct lists *l, enum list_kind kind, const struct ip *ip,
                                struct span domain, lists_done_fn *done, void *ctx)
{
    struct list_check *c = xcalloc(1, sizeof *c + l->nzones * sizeof *c->v);
    c->lists = l;
    c->done = done;
    c->ctx = ctx;
    c->building = true;
    for (size_t i = 0; i < l->nzones; i++)
        if (l->zones[i].kind == kind)
            ask_zone(c, &l->zones[i], ip, domain);
    c->building = false;
    if (c->n == 0) {
        struct list_result none = {0};
        free(c);
        done(ctx, &none);
        return NULL;
    }
    c->next = l->open;
    if (c->next)
        c->next->prev = c;
    l->open = c;
    uv_timer_init(l->loop, &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, on_late, (uint64_t)(l->set->list_timeout / 1000), 0);
    return c;
}

struct list_check *lists_ask_client(struct lists *l, const struct ip *ip, lists_done_fn *done,
                                    void *ctx)
{
    return begin(l, LIST_CLIENTS, ip, SPAN_NONE, done, ctx);
}

struct list_check *lists_ask_domain(struct lists *l, enum list_kind kind, struct span domain,
                                    lists_done_fn *done, void *ctx)
{
    if (domain.n > 0 && domain.p[domain.n - 1] == '.')
        domain.n--;
    return begin(l, kind, NULL, domain, done, ctx);
}
