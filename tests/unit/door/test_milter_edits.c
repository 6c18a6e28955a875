/* Splices told as milter operations: an MTA that carries them out (with Postfix's way of counting,
 * and with Sendmail's) ends up with the bytes that the splices make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "door/milter_private.h"

enum { FIELDS_MAX = 64, ROUNDS = 3000 };

/* ---- an MTA ---- */

struct held_field {
    struct span name, value;
    bool own, deleted;
};

struct mta {
    struct arena *a;
    bool keeps_deleted; /* Sendmail: a deleted field still counts */
    bool leading_space;
    struct held_field v[FIELDS_MAX];
    size_t n;
    struct buf body;
    bool body_changed;
};

static void put(struct mta *m, size_t at, struct span name, struct span value)
{
    assert_true(m->n < FIELDS_MAX && at <= m->n);
    memmove(m->v + at + 1, m->v + at, (m->n - at) * sizeof *m->v);
    m->v[at] = (struct held_field){.name = arena_dup(m->a, name), .value = arena_dup(m->a, value)};
    m->n++;
}

static struct span stored(struct mta *m, struct span value)
{
    return m->leading_space ? value : arena_printf(m->a, " %.*s", SPAN_ARG(value));
}

static void change(struct mta *m, uint32_t nth, struct span name, struct span value)
{
    for (size_t i = 0; i < m->n; i++) {
        struct held_field *f = &m->v[i];
        if (f->own || !span_ieq(f->name, name) || (f->deleted && !m->keeps_deleted) || --nth > 0)
            continue;
        assert_false(f->deleted);
        f->deleted = value.n == 0;
        f->value = stored(m, arena_dup(m->a, value));
        return;
    }
    fail_msg("no such field");
}

static void insert(struct mta *m, uint32_t index, struct span name, struct span value)
{
    size_t at = 0;
    for (; at < m->n && index > 0; at++)
        index -= !m->v[at].deleted;
    put(m, at, name, stored(m, value));
}

static void carry_out(struct mta *m, struct span ops)
{
    while (ops.n) {
        uint32_t n = milter_u32(ops.p);
        char cmd = ops.p[4];
        struct span data = span_sub(ops, 5, 4 + n), name, value = SPAN("");
        ops = span_from(ops, 4 + n);
        if (cmd == 'b') {
            m->body_changed = true;
            buf_add(&m->body, data);
            continue;
        }
        uint32_t index = 0;
        if (cmd == 'i' || cmd == 'm') {
            index = milter_u32(data.p);
            data = span_from(data, 4);
        }
        assert_true(milter_string(&data, &name));
        milter_string(&data, &value);
        assert_int_equal(data.n, 0);
        if (cmd == 'm')
            change(m, index, name, value);
        else if (cmd == 'i')
            insert(m, index, name, value);
        else if (cmd == 'h')
            put(m, m->n, name, stored(m, value));
        else
            fail_msg("unexpected %c", cmd);
    }
}

static void render(const struct mta *m, struct span body, struct buf *out)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct held_field *f = &m->v[i];
        if (f->own || f->deleted)
            continue;
        buf_add(out, f->name);
        buf_char(out, ':');
        for (size_t k = 0; k < f->value.n; k++) {
            if (f->value.p[k] == '\n')
                buf_char(out, '\r');
            buf_char(out, f->value.p[k]);
        }
        buf_str(out, "\r\n");
    }
    buf_str(out, "\r\n");
    buf_add(out, m->body_changed ? buf_span(&m->body) : body);
}

/* ---- a message, as milter.c puts it together ---- */

struct stand {
    struct door door;
    struct milter_conn conn;
    struct txn t;
    struct milter_message shape;
    struct buf raw;
};

static void stand_up(struct stand *s, struct arena *a, bool leading_space)
{
    memset(s, 0, sizeof *s);
    s->conn.session.options =
        (struct milter_options){6, ~0u, leading_space ? MILTER_LEADING_SPACE : 0};
    s->t.arena = a;
    s->t.milter = &s->conn;
    s->t.shape = &s->shape;
}

static void field(struct stand *s, const char *name, const char *value)
{
    uint64_t at = s->raw.n;
    buf_printf(&s->raw, "%s:%s\r\n", name, value);
    *ARENA_PUSH(s->t.arena, s->shape.fields, s->shape.n, s->shape.cap) =
        (struct milter_field){arena_dup(s->t.arena, span_str(name)), at, s->raw.n - at};
}

static void finish(struct stand *s, const char *body)
{
    s->shape.blank = s->raw.n;
    buf_printf(&s->raw, "\r\n%s", body);
    s->t.size = s->raw.n;
    s->t.fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(s->t.fd, s->raw.p, s->raw.n), s->raw.n);
}

static void tear_down(struct stand *s)
{
    close(s->t.fd);
    buf_free(&s->raw);
}

static void receive(struct mta *m, const struct stand *s, struct arena *a)
{
    *m = (struct mta){.a = a, .leading_space = milter_leading_space(&s->conn.session)};
    put(m, 0, SPAN("Received"), SPAN(" by mta.test"));
    m->v[0].own = true;
    for (size_t i = 0; i < s->shape.n; i++) {
        const struct milter_field *f = &s->shape.fields[i];
        struct buf value = {0};
        struct span v = span_sub(buf_span(&s->raw), f->at + f->name.n + 1, f->at + f->size - 2);
        for (size_t k = 0; k < v.n; k++)
            if (v.p[k] != '\r')
                buf_char(&value, v.p[k]);
        put(m, m->n, f->name, buf_span(&value));
        buf_free(&value);
    }
}

static void check(const struct stand *s, struct splices *e, struct arena *a, bool keeps_deleted)
{
    struct mta m;
    struct buf ops = {0}, want = {0}, got = {0};
    assert_int_equal(splices_sort(e, s->raw.n, NULL), 0);
    assert_true(milter_edits(&ops, &s->t, e));
    receive(&m, s, a);
    m.keeps_deleted = keeps_deleted;
    carry_out(&m, buf_span(&ops));
    splices_apply(e, buf_span(&s->raw), &want);
    render(&m, span_from(buf_span(&s->raw), s->shape.blank + 2), &got);
    assert_string_equal(want.p, got.p);
    buf_free(&ops);
    buf_free(&want);
    buf_free(&got);
    buf_free(&m.body);
}

/* ---- tests ---- */

static unsigned next(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

static void random_field(struct stand *s, unsigned *seed)
{
    static const char *const names[] = {"Subject", "X-Spam", "Received", "To"};
    static const char *const values[] = {" plain", " folded\r\n\tonce", " \r\n twice\r\n  over",
                                         "   wide", " a: b"};
    field(s, names[next(seed) % 4], values[next(seed) % 5]);
}

static void random_edit(struct splices *e, const struct stand *s, size_t i, bool anywhere,
                        unsigned *seed)
{
    const struct milter_field *f = &s->shape.fields[i];
    uint64_t value = f->at + f->name.n + 1;
    struct arena *a = s->t.arena;
    if (i == 0 || (anywhere && next(seed) % 3 == 0))
        splices_add(e, a, f->at, 0, SPAN("X-New: one\r\nX-New: two\r\n\tfolded\r\n"));
    switch (next(seed) % 6) {
    case 0:
        splices_add(e, a, f->at, f->size, SPAN(""));
        break;
    case 1:
        splices_add(e, a, value, f->at + f->size - 2 - value, SPAN(" another\r\n\tvalue"));
        break;
    case 2:
        splices_add(e, a, value + 1, 0, SPAN("[tag] "));
        break;
    case 3:
        if (anywhere)
            splices_add(e, a, f->at, f->size, SPAN("X-Instead: of it\r\n"));
        break;
    default:
        break;
    }
}

static void any_edits(void **state)
{
    unsigned seed = 4711;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct arena *a = arena_new(0);
        struct stand s;
        struct splices e = {0};
        bool anywhere = round % 2;
        stand_up(&s, a, round % 3);
        for (unsigned n = next(&seed) % 8; n > 0; n--)
            random_field(&s, &seed);
        finish(&s, "the body\r\nin two lines\r\n");
        for (size_t i = 0; i < s.shape.n; i++)
            random_edit(&e, &s, i, anywhere, &seed);
        if (anywhere && next(&seed) % 4 == 0)
            splices_add(&e, a, s.shape.blank, 0, SPAN("X-Last: added\r\n"));
        if (next(&seed) % 4 == 0)
            splices_add(&e, a, s.shape.blank + 2 + next(&seed) % 8, next(&seed) % 8,
                        SPAN("changed\r\n"));
        check(&s, &e, a, !anywhere);
        tear_down(&s);
        arena_free(a);
    }
}

static void large_body(void **state)
{
    struct arena *a = arena_new(0);
    struct stand s;
    struct splices e = {0};
    char *body = malloc(300001);
    (void)state;
    memset(body, 'x', 300000);
    body[300000] = '\0';
    stand_up(&s, a, true);
    field(&s, "Subject", " x");
    finish(&s, body);
    splices_add(&e, a, 100000, 5, SPAN("<removed>"));
    check(&s, &e, a, false);
    splices_add(&e, a, s.shape.blank + 2, 0, SPAN("top\r\n"));
    splices_add(&e, a, s.raw.n, 0, SPAN("bottom\r\n"));
    check(&s, &e, a, false);
    tear_down(&s);
    free(body);
    arena_free(a);
}

static void what_cannot_be_said(void **state)
{
    static const struct {
        uint64_t at, del;
        const char *ins;
        uint32_t actions;
    } cases[] = {
        {14, 2, "", ~0u},                     /* the blank line goes */
        {0, 14, "no field at all\r\n", ~0u},  /* not a header any more */
        {16, 1, "", ~MILTER_CAN_CHANGE_BODY}, /* not allowed, in turn */
        {0, 14, "", ~MILTER_CAN_CHANGE_HEADERS},
        {0, 0, "X: y\r\n", ~MILTER_CAN_ADD_HEADERS},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *a = arena_new(0);
        struct stand s;
        struct splices e = {0};
        struct buf ops = {0};
        stand_up(&s, a, true);
        s.conn.session.options.actions = cases[i].actions;
        field(&s, "Subject", " tag");
        finish(&s, "body\r\n");
        assert_int_equal(s.shape.blank, 14);
        splices_add(&e, a, cases[i].at, cases[i].del, span_str(cases[i].ins));
        assert_false(milter_edits(&ops, &s.t, &e));
        assert_int_equal(ops.n, 0);
        tear_down(&s);
        arena_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_edits),
        cmocka_unit_test(large_body),
        cmocka_unit_test(what_cannot_be_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
