/* Greylisting in a session: for each recipient, or after DATA for messages that are in doubt. */
#include "door/wall.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/spf.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "door/door_private.h"
#include "greylist/greylist.h"

enum { GREY_RCPTS_MAX = 100 }; /* of one message that are asked for after DATA */

/* ---- SPF ---- */

/* Lives until its answers have come, also when the guest has gone (auth/resolver.h). */
struct spf_try {
    struct spf_try *prev, *next;
    struct door *door;
    struct guest *guest; /* NULL: gone */
    struct arena *arena;
    struct resolver resolver;
    struct spf_fact fact;
    bool starting, ended; /* inside spf_check; it ended in there */
};

static void ask_dns(void *ctx, struct span name, enum dns_type type, dns_answer_fn *done,
                    void *done_ctx)
{
    struct spf_try *s = ctx;
    dns_ask(s->door->dns, name, type, done, done_ctx);
}

static void free_try(struct spf_try *s)
{
    *(s->prev ? &s->prev->next : &s->door->spf_tries) = s->next;
    if (s->next)
        s->next->prev = s->prev;
    arena_free(s->arena);
    free(s);
}

static void spf_done(void *ctx)
{
    struct spf_try *s = ctx;
    struct guest *g = s->guest;
    if (g) {
        g->spf = NULL;
        g->blocking--;
        if (s->fact.result == SPF_PASS) {
            g->spf_domain = xmalloc(s->fact.domain.n + 1);
            memcpy(g->spf_domain, s->fact.domain.p, s->fact.domain.n);
            g->spf_domain[s->fact.domain.n] = '\0';
        }
    }
    s->ended = true;
    if (!s->starting)
        free_try(s);
    if (g && !guest_pending(g))
        guest_changed(g);
}

void wall_spf_start(struct guest *g, const struct smtp_path *from)
{
    struct door *d = g->door;
    const struct greylist_settings *set = &d->set->greylist;
    if (set->mode != GREY_ALL || !set->spf || from->null || from->literal || from->at == from->n)
        return;
    struct spf_try *s = xcalloc(1, sizeof *s);
    s->door = d;
    s->guest = g;
    s->arena = arena_new(0);
    s->resolver = (struct resolver){ask_dns, s};
    s->next = d->spf_tries;
    if (s->next)
        s->next->prev = s;
    d->spf_tries = s;
    struct spf_query *q = ARENA_NEW(s->arena, struct spf_query);
    *q = (struct spf_query){.ip = g->ip,
                            .domain = arena_dup(s->arena, path_domain(from)),
                            .sender = arena_dup(s->arena, path_addr(from)),
                            .helo = arena_dup(s->arena, span_str(g->helo)),
                            .receiver = d->set->hostname,
                            .scope = SPF_MFROM,
                            .now = clock_wall()};
    g->spf = s;
    g->blocking++;
    bool was = g->busy;
    g->busy = s->starting = true;
    spf_check(q, &s->resolver, s->arena, &s->fact, spf_done, s);
    g->busy = was;
    s->starting = false;
    if (s->ended)
        free_try(s);
}

void wall_spf_gone(struct guest *g)
{
    if (g->spf) {
        g->spf->guest = NULL;
        g->blocking--;
    }
    g->spf = NULL;
    free(g->spf_domain);
    g->spf_domain = NULL;
}

void wall_spf_close(struct door *d)
{
    while (d->spf_tries)
        free_try(d->spf_tries);
}

/* ---- asking ---- */

static struct grey_result ask(const struct conn *c, struct span rcpt, struct span spf_domain)
{
    struct grey_query q = {.ip = c->ip,
                           .helo = span_str(c->helo),
                           .sender = c->txn->req.env.from,
                           .rcpt = rcpt,
                           .spf_domain = spf_domain};
    return greylist_ask(c->door->state, &c->door->set->greylist, &q, clock_wall());
}

static bool applies(const struct conn *c, enum greylist_mode mode)
{
    return c->guest && !c->smtp.authenticated && !c->guest->trusted &&
           c->door->set->greylist.mode == mode;
}

static struct span reply(struct txn *t, const struct grey_result *r)
{
    return arena_printf(t->arena, "451 4.7.1 not known here yet, try again in %lld seconds (%s)",
                        (long long)((r->wait + USEC_PER_SEC - 1) / USEC_PER_SEC), t->req.id);
}

static void tell(const struct txn *t, const struct grey_result *r, struct span rcpt)
{
    log_event(LOG_NOTE, t->req.id, grey_waits(r->answer) ? "greylisted" : "greylist-passed",
              F_SPAN("from", t->req.env.from), F_SPAN("to", rcpt),
              F_STR("as", grey_answer_name(r->answer)), F_INT("wait-s", r->wait / USEC_PER_SEC),
              F_INT("waited-s", r->waited / USEC_PER_SEC));
}

static void find(const struct conn *c, const struct grey_result *r)
{
    char text[64];
    snprintf(text, sizeof text, r->answer == GREY_AGAIN ? "%s after %lld s" : "%s",
             grey_answer_name(r->answer), (long long)(r->waited / USEC_PER_SEC));
    guest_find(c->guest, FOUND_GREYLIST, WALL_FACT, text, "7.1", "%s", "");
}

struct span wall_grey_rcpt(struct conn *c)
{
    struct txn *t = c->txn;
    if (!applies(c, GREY_ALL) || t->proven)
        return SPAN_NONE;
    struct grey_result r = ask(c, t->pending.addr, span_str(c->guest->spf_domain));
    if (r.answer != GREY_KNOWN && r.answer != GREY_PROVEN)
        tell(t, &r, t->pending.addr);
    find(c, &r);
    return grey_waits(r.answer) ? reply(t, &r) : SPAN_NONE;
}

/* SMTP has one answer after DATA: while one recipient's triple waits, the message does. */
struct span wall_grey_doubtful(struct txn *t)
{
    const struct conn *c = t->conn;
    const struct greylist_settings *set = &t->door->set->greylist;
    double score = t->result.score;
    bool proven = t->nproven && t->nproven == t->req.env.nrcpts;
    if (!applies(c, GREY_DOUBTFUL) || proven || score < set->score_from || score >= set->score_to)
        return SPAN_NONE;
    struct grey_result worst = {.answer = GREY_PROVEN};
    for (size_t i = 0; i < t->req.env.nrcpts && i < GREY_RCPTS_MAX; i++) {
        struct grey_result r = ask(c, t->req.env.rcpts[i].addr, t->result.spf_domain);
        if (r.answer < worst.answer || r.wait > worst.wait)
            worst = r;
    }
    if (worst.answer != GREY_PROVEN)
        tell(t, &worst, t->req.env.nrcpts ? t->req.env.rcpts[0].addr : SPAN(""));
    return grey_waits(worst.answer) ? reply(t, &worst) : SPAN_NONE;
}
