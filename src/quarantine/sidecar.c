#include "quarantine/quarantine_private.h"

#include <jansson.h>
#include <stdlib.h>

/* Version of the form. */
enum { SIDECAR_FORM = 1 };

const char *quarantine_state_name(enum quarantine_state s)
{
    static const char *const names[] = {"held", "released", "deleted"};
    return (size_t)s < 3 ? names[s] : "unknown";
}

size_t item_count(const struct quarantine_item *x, enum quarantine_state s)
{
    size_t n = 0;
    for (size_t i = 0; i < x->nrcpts; i++)
        n += x->rcpts[i].state == s;
    return n;
}

/* --- writing --- */

/* JSON text is UTF-8; the few strings of a message that are not are kept as {"hex": "..."}. */
static json_t *hex(struct span s)
{
    struct buf b = {0};
    for (size_t i = 0; i < s.n; i++)
        buf_printf(&b, "%02x", (unsigned char)s.p[i]);
    json_t *j = json_pack("{s:s%}", "hex", b.p ? b.p : "", b.n);
    buf_free(&b);
    return j;
}

static json_t *text(struct span s)
{
    json_t *j = json_stringn(s.p, s.n);
    return j ? j : hex(s);
}

static void put(json_t *o, const char *key, struct span s)
{
    if (s.p)
        json_object_set_new(o, key, text(s));
}

static void put_number(json_t *o, const char *key, int64_t v)
{
    json_object_set_new(o, key, json_integer(v));
}

static json_t *peer_json(const struct peer *p)
{
    char ip[IP_TEXT_SIZE];
    json_t *o = json_object();
    if (p->has_ip) {
        put(o, "ip", span_str(ip_text(&p->ip, ip)));
        put_number(o, "port", p->port);
    }
    put(o, "name", p->name);
    put(o, "helo", p->helo);
    put(o, "listener", p->listener);
    put(o, "protocol", p->protocol);
    put(o, "tls_version", p->tls_version);
    put(o, "tls_cipher", p->tls_cipher);
    put(o, "auth_user", p->auth_user);
    if (p->may_relay)
        json_object_set_new(o, "may_relay", json_true());
    return o;
}

static json_t *envelope_json(const struct envelope *env)
{
    json_t *o = json_object();
    put(o, "from", env->from.p ? env->from : SPAN(""));
    put(o, "envid", env->envid);
    put_number(o, "ret", env->ret);
    json_object_set_new(o, "smtputf8", json_boolean(env->smtputf8));
    json_object_set_new(o, "body_8bit", json_boolean(env->body_8bit));
    json_object_set_new(o, "require_tls", json_boolean(env->require_tls));
    return o;
}

static json_t *rcpt_json(const struct quarantine_rcpt *r)
{
    json_t *o = json_object();
    put(o, "addr", r->rcpt.addr.p ? r->rcpt.addr : SPAN(""));
    put(o, "orcpt", r->rcpt.orcpt);
    put_number(o, "notify", r->rcpt.notify);
    put(o, "policy", r->policy);
    put(o, "reason", r->reason);
    put(o, "detail", r->detail);
    put(o, "state", span_str(quarantine_state_name(r->state)));
    if (r->state != QUARANTINE_HELD) {
        put_number(o, "changed", r->changed);
        put(o, "by", r->by);
    }
    return o;
}

void sidecar_encode(struct buf *b, const struct quarantine_item *x)
{
    json_t *o = json_object();
    put_number(o, "form", SIDECAR_FORM);
    put(o, "id", span_str(x->id));
    put_number(o, "received", x->received);
    put_number(o, "held", x->held);
    put_number(o, "expires", x->expires);
    put_number(o, "size", (int64_t)x->size);
    json_object_set_new(o, "score", json_real(x->score));
    put(o, "virus", x->virus);
    put(o, "subject", x->subject);
    put(o, "header_from", x->header_from);
    put(o, "message_id", x->message_id);
    if (x->sign.p)
        json_object_set_new(o, "sign", hex(x->sign));
    json_object_set_new(o, "peer", peer_json(&x->peer));
    json_object_set_new(o, "envelope", envelope_json(&x->env));
    json_t *list = json_array();
    for (size_t i = 0; i < x->nrcpts; i++)
        json_array_append_new(list, rcpt_json(&x->rcpts[i]));
    json_object_set_new(o, "recipients", list);
    char *s = json_dumps(o, JSON_COMPACT);
    buf_str(b, s);
    free(s);
    json_decref(o);
}

/* --- reading --- */

static struct span from_hex(struct arena *a, struct span hex)
{
    char *out = arena_raw(a, hex.n / 2 + 1);
    for (size_t i = 0; i + 1 < hex.n; i += 2) {
        int high = ascii_hex(hex.p[i]), low = ascii_hex(hex.p[i + 1]);
        if (high < 0 || low < 0)
            return SPAN("");
        out[i / 2] = (char)(high << 4 | low);
    }
    out[hex.n / 2] = '\0';
    return span_of(out, hex.n / 2);
}

static struct span string_of(const json_t *j)
{
    return json_is_string(j) ? span_of(json_string_value(j), json_string_length(j)) : SPAN_NONE;
}

static struct span get(const json_t *o, const char *key, struct arena *a)
{
    const json_t *j = json_object_get(o, key);
    if (json_is_object(j)) {
        struct span hex = string_of(json_object_get(j, "hex"));
        return hex.p ? from_hex(a, hex) : SPAN_NONE;
    }
    struct span s = string_of(j);
    return s.p ? arena_dup(a, s) : SPAN_NONE;
}

static int64_t get_number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static void get_peer(const json_t *o, struct arena *a, struct peer *p)
{
    p->has_ip = ip_parse(string_of(json_object_get(o, "ip")), &p->ip);
    p->port = (uint16_t)get_number(o, "port");
    p->name = get(o, "name", a);
    p->helo = get(o, "helo", a);
    p->listener = get(o, "listener", a);
    p->protocol = get(o, "protocol", a);
    p->tls_version = get(o, "tls_version", a);
    p->tls_cipher = get(o, "tls_cipher", a);
    p->auth_user = get(o, "auth_user", a);
    p->may_relay = json_is_true(json_object_get(o, "may_relay"));
}

static void get_envelope(const json_t *o, struct arena *a, struct envelope *env)
{
    struct span from = get(o, "from", a);
    int64_t ret = get_number(o, "ret");
    env->from = from.p ? from : SPAN("");
    env->envid = get(o, "envid", a);
    env->ret = ret >= RET_DEFAULT && ret <= RET_HDRS ? (enum dsn_ret)ret : RET_DEFAULT;
    env->smtputf8 = json_is_true(json_object_get(o, "smtputf8"));
    env->body_8bit = json_is_true(json_object_get(o, "body_8bit"));
    env->require_tls = json_is_true(json_object_get(o, "require_tls"));
}

static bool get_rcpt(const json_t *o, struct arena *a, struct quarantine_rcpt *r)
{
    struct span state = string_of(json_object_get(o, "state"));
    r->rcpt.addr = get(o, "addr", a);
    r->rcpt.orcpt = get(o, "orcpt", a);
    r->rcpt.notify = (uint8_t)get_number(o, "notify");
    r->policy = get(o, "policy", a);
    r->reason = get(o, "reason", a);
    r->detail = get(o, "detail", a);
    r->changed = get_number(o, "changed");
    r->by = get(o, "by", a);
    for (int s = QUARANTINE_HELD; s <= QUARANTINE_DELETED; s++) {
        r->state = (enum quarantine_state)s;
        if (span_eq(state, span_str(quarantine_state_name(r->state))))
            return r->rcpt.addr.p != NULL;
    }
    return false;
}

static int decode(const json_t *o, struct arena *a, struct quarantine_item *x, struct err *e)
{
    struct span id = string_of(json_object_get(o, "id"));
    if (get_number(o, "form") != SIDECAR_FORM)
        return err_set(e, "not a form this gatehouse knows");
    if (!id_valid(id))
        return err_set(e, "no valid id");
    memcpy(x->id, id.p, ID_LEN);
    x->received = get_number(o, "received");
    x->held = get_number(o, "held");
    x->expires = get_number(o, "expires");
    x->size = (uint64_t)get_number(o, "size");
    x->score = json_number_value(json_object_get(o, "score"));
    x->virus = get(o, "virus", a);
    x->subject = get(o, "subject", a);
    x->header_from = get(o, "header_from", a);
    x->message_id = get(o, "message_id", a);
    x->sign = get(o, "sign", a);
    get_peer(json_object_get(o, "peer"), a, &x->peer);
    get_envelope(json_object_get(o, "envelope"), a, &x->env);
    const json_t *list = json_object_get(o, "recipients");
    size_t cap = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct quarantine_rcpt *r = ARENA_PUSH(a, x->rcpts, x->nrcpts, cap);
        if (!get_rcpt(json_array_get(list, i), a, r))
            return err_set(e, "recipient %zu is damaged", i + 1);
        *ARENA_PUSH(a, x->env.rcpts, x->env.nrcpts, x->env.cap) = r->rcpt;
    }
    return 0;
}

int sidecar_decode(struct span json, struct arena *a, struct quarantine_item *x, struct err *e)
{
    json_error_t error;
    *x = (struct quarantine_item){0};
    json_t *o = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, &error);
    if (!o)
        return err_set(e, "line %d: %s", error.line, error.text);
    int result = decode(o, a, x, e);
    json_decref(o);
    return result;
}
