#include "action/action_private.h"

#include <jansson.h>

/* Outside bytes as JSON text: valid UTF-8 passes, everything else and NUL become U+FFFD. */
static size_t utf8_length(struct span s)
{
    unsigned char c = (unsigned char)s.p[0];
    if (c < 0x80)
        return c ? 1 : 0;
    size_t n = c >= 0xc2 && c <= 0xdf   ? 2
               : c >= 0xe0 && c <= 0xef ? 3
               : c >= 0xf0 && c <= 0xf4 ? 4
                                        : 0;
    if (n == 0 || n > s.n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)s.p[i] & 0xc0) != 0x80)
            return 0;
    unsigned char d = (unsigned char)s.p[1];
    bool bad = (c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) ||
               (c == 0xf4 && d > 0x8f);
    return bad ? 0 : n;
}

static json_t *text(struct span s)
{
    size_t good = 0;
    while (good < s.n) {
        size_t n = utf8_length(span_from(s, good));
        if (n == 0)
            break;
        good += n;
    }
    if (good == s.n)
        return json_stringn_nocheck(s.p ? s.p : "", s.n);
    struct buf b = {0};
    for (size_t i = 0; i < s.n;) {
        size_t n = utf8_length(span_from(s, i));
        buf_add(&b, n ? span_sub(s, i, i + n) : SPAN("\xef\xbf\xbd"));
        i += n ? n : 1;
    }
    json_t *j = json_stringn_nocheck(b.p, b.n);
    buf_free(&b);
    return j;
}

static void set_text(json_t *o, const char *key, struct span s)
{
    if (s.p)
        json_object_set_new_nocheck(o, key, text(s));
}

static void set_word(json_t *o, const char *key, const char *s)
{
    set_text(o, key, span_str(s));
}

static void set_real(json_t *o, const char *key, double v)
{
    json_object_set_new_nocheck(o, key, json_real(v));
}

static void set_count(json_t *o, const char *key, uint64_t v)
{
    json_object_set_new_nocheck(o, key, json_integer((json_int_t)v));
}

static void set_flag(json_t *o, const char *key, bool v)
{
    json_object_set_new_nocheck(o, key, json_boolean(v));
}

static json_t *child(json_t *o, const char *key, json_t *made)
{
    json_object_set_new_nocheck(o, key, made);
    return made;
}

static void peer(json_t *root, const struct peer *p)
{
    json_t *o = child(root, "peer", json_object());
    char ip[IP_TEXT_SIZE];
    if (p->has_ip) {
        set_word(o, "ip", ip_text(&p->ip, ip));
        set_count(o, "port", p->port);
    }
    set_text(o, "name", p->name);
    set_text(o, "helo", p->helo);
    set_text(o, "listener", p->listener);
    set_text(o, "protocol", p->protocol);
    set_text(o, "tls", p->tls_version);
    set_text(o, "cipher", p->tls_cipher);
    set_text(o, "user", p->auth_user);
}

static void envelope(json_t *root, const struct envelope *e)
{
    json_t *o = child(root, "envelope", json_object());
    set_text(o, "from", e->from);
    json_t *to = child(o, "to", json_array());
    for (size_t i = 0; i < e->nrcpts; i++)
        json_array_append_new(to, text(e->rcpts[i].addr));
    set_text(o, "envid", e->envid);
    if (e->smtputf8)
        set_flag(o, "smtputf8", true);
}

static void rules(json_t *root, const struct rules_facts *r)
{
    json_t *o = child(root, "rules", json_object());
    set_flag(o, "ran", r->ran);
    if (!r->ran)
        return;
    set_real(o, "score", r->score);
    set_real(o, "required", r->required);
    set_word(o, "version", r->version);
    json_t *hits = child(o, "hits", json_array());
    for (size_t i = 0; i < r->nhits; i++) {
        const struct rule_hit *h = &r->hits[i];
        json_t *hit = json_object();
        set_word(hit, "name", h->name);
        set_real(hit, "score", h->score);
        if (h->area && *h->area)
            set_text(hit, "area",
                     span_sub(span_str(h->area), 0, span_find(span_str(h->area), ':')));
        set_word(hit, "description", h->describe);
        set_text(hit, "evidence", h->evidence);
        if (h->count > 1)
            set_count(hit, "count", h->count);
        json_array_append_new(hits, hit);
    }
    json_t *subrules = child(o, "subrules", json_array());
    for (size_t i = 0; i < r->nsubrules; i++)
        json_array_append_new(subrules, text(span_str(r->subrules[i])));
    set_word(o, "autolearn", r->autolearn);
}

static const char *virus_state_name(enum virus_state s)
{
    static const char *const names[] = {
        [VIRUS_NOT_RUN] = "not run",     [VIRUS_CLEAN] = "clean",
        [VIRUS_FOUND] = "found",         [VIRUS_ERROR] = "error",
        [VIRUS_NO_ENGINE] = "no engine", [VIRUS_TOO_LARGE] = "too large",
        [VIRUS_ENCRYPTED] = "encrypted",
    };
    return names[s];
}

static void virus(json_t *root, const struct virus_facts *v)
{
    json_t *o = child(root, "virus", json_object());
    set_word(o, "state", virus_state_name(v->state));
    set_text(o, "name", v->name);
    set_text(o, "engine", v->engine);
    set_text(o, "detail", v->detail);
}

static void other_facts(json_t *root, const struct facts *f)
{
    json_t *skipped = child(root, "skipped", json_array());
    for (size_t i = 0; i < f->nskipped; i++) {
        json_t *o = json_object();
        set_word(o, "check", f->skipped[i].check);
        set_text(o, "why", f->skipped[i].why);
        json_array_append_new(skipped, o);
    }
    json_t *facts = child(root, "facts", json_object());
    for (size_t i = 0; i < f->nfacts; i++)
        set_text(facts, f->facts[i].name, f->facts[i].value);
}

static void decisions(json_t *root, const struct message *m, const struct verdict *v)
{
    json_t *list = child(root, "decisions", json_array());
    for (size_t i = 0; i < v->n; i++) {
        const struct decision *d = &v->v[i];
        json_t *o = json_object();
        set_word(o, "outcome", outcome_name(d->outcome));
        set_word(o, "reason", d->reason);
        set_text(o, "detail", d->detail);
        set_word(o, "policy", d->policy->name);
        set_flag(o, "spam", d->spam);
        set_real(o, "required", d->required);
        if (d->unscanned)
            set_flag(o, "unscanned", true);
        json_t *to = child(o, "recipients", json_array());
        for (size_t k = 0; k < d->nrcpts; k++)
            json_array_append_new(to, text(m->env.rcpts[d->rcpts[k]].addr));
        json_array_append_new(list, o);
    }
}

static int append(const char *bytes, size_t n, void *ctx)
{
    buf_add(ctx, span_of(bytes, n));
    return 0;
}

struct span action_receipt(const struct settings *set, const struct message *m,
                           const struct verdict *v, uint64_t micros, struct arena *a)
{
    char when[CLOCK_ISO_SIZE];
    json_t *root = json_object();
    set_count(root, "receipt", 1); /* version of this form */
    set_word(root, "id", m->id);
    set_word(root, "time", clock_iso(m->received, when));
    set_word(root, "gateway", set->hostname);
    set_word(root, "software", "gatehouse " GATEHOUSE_VERSION);
    set_word(root, "configuration", set->file ? set->file : "built-in defaults");
    set_count(root, "size", m->raw.n);
    if (m->has_envelope) {
        peer(root, &m->peer);
        envelope(root, &m->env);
    }
    rules(root, &m->facts.rules);
    virus(root, &m->facts.virus);
    other_facts(root, &m->facts);
    decisions(root, m, v);
    set_count(root, "micros", micros);

    struct buf b = {0};
    json_dump_callback(root, append, &b, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(root);
    struct span out = arena_dup(a, buf_span(&b));
    buf_free(&b);
    return out;
}
