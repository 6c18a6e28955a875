/* Where the values of a header request come from: fields, pseudo-headers, what is known of the
 * relays (semantics 6.2). */
#include "rules/header_private.h"
#include "rules/geo.h"
#include "rules/plugin.h"

static const size_t ALL_MAX = 65536; /* bytes of ALL, as SpamAssassin */

/* What the header parser of SpamAssassin hands out: decoded value and LF. In most fields it stands
 * so in the message. */
static struct span decoded_line(struct rules_ctx *c, struct mime_field *f)
{
    struct span s = mime_decoded(c->mime, f);
    uintptr_t at = (uintptr_t)s.p, raw = (uintptr_t)f->raw.p;
    if (at >= raw && at + s.n < raw + f->raw.n && s.p[s.n] == '\n')
        return span_of(s.p, s.n + 1);
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

/* The next field of the name of field i. */
static size_t next_field(const struct mime_fields *f, size_t i)
{
    return f->v[i].next ? mime_find(f, f->v[i].name, i + 1) : f->n;
}

enum form { FORM_DECODED, FORM_RAW, FORM_UNFOLDED };

static void add_header(struct rules_ctx *c, struct span name, enum form form, struct values *out)
{
    if (header_hidden(name))
        return;
    struct mime_fields *f = &c->mime->root->fields;
    for (size_t i = mime_find(f, name, 0); i < f->n; i = next_field(f, i)) {
        struct mime_field *field = &f->v[i];
        if (form == FORM_DECODED)
            push(c, out, decoded_line(c, field));
        else
            push(c, out, form == FORM_RAW ? field->raw : unfolded(c, field->raw));
    }
}

/* Bytes of a field in ALL. */
static size_t size_in_all(struct rules_ctx *c, struct mime_field *f)
{
    return f->name.n + mime_decoded(c->mime, f).n + 3;
}

/* All fit, as nearly always: marks them. */
static bool all_fit(struct rules_ctx *c, bool *fits)
{
    struct mime_fields *f = &c->mime->root->fields;
    size_t size = 0;
    for (size_t i = 0; i < f->n; i++) {
        fits[i] = !header_hidden(f->v[i].name);
        size += fits[i] ? size_in_all(c, &f->v[i]) : 0;
    }
    return size <= ALL_MAX;
}

/* Sizes are added up name by name: all instances of the name that appears first, then the next.
 * Marks the fields that still fit; true when some do not. */
bool header_measure(struct rules_ctx *c, bool *fits)
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
            size += size_in_all(c, &f->v[i]);
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
    if (!all_fit(c, fits)) {
        memset(fits, 0, f->n * sizeof *fits);
        s->all_truncated = header_measure(c, fits);
    }
    size_t size = 0;
    for (size_t i = 0; i < f->n; i++)
        size += fits[i] ? size_in_all(c, &f->v[i]) : 0;
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
    if (span_ieq(r->name, SPAN("X-Languages"))) {
        struct span names = language_names(c);
        if (names.p)
            push(c, out, names);
        return;
    }
    struct span found = geo_header(c, r->name);
    if (!found.p)
        found = virus_header(c, r->name);
    if (found.p) {
        push(c, out, found);
        return;
    }
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

void header_source(struct rules_ctx *c, const struct header_req *r, struct values *out)
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
    case KIND_METADATA:
        break;
    }
    add_header(c, r->name, r->raw || r->addr || r->display_name ? FORM_RAW : FORM_DECODED, out);
    if (out->n == 0 && r->kind == KIND_METADATA)
        add_metadata(c, r, out);
}
