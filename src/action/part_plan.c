#include "action/part_plan.h"

#include "mime/compose.h"

/* Fields that tell what a body is: they go with it. */
static const char *const body_fields[] = {"Content-Type",        "Content-Transfer-Encoding",
                                          "Content-Disposition", "Content-Description",
                                          "Content-ID",          "Content-Location"};
enum { BODY_FIELDS = sizeof body_fields / sizeof *body_fields };

static bool has_place(const struct mime_part *part)
{
    for (; part; part = part->parent)
        if (part->embedded && part->size == 0)
            return false;
    return true;
}

static struct part_facts *facts_of(const struct part_plan *p, const struct mime_part *part)
{
    for (size_t i = 0; i < p->parts->n; i++)
        if (p->parts->v[i].part == part)
            return &p->parts->v[i];
    return NULL;
}

/* The part itself, or the one around it that has a place. */
static struct part_facts *placed(const struct part_plan *p, struct part_facts *part)
{
    const struct mime_part *x = part->part;
    while (x->parent && !has_place(x))
        x = x->parent;
    return facts_of(p, x);
}

static struct part_fate *fate_of(const struct part_plan *p, const struct part_facts *part)
{
    return &p->v[part - p->parts->v];
}

static bool inside_of_changed(const struct part_plan *p, const struct mime_part *part)
{
    for (part = part->parent; part; part = part->parent) {
        enum part_fate_kind k = fate_of(p, facts_of(p, part))->kind;
        if (k == PART_DROPPED || k == PART_REPLACED)
            return true;
    }
    return false;
}

static void give_fate(struct part_plan *p, const struct policy *policy,
                      const struct policy_action *x, struct part_facts *part)
{
    struct part_facts *where = placed(p, part);
    struct part_fate *f = fate_of(p, where);
    if (f->kind != PART_STAYS)
        return;
    struct tags_on on = *p->on;
    on.policy = policy;
    on.part = part;
    f->policy = policy;
    const char *text = x->text ? x->text : action_default(x->kind);
    f->text = tags_expand(&on, span_str(text ? text : ""), p->arena);
    f->kind = x->kind == ACTION_DROP_PART     ? PART_DROPPED
              : x->kind == ACTION_RENAME_PART ? PART_RENAMED
                                              : PART_REPLACED;
    if (where != part && f->kind == PART_RENAMED)
        f->kind = PART_STAYS; /* a name inside an encoded message can't be reached */
    p->removes |= f->kind == PART_DROPPED || f->kind == PART_REPLACED;
}

/* A multipart must not be left without parts, nor a message without body. */
static void keep_something(struct part_plan *p, struct part_facts *part)
{
    struct part_fate *f = fate_of(p, part);
    bool all = true;
    if (f->kind != PART_DROPPED)
        return;
    const struct mime_part *up = part->part->parent;
    for (const struct mime_part *x = up && !part->part->embedded ? up->child : NULL; x; x = x->next)
        all &= fate_of(p, facts_of(p, x))->kind == PART_DROPPED;
    if (!all)
        return;
    struct tags_on on = *p->on;
    on.policy = f->policy;
    on.part = part;
    f->kind = PART_REPLACED;
    f->text = tags_expand(&on, SPAN("An attachment was removed (_POLICY_). Message id: _ID_\n"),
                          p->arena);
}

/* Before all others: a part that is only to get another name must not keep its virus. */
static void take_out_infected(struct part_plan *p, const struct decision *d)
{
    const struct virus_facts *v = &p->on->m->facts.virus;
    for (size_t i = 0; d->clean && i < v->nparts; i++)
        if (v->parts[i].number >= 1 && v->parts[i].number <= p->parts->n)
            give_fate(p, d->policy, d->clean, &p->parts->v[v->parts[i].number - 1]);
}

static void apply(struct part_plan *p, const struct applied *x, const struct policy_action *action)
{
    bool touch = x->policy->touch_signed;
    struct part_facts *named =
        action->part && action->part <= p->parts->n ? &p->parts->v[action->part - 1] : NULL;
    if (named && (touch || !named->sealed))
        give_fate(p, x->policy, action, named);
    for (size_t j = 0; !action->part && j < x->nparts; j++)
        if (touch || !x->parts[j]->sealed)
            give_fate(p, x->policy, action, x->parts[j]);
}

struct part_plan part_plan_of(const struct tags_on *on, struct arena *a)
{
    const struct decision *d = on->d;
    struct part_plan p = {on, d->parts, a, arena_array(a, d->parts->n, sizeof *p.v), false};
    take_out_infected(&p, d);
    for (size_t i = 0; i < d->napplied; i++) {
        const struct policy_actions *actions = &d->applied[i].policy->actions;
        for (size_t k = 0; k < actions->n; k++)
            if (action_on_part(actions->v[k].kind) || actions->v[k].kind == ACTION_CLEAN)
                apply(&p, &d->applied[i], &actions->v[k]);
    }
    for (size_t i = d->parts->n; i-- > 0;)
        keep_something(&p, &d->parts->v[i]);
    return p;
}

/* --- splices --- */

struct span part_lines(const struct part_plan *p, struct span text)
{
    if (p->parts->mime->crlf)
        return arena_dup(p->arena, text);
    char *out = arena_raw(p->arena, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != '\r' || i + 1 == text.n || text.p[i + 1] != '\n')
            out[n++] = text.p[i];
    return span_of(out, n);
}

static bool plain_enough(struct span s)
{
    size_t column = 0;
    for (size_t i = 0; i < s.n; i++) {
        column = s.p[i] == '\n' ? 0 : column + 1;
        if ((unsigned char)s.p[i] >= 0x80 || column > COMPOSE_LINE)
            return false;
    }
    return true;
}

static const char text_type[] = "text/plain; charset=utf-8";

static bool owns_header(const struct part_facts *part)
{
    return !part->part->parent || part->part->embedded;
}

void part_text(struct buf *b, struct span text)
{
    bool plain = plain_enough(text);
    buf_printf(b, "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n", text_type,
               plain ? "7bit" : "quoted-printable");
    buf_str(b, "Content-Disposition: inline\r\n\r\n");
    if (plain)
        compose_lines(b, text);
    else
        compose_qp(b, text);
}

/* A part within a multipart: with its header, from its place to its end. */
static void replace_within(const struct part_plan *p, const struct part_facts *part,
                           struct span text, struct splices *out)
{
    struct buf b = {0};
    part_text(&b, text);
    splices_add(out, p->arena, part->part->at, part->part->size, part_lines(p, buf_span(&b)));
    buf_free(&b);
}

bool part_tells_body(const struct mime_field *f)
{
    for (size_t k = 0; k < BODY_FIELDS; k++)
        if (header_named(f, span_str(body_fields[k])))
            return true;
    return false;
}

void part_drop_fields(const struct part_plan *p, const struct part_facts *part,
                      struct header_plan *header, struct splices *out)
{
    const struct mime_fields *f = &part->part->fields;
    for (size_t k = 0; k < BODY_FIELDS; k++) {
        if (!part->part->parent) {
            header_plan_delete(header, span_str(body_fields[k]), 0);
            continue;
        }
        for (size_t i = 0; i < f->n; i++)
            if (header_named(&f->v[i], span_str(body_fields[k])))
                header_delete(out, p->parts->mime, &f->v[i]);
    }
}

static void add_field(const struct part_plan *p, const struct part_facts *part, const char *name,
                      struct span value, struct header_plan *header, struct splices *out)
{
    if (!part->part->parent) {
        header_plan_add(header, span_str(name), value);
        return;
    }
    struct buf b = {0};
    compose_structured(&b, name, value);
    splices_add(out, p->arena, part->part->at, 0, part_lines(p, buf_span(&b)));
    buf_free(&b);
}

/* The body of a message, whose header stays. */
static void replace_body(const struct part_plan *p, const struct part_facts *part, struct span text,
                         struct header_plan *header, struct splices *out)
{
    struct buf b = {0};
    bool plain = plain_enough(text);
    const struct mime_part *x = part->part;
    part_drop_fields(p, part, header, out);
    add_field(p, part, "Content-Type", SPAN("text/plain; charset=utf-8"), header, out);
    add_field(p, part, "Content-Transfer-Encoding", plain ? SPAN("7bit") : SPAN("quoted-printable"),
              header, out);
    if (mime_find(&x->fields, SPAN("MIME-Version"), 0) == x->fields.n)
        add_field(p, part, "MIME-Version", SPAN("1.0"), header, out);
    if (x->flags & MIME_MISSING_HEAD_BODY_SEPARATOR)
        buf_str(&b, "\r\n");
    if (plain)
        compose_lines(&b, text);
    else
        compose_qp(&b, text);
    splices_add(out, p->arena, x->body_at, x->at + x->size - x->body_at,
                part_lines(p, buf_span(&b)));
    buf_free(&b);
}

/* Where the delimiter line in front of a part begins; SIZE_MAX when there is none. */
static size_t delimiter_at(const struct part_plan *p, const struct mime_part *part)
{
    struct span before = span_sub(p->parts->mime->raw, 0, part->at);
    if (!before.n || before.p[before.n - 1] != '\n')
        return SIZE_MAX;
    size_t lf = span_rfind(span_sub(before, 0, before.n - 1), '\n');
    size_t at = lf == SIZE_MAX ? 0 : lf + 1;
    return span_starts(span_from(before, at), SPAN("--")) && at > part->parent->at ? at : SIZE_MAX;
}

/* With the delimiter in front of it, up to the next one. */
static void drop(const struct part_plan *p, const struct part_facts *part, struct span text,
                 struct splices *out)
{
    struct span raw = p->parts->mime->raw;
    const struct mime_part *x = part->part;
    size_t from = delimiter_at(p, x), to = x->at + x->size;
    to += to < raw.n && raw.p[to] == '\r';
    to += to < raw.n && raw.p[to] == '\n';
    if (from == SIZE_MAX || !span_starts(span_from(raw, to), SPAN("--")))
        replace_within(p, part, text.n ? text : SPAN("An attachment was removed.\n"), out);
    else
        splices_add(out, p->arena, from, to - from, SPAN_NONE);
}

void part_set_header(const struct part_plan *p, const struct part_facts *part, const char *name,
                     struct span value, struct header_plan *header, struct splices *out)
{
    const struct mime_fields *f = &part->part->fields;
    struct span key = span_str(name);
    bool found = false;
    if (!part->part->parent) {
        header_plan_change(header, key, 0, value);
        return;
    }
    for (size_t i = 0; i < f->n; i++) {
        if (!header_named(&f->v[i], key))
            continue;
        struct buf b = {0};
        compose_structured(&b, name, value);
        struct span field = arena_dup(p->arena, buf_span(&b));
        buf_free(&b);
        header_replace(out, p->parts->mime, &f->v[i], span_from(field, key.n + 2));
        found = true;
    }
    if (!found)
        add_field(p, part, name, value, header, out);
}

/* A name as parameter: quoted, or in RFC 2231's form when it is not ASCII. */
static void add_name_param(struct buf *b, const char *param, struct span name)
{
    bool ascii = true;
    for (size_t i = 0; i < name.n; i++)
        ascii &= (unsigned char)name.p[i] < 0x80;
    buf_printf(b, "; %s%s", param, ascii ? "=\"" : "*=utf-8''");
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (ascii)
            buf_char(b, c == '"' || c == '\\' || c < ' ' ? '_' : c);
        else if (ascii_isalnum(c) || c == '.' || c == '-' || c == '_')
            buf_char(b, c);
        else
            buf_printf(b, "%%%02X", (unsigned char)c);
    }
    buf_str(b, ascii ? "\"" : "");
}

static void rename_part(const struct part_plan *p, const struct part_facts *part, struct span name,
                        struct header_plan *header, struct splices *out)
{
    static const struct {
        const char *field, *param, *otherwise;
    } rows[] = {{"Content-Type", "name", "application/octet-stream"},
                {"Content-Disposition", "filename", "attachment"}};
    for (size_t k = 0; k < 2; k++) {
        struct mime_field *f = mime_last(&part->part->fields, span_str(rows[k].field));
        struct span kept = f ? part_without_names(p->arena, f->raw) : SPAN("");
        struct buf b = {0};
        buf_add(&b, kept.n ? kept : span_str(rows[k].otherwise));
        add_name_param(&b, rows[k].param, name);
        part_set_header(p, part, rows[k].field, arena_dup(p->arena, buf_span(&b)), header, out);
        buf_free(&b);
    }
}

void part_plan_emit(struct part_plan *p, struct header_plan *header, struct splices *out)
{
    for (size_t i = 0; i < p->parts->n; i++) {
        const struct part_facts *part = &p->parts->v[i];
        const struct part_fate *f = &p->v[i];
        if (f->kind == PART_STAYS || inside_of_changed(p, part->part))
            continue;
        if (f->kind == PART_RENAMED)
            rename_part(p, part, f->text, header, out);
        else if (owns_header(part))
            replace_body(p, part, f->text, header, out);
        else if (f->kind == PART_DROPPED)
            drop(p, part, f->text, out);
        else
            replace_within(p, part, f->text, out);
    }
}
