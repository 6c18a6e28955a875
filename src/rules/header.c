/* Header access of rules and evals: NAME:modifiers to values (semantics 6.1, 6.2). */
#include "rules/eval_state.h"

#include <stdlib.h>

enum header_kind {
    KIND_PLAIN,
    KIND_ALL,
    KIND_ALL_TRUSTED,
    KIND_ALL_INTERNAL,
    KIND_ALL_UNTRUSTED,
    KIND_ALL_EXTERNAL,
    KIND_ENVELOPE_FROM,
    KIND_RELAYS_TRUSTED,
    KIND_RELAYS_UNTRUSTED,
    KIND_RELAYS_INTERNAL,
    KIND_RELAYS_EXTERNAL,
    KIND_TOCC,
    KIND_MESSAGEID
};

static const size_t ALL_MAX = 65536; /* bytes of ALL, as SpamAssassin */

static const struct {
    const char *name;
    enum header_kind kind;
    bool exact_case;
} kinds[] = {
    {"ALL", KIND_ALL, true},
    {"ALL-TRUSTED", KIND_ALL_TRUSTED, true},
    {"ALL-INTERNAL", KIND_ALL_INTERNAL, true},
    {"ALL-UNTRUSTED", KIND_ALL_UNTRUSTED, true},
    {"ALL-EXTERNAL", KIND_ALL_EXTERNAL, true},
    {"EnvelopeFrom", KIND_ENVELOPE_FROM, false},
    {"X-Spam-Relays-Trusted", KIND_RELAYS_TRUSTED, false},
    {"X-Spam-Relays-Untrusted", KIND_RELAYS_UNTRUSTED, false},
    {"X-Spam-Relays-Internal", KIND_RELAYS_INTERNAL, false},
    {"X-Spam-Relays-External", KIND_RELAYS_EXTERNAL, false},
    {"ToCc", KIND_TOCC, false},
    {"MESSAGEID", KIND_MESSAGEID, true},
};

struct values {
    struct span *v;
    size_t n, cap;
};

static void push(struct rules_ctx *c, struct values *out, struct span s)
{
    *ARENA_PUSH(c->a, out->v, out->n, out->cap) = s;
}

struct eval_state *eval_state(struct rules_ctx *c)
{
    if (!c->eval_state) {
        struct eval_state *s = ARENA_NEW(c->a, struct eval_state);
        s->headers = map_in(c->a);
        c->eval_state = s;
    }
    return c->eval_state;
}

bool header_hidden(struct span name)
{
    return span_istarts(name, SPAN("X-Spam-"));
}

static bool modifier(struct header_req *r, struct span m)
{
    static const struct {
        const char *name;
        size_t at, and;
    } table[] = {
        {"raw", offsetof(struct header_req, raw), 0},
        {"addr", offsetof(struct header_req, addr), 0},
        {"name", offsetof(struct header_req, display_name), 0},
        {"host", offsetof(struct header_req, host), 0},
        {"domain", offsetof(struct header_req, domain), offsetof(struct header_req, host)},
        {"ip", offsetof(struct header_req, ip), 0},
        {"revip", offsetof(struct header_req, revip), offsetof(struct header_req, ip)},
        {"first", offsetof(struct header_req, first), 0},
        {"last", offsetof(struct header_req, last), 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!span_eq(m, span_str(table[i].name)))
            continue;
        *(bool *)((char *)r + table[i].at) = true;
        if (table[i].and)
            *(bool *)((char *)r + table[i].and) = true;
        return true;
    }
    return false;
}

bool header_req_parse(struct arena *a, struct span text, struct header_req *out)
{
    memset(out, 0, sizeof *out);
    out->text = arena_dup(a, text);
    bool known = true;
    size_t colon = span_find(out->text, ':');
    out->name = span_sub(out->text, 0, colon);
    while (colon != SIZE_MAX) {
        struct span rest = span_from(out->text, colon + 1);
        size_t next = span_find(rest, ':');
        struct span word = span_sub(rest, 0, next);
        if (word.n > 0 && !modifier(out, word))
            known = false;
        colon = next == SIZE_MAX ? SIZE_MAX : colon + 1 + next;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct span name = span_str(kinds[i].name);
        if (kinds[i].exact_case ? span_eq(name, out->name) : span_ieq(name, out->name))
            out->kind = (uint8_t)kinds[i].kind;
    }
    return known;
}

/* --- sources --- */

/* What the header parser of SpamAssassin hands out: decoded value and LF. */
static struct span decoded_line(struct rules_ctx *c, struct mime_field *f)
{
    struct span s = mime_decoded(c->mime, f);
    char *p = arena_raw(c->a, s.n + 1);
    memcpy(p, s.p ? s.p : "", s.n);
    p[s.n] = '\n';
    return span_of(p, s.n + 1);
}

/* \r?\n\s+ to a space. */
static struct span unfolded(struct rules_ctx *c, struct span raw)
{
    char *p = arena_raw(c->a, raw.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.n;) {
        size_t lf = i + (raw.p[i] == '\r' && i + 1 < raw.n && raw.p[i + 1] == '\n');
        if (raw.p[lf] == '\n' && lf + 1 < raw.n && ascii_isspace(raw.p[lf + 1])) {
            p[n++] = ' ';
            for (i = lf + 1; i < raw.n && ascii_isspace(raw.p[i]);)
                i++;
        } else {
            p[n++] = raw.p[i++];
        }
    }
    return span_of(p, n);
}

enum form { FORM_DECODED, FORM_RAW, FORM_UNFOLDED };

static void add_header(struct rules_ctx *c, struct span name, enum form form, struct values *out)
{
    if (header_hidden(name))
        return;
    struct mime_fields *f = &c->mime->root->fields;
    for (size_t i = mime_find(f, name, 0); i < f->n; i = mime_find(f, name, i + 1)) {
        struct mime_field *field = &f->v[i];
        if (form == FORM_DECODED)
            push(c, out, decoded_line(c, field));
        else
            push(c, out, form == FORM_RAW ? field->raw : unfolded(c, field->raw));
    }
}

/* Sizes are added up name by name: all instances of the name that appears first, then the next.
 * Marks the fields that still fit; true when some do not. */
static bool measure_all(struct rules_ctx *c, bool *fits)
{
    struct mime_fields *f = &c->mime->root->fields;
    size_t *next = arena_array(c->a, f->n + 1, sizeof *next), size = 0;
    struct {
        size_t first, last;
    } *group = arena_array(c->a, f->n + 1, sizeof *group), *g;
    struct map names = map_in(c->a);
    for (size_t i = 0; i < f->n; i++) {
        if (header_hidden(f->v[i].name))
            continue;
        void **at = map_at(&names, arena_lower(c->a, f->v[i].name));
        next[i] = f->n;
        if (!*at) {
            *at = g = &group[i];
            g->first = i;
        } else {
            g = *at;
            next[g->last] = i;
        }
        g->last = i;
    }
    for (size_t e = 0; e < names.n; e++) {
        g = names.entries[e].value;
        for (size_t i = g->first; i < f->n; i = next[i]) {
            size += f->v[i].name.n + mime_decoded(c->mime, &f->v[i]).n + 3;
            if (size > ALL_MAX)
                return true;
            fits[i] = true;
        }
    }
    return false;
}

struct span header_all(struct rules_ctx *c)
{
    struct eval_state *s = eval_state(c);
    c->fetched_all = true;
    if (s->has_all)
        return s->all;
    struct mime_fields *f = &c->mime->root->fields;
    bool *fits = arena_array(c->a, f->n + 1, sizeof *fits);
    s->all_truncated = measure_all(c, fits);
    size_t size = 0;
    for (size_t i = 0; i < f->n; i++)
        if (fits[i])
            size += f->v[i].name.n + mime_decoded(c->mime, &f->v[i]).n + 3;
    char *p = arena_raw(c->a, size + 1);
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (!fits[i])
            continue;
        struct span value = mime_decoded(c->mime, &f->v[i]);
        memcpy(p + n, f->v[i].name.p, f->v[i].name.n);
        n += f->v[i].name.n;
        p[n++] = ':';
        p[n++] = ' ';
        memcpy(p + n, value.p ? value.p : "", value.n);
        n += value.n;
        p[n++] = '\n';
    }
    s->all = span_of(p, n);
    s->has_all = true;
    return s->all;
}

/* The pristine block in logical headers: from a line that does not start with a blank to the LF
 * that is not followed by one. */
static void split_pristine(struct rules_ctx *c, struct values *out)
{
    struct span s = c->mime->header_bytes;
    for (size_t i = 0; i < s.n;) {
        bool starts = s.p[i] != ' ' && s.p[i] != '\t';
        size_t lf = span_find(span_from(s, i + starts), '\n');
        if (lf == SIZE_MAX)
            return;
        lf += i + starts;
        while (starts && lf + 1 < s.n && (s.p[lf + 1] == ' ' || s.p[lf + 1] == '\t')) {
            size_t more = span_find(span_from(s, lf + 1), '\n');
            if (more == SIZE_MAX)
                return;
            lf += 1 + more;
        }
        if (starts)
            push(c, out, span_sub(s, i, lf + 1));
        i = lf + 1;
    }
}

static void add_all(struct rules_ctx *c, bool raw, struct values *out)
{
    if (raw) {
        split_pristine(c, out);
        return;
    }
    struct span all = header_all(c);
    if (all.n)
        push(c, out, all);
}

/* ALL up to (or from) the Received line that recorded the hand-over to the zone: `index` counts
 * Received lines from 0. */
static void add_zone(struct rules_ctx *c, bool raw, bool inside, long index, struct values *out)
{
    struct values lines = {0};
    if (raw) {
        split_pristine(c, &lines);
    } else {
        struct span rest = header_all(c);
        while (rest.n > 0) {
            size_t lf = span_find(rest, '\n');
            size_t end = lf == SIZE_MAX ? rest.n : lf + 1;
            push(c, &lines, span_sub(rest, 0, end));
            rest = span_from(rest, end);
        }
    }
    long at = -1;
    for (size_t i = 0; i < lines.n; i++) {
        if (span_istarts(lines.v[i], SPAN("Received:")))
            at++;
        if (inside ? at <= index : at >= index)
            push(c, out, lines.v[i]);
        if (inside && at == index)
            return;
    }
}

static void add_messageid(struct rules_ctx *c, bool raw, struct values *out)
{
    static const char *const names[] = {"X-Message-Id", "Resent-Message-Id",
                                        "X-Original-Message-ID", "Message-Id"};
    struct values all = {0};
    for (size_t i = 0; i < 4; i++)
        add_header(c, span_str(names[i]), raw ? FORM_UNFOLDED : FORM_DECODED, &all);
    for (size_t i = 0; i < all.n; i++)
        if (all.v[i].n > 0)
            push(c, out, all.v[i]);
}

static void add_metadata(struct rules_ctx *c, const struct header_req *r, struct values *out)
{
    bool sender = span_ieq(r->name, SPAN("X-SenderDomain"));
    if (!sender && !span_ieq(r->name, SPAN("X-AuthorDomain")))
        return;
    size_t n;
    struct span *v = header_list(c, sender ? "EnvelopeFrom:first:addr:host" : "From:addr:host", &n);
    struct map seen = map_in(c->a);
    size_t size = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        *map_at(&seen, v[i]) = c;
        size += v[i].n + 1;
    }
    char *p = arena_raw(c->a, size + 1);
    for (size_t i = 0; i < seen.n; i++) {
        struct span host = arena_lower(c->a, seen.entries[i].key);
        if (i > 0)
            p[at++] = ' ';
        memcpy(p + at, host.p, host.n);
        at += host.n;
    }
    if (n > 0)
        push(c, out, span_of(p, at));
}

static void add_source(struct rules_ctx *c, const struct header_req *r, struct values *out)
{
    const struct relays *relays = c->relays;
    struct span envelope;
    switch ((enum header_kind)r->kind) {
    case KIND_ALL:
        add_all(c, r->raw, out);
        return;
    case KIND_ALL_TRUSTED:
        add_zone(c, r->raw, true, relays->last_trusted + 1, out);
        return;
    case KIND_ALL_INTERNAL:
        add_zone(c, r->raw, true, relays->last_internal + 1, out);
        return;
    case KIND_ALL_UNTRUSTED:
        add_zone(c, r->raw, false, relays->last_trusted + 1, out);
        return;
    case KIND_ALL_EXTERNAL:
        add_zone(c, r->raw, false, relays->last_internal + 1, out);
        return;
    case KIND_ENVELOPE_FROM:
        envelope = header_envelope_from(c);
        if (envelope.p)
            push(c, out, envelope);
        return;
    case KIND_RELAYS_TRUSTED:
        push(c, out, relays->trusted_text);
        return;
    case KIND_RELAYS_UNTRUSTED:
        push(c, out, relays->untrusted_text);
        return;
    case KIND_RELAYS_INTERNAL:
        push(c, out, relays->internal_text);
        return;
    case KIND_RELAYS_EXTERNAL:
        push(c, out, relays->external_text);
        return;
    case KIND_TOCC:
        add_header(c, SPAN("To"), r->raw ? FORM_UNFOLDED : FORM_DECODED, out);
        add_header(c, SPAN("Cc"), r->raw ? FORM_UNFOLDED : FORM_DECODED, out);
        return;
    case KIND_MESSAGEID:
        add_messageid(c, r->raw, out);
        return;
    case KIND_PLAIN:
        break;
    }
    add_header(c, r->name, r->raw || r->addr || r->display_name ? FORM_RAW : FORM_DECODED, out);
    if (out->n == 0)
        add_metadata(c, r, out);
}

/* --- modifiers --- */

static struct span squeezed(struct rules_ctx *c, struct span s)
{
    char *p = arena_raw(c->a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_isspace(s.p[i]))
            p[n++] = s.p[i];
        else if (n > 0 && p[n - 1] != ' ')
            p[n++] = ' ';
    }
    if (n > 0 && p[n - 1] == ' ')
        n--;
    return span_of(p, n);
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static struct span display_name(struct rules_ctx *c, struct span phrase, bool raw)
{
    if (raw)
        return phrase;
    bool chars;
    struct span s = mime_decode_words(
        c->a,
        is_ascii(phrase) ? phrase : mime_normalise(c->a, phrase, SPAN("UTF-8"), false, &chars));
    if (span_trim(s).n == 0)
        return s;
    s = squeezed(c, s);
    return s.n >= 2 && s.p[0] == '\'' && s.p[s.n - 1] == '\'' ? span_sub(s, 1, s.n - 1) : s;
}

static struct values addresses(struct rules_ctx *c, const struct header_req *r,
                               const struct values *in)
{
    struct values out = {0};
    for (size_t i = 0; i < in->n; i++) {
        struct mime_addresses list = mime_addresses_parse(c->a, in->v[i]);
        for (size_t k = 0; k < list.n; k++) {
            if (r->addr && list.v[k].addr.p)
                push(c, &out, list.v[k].addr);
            else if (!r->addr && list.v[k].name.p)
                push(c, &out, display_name(c, list.v[k].name, r->raw));
        }
    }
    return out;
}

static struct values hosts(struct rules_ctx *c, const struct header_req *r, const struct values *in)
{
    struct values out = {0};
    for (size_t i = 0; i < in->n; i++) {
        struct span s =
            r->host ? header_host_of(c, in->v[i], r->addr) : header_ip_of(c, in->v[i], r->revip);
        if (s.n && r->domain)
            s = ctx_registered_domain(c, s);
        if (s.p)
            push(c, &out, s);
    }
    return out;
}

static struct header_entry *look_up(struct rules_ctx *c, const struct header_req *r)
{
    struct eval_state *s = eval_state(c);
    struct header_entry *e = map_get(&s->headers, r->text);
    if (e)
        return e;
    struct values v = {0};
    add_source(c, r, &v);
    bool whole = r->kind >= KIND_ALL && r->kind <= KIND_ALL_EXTERNAL;
    if (!whole && v.n > 0) {
        if (r->first || r->last)
            v = (struct values){&v.v[r->first ? 0 : v.n - 1], 1, 1};
        if (r->addr || r->display_name)
            v = addresses(c, r, &v);
        if (r->host || r->domain || r->ip)
            v = hosts(c, r, &v);
    }
    e = ARENA_NEW(c->a, struct header_entry);
    e->values = v.v;
    e->n = v.n;
    *map_at(&s->headers, r->text) = e;
    return e;
}

/* --- access --- */

static struct span join(struct rules_ctx *c, const struct header_entry *e, bool lines)
{
    if (e->n == 1)
        return e->values[0];
    size_t size = 0;
    for (size_t i = 0; i < e->n; i++)
        size += e->values[i].n + 1;
    char *p = arena_raw(c->a, size + 1);
    size_t n = 0;
    for (size_t i = 0; i < e->n; i++) {
        if (i > 0 && lines)
            p[n++] = '\n';
        memcpy(p + n, e->values[i].p ? e->values[i].p : "", e->values[i].n);
        n += e->values[i].n;
    }
    return span_of(p, n);
}

bool header_get(struct rules_ctx *c, const struct header_req *r, struct span *out)
{
    struct header_entry *e = look_up(c, r);
    if (e->n == 0) {
        *out = SPAN_NONE;
        return false;
    }
    if (!e->has_joined) {
        struct span first = e->values[0];
        e->joined = join(c, e, first.n == 0 || first.p[first.n - 1] != '\n');
        e->has_joined = true;
    }
    *out = e->joined;
    return true;
}

struct span *header_values(struct rules_ctx *c, const struct header_req *r, size_t *n)
{
    struct header_entry *e = look_up(c, r);
    *n = e->n;
    return e->values;
}

struct span *header_list(struct rules_ctx *c, const char *request, size_t *n)
{
    struct header_req r;
    header_req_parse(c->a, span_str(request), &r);
    return header_values(c, &r, n);
}

struct span header_scalar_or_none(struct rules_ctx *c, const char *request)
{
    struct header_req r;
    header_req_parse(c->a, span_str(request), &r);
    struct header_entry *e = look_up(c, &r);
    if (e->n == 0)
        return SPAN_NONE;
    bool first = r.addr || r.display_name || r.host || r.domain || r.ip ||
                 span_eq(r.text, SPAN("EnvelopeFrom"));
    struct span s = first ? e->values[0] : join(c, e, false);
    if (first && s.n && s.p[s.n - 1] == '\n')
        s.n--;
    return s;
}

struct span header_scalar(struct rules_ctx *c, const char *request)
{
    struct span s = header_scalar_or_none(c, request);
    return s.p ? s : SPAN("");
}
