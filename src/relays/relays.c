/* The list of relays of a message, newest first, and how far the trust goes (semantics 6.5). */
#include "relays/relays_private.h"

#include "relays/ip_pattern.h"

/* A message with more Received lines than this (loops are cut long before) has the rest unread. */
enum { RECEIVED_LINES_MAX = 1000 };

struct walk {
    struct relays *out;
    const struct relays_settings *s;
    struct arena *a;
    struct template_match matcher;
    struct received_carry carry;
    bool in_trusted, in_internal, found_msa, fetch_ok;
};

static void write_text(struct arena *a, struct relay *r)
{
    struct span env = r->envfrom.n == 1 && r->envfrom.p[0] == '0' ? SPAN("") : r->envfrom;
    const struct span parts[] = {
        SPAN("[ ip="),     r->ip,
        SPAN(" rdns="),    r->rdns,
        SPAN(" helo="),    r->helo,
        SPAN(" by="),      r->by,
        SPAN(" ident="),   r->ident,
        SPAN(" envfrom="), env,
        SPAN(" intl="),    r->internal ? SPAN("1") : SPAN("0"),
        SPAN(" id="),      r->id,
        SPAN(" auth="),    r->auth,
        SPAN(" msa="),     r->msa ? SPAN("1") : SPAN("0"),
        SPAN(" ]"),
    };
    r->text = arena_concat(a, parts, sizeof parts / sizeof *parts);
}

/* Where nothing is configured, private addresses and authenticated senders are trusted. */
static void decide_by_guess(struct walk *w, const struct relay *r)
{
    if (!r->is_private && !r->auth.n)
        w->in_trusted = w->in_internal = false;
}

static void decide_by_networks(struct walk *w, struct relay *r)
{
    const struct relays_settings *s = w->s;
    const struct netset *trusted = s->trusted.configured ? &s->trusted : &s->internal;
    const struct netset *internal = s->internal.configured ? &s->internal : &s->trusted;
    if (!r->auth.n && !netset_has(trusted, r->ip)) {
        w->in_trusted = w->in_internal = false;
        return;
    }
    if (w->in_internal && !r->auth.n && !netset_has(internal, r->ip))
        w->in_internal = false;
    if (netset_has(&s->msa, r->ip))
        w->found_msa = r->msa = true;
}

static void place(struct walk *w, struct relay *r)
{
    struct relays *o = w->out;
    if (w->in_trusted && !w->found_msa) {
        if (w->s->trusted.configured || w->s->internal.configured)
            decide_by_networks(w, r);
        else
            decide_by_guess(w, r);
    }
    r->trusted = w->in_trusted;
    r->internal = w->in_internal;
    write_text(w->a, r);
    if (w->in_trusted) {
        o->trusted[o->ntrusted++] = r;
        o->last_trusted++;
    } else {
        o->untrusted[o->nuntrusted++] = r;
    }
    w->fetch_ok = w->in_trusted;
    if (w->in_internal) {
        o->internal[o->ninternal++] = r;
        o->last_internal++;
    } else {
        o->external[o->nexternal++] = r;
    }
}

static void read_line(struct walk *w, struct span value)
{
    struct relays *o = w->out;
    struct span carried = w->carry.envfrom;
    w->carry.envfrom = SPAN_NONE;
    struct relay *r = &o->v[o->n];
    enum received_result result = received_parse(&w->matcher, value, r, &w->carry);
    if (result == RECEIVED_RELAY) {
        if (carried.n)
            r->envfrom = carried;
        o->n++;
        place(w, r);
        return;
    }
    if (result == RECEIVED_UNPARSEABLE)
        o->unparseable++;
    if (result == RECEIVED_FETCHED && w->fetch_ok)
        o->ntrusted = o->ninternal = o->nexternal = 0;
    o->last_trusted += w->in_trusted;
    o->last_internal += w->in_internal;
}

static struct span join(struct arena *a, struct relay **list, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += list[i]->text.n + 1;
    char *p = arena_raw(a, size + 1);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            p[at++] = ' ';
        memcpy(p + at, list[i]->text.p, list[i]->text.n);
        at += list[i]->text.n;
    }
    p[at] = '\0';
    return span_of(p, at);
}

static void read_originating(struct walk *w, struct mime *m)
{
    const struct mime_fields *f = &m->root->fields;
    for (size_t i = 0; i < w->s->noriginating; i++) {
        struct mime_field *field = mime_last(f, w->s->originating_ip_headers[i]);
        struct span ip;
        if (field && ip_pattern_find(mime_decoded(m, field), 0, &ip))
            read_line(w, arena_printf(w->a, "from X-Originating-IP: %.*s", SPAN_ARG(ip)));
    }
}

static struct relays *new_relays(struct arena *a, size_t most)
{
    struct relays *o = ARENA_NEW(a, struct relays);
    o->v = arena_array(a, most, sizeof *o->v);
    o->cap = most;
    o->trusted = arena_array(a, most, sizeof *o->trusted);
    o->untrusted = arena_array(a, most, sizeof *o->untrusted);
    o->internal = arena_array(a, most, sizeof *o->internal);
    o->external = arena_array(a, most, sizeof *o->external);
    o->last_trusted = o->last_internal = -1;
    return o;
}

struct relays *relays_parse(struct mime *m, const struct relays_settings *s,
                            struct template_memory *memory)
{
    const struct mime_fields *f = &m->root->fields;
    size_t lines = 0;
    for (size_t i = mime_find(f, SPAN("Received"), 0); i < f->n && lines < RECEIVED_LINES_MAX;
         i = mime_find(f, SPAN("Received"), i + 1))
        lines++;
    struct walk w = {.out = new_relays(m->arena, lines + s->noriginating + 1),
                     .s = s,
                     .a = m->arena,
                     .matcher = {.arena = m->arena, .memory = memory},
                     .in_trusted = true,
                     .in_internal = true,
                     .fetch_ok = true};
    for (size_t i = mime_find(f, SPAN("Received"), 0); lines-- > 0;
         i = mime_find(f, SPAN("Received"), i + 1))
        read_line(&w, mime_decoded(m, &m->root->fields.v[i]));
    read_originating(&w, m);
    struct relays *o = w.out;
    o->trusted_text = join(m->arena, o->trusted, o->ntrusted);
    o->untrusted_text = join(m->arena, o->untrusted, o->nuntrusted);
    o->internal_text = join(m->arena, o->internal, o->ninternal);
    o->external_text = join(m->arena, o->external, o->nexternal);
    return o;
}
