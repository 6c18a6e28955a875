#include "action/action_private.h"
#include "base/json.h"

/* Version of the form, for those who read receipts later. */
enum { RECEIPT_FORM = 1 };

static void word(struct buf *b, const char *key, const char *s)
{
    json_text(b, key, span_str(s));
}

static void peer(struct buf *b, const struct peer *p)
{
    char ip[IP_TEXT_SIZE];
    json_open(b, "peer", '{');
    if (p->has_ip) {
        word(b, "ip", ip_text(&p->ip, ip));
        json_count(b, "port", p->port);
    }
    json_text(b, "name", p->name);
    json_text(b, "helo", p->helo);
    json_text(b, "listener", p->listener);
    json_text(b, "protocol", p->protocol);
    json_text(b, "tls", p->tls_version);
    json_text(b, "cipher", p->tls_cipher);
    json_text(b, "user", p->auth_user);
    json_close(b, '{');
}

static void envelope(struct buf *b, const struct envelope *e)
{
    json_open(b, "envelope", '{');
    json_text(b, "from", e->from);
    json_open(b, "to", '[');
    for (size_t i = 0; i < e->nrcpts; i++)
        json_text(b, NULL, e->rcpts[i].addr);
    json_close(b, '[');
    json_text(b, "envid", e->envid);
    if (e->smtputf8)
        json_flag(b, "smtputf8", true);
    json_close(b, '{');
}

static void rules(struct buf *b, const struct rules_facts *r)
{
    json_open(b, "rules", '{');
    json_flag(b, "ran", r->ran);
    if (r->ran) {
        json_number(b, "score", r->score);
        json_number(b, "required", r->required);
        word(b, "version", r->version);
        word(b, "autolearn", r->autolearn);
        json_open(b, "hits", '[');
        for (size_t i = 0; i < r->nhits; i++) {
            const struct rule_hit *h = &r->hits[i];
            struct span area = span_str(h->area);
            json_open(b, NULL, '{');
            word(b, "name", h->name);
            json_number(b, "score", h->score);
            if (area.n)
                json_text(b, "area", span_sub(area, 0, span_find(area, ':')));
            word(b, "description", h->describe);
            json_text(b, "evidence", h->evidence);
            if (h->count > 1)
                json_count(b, "count", h->count);
            json_close(b, '{');
        }
        json_close(b, '[');
        json_open(b, "subrules", '[');
        for (size_t i = 0; i < r->nsubrules; i++)
            word(b, NULL, r->subrules[i]);
        json_close(b, '[');
    }
    json_close(b, '{');
}

static void virus(struct buf *b, const struct virus_facts *v)
{
    static const char *const states[] = {
        [VIRUS_NOT_RUN] = "not run",     [VIRUS_CLEAN] = "clean",
        [VIRUS_FOUND] = "found",         [VIRUS_ERROR] = "error",
        [VIRUS_NO_ENGINE] = "no engine", [VIRUS_TOO_LARGE] = "too large",
        [VIRUS_ENCRYPTED] = "encrypted",
    };
    json_open(b, "virus", '{');
    word(b, "state", states[v->state]);
    json_text(b, "name", v->name);
    json_text(b, "engine", v->engine);
    json_text(b, "detail", v->detail);
    if (v->nparts) { /* looked for, because the message might be cleaned */
        json_open(b, "parts", '[');
        for (size_t i = 0; i < v->nparts; i++) {
            json_open(b, NULL, '{');
            json_count(b, "number", v->parts[i].number);
            json_text(b, "name", v->parts[i].name);
            json_close(b, '{');
        }
        json_close(b, '[');
    }
    json_close(b, '{');
}

static void other_facts(struct buf *b, const struct facts *f)
{
    json_open(b, "skipped", '[');
    for (size_t i = 0; i < f->nskipped; i++) {
        json_open(b, NULL, '{');
        word(b, "check", f->skipped[i].check);
        json_text(b, "why", f->skipped[i].why);
        json_close(b, '{');
    }
    json_close(b, '[');
    json_open(b, "facts", '{');
    for (size_t i = 0; i < f->nfacts; i++)
        json_text(b, f->facts[i].name, f->facts[i].value);
    json_close(b, '{');
}

/* The policies that held, and what each of them did. */
static void policies(struct buf *b, const struct decision *d)
{
    json_open(b, "policies", '[');
    for (size_t i = 0; i < d->napplied; i++) {
        const struct applied *x = &d->applied[i];
        json_open(b, NULL, '{');
        word(b, "name", x->policy->name);
        json_text(b, "why", span_str(x->why));
        if (x->policy->actions.n) {
            json_open(b, "do", '[');
            for (size_t k = 0; k < x->policy->actions.n; k++)
                word(b, NULL, action_name(x->policy->actions.v[k].kind));
            json_close(b, '[');
        }
        json_close(b, '{');
    }
    json_close(b, '[');
}

static void decisions(struct buf *b, const struct message *m, const struct verdict *v)
{
    json_open(b, "decisions", '[');
    for (size_t i = 0; i < v->n; i++) {
        const struct decision *d = &v->v[i];
        json_open(b, NULL, '{');
        word(b, "outcome", outcome_name(d->outcome));
        word(b, "reason", d->reason);
        json_text(b, "detail", d->detail);
        word(b, "policy", d->policy->name);
        policies(b, d);
        json_flag(b, "spam", d->spam);
        json_number(b, "required", d->required);
        if (d->unscanned)
            json_flag(b, "unscanned", true);
        if (d->opinion)
            rules(b, &d->opinion->rules);
        json_open(b, "recipients", '[');
        for (size_t k = 0; k < d->nrcpts; k++)
            json_text(b, NULL, m->env.rcpts[d->rcpts[k]].addr);
        json_close(b, '[');
        json_close(b, '{');
    }
    json_close(b, '[');
}

struct span action_receipt(const struct settings *set, const struct message *m,
                           const struct verdict *v, uint64_t micros, struct arena *a)
{
    char when[CLOCK_ISO_SIZE];
    struct buf b = {0};
    json_open(&b, NULL, '{');
    json_count(&b, "receipt", RECEIPT_FORM);
    word(&b, "id", m->id);
    word(&b, "time", clock_iso(m->received, when));
    word(&b, "gateway", set->hostname);
    word(&b, "software", "gatehouse " GATEHOUSE_VERSION);
    word(&b, "configuration", set->file ? set->file : "built-in defaults");
    json_count(&b, "size", m->raw.n);
    json_count(&b, "micros", micros);
    if (m->has_envelope) {
        peer(&b, &m->peer);
        envelope(&b, &m->env);
    }
    decisions(&b, m, v);
    rules(&b, &m->facts.rules);
    virus(&b, &m->facts.virus);
    other_facts(&b, &m->facts);
    json_close(&b, '{');
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}
