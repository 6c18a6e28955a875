#include "spool/listing.h"

#include <fnmatch.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "base/xalloc.h"
#include "verdict/verdict.h"

enum { SHOW_HEADER_MAX = 64 * 1024 };

/* --- filter --- */

static int read_ids(const json_t *v, struct arena *a, struct listing_filter *f, struct err *e)
{
    if (!v)
        return 0;
    if (!json_is_array(v))
        return err_set(e, "ids is a list");
    f->ids = arena_array(a, json_array_size(v) + 1, sizeof *f->ids);
    for (size_t i = 0; i < json_array_size(v); i++) {
        const char *id = json_string_value(json_array_get(v, i));
        if (!id || !queue_id_valid(span_str(id)))
            return err_set(e, "'%s' is not the name of a message", id ? id : "?");
        f->ids[f->nids++] = id;
    }
    return 0;
}

static bool state_known(const char *s)
{
    static const char *const names[] = {"waiting", "deferred", "active", "held"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(s, names[i]) == 0)
            return true;
    return false;
}

int listing_filter_read(const json_t *o, struct arena *a, struct listing_filter *f, struct err *e)
{
    *f = (struct listing_filter){0};
    if (!o)
        return 0;
    if (!json_is_object(o))
        return err_set(e, "a filter is an object");
    f->recipient = json_string_value(json_object_get(o, "recipient"));
    f->sender = json_string_value(json_object_get(o, "sender"));
    f->destination = json_string_value(json_object_get(o, "destination"));
    f->state = json_string_value(json_object_get(o, "state"));
    f->older = (usec)json_integer_value(json_object_get(o, "older")) * USEC_PER_SEC;
    f->younger = (usec)json_integer_value(json_object_get(o, "younger")) * USEC_PER_SEC;
    f->all = json_is_true(json_object_get(o, "all"));
    if (f->state && !state_known(f->state))
        return err_set(e, "no state '%s': waiting, deferred, active or held", f->state);
    return read_ids(json_object_get(o, "ids"), a, f, e);
}

bool listing_filter_given(const struct listing_filter *f)
{
    return f->nids || f->recipient || f->sender || f->destination || f->state || f->older ||
           f->younger;
}

static bool id_matches(const struct listing_filter *f, const struct queue_msg *m)
{
    for (size_t i = 0; i < f->nids; i++) {
        const char *id = f->ids[i];
        if (strcmp(id, m->id) == 0 || (strlen(id) == ID_LEN && strncmp(id, m->id, ID_LEN) == 0))
            return true;
    }
    return f->nids == 0;
}

static bool sender_matches(const char *pattern, struct span from)
{
    if (strcmp(pattern, "<>") == 0)
        return from.n == 0;
    return address_matches(pattern, from);
}

static bool message_matches(const struct listing *l, const struct queue_msg *m)
{
    const struct listing_filter *f = &l->filter;
    usec age = l->now - m->created;
    return id_matches(f, m) && (!f->sender || sender_matches(f->sender, m->from)) &&
           (!f->older || age >= f->older) && (!f->younger || age <= f->younger);
}

static bool state_matches(const char *state, const struct queue_rcpt *r)
{
    if (strcmp(state, "held") == 0)
        return r->state == Q_HELD;
    if (r->state != Q_WAITING)
        return false;
    if (strcmp(state, "active") == 0)
        return r->active;
    if (strcmp(state, "deferred") == 0)
        return !r->active && r->reason;
    return true;
}

static const char *destination_of(const struct listing *l, struct arena *a, struct span addr)
{
    struct span domain = addr_domain(a, addr);
    const struct route *r = l->routes ? routes_find(l->routes, domain) : NULL;
    return r ? arena_cstr(a, route_key(r, domain, a)) : "";
}

static bool destination_matches(const struct listing *l, struct span addr)
{
    arena_reset(l->scratch);
    const char *to = destination_of(l, l->scratch, addr);
    return fnmatch(l->filter.destination, to, FNM_NOESCAPE) == 0 ||
           strcmp(l->filter.destination, to) == 0;
}

bool listing_next(const struct listing *l, const struct queue_msg *m, uint32_t *i)
{
    const struct listing_filter *f = &l->filter;
    uint32_t at = i ? *i : 0;
    if (!message_matches(l, m))
        return false;
    for (; at < m->nrcpts; at++) {
        const struct queue_rcpt *r = &m->rcpts[at];
        if (queue_state_final(r->state) || (f->state && !state_matches(f->state, r)) ||
            (f->recipient && !address_matches(f->recipient, r->addr)) ||
            (f->destination && !destination_matches(l, r->addr)))
            continue;
        if (i)
            *i = at;
        return true;
    }
    return false;
}

/* --- JSON --- */

json_t *listing_string(struct span s)
{
    json_t *v = json_stringn(s.p ? s.p : "", s.n);
    if (v)
        return v;
    struct buf b = {0};
    utf8_add(&b, s);
    v = json_stringn(b.p, b.n);
    buf_free(&b);
    return v;
}

static json_t *time_json(usec t)
{
    char text[CLOCK_ISO_SIZE];
    return t ? json_string(clock_iso(t, text)) : json_null();
}

static json_t *flags_json(unsigned flags)
{
    static const char *const names[] = {"unscanned", "no-bounce", "notice", "released",
                                        "sender-ours"};
    json_t *v = json_array();
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (flags & 1u << i)
            json_array_append_new(v, json_string(names[i]));
    return v;
}

static const char *shown_state(const struct queue_rcpt *r)
{
    if (r->state != Q_WAITING)
        return queue_state_name(r->state);
    return r->active ? "active" : r->reason ? "deferred" : "waiting";
}

static json_t *recipient_json(const struct listing *l, const struct queue_rcpt *r)
{
    arena_reset(l->scratch);
    json_t *o = json_object();
    json_object_set_new(o, "address", listing_string(r->addr));
    json_object_set_new(o, "state", json_string(shown_state(r)));
    json_object_set_new(o, "tries", json_integer(r->tries));
    json_object_set_new(o, "last", time_json(r->last));
    json_object_set_new(o, "next", r->state == Q_WAITING ? time_json(r->next) : json_null());
    json_object_set_new(o, "reason", r->reason ? listing_string(span_str(r->reason)) : json_null());
    if (l->routes)
        json_object_set_new(o, "destination",
                            listing_string(span_str(destination_of(l, l->scratch, r->addr))));
    return o;
}

static json_t *message_json(const struct listing *l, const struct queue_msg *m, bool all)
{
    json_t *o = json_object(), *rcpts = json_array();
    json_object_set_new(o, "id", json_string(m->id));
    json_object_set_new(o, "created", time_json(m->created));
    json_object_set_new(o, "age", json_integer((l->now - m->created) / USEC_PER_SEC));
    json_object_set_new(o, "size", json_integer((json_int_t)m->size));
    json_object_set_new(o, "from", listing_string(m->from));
    json_object_set_new(o, "flags", flags_json(m->flags));
    for (uint32_t i = 0; all ? i < m->nrcpts : listing_next(l, m, &i); i++)
        json_array_append_new(rcpts, recipient_json(l, &m->rcpts[i]));
    json_object_set_new(o, "recipients", rcpts);
    return o;
}

json_t *listing_message(const struct listing *l, const struct queue_msg *m)
{
    return message_json(l, m, false);
}

static void set_string(json_t *o, const char *key, struct span s)
{
    if (s.n)
        json_object_set_new(o, key, listing_string(s));
}

static json_t *peer_json(const struct peer *p)
{
    json_t *o = json_object();
    char ip[IP_TEXT_SIZE];
    if (p->has_ip)
        json_object_set_new(o, "ip", json_string(ip_text(&p->ip, ip)));
    set_string(o, "name", p->name);
    set_string(o, "helo", p->helo);
    set_string(o, "listener", p->listener);
    set_string(o, "protocol", p->protocol);
    set_string(o, "tls", p->tls_version);
    set_string(o, "user", p->auth_user);
    return o;
}

static struct span header_of(struct span head)
{
    size_t end = span_search(head, SPAN("\r\n\r\n"));
    return span_sub(head, 0, end == SIZE_MAX ? head.n : end + 2);
}

json_t *listing_details(const struct listing *l, struct queue *q, struct queue_msg *m)
{
    json_t *o = message_json(l, m, true);
    struct arena *a = arena_new(0);
    struct queue_meta meta;
    struct span head;
    struct err e;
    if (queue_fetch(q, m, a, SHOW_HEADER_MAX, &meta, &head, &e) < 0) {
        json_object_set_new(o, "damaged", json_string(e.text));
    } else {
        set_string(o, "envid", meta.env.envid);
        json_object_set_new(o, "smtputf8", json_boolean(meta.env.smtputf8));
        json_object_set_new(o, "8bit", json_boolean(meta.env.body_8bit));
        json_object_set_new(o, "peer", peer_json(&meta.peer));
        json_object_set_new(o, "header", listing_string(header_of(head)));
    }
    arena_free(a);
    return o;
}

/* --- actions --- */

bool listing_action(const char *action)
{
    static const char *const names[] = {"retry", "hold", "release", "delete"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(action, names[i]) == 0)
            return true;
    return false;
}

bool listing_change(const char *action, const struct queue_rcpt *r, usec now,
                    struct queue_change *c)
{
    *c = (struct queue_change){.state = r->state,
                               .next = r->next,
                               .last = r->last,
                               .tries = r->tries,
                               .warned = r->warned};
    if (strcmp(action, "hold") == 0 && r->state == Q_WAITING && !r->active)
        c->state = Q_HELD;
    else if (strcmp(action, "release") == 0 && r->state == Q_HELD)
        c->state = Q_WAITING;
    else if (strcmp(action, "delete") == 0)
        c->state = Q_DELETED;
    else if (strcmp(action, "retry") != 0 || r->state != Q_WAITING || r->active)
        return false;
    if (c->state == Q_WAITING)
        c->next = now;
    return true;
}

/* --- ids --- */

struct row {
    usec created;
    listing_id id;
};

struct rows {
    const struct listing *l;
    struct row *v;
    size_t n, cap;
};

static void add_row(void *ctx, struct queue_msg *m)
{
    struct rows *r = ctx;
    if (!listing_next(r->l, m, NULL))
        return;
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 64;
        r->v = xrealloc(r->v, r->cap * sizeof *r->v);
    }
    r->v[r->n].created = m->created;
    memcpy(r->v[r->n].id, m->id, sizeof m->id);
    r->n++;
}

static int by_age(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int c = (x->created > y->created) - (x->created < y->created);
    return c ? c : strcmp(x->id, y->id);
}

listing_id *listing_ids(const struct listing *l, struct queue *q, size_t *n)
{
    struct rows r = {.l = l};
    queue_each(q, add_row, &r);
    if (r.n)
        qsort(r.v, r.n, sizeof *r.v, by_age);
    listing_id *ids = xmalloc((r.n + 1) * sizeof *ids);
    for (size_t i = 0; i < r.n; i++)
        memcpy(ids[i], r.v[i].id, sizeof *ids);
    free(r.v);
    *n = r.n;
    return ids;
}
