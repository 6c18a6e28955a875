/* Splices over the message become operations of the milter protocol.
 *
 * A header field whose bytes change is looked at as a whole: what stands in its place after the
 * edits is nothing (it is deleted), itself with another value (it is changed), or other fields
 * (they are inserted). Changes and deletions go from the last field to the first, then insertions
 * likewise: so every index means the same to Sendmail and to Postfix. A body that changes is sent
 * as a whole. */
#include "door/milter_private.h"
#include "door/pieces.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

struct planned {
    struct pieces before; /* fields that stand in front of it now */
    bool changed, deleted;
    struct span value;
    uint32_t nth;
};

/* The value as this MTA wants it. An empty one would delete the field. */
static struct span told(const struct txn *t, struct span value)
{
    if (!milter_leading_space(&t->milter->session) && value.n && value.p[0] == ' ')
        value = span_from(value, 1);
    return value.n ? value : SPAN(" ");
}

static uint32_t nth_of(const struct milter_message *m, size_t i)
{
    uint32_t n = 1;
    for (size_t k = 0; k < i; k++)
        n += span_ieq(m->fields[k].name, m->fields[i].name);
    return n;
}

static bool plan_field(const struct txn *t, const struct splices *s, struct span raw, size_t i,
                       struct planned *p)
{
    const struct milter_message *m = t->shape;
    const struct milter_field *f = &m->fields[i];
    if (!pieces_touched(s, f->at, f->at + f->size))
        return true;
    struct buf b = {0};
    pieces_region(s, raw, f->at, f->at + f->size, false, &b);
    bool fine = pieces_read(buf_span(&b), t->arena, &p->before);
    buf_free(&b);
    struct span original = span_sub(raw, f->at, f->at + f->size);
    struct piece was = {0};
    if (!fine || !pieces_next(&original, &was))
        return false;
    p->nth = nth_of(m, i);
    struct piece *last = p->before.n ? &p->before.v[p->before.n - 1] : NULL;
    if (!last || !span_ieq(last->name, was.name)) {
        p->deleted = true;
        return true;
    }
    p->changed = !span_eq(last->value, was.value);
    p->value = last->value;
    p->before.n--;
    return true;
}

static void say_changes(struct buf *out, const struct txn *t, const struct planned *plan)
{
    const struct milter_message *m = t->shape;
    for (size_t i = m->n; i-- > 0;) {
        if (plan[i].deleted)
            milter_delete_header(out, plan[i].nth, m->fields[i].name);
        else if (plan[i].changed)
            milter_change_header(out, plan[i].nth, m->fields[i].name, told(t, plan[i].value));
    }
}

/* Index 0 stands above the MTA's own Received field, which is not ours to precede. */
static void say_inserts(struct buf *out, const struct txn *t, const struct planned *plan)
{
    const struct milter_message *m = t->shape;
    uint32_t index = 1;
    for (size_t i = 0; i < m->n; i++)
        index += !plan[i].deleted;
    for (size_t i = m->n; i-- > 0;) {
        index -= !plan[i].deleted;
        for (size_t k = plan[i].before.n; k-- > 0;) {
            const struct piece *p = &plan[i].before.v[k];
            milter_insert_header(out, index, p->name, told(t, p->value));
        }
    }
}

/* What is inserted in front of the blank line. */
static bool say_adds(struct buf *out, const struct txn *t, const struct splices *s, struct span raw,
                     bool *any)
{
    struct buf b = {0};
    struct pieces p = {0};
    pieces_region(s, raw, t->shape->blank, t->shape->blank, true, &b);
    bool fine = pieces_read(buf_span(&b), t->arena, &p);
    buf_free(&b);
    for (size_t i = 0; i < p.n; i++)
        milter_add_header(out, p.v[i].name, told(t, p.v[i].value));
    *any = p.n > 0;
    return fine;
}

static bool header_edits(struct buf *out, const struct txn *t, const struct splices *s,
                         struct span raw)
{
    const struct milter_message *m = t->shape;
    struct planned *plan = arena_array(t->arena, m->n + 1, sizeof *plan);
    bool fine = true, adds = false, changes = false;
    for (size_t i = 0; i < m->n; i++) {
        fine &= plan_field(t, s, raw, i, &plan[i]);
        changes |= plan[i].changed || plan[i].deleted;
        adds |= plan[i].before.n > 0;
    }
    bool may_change = milter_may(&t->milter->session, MILTER_CAN_CHANGE_HEADERS);
    bool may_add = milter_may(&t->milter->session, MILTER_CAN_ADD_HEADERS);
    if (may_change)
        say_changes(out, t, plan);
    if (may_add)
        say_inserts(out, t, plan);
    bool more = false;
    if (may_add)
        fine &= say_adds(out, t, s, raw, &more);
    return fine && (may_change || !changes) && (may_add || !adds);
}

static bool body_edits(struct buf *out, const struct txn *t, const struct splices *s)
{
    uint64_t body = t->shape->blank + 2;
    if (!pieces_touched(s, t->shape->blank + 1, UINT64_MAX))
        return true;
    if (pieces_touched(s, t->shape->blank + 1, body) ||
        !milter_may(&t->milter->session, MILTER_CAN_CHANGE_BODY))
        return false;
    void *p = t->size ? mmap(NULL, t->size, PROT_READ, MAP_PRIVATE, t->fd, 0) : MAP_FAILED;
    if (p == MAP_FAILED)
        return false;
    struct buf b = {0};
    pieces_region(s, span_of(p, t->size), body, t->size, true, &b);
    milter_replace_body(out, buf_span(&b));
    buf_free(&b);
    munmap(p, t->size);
    return true;
}

static bool read_head(const struct txn *t, struct span *out)
{
    size_t n = t->shape->blank + 2, got = 0;
    char *p = arena_raw(t->arena, n);
    while (got < n) {
        ssize_t k = pread(t->fd, p + got, n - got, (off_t)got);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        got += (size_t)k;
    }
    *out = span_of(p, n);
    return true;
}

bool milter_edits(struct buf *out, const struct txn *t, const struct splices *edits)
{
    struct span head;
    if (edits->n == 0)
        return true;
    if (t->fd < 0 || !read_head(t, &head))
        return false;
    bool fine = header_edits(out, t, edits, head);
    return body_edits(out, t, edits) && fine;
}
