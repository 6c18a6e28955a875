/* Splices over a message become what rspamd's clients understand: fields to remove by name, fields
 * to add, the subject. A body that changes has no word there. */
#include "door/judge.h"
#include "door/pieces.h"

struct field {
    struct span name;
    bool gone;
};

struct told {
    struct arena *a;
    struct field *fields;
    size_t nfields, fields_cap;
    struct rspamd_header *v;
    size_t n, cap;
};

static void add(struct told *t, struct piece p)
{
    struct span value = arena_dup(t->a, span_trim(p.value));
    char *to = (char *)(uintptr_t)value.p;
    size_t n = 0;
    for (size_t i = 0; i < value.n; i++) /* folds are LF and white space */
        if (value.p[i] != '\r')
            to[n++] = value.p[i];
    *ARENA_PUSH(t->a, t->v, t->n, t->cap) = (struct rspamd_header){p.name, span_of(to, n), 0};
}

static void add_all(struct told *t, const struct pieces *p)
{
    for (size_t i = 0; i < p->n; i++)
        add(t, p->v[i]);
}

/* One field of the original, [from, to) of raw, that the edits touch. */
static void changed_field(struct told *t, struct span raw, const struct splices *edits,
                          struct span name, size_t from, size_t to, struct span *subject)
{
    struct buf b = {0};
    struct pieces now = {0};
    struct piece was = {0};
    struct span original = span_sub(raw, from, to);
    pieces_next(&original, &was);
    pieces_region(edits, raw, from, to, false, &b);
    pieces_read(buf_span(&b), t->a, &now);
    buf_free(&b);
    struct piece *last = now.n ? &now.v[now.n - 1] : NULL;
    bool stays = last && span_ieq(last->name, name);
    bool same = stays && span_eq(last->value, was.value);
    if (stays)
        now.n--;
    add_all(t, &now);
    t->fields[t->nfields - 1].gone = !stays;
    if (!stays || same)
        return;
    if (span_ieq(name, SPAN("Subject"))) {
        *subject = span_trim(last->value);
    } else {
        t->fields[t->nfields - 1].gone = true;
        add(t, *last);
    }
}

/* All of a name, when all of them go; else the first one that goes. */
static void add_removals(struct told *t)
{
    for (size_t i = 0; i < t->nfields; i++) {
        if (!t->fields[i].gone)
            continue;
        uint32_t nth = 0, gone = 0, all = 0;
        bool first = true;
        for (size_t k = 0; k < t->nfields; k++) {
            if (!span_ieq(t->fields[k].name, t->fields[i].name))
                continue;
            all++;
            gone += t->fields[k].gone;
            first = first && !(k < i && t->fields[k].gone);
            if (k == i)
                nth = all;
        }
        if (first)
            *ARENA_PUSH(t->a, t->v, t->n, t->cap) =
                (struct rspamd_header){t->fields[i].name, SPAN_NONE, gone == all ? 0 : nth};
    }
}

struct rspamd_header *judge_headers(struct arena *a, struct span raw, const struct splices *edits,
                                    size_t *n, struct span *subject)
{
    struct told t = {.a = a};
    struct buf b = {0};
    struct pieces tail = {0};
    struct span rest = raw;
    size_t at = 0;
    uint64_t end = edits->n ? edits->v[edits->n - 1].at + edits->v[edits->n - 1].del : 0;
    while (rest.n && at <= end && rest.p[0] != '\n' && !span_starts(rest, SPAN("\r\n"))) {
        struct piece p = {0};
        size_t before = rest.n;
        pieces_next(&rest, &p);
        size_t size = before - rest.n;
        ARENA_PUSH(a, t.fields, t.nfields, t.fields_cap)->name = arena_dup(a, p.name);
        if (pieces_touched(edits, at, at + size))
            changed_field(&t, raw, edits, t.fields[t.nfields - 1].name, at, at + size, subject);
        at += size;
    }
    pieces_region(edits, raw, at, at, true, &b);
    pieces_read(buf_span(&b), a, &tail);
    buf_free(&b);
    add_all(&t, &tail);
    add_removals(&t);
    if (subject->p)
        *subject = arena_dup(a, *subject);
    *n = t.n;
    return t.v;
}
